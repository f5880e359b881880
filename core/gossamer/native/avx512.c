/* The layers of networks once more, for x86 processors with AVX-512; the other kernels would gain little. */

#define _POSIX_C_SOURCE 199309L /* nanosleep, where there is one */

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#define GOSSAMER_AVX512
#endif
#include "kernels.h"

#if defined(GOSSAMER_AVX512)

#include <cpuid.h>
#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx2,fma")
#endif

#include "layers.c"

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

EXPORT int gossamer_has_avx512(void) {
    unsigned a, b, c, d, low, high;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c >> 27 & 1)) return 0; /* XGETBV */
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    if ((low & 0xe6) != 0xe6) return 0; /* the system keeps the widest registers */
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b >> 16 & 1);
}

#else

EXPORT int gossamer_has_avx512(void) { return 0; }

#endif
