/* What the coarse space of the closed-form solver begins with, before there are weights: its nodes, their functions and
 * the transfers between levels; see gossamer/matting/closed_form/multigrid.py.
 *
 * A Gram matrix holds the sums of the products of {1, R, G, B} over a node's pixels, colours about its `centre`: (4, 4).
 */

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "kernels.h"
#include "lanes.h"

/* Of the cells c0 to c1: how many free pixels each has, their mean colour, and their Gram matrix about that. */
void KERNEL(gossamer_moments)(const float *colour, int64_t size, const uint8_t *free, const int32_t *cell_block,
                              int64_t c0, int64_t c1, double *weight, double *mean, double *moment) {
    for (int64_t c = c0; c < c1; c++) {
        v8 held = same(0.0f), sums[3] = {same(0.0f), same(0.0f), same(0.0f)};
        v8 on[8], products[6] = {same(0.0f), same(0.0f), same(0.0f), same(0.0f), same(0.0f), same(0.0f)};
        for (int i = 0; i < 8; i++) {
            on[i] = same(0.0f);
            if (cell_block[8 * c + i] < 0) continue;
            int64_t at = 8 * (int64_t)cell_block[8 * c + i];
            for (int j = 0; j < 8; j++) on[i][j] = free[at + j] ? 1.0f : 0.0f;
            held += on[i];
            for (int k = 0; k < 3; k++) sums[k] += on[i] * load(colour + k * size + at);
        }
        double count = total(held), *own = moment + 16 * c;
        float middle[3];
        for (int k = 0; k < 3; k++) mean[3 * c + k] = (double)total(sums[k]) / count, middle[k] = (float)mean[3 * c + k];
        for (int i = 0; i < 8; i++) { /* means first: raw second moments would lose faint colours in single precision */
            if (cell_block[8 * c + i] < 0) continue;
            int64_t at = 8 * (int64_t)cell_block[8 * c + i];
            v8 off[3];
            for (int k = 0; k < 3; k++) off[k] = on[i] * (load(colour + k * size + at) - same(middle[k]));
            for (int k = 0, n = 0; k < 3; k++)
                for (int l = 0; l <= k; l++, n++) products[n] += off[k] * off[l];
        }
        memset(own, 0, 16 * sizeof(double));
        weight[c] = own[0] = count;
        for (int k = 0, n = 0; k < 3; k++)
            for (int l = 0; l <= k; l++, n++) own[4 * k + l + 5] = own[4 * l + k + 5] = total(products[n]);
    }
}

/* Bring what the cells hold to the nodes at their corners, (cells, 4): mean colour and Gram matrix, zero before. */
void KERNEL(gossamer_meet)(const int32_t *cell_node, const double *weight, const double *mean, const double *moment,
                           int64_t cells, int64_t nodes, double *sum, double *centre, double *gram) {
    for (int64_t n = 0; n < 4 * cells; n++) {
        int64_t c = n >> 2, at = cell_node[n];
        sum[at] += weight[c];
        for (int k = 0; k < 3; k++) centre[3 * at + k] += weight[c] * mean[3 * c + k];
    }
    for (int64_t at = 0; at < nodes; at++)
        for (int k = 0; k < 3; k++) centre[3 * at + k] /= sum[at];
    for (int64_t n = 0; n < 4 * cells; n++) {
        int64_t c = n >> 2, at = cell_node[n];
        double off[4] = {1.0, 0.0, 0.0, 0.0}, *to = gram + 16 * at;
        const double *own = moment + 16 * c;
        for (int k = 0; k < 3; k++) off[k + 1] = mean[3 * c + k] - centre[3 * at + k];
        to[0] += own[0];
        for (int e = 1; e < 16; e++) to[e] += own[e] + weight[c] * off[e >> 2] * off[e & 3];
    }
}

/* Of the nodes n0 to n1 find columns that make {1, R, G, B} orthonormal; what depends on others there becomes zero. */
void KERNEL(gossamer_bases)(const double *gram, int64_t n0, int64_t n1, double *basis) {
    const double faint = (0.01 / 255) * (0.01 / 255);
    for (int64_t n = n0; n < n1; n++) {
        const double *g = gram + 16 * n;
        double low[4][4] = {{0.0}}, inverse[4][4] = {{0.0}};
        int kept[4];
        for (int i = 0; i < 4; i++) {
            double rest = g[5 * i];
            for (int j = 0; j < i; j++) {
                double part = g[4 * i + j];
                for (int k = 0; k < j; k++) part -= low[i][k] * low[j][k];
                low[i][j] = kept[j] ? part / low[j][j] : 0.0;
            }
            for (int k = 0; k < i; k++) rest -= low[i][k] * low[i][k];
            kept[i] = rest > (i ? faint * g[0] : 1e-6) && rest > 1e-5 * g[5 * i];
            low[i][i] = kept[i] ? sqrt(rest) : 1.0;
        }
        for (int j = 0; j < 4; j++) {
            if (!kept[j]) continue;
            inverse[j][j] = 1.0 / low[j][j];
            for (int i = j + 1; i < 4; i++) {
                double sum = 0.0;
                for (int k = j; k < i; k++) sum += low[i][k] * inverse[k][j];
                inverse[i][j] = kept[i] ? -sum / low[i][i] : 0.0;
            }
        }
        for (int e = 0; e < 16; e++) basis[16 * n + e] = inverse[e & 3][e >> 2];
    }
}

/* The bases of the nodes at the corners of the cells c0 to c1, in terms of each cell's own centred colours. */
void KERNEL(gossamer_corners)(const int32_t *cell_node, const double *mean, const double *centre, const double *basis,
                              int64_t c0, int64_t c1, float *out) {
    for (int64_t n = 4 * c0; n < 4 * c1; n++) {
        const double *own = basis + 16 * (int64_t)cell_node[n], *middle = centre + 3 * (int64_t)cell_node[n];
        for (int t = 0; t < 4; t++) {
            double first = own[t];
            for (int k = 0; k < 3; k++) first += (mean[3 * (n >> 2) + k] - middle[k]) * own[4 * (k + 1) + t];
            out[16 * n + t] = (float)first;
            for (int s = 1; s < 4; s++) out[16 * n + 4 * s + t] = (float)own[4 * s + t];
        }
    }
}

/* The 25 nodes around each of `count`, itself in the middle; -1 where there is none. */
void KERNEL(gossamer_around)(const int32_t *number, int64_t rows, int64_t columns, const int32_t *y, const int32_t *x,
                             int64_t count, int32_t *near) {
    for (int64_t n = 0; n < count; n++)
        for (int k = 0; k < 25; k++) {
            int64_t i = y[n] + k / 5 - 2, j = x[n] + k % 5 - 2;
            near[25 * n + k] = i < 0 || j < 0 || i >= rows || j >= columns ? -1 : number[i * columns + j];
        }
}

/* Find the parents of `count` nodes on the level with twice the spacing, (count, 4), -1 for none, and their shares.
 *
 * `number`, (rows, columns) of that level, is -1 before; returns how many nodes it has.
 */
int64_t KERNEL(gossamer_parents)(const int32_t *y, const int32_t *x, int64_t count, int64_t rows, int64_t columns,
                                 int32_t *number, int32_t *parent, double *share) {
    for (int64_t n = 0; n < count; n++)
        for (int p = 0; p < 4; p++) {
            double down = y[n] & 1 ? 0.5 : 1.0 - (p >> 1), right = x[n] & 1 ? 0.5 : 1.0 - (p & 1);
            share[4 * n + p] = down * right;
            if (down * right > 0.0) number[((y[n] >> 1) + (p >> 1)) * columns + (x[n] >> 1) + (p & 1)] = 0;
        }
    int32_t found = 0;
    for (int64_t at = 0; at < rows * columns; at++)
        if (number[at] == 0) number[at] = found++;
    for (int64_t n = 0; n < count; n++)
        for (int p = 0; p < 4; p++)
            parent[4 * n + p] = share[4 * n + p] > 0.0
                                    ? number[((y[n] >> 1) + (p >> 1)) * columns + (x[n] >> 1) + (p & 1)]
                                    : -1;
    return found;
}

/* Bring mean colour and Gram matrix of `count` nodes to their `above` parents; all that is written is zero before. */
void KERNEL(gossamer_ascend)(const int32_t *parent, const double *share, int64_t count, const double *centre,
                           const double *gram, int64_t above, double *sum, double *middle, double *result) {
    for (int64_t n = 0; n < 4 * count; n++) {
        if (parent[n] < 0) continue;
        double mass = share[n] * gram[16 * (n >> 2)];
        sum[parent[n]] += mass;
        for (int k = 0; k < 3; k++) middle[3 * (int64_t)parent[n] + k] += mass * centre[3 * (n >> 2) + k];
    }
    for (int64_t at = 0; at < above; at++)
        for (int k = 0; k < 3; k++) middle[3 * at + k] /= sum[at];
    for (int64_t n = 0; n < 4 * count; n++) {
        if (parent[n] < 0) continue;
        const double *g = gram + 16 * (n >> 2);
        double off[4] = {0.0}, *to = result + 16 * (int64_t)parent[n], square = share[n] * share[n];
        for (int k = 0; k < 3; k++) off[k + 1] = centre[3 * (n >> 2) + k] - middle[3 * (int64_t)parent[n] + k];
        for (int a = 0; a < 4; a++)
            for (int b = 0; b < 4; b++)
                to[4 * a + b] +=
                    square * (g[4 * a + b] + off[a] * g[b] + off[b] * g[4 * a] + off[a] * off[b] * g[0]);
    }
}

/* The transfer from `count` nodes to their parents, (count, 4, 4, 4), zero before: what a parent's functions, times the
 * hat's height, are in the node's own. */
void KERNEL(gossamer_transfer)(const int32_t *parent, const double *share, int64_t count, const double *centre,
                               const double *gram, const double *basis, const double *middle, const double *above,
                               float *out) {
    for (int64_t n = 0; n < count; n++) {
        const double *own = basis + 16 * n, *g = gram + 16 * n;
        double inverse[4][4] = {{0.0}}; /* basis' gram */
        for (int s = 0; s < 4; s++)
            for (int k = 0; k < 4; k++)
                for (int t = 0; t < 4; t++) inverse[s][t] += own[4 * k + s] * g[4 * k + t];
        for (int p = 0; p < 4; p++) {
            int64_t to = parent[4 * n + p];
            if (to < 0) continue;
            double theirs[4][4];
            memcpy(theirs, above + 16 * to, sizeof theirs);
            for (int k = 0; k < 3; k++)
                for (int t = 0; t < 4; t++)
                    theirs[0][t] += (centre[3 * n + k] - middle[3 * to + k]) * above[16 * to + 4 * (k + 1) + t];
            for (int s = 0; s < 4; s++)
                for (int t = 0; t < 4; t++) {
                    double sum = 0.0;
                    for (int k = 0; k < 4; k++) sum += inverse[s][k] * theirs[k][t];
                    out[16 * (4 * n + p) + 4 * s + t] = (float)(sum * share[4 * n + p]);
                }
        }
    }
}
