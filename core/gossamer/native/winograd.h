/* Convolutions of 3 x 3 with a quarter of the products: Winograd's F(4 x 4, 3 x 3).
 *
 * Sources: S. Winograd, "Arithmetic complexity of computations" (1980); A. Lavin and S. Gray, "Fast algorithms for
 * convolutional neural networks" (2016). A tile of 6 x 6 inputs is transformed (by B), multiplied at 36 places with
 * the weights (transformed by G), summed over the channels, and gives 4 x 4 outputs (by A). At each place that is a
 * product of matrices: tiles x inputs by inputs x outputs.
 *
 * A dilated convolution is one of every step-th row and column, once for each phase of the steps.
 */

#ifndef GOSSAMER_WINOGRAD_H
#define GOSSAMER_WINOGRAD_H

#include "layers.h"

enum { PLACES = 36, OUT = 4, IN = 6 };

/* Sums for some tiles and two vectors of outputs, or one: `u` has `across` outputs for each of `count` inputs. They are
 * added to what is there where `more` is not zero. */
#define START(r) lane a##r = {0}, b##r = {0};
#define BEFORE(r) a##r = taken(m + r * apart), b##r = taken(m + r * apart + WIDE);
#define STEP(r) a##r += v[r * stride + k] * first, b##r += v[r * stride + k] * second;
#define END(r) kept(m + r * apart, a##r), kept(m + r * apart + WIDE, b##r);
#define START_ONE(r) lane a##r = {0};
#define BEFORE_ONE(r) a##r = taken(m + r * apart);
#define STEP_ONE(r) a##r += v[r * stride + k] * first;
#define END_ONE(r) kept(m + r * apart, a##r);
#define PRODUCTS(rows, EACH)                                                                                       \
    INLINE void products_of_two_##rows(const float *v, int64_t stride, const float *u, int64_t across,             \
                                       int64_t count, float *m, int64_t apart, int more) {                         \
        EACH(START)                                                                                                \
        if (more) { EACH(BEFORE) }                                                                                   \
        for (int64_t k = 0; k < count; k++) {                                                                      \
            lane first = taken(u + k * across), second = taken(u + k * across + WIDE);                             \
            EACH(STEP)                                                                                             \
        }                                                                                                          \
        EACH(END)                                                                                                  \
    }                                                                                                              \
    INLINE void products_of_one_##rows(const float *v, int64_t stride, const float *u, int64_t across,             \
                                       int64_t count, float *m, int64_t apart, int more) {                         \
        EACH(START_ONE)                                                                                            \
        if (more) { EACH(BEFORE_ONE) }                                                                               \
        for (int64_t k = 0; k < count; k++) {                                                                      \
            lane first = taken(u + k * across);                                                                    \
            EACH(STEP_ONE)                                                                                         \
        }                                                                                                          \
        EACH(END_ONE)                                                                                              \
    }
PRODUCTS(many, EACH_ROW)
PRODUCTS(few, EACH_OF_FEW)

enum { FEW = 4 };

INLINE int64_t whole_rows(int64_t tiles) { return (tiles + FEW - 1) / FEW * FEW; }

/* (tiles, count) by (count, across); rows beyond `tiles` up to whole ones are computed as well. */
INLINE void products(const float *v, int64_t stride, int64_t tiles, const float *u, int64_t across, int64_t count,
                     float *m, int64_t apart, int more) {
    for (int64_t r = 0; r < tiles;) {
        const float *from = v + r * stride;
        float *to = m + r * apart;
        int64_t c = 0, many = whole_rows(tiles - r) >= ROWS;
        for (; c + 2 * WIDE <= across; c += 2 * WIDE)
            if (many)
                products_of_two_many(from, stride, u + c, across, count, to + c, apart, more);
            else
                products_of_two_few(from, stride, u + c, across, count, to + c, apart, more);
        if (c < across) {
            if (many)
                products_of_one_many(from, stride, u + c, across, count, to + c, apart, more);
            else
                products_of_one_few(from, stride, u + c, across, count, to + c, apart, more);
        }
        r += many ? ROWS : FEW;
    }
}

/* How far places lie apart that are written together: never so that they share a line of a cache's first level. */
INLINE int64_t spread(int64_t floats) { return (floats - 80 + 1023) / 1024 * 1024 + 80; }

/* Where a tile starts; tiles count through phases, and rows and columns of tiles. */
typedef struct {
    int64_t y, x;
} place;

INLINE int64_t tiles_along(int64_t pixels, int64_t step) { return (pixels + step * OUT - 1) / (step * OUT); }

INLINE place place_of(const operation *o, int64_t tile) {
    int64_t over = tiles_along(o->width, o->step), each = tiles_along(o->height, o->step) * over;
    int64_t phase = tile / each, row = tile % each / over, column = tile % each % over;
    return (place){phase / o->step + o->step * OUT * row, phase % o->step + o->step * OUT * column};
}

INLINE void six_of_six(const lane *d, lane *t) {
    lane a = d[4] - 4.0f * d[2], b = d[3] - 4.0f * d[1], c = d[4] - d[2], e = 2.0f * (d[3] - d[1]);
    t[0] = 4.0f * d[0] - 5.0f * d[2] + d[4];
    t[1] = a + b;
    t[2] = a - b;
    t[3] = c + e;
    t[4] = c - e;
    t[5] = 4.0f * d[1] - 5.0f * d[3] + d[5];
}

/* Transform one tile of a block of channels; the places of `v` lie `apart` from each other. */
INLINE void transformed_part(const float *from, int64_t next, int64_t below, const char *there, float *v, int64_t apart) {
    lane half[IN][IN];
    for (int i = 0; i < IN; i++) {
        lane d[IN], t[IN];
        for (int j = 0; j < IN; j++)
            d[j] = !there || there[j * IN + i] ? taken(from + j * below + i * next) : (lane){0};
        six_of_six(d, t);
        for (int j = 0; j < IN; j++) half[j][i] = t[j];
    }
    for (int j = 0; j < IN; j++) {
        lane t[IN];
        six_of_six(half[j], t);
        for (int i = 0; i < IN; i++) kept(v + (j * IN + i) * apart, t[i]);
    }
}

/* Transform all channels of some tiles from `first` on to `v`, each tile's `stride` after the one before. Block after
 * block: tiles lie side by side, and a processor foresees what it reads row by row. */
INLINE void transformed(const operation *o, const float *from, int64_t first, int64_t count, float *v, int64_t stride,
                        int64_t apart) {
    int64_t step = o->step, h = o->height, w = o->width, next = step * BLOCK, below = step * w * BLOCK;
    for (int64_t c = 0; c < o->inputs; c += WIDE) {
        const float *block = from + c / BLOCK * h * w * BLOCK + c % BLOCK;
        for (int64_t t = 0; t < count; t++) {
            place at = place_of(o, first + t);
            int64_t top = at.y - step, left = at.x - step;
            const float *start = block + (top * w + left) * BLOCK;
            if (top >= 0 && left >= 0 && top + 5 * step < h && left + 5 * step < w) {
                transformed_part(start, next, below, NULL, v + t * stride + c, apart);
                continue;
            }
            char there[PLACES];
            for (int j = 0; j < IN; j++)
                for (int i = 0; i < IN; i++) {
                    int64_t y = top + j * step, x = left + i * step;
                    there[j * IN + i] = y >= 0 && y < h && x >= 0 && x < w;
                }
            transformed_part(start, next, below, there, v + t * stride + c, apart);
        }
    }
}

INLINE void four_of_six(const lane *m, lane *y) {
    lane a = m[1] + m[2], b = m[1] - m[2], c = m[3] + m[4], d = m[3] - m[4];
    y[0] = m[0] + a + c;
    y[1] = b + 2.0f * d;
    y[2] = a + 4.0f * c;
    y[3] = b + 8.0f * d + m[5];
}

/* Bring some tiles from `first` on of `across` outputs from `start` on back, add their bias, and write them. */
INLINE void restored(const operation *o, const buffers *all, const float *m, int64_t stride, int64_t apart, int64_t first,
                     int64_t count, int64_t start, int64_t across) {
    int64_t step = o->step;
    for (int64_t c = 0; c < across; c += WIDE) {
        lane bias = taken(all->weights + o->bias + start + c);
        int64_t channel = start + c;
        for (int64_t t = 0; t < count; t++) {
            place at = place_of(o, first + t);
            int64_t rows = least(OUT, (o->height - at.y + step - 1) / step);
            int64_t columns = least(OUT, (o->width - at.x + step - 1) / step);
            int64_t begin = (channel / BLOCK * o->height + at.y) * o->width + at.x;
            lane half[OUT][IN];
            for (int i = 0; i < IN; i++) {
                lane column[IN], y[OUT];
                for (int j = 0; j < IN; j++) column[j] = taken(m + t * stride + (j * IN + i) * apart + c);
                four_of_six(column, y);
                for (int j = 0; j < OUT; j++) half[j][i] = y[j];
            }
            for (int64_t j = 0; j < rows; j++) {
                lane found[OUT];
                four_of_six(half[j], found);
                for (int64_t i = 0; i < columns; i++)
                    finished(o, all, (begin + (j * o->width + i) * step) * BLOCK + channel % BLOCK, found[i] + bias);
            }
        }
    }
}

INLINE void six_of_three(lane a, lane b, lane c, lane *t) {
    lane outer = (1.0f / 6) * (a + c), middle = (1.0f / 6) * b;
    lane near = (1.0f / 24) * a + (1.0f / 6) * c, half = (1.0f / 12) * b;
    t[0] = 0.25f * a;
    t[1] = -outer - middle;
    t[2] = middle - outer;
    t[3] = near + half;
    t[4] = near - half;
    t[5] = c;
}

/* Transform weights, (inputs, 9, across), to 36 places that lie `apart`, each (inputs, across). */
INLINE void transformed_weights(const float *g, int64_t inputs, int64_t across, float *u, int64_t apart) {
    for (int64_t k = 0; k < inputs; k++)
        for (int64_t c = 0; c < across; c += WIDE) {
            lane half[IN][3], t[IN];
            const float *from = g + k * 9 * across + c;
            for (int i = 0; i < 3; i++) {
                six_of_three(taken(from + i * across), taken(from + (3 + i) * across), taken(from + (6 + i) * across), t);
                for (int j = 0; j < IN; j++) half[j][i] = t[j];
            }
            for (int j = 0; j < IN; j++) {
                six_of_three(half[j][0], half[j][1], half[j][2], t);
                for (int i = 0; i < IN; i++) kept(u + (j * IN + i) * apart + k * across + c, t[i]);
            }
        }
}

/* Some tiles from inputs to outputs, with weights that are transformed already, (36, inputs, outputs); of the inputs
 * only the first `depth` are no zeros. */
INLINE void convolved_tiles(const operation *o, const buffers *all, int64_t item) {
    int64_t first = item * o->size, count = least(o->size, o->tiles - first), rows = whole_rows(count);
    int64_t stride = o->inputs + BLOCK, apart = o->outputs + BLOCK;
    int64_t far = spread(rows * stride), wide = spread(rows * apart);
    float *v = all->scratch, *m = v + PLACES * far;
    const float *u = all->weights + o->weights;
    transformed(o, all->maps + o->from, first, count, v, stride, far);
    for (int64_t p = 0; p < PLACES; p++)
        products(v + p * far, stride, count, u + p * o->inputs * o->outputs, o->outputs, o->depth, m + p * wide, apart, 0);
    restored(o, all, m, apart, wide, first, count, 0, o->outputs);
}

/* The same in two steps, where weights are many and tiles few: first all tiles' inputs, which every thread needs ... */
INLINE void transformed_inputs(const operation *o, const buffers *all, int64_t item) {
    int64_t first = item * o->size, count = least(o->size, o->tiles - first), rows = whole_rows(o->tiles);
    int64_t stride = o->inputs + BLOCK;
    float *v = all->maps + o->shared;
    transformed(o, all->maps + o->from, o->first + first, count, v + first * stride, stride, spread(rows * stride));
}

/* ... then, for some tiles, `across` outputs: their weights are transformed just before, of some inputs at a time. */
INLINE void convolved_outputs(const operation *o, const buffers *all, int64_t item) {
    int64_t passes = (o->tiles + o->size - 1) / o->size, at = item / passes * o->across, first = item % passes * o->size;
    int64_t across = least(o->across, o->outputs - at), count = least(o->size, o->tiles - first);
    int64_t rows = whole_rows(o->tiles), stride = o->inputs + BLOCK, apart = across + BLOCK, some = whole_rows(count);
    const float *v = all->maps + o->shared + first * stride, *weights = all->weights + o->weights + at * 9 * o->inputs;
    int64_t far = spread(rows * stride), near = spread(o->depth * across), wide = spread(some * apart);
    float *u = all->scratch, *m = u + PLACES * near;
    for (int64_t k = 0; k < o->inputs; k += o->depth) {
        int64_t depth = least(o->depth, o->inputs - k);
        transformed_weights(weights + k * 9 * across, depth, across, u, near);
        for (int64_t p = 0; p < PLACES; p++)
            products(v + p * far + k, stride, count, u + p * near, across, depth, m + p * wide, apart, k > 0);
    }
    restored(o, all, m, apart, wide, o->first + first, count, at, across);
}

#endif
