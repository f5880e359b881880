/* The matting Laplacian: see gossamer/matting/closed_form/solver.py for who calls this and in what order.
 *
 * Only pixels near unknown ones are stored. Each picture row is cut into aligned blocks of 8 pixels; the active blocks,
 * row after row, make up the compact order in which every vector of the solver lives. Neighbouring active blocks form
 * a segment, so that the weights are built over long stretches of memory: segments of row y are `first[y]` up to
 * `first[y + 1]`, each with its first column, its length in pixels and its compact start.
 *
 * The Laplacian couples a pixel with the 24 others of its 5 x 5 neighbourhood. It is symmetric, so the 12 forward
 * weights of a pixel are enough: tap k of the pixel at compact index i lies at k * step + i. It is applied as sums of
 * w (x_i - x_j): constants are annihilated exactly, which float32 would not do with a stored diagonal.
 */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernels.h"
#include "lanes.h"

enum { MARGIN = 8, TAPS = 12, STRETCH = 256, TOGETHER = 16 };

typedef struct {
    double sums[9][STRETCH + 8], model[9][STRETCH], u[27][STRETCH];
} Windows;

INLINE double at_least(double x, double low) { return x > low ? x : low; }

/* Sums over three columns of colours, their squares and their products. */
INLINE void sum_columns(const double *restrict p, const double *restrict q, const double *restrict r,
                        const double *restrict e, const double *restrict f, const double *restrict g, int64_t n,
                        double *restrict one, double *restrict two, double *restrict mix) {
    for (int64_t t = 0; t < n; t++) {
        one[t] = p[t] + q[t] + r[t];
        two[t] = p[t] * p[t] + q[t] * q[t] + r[t] * r[t];
        mix[t] = p[t] * e[t] + q[t] * f[t] + r[t] * g[t];
    }
}

INLINE double three(const double *at) { return at[0] + at[1] + at[2]; }

/* Means and the Cholesky factor of the colours' covariance; the regularisation bounds every pivot from below. */
INLINE void factorise(Windows *w, int64_t n, double reg) {
    const double ninth = 1.0 / 9.0;
    for (int64_t t = 0; t < n; t++) {
        double m0 = three(w->sums[0] + t) * ninth, m1 = three(w->sums[1] + t) * ninth;
        double m2 = three(w->sums[2] + t) * ninth;
        double c00 = at_least(three(w->sums[3] + t) * ninth - m0 * m0, 0.0) + reg;
        double c11 = at_least(three(w->sums[4] + t) * ninth - m1 * m1, 0.0) + reg;
        double c22 = at_least(three(w->sums[5] + t) * ninth - m2 * m2, 0.0) + reg;
        double c10 = three(w->sums[6] + t) * ninth - m0 * m1, c21 = three(w->sums[7] + t) * ninth - m1 * m2;
        double c20 = three(w->sums[8] + t) * ninth - m2 * m0;
        double i0 = 1.0 / sqrt(c00), l10 = c10 * i0, l20 = c20 * i0;
        double i1 = 1.0 / sqrt(at_least(c11 - l10 * l10, reg)), l21 = (c21 - l20 * l10) * i1;
        double i2 = 1.0 / sqrt(at_least(c22 - l20 * l20 - l21 * l21, reg));
        w->model[0][t] = m0, w->model[1][t] = m1, w->model[2][t] = m2;
        w->model[3][t] = i0, w->model[4][t] = l10, w->model[5][t] = i1;
        w->model[6][t] = l20, w->model[7][t] = l21, w->model[8][t] = i2;
    }
}

/* The colours of one of a window's nine pixels in the coordinates in which the window's colours are white noise. */
INLINE void whiten(const Windows *w, const double *restrict p, const double *restrict q, const double *restrict r,
                   int64_t n, double *restrict v0, double *restrict v1, double *restrict v2) {
    for (int64_t t = 0; t < n; t++) {
        double a0 = (p[t] - w->model[0][t]) * w->model[3][t];
        double a1 = (q[t] - w->model[1][t] - w->model[4][t] * a0) * w->model[5][t];
        v2[t] = (r[t] - w->model[2][t] - w->model[6][t] * a0 - w->model[7][t] * a1) * w->model[8][t];
        v0[t] = a0, v1[t] = a1;
    }
}

INLINE void add_pairs(const double (*restrict v)[STRETCH], const double (*restrict w)[STRETCH], int64_t n,
                      double *restrict to) {
    for (int64_t t = 0; t < n; t++) to[t] += 1.0 + v[0][t] * w[0][t] + v[1][t] * w[1][t] + v[2][t] * w[2][t];
}

INLINE int tap(int dy, int dx) { return dy == 0 ? dx - 1 : 5 * dy + dx - 1; }

/* Forward weights of the rows y0 to y1 (Levin 2008), windows of 3 x 3; `room` holds 45 rows of width + 32 doubles.
 *
 * In double: the covariance of a flat window next to an edge is lost in float.
 */
void KERNEL(gossamer_build_weights)(const float *image, int64_t height, int64_t width, const int32_t *first,
                                    const int32_t *seg_x, const int32_t *seg_n, const int32_t *seg_at,
                                    const int32_t *win_first, const int32_t *win_x, const int32_t *win_n, int64_t step,
                                    double epsilon, int64_t y0, int64_t y1, double *room, float *weights) {
    int64_t span = width + 32;
    double *rows = room, *ring = room + 9 * span; /* three rows of three colours; three rows of the taps' sums */
    Windows w;
    memset(room, 0, sizeof(double) * (size_t)(45 * span));
    int64_t loaded = y0 - 3;
    for (int64_t wy = y0 - 1; wy < y1 + 1; wy++) {
        memset(ring + (wy + 1) % 3 * TAPS * span, 0, sizeof(double) * (size_t)(TAPS * span));
        if (wy >= 1 && wy <= height - 2 && win_first[wy] < win_first[wy + 1]) {
            for (int64_t y = most(loaded + 1, wy - 1); y < wy + 2; y++) {
                double *line = rows + y % 3 * 3 * span + MARGIN;
                const float *pixel = image + 3 * y * width;
                for (int64_t x = 0; x < width; x++)
                    for (int c = 0; c < 3; c++) line[c * span + x] = pixel[3 * x + c];
            }
            loaded = wy + 1;
            for (int64_t s = win_first[wy]; s < win_first[wy + 1]; s++) {
                int64_t last = least(win_x[s] + win_n[s], width - 1);
                for (int64_t a = most(win_x[s], 1); a < last; a += STRETCH) {
                    int64_t n = least(STRETCH, last - a);
                    for (int c = 0; c < 3; c++) {
                        const double *p = rows + c * span + a + MARGIN - 1;
                        const double *e = rows + (c + 1) % 3 * span + a + MARGIN - 1;
                        sum_columns(p, p + 3 * span, p + 6 * span, e, e + 3 * span, e + 6 * span, n + 2, w.sums[c],
                                    w.sums[3 + c], w.sums[6 + c]);
                    }
                    factorise(&w, n, epsilon / 9.0);
                    for (int i = 0; i < 9; i++) {
                        const double *p = rows + (wy - 1 + i / 3) % 3 * 3 * span + a + MARGIN - 1 + i % 3;
                        whiten(&w, p, p + span, p + 2 * span, n, w.u[3 * i], w.u[3 * i + 1], w.u[3 * i + 2]);
                    }
                    for (int i = 0; i < 9; i++)
                        for (int j = i + 1; j < 9; j++) {
                            int k = tap(j / 3 - i / 3, j % 3 - i % 3);
                            double *to = ring + ((wy - 1 + i / 3) % 3 * TAPS + k) * span + a + MARGIN - 1 + i % 3;
                            add_pairs(w.u + 3 * i, w.u + 3 * j, n, to);
                        }
                }
            }
        }
        int64_t y = wy - 1;
        if (y < y0 || y >= y1) continue;
        for (int64_t s = first[y]; s < first[y + 1]; s++)
            for (int k = 0; k < TAPS; k++) {
                const double *line = ring + (y % 3 * TAPS + k) * span + seg_x[s] + MARGIN;
                float *to = weights + seg_at[s] + k * step;
                for (int64_t t = 0; t < seg_n[s]; t++) to[t] = (float)(line[t] * (1.0 / 9.0));
            }
    }
}

/* Sums of |weights| + data in the blocks b0 to b1 of `near`: they bound A x for |x| <= 1. */
void KERNEL(gossamer_bound)(const float *weights, const float *data, const int32_t *near, int64_t step, int64_t b0,
                            int64_t b1, float *out) {
    for (int64_t b = b0; b < b1; b++) {
        int64_t at = 8 * (int64_t)near[5 * b];
        v8 v = load(data + at);
        for (int dx = 1; dx < 3; dx++) {
            const float *w = weights + tap(0, dx) * step + at;
            v += magnitude(load(w)) + magnitude(load(w - dx));
        }
        for (int dy = 1; dy < 3; dy++) {
            int64_t up = 8 * (int64_t)near[5 * b + dy];
            for (int dx = -2; dx < 3; dx++) {
                const float *w = weights + tap(dy, dx) * step;
                v += magnitude(load(w + at)) + magnitude(load(w + up - dx));
            }
        }
        store(out + at, v);
    }
}

/* A x in one block. Lanes that are not free come out wrong: what lies beside them need not be a neighbour. */
INLINE v8 times_a(const float *weights, const float *data, const int32_t *near, int64_t step, const float *x, v8 own) {
    int64_t at = 8 * (int64_t)near[0];
    v8 v = load(data + at) * own, u = {0};
    for (int dx = 1; dx < 3; dx++) {
        const float *w = weights + tap(0, dx) * step + at;
        v += load(w) * (own - load(x + at + dx));
        u += load(w - dx) * (own - load(x + at - dx));
    }
    for (int dy = 1; dy < 3; dy++) {
        int64_t up = 8 * (int64_t)near[dy], down = 8 * (int64_t)near[2 + dy];
        for (int dx = -2; dx < 3; dx++) {
            const float *w = weights + tap(dy, dx) * step;
            v += load(w + at) * (own - load(x + down + dx));
            u += load(w + up - dx) * (own - load(x + up - dx));
        }
    }
    return v + u;
}

/* The loop of `apply` for one mode, which the compiler knows. */
INLINE double apply_as(int mode, const float *weights, const float *data, const float *scale, const int32_t *near,
                       int64_t step, int64_t b0, int64_t b1, float c1, float c2, const float *x, const float *r,
                       float *z, float *out, float *rest) {
    double sums = 0.0;
    v8 a1 = same(c1), a2 = same(c2);
    for (int64_t b = b0; b < b1; b++) {
        int64_t at = 8 * (int64_t)near[5 * b];
        v8 own = load(x + at), free = load(scale + at), v = times_a(weights, data, near + 5 * b, step, x, own);
        if (mode == 0) {
            v = where_positive(free, v);
            store(out + at, v);
            sums += (double)total(v * own);
        } else if (mode == 1) {
            store(out + at, where_positive(free, load(r + at) - v));
        } else if (mode == 2) {
            v = load(r + at) - v;
            store(rest + at, v);
            v = a1 * own + a2 * free * v;
            store(out + at, v);
            store(z + at, own + v);
        } else if (mode == 3) {
            v = where_positive(free, load(r + at) - v);
            store(rest + at, v);
            store(out + at, a1 * free * v);
        } else {
            v = load(z + at) + own + a1 * own + a2 * free * (load(rest + at) - v);
            store(z + at, v);
            sums += (double)total(v * load(r + at));
        }
    }
    return sums;
}

/* Multiply by A = L + diag(data) in the blocks b0 to b1 of `near`, and do with v = A x what `mode` says.
 *
 * 0: out = v where free (`scale` > 0), else 0; returns x . v
 * 1: out = r - v where free, else 0
 * 2: rest = r - v; out = c1 x + c2 scale rest; z = x + out (two Chebyshev steps, of which x is the first)
 * 3: rest = r - v where free, else 0; out = c1 scale rest (the first step)
 * 4: z += x + c1 x + c2 scale (rest - v) (two steps); returns r . z
 */
double KERNEL(gossamer_apply)(const float *weights, const float *data, const float *scale, const int32_t *near,
                              int64_t step, int64_t b0, int64_t b1, int64_t mode, float c1, float c2, const float *x,
                              const float *r, float *z, float *out, float *rest) {
    switch (mode) {
    case 0: return apply_as(0, weights, data, scale, near, step, b0, b1, c1, c2, x, r, z, out, rest);
    case 1: return apply_as(1, weights, data, scale, near, step, b0, b1, c1, c2, x, r, z, out, rest);
    case 2: return apply_as(2, weights, data, scale, near, step, b0, b1, c1, c2, x, r, z, out, rest);
    case 3: return apply_as(3, weights, data, scale, near, step, b0, b1, c1, c2, x, r, z, out, rest);
    default: return apply_as(4, weights, data, scale, near, step, b0, b1, c1, c2, x, r, z, out, rest);
    }
}

/* Two modes of `apply`, one after the other, in the blocks b0 to b1 while what they share is still in the cache.
 *
 * The second follows `lag` blocks behind the first, so far that what it reads has been written and what it writes will
 * not be read. It leaves out the first `low` and the last `high` blocks, where others work on what lies next to them.
 * again = 0: mode 2 from x to `out`, then mode 1 from `out` and `rest` to x
 * again = 1: mode 3 from z to `out` with c0, then mode 4 from `out`; returns r . z
 */
double KERNEL(gossamer_apply_both)(const float *weights, const float *data, const float *scale, const int32_t *near,
                                   int64_t step, int64_t b0, int64_t b1, int64_t lag, int64_t low, int64_t high,
                                   int64_t again, float c0, float c1, float c2, float *x, const float *r, float *z,
                                   float *out, float *rest) {
    double sums = 0.0;
    int64_t done = b0 + low, end = b1 - high;
    for (int64_t b = b0; b < b1 + TOGETHER; b += TOGETHER) { /* once more than for the first: what is left */
        int64_t last = least(b + TOGETHER, b1);
        if (b < b1 && again)
            apply_as(3, weights, data, scale, near, step, b, last, c0, 0.0f, z, r, z, out, rest);
        else if (b < b1)
            apply_as(2, weights, data, scale, near, step, b, last, c1, c2, x, r, z, out, rest);
        last = least(b < b1 ? b + TOGETHER - lag : b1, end);
        if (last <= done) continue;
        if (again)
            sums += apply_as(4, weights, data, scale, near, step, done, last, c1, c2, out, r, z, out, rest);
        else
            apply_as(1, weights, data, scale, near, step, done, last, c1, c2, out, rest, z, x, rest);
        done = last;
    }
    return sums;
}

/* Go `length` along p in the blocks b0 to b1 of the compact order; first = c scale r; return r . r. */
double KERNEL(gossamer_advance)(const float *scale, int64_t b0, int64_t b1, float length, float c, const float *p,
                                const float *product, float *x, float *r, float *first) {
    double sums = 0.0;
    v8 along = same(length), share = same(c);
    for (int64_t at = 8 * b0; at < 8 * b1; at += 8) {
        store(x + at, load(x + at) + along * load(p + at));
        v8 v = load(r + at) - along * load(product + at);
        store(r + at, v);
        store(first + at, share * load(scale + at) * v);
        sums += (double)total(v * v);
    }
    return sums;
}

/* Bring blocks of a plane into compact order, zero outside the picture; `pixel` and `row` are its strides in floats. */
void KERNEL(gossamer_gather)(const float *plane, int64_t width, int64_t row, int64_t pixel, int64_t first,
                             const int32_t *block_y, const int32_t *block_x, int64_t count, float *out) {
    for (int64_t n = 0; n < count; n++) {
        const float *from = plane + first + block_y[n] * row + 8 * block_x[n] * pixel;
        int64_t inside = width - 8 * (int64_t)block_x[n];
        for (int64_t i = 0; i < 8; i++) out[8 * n + i] = i < inside ? from[i * pixel] : 0.0f;
    }
}
