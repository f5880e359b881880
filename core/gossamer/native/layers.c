/* Networks of convolutions, layer by layer: see gossamer/networks/layer_plan.py, which writes their plan.
 *
 * Maps lie in blocks of 16 channels, (channels / 16, height, width, 16): what is done to a pixel is done to 16 channels
 * at once. Those of few channels are plain, (channels, height, width). Threads take a layer's parts one by one, and wait
 * for each other before the next layer.
 */

#if !defined(_POSIX_C_SOURCE)
#define _POSIX_C_SOURCE 199309L /* nanosleep, where there is one */
#endif

#include "kernels.h"

#include <math.h>
#include <stdint.h>
#if !defined(_WIN32)
#include <time.h>
#endif

#include "layers.h"
#include "recurrent.h"
#include "winograd.h"

enum { TILES, INPUTS, OUTPUTS, FIRST, NARROW, POINT, POOL, RESIZE, PLAIN_RESIZE, SIGMOID };

enum { MIXED = SIGMOID + 1, CHANNELWISE, MEANS, DENSE, SCALED, DOUBLED, BLOCKED, PLAIN, HALVED, SHRUNK, RESET, RENEWED,
       REFINED, FINE }; /* of recurrent.h */

/* A row of a convolution of 3 x 3 from plain maps to blocks; `step` is its stride. Weights: (inputs, 9, outputs). */
INLINE void first_row(const operation *o, const buffers *all, int64_t y) {
    const float *from = all->maps + o->from;
    int64_t top = y * o->step - 1;
    for (int64_t c = 0; c < o->outputs; c += BLOCK) {
        const float *weights = all->weights + o->weights + c;
        int64_t start = (c / BLOCK * o->high + y) * o->wide * BLOCK;
        for (int64_t x = 0; x < o->wide; x += 4) { /* four pixels at once: what is added waits for what was */
            int64_t count = least(4, o->wide - x);
            lane sums[4][PARTS];
            for (int i = 0; i < 4; i++)
                for (int p = 0; p < PARTS; p++) sums[i][p] = taken(all->weights + o->bias + c + p * WIDE);
            for (int64_t k = 0; k < o->inputs; k++)
                for (int64_t j = most(0, -top); j < 3 && top + j < o->height; j++) {
                    const float *line = from + (k * o->height + top + j) * o->width;
                    for (int64_t i = 0; i < 3; i++) {
                        lane w[PARTS];
                        for (int p = 0; p < PARTS; p++) w[p] = taken(weights + (k * 9 + j * 3 + i) * o->outputs + p * WIDE);
                        for (int n = 0; n < 4; n++) {
                            int64_t column = (x + n) * o->step + i - 1;
                            float value = column < 0 || column >= o->width ? 0.0f : line[column];
                            for (int p = 0; p < PARTS; p++) sums[n][p] += value * w[p];
                        }
                    }
                }
            for (int64_t n = 0; n < count; n++)
                for (int p = 0; p < PARTS; p++) finished(o, all, start + (x + n) * BLOCK + p * WIDE, sums[n][p]);
        }
    }
}

/* A row of a convolution of 3 x 3 from blocks to one plain map; weights: (outputs, 9, inputs). */
INLINE void narrow_row(const operation *o, const buffers *all, int64_t item) {
    int64_t channel = item / o->height, y = item % o->height, pixels = o->height * o->width;
    const float *from = all->maps + o->from, *weights = all->weights + o->weights + channel * 9 * o->inputs;
    float *to = all->maps + o->to + channel * pixels + y * o->width, bias = all->weights[o->bias + channel];
    for (int64_t x = 0; x < o->width; x++) {
        lane sums[3] = {{0}};
        for (int64_t j = most(0, 1 - y); j < 3 && y + j - 1 < o->height; j++)
            for (int64_t i = 0; i < 3; i++) {
                int64_t column = x + i - 1;
                if (column < 0 || column >= o->width) continue;
                const float *at = from + ((y + j - 1) * o->width + column) * BLOCK, *w = weights + (j * 3 + i) * o->inputs;
                for (int64_t b = 0; b < o->inputs; b += BLOCK)
                    for (int part = 0; part < BLOCK; part += WIDE)
                        sums[i] += taken(at + b * pixels + part) * taken(w + b + part);
            }
        lane sum = sums[0] + sums[1] + sums[2];
        float total = bias;
        for (int i = 0; i < WIDE; i++) total += sum[i];
        to[x] = total;
    }
}

/* A row of a convolution of 1 x 1 between plain maps; weights: (outputs, inputs). */
INLINE void point_row(const operation *o, const buffers *all, int64_t item) {
    int64_t channel = item / o->height, y = item % o->height, pixels = o->height * o->width;
    const float *from = all->maps + o->from + y * o->width, *weights = all->weights + o->weights + channel * o->inputs;
    float *to = all->maps + o->to + channel * pixels + y * o->width;
    for (int64_t x = 0; x < o->width; x++) to[x] = all->weights[o->bias + channel];
    for (int64_t k = 0; k < o->inputs; k++)
        for (int64_t x = 0; x < o->width; x++) to[x] += weights[k] * from[k * pixels + x];
}

/* A row of the largest of 2 x 2 pixels; what is left over at the end is taken alone. */
INLINE void pooled_row(const operation *o, const buffers *all, int64_t item) {
    int64_t block = item / o->high, y = item % o->high;
    const float *from = all->maps + o->from + (block * o->height + 2 * y) * o->width * BLOCK;
    float *to = all->maps + o->to + item * o->wide * BLOCK;
    int64_t below = 2 * y + 1 < o->height ? o->width * BLOCK : 0;
    for (int64_t x = 0; x < o->wide; x++) {
        int64_t beside = 2 * x + 1 < o->width ? BLOCK : 0;
        for (int part = 0; part < BLOCK; part += WIDE) {
            const float *at = from + 2 * x * BLOCK + part;
            lane upper = higher_of(taken(at), taken(at + beside));
            lane lower = higher_of(taken(at + below), taken(at + below + beside));
            kept(to + x * BLOCK + part, higher_of(upper, lower));
        }
    }
}

/* A row of a map in another size, linear between pixels' centres ("half_pixel"). */
INLINE void resized_row(const operation *o, const buffers *all, int64_t item) {
    int64_t block = item / o->high, y = item % o->high, row, column;
    float tall = (float)o->height / (float)o->high, broad = (float)o->width / (float)o->wide;
    float down = place_among(y, tall, o->height, &row);
    const float *from = all->maps + o->from + (block * o->height + row) * o->width * BLOCK;
    float *to = all->maps + o->to + item * o->wide * BLOCK;
    int64_t below = row + 1 < o->height ? o->width * BLOCK : 0;
    for (int64_t x = 0; x < o->wide; x++) {
        float over = place_among(x, broad, o->width, &column);
        int64_t beside = column + 1 < o->width ? BLOCK : 0;
        for (int part = 0; part < BLOCK; part += WIDE) {
            const float *at = from + column * BLOCK + part;
            lane upper = taken(at), lower = taken(at + below);
            upper += over * (taken(at + beside) - upper);
            lower += over * (taken(at + below + beside) - lower);
            kept(to + x * BLOCK + part, upper + down * (lower - upper));
        }
    }
}

INLINE void plainly_resized_row(const operation *o, const buffers *all, int64_t item) {
    int64_t channel = item / o->high, y = item % o->high, row, column;
    float tall = (float)o->height / (float)o->high, broad = (float)o->width / (float)o->wide;
    float down = place_among(y, tall, o->height, &row);
    const float *from = all->maps + o->from + (channel * o->height + row) * o->width;
    float *to = all->maps + o->to + item * o->wide;
    int64_t below = row + 1 < o->height ? o->width : 0;
    for (int64_t x = 0; x < o->wide; x++) {
        float over = place_among(x, broad, o->width, &column);
        const float *at = from + column, *next = at + (column + 1 < o->width ? 1 : 0);
        float upper = *at + over * (*next - *at), lower = at[below] + over * (next[below] - at[below]);
        to[x] = upper + down * (lower - upper);
    }
}

INLINE void sigmoid_row(const operation *o, const buffers *all, int64_t item) {
    const float *from = all->maps + o->from + item * o->width;
    float *to = all->maps + o->to + item * o->width;
    for (int64_t x = 0; x < o->width; x++) to[x] = 1.0f / (1.0f + expf(-from[x]));
}

static void one_part(const operation *o, const buffers *all, int64_t item) {
    switch (o->kind) {
        case TILES: convolved_tiles(o, all, item); break;
        case INPUTS: transformed_inputs(o, all, item); break;
        case OUTPUTS: convolved_outputs(o, all, item); break;
        case FIRST: first_row(o, all, item); break;
        case NARROW: narrow_row(o, all, item); break;
        case POINT: point_row(o, all, item); break;
        case POOL: pooled_row(o, all, item); break;
        case RESIZE: resized_row(o, all, item); break;
        case PLAIN_RESIZE: plainly_resized_row(o, all, item); break;
        case SIGMOID: sigmoid_row(o, all, item); break;
        case MIXED: mixed_pixels(o, all, item); break;
        case CHANNELWISE: channelwise_row(o, all, item); break;
        case MEANS: averaged_block(o, all, item); break;
        case DENSE: dense_block(o, all, item); break;
        case SCALED: scaled_row(o, all, item); break;
        case DOUBLED: doubled_row(o, all, item); break;
        case BLOCKED: blocked_row(o, all, item); break;
        case PLAIN: plain_row(o, all, item); break;
        case HALVED: halved_row(o, all, item); break;
        case SHRUNK: shrunk_row(o, all, item); break;
        case RESET: reset_row(o, all, item); break;
        case RENEWED: renewed_row(o, all, item); break;
        case REFINED: refined_rows(o, all, item); break;
        case FINE: fine_row(o, all, item); break;
    }
}

#if defined(_WIN32)
__declspec(dllimport) void __stdcall Sleep(unsigned long milliseconds);
#endif

/* Wait a little: first without giving the core away, as others are about to end, then in naps. */
INLINE void waited(int64_t times) {
    if (times < 2000)
#if defined(__x86_64__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        __asm__ volatile("yield");
#else
        return;
#endif
    else
#if defined(_WIN32)
        Sleep(0);
#else
        nanosleep(&(struct timespec){0, 20000}, NULL);
#endif
}

/* What every thread of a run calls. `begun` and `done` have a count for each layer, which start at zero; layers
 * wait for all parts of the one before. Ends early where `stop` becomes other than zero. */
void KERNEL(gossamer_run_layers)(const operation *layers, int64_t count, float *maps, const float *weights,
                                 float *scratch, int64_t *begun, int64_t *done, int64_t *stop) {
    buffers all = {maps, weights, scratch};
    for (int64_t at = 0; at < count; at++) {
        const operation *o = layers + at;
        int64_t item;
        while ((item = __atomic_fetch_add(begun + at, 1, __ATOMIC_RELAXED)) < o->items) {
            if (__atomic_load_n(stop, __ATOMIC_RELAXED)) return;
            one_part(o, &all, item);
            __atomic_fetch_add(done + at, 1, __ATOMIC_RELEASE);
        }
        for (int64_t times = 0; __atomic_load_n(done + at, __ATOMIC_ACQUIRE) < o->items; times++) {
            if (__atomic_load_n(stop, __ATOMIC_RELAXED)) return;
            waited(times);
        }
    }
}

/* Transform weights, (inputs, 9, across), to (36, inputs, across). */
void KERNEL(gossamer_layer_weights)(const float *weights, int64_t inputs, int64_t across, float *to) {
    transformed_weights(weights, inputs, across, to, inputs * across);
}
