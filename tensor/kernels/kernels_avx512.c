/*
 * The kernels for AVX-512. The target stands here, not in the compiler's flags; <immintrin.h> must come before it.
 */
#include "kernels.h"

#ifdef LEAT_HAVE_X86_VECTORS

#include <immintrin.h>

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma"))),                   \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")
#endif

#define LEAT_SIMD_AVX512  1
#define LEAT_SIMD_KERNELS leat_kernels_avx512
#include "kernels_impl.h"

#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif
