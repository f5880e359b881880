/* All kernels once more, for x86 processors with AVX2 and FMA. */

#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__)

#pragma GCC target("avx2,fma")
#define GOSSAMER_AVX2

#include "band.c"
#include "deflate.c"
#include "png.c"
#include "resample.c"

__attribute__((visibility("default"))) int gossamer_has_avx2(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

#else

__attribute__((visibility("default"))) int gossamer_has_avx2(void) { return 0; }

#endif
