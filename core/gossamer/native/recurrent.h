/* What recurrent video matting has beside convolutions of 3 x 3: see gossamer/networks/recurrent_plan.py.
 *
 * Sources: S. Lin et al., "Robust High-Resolution Video Matting with Temporal Guidance" (2022); A. Howard et al.,
 * "Searching for MobileNetV3" (2019); H. Wu et al., "Fast End-to-End Trainable Guided Filter" (2018).
 *
 * Maps whose channels are no whole blocks are filled up with zeros.
 */

#ifndef GOSSAMER_RECURRENT_H
#define GOSSAMER_RECURRENT_H

#include "winograd.h"

/* e to the power of x. */
INLINE lane powers(lane x) {
    x = lower_of(higher_of(x, (lane){0} - 87.0f), (lane){0} + 87.0f);
    whole exponent = __builtin_convertvector(x * 1.44269504f + 127.5f, whole); /* above zero, so that it is rounded down */
    lane n = __builtin_convertvector(exponent - 127, lane);
    lane r = x - n * 0.693359375f;
    r -= n * -2.12194440e-4f;
    lane sum = (lane){0} + 1.9875691500e-4f;
    sum = sum * r + 1.3981999507e-3f;
    sum = sum * r + 8.3334519073e-3f;
    sum = sum * r + 4.1665795894e-2f;
    sum = sum * r + 1.6666665459e-1f;
    sum = sum * r + 5.0000001201e-1f;
    sum = sum * r * r + r + 1.0f;
    return sum * (lane)(exponent << 23);
}

INLINE lane sigmoids(lane x) { return 1.0f / (powers(-x) + 1.0f); }

/* Sums as in winograd.h, of pixels whose channels lie in `blocks`, each `plane` floats after the one before. */
#define PIXEL_STEP(r) a##r += v[r * BLOCK + k] * first, b##r += v[r * BLOCK + k] * second;
#define PIXEL_STEP_ONE(r) a##r += v[r * BLOCK + k] * first;
#define PIXELS(rows, EACH)                                                                                         \
    INLINE void pixels_of_two_##rows(const float *v, int64_t plane, const float *u, int64_t across, int64_t blocks, \
                                     float *m, int64_t apart) {                                                    \
        EACH(START)                                                                                                \
        for (int64_t block = 0; block < blocks; block++, v += plane, u += BLOCK * across)                          \
            for (int k = 0; k < BLOCK; k++) {                                                                      \
                lane first = taken(u + k * across), second = taken(u + k * across + WIDE);                         \
                EACH(PIXEL_STEP)                                                                                   \
            }                                                                                                      \
        EACH(END)                                                                                                  \
    }                                                                                                              \
    INLINE void pixels_of_one_##rows(const float *v, int64_t plane, const float *u, int64_t across, int64_t blocks, \
                                     float *m, int64_t apart) {                                                    \
        EACH(START_ONE)                                                                                            \
        for (int64_t block = 0; block < blocks; block++, v += plane, u += BLOCK * across)                          \
            for (int k = 0; k < BLOCK; k++) {                                                                      \
                lane first = taken(u + k * across);                                                                \
                EACH(PIXEL_STEP_ONE)                                                                               \
            }                                                                                                      \
        EACH(END_ONE)                                                                                              \
    }
PIXELS(many, EACH_ROW)
PIXELS(few, EACH_OF_FEW)

/* Some pixels of a convolution of 1 x 1 between blocks. Weights: for each 32 outputs (the last 16, where they are
 * left over), (inputs, 32). Up to three pixels behind the map's end are read, and not used. */
INLINE void mixed_pixels(const operation *o, const buffers *all, int64_t item) {
    int64_t first = item * o->size, pixels = o->high * o->wide, count = least(o->size, pixels - first);
    const float *from = all->maps + o->from + first * BLOCK;
    for (int64_t c = 0; c < o->outputs; c += o->across) {
        const float *u = all->weights + o->weights + c * o->inputs;
        int64_t across = least(o->across, o->outputs - c);
        for (int64_t r = 0; r < count;) {
            const float *v = from + r * BLOCK;
            int64_t many = whole_rows(count - r) >= ROWS, rows = least(many ? ROWS : FEW, count - r);
            for (int64_t part = 0; part < across; part += 2 * WIDE) {
                float *m = all->scratch;
                int two = part + 2 * WIDE <= across;
                if (two && many)
                    pixels_of_two_many(v, pixels * BLOCK, u + part, across, o->inputs / BLOCK, m, 2 * WIDE);
                else if (two)
                    pixels_of_two_few(v, pixels * BLOCK, u + part, across, o->inputs / BLOCK, m, 2 * WIDE);
                else if (many)
                    pixels_of_one_many(v, pixels * BLOCK, u + part, across, o->inputs / BLOCK, m, 2 * WIDE);
                else
                    pixels_of_one_few(v, pixels * BLOCK, u + part, across, o->inputs / BLOCK, m, 2 * WIDE);
                for (int p = 0; p < 1 + two; p++) {
                    int64_t channel = c + part + p * WIDE;
                    lane bias = taken(all->weights + o->bias + channel);
                    int64_t start = (channel / BLOCK * pixels + first + r) * BLOCK + channel % BLOCK;
                    for (int64_t n = 0; n < rows; n++)
                        finished(o, all, start + n * BLOCK, taken(m + n * 2 * WIDE + p * WIDE) + bias);
                }
            }
            r += rows;
        }
    }
}

/* Some pixels side by side of a convolution of each channel by itself: of `side` x `side`, the rows from `low` up to
 * `high`, and of a pixel at the border the columns from `left` up to `right`. */
INLINE void channelwise_pixels(const operation *o, const buffers *all, const float *from, const float *weights,
                               const float *bias, int64_t where, int side, int64_t low, int64_t high, int64_t left,
                               int64_t right, int64_t apart, int pixels) {
    for (int part = 0; part < BLOCK; part += WIDE) {
        lane sums[4];
        for (int n = 0; n < pixels; n++) sums[n] = taken(bias + part);
        for (int64_t j = low; j < high; j++)
            for (int64_t i = left; i < right; i++) {
                lane w = taken(weights + (j * side + i) * BLOCK + part);
                const float *at = from + (j * o->width + i) * apart * BLOCK + part;
                for (int n = 0; n < pixels; n++) sums[n] += taken(at + n * o->step * BLOCK) * w;
            }
        for (int n = 0; n < pixels; n++) finished(o, all, where + n * BLOCK + part, sums[n]);
    }
}

/* A row of such a convolution; `first` is how far its inputs lie apart, `step` its stride. Weights: (blocks, side,
 * side, 16). */
INLINE void channelwise_row_of(const operation *o, const buffers *all, int64_t item, int side) {
    int64_t block = item / o->high, y = item % o->high, apart = o->first, reach = side / 2 * apart;
    const float *weights = all->weights + o->weights + block * side * side * BLOCK;
    const float *bias = all->weights + o->bias + block * BLOCK;
    int64_t top = y * o->step - reach, low = 0, high = side;
    while (top + low * apart < 0) low++;
    while (top + (high - 1) * apart >= o->height) high--;
    for (int64_t x = 0; x < o->wide;) {
        int64_t begin = x * o->step - reach, left = 0, right = side;
        const float *from = all->maps + o->from + ((block * o->height + top) * o->width + begin) * BLOCK;
        int64_t where = (item * o->wide + x) * BLOCK;
        if (begin >= 0 && x + 4 <= o->wide && begin + 3 * o->step + 2 * reach < o->width) {
            channelwise_pixels(o, all, from, weights, bias, where, side, low, high, 0, side, apart, 4);
            x += 4;
            continue;
        }
        while (begin + left * apart < 0) left++;
        while (begin + (right - 1) * apart >= o->width) right--;
        channelwise_pixels(o, all, from, weights, bias, where, side, low, high, left, right, apart, 1);
        x++;
    }
}

INLINE void channelwise_row(const operation *o, const buffers *all, int64_t item) {
    if (o->size == 3)
        channelwise_row_of(o, all, item, 3);
    else
        channelwise_row_of(o, all, item, 5);
}

/* The mean of a block's pixels. */
INLINE void averaged_block(const operation *o, const buffers *all, int64_t block) {
    int64_t pixels = o->height * o->width;
    const float *from = all->maps + o->from + block * pixels * BLOCK;
    for (int part = 0; part < BLOCK; part += WIDE) {
        lane sum = {0};
        for (int64_t i = 0; i < pixels; i++) sum += taken(from + i * BLOCK + part);
        kept(all->maps + o->to + block * BLOCK + part, sum / (float)pixels);
    }
}

/* Sixteen outputs of a layer whose maps have one pixel. Weights: (inputs, outputs). */
INLINE void dense_block(const operation *o, const buffers *all, int64_t block) {
    const float *from = all->maps + o->from, *weights = all->weights + o->weights + block * BLOCK;
    for (int part = 0; part < BLOCK; part += WIDE) {
        lane sum = taken(all->weights + o->bias + block * BLOCK + part);
        for (int64_t k = 0; k < o->inputs; k++) sum += from[k] * taken(weights + k * o->outputs + part);
        if (o->relu == SMOOTH_SIGMOID) sum = sigmoids(sum);
        finished(o, all, block * BLOCK + part, sum);
    }
}

/* A row of a map times a number for each channel, which are at `shared`. */
INLINE void scaled_row(const operation *o, const buffers *all, int64_t item) {
    int64_t block = item / o->height;
    float *row = all->maps + o->to + item * o->width * BLOCK;
    for (int part = 0; part < BLOCK; part += WIDE) {
        lane scale = taken(all->maps + o->shared + block * BLOCK + part);
        for (int64_t x = 0; x < o->width; x++) kept(row + x * BLOCK + part, taken(row + x * BLOCK + part) * scale);
    }
}

/* A row of a map at twice its size, linear between pixels' centres; the last row or column is left out where there are
 * an odd number. */
INLINE void doubled_row(const operation *o, const buffers *all, int64_t item) {
    int64_t block = item / o->high, y = item % o->high, row = (y - 1) >> 1;
    float down = y & 1 ? 0.25f : 0.75f;
    const float *from = all->maps + o->from + block * o->height * o->width * BLOCK;
    const float *upper = from + most(0, row) * o->width * BLOCK;
    const float *lower = from + least(o->height - 1, row + 1) * o->width * BLOCK;
    float *to = all->maps + o->to + item * o->wide * BLOCK;
    for (int part = 0; part < BLOCK; part += WIDE) {
        lane last = taken(upper + part), first = taken(lower + part);
        last += down * (first - last);
        for (int64_t x = 0; x <= o->width; x++) { /* the pixels on either side of where two of the small map meet */
            int64_t next = least(x, o->width - 1) * BLOCK + part;
            lane here = taken(upper + next), below = taken(lower + next);
            here += down * (below - here);
            if (x > 0) kept(to + (2 * x - 1) * BLOCK + part, last + 0.25f * (here - last));
            if (2 * x >= o->wide) break;
            kept(to + 2 * x * BLOCK + part, last + 0.75f * (here - last));
            if (2 * x + 1 >= o->wide) break;
            last = here;
        }
    }
}

/* A row of plain maps as blocks, from the channel `first` of them on. Where that begins a block, what they leave of
 * their last block becomes zero. */
INLINE void blocked_row(const operation *o, const buffers *all, int64_t y) {
    int64_t pixels = o->height * o->width;
    if (o->first % BLOCK == 0 && o->inputs < BLOCK) {
        const float *from = all->maps + o->from + y * o->width;
        float *to = all->maps + o->to + (o->first / BLOCK * pixels + y * o->width) * BLOCK;
        for (int64_t x = 0; x < o->width; x++) {
            for (int p = 0; p < BLOCK; p += WIDE) kept(to + x * BLOCK + p, (lane){0});
            for (int64_t c = 0; c < o->inputs; c++) to[x * BLOCK + c] = from[c * pixels + x];
        }
        return;
    }
    for (int64_t c = o->first; c < o->first + o->inputs; c++) {
        const float *from = all->maps + o->from + (c - o->first) * pixels + y * o->width;
        float *to = all->maps + o->to + (c / BLOCK * pixels + y * o->width) * BLOCK + c % BLOCK;
        for (int64_t x = 0; x < o->width; x++) to[x * BLOCK] = from[x];
    }
    for (int64_t c = o->first + o->inputs; o->first % BLOCK == 0 && c % BLOCK; c++) {
        float *to = all->maps + o->to + (c / BLOCK * pixels + y * o->width) * BLOCK + c % BLOCK;
        for (int64_t x = 0; x < o->width; x++) to[x * BLOCK] = 0.0f;
    }
}

/* A row of blocks as plain maps. */
INLINE void plain_row(const operation *o, const buffers *all, int64_t y) {
    int64_t pixels = o->height * o->width;
    for (int64_t c = 0; c < o->outputs; c++) {
        const float *from = all->maps + o->from + (c / BLOCK * pixels + y * o->width) * BLOCK + c % BLOCK;
        float *to = all->maps + o->to + c * pixels + y * o->width;
        for (int64_t x = 0; x < o->width; x++) to[x] = from[x * BLOCK];
    }
}

/* A row of plain maps at half their size: means of the pixels that are there. */
INLINE void halved_row(const operation *o, const buffers *all, int64_t item) {
    int64_t channel = item / o->high, y = item % o->high;
    const float *from = all->maps + o->from + (channel * o->height + 2 * y) * o->width;
    float *to = all->maps + o->to + item * o->wide;
    int64_t rows = least(2, o->height - 2 * y);
    for (int64_t x = 0; x < o->wide; x++) {
        int64_t columns = least(2, o->width - 2 * x);
        float sum = 0.0f;
        for (int64_t j = 0; j < rows; j++)
            for (int64_t i = 0; i < columns; i++) sum += from[j * o->width + 2 * x + i];
        to[x] = sum / (float)(rows * columns);
    }
}

/* A pixel's colours, of interleaved bytes or, where `deep`, floats. */
INLINE float number_at(const void *pixels, int64_t at, int deep) {
    return deep ? ((const float *)pixels)[at] : (float)((const uint8_t *)pixels)[at];
}

/* A row of the small frame, as plain maps, and the same normalised behind it: linear between pixels' centres, where the
 * factor that was asked for says. At `shared` are the factor, and for each channel what it is multiplied by and what is
 * added. */
INLINE void shrunk_row_of(const operation *o, const buffers *all, int64_t y, int deep) {
    const float *told = all->maps + o->shared;
    float step = 1.0f / told[0], unit = deep ? 1.0f : 1.0f / 255.0f;
    int64_t row, column, small = o->high * o->wide;
    /* Where one row or column is left, it is the first one. */
    float down = o->high > 1 ? place_among(y, step, o->height, &row) : (row = 0, 0.0f);
    const void *pixels = all->maps + o->from;
    int64_t below = row + 1 < o->height ? o->width * 3 : 0;
    float *to = all->maps + o->to + y * o->wide;
    for (int64_t x = 0; x < o->wide; x++) {
        float over = o->wide > 1 ? place_among(x, step, o->width, &column) : (column = 0, 0.0f);
        int64_t at = (row * o->width + column) * 3, beside = column + 1 < o->width ? 3 : 0;
        for (int c = 0; c < 3; c++) {
            float upper = number_at(pixels, at + c, deep), lower = number_at(pixels, at + below + c, deep);
            upper += over * (number_at(pixels, at + beside + c, deep) - upper);
            lower += over * (number_at(pixels, at + below + beside + c, deep) - lower);
            float value = (upper + down * (lower - upper)) * unit;
            to[c * small + x] = value;
            to[(3 + c) * small + x] = value * told[1 + c] + told[4 + c];
        }
    }
}

INLINE void shrunk_row(const operation *o, const buffers *all, int64_t y) {
    if (o->depth)
        shrunk_row_of(o, all, y, 1);
    else
        shrunk_row_of(o, all, y, 0);
}

/* A row of what a gated recurrent unit lets through of its state: `from` has what opens the gate, `shared` the state. */
INLINE void reset_row(const operation *o, const buffers *all, int64_t item) {
    int64_t start = item * o->width * BLOCK;
    for (int64_t i = start; i < start + o->width * BLOCK; i += WIDE)
        kept(all->maps + o->to + i, sigmoids(taken(all->maps + o->from + i)) * taken(all->maps + o->shared + i));
}

/* A row of its next state: at `first` is what opens the gate to `from`, the candidate, `shared` is the state so far. */
INLINE void renewed_row(const operation *o, const buffers *all, int64_t item) {
    int64_t start = item * o->width * BLOCK;
    for (int64_t i = start; i < start + o->width * BLOCK; i += WIDE) {
        lane state = taken(all->maps + o->shared + i), gate = sigmoids(taken(all->maps + o->first + i));
        lane candidate = 2.0f * sigmoids(2.0f * taken(all->maps + o->from + i)) - 1.0f;
        kept(all->maps + o->to + i, state + gate * (candidate - state));
    }
}

INLINE v4 few(const float *at) {
    v4 value;
    memcpy(&value, at, sizeof value);
    return value;
}

INLINE void few_kept(float *at, v4 value) { memcpy(at, &value, sizeof value); }

enum { GUIDES = 4, KNOWN = 24, CHUNK = 120 }; /* colours and their mean; what the filter's network sees; pixels at once */

/* A row of what the guided filter takes means of, 16 numbers a pixel: the frame, what is known, their product, and the
 * frame squared; before and behind it a pixel of zeros. */
INLINE void guiding_row(const operation *o, const buffers *all, int64_t y, const float *weights, float *m, float *to) {
    int64_t pixels = o->height * o->width;
    if (y < 0 || y >= o->height) {
        memset(to, 0, (size_t)((o->width + 2) * BLOCK) * sizeof *to);
        return;
    }
    memset(to, 0, BLOCK * sizeof *to);
    memset(to + (o->width + 1) * BLOCK, 0, BLOCK * sizeof *to);
    v4 bias = few(weights + BLOCK * BLOCK);
    for (int64_t start = 0; start < o->width; start += CHUNK) {
        int64_t count = least(CHUNK, o->width - start);
        const float *small = all->maps + o->shared + y * o->width + start;
        const float *from = all->maps + o->from + (y * o->width + start) * BLOCK;
        products(from, BLOCK, count, weights, BLOCK, BLOCK, m, BLOCK, 0);
        for (int64_t x = 0; x < count; x++) {
            float red = small[x], green = small[pixels + x], blue = small[2 * pixels + x];
            v4 guide = {red, green, blue, (red + green + blue) * (1.0f / 3.0f)}, known = few(m + x * BLOCK) + bias;
            float *pixel = to + (start + x + 1) * BLOCK;
            few_kept(pixel, guide);
            few_kept(pixel + GUIDES, known);
            few_kept(pixel + 2 * GUIDES, guide * known);
            few_kept(pixel + 3 * GUIDES, guide * guide);
        }
    }
}

/* A layer of the filter's network: sums, their bias, and nothing below zero. */
INLINE void filtered(const float *from, int64_t inputs, int64_t count, const float *weights, float *m, float *to) {
    products(from, inputs, count, weights, BLOCK, inputs, m, BLOCK, 0);
    for (int p = 0; p < BLOCK; p += WIDE) {
        lane bias = taken(weights + inputs * BLOCK + p);
        for (int64_t i = p; i < count * BLOCK; i += BLOCK) kept(to + i, higher_of(taken(m + i) + bias, (lane){0}));
    }
}

/* Some rows of a deep guided filter: slope and offset of alpha over the frame's brightness, two plain maps. `from` are
 * the decoder's maps, at `shared` is the small frame. Weights, each with 16 biases behind: (16, 16) to what is known,
 * 9 x 16 of the means (without biases), (24, 16), (16, 16), and (16, 16) to
 * the slope, which is the first. */
INLINE void refined_rows(const operation *o, const buffers *all, int64_t item) {
    int64_t top = item * o->size, bottom = least(top + o->size, o->height), w = o->width, pixels = o->height * w;
    const float *known = all->weights + o->weights, *means = known + (BLOCK + 1) * BLOCK, *one = means + 9 * BLOCK;
    const float *two = one + (KNOWN + 1) * BLOCK, *three = two + (BLOCK + 1) * BLOCK;
    float *m = all->scratch, *mean = m + CHUNK * BLOCK, *v = mean + CHUNK * BLOCK, *ring = v + CHUNK * KNOWN;
    int64_t room = (w + 2) * BLOCK;
    for (int64_t y = top - 1; y <= bottom; y++) {
        guiding_row(o, all, y, known, m, ring + (y + 1) % 3 * room);
        if (y <= top) continue;
        for (int64_t start = 0; start < w; start += CHUNK) {
            int64_t count = least(CHUNK, w - start), place = (y - 1) * w + start;
            for (int p = 0; p < BLOCK; p += WIDE)
                for (int64_t x = 0; x < count; x++) {
                    lane sum = {0};
                    for (int j = 0; j < 3; j++) {
                        const float *row = ring + (y - 1 + j) % 3 * room + (start + x) * BLOCK + p;
                        for (int i = 0; i < 3; i++)
                            sum += taken(row + i * BLOCK) * taken(means + (j * 3 + i) * BLOCK + p);
                    }
                    kept(mean + x * BLOCK + p, sum);
                }
            for (int64_t x = 0; x < count; x++) {
                const float *here = mean + x * BLOCK;
                float *seen = v + x * KNOWN;
                v4 middle = few(here), target = few(here + GUIDES);
                few_kept(seen, few(here + 2 * GUIDES) - middle * target);
                few_kept(seen + GUIDES, few(here + 3 * GUIDES) - middle * middle);
                for (int p = 0; p < BLOCK; p += WIDE)
                    kept(seen + 2 * GUIDES + p, taken(all->maps + o->from + (place + x) * BLOCK + p));
            }
            filtered(v, KNOWN, count, one, m, v);
            filtered(v, BLOCK, count, two, m, v);
            products(v, BLOCK, count, three, BLOCK, BLOCK, m, BLOCK, 0);
            float *slopes = all->maps + o->to + place, *offsets = slopes + pixels;
            for (int64_t x = 0; x < count; x++) {
                slopes[x] = m[x * BLOCK] + three[BLOCK * BLOCK];
                offsets[x] = mean[x * BLOCK + 2 * GUIDES - 1] - slopes[x] * mean[x * BLOCK + GUIDES - 1];
            }
        }
    }
}

/* A row of the whole frame's alpha, from slope and offset in the small one; `shared` is the frame. */
INLINE void fine_row_of(const operation *o, const buffers *all, int64_t y, int deep) {
    float tall = (float)o->height / (float)o->high, broad = (float)o->width / (float)o->wide;
    float unit = deep ? 1.0f / 3.0f : 1.0f / 765.0f, *slopes = all->scratch, *offsets = slopes + o->width;
    int64_t row, column, w = o->width;
    float down = place_among(y, tall, o->height, &row);
    const float *from = all->maps + o->from + row * w;
    int64_t below = row + 1 < o->height ? w : 0;
    for (int64_t x = 0; x < w; x++) {
        slopes[x] = from[x] + down * (from[below + x] - from[x]);
        offsets[x] = from[o->height * w + x] + down * (from[o->height * w + below + x] - from[o->height * w + x]);
    }
    const void *pixels = all->maps + o->shared;
    float *to = all->maps + o->to + y * o->wide;
    for (int64_t x = 0; x < o->wide; x++) {
        float over = place_among(x, broad, w, &column);
        int64_t next = column + 1 < w ? column + 1 : column, at = (y * o->wide + x) * 3;
        float slope = slopes[column] + over * (slopes[next] - slopes[column]);
        float offset = offsets[column] + over * (offsets[next] - offsets[column]);
        float light = number_at(pixels, at, deep) + number_at(pixels, at + 1, deep) + number_at(pixels, at + 2, deep);
        to[x] = lower(higher(slope * (light * unit) + offset, 0.0f), 1.0f);
    }
}

INLINE void fine_row(const operation *o, const buffers *all, int64_t y) {
    if (o->depth)
        fine_row_of(o, all, y, 1);
    else
        fine_row_of(o, all, y, 0);
}

#endif
