/* Colour sampling: see gossamer/matting/from_mask/colour_sampling.py. */

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "kernels.h"
#include "lanes.h"

enum { TILE = 4, MOST_SAMPLES = 8, BEST = 3, PAIRS = MOST_SAMPLES * MOST_SAMPLES, LOW_BITS = PAIRS - 1 };

/* What two samples, a foreground's and a background's, have in common for every pixel. */
typedef struct {
    /* From the background's colour to the other; 1 / its squared length; its length. Pair f, k is f * count + k. */
    float line[3][PAIRS + 8], part[PAIRS + 8], span[PAIRS + 8];
} Pairs;

/* e to the power of x, at most 0, to a millionth of it; below -80 it is what it is there: next to nothing. */
INLINE v8 exponential(v8 x) {
    v8 twos = larger(x, same(-80.0f)) * same(1.44269504f);
    v8i whole = __builtin_convertvector(twos - same(0.5f), v8i); /* to the nearest: none is above zero */
    v8 part = twos - __builtin_convertvector(whole, v8);
    v8 power = same(1.5403530e-4f);
    power = power * part + same(1.3333558e-3f);
    power = power * part + same(9.6181291e-3f);
    power = power * part + same(5.5504109e-2f);
    power = power * part + same(2.4022651e-1f);
    power = power * part + same(6.9314718e-1f);
    power = power * part + same(1.0f);
    return (v8)((v8i)power + (whole << 23));
}

/* Eight pixels of a tile, two of its rows: position and colour; clamped to the picture. */
typedef struct {
    v8 y, x, colour[3];
} Eight;

INLINE Eight eight_at(const void *image, int64_t bytes, int64_t height, int64_t width, int64_t top, int64_t left) {
    float found[5][8];
    for (int i = 0; i < 8; i++) {
        int64_t y = least(top + i / TILE, height - 1), x = least(left + i % TILE, width - 1);
        found[3][i] = (float)y, found[4][i] = (float)x;
        for (int c = 0; c < 3; c++) {
            int64_t at = 3 * (y * width + x) + c;
            found[c][i] = bytes == 1 ? (float)((const uint8_t *)image)[at] / 255.0f : ((const float *)image)[at];
        }
    }
    return (Eight){load(found[3]), load(found[4]), {load(found[0]), load(found[1]), load(found[2])}};
}

/* What the distance to a sample costs. */
INLINE v8 cost_of_way(const Eight *e, const float *sample, float far) {
    v8 y = same(sample[3]) - e->y, x = same(sample[4]) - e->x;
    return same(far) * roots(y * y + x * x);
}

INLINE void make_pairs(const float *fore, const float *back, const int32_t *fore_near, const int32_t *back_near,
                       int64_t count, Pairs *pairs) {
    float others[3][MOST_SAMPLES] = {{0}};
    for (int64_t k = 0; k < count; k++)
        for (int c = 0; c < 3; c++) others[c][k] = back[5 * back_near[k] + c];
    for (int64_t f = 0; f < count; f++) { /* eight at a time; those that are too many are written over */
        const float *one_side = fore + 5 * fore_near[f];
        v8 length = same(0.0f);
        for (int c = 0; c < 3; c++) {
            v8 line = same(one_side[c]) - load(others[c]);
            store(pairs->line[c] + f * count, line);
            length += line * line;
        }
        store(pairs->part + f * count, same(1.0f) / (length + same(1e-6f)));
        store(pairs->span + f * count, roots(length));
    }
}

/* Whether anything is asked in two rows of a tile. */
INLINE int asked_in(const uint8_t *asked, int64_t height, int64_t width, int64_t top, int64_t left) {
    int found = 0;
    for (int64_t y = top; y < least(top + 2, height); y++)
        for (int64_t x = left; x < least(left + TILE, width); x++) found |= asked[y * width + x];
    return found;
}

/* For the tiles n0 to n1 find the pairs of colours that explain each pixel best; `bytes` make a number of `image`.
 *
 * `fore` and `back` hold colour and position (r, g, b, y, x) of the samples; those near tile n are in row `row[n]` of
 * the two tables, `count` of each, at most 8. Where `asked`, writes the alpha that the best three pairs give on
 * average, and the confidence exp(-cost / misfit) min(difference of the colours / apart, 1)^2.
 *
 * Which pair a cost belongs to is written into its lowest bits, so that the least are found without a branch.
 */
void KERNEL(gossamer_sample)(const void *image, int64_t bytes, int64_t height, int64_t width, const uint8_t *asked,
                             const int32_t *tile_y, const int32_t *tile_x, const int32_t *row,
                             const int32_t *fore_near, const int32_t *back_near, int64_t count, const float *fore,
                             const float *back, float far, float misfit, float apart, int64_t n0, int64_t n1,
                             float *alpha, float *confidence) {
    const v8 zero = same(0.0f), one = same(1.0f);
    Pairs pairs;
    float shares[PAIRS][8], costs[PAIRS][8];
    v8i number = {0};
    int64_t made = -1;
    for (int64_t n = n0; n < n1; n++) {
        const int32_t *fores = fore_near + row[n] * count, *backs = back_near + row[n] * count;
        if (row[n] != made) make_pairs(fore, back, fores, backs, count, &pairs);
        made = row[n];
        for (int64_t half = 0; half < TILE; half += 2) {
            int64_t top = TILE * (int64_t)tile_y[n] + half, left = TILE * (int64_t)tile_x[n];
            if (!asked_in(asked, height, width, top, left)) continue;
            Eight e = eight_at(image, bytes, height, width, top, left);
            v8 way[MOST_SAMPLES], from[MOST_SAMPLES][3];
            v8 best[BEST] = {same(1e9f), same(1e9f), same(1e9f)};
            for (int64_t k = 0; k < count; k++) {
                const float *other = back + 5 * backs[k];
                way[k] = cost_of_way(&e, other, far);
                for (int c = 0; c < 3; c++) from[k][c] = e.colour[c] - same(other[c]);
            }
            for (int64_t f = 0; f < count; f++) {
                v8 behind = cost_of_way(&e, fore + 5 * fores[f], far);
                for (int64_t k = 0; k < count; k++) {
                    int32_t pair = (int32_t)(f * count + k);
                    v8 d0 = same(pairs.line[0][pair]), d1 = same(pairs.line[1][pair]), d2 = same(pairs.line[2][pair]);
                    v8 e0 = from[k][0], e1 = from[k][1], e2 = from[k][2];
                    v8 t = (e0 * d0 + e1 * d1 + e2 * d2) * same(pairs.part[pair]);
                    t = smaller(larger(t, zero), one);
                    e0 -= t * d0, e1 -= t * d1, e2 -= t * d2;
                    v8 cost = roots(e0 * e0 + e1 * e1 + e2 * e2) + (behind + way[k]);
                    store(shares[pair], t), store(costs[pair], cost);
                    v8 rest = (v8)(((v8i)cost & ~LOW_BITS) | (number + pair));
                    for (int place = 0; place < BEST; place++) { /* what is displaced moves one place on */
                        v8 less = smaller(best[place], rest);
                        rest = larger(best[place], rest), best[place] = less;
                    }
                }
            }
            float means[3][8]; /* of alpha, of the costs and of the colours' differences */
            int32_t numbers[BEST][8];
            memcpy(numbers, best, sizeof numbers);
            for (int i = 0; i < 8; i++) {
                float sums[3] = {0.0f, 0.0f, 0.0f};
                for (int k = 0; k < BEST; k++) {
                    int32_t pair = numbers[k][i] & LOW_BITS;
                    sums[0] += shares[pair][i], sums[1] += costs[pair][i], sums[2] += pairs.span[pair];
                }
                for (int k = 0; k < 3; k++) means[k][i] = sums[k] * (1.0f / BEST);
            }
            v8 span = smaller(load(means[2]) * same(1.0f / apart), one);
            float sure[8];
            store(sure, exponential(load(means[1]) * same(-1.0f / misfit)) * span * span);
            for (int i = 0; i < 8; i++) {
                int64_t y = top + i / TILE, x = left + i % TILE, pixel = y * width + x;
                if (y >= height || x >= width || !asked[pixel]) continue;
                alpha[pixel] = means[0][i];
                confidence[pixel] = sure[i];
            }
        }
    }
}

/* Rows y0 to y1 of (height, width): go from alpha towards what was sampled, by how sure that is.
 *
 * The weight is confidence times what `share`, (h, w), is there of a picture that begins `above` rows higher and has
 * `whole` of them; alpha itself has the weight `kept`.
 */
void KERNEL(gossamer_settle)(const float *sampled, const float *confidence, const float *share, int64_t h, int64_t w,
                             int64_t above, int64_t whole, int64_t width, float kept, int64_t y0, int64_t y1,
                             float *alpha) {
    float down = (float)h / (float)whole, across = (float)w / (float)width;
    for (int64_t y = y0; y < y1; y++) {
        int64_t top, left;
        float lower_part = place_among(y + above, down, h, &top);
        const float *upper = share + w * top, *lower = upper + (h > 1 ? w : 0);
        const float *sure = confidence + y * width, *seen = sampled + y * width;
        float *to = alpha + y * width;
        for (int64_t x = 0; x < width; x++) {
            if (!(sure[x] > 0.0f)) continue;
            float part = place_among(x, across, w, &left);
            int64_t right = left + (w > 1);
            float a = upper[left] + part * (upper[right] - upper[left]);
            float b = lower[left] + part * (lower[right] - lower[left]);
            float weight = (a + lower_part * (b - a)) * sure[x];
            to[x] += weight / (weight + kept) * (seen[x] - to[x]);
        }
    }
}
