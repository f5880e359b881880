/* Counts by place and colour: see gossamer/matting/from_mask/palette.py. */

#include <stdint.h>
#include <string.h>

#include "kernels.h"

/* Neighbours along the first axis of (count, inner) get `aside` of each cell, which keeps `kept`. */
INLINE void share_along(float *table, float *line, int64_t count, int64_t inner, float aside, float kept) {
    float *last = line, *own = line + inner;
    memset(last, 0, (size_t)inner * sizeof(float));
    for (int64_t n = 0; n < count; n++) {
        float *here = table + n * inner, *next = here + inner;
        memcpy(own, here, (size_t)inner * sizeof(float));
        if (n + 1 < count)
            for (int64_t i = 0; i < inner; i++) here[i] = kept * own[i] + aside * (last[i] + next[i]);
        else
            for (int64_t i = 0; i < inner; i++) here[i] = kept * own[i] + aside * last[i];
        float *swapped = last;
        last = own, own = swapped;
    }
}

/* The same along a row. `line` holds count + 2 floats, of which the first is zero. */
INLINE void share_row(float *row, float *line, int64_t count, float aside, float kept) {
    memcpy(line + 1, row, (size_t)count * sizeof(float));
    line[count + 1] = 0.0f;
    for (int64_t i = 0; i < count; i++) row[i] = kept * line[i + 1] + aside * (line[i] + line[i + 2]);
}

INLINE int empty(const float *at, int64_t count) {
    int32_t found = 0; /* of bits, which compilers look at several at a time: zero is no bit */
    for (int64_t i = 0; i < count; i++) {
        int32_t bits;
        memcpy(&bits, at + i, sizeof bits);
        found |= bits;
    }
    return found == 0;
}

/* Count `worth` of the pixels `which` (all of `count` if null) in their four cells by their shares.
 *
 * `cells` and `shares` are (pixels, 4). `table` is (tiles, d0, d1, d2), zero before; then neighbouring colours get
 * `aside` of each count. `room` holds 2 d1 d2 + 2 floats.
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
    for (int64_t tile = 0; tile < tiles; tile++) { /* one by one: each stays in the cache; most cells are empty */
        float *colours = table + tile * d0 * d1 * d2;
        int held = 0;
        for (int64_t a = 0; a < d0; a++) {
            float *plane = colours + a * d1 * d2;
            int any_row = 0;
            room[0] = 0.0f;
            for (int64_t b = 0; b < d1; b++) {
                if (empty(plane + b * d2, d2)) continue;
                share_row(plane + b * d2, room, d2, aside, kept);
                any_row = held = 1;
            }
            if (any_row) share_along(plane, room, d1, d2, aside, kept);
        }
        if (held) share_along(colours, room, d0, d1 * d2, aside, kept);
    }
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
