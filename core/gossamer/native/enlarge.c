/* Affine functions of the colours, interpolated and applied: see gossamer/matting/from_mask/enlarge.py. */

#include <stdint.h>
#include <string.h>

#include "kernels.h"
#include "lanes.h"

INLINE float colour_at(const void *image, int64_t bytes, int64_t place) {
    return bytes == 1 ? (float)((const uint8_t *)image)[place] * (1.0f / 255.0f) : ((const float *)image)[place];
}

INLINE float cut_off(float x) { return higher(lower(x, 1.0f), 0.0f); }

/* The rows of `enlarge` for one type of picture, which the compiler knows. */
INLINE void enlarge_as(int64_t bytes, const float *planes, int64_t h, int64_t w, const void *image, const float *mask,
                       int64_t height, int64_t width, int64_t y0, int64_t y1, float *room, float *out) {
    float down = (float)h / (float)height, across = (float)w / (float)width;
    for (int64_t y = y0; y < y1; y++) {
        int64_t top, left;
        v8 share = same(place_among(y, down, h, &top));
        const float *above = planes + 8 * w * top, *below = above + (h > 1 ? 8 * w : 0);
        const float *from = mask + (y - y0) * width;
        float most_belief = 0.0f, *to = out + y * width;
        memcpy(to, from, (size_t)width * sizeof(float));
        for (int64_t x = 0; x < w; x++) {
            v8 a = load(above + 8 * x), row = a + share * (load(below + 8 * x) - a);
            store(room + 8 * x, row);
            most_belief = higher(most_belief, row[4]);
        }
        if (!(most_belief > 0.0f)) continue;
        for (int64_t x = 0; x < width; x++) {
            float part = place_among(x, across, w, &left);
            const float *here = room + 8 * left, *next = here + (w > 1 ? 8 : 0);
            if (!(higher(here[4], next[4]) > 0.0f)) { /* on to the pixels beside the next node that is believed */
                int64_t node = left + 1;
                while (node < w && !(room[8 * node + 4] > 0.0f)) node++;
                if (node >= w) break;
                x = most(x, (int64_t)(((float)node - 0.5f) / across) - 2);
                continue;
            }
            v8 a = load(here), line = a + same(part) * (load(next) - a);
            int64_t pixel = 3 * ((y - y0) * width + x);
            float f = line[0] * colour_at(image, bytes, pixel) + line[1] * colour_at(image, bytes, pixel + 1) +
                      line[2] * colour_at(image, bytes, pixel + 2) + line[3];
            to[x] = cut_off(from[x] + line[4] * (cut_off(f) - from[x]));
        }
    }
}

/* Rows y0 to y1 of `out`, (height, width): mask + belief (f - mask), f cut off at 0 and 1.
 *
 * `planes`, (h, w, 8), holds three slopes, an offset and the belief; f is the function of the colours in `image`, of
 * floats or of so many `bytes`, that they are between the pixels of `planes`. `image` and `mask` begin at row y0.
 * `room` holds 8 w floats.
 */
void KERNEL(gossamer_enlarge)(const float *planes, int64_t h, int64_t w, const void *image, int64_t bytes,
                              const float *mask, int64_t height, int64_t width, int64_t y0, int64_t y1, float *room,
                              float *out) {
    if (bytes == 1)
        enlarge_as(1, planes, h, w, image, mask, height, width, y0, y1, room, out);
    else
        enlarge_as(4, planes, h, w, image, mask, height, width, y0, y1, room, out);
}
