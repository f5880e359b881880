/* What all kernels share.
 *
 * Each is compiled once for every processor of the family and, by avx2.c, once more for those with AVX2 and FMA; which
 * one is taken is asked when the library is loaded. layers.c is compiled by avx2.c and, by avx512.c, for AVX-512 alone.
 * GCC and Clang, and what is made of them, know all that is used here.
 */

#ifndef GOSSAMER_KERNELS_H
#define GOSSAMER_KERNELS_H

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif
#if defined(GOSSAMER_AVX512)
#define KERNEL(name) EXPORT name##_avx512
#elif defined(GOSSAMER_AVX2)
#define KERNEL(name) EXPORT name##_avx2
#else
#define KERNEL(name) EXPORT name
#endif
#define INLINE static inline __attribute__((always_inline))

#endif
