/* The tile instructions in C, as Intel's manual says them (SDM vol. 2, TDPBF16PS: even and odd products are summed
 * apart, subnormal numbers are zero), for FNN_EMULATE_AVX512 builds. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#define FNN_TILES
static _Thread_local uint32_t fnn_tile[8][16][16];
static _Thread_local int fnn_tiles_configured;

typedef uint32_t fnn_tile_row __attribute__((vector_size(64), aligned(4), may_alias));
typedef float fnn_tile_sums __attribute__((vector_size(64)));

/* subnormal numbers as zeros of their sign */
static inline fnn_tile_sums fnn_tile_flush(fnn_tile_row bits)
{
    return (fnn_tile_sums)(bits & ((fnn_tile_row)((bits & 0x7f800000) != 0) | 0x80000000));
}
static __attribute__((noinline)) void fnn_tile_load(int t, const void *p, ptrdiff_t stride)
{
    if (!fnn_tiles_configured) __builtin_trap(); /* as the CPU would */
    for (int r = 0; r < 16; r++) memcpy(fnn_tile[t][r], (const char *)p + r * stride, 64);
}
static __attribute__((noinline)) void fnn_tile_store(int t, void *p, ptrdiff_t stride)
{
    if (!fnn_tiles_configured) __builtin_trap();
    for (int r = 0; r < 16; r++) memcpy((char *)p + r * stride, fnn_tile[t][r], 64);
}
static __attribute__((noinline)) void fnn_tile_dp(int c, int a, int b)
{
    fnn_tile_sums even_b[16], odd_b[16];
    for (int k = 0; k < 16; k++) {
        const fnn_tile_row pairs = *(const fnn_tile_row *)fnn_tile[b][k];
        even_b[k] = fnn_tile_flush(pairs << 16), odd_b[k] = fnn_tile_flush(pairs & 0xffff0000);
    }
    for (int m = 0; m < 16; m++) {
        fnn_tile_sums even = {0}, odd = {0};
        for (int k = 0; k < 16; k++) {
            const fnn_tile_row pair = fnn_tile[a][m][k] - (fnn_tile_row){0};
            even = fnn_tile_flush((fnn_tile_row)(even + fnn_tile_flush(pair << 16) * even_b[k]));
            odd = fnn_tile_flush((fnn_tile_row)(odd + fnn_tile_flush(pair & 0xffff0000) * odd_b[k]));
        }
        fnn_tile_row *sum = (fnn_tile_row *)fnn_tile[c][m];
        const fnn_tile_sums more = fnn_tile_flush((fnn_tile_row)(even + odd));
        *sum = (fnn_tile_row)fnn_tile_flush((fnn_tile_row)(fnn_tile_flush(*sum) + more));
    }
}
/* x and y rounded to bfloat16 as VCVTNE2PS2BF16 does, y in the upper half: to the nearest, ties to even, subnormal
 * numbers are zero, NaN stays NaN */
#define FNN_TILE_PAIRS(x, y) (((FNN_TILE_ROUND((VI)(x)) >> 16) & 0xffff) | FNN_TILE_ROUND((VI)(y)))
#define FNN_TILE_IS_NAN(u) (((u) & 0x7fffffff) > 0x7f800000)
#define FNN_TILE_IS_NORMAL(u) (((u) & 0x7f800000) != 0)
#define FNN_TILE_ROUND(u)                                                                            \
    (((FNN_TILE_IS_NAN(u) & ((u) | 0x400000)) |                                                      \
      (~FNN_TILE_IS_NAN(u) & FNN_TILE_IS_NORMAL(u) & ((u) + 0x7fff + (((u) >> 16) & 1))) |           \
      ((u) & INT32_MIN)) & (int32_t)0xffff0000)
#define FNN_TILE_MIN(a, b) (((a) & ((a) < (b))) | ((b) & ~((a) < (b))))
#define FNN_TILE_ZERO(t) memset(fnn_tile[t], 0, sizeof fnn_tile[t])
#define FNN_TILE_CONFIG(shape) (void)(shape), fnn_tiles_configured = 1
#define FNN_TILE_RELEASE() fnn_tiles_configured = 0
#define FNN_TILE_LOAD(t, p, stride) fnn_tile_load(t, p, stride)
#define FNN_TILE_STORE(t, p, stride) fnn_tile_store(t, p, stride)
#define FNN_TILE_DP(c, a, b) fnn_tile_dp(c, a, b)
