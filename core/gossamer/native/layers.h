/* What the layers of a convolutional network share: see layers.c. */

#ifndef GOSSAMER_LAYERS_H
#define GOSSAMER_LAYERS_H

#include <stdint.h>
#include <string.h>

#include "kernels.h"
#include "lanes.h"

enum { BLOCK = 16 };

/* A vector, how many make a block, and how many tiles are multiplied at once so that all sums stay in registers. */
#if defined(GOSSAMER_AVX512)
typedef float lane __attribute__((vector_size(64)));
enum { WIDE = 16, PARTS = 1, ROWS = 12 };
#define EACH_ROW(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11)
#elif defined(GOSSAMER_AVX2)
typedef float lane __attribute__((vector_size(32)));
enum { WIDE = 8, PARTS = 2, ROWS = 6 };
#define EACH_ROW(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5)
#else
typedef float lane __attribute__((vector_size(16)));
enum { WIDE = 4, PARTS = 4, ROWS = 12 }; /* for the 32 registers of Arm */
#define EACH_ROW(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11)
#endif
typedef int32_t whole __attribute__((vector_size(sizeof(lane))));
#define EACH_OF_FEW(DO) DO(0) DO(1) DO(2) DO(3)

/* One layer, as gossamer/networks/layer_plan.py writes it: places are counted in floats from where the maps or the
 * weights begin. */
typedef struct {
    int64_t kind, items; /* parts that threads take one by one */
    int64_t from, to, added; /* maps; the last is added to the result, -1 for none */
    int64_t weights, bias;
    int64_t inputs, outputs, height, width; /* channels and size of what it takes */
    int64_t step, relu; /* of a dilated convolution, or its stride; what becomes of the result, see below */
    int64_t high, wide; /* size of what it gives, where that is another */
    int64_t tiles, size, first, across, depth, shared; /* see winograd.h */
} operation;

typedef struct {
    float *maps;
    const float *weights;
    float *scratch; /* of one thread */
} buffers;

typedef int32_t v4i __attribute__((vector_size(16)));

INLINE lane taken(const float *at) {
    lane value;
    memcpy(&value, at, sizeof value);
    return value;
}

INLINE void kept(float *at, lane value) { memcpy(at, &value, sizeof value); }

INLINE lane higher_of(lane a, lane b) {
#if defined(GOSSAMER_AVX512)
    return (lane)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined(GOSSAMER_AVX2)
    return (lane)_mm256_max_ps((__m256)a, (__m256)b);
#else
    v4i first = a > b;
    return (lane)((first & (v4i)a) | (~first & (v4i)b));
#endif
}

INLINE lane lower_of(lane a, lane b) {
#if defined(GOSSAMER_AVX512)
    return (lane)_mm512_min_ps((__m512)a, (__m512)b);
#elif defined(GOSSAMER_AVX2)
    return (lane)_mm256_min_ps((__m256)a, (__m256)b);
#else
    v4i first = a < b;
    return (lane)((first & (v4i)a) | (~first & (v4i)b));
#endif
}

/* What becomes of a layer's results: nothing; zero below zero; that, but softer; and two that end at one. */
enum { AS_IT_IS, RELU, HARD_SWISH, HARD_SIGMOID, SMOOTH_SIGMOID };

INLINE lane hard_sigmoid(lane x) { return lower_of(higher_of(x * (1.0f / 6.0f) + 0.5f, (lane){0}), (lane){0} + 1.0f); }

/* Write some channels of a pixel of a layer's result. */
INLINE void finished(const operation *o, const buffers *all, int64_t where, lane value) {
    if (o->relu == RELU) value = higher_of(value, (lane){0});
    if (o->relu == HARD_SWISH) value *= hard_sigmoid(value);
    if (o->relu == HARD_SIGMOID) value = hard_sigmoid(value);
    if (o->added >= 0) value += taken(all->maps + o->added + where);
    kept(all->maps + o->to + where, value);
}

#endif
