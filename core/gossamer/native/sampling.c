/* Colour sampling: see gossamer/matting/from_mask/colour_sampling.py. */

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "kernels.h"
#include "lanes.h"

enum { TILE = 4, MOST_SAMPLES = 32, BEST = 3 };

INLINE v8 roots(v8 x) {
    v8 result;
    for (int i = 0; i < 8; i++) result[i] = sqrtf(x[i]);
    return result;
}

INLINE v8 chosen(v8i test, v8 a, v8 b) { return (v8)((test & (v8i)a) | (~test & (v8i)b)); }

/* Eight pixels of a tile, two of its rows: position and colour; clamped to the picture. */
typedef struct {
    v8 y, x, colour[3];
} Eight;

INLINE Eight eight_at(const void *image, int64_t bytes, int64_t height, int64_t width, int64_t top, int64_t left) {
    Eight e = {{0}, {0}, {{0}, {0}, {0}}};
    for (int i = 0; i < 8; i++) {
        int64_t y = least(top + i / TILE, height - 1), x = least(left + i % TILE, width - 1);
        e.y[i] = (float)y, e.x[i] = (float)x;
        for (int c = 0; c < 3; c++) {
            int64_t at = 3 * (y * width + x) + c;
            e.colour[c][i] = bytes == 1 ? (float)((const uint8_t *)image)[at] / 255.0f : ((const float *)image)[at];
        }
    }
    return e;
}

/* What the distance to a sample costs. */
INLINE v8 cost_of_way(const Eight *e, const float *sample, float far) {
    v8 y = same(sample[3]) - e->y, x = same(sample[4]) - e->x;
    return same(far) * roots(y * y + x * x);
}

/* For the tiles n0 to n1 find the pairs of colours that explain each pixel best; `bytes` make a number of `image`.
 *
 * `fore` and `back` hold colour and position (r, g, b, y, x) of the samples, the `near` of tile n are those numbered
 * there, `count` of each, at most 32. Where `asked`, writes the alpha that the best three pairs give on average, and
 * the confidence exp(-cost / misfit) min(difference of the colours / apart, 1)^2.
 */
void KERNEL(gossamer_sample)(const void *image, int64_t bytes, int64_t height, int64_t width, const uint8_t *asked,
                             const int32_t *tile_y, const int32_t *tile_x, const int32_t *fore_near,
                             const int32_t *back_near, int64_t count, const float *fore, const float *back, float far,
                             float misfit, float apart, int64_t n0, int64_t n1, float *alpha, float *confidence) {
    const v8 zero = same(0.0f), one = same(1.0f);
    for (int64_t n = n0; n < n1; n++) {
        for (int64_t half = 0; half < TILE; half += 2) {
            int64_t top = TILE * (int64_t)tile_y[n] + half, left = TILE * (int64_t)tile_x[n];
            if (top >= height) break;
            Eight e = eight_at(image, bytes, height, width, top, left);
            v8 way[MOST_SAMPLES], best_alpha[BEST], best_cost[BEST], best_span[BEST];
            for (int k = 0; k < BEST; k++) best_alpha[k] = same(0.5f), best_cost[k] = same(1e9f), best_span[k] = zero;
            for (int64_t k = 0; k < count; k++) way[k] = cost_of_way(&e, back + 5 * back_near[n * count + k], far);
            for (int64_t f = 0; f < count; f++) {
                const float *one_side = fore + 5 * fore_near[n * count + f];
                v8 behind = cost_of_way(&e, one_side, far);
                for (int64_t k = 0; k < count; k++) {
                    const float *other = back + 5 * back_near[n * count + k];
                    float d0 = one_side[0] - other[0], d1 = one_side[1] - other[1], d2 = one_side[2] - other[2];
                    float length = d0 * d0 + d1 * d1 + d2 * d2;
                    v8 e0 = e.colour[0] - same(other[0]), e1 = e.colour[1] - same(other[1]);
                    v8 e2 = e.colour[2] - same(other[2]);
                    v8 t = (e0 * same(d0) + e1 * same(d1) + e2 * same(d2)) * same(1.0f / (length + 1e-6f));
                    t = smaller(larger(t, zero), one);
                    e0 -= t * same(d0), e1 -= t * same(d1), e2 -= t * same(d2);
                    v8 cost = behind + way[k], off = e0 * e0 + e1 * e1 + e2 * e2;
                    /* The root is only taken where it may matter. */
                    v8 room = best_cost[BEST - 1] - cost;
                    if (!any((room > zero) & (off < room * room))) continue;
                    cost += roots(off);
                    v8 span = same(sqrtf(length));
                    for (int place = 0; place < BEST; place++) { /* what is displaced moves one place on */
                        v8i better = cost < best_cost[place];
                        v8 old_cost = best_cost[place], old_alpha = best_alpha[place], old_span = best_span[place];
                        best_cost[place] = chosen(better, cost, old_cost), cost = chosen(better, old_cost, cost);
                        best_alpha[place] = chosen(better, t, old_alpha), t = chosen(better, old_alpha, t);
                        best_span[place] = chosen(better, span, old_span), span = chosen(better, old_span, span);
                    }
                }
            }
            v8 mean = zero, cost = zero, span = zero, third = same(1.0f / BEST);
            for (int k = 0; k < BEST; k++) mean += best_alpha[k], cost += best_cost[k], span += best_span[k];
            mean *= third, cost *= third, span = smaller(span * third * same(1.0f / apart), one);
            for (int i = 0; i < 8; i++) {
                int64_t y = top + i / TILE, x = left + i % TILE, pixel = y * width + x;
                if (y >= height || x >= width || !asked[pixel]) continue;
                alpha[pixel] = mean[i];
                confidence[pixel] = expf(-cost[i] / misfit) * span[i] * span[i];
            }
        }
    }
}
