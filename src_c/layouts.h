/* The operands of every kernel as structures to lay over fnn_op: fnn_p_<kernel> over p, fnn_n_ over n, fnn_s_ over s,
 * fnn_f_ over fn.  For code that fills an operation itself: a name that a kernel does not have fails to compile. */
#pragma once
#include <complex.h>
#undef I /* a macro of complex.h, which NumPy's headers include, and an operand here */
#include <math.h>
#include <string.h>
#include "operands.h"
#define FNN_INLINE static inline __attribute__((always_inline, unused))
#include "body.inl.h"
