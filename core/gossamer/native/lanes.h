/* Eight floats at a time, and small things beside them. The compiler makes of a vector what the processor has. */

#ifndef GOSSAMER_LANES_H
#define GOSSAMER_LANES_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "kernels.h"

typedef float v8 __attribute__((vector_size(32)));
typedef float v4 __attribute__((vector_size(16)));
typedef int32_t v8i __attribute__((vector_size(32)));
typedef double v4d __attribute__((vector_size(32)));

INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
INLINE int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
INLINE float lower(float a, float b) { return a < b ? a : b; }
INLINE float higher(float a, float b) { return a > b ? a : b; }
INLINE float distance(float a, float b) { return a > b ? a - b : b - a; }

INLINE v8 load(const float *at) {
    v8 value;
    memcpy(&value, at, sizeof value);
    return value;
}

INLINE void store(float *at, v8 value) { memcpy(at, &value, sizeof value); }

INLINE v8 same(float x) { return (v8){x, x, x, x, x, x, x, x}; }

/* Of plain C compilers make several instructions of what AVX has one for: these are written out. */
#if defined(GOSSAMER_AVX2)
INLINE v8 smaller(v8 a, v8 b) { return (v8)_mm256_min_ps((__m256)a, (__m256)b); }

INLINE v8 larger(v8 a, v8 b) { return (v8)_mm256_max_ps((__m256)a, (__m256)b); }

INLINE v8 roots(v8 x) { return (v8)_mm256_sqrt_ps((__m256)x); }
#else
INLINE v8 smaller(v8 a, v8 b) {
    v8i first = a < b;
    return (v8)((first & (v8i)a) | (~first & (v8i)b));
}

INLINE v8 larger(v8 a, v8 b) {
    v8i first = a > b;
    return (v8)((first & (v8i)a) | (~first & (v8i)b));
}

INLINE v8 roots(v8 x) {
    v8 result;
    for (int i = 0; i < 8; i++) result[i] = sqrtf(x[i]);
    return result;
}
#endif

/* `value` in the lanes where `test` is above zero, else zero. */
INLINE v8 where_positive(v8 test, v8 value) { return (v8)((test > (v8){0}) & (v8i)value); }

INLINE v8 magnitude(v8 x) { return larger(x, -x); }

/* The sum of the lanes, always in the same order. */
INLINE float total(v8 x) {
    float a = x[0] + x[4], b = x[1] + x[5], c = x[2] + x[6], d = x[3] + x[7];
    return (a + c) + (b + d);
}

/* Whether a comparison is true in any lane. */
INLINE int any(v8i test) {
#if defined(GOSSAMER_AVX2)
    return _mm256_movemask_ps((__m256)test) != 0;
#else
    int64_t halves[4];
    memcpy(halves, &test, sizeof halves);
    return (halves[0] | halves[1] | halves[2] | halves[3]) != 0;
#endif
}

INLINE v4d load4(const double *at) {
    v4d value;
    memcpy(&value, at, sizeof value);
    return value;
}

INLINE void store4(double *at, v4d value) { memcpy(at, &value, sizeof value); }

INLINE v4d same4(double x) { return (v4d){x, x, x, x}; }

/* Where a pixel's centre lies among `few` wider ones: the first of two neighbours, and the second's share. */
INLINE float place_among(int64_t at, float step, int64_t few, int64_t *first) {
    float place = ((float)at + 0.5f) * step - 0.5f;
    if (place < 0.0f) place = 0.0f;
    if (place > (float)(few - 1)) place = (float)(few - 1);
    *first = least((int64_t)place, few > 1 ? few - 2 : 0);
    return place - (float)*first;
}

#endif
