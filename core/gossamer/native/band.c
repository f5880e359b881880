/* The soft-band solver's kernels: see gossamer/foreground/band_solver.py for what they compute, and band_plain.py for
 * the same in NumPy.
 *
 * A level's two layers lie in one array, eight floats a pixel: the foreground's R, G, B, nothing, the background's
 * R, G, B, nothing. One vector is a pixel. Pictures are uint8 (of 255) or float, as `bytes` says: 1 or 4.
 */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels.h"
#include "lanes.h"

enum { CELL = 8, AROUND = CELL + 2 };

typedef struct {
    const void *pixels; /* (height, width, 3) */
    int64_t bytes;
} Picture;

static const float EVEN = 1e-5f; /* the smoothness left where the alpha does not change */
static float UNIT[256]; /* bytes as floats in [0, 1] */
static const float FLAT = 1.5f / 255.0f; /* hidden colours that differ by less become one: a PNG of half the size */

__attribute__((constructor)) static void prepare(void) {
    for (int i = 0; i < 256; i++) UNIT[i] = (float)i / 255.0f;
}

/* The two layers changed over. */
INLINE v8 swapped(v8 x) {
#if defined(__clang__) || __GNUC__ >= 12
    return __builtin_shufflevector(x, x, 4, 5, 6, 7, 0, 1, 2, 3);
#else
    return __builtin_shuffle(x, (v8i){4, 5, 6, 7, 0, 1, 2, 3});
#endif
}

/* A number for the foreground's colours and one for the background's. */
INLINE v8 each(float front, float back) {
    v8 fronts = {1, 1, 1, 0, 0, 0, 0, 0}, backs = {0, 0, 0, 0, 1, 1, 1, 0};
    return fronts * same(front) + backs * same(back);
}

/* A colour in both layers' places. */
INLINE v8 colour(Picture picture, int64_t pixel) {
    float r, g, b;
    if (picture.bytes == 1) {
        const uint8_t *at = (const uint8_t *)picture.pixels + 3 * pixel;
        r = UNIT[at[0]], g = UNIT[at[1]], b = UNIT[at[2]];
    } else {
        const float *at = (const float *)picture.pixels + 3 * pixel;
        r = at[0], g = at[1], b = at[2];
    }
    return (v8){r, g, b, 0, r, g, b, 0};
}

/* Both layers at pixel (y, x) of the level above a coarse one. */
INLINE v8 between(const float *coarse, int64_t height, int64_t width, int64_t y, int64_t x) {
    int64_t y0 = y / 2, y1 = least((y + 1) / 2, height - 1), x0 = x / 2, x1 = least((x + 1) / 2, width - 1);
    v8 near = load(coarse + 8 * (y0 * width + x0)) + load(coarse + 8 * (y0 * width + x1));
    v8 far = load(coarse + 8 * (y1 * width + x0)) + load(coarse + 8 * (y1 * width + x1));
    return same(0.25f) * (near + far);
}

/* The same with what is known: the picture, where a layer is seen alone. */
INLINE v8 risen(Picture picture, float a, int64_t pixel, v8 below, float pure) {
    if (a > pure && a < 1.0f - pure) return below;
    v8 seen = colour(picture, pixel);
    for (int c = 0; c < 3; c++) {
        if (a >= 1.0f - pure) below[c] = seen[c];
        if (a <= pure) below[4 + c] = seen[c];
    }
    return below;
}

/* One pixel's two colours, those of its neighbours held fixed. */
INLINE v8 solved(v8 own, v8 seen, float a, float up, float down, float left, float right, v8 above, v8 below,
                 v8 before, v8 after, float texture, float weight, float pure) {
    float b = 1.0f - a;
    float w0 = distance(a, up) + EVEN, w1 = distance(a, down) + EVEN;
    float w2 = distance(a, left) + EVEN, w3 = distance(a, right) + EVEN;
    float total = w0 + w1 + w2 + w3;
    float front = weight * total * texture, back = weight * total / texture;
    float share = 1.0f / (a * a * back + b * b * front + front * back);
    v8 mean = same(w0) * above + same(w1) * below + same(w2) * before + same(w3) * after;
    mean *= same(1.0f / total);
    v8 mixed = each(a, b) * mean;
    v8 other = swapped(mixed);
    v8 result = mean + each(a * back * share, b * front * share) * (seen - mixed - other);
    result = larger(smaller(result, same(1.0f)), same(0.0f));
    if (a >= 1.0f - pure)
        for (int c = 0; c < 3; c++) result[c] = own[c];
    if (a <= pure)
        for (int c = 4; c < 7; c++) result[c] = own[c];
    return result;
}

/* Take every second pixel of every second row; `top` and `bottom` count the result's rows. */
void KERNEL(gossamer_thin)(const void *image, int64_t bytes, const float *alpha, int64_t width, void *thin_image,
                        float *thin_alpha, int64_t thin_width, int64_t top, int64_t bottom) {
    for (int64_t y = top; y < bottom; y++) {
        const float *from = alpha + 2 * y * width;
        float *to = thin_alpha + y * thin_width;
        for (int64_t x = 0; x < thin_width; x++) to[x] = from[2 * x];
        if (bytes == 1) {
            const uint8_t *pixel = (const uint8_t *)image + 6 * y * width;
            uint8_t *out = (uint8_t *)thin_image + 3 * y * thin_width;
            for (int64_t x = 0; x < thin_width; x++)
                for (int c = 0; c < 3; c++) out[3 * x + c] = pixel[6 * x + c];
        } else {
            const float *pixel = (const float *)image + 6 * y * width;
            float *out = (float *)thin_image + 3 * y * thin_width;
            for (int64_t x = 0; x < thin_width; x++)
                for (int c = 0; c < 3; c++) out[3 * x + c] = pixel[6 * x + c];
        }
    }
}

/* Say of every pixel of a row whether it is soft. */
INLINE void mark_soft(const float *alpha, int64_t width, float pure, uint8_t *soft) {
    for (int64_t x = 0; x < width; x++) soft[x] = (alpha[x] >= pure) & (alpha[x] <= 1.0f - pure);
}

/* List the soft pixels and their neighbours, the two colours of the chessboard apart.
 *
 * `rows` has room for four rows of bytes, each with eight to spare; `counts` gets how many there are of either colour.
 */
void KERNEL(gossamer_soft)(const float *alpha, int64_t height, int64_t width, float pure, uint8_t *rows,
                           int32_t *even, int32_t *odd, int64_t *counts) {
    int64_t stride = width + 8, count[2] = {0, 0};
    uint8_t *near = rows + 3 * stride;
    int32_t *active[2] = {even, odd};
    memset(rows, 0, 4 * (size_t)stride);
    mark_soft(alpha, width, pure, rows);
    for (int64_t y = 0; y < height; y++) {
        const uint8_t *own = rows + y % 3 * stride;
        const uint8_t *above = rows + (y > 0 ? y - 1 : y) % 3 * stride;
        uint8_t *below = rows + (y < height - 1 ? y + 1 : y) % 3 * stride;
        if (y < height - 1) mark_soft(alpha + (y + 1) * width, width, pure, below);
        near[0] = above[0] | below[0] | own[0] | own[1]; /* what is beyond the last pixel stays 0 */
        for (int64_t x = 1; x < width; x++) near[x] = above[x] | below[x] | own[x - 1] | own[x] | own[x + 1];
        for (int64_t start = 0; start < width; start += 8) {
            uint64_t any;
            memcpy(&any, near + start, sizeof any);
            if (!any) continue;
            for (int64_t x = start; x < least(start + 8, width); x++) {
                int64_t colour = (x + y) & 1;
                active[colour][count[colour]] = (int32_t)(y * width + x);
                count[colour] += near[x];
            }
        }
    }
    counts[0] = count[0], counts[1] = count[1];
}

/* Interpolate rows of both layers from the level below, then write what is known. */
void KERNEL(gossamer_rise)(const void *image, int64_t bytes, const float *alpha, int64_t width, const float *coarse,
                           int64_t coarse_height, int64_t coarse_width, float pure, float *layers, int64_t top,
                           int64_t bottom) {
    Picture picture = {image, bytes};
    for (int64_t y = top; y < bottom; y++) {
        const float *near = coarse + 8 * (y / 2 * coarse_width);
        const float *far = coarse + 8 * (least((y + 1) / 2, coarse_height - 1) * coarse_width);
        for (int64_t x = 0; x < width; x += 2) { /* two pixels have the same four nodes around them */
            int64_t left = 8 * (x / 2), right = 8 * least(x / 2 + 1, coarse_width - 1), pixel = y * width + x;
            v8 near_left = load(near + left), far_left = load(far + left);
            v8 below = same(0.5f) * (near_left + far_left);
            store(layers + 8 * pixel, risen(picture, alpha[pixel], pixel, below, pure));
            if (x + 1 == width) break;
            below = same(0.25f) * (near_left + load(near + right) + (far_left + load(far + right)));
            store(layers + 8 * pixel + 8, risen(picture, alpha[pixel + 1], pixel + 1, below, pure));
        }
    }
}

/* Solve the pixels `active[start:end]` of a level, in place. */
void KERNEL(gossamer_relax)(const void *image, int64_t bytes, const float *alpha, int64_t height, int64_t width,
                         const float *ratio, int64_t ratio_width, int64_t level, int64_t ratio_level, float weight,
                         float pure, const int32_t *active, int64_t start, int64_t end, float *layers) {
    Picture picture = {image, bytes};
    int64_t y = start < end ? active[start] / width : 0; /* a division by pixel would take as long as the rest */
    for (int64_t n = start; n < end; n++) {
        int64_t pixel = active[n];
        while (pixel >= (y + 1) * width) y++;
        int64_t x = pixel - y * width;
        int64_t up = pixel - (y > 0 ? width : 0), down = pixel + (y < height - 1 ? width : 0);
        int64_t left = pixel - (x > 0), right = pixel + (x < width - 1);
        float texture = ratio[((y << level) >> ratio_level) * ratio_width + ((x << level) >> ratio_level)];
        v8 result = solved(load(layers + 8 * pixel), colour(picture, pixel), alpha[pixel], alpha[up], alpha[down],
                           alpha[left], alpha[right], load(layers + 8 * up), load(layers + 8 * down),
                           load(layers + 8 * left), load(layers + 8 * right), texture, weight, pure);
        store(layers + 8 * pixel, result);
    }
}

typedef struct {
    Picture picture;
    const float *alpha;
    int64_t height, width;
    const float *coarse;
    int64_t coarse_height, coarse_width;
    const float *ratio;
    int64_t ratio_width, ratio_level;
    float weight, pure;
    void *front, *back; /* `back` may be null */
    int64_t out_bytes;
} Finest;

INLINE void put(void *plane, int64_t bytes, int64_t pixel, float r, float g, float b) {
    if (bytes == 1) {
        uint8_t *at = (uint8_t *)plane + 3 * pixel;
        at[0] = (uint8_t)(r * 255.0f + 0.5f), at[1] = (uint8_t)(g * 255.0f + 0.5f), at[2] = (uint8_t)(b * 255.0f + 0.5f);
    } else {
        float *at = (float *)plane + 3 * pixel;
        at[0] = r, at[1] = g, at[2] = b;
    }
}

INLINE void put_both(const Finest *f, int64_t pixel, v8 value) {
    put(f->front, f->out_bytes, pixel, value[0], value[1], value[2]);
    if (f->back) put(f->back, f->out_bytes, pixel, value[4], value[5], value[6]);
}

/* Fill a hidden cell with one colour where that is within a step of eight bits of every pixel's; say whether it was. */
INLINE int flat_cell(const Finest *f, int64_t top, int64_t left, int64_t rows, int64_t columns) {
    v8 low = load(f->coarse + 8 * (top / 2 * f->coarse_width + left / 2)), high = low;
    for (int64_t y = top / 2; y <= least((top + rows) / 2, f->coarse_height - 1); y++)
        for (int64_t x = left / 2; x <= least((left + columns) / 2, f->coarse_width - 1); x++) {
            v8 node = load(f->coarse + 8 * (y * f->coarse_width + x));
            low = smaller(low, node), high = larger(high, node);
        }
    v8 range = high - low, middle = same(0.5f) * (low + high);
    if (range[0] > FLAT || range[1] > FLAT || range[2] > FLAT) return 0;
    uint8_t row[3 * CELL];
    for (int64_t x = 0; x < CELL; x++) put(row, 1, x, middle[0], middle[1], middle[2]);
    for (int64_t y = top; y < top + rows; y++)
        memcpy((uint8_t *)f->front + 3 * (y * f->width + left), row, 3 * (size_t)columns);
    return 1;
}

/* A cell of which no pixel is soft: all solid, or all hidden. */
INLINE void even_cell(const Finest *f, int64_t top, int64_t left, int64_t rows, int64_t columns, int solid) {
    if (!solid && !f->back && f->out_bytes == 1 && flat_cell(f, top, left, rows, columns)) return;
    for (int64_t y = top; y < top + rows; y++) {
        int64_t first = y * f->width + left;
        if (solid && !f->back && f->out_bytes == f->picture.bytes) {
            size_t size = 3 * (size_t)f->out_bytes;
            memcpy((char *)f->front + size * first, (const char *)f->picture.pixels + size * first, size * columns);
            continue;
        }
        for (int64_t x = left; x < left + columns; x++) {
            int64_t pixel = y * f->width + x;
            v8 below = between(f->coarse, f->coarse_height, f->coarse_width, y, x);
            put_both(f, pixel, risen(f->picture, f->alpha[pixel], pixel, below, f->pure));
        }
    }
}

/* What `between` gives for a cell and the pixels around it, all inside the picture: every sum is made once. */
INLINE void rise_around(const Finest *f, int64_t top, int64_t left, float around[AROUND][AROUND][8]) {
    v8 half = same(0.5f);
    for (int64_t j = 1; j < AROUND; j += 2) {
        const float *node = f->coarse + 8 * ((top + j - 1) / 2 * f->coarse_width + left / 2 - 1);
        v8 last = load(node);
        for (int64_t i = 1; i < AROUND; i += 2) {
            v8 next = load(node += 8);
            store(around[j][i - 1], half * (last + next));
            store(around[j][i], next);
            last = next;
        }
    }
    float first[AROUND][8]; /* the row of nodes above the cell */
    const float *node = f->coarse + 8 * ((top / 2 - 1) * f->coarse_width + left / 2 - 1);
    v8 last = load(node);
    for (int64_t i = 1; i < AROUND; i += 2) {
        v8 next = load(node += 8);
        store(first[i - 1], half * (last + next));
        store(first[i], next);
        last = next;
    }
    for (int64_t j = 0; j < AROUND; j += 2)
        for (int64_t i = 0; i < AROUND; i++) {
            v8 above = load(j > 0 ? around[j - 1][i] : first[i]);
            store(around[j][i], half * (above + load(around[j + 1][i])));
        }
}

/* A cell in which something is soft: rise around it, then solve. */
INLINE void soft_cell(const Finest *f, int64_t top, int64_t left, int64_t rows, int64_t columns) {
    float around[AROUND][AROUND][8];
    int inside = top > 0 && left > 0 && top + CELL < f->height - 1 && left + CELL < f->width - 1;
    if (inside) rise_around(f, top, left, around);
    for (int64_t j = 0; j < rows + 2; j++)
        for (int64_t i = 0; i < columns + 2; i++) {
            int64_t y = most(0, least(top + j - 1, f->height - 1)), x = most(0, least(left + i - 1, f->width - 1));
            int64_t pixel = y * f->width + x;
            v8 below = inside ? load(around[j][i]) : between(f->coarse, f->coarse_height, f->coarse_width, y, x);
            store(around[j][i], risen(f->picture, f->alpha[pixel], pixel, below, f->pure));
        }
    for (int64_t j = 1; j <= rows; j++)
        for (int64_t i = 1; i <= columns; i++) {
            int64_t y = top + j - 1, x = left + i - 1, pixel = y * f->width + x;
            float a = f->alpha[pixel];
            v8 own = load(around[j][i]);
            if (a > f->pure && a < 1.0f - f->pure) {
                int64_t up = pixel - (y > 0 ? f->width : 0), down = pixel + (y < f->height - 1 ? f->width : 0);
                float texture = f->ratio[(y >> f->ratio_level) * f->ratio_width + (x >> f->ratio_level)];
                own = solved(own, colour(f->picture, pixel), a, f->alpha[up], f->alpha[down],
                             f->alpha[pixel - (x > 0)], f->alpha[pixel + (x < f->width - 1)], load(around[j - 1][i]),
                             load(around[j + 1][i]), load(around[j][i - 1]), load(around[j][i + 1]), texture,
                             f->weight, f->pure);
            }
            put_both(f, pixel, own);
        }
}

/* Write the finest level, `top` a multiple of CELL: risen, then every soft pixel solved once. */
void KERNEL(gossamer_finish)(const void *image, int64_t bytes, const float *alpha, int64_t height, int64_t width,
                          const float *coarse, int64_t coarse_height, int64_t coarse_width, const float *ratio,
                          int64_t ratio_width, int64_t ratio_level, float weight, float pure, void *front, void *back,
                          int64_t out_bytes, int64_t top, int64_t bottom) {
    Finest f = {{image, bytes}, alpha, height, width, coarse, coarse_height, coarse_width,
                ratio, ratio_width, ratio_level, weight, pure, front, back, out_bytes};
    for (int64_t y = top; y < bottom; y += CELL)
        for (int64_t x = 0; x < width; x += CELL) {
            int64_t rows = least(CELL, bottom - y), columns = least(CELL, width - x);
            float low = 1.0f, high = 0.0f;
            if (columns == CELL) {
                v8 lows = load(alpha + y * width + x), highs = lows;
                for (int64_t j = y + 1; j < y + rows; j++) {
                    v8 row = load(alpha + j * width + x);
                    lows = smaller(lows, row), highs = larger(highs, row);
                }
                for (int c = 0; c < CELL; c++) low = lower(low, lows[c]), high = higher(high, highs[c]);
            } else {
                for (int64_t j = y; j < y + rows; j++)
                    for (int64_t i = x; i < x + columns; i++)
                        low = lower(low, alpha[j * width + i]), high = higher(high, alpha[j * width + i]);
            }
            if (low >= 1.0f - pure || high <= pure)
                even_cell(&f, y, x, rows, columns, low >= 1.0f - pure);
            else
                soft_cell(&f, y, x, rows, columns);
        }
}
