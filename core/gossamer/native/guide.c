/* The colour guided filter: see gossamer/matting/guided.py. All sums are in double, as there. */

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "kernels.h"
#include "lanes.h"

enum { SUMS = 16, MOMENTS = 13, LINE = 4 };

/* A pixel's colours and alpha, and their products with each colour: 16 numbers, some of them twice. */
INLINE void add_moments(double *sums, const float *colour, float alpha, double sign) {
    v4d c = {colour[0], colour[1], colour[2], alpha};
    store4(sums, load4(sums) + same4(sign) * c);
    for (int i = 0; i < 3; i++)
        store4(sums + 4 + 4 * i, load4(sums + 4 + 4 * i) + same4(sign * (double)colour[i]) * c);
}

/* Solve a row of windows: of means (13 rows of `width`) make slopes and offset, (width, 4).
 *
 * The Cholesky factor of the colours' covariance: no determinant cancels.
 */
INLINE void solve_row(const double *restrict m, int64_t width, double epsilon, double *restrict lines) {
    const double *r = m, *g = m + width, *b = m + 2 * width, *a = m + 3 * width;
    const double *rr = m + 4 * width, *rg = m + 5 * width, *rb = m + 6 * width, *ra = m + 7 * width;
    const double *gg = m + 8 * width, *gb = m + 9 * width, *ga = m + 10 * width, *bb = m + 11 * width;
    const double *ba = m + 12 * width;
    for (int64_t x = 0; x < width; x++) {
        double d0 = sqrt(rr[x] - r[x] * r[x] + epsilon);
        double l10 = (rg[x] - r[x] * g[x]) / d0, l20 = (rb[x] - r[x] * b[x]) / d0;
        double left1 = gg[x] - g[x] * g[x] + epsilon - l10 * l10;
        double d1 = sqrt(left1 > 1e-12 ? left1 : 1e-12);
        double l21 = (gb[x] - g[x] * b[x] - l20 * l10) / d1;
        double left2 = bb[x] - b[x] * b[x] + epsilon - l20 * l20 - l21 * l21;
        double d2 = sqrt(left2 > 1e-12 ? left2 : 1e-12);
        double y0 = (ra[x] - r[x] * a[x]) / d0;
        double y1 = (ga[x] - g[x] * a[x] - l10 * y0) / d1;
        double y2 = (ba[x] - b[x] * a[x] - l20 * y0 - l21 * y1) / d2;
        double x2 = y2 / d2;
        double x1 = (y1 - l21 * x2) / d1;
        double x0 = (y0 - l10 * x1 - l20 * x2) / d0;
        lines[LINE * x] = x0, lines[LINE * x + 1] = x1, lines[LINE * x + 2] = x2;
        lines[LINE * x + 3] = a[x] - x0 * r[x] - x1 * g[x] - x2 * b[x];
    }
}

/* How many of `count` places lie in the window around `at`. */
INLINE double inside(int64_t at, int64_t radius, int64_t count) {
    return (double)(least(at + radius, count - 1) - most(at - radius, 0) + 1);
}

/* Rows y0 to y1 of the colour guided filter, windows of 2 radius + 1 pixels that hold only what lies in the picture.
 *
 * `lines`, unless it is null, is (height, width, stride): gets the means of the slopes of all windows that hold a
 * pixel, and what these leave of its own alpha; `filtered`, unless it is null, the filter's result, not cut off.
 * `room` holds (16 + 13 + 4 + 4 n) width doubles, n being 2 radius + 2 or, where that is less, the height.
 */
void KERNEL(gossamer_guide)(const float *image, const float *alpha, int64_t height, int64_t width, int64_t radius,
                            double epsilon, int64_t y0, int64_t y1, double *room, float *lines, int64_t stride,
                            float *filtered) {
    double *columns = room, *means = columns + SUMS * width, *down = means + MOMENTS * width;
    double *ring = down + LINE * width;
    int64_t kept = least(2 * radius + 2, height), first = most(y0 - radius, 0), added = most(first - radius, 0);
    static const int AT[MOMENTS] = {0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 14, 15};
    memset(columns, 0, sizeof(double) * (size_t)(SUMS * width));
    memset(down, 0, sizeof(double) * (size_t)(LINE * width));
    int64_t solved = first, gone = first; /* rows of windows: the next to solve, and the first that `down` holds */
    for (int64_t y = y0; y < y1; y++) {
        for (; solved <= least(y + radius, height - 1); solved++) {
            for (; added <= least(solved + radius, height - 1); added++)
                for (int64_t x = 0; x < width; x++)
                    add_moments(columns + SUMS * x, image + 3 * (added * width + x), alpha[added * width + x], 1.0);
            int64_t left = solved - radius - 1;
            if (left >= 0 && solved > first)
                for (int64_t x = 0; x < width; x++)
                    add_moments(columns + SUMS * x, image + 3 * (left * width + x), alpha[left * width + x], -1.0);
            v4d sums[4] = {same4(0.0), same4(0.0), same4(0.0), same4(0.0)};
            for (int64_t x = 0; x < least(radius, width); x++)
                for (int i = 0; i < 4; i++) sums[i] += load4(columns + SUMS * x + 4 * i);
            double tall = inside(solved, radius, height);
            for (int64_t x = 0; x < width; x++) {
                if (x + radius < width)
                    for (int i = 0; i < 4; i++) sums[i] += load4(columns + SUMS * (x + radius) + 4 * i);
                if (x - radius - 1 >= 0)
                    for (int i = 0; i < 4; i++) sums[i] -= load4(columns + SUMS * (x - radius - 1) + 4 * i);
                double found[SUMS], share = 1.0 / (tall * inside(x, radius, width));
                for (int i = 0; i < 4; i++) store4(found + 4 * i, sums[i] * same4(share));
                for (int i = 0; i < MOMENTS; i++) means[i * width + x] = found[AT[i]];
            }
            double *to = ring + LINE * width * (solved % kept);
            solve_row(means, width, epsilon, to);
            for (int64_t x = 0; x < LINE * width; x++) down[x] += to[x];
        }
        for (; gone < y - radius; gone++) {
            const double *from = ring + LINE * width * (gone % kept);
            for (int64_t x = 0; x < LINE * width; x++) down[x] -= from[x];
        }
        v4d sum = same4(0.0);
        for (int64_t x = 0; x < least(radius, width); x++) sum += load4(down + LINE * x);
        double tall = inside(y, radius, height);
        for (int64_t x = 0; x < width; x++) {
            if (x + radius < width) sum += load4(down + LINE * (x + radius));
            if (x - radius - 1 >= 0) sum -= load4(down + LINE * (x - radius - 1));
            v4d line = sum * same4(1.0 / (tall * inside(x, radius, width)));
            int64_t pixel = y * width + x;
            const float *colour = image + 3 * pixel;
            double seen = line[0] * colour[0] + line[1] * colour[1] + line[2] * colour[2];
            if (lines) {
                float *to = lines + stride * pixel;
                to[0] = (float)line[0], to[1] = (float)line[1], to[2] = (float)line[2];
                to[3] = (float)((double)alpha[pixel] - seen);
            }
            if (filtered) filtered[pixel] = (float)(seen + line[3]);
        }
    }
}
