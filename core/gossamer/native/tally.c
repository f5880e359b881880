/* Counts by place and colour: see gossamer/matting/from_mask/palette.py. */

#include <stdint.h>
#include <string.h>

#include "kernels.h"
#include "lanes.h"

/* Of `count` rows of `inner` numbers, `step` apart, neighbours get `aside` of each other's, which keep `kept`. */
INLINE void share_along(float *table, float *line, int64_t count, int64_t inner, int64_t step, float aside, float kept) {
    float *last = line, *own = line + inner;
    memset(last, 0, (size_t)inner * sizeof(float));
    for (int64_t n = 0; n < count; n++) {
        float *here = table + n * step, *next = here + step;
        memcpy(own, here, (size_t)inner * sizeof(float));
        if (n + 1 < count)
            for (int64_t i = 0; i < inner; i++) here[i] = kept * own[i] + aside * (last[i] + next[i]);
        else
            for (int64_t i = 0; i < inner; i++) here[i] = kept * own[i] + aside * last[i];
        float *swapped = last;
        last = own, own = swapped;
    }
}

/* The same within a row of `inner` numbers a colour. `line` holds count + 2 inner floats; the first `inner` are zero. */
INLINE void share_row(float *row, float *line, int64_t count, int64_t inner, float aside, float kept) {
    memcpy(line + inner, row, (size_t)count * sizeof(float));
    memset(line + inner + count, 0, (size_t)inner * sizeof(float));
    for (int64_t i = 0; i < count; i++)
        row[i] = kept * line[i + inner] + aside * (line[i] + line[i + 2 * inner]);
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

/* A box of a table of colours, in its first two directions: from these to before those. */
typedef struct {
    int64_t a0, a1, b0, b1;
} Box;

/* Let neighbouring colours of a table have their part, given the box outside of which nothing was counted, rows aside;
 * returns the one outside of which all is zero afterwards. */
INLINE Box share(float *table, float *line, Box held, int64_t d0, int64_t d1, int64_t wide, int64_t many, float aside,
                 float kept) {
    Box all = {most(held.a0 - 1, 0), least(held.a1 + 1, d0), d1, 0};
    for (int64_t a = held.a0; a < held.a1; a++) {
        float *plane = table + a * d1 * wide;
        int64_t first = d1, last = 0;
        memset(line, 0, (size_t)many * sizeof(float));
        for (int64_t b = 0; b < d1; b++) { /* most rows are empty */
            if (empty(plane + b * wide, wide)) continue;
            share_row(plane + b * wide, line, wide, many, aside, kept);
            first = least(first, b), last = b + 1;
        }
        if (first >= last) continue;
        first = most(first - 1, 0), last = least(last + 1, d1);
        share_along(plane + first * wide, line, last - first, wide, wide, aside, kept);
        all.b0 = least(all.b0, first), all.b1 = most(all.b1, last);
    }
    if (all.b0 < all.b1)
        share_along(table + (all.a0 * d1 + all.b0) * wide, line, all.a1 - all.a0, (all.b1 - all.b0) * wide, d1 * wide,
                    aside, kept);
    return all;
}

/* The compiler knows `many`. */
INLINE void consult(const int32_t *colour, const float *down, const float *across, const float *worth,
                    const uint8_t *asked, const int64_t *begin, int64_t count, int64_t rows, int64_t columns, int64_t d0,
                    int64_t d1, int64_t d2, float aside, float kept, float *room, float *out, int64_t many) {
    int64_t wide = d2 * many, sheet = d1 * d2;
    float *table = room, *line = room + d0 * d1 * wide;
    memset(table, 0, (size_t)(d0 * d1 * wide) * sizeof(float));
    for (int64_t tile = 0; tile < rows * columns; tile++) { /* one by one: each stays in the cache */
        int64_t y = tile / columns, x = tile % columns, from[4], to[4], lowest = d0 * sheet, highest = -1;
        for (int corner = 0; corner < 4; corner++) { /* the pixels that it is below and right of, below, right, neither */
            int below = corner < 2, right = corner % 2 == 0;
            from[corner] = to[corner] = 0;
            if (y < below || x < right) continue;
            int64_t home = (y - below) * columns + x - right;
            from[corner] = begin[home], to[corner] = begin[home + 1];
            for (int64_t n = from[corner]; n < to[corner]; n++) {
                float part = (below ? down[n] : 1.0f - down[n]) * (right ? across[n] : 1.0f - across[n]), any = 0.0f;
                float *cell = table + many * (int64_t)colour[n];
                for (int64_t k = 0; k < many; k++) any += worth[k * count + n];
                if (!(any > 0.0f)) continue;
                for (int64_t k = 0; k < many; k++) cell[k] += part * worth[k * count + n];
                lowest = least(lowest, colour[n]), highest = most(highest, colour[n]);
            }
        }
        if (highest < 0) continue;
        Box box = share(table, line, (Box){lowest / sheet, highest / sheet + 1, 0, d1}, d0, d1, wide, many, aside, kept);
        for (int corner = 0; corner < 4; corner++) {
            int below = corner < 2, right = corner % 2 == 0;
            for (int64_t n = from[corner]; n < to[corner]; n++) {
                if (asked && !asked[n]) continue;
                float part = (below ? down[n] : 1.0f - down[n]) * (right ? across[n] : 1.0f - across[n]);
                const float *cell = table + many * (int64_t)colour[n];
                for (int64_t k = 0; k < many; k++) out[k * count + n] += part * cell[k];
            }
        }
        for (int64_t a = box.a0; a < box.a1 && box.b0 < box.b1; a++)
            memset(table + (a * d1 + box.b0) * wide, 0, (size_t)((box.b1 - box.b0) * wide) * sizeof(float));
    }
}

/* Count what `many` of each of `count` pixels are worth by place and colour, and look those that are asked up.
 *
 * A pixel counts at the four corners of the tile that it lies in, by how near it is: `down` and `across` are its place
 * there, in [0, 1]. There are rows x columns such corners; pixels are sorted by the one above and left of them, whose
 * are those from begin[corner] to begin[corner + 1]. At each corner is a table of colours, (d0, d1, d2); `colour` is the
 * pixel's place in it. Neighbouring colours get `aside` of each count, which keeps `kept`. `worth`, at least 0, and
 * `out`, which is zero before, are (many, count); `asked` is null where all are. `room` holds many (d0 d1 d2 + 2 d1 d2 + 2) floats.
 */
void KERNEL(gossamer_consult)(const int32_t *colour, const float *down, const float *across, const float *worth,
                              const uint8_t *asked, const int64_t *begin, int64_t many, int64_t count, int64_t rows,
                              int64_t columns, int64_t d0, int64_t d1, int64_t d2, float aside, float kept,
                              float *room, float *out) {
    if (many == 2)
        consult(colour, down, across, worth, asked, begin, count, rows, columns, d0, d1, d2, aside, kept, room, out, 2);
    else if (many == 3)
        consult(colour, down, across, worth, asked, begin, count, rows, columns, d0, d1, d2, aside, kept, room, out, 3);
    else
        consult(colour, down, across, worth, asked, begin, count, rows, columns, d0, d1, d2, aside, kept, room, out,
                many);
}
