/* Which instructions this processor has that the system lets programs use: for systems that do not tell themselves. */

#include "kernels.h"

#if defined(__x86_64__)

#include <cpuid.h>

/* Bits: 1 AVX512_BF16, 2 AMX_BF16, 4 AVX512_VNNI, 8 AVX_VNNI, 16 AMX_INT8 (Intel's manual, volume 2, CPUID, leaf 7). */
EXPORT int gossamer_products(void) {
    unsigned a, b, c, d, low, high;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c >> 27 & 1)) return 0; /* XGETBV */
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;
    /* What the system keeps when it changes between programs: 256 bits, 512 bits and masks, tiles. */
    int wide = (low & 6) == 6, widest = (low & 0xe6) == 0xe6, tiles = widest && (low >> 17 & 3) == 3;
    unsigned vnni = c >> 11 & 1, amx_bfloat = d >> 22 & 1, amx_int = d >> 25 & 1;
    int found = (vnni && widest) << 2 | (amx_bfloat && tiles) << 1 | (amx_int && tiles) << 4;
    if (a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d))
        found |= ((a >> 5 & 1) && widest) | ((a >> 4 & 1) && wide) << 3;
    return found;
}

#else

EXPORT int gossamer_products(void) { return 0; }

#endif
