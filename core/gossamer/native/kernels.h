/* What all kernels share.
 *
 * Each is compiled once for every processor of the family and, by avx2.c, once more for those with AVX2 and FMA; which
 * one is taken is asked when the library is loaded.
 */

#ifndef GOSSAMER_KERNELS_H
#define GOSSAMER_KERNELS_H

#if defined(GOSSAMER_AVX2)
#define KERNEL(name) __attribute__((visibility("default"))) name##_avx2
#else
#define KERNEL(name) __attribute__((visibility("default"))) name
#endif
#define INLINE static inline __attribute__((always_inline))

#endif
