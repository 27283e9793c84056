/* Expands the whole kernel set for one target: everything twice, float32 and float64, then one table.
 * A unit_<target>.c sets FNN_ISA and its vocabulary, switches the compiler to the target, includes this. */
#include <math.h>
#include <string.h>
#include "operands.h"

#ifdef FNN_UPDATE_EVERY
#define FNN_BESIDE 1 /* updates of weights beside products, see gemm/beside.inl.h */
#else
#define FNN_BESIDE 0
#endif
#define FNN_CAT_(a, b) a##b
#define FNN_CAT(a, b) FNN_CAT_(a, b)
#define FNN_CAT5_(a, b, c, d, e) a##b##c##d##e
#define FNN_CAT5(a, b, c, d, e) FNN_CAT5_(a, b, c, d, e)
#define FN(name) FNN_CAT5(name, _, SFX, _, FNN_ISA)
#define FNN_INLINE static inline __attribute__((always_inline, unused))
#define FNN_STR_(a) #a
#define FNN_STR(a) FNN_STR_(a)
#define FNN_EACH_LANE(sfx, e) \
    __extension__({ FNN_CAT5(vec, _, sfx, _, FNN_ISA) fnn_r; \
                    for (int fnn_i = 0; fnn_i < (int)(FNN_VBYTES / sizeof(fnn_r[0])); fnn_i++) fnn_r[fnn_i] = (e); \
                    fnn_r; })

/* start of part i of n cut into `parts` nearly equal parts, in whole multiples of `unit` */
static inline ptrdiff_t fnn_cut(ptrdiff_t n, ptrdiff_t parts, ptrdiff_t i, ptrdiff_t unit)
{
    ptrdiff_t at = ((n + unit - 1) / unit) * i / parts * unit;
    return at < n ? at : n;
}
static inline ptrdiff_t fnn_parts(ptrdiff_t n, ptrdiff_t most) { return n > most ? (n + most - 1) / most : 1; }
/* whether a step is the last of `every` (0, 1: each one is) */
static inline int fnn_due(uint64_t step, ptrdiff_t every) { return every <= 1 || (step + 1) % (uint64_t)every == 0; }
static inline ptrdiff_t fnn_min(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }
static inline ptrdiff_t fnn_max(ptrdiff_t a, ptrdiff_t b) { return a > b ? a : b; }

#define SFX f32
#define T float
#define TI int32_t
#define IS_F32 1
#include "body.inl.h"
#undef SFX
#undef T
#undef TI
#undef IS_F32

#define SFX f64
#define T double
#define TI int64_t
#define IS_F32 0
#include "body.inl.h"
#undef SFX
#undef T
#undef TI
#undef IS_F32

#include "table.inl.h"
