/* clang takes a target per function, gcc per file section; both leave the base line of the build alone. */
#define FNN_ISA avx512
#ifdef FNN_EMULATE_AVX512
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx2,fma")
#endif
#else
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")
#endif
#endif
#include "vec_avx512.h"
#include "../unit.inl.h"
/* The same kernels, with permission to use the tiles. */
#ifdef FNN_TILES
FNN_TABLE(amx, 1);
#else
FNN_TABLE(amx, 0); /* this compiler does not know them: not a target of this build */
#endif
#if defined(__clang__)
#pragma clang attribute pop
#endif
