/* Counts by place and colour: see gossamer/matting/from_mask/palette.py. */

#include <stdint.h>
#include <string.h>

#include "kernels.h"

/* Neighbours along an axis of (outer, count, inner) get `aside` of each cell, which keeps `kept`. */
INLINE void share_along(float *table, float *line, int64_t outer, int64_t count, int64_t inner, float aside,
                        float kept) {
    for (int64_t o = 0; o < outer; o++) {
        float *plane = table + o * count * inner, *last = line, *own = line + inner;
        memset(last, 0, (size_t)inner * sizeof(float));
        for (int64_t n = 0; n < count; n++) {
            float *here = plane + n * inner;
            memcpy(own, here, (size_t)inner * sizeof(float));
            for (int64_t i = 0; i < inner; i++)
                here[i] = kept * own[i] + aside * (last[i] + (n + 1 < count ? here[inner + i] : 0.0f));
            float *swapped = last;
            last = own, own = swapped;
        }
    }
}

/* Count `worth` of the pixels `which` (all of `count` if null) in their four cells by their shares.
 *
 * `cells` and `shares` are (pixels, 4). `table` is (tiles, d0, d1, d2), zero before; then neighbouring colours get
 * `aside` of each count. `room` holds 2 d1 d2 floats.
 */
void KERNEL(gossamer_tally)(const int32_t *cells, const float *shares, const float *worth, const int32_t *which,
                            int64_t count, int64_t tiles, int64_t d0, int64_t d1, int64_t d2, float aside, float kept,
                            float *room, float *table) {
    for (int64_t n = 0; n < count; n++) {
        int64_t pixel = which ? which[n] : n;
        float value = worth[pixel];
        if (value == 0.0f) continue;
        for (int k = 0; k < 4; k++) table[cells[4 * pixel + k]] += shares[4 * pixel + k] * value;
    }
    share_along(table, room, tiles, d0, d1 * d2, aside, kept);
    share_along(table, room, tiles * d0, d1, d2, aside, kept);
    share_along(table, room, tiles * d0 * d1, d2, 1, aside, kept);
}

/* Look the pixels `which` (all of `count` if null) up: out is (count). */
void KERNEL(gossamer_look_up)(const int32_t *cells, const float *shares, const float *table, const int32_t *which,
                              int64_t count, float *out) {
    for (int64_t n = 0; n < count; n++) {
        int64_t at = 4 * (int64_t)(which ? which[n] : n);
        float sum = 0.0f;
        for (int k = 0; k < 4; k++) sum += shares[at + k] * table[cells[at + k]];
        out[n] = sum;
    }
}
