"""Compiled loops of the coarse space of the closed-form solver; imported only when a matte is computed."""

# Numba takes the argument types from the signatures; they say more than annotations could.
# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs

from __future__ import annotations

import numpy as np
from numba import float32, float64, int32, int64, void

from gossamer.matting.closed_form_kernels import TAPS, compiled
from gossamer.matting.closed_form_lanes import load, spread, store, total, where_positive

_F1, _F2, _F3, _F4 = float32[::1], float32[:, ::1], float32[:, :, ::1], float32[:, :, :, ::1]
_I1, _I2 = int32[::1], int32[:, ::1]
_RAMP = np.arange(8, dtype=np.float32) / 8
_D2, _D3 = float64[:, ::1], float64[:, :, ::1]


@compiled(
    void(_F1, _F1, _F1, _F2, _I2, int64, _I1, _I1, _I2, _D2, _D2, _D3, int64, int64, _F4),
)
def galerkin(
    weights,
    data,
    scale,
    colour,
    block_at,
    step,
    cell_y,
    cell_x,
    node_at,
    mean,
    centre,
    basis,
    c0,
    c1,
    stencil,
):
    """Add what the cells c0..c1 contribute to P'AP, the coarse matrix, in the nodes' own bases.

    In float64: A nearly annihilates the colours, and what is left of them decides how good the coarse matrix is.
    """
    height, blocks = block_at.shape
    many = basis.shape[1] ** 2  # 16, but not to the compiler: unrolling the loop around a loop costs it most
    phi = np.zeros((4, 12, 24))
    w = np.zeros((TAPS, 12, 24))
    extra = np.zeros((12, 24))
    part = np.empty(16)
    q = np.empty(64)
    b = np.empty((16, 64))
    local = np.empty((16, 4, 4))
    at_m = np.empty(16, np.int64)
    for c in range(c0, c1):
        cy, cx = cell_y[c], cell_x[c]
        for i in range(12):
            y = 8 * cy - 2 + i
            for side in range(3):
                bx = cx - 1 + side
                k = -1
                if y >= 0 and y < height and bx >= 0 and bx < blocks:
                    k = block_at[y, bx]
                for j in range(8 * side, 8 * side + 8):
                    if k < 0:
                        for t in range(4):
                            phi[t, i, j] = 0.0
                        for t in range(TAPS):
                            w[t, i, j] = 0.0
                        continue
                    at = 8 * k + (j & 7)
                    on = 1.0 if scale[at] > 0 else 0.0
                    phi[0, i, j] = on
                    for t in range(3):
                        phi[t + 1, i, j] = (colour[t, at] - mean[c, t]) * on
                    extra[i, j] = data[at]
                    for t in range(TAPS):
                        w[t, i, j] = weights[at]
                        at += step
        b[:] = 0.0
        for i in range(8):
            fyi = 0.125 * i
            u0, u1 = (0 if i < 2 else 16), (48 if i < 6 else 64)
            for j in range(8):
                if phi[0, i + 2, j + 8] == 0:
                    continue
                # q = row of A P: for every neighbour, its four colour functions on its two columns of hats (part),
                # then on its two rows of hats.
                for u in range(64):
                    q[u] = 0.0
                diagonal = extra[i + 2, j + 8]
                for dy in range(-2, 3):
                    for u in range(16):
                        part[u] = 0.0
                    for dx in range(-2, 3):
                        if dy > 0 or (dy == 0 and dx > 0):
                            k = dx - 1 if dy == 0 else 5 * dy + dx - 1
                            v = w[k, i + 2, j + 8]
                        elif dy < 0 or dx < 0:
                            k = -dx - 1 if dy == 0 else -5 * dy - dx - 1
                            v = w[k, i + 2 + dy, j + 8 + dx]
                        else:
                            continue
                        diagonal += v
                        x = j + dx + 8
                        o = (x >> 3) << 2
                        v1 = v * (0.125 * (x & 7))
                        v0 = v - v1
                        for t in range(4):
                            part[o + t] -= v0 * phi[t, i + 2 + dy, x]
                            part[o + t + 4] -= v1 * phi[t, i + 2 + dy, x]
                    o = ((i + dy + 8) >> 3) << 4
                    fy = 0.125 * ((i + dy + 8) & 7)
                    for u in range(16):
                        q[o + u] += (1.0 - fy) * part[u]
                        q[o + 16 + u] += fy * part[u]
                for e in range(16):
                    wy = fyi if e >= 8 else 1.0 - fyi
                    wx = 0.125 * j if e & 4 else 1.0 - 0.125 * j
                    part[e] = wy * wx * phi[e & 3, i + 2, j + 8]
                    q[20 + (e & 7) + ((e >> 3) << 4)] += diagonal * part[e]
                for e in range(many):
                    v = part[e]
                    for u in range(u0, u1):
                        b[e, u] += v * q[u]
        # From the cell's centred colours to the bases of the nodes m around it (columns) and at its corners n (rows).
        for m in range(16):
            y, x = cy - 1 + (m >> 2), cx - 1 + (m & 3)
            at_m[m] = -1
            if y >= 0 and x >= 0 and y < node_at.shape[0] and x < node_at.shape[1]:
                at_m[m] = node_at[y, x]
            if at_m[m] < 0:
                continue
            for t in range(4):
                for s in range(4):
                    local[m, s, t] = basis[at_m[m], s, t]
                for s in range(3):
                    local[m, 0, t] += (mean[c, s] - centre[at_m[m], s]) * basis[at_m[m], s + 1, t]
            for e in range(16):
                for t in range(3, -1, -1):
                    v = 0.0
                    for s in range(t + 1):
                        v += b[e, 4 * m + s] * local[m, s, t]
                    b[e, 4 * m + t] = v
        for n in range(4):
            k = 5 + ((n >> 1) << 2) + (n & 1)
            for t in range(4):
                for u in range(64):
                    q[u] = 0.0
                for s in range(t + 1):
                    v = local[k, s, t]
                    for u in range(64):
                        q[u] += v * b[4 * n + s, u]
                for m in range(16):
                    if at_m[m] >= 0:
                        o = ((m >> 2) - (n >> 1) + 1) * 5 + (m & 3) - (n & 1) + 1
                        for s in range(4):
                            stencil[at_m[k], t, o, s] += q[4 * m + s]


@compiled(void(_F2, _F1, _I2, _F2, _F4, int64, int64, _F3))
def restrict(colour, r, cell_block, mean, basis, c0, c1, out):
    """Moments of `r` (0 where known) against the four hats of every cell in c0..c1, in the nodes' own bases."""
    m = np.empty((4, 4), np.float32)
    red, green, blue = colour[0], colour[1], colour[2]
    ramp = load(_RAMP, 0)
    for c in range(c0, c1):
        m0, m1, m2 = spread(mean[c, 0]), spread(mean[c, 1]), spread(mean[c, 2])
        s0 = s1 = s2 = s3 = t0 = t1 = t2 = t3 = spread(np.float32(0))
        for i in range(8):
            if cell_block[c, i] < 0:
                continue
            at = 8 * cell_block[c, i]
            v = load(r, at)
            v1 = v * (load(red, at) - m0)
            v2 = v * (load(green, at) - m1)
            v3 = v * (load(blue, at) - m2)
            f = spread(np.float32(0.125) * np.float32(i))
            s0 = s0 + v
            s1 = s1 + v1
            s2 = s2 + v2
            s3 = s3 + v3
            t0 = t0 + f * v
            t1 = t1 + f * v1
            t2 = t2 + f * v2
            t3 = t3 + f * v3
        for s in range(4):
            v = s0 if s == 0 else (s1 if s == 1 else (s2 if s == 2 else s3))
            f = t0 if s == 0 else (t1 if s == 1 else (t2 if s == 2 else t3))
            low, high = total(v), total(f)
            right, corner = total(ramp * v), total(ramp * f)
            m[0, s] = low - high - right + corner
            m[1, s] = right - corner
            m[2, s] = high - corner
            m[3, s] = corner
        for n in range(4):
            for t in range(4):
                w = np.float32(0)
                for s in range(4):
                    w += basis[c, n, s, t] * m[n, s]
                out[c, n, t] = w


@compiled(void(_F2, _F1, _I2, _I2, _F2, _F4, _F2, int64, int64, _F1))
def prolong(colour, scale, cell_block, cell_node, mean, basis, x, c0, c1, z):
    """Add to `z` the coarse function with node coefficients `x`, in the free pixels of the cells c0..c1."""
    k = np.empty((4, 4), np.float32)
    red, green, blue = colour[0], colour[1], colour[2]
    ramp = load(_RAMP, 0)
    for c in range(c0, c1):
        m0, m1, m2 = spread(mean[c, 0]), spread(mean[c, 1]), spread(mean[c, 2])
        for n in range(4):
            node = cell_node[c, n]
            for s in range(4):
                w = np.float32(0)
                for t in range(4):
                    w += basis[c, n, s, t] * x[node, t]
                k[n, s] = w
        # Along the upper edge of the cell, and what is added towards the lower one.
        u0 = spread(k[0, 0]) + ramp * spread(k[1, 0] - k[0, 0])
        u1 = spread(k[0, 1]) + ramp * spread(k[1, 1] - k[0, 1])
        u2 = spread(k[0, 2]) + ramp * spread(k[1, 2] - k[0, 2])
        u3 = spread(k[0, 3]) + ramp * spread(k[1, 3] - k[0, 3])
        d0 = spread(k[2, 0]) + ramp * spread(k[3, 0] - k[2, 0]) - u0
        d1 = spread(k[2, 1]) + ramp * spread(k[3, 1] - k[2, 1]) - u1
        d2 = spread(k[2, 2]) + ramp * spread(k[3, 2] - k[2, 2]) - u2
        d3 = spread(k[2, 3]) + ramp * spread(k[3, 3] - k[2, 3]) - u3
        for i in range(8):
            if cell_block[c, i] < 0:
                continue
            at = 8 * cell_block[c, i]
            f = spread(np.float32(0.125) * np.float32(i))
            v = u0 + f * d0 + (u1 + f * d1) * (load(red, at) - m0)
            v = v + (u2 + f * d2) * (load(green, at) - m1) + (u3 + f * d3) * (load(blue, at) - m2)
            store(z, at, load(z, at) + where_positive(load(scale, at), v))


@compiled(void(_I2, _F3, _F2, int64, int64, _F2))
def multiply(near, matrix, x, n0, n1, out):
    """Multiply the rows of nodes n0..n1 by a coarse matrix: 4 rows of 25 x 4 numbers a node."""
    values = np.empty(100, np.float32)
    for n in range(n0, n1):
        for k in range(25):
            m = near[n, k]
            for t in range(4):
                values[4 * k + t] = x[m, t] if m >= 0 else np.float32(0)
        for s in range(4):
            v = np.float32(0)
            for t in range(100):
                v += matrix[n, s, t] * values[t]
            out[n, s] = v


@compiled(void(_I2, _I1, _I1, _F4, _I2, _F4, _F4))
def coarsen(near, node_y, node_x, stencil, parent, transfer, coarse):
    """Add Q'AQ to `coarse`, the matrix of the level with twice the spacing."""
    part = np.empty((4, 16, 4), np.float32)
    used = np.zeros(16, np.bool_)
    for n in range(len(node_y)):
        top, left = (node_y[n] - 2) >> 1, (node_x[n] - 2) >> 1
        part[:] = 0
        used[:] = False
        for k in range(25):
            m = near[n, k]
            if m < 0:
                continue
            for p in range(4):
                if parent[m, p] < 0:
                    continue
                g = ((node_y[m] >> 1) + (p >> 1) - top) * 4 + (node_x[m] >> 1) + (p & 1) - left
                used[g] = True
                for s in range(4):
                    for e in range(4):
                        v = stencil[n, s, k, e]
                        for t in range(4):
                            part[s, g, t] += v * transfer[m, p, e, t]
        for p in range(4):
            row = parent[n, p]
            if row < 0:
                continue
            y, x = (node_y[n] >> 1) + (p >> 1) - top, (node_x[n] >> 1) + (p & 1) - left
            for g in range(16):
                if used[g]:
                    o = ((g >> 2) - y + 2) * 5 + (g & 3) - x + 2
                    for s in range(4):
                        for e in range(4):
                            v = transfer[n, p, e, s]
                            for t in range(4):
                                coarse[row, s, o, t] += v * part[e, g, t]
