/* Blur fusion: both passes of box blurs in one sweep over a strip of rows; see gossamer/foreground/box_blur.py.
 *
 * One vector is a pixel: alpha, the foreground's R, G, B times alpha, nothing, the background's R, G, B times what
 * alpha lacks to 1. Sums are in double: what they lose is 1e-12 at most, far below the epsilon that decides where next
 * to nothing is left.
 */

#include <stdint.h>
#include <string.h>

#include "kernels.h"
#include "lanes.h"

static const float FADE = 1e-5f; /* the published method's */

/* Where index `i` falls in [0, n) when borders reflect without repeating the edge. */
INLINE int64_t reflected(int64_t i, int64_t n) {
    if (n == 1) return 0;
    int64_t period = 2 * (n - 1), at = i % period;
    if (at < 0) at += period;
    return at < n ? at : period - at;
}

/* What both passes sum up: a pixel's colours, weighed. `front` and `back` are the same in the first pass. */
INLINE v8 weighed(float a, const float *front, const float *back) {
    float b = 1.0f - a;
    return (v8){a, front[0] * a, front[1] * a, front[2] * a, 0, back[0] * b, back[1] * b, back[2] * b};
}

INLINE void add_to(double *sums, v8 value, double weight) {
    v4d low = {value[0], value[1], value[2], value[3]}, high = {value[4], value[5], value[6], value[7]};
    store4(sums, load4(sums) + same4(weight) * low);
    store4(sums + 4, load4(sums + 4) + same4(weight) * high);
}

/* The row that event `k` of moving a window to `row` adds to the sums, and its weight.
 *
 * Opening the window takes the rows that remain of full periods of reflected rows, then these, if any; sliding it takes
 * the row that enters and the one that leaves.
 */
INLINE int64_t event(int64_t k, int64_t row, int64_t side, int64_t n, int opening, double *weight) {
    int64_t before = side / 2, period = most(1, 2 * (n - 1)), rest = side % period, full = side / period;
    *weight = opening || k == 0 ? 1.0 : -1.0;
    if (!opening) return reflected(k == 0 ? row + side - before - 1 : row - 1 - before, n);
    if (k < rest) return reflected(row - before + k, n);
    k -= rest;
    *weight = (double)(k == 0 || k == n - 1 ? full : 2 * full);
    return k;
}

/* Continue a row of sums, which begins behind `left` spare ones, into its reflections; the sum of the first window. */
INLINE void open_row(double *sums, int64_t width, int64_t side, v4d *low, v4d *high) {
    int64_t period = most(1, 2 * (width - 1)), left = side / 2 % period, rest = side % period, full = side / period;
    for (int64_t k = 0; k < left; k++)
        memcpy(sums + 8 * k, sums + 8 * (left + reflected(k - left, width)), 8 * sizeof(double));
    for (int64_t k = left + width; k < width + rest; k++)
        memcpy(sums + 8 * k, sums + 8 * (left + reflected(k - left, width)), 8 * sizeof(double));
    *low = *high = same4(0.0);
    if (full > 0) {
        for (int64_t x = 0; x < width; x++) {
            double times = (double)(x == 0 || x == width - 1 ? full : 2 * full);
            *low += same4(times) * load4(sums + 8 * (left + x));
            *high += same4(times) * load4(sums + 8 * (left + x) + 4);
        }
    }
    for (int64_t k = 0; k < rest; k++) *low += load4(sums + 8 * k), *high += load4(sums + 8 * k + 4);
}

INLINE float unit(float x) { return lower(higher(x, 0.0f), 1.0f); }

typedef struct {
    float front[3], back[3];
} Layers;

/* Both layers' blurred colours, and the foreground that explains the picture's given them. */
INLINE Layers explained(v4d low, v4d high, float a, const float *colour) {
    Layers result;
    float near = 1.0f / ((float)low[0] + FADE), far = 1.0f / ((float)(1.0 - low[0]) + FADE);
    for (int c = 0; c < 3; c++) {
        float front = (float)low[1 + c] * near, back = (float)high[1 + c] * far;
        float rest = colour[c] - a * front - (1.0f - a) * back;
        result.front[c] = unit(front + a * rest), result.back[c] = back;
    }
    return result;
}

/* Write the rows `top` to `bottom` of the foreground and, unless it is null, of the background.
 *
 * `sums` holds zeros: two rows of `wide` pixels of eight doubles, wide enough for a window of reflected columns.
 * `ring` holds `kept` rows of pixels: those of the first pass that the second one's window touches.
 */
void KERNEL(gossamer_blur_fusion)(const float *image, const float *alpha, int64_t height, int64_t width, int64_t side,
                                  int64_t fine_side, int64_t top, int64_t bottom, double *sums, int64_t wide,
                                  float *ring, int64_t kept, float *foreground, float *background) {
    int64_t period = most(1, 2 * (height - 1)), period_x = most(1, 2 * (width - 1)), reach = fine_side / 2;
    int64_t first = height <= fine_side ? 0 : most(0, top - reach), coarse = first, y = top;
    while (y < bottom) {
        int fine = coarse > least(height - 1, y + reach);
        int64_t row = fine ? y : coarse, span = fine ? fine_side : side;
        int opening = row == (fine ? top : first);
        double *total = sums + (fine ? 8 * wide : 0), *inside = total + 8 * (span / 2 % period_x);
        int64_t events = opening ? span % period + (span >= period ? height : 0) : 2;
        for (int64_t k = 0; k < events; k++) {
            double weight;
            int64_t r = event(k, row, span, height, opening, &weight);
            if (fine) {
                const float *from = ring + 8 * (r % kept) * width;
                for (int64_t x = 0; x < width; x++) add_to(inside + 8 * x, load(from + 8 * x), weight);
            } else {
                const float *pixel = image + 3 * r * width, *a = alpha + r * width;
                for (int64_t x = 0; x < width; x++)
                    add_to(inside + 8 * x, weighed(a[x], pixel + 3 * x, pixel + 3 * x), weight);
            }
        }
        v4d low, high, scale = same4(1.0 / ((double)span * (double)span));
        open_row(total, width, span, &low, &high);
        const double *leaving = total, *entering = total + 8 * (span % period_x);
        for (int64_t x = 0; x < width; x++) {
            int64_t pixel = row * width + x;
            float a = alpha[pixel];
            Layers found = explained(low * scale, high * scale, a, image + 3 * pixel);
            low += load4(entering + 8 * x) - load4(leaving + 8 * x);
            high += load4(entering + 8 * x + 4) - load4(leaving + 8 * x + 4);
            if (!fine) {
                store(ring + 8 * (row % kept * width + x), weighed(a, found.front, found.back));
                continue;
            }
            memcpy(foreground + 3 * pixel, found.front, sizeof found.front);
            if (background)
                for (int c = 0; c < 3; c++) background[3 * pixel + c] = unit(found.back[c]);
        }
        if (fine)
            y++;
        else
            coarse++;
    }
}
