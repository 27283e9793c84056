/* The vocabulary for AVX-512 (F, DQ, BW, VL): 64-byte vectors, 32 registers.
 *
 * The target "amx" is the same unit, with products by tiles where those gain.
 * FNN_EMULATE_AVX512 builds the same target from portable vector operations: same widths, panels and
 * loops, only slower.  It lets a machine without AVX-512 test everything but the intrinsics below. */
#pragma once
#include <stdint.h>
#include <string.h>
#define FNN_VBYTES 64
#define FNN_GEMM_ROWS 14 /* 14 x 2 accumulators + 2 vectors + 1 broadcast = 31 of 32 registers */
#ifndef FNN_EMULATE_AVX512
#include <immintrin.h>
#define FNN_FMA_f32(a, b, c) _mm512_fmadd_ps(a, b, c)
#define FNN_FMA_f64(a, b, c) _mm512_fmadd_pd(a, b, c)
#define FNN_SQRT_f32(a) _mm512_sqrt_ps(a)
#define FNN_SQRT_f64(a) _mm512_sqrt_pd(a)
#define FNN_RSQRT_f32(a) _mm512_rsqrt14_ps(a) /* 2^-14 */
#define FNN_LOOKUP_f32(table, i) /* table[i], of 32 numbers */ \
    _mm512_permutex2var_ps(_mm512_load_ps(table), (__m512i)(i), _mm512_load_ps((table) + 16))
#define FNN_MAX_f32(a, b) _mm512_max_ps(a, b)
#define FNN_MAX_f64(a, b) _mm512_max_pd(a, b)
#define FNN_MIN_f32(a, b) _mm512_min_ps(a, b)
#define FNN_MIN_f64(a, b) _mm512_min_pd(a, b)
#else
#define FNN_FMA_f32(a, b, c) FNN_EACH_LANE(f32, __builtin_fmaf((a)[fnn_i], (b)[fnn_i], (c)[fnn_i]))
#define FNN_LOOKUP_f32(table, i) FNN_EACH_LANE(f32, (table)[(i)[fnn_i] & 31])
#define FNN_FMA_f64(a, b, c) FNN_EACH_LANE(f64, __builtin_fma((a)[fnn_i], (b)[fnn_i], (c)[fnn_i]))
#endif

/* Tiles of bfloat16 (AMX): 8 registers of 16 rows of 64 bytes.  The instructions are written out, because gcc 12's
 * _tile_loadconfig says it reads 8 bytes and its tile loads do not say that they read memory. */
#ifndef FNN_EMULATE_AVX512
#if defined(__has_include) && defined(__linux__) && defined(__x86_64__)
#if __has_include(<amxbf16intrin.h>)
#define FNN_TILES
#endif
#endif
/* the words (x[i] rounded to bfloat16, y[i] rounded to bfloat16 << 16): AVX512-BF16, which a CPU with tiles has */
#define FNN_TILE_PAIRS(x, y)                                                                    \
    __extension__({                                                                             \
        __m512i fnn_r;                                                                          \
        __asm__("vcvtne2ps2bf16 %2, %1, %0" : "=v"(fnn_r) : "v"(y), "v"(x));                    \
        (VI)_mm512_permutexvar_epi16(_mm512_load_si512(fnn_weave), fnn_r);                      \
    })
static const uint16_t fnn_weave[32] __attribute__((aligned(64))) = {
    0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
#define FNN_TILE_MIN(a, b) ((VI)_mm512_min_epi32((__m512i)(a), (__m512i)(b))) /* of int32 */
#define FNN_TILE_ZERO(t) __asm__ volatile("tilezero %%tmm" #t ::: "memory")
#define FNN_TILE_CONFIG(shape) __asm__ volatile("ldtilecfg %0" ::"m"(shape) : "memory")
#define FNN_TILE_RELEASE() __asm__ volatile("tilerelease" ::: "memory")
#define FNN_TILE_LOAD(t, p, stride) \
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #t ::"r"(p), "r"((ptrdiff_t)(stride)) : "memory")
#define FNN_TILE_STORE(t, p, stride) \
    __asm__ volatile("tilestored %%tmm" #t ", (%0,%1,1)" ::"r"(p), "r"((ptrdiff_t)(stride)) : "memory")
#define FNN_TILE_DP(c, a, b) __asm__ volatile("tdpbf16ps %%tmm" #b ", %%tmm" #a ", %%tmm" #c ::: "memory")
#else
#include "tiles_emulated.h"
#endif
