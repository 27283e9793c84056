/* The vocabulary for any CPU: 16-byte vectors that the compiler lowers to what the base line has (SSE2 on
 * x86-64, NEON on AArch64, plain scalar code elsewhere).  No fused multiply-add: where the base line lacks
 * the instruction, fma() is a library call, a hundred times slower than the two roundings. */
#pragma once
#define FNN_VBYTES 16
#define FNN_GEMM_ROWS 6
#define FNN_FMA_f32(a, b, c) ((a) * (b) + (c))
#define FNN_FMA_f64(a, b, c) ((a) * (b) + (c))
#if defined(__SSE2__)
#include <emmintrin.h>
#define FNN_SQRT_f32(a) _mm_sqrt_ps(a)
#define FNN_SQRT_f64(a) _mm_sqrt_pd(a)
#endif
