/* All kernels once more, for x86 processors with AVX2 and FMA. */

#define _POSIX_C_SOURCE 199309L /* nanosleep, where there is one */

#include <float.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#define GOSSAMER_AVX2
#endif
#include "kernels.h"

#if defined(GOSSAMER_AVX2)

#include <cpuid.h>
#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif

#include "band.c"
#include "binary.c"
#include "blur.c"
#include "coarse.c"
#include "deflate.c"
#include "deform.c"
#include "enlarge.c"
#include "guide.c"
#include "laplacian.c"
#include "layers.c"
#include "nearest.c"
#include "nodes.c"
#include "over.c"
#include "png.c"
#include "resample.c"
#include "sampling.c"
#include "tally.c"

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

/* Asked of the processor itself: Zig's library for __builtin_cpu_supports says no to everything. */
EXPORT int gossamer_has_avx2(void) {
    unsigned a, b, c, d, low, high;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return 0;
    unsigned wanted = 1u << 12 | 1u << 27 | 1u << 28; /* FMA, XGETBV, AVX */
    if ((c & wanted) != wanted) return 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    if ((low & 6) != 6) return 0; /* the system keeps the wide registers */
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b >> 5 & 1);
}

#else

EXPORT int gossamer_has_avx2(void) { return 0; }

#endif
