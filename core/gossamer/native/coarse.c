/* The coarse space of the closed-form solver: see gossamer/matting/closed_form/multigrid.py for what it is.
 *
 * A node carries four functions, a hat of twice the cell's size times {1, R, G, B}, in a basis of its own. Cells are
 * squares of 8 pixels with a node at each corner. A node's row of a coarse matrix has 25 blocks of 4 x 4 numbers, one
 * for each of the nodes around it: (25, 4, 4).
 */

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "kernels.h"
#include "lanes.h"

enum { FORWARD = 12, DEEP = 12, NODES = 25, AFTER = 13, MOST_STEPS = 8, AT_ONCE = 64 };

/* The pixels of a cell with two more around it. */
typedef struct {
    /* The four functions, 1 and the colours about the cell's mean, times the hat of the nodes left of a pixel, and right. */
    double left[DEEP][DEEP][4], right[DEEP][DEEP][4];
    double w[FORWARD][DEEP][DEEP], extra[DEEP][DEEP];
} Patch;

INLINE void fetch(Patch *p, const float *weights, const float *data, const float *scale, const float *colour,
                  int64_t size, const int32_t *block_at, int64_t height, int64_t blocks, int64_t step, int64_t cy,
                  int64_t cx, const double *mean) {
    static const int FROM[3] = {6, 0, 0}, COUNT[3] = {2, 8, 2}, TO[3] = {0, 2, 10};
    for (int64_t i = 0; i < DEEP; i++) {
        int64_t y = 8 * cy - 2 + i;
        for (int64_t side = 0; side < 3; side++) {
            int64_t bx = cx - 1 + side, k = -1, to = TO[side], count = COUNT[side];
            if (y >= 0 && y < height && bx >= 0 && bx < blocks) k = block_at[y * blocks + bx];
            if (k < 0) {
                memset(p->left[i][to], 0, sizeof p->left[i][0] * (size_t)count);
                memset(p->right[i][to], 0, sizeof p->right[i][0] * (size_t)count);
                for (int t = 0; t < FORWARD; t++) memset(p->w[t][i] + to, 0, sizeof(double) * (size_t)count);
                continue;
            }
            int64_t at = 8 * k + FROM[side];
            for (int64_t j = 0; j < count; j++) {
                double on = scale[at + j] > 0.0f ? 1.0 : 0.0, share = 0.125 * (double)(FROM[side] + j);
                v4d phi = {1.0, (double)colour[at + j] - mean[0], (double)colour[size + at + j] - mean[1],
                           (double)colour[2 * size + at + j] - mean[2]};
                store4(p->left[i][to + j], same4(on * (1.0 - share)) * phi);
                store4(p->right[i][to + j], same4(on * share) * phi);
                p->extra[i][to + j] = data[at + j];
            }
            for (int64_t t = 0; t < FORWARD; t++)
                for (int64_t j = 0; j < count; j++) p->w[t][i][to + j] = weights[t * step + at + j];
        }
    }
}

/* The columns of nodes that a pixel of column j has to do with, and the rows of one of row j: from this to that. */
INLINE int first_of(int64_t j) { return j < 2 ? 0 : 1; }
INLINE int last_of(int64_t j) { return j < 6 ? 3 : 4; }

/* What the pixels `dy` below (i, j) add to its row of A P, by columns of nodes; returns the sum of their weights. */
INLINE double taps_of(const Patch *p, int64_t i, int j, int dy, v4d part[4]) {
    double sum = 0.0;
    for (int c = 0; c < 4; c++) part[c] = same4(0.0);
    for (int dx = -2; dx <= 2; dx++) {
        double v;
        if (dy > 0 || (dy == 0 && dx > 0))
            v = p->w[dy == 0 ? dx - 1 : 5 * dy + dx - 1][i + 2][j + 2];
        else if (dy < 0 || dx < 0)
            v = p->w[dy == 0 ? -dx - 1 : -5 * dy - dx - 1][i + 2 + dy][j + 2 + dx];
        else
            continue;
        sum += v;
        int column = (j + dx + 8) >> 3;
        part[column] -= same4(v) * load4(p->left[i + 2 + dy][j + dx + 2]);
        if ((j + dx) & 7) part[column + 1] -= same4(v) * load4(p->right[i + 2 + dy][j + dx + 2]);
    }
    return sum;
}

/* A row of A P for the pixel (i, j) of the cell: 4 x 4 nodes around it, four functions each. The compiler knows j. */
INLINE void row_of_product(const Patch *p, int64_t i, int j, v4d q[4][4]) {
    v4d part[5][4];
    double diagonal = p->extra[i + 2][j + 2] + taps_of(p, i, j, -2, part[0]) + taps_of(p, i, j, -1, part[1]);
    diagonal += (taps_of(p, i, j, 0, part[2]) + taps_of(p, i, j, 1, part[3])) + taps_of(p, i, j, 2, part[4]);
    v4d left = same4(diagonal) * load4(p->left[i + 2][j + 2]), right = same4(diagonal) * load4(p->right[i + 2][j + 2]);
    part[2][1] += left, part[2][2] += right; /* the same row: its nodes are those of dy = 0 */
    for (int y = first_of(i); y < last_of(i); y++) {
        double share[5]; /* the hats' height in the row y of nodes, of the pixels' five rows */
        for (int dy = 0; dy < 5; dy++) {
            double away = 0.125 * (double)(i + dy - 2) - (double)(y - 1);
            share[dy] = away < 0.0 ? 1.0 + away : 1.0 - away;
            share[dy] = share[dy] > 0.0 ? share[dy] : 0.0;
        }
        for (int x = first_of(j); x < last_of(j); x++) {
            v4d sum = same4(share[0]) * part[0][x];
            for (int dy = 1; dy < 5; dy++) sum += same4(share[dy]) * part[dy][x];
            q[y][x] = sum;
        }
    }
}

/* The cell's part of P'AP: for its four corners and their four functions, the 16 nodes around and theirs. */
INLINE void cell_matrix(const Patch *p, v4d b[4][4][16]) {
    memset(b, 0, sizeof(v4d) * 256);
    for (int64_t i = 0; i < 8; i++) {
        v4d q[8][4][4]; /* one row of pixels: the hats' heights in y come in afterwards */
        int held[9], count = 0, begin[4] = {0, 0, 0, 0}, end[4];
        for (int j = 0; j < 8; j++) {
            if (j == 6) begin[3] = count;
            if (p->left[i + 2][j + 2][0] != 0.0) held[count++] = j; /* the one left of a free pixel is never zero */
            if (j == 1) end[0] = count;
        }
        end[1] = end[2] = end[3] = count;
        if (!count) continue;
        for (int h = 0; h < count; h++) switch (held[h]) {
            case 0: row_of_product(p, i, 0, q[0]); break;
            case 1: row_of_product(p, i, 1, q[1]); break;
            case 2: row_of_product(p, i, 2, q[2]); break;
            case 3: row_of_product(p, i, 3, q[3]); break;
            case 4: row_of_product(p, i, 4, q[4]); break;
            case 5: row_of_product(p, i, 5, q[5]); break;
            case 6: row_of_product(p, i, 6, q[6]); break;
            default: row_of_product(p, i, 7, q[7]); break;
            }
        v4d low = same4(0.125 * (double)i), high = same4(1.0) - low;
        for (int y = first_of(i); y < last_of(i); y++)
            for (int x = 0; x < 4; x++) {
                v4d left[4] = {{0}, {0}, {0}, {0}}, right[4] = {{0}, {0}, {0}, {0}};
                for (int h = begin[x]; h < end[x]; h++) {
                    int j = held[h];
                    const double *one = p->left[i + 2][j + 2], *other = p->right[i + 2][j + 2];
                    v4d own = q[j][y][x];
                    for (int s = 0; s < 4; s++) left[s] += same4(one[s]) * own, right[s] += same4(other[s]) * own;
                }
                for (int s = 0; s < 4; s++) {
                    b[0][s][4 * y + x] += high * left[s], b[1][s][4 * y + x] += high * right[s];
                    b[2][s][4 * y + x] += low * left[s], b[3][s][4 * y + x] += low * right[s];
                }
            }
    }
}

/* Add what the cells c0 to c1 contribute to P'AP, the coarse matrix, in the nodes' own bases.
 *
 * In double: A nearly annihilates the colours, and what is left of them decides how good the coarse matrix is.
 */
void KERNEL(gossamer_galerkin)(const float *weights, const float *data, const float *scale, const float *colour,
                               int64_t size, const int32_t *block_at, int64_t height, int64_t blocks, int64_t step,
                               const int32_t *cell_y, const int32_t *cell_x, const int32_t *node_at, int64_t node_rows,
                               int64_t node_columns, const double *mean, const double *centre, const double *basis,
                               int64_t c0, int64_t c1, float *stencil) {
    Patch patch;
    for (int64_t c = c0; c < c1; c++) {
        int64_t cy = cell_y[c], cx = cell_x[c], at[16];
        v4d b[4][4][16];
        double local[16][4][4]; /* from the cell's centred colours to the bases of the nodes around it */
        fetch(&patch, weights, data, scale, colour, size, block_at, height, blocks, step, cy, cx, mean + 3 * c);
        cell_matrix(&patch, b);
        for (int m = 0; m < 16; m++) {
            int64_t y = cy - 1 + (m >> 2), x = cx - 1 + (m & 3);
            at[m] = y >= 0 && x >= 0 && y < node_rows && x < node_columns ? node_at[y * node_columns + x] : -1;
            if (at[m] < 0) continue;
            const double *own = basis + 16 * at[m];
            memcpy(local[m], own, sizeof local[m]);
            for (int t = 0; t < 4; t++)
                for (int s = 0; s < 3; s++)
                    local[m][0][t] += (mean[3 * c + s] - centre[3 * at[m] + s]) * own[4 * (s + 1) + t];
            for (int e = 0; e < 16; e++) {
                double value[4];
                memcpy(value, &b[e >> 2][e & 3][m], sizeof value);
                v4d sum = same4(value[0]) * load4(local[m][0]);
                for (int s = 1; s < 4; s++) sum += same4(value[s]) * load4(local[m][s]);
                b[e >> 2][e & 3][m] = sum;
            }
        }
        for (int n = 0; n < 4; n++) {
            int k = 5 + (n >> 1) * 4 + (n & 1);
            for (int t = 0; t < 4; t++)
                for (int m = 0; m < 16; m++) {
                    if (at[m] < 0) continue;
                    v4d sum = {0};
                    for (int s = 0; s <= t; s++) sum += same4(local[k][s][t]) * b[n][s][m];
                    int o = ((m >> 2) - (n >> 1) + 1) * 5 + (m & 3) - (n & 1) + 1;
                    float *to = stencil + ((at[k] * NODES + o) * 4 + t) * 4;
                    v4 more = __builtin_convertvector(sum, v4), held;
                    memcpy(&held, to, sizeof held);
                    held += more;
                    memcpy(to, &held, sizeof held);
                }
        }
    }
}

/* Moments of `r` (0 where known) against the four hats of the cells c0 to c1, in the nodes' own bases. */
void KERNEL(gossamer_restrict)(const float *colour, int64_t size, const float *r, const int32_t *cell_block,
                               const float *mean, const float *basis, int64_t c0, int64_t c1, float *out) {
    const v8 ramp = {0.0f, 0.125f, 0.25f, 0.375f, 0.5f, 0.625f, 0.75f, 0.875f};
    for (int64_t c = c0; c < c1; c++) {
        v8 s[4] = {{0}, {0}, {0}, {0}}, t[4] = {{0}, {0}, {0}, {0}};
        for (int i = 0; i < 8; i++) {
            if (cell_block[8 * c + i] < 0) continue;
            int64_t at = 8 * (int64_t)cell_block[8 * c + i];
            v8 v = load(r + at), f = same(0.125f * (float)i);
            s[0] += v, t[0] += f * v;
            for (int k = 1; k < 4; k++) {
                v8 product = v * (load(colour + (k - 1) * size + at) - same(mean[3 * c + k - 1]));
                s[k] += product, t[k] += f * product;
            }
        }
        float m[4][4];
        for (int k = 0; k < 4; k++) {
            float low = total(s[k]), high = total(t[k]), right = total(ramp * s[k]), corner = total(ramp * t[k]);
            m[0][k] = low - high - right + corner, m[1][k] = right - corner, m[2][k] = high - corner, m[3][k] = corner;
        }
        const float *own = basis + 64 * c;
        for (int n = 0; n < 4; n++)
            for (int k = 0; k < 4; k++) {
                float sum = 0.0f;
                for (int e = 0; e < 4; e++) sum += own[16 * n + 4 * e + k] * m[n][e];
                out[16 * c + 4 * n + k] = sum;
            }
    }
}

/* Add to `z` the coarse function with node coefficients `x`, in the free pixels of the cells c0 to c1. */
void KERNEL(gossamer_prolong)(const float *colour, int64_t size, const float *scale, const int32_t *cell_block,
                              const int32_t *cell_node, const float *mean, const float *basis, const float *x,
                              int64_t c0, int64_t c1, float *z) {
    const v8 ramp = {0.0f, 0.125f, 0.25f, 0.375f, 0.5f, 0.625f, 0.75f, 0.875f};
    for (int64_t c = c0; c < c1; c++) {
        float k[4][4];
        const float *own = basis + 64 * c;
        for (int n = 0; n < 4; n++) {
            const float *at = x + 4 * (int64_t)cell_node[4 * c + n];
            for (int s = 0; s < 4; s++) {
                float sum = 0.0f;
                for (int t = 0; t < 4; t++) sum += own[16 * n + 4 * s + t] * at[t];
                k[n][s] = sum;
            }
        }
        v8 u[4], d[4]; /* along the upper edge of the cell, and what is added towards the lower one */
        for (int s = 0; s < 4; s++) {
            u[s] = same(k[0][s]) + ramp * same(k[1][s] - k[0][s]);
            d[s] = same(k[2][s]) + ramp * same(k[3][s] - k[2][s]) - u[s];
        }
        for (int i = 0; i < 8; i++) {
            if (cell_block[8 * c + i] < 0) continue;
            int64_t at = 8 * (int64_t)cell_block[8 * c + i];
            v8 f = same(0.125f * (float)i), v = u[0] + f * d[0];
            for (int s = 1; s < 4; s++)
                v += (u[s] + f * d[s]) * (load(colour + (s - 1) * size + at) - same(mean[3 * c + s - 1]));
            store(z + at, load(z + at) + where_positive(load(scale + at), v));
        }
    }
}

/* Of the nodes n0 to n1 keep the blocks that `row_of` needs, and what their rows are to be scaled by.
 *
 * Row sums of absolute values bound the spectrum of the scaled matrix by 1, without an estimate.
 */
void KERNEL(gossamer_keep)(const float *stencil, int64_t n0, int64_t n1, float *matrix, float *scale) {
    for (int64_t n = n0; n < n1; n++) {
        const float *from = stencil + 16 * NODES * n;
        v8 sums[2] = {{0}, {0}};
        memcpy(matrix + 16 * AFTER * n, from + 16 * (NODES - AFTER), sizeof(float) * 16 * AFTER);
        for (int k = 0; k < NODES; k++, from += 16) sums[0] += magnitude(load(from)), sums[1] += magnitude(load(from + 8));
        for (int half = 0; half < 2; half++) {
            v8 s = sums[half];
            float one = (s[0] + s[1]) + (s[2] + s[3]), other = (s[4] + s[5]) + (s[6] + s[7]);
            scale[4 * n + 2 * half] = one > 1e-9f ? 1.0f / one : 0.0f;
            scale[4 * n + 2 * half + 1] = other > 1e-9f ? 1.0f / other : 0.0f;
        }
    }
}

/* Four numbers, twice. */
INLINE v8 twice(const float *at) {
    v4 four;
    memcpy(&four, at, sizeof four);
    return (v8){four[0], four[1], four[2], four[3], four[0], four[1], four[2], four[3]};
}

INLINE v8 two(float a, float b) { return (v8){a, a, a, a, b, b, b, b}; }

/* The row of node n in a product with a coarse matrix: what its four functions get.
 *
 * The matrix is symmetric: kept are a node's own block and those of the 12 nodes after it, (13, 4, 4). The blocks of
 * the 12 before it are theirs, transposed.
 */
INLINE void row_of(const int32_t *near, const float *matrix, int64_t n, const float *x, float out[4]) {
    v8 after[2] = {{0}, {0}}, before[2] = {{0}, {0}}; /* of two rows each */
    near += NODES * n;
    for (int k = 0; k < AFTER - 1; k++) {
        if (near[k] < 0) continue;
        const float *block = matrix + 16 * (AFTER * (int64_t)near[k] + AFTER - 1 - k), *at = x + 4 * (int64_t)near[k];
        before[0] += load(block) * two(at[0], at[1]);
        before[1] += load(block + 8) * two(at[2], at[3]);
    }
    matrix += 16 * AFTER * n;
    for (int k = AFTER - 1; k < NODES; k++, matrix += 16) {
        if (near[k] < 0) continue;
        v8 here = twice(x + 4 * (int64_t)near[k]);
        after[0] += load(matrix) * here;
        after[1] += load(matrix + 8) * here;
    }
    before[0] += before[1];
    for (int half = 0; half < 2; half++) {
        v8 sums = after[half];
        out[2 * half] = (sums[0] + sums[2]) + (sums[1] + sums[3]) + before[0][2 * half] + before[0][2 * half + 4];
        out[2 * half + 1] =
            (sums[4] + sums[6]) + (sums[5] + sums[7]) + before[0][2 * half + 1] + before[0][2 * half + 5];
    }
}

/* Chebyshev steps for the nodes n0 to n1, one behind the other while what they share is still in the cache.
 *
 * Step s of `steps`: r -= A p[s], p[s + 1] = c1 p[s] + c2 scale r, x += p[s + 1], with c1 and c2 its two `factors`; where
 * `ends`, the last one but r -= A p[s]. `p` is (steps + 1, count, 4). No node is needed more than `lag` away. Step s
 * begins at n0 + low s lag and ends at n1 + high s lag: where bands meet, they leave out what they cannot know (low 1,
 * high -1), and what was left out around n0 = n1 is done when both are ready (low -1, high 1).
 */
void KERNEL(gossamer_chebyshev)(const int32_t *near, const float *matrix, const float *scale, int64_t count, int64_t n0,
                                int64_t n1, int64_t low, int64_t high, int64_t lag, int64_t steps, int64_t ends,
                                const float *factors, float *p, float *r, float *x) {
    int64_t at[MOST_STEPS];
    for (int64_t s = 0; s < steps; s++) at[s] = n0 + low * s * lag;
    for (int64_t reached = n0, busy = 1; busy; reached += AT_ONCE) {
        busy = 0;
        for (int64_t s = 0; s < steps; s++) {
            int64_t last = n1 + high * s * lag, before = n1 + high * (s - 1) * lag, stop = last;
            if (s == 0)
                stop = least(reached + AT_ONCE, last);
            else if (at[s - 1] < before)
                stop = least(at[s - 1] - lag, last);
            const float *own = p + 4 * count * s;
            float *next = p + 4 * count * (s + 1), c1 = factors[2 * s], c2 = factors[2 * s + 1];
            for (; at[s] < stop; at[s]++) {
                float product[4];
                row_of(near, matrix, at[s], own, product);
                for (int64_t i = 4 * at[s]; i < 4 * at[s] + 4; i++) {
                    r[i] -= product[i - 4 * at[s]];
                    if (ends && s == steps - 1) continue;
                    next[i] = c1 * own[i] + c2 * scale[i] * r[i];
                    x[i] += next[i];
                }
            }
            if (at[s] < last) busy = 1;
        }
    }
}

/* Add what the nodes n0 to n1 contribute to Q'AQ to `coarse`, the matrix of the level with twice the spacing. */
void KERNEL(gossamer_coarsen)(const int32_t *near, const int32_t *node_y, const int32_t *node_x, const float *stencil,
                              const int32_t *parent, const float *transfer, int64_t n0, int64_t n1, float *coarse) {
    for (int64_t n = n0; n < n1; n++) {
        float part[4][16][4] = {{{0}}};
        int used[16] = {0};
        int64_t top = (node_y[n] - 2) >> 1, left = (node_x[n] - 2) >> 1;
        for (int k = 0; k < NODES; k++) {
            int64_t m = near[NODES * n + k];
            if (m < 0) continue;
            for (int p = 0; p < 4; p++) {
                if (parent[4 * m + p] < 0) continue;
                int64_t g = ((node_y[m] >> 1) + (p >> 1) - top) * 4 + (node_x[m] >> 1) + (p & 1) - left;
                used[g] = 1;
                for (int s = 0; s < 4; s++)
                    for (int e = 0; e < 4; e++) {
                        float v = stencil[((n * NODES + k) * 4 + s) * 4 + e];
                        for (int t = 0; t < 4; t++) part[s][g][t] += v * transfer[((4 * m + p) * 4 + e) * 4 + t];
                    }
            }
        }
        for (int p = 0; p < 4; p++) {
            int64_t row = parent[4 * n + p];
            if (row < 0) continue;
            int64_t y = (node_y[n] >> 1) + (p >> 1) - top, x = (node_x[n] >> 1) + (p & 1) - left;
            for (int g = 0; g < 16; g++) {
                if (!used[g]) continue;
                int64_t o = ((g >> 2) - y + 2) * 5 + (g & 3) - x + 2;
                for (int s = 0; s < 4; s++)
                    for (int e = 0; e < 4; e++) {
                        float v = transfer[((4 * n + p) * 4 + e) * 4 + s];
                        for (int t = 0; t < 4; t++) coarse[((row * NODES + o) * 4 + s) * 4 + t] += v * part[e][g][t];
                    }
            }
        }
    }
}

/* Add to `x`, coefficients of the nodes n0 to n1, what the level above has there. */
void KERNEL(gossamer_lift)(const int32_t *parent, const float *transfer, const float *coarse, int64_t n0, int64_t n1,
                           float *x) {
    for (int64_t n = n0; n < n1; n++)
        for (int p = 0; p < 4; p++) {
            if (parent[4 * n + p] < 0) continue;
            const float *own = transfer + 16 * (4 * n + p), *from = coarse + 4 * (int64_t)parent[4 * n + p];
            for (int s = 0; s < 4; s++)
                for (int t = 0; t < 4; t++) x[4 * n + s] += own[4 * s + t] * from[t];
        }
}

/* The transpose: add to `coarse` what the residuals `r` of all nodes are to the level above. */
void KERNEL(gossamer_lower)(const int32_t *parent, const float *transfer, const float *r, int64_t count,
                            float *coarse) {
    for (int64_t n = 0; n < count; n++)
        for (int p = 0; p < 4; p++) {
            if (parent[4 * n + p] < 0) continue;
            const float *own = transfer + 16 * (4 * n + p);
            float *to = coarse + 4 * (int64_t)parent[4 * n + p];
            for (int s = 0; s < 4; s++)
                for (int t = 0; t < 4; t++) to[t] += own[4 * s + t] * r[4 * n + s];
        }
}

INLINE double dot(const double *a, const double *b, int64_t count) {
    v4d even = {0}, odd = {0};
    int64_t i = 0;
    for (; i + 8 <= count; i += 8) even += load4(a + i) * load4(b + i), odd += load4(a + i + 4) * load4(b + i + 4);
    even += odd;
    double rest = 0.0;
    for (; i < count; i++) rest += a[i] * b[i];
    return (even[0] + even[2]) + (even[1] + even[3]) + rest;
}

/* Factorise a symmetric matrix in place (Cholesky). Row i holds the columns `first[i]` to i, at `rows + begin[i]`.
 *
 * Returns 0, or 1 where the matrix is not positive definite.
 */
int64_t KERNEL(gossamer_factorise)(const int64_t *first, const int64_t *begin, int64_t size, double *rows) {
    for (int64_t i = 0; i < size; i++) {
        double *own = rows + begin[i] - first[i];
        for (int64_t j = first[i]; j < i; j++) {
            const double *other = rows + begin[j] - first[j];
            int64_t from = most(first[i], first[j]);
            if (from < j) own[j] -= dot(own + from, other + from, j - from);
            own[j] /= other[j];
        }
        double square = own[i] - dot(own + first[i], own + first[i], i - first[i]);
        if (!(square > 1e-12 * own[i]) || !(own[i] > 0.0)) return 1;
        own[i] = sqrt(square);
    }
    return 0;
}

/* Solve with what `factorise` left; `x` holds the right-hand side. */
void KERNEL(gossamer_solve)(const int64_t *first, const int64_t *begin, int64_t size, const double *rows, double *x) {
    for (int64_t i = 0; i < size; i++) {
        const double *own = rows + begin[i] - first[i];
        x[i] = (x[i] - dot(own + first[i], x + first[i], i - first[i])) / own[i];
    }
    for (int64_t i = size - 1; i >= 0; i--) {
        const double *own = rows + begin[i] - first[i];
        x[i] /= own[i];
        for (int64_t j = first[i]; j < i; j++) x[j] -= own[j] * x[i];
    }
}
