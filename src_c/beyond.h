/* Finds the first number that is not as it should be, in one pass at the speed of memory.
 *
 * Blocks are compared in vectors, whose masks are or-ed; only in a block with something wrong is each element looked
 * at.  GNU vectors of 16 bytes: the baseline of every target has them. */
#ifndef FNN_BEYOND_H
#define FNN_BEYOND_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Index of the first x[i] beyond `limit` in magnitude, or -1.  With `finite`, NaN and infinity are beyond; without,
 * they are what the caller meant, and only finite numbers above the limit count. */
#define FNN_FIRST_BEYOND(suffix, real, bits, LANES)                                                                    \
    __attribute__((always_inline)) static inline ptrdiff_t fnn_scan_##suffix(const real *x, ptrdiff_t n, real limit,   \
                                                                             int finite) {                             \
        typedef real vec __attribute__((vector_size(16)));                                                             \
        typedef bits mask __attribute__((vector_size(16)));                                                            \
        const vec high = limit - (vec){0}, inf = (real)INFINITY - (vec){0};                                            \
        const mask magnitude = ~(mask)(-(vec){0});                                                                     \
        const ptrdiff_t block = 8 * LANES;                                                                             \
        for (ptrdiff_t at = 0; at < n; at += block) {                                                                  \
            if (n - at >= block) {                                                                                     \
                mask bad = {0};                                                                                        \
                for (int i = 0; i < 8; i++) {                                                                          \
                    mask v;                                                                                            \
                    memcpy(&v, x + at + i * LANES, sizeof v);                                                          \
                    v &= magnitude;                                                                                    \
                    bad |= finite ? ~(mask)((vec)v <= high) : (mask)((vec)v > high) & (mask)((vec)v < inf);            \
                }                                                                                                      \
                bits any = 0;                                                                                          \
                for (int i = 0; i < LANES; i++) any |= bad[i];                                                         \
                if (!any) continue;                                                                                    \
            }                                                                                                          \
            for (ptrdiff_t i = at; i < n && i < at + block; i++) {                                                     \
                const int fits = x[i] <= limit && x[i] >= -limit;                                                      \
                if (!fits && (finite || (x[i] < (real)INFINITY && x[i] > -(real)INFINITY))) return i;                  \
            }                                                                                                          \
        }                                                                                                              \
        return -1;                                                                                                     \
    }                                                                                                                  \
    static inline ptrdiff_t fnn_first_beyond_##suffix(const real *x, ptrdiff_t n, double limit, int finite) {          \
        return finite ? fnn_scan_##suffix(x, n, (real)limit, 1) : fnn_scan_##suffix(x, n, (real)limit, 0);             \
    }

FNN_FIRST_BEYOND(f32, float, int32_t, 4)
FNN_FIRST_BEYOND(f64, double, int64_t, 2)

#undef FNN_FIRST_BEYOND
#endif
