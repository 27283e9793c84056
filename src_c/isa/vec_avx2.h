/* The vocabulary for AVX2 + FMA: 32-byte vectors, 16 registers. */
#pragma once
#include <immintrin.h>
#define FNN_VBYTES 32
#define FNN_GEMM_ROWS 6 /* 6 x 2 accumulators + 2 vectors + 1 broadcast = 15 of 16 registers */
#define FNN_UPDATE_EVERY 2 /* steps of k; see gemm/beside.inl.h */
#define FNN_FMA_f32(a, b, c) _mm256_fmadd_ps(a, b, c)
#define FNN_FMA_f64(a, b, c) _mm256_fmadd_pd(a, b, c)
#define FNN_SQRT_f32(a) _mm256_sqrt_ps(a)
#define FNN_SQRT_f64(a) _mm256_sqrt_pd(a)
#define FNN_MAX_f32(a, b) _mm256_max_ps(a, b)
#define FNN_MAX_f64(a, b) _mm256_max_pd(a, b)
#define FNN_MIN_f32(a, b) _mm256_min_ps(a, b)
#define FNN_MIN_f64(a, b) _mm256_min_pd(a, b)
#define FNN_SEL_f32(m, a, b) _mm256_blendv_ps(b, a, (__m256)(m))
#define FNN_SEL_f64(m, a, b) _mm256_blendv_pd(b, a, (__m256d)(m))
