/* clang takes a target per function, gcc per file section; both leave the base line of the build alone. */
#define FNN_ISA avx2
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx2,fma")
#endif
#include "vec_avx2.h"
#include "../unit.inl.h"
#if defined(__clang__)
#pragma clang attribute pop
#endif
