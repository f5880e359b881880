"""Compiled loops of the closed-form solver; imported only when a matte is computed (it loads numba).

Layout
------
Only pixels near unknown ones are stored. Each picture row is cut into aligned blocks of 8 pixels; the active blocks,
row after row, make up the *compact* order in which every vector of the solver lives. Neighbouring active blocks form
a *segment*, so that the weights are built over long stretches of memory: segments of row y are
``seg_ptr[y]:seg_ptr[y + 1]``, each with its first column, its length in pixels and its compact start.

The Laplacian couples a pixel with the 24 others of its 5 x 5 neighbourhood. It is symmetric, so the 12 *forward*
weights of a pixel are enough: tap k of the pixel at compact index i lies at ``k * step + i``. It is applied as sums of
w (x_i - x_j): constants are annihilated exactly, which float32 would not do with a stored diagonal. Every active block
next to a free pixel is where the compact order says (see `Layout`), so that eight pixels are worked on at once.
"""

# Numba takes the argument types from the signatures; they say more than annotations could.
# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs

from __future__ import annotations

import numpy as np
from numba import float32, float64, int32, int64, njit, types, void

from gossamer.matting.closed_form_lanes import load, magnitude, spread, store, total, where_positive

PAD = 8
TAPS = 12

_OPTIONS = {"nogil": True, "fastmath": {"reassoc", "contract", "nsz"}}
_F1, _I1, _I2 = float32[::1], int32[::1], int32[:, ::1]
_PICTURE = types.Array(float32, 3, "A", readonly=True)  # pictures that were read are read-only


def compiled(signature):
    """Compile for `signature`; kept for the next process wherever numba finds a folder that it may write to."""

    def decorate(function):
        try:
            return njit(signature, cache=True, **_OPTIONS)(function)
        except RuntimeError:  # no such folder: neither beside this file nor the user's cache
            return njit(signature, **_OPTIONS)(function)

    return decorate


@compiled(
    void(_PICTURE, _I1, _I1, _I1, _I1, _I1, _I1, _I1, int64, float64, int64, int64, _F1),
)
def build_weights(image, ptr, seg_x, seg_n, seg_at, win_ptr, win_x, win_n, step, epsilon, y0, y1, weights):
    """Forward weights of the rows y0..y1 of the matting Laplacian (Levin 2008), windows of 3 x 3."""
    height, width = image.shape[0], image.shape[1]
    span = (width + 7) // 8 * 8 + 3 * PAD  # one for the guard
    chunk = 256
    rows = np.zeros((3, 3, span))
    sums = np.empty((9, chunk + 2))
    model = np.empty((9, chunk))
    u = np.empty((27, chunk))
    ring = np.zeros((3, TAPS, span))
    ninth = 1.0 / 9.0
    loaded = y0 - 3
    for wy in range(y0 - 1, y1 + 1):
        ring[(wy + 1) % 3] = 0.0
        inside = wy >= 1 and wy <= height - 2
        if inside and win_ptr[wy] < win_ptr[wy + 1]:
            for y in range(max(loaded + 1, wy - 1), wy + 2):
                for c in range(3):
                    line = rows[y % 3, c]
                    for x in range(width):
                        line[x + PAD] = image[y, x, c]
            loaded = wy + 1
        if inside:
            for s in range(win_ptr[wy], win_ptr[wy + 1]):
                first = max(win_x[s], 1)
                last = min(win_x[s] + win_n[s], width - 1)
                for a in range(first, last, chunk):
                    n = min(chunk, last - a)
                    # Sums over columns, then over rows, of colours and their products; float64, because the
                    # covariance of a flat window next to an edge is lost in float32.
                    for c in range(3):
                        p, q, r = rows[0, c, a + PAD - 1 :], rows[1, c, a + PAD - 1 :], rows[2, c, a + PAD - 1 :]
                        d = (c + 1) % 3
                        e, f, g = rows[0, d, a + PAD - 1 :], rows[1, d, a + PAD - 1 :], rows[2, d, a + PAD - 1 :]
                        one, two, mix = sums[c], sums[3 + c], sums[6 + c]
                        for t in range(n + 2):
                            one[t] = p[t] + q[t] + r[t]
                            two[t] = p[t] * p[t] + q[t] * q[t] + r[t] * r[t]
                            mix[t] = p[t] * e[t] + q[t] * f[t] + r[t] * g[t]
                    for t in range(n):
                        m0 = (sums[0, t] + sums[0, t + 1] + sums[0, t + 2]) * ninth
                        m1 = (sums[1, t] + sums[1, t + 1] + sums[1, t + 2]) * ninth
                        m2 = (sums[2, t] + sums[2, t + 1] + sums[2, t + 2]) * ninth
                        reg = epsilon * ninth
                        c00 = max((sums[3, t] + sums[3, t + 1] + sums[3, t + 2]) * ninth - m0 * m0, 0.0) + reg
                        c11 = max((sums[4, t] + sums[4, t + 1] + sums[4, t + 2]) * ninth - m1 * m1, 0.0) + reg
                        c22 = max((sums[5, t] + sums[5, t + 1] + sums[5, t + 2]) * ninth - m2 * m2, 0.0) + reg
                        c10 = (sums[6, t] + sums[6, t + 1] + sums[6, t + 2]) * ninth - m0 * m1
                        c21 = (sums[7, t] + sums[7, t + 1] + sums[7, t + 2]) * ninth - m1 * m2
                        c20 = (sums[8, t] + sums[8, t + 1] + sums[8, t + 2]) * ninth - m2 * m0
                        # Cholesky factor; the regularisation bounds every pivot from below.
                        i0 = 1.0 / np.sqrt(c00)
                        l10 = c10 * i0
                        l20 = c20 * i0
                        i1 = 1.0 / np.sqrt(max(c11 - l10 * l10, reg))
                        l21 = (c21 - l20 * l10) * i1
                        i2 = 1.0 / np.sqrt(max(c22 - l20 * l20 - l21 * l21, reg))
                        model[0, t] = m0
                        model[1, t] = m1
                        model[2, t] = m2
                        model[3, t] = i0
                        model[4, t] = l10
                        model[5, t] = i1
                        model[6, t] = l20
                        model[7, t] = l21
                        model[8, t] = i2
                    for i in range(9):
                        y = (wy - 1 + i // 3) % 3
                        o = a + PAD - 1 + i % 3
                        p, q, r = rows[y, 0, o:], rows[y, 1, o:], rows[y, 2, o:]
                        v0, v1, v2 = u[3 * i], u[3 * i + 1], u[3 * i + 2]
                        for t in range(n):
                            a0 = (p[t] - model[0, t]) * model[3, t]
                            a1 = (q[t] - model[1, t] - model[4, t] * a0) * model[5, t]
                            a2 = (r[t] - model[2, t] - model[6, t] * a0 - model[7, t] * a1) * model[8, t]
                            v0[t] = a0
                            v1[t] = a1
                            v2[t] = a2
                    for i in range(9):
                        v0, v1, v2 = u[3 * i], u[3 * i + 1], u[3 * i + 2]
                        for j in range(i + 1, 9):
                            dy = j // 3 - i // 3
                            dx = j % 3 - i % 3
                            k = dx - 1 if dy == 0 else 5 * dy + dx - 1
                            o = a + PAD - 1 + i % 3
                            to = ring[(wy - 1 + i // 3) % 3, k, o:]
                            w0, w1, w2 = u[3 * j], u[3 * j + 1], u[3 * j + 2]
                            for t in range(n):
                                to[t] += 1.0 + v0[t] * w0[t] + v1[t] * w1[t] + v2[t] * w2[t]
        y = wy - 1
        if y >= y0 and y < y1:
            for s in range(ptr[y], ptr[y + 1]):
                n, at = seg_n[s], seg_at[s]
                for k in range(TAPS):
                    line = ring[y % 3, k, seg_x[s] + PAD :]
                    to32 = weights[at + k * step : at + k * step + n]
                    for t in range(n):
                        to32[t] = line[t] * ninth


@compiled(void(_F1, _F1, _I2, int64, int64, int64, _F1))
def bound(weights, data, near, step, b0, b1, out):
    """Sum of |weights| + data in the blocks b0..b1 of `near`: bounds A x for |x| <= 1."""
    for b in range(b0, b1):
        at = 8 * near[b, 0]
        v = load(data, at)
        for dx in range(1, 3):
            k = (dx - 1) * step
            v = v + magnitude(load(weights, k + at)) + magnitude(load(weights, k + at - dx))
        for dy in range(1, 3):
            up = 8 * near[b, dy]
            for dx in range(-2, 3):
                k = (5 * dy + dx - 1) * step
                v = v + magnitude(load(weights, k + at)) + magnitude(load(weights, k + up - dx))
        store(out, at, v)


@compiled(
    float64(_F1, _F1, _F1, _I2, int64, int64, int64, int64, float32, float32, _F1, _F1, _F1, _F1, _F1),
)
def apply(weights, data, scale, near, step, b0, b1, mode, c1, c2, x, r, z, out, rest):
    """Multiply by A = L + diag(data) in the blocks b0..b1 of `near`, and do with v = A x what `mode` says.

    0: out = v where free (`scale` > 0), else 0; returns x . v
    1: out = r - v where free, else 0
    2: rest = r - v; out = c1 x + c2 scale rest; z = x + out (two Chebyshev steps, of which x is the first)
    3: rest = r - v where free, else 0; out = c1 scale rest (the first step)
    4: z += x + c1 x + c2 scale (rest - v) (two steps); returns r . z

    Lanes that are not free come out wrong before they are masked: what lies beside them need not be a neighbour.
    """
    sums = 0.0
    a1, a2 = spread(c1), spread(c2)
    for b in range(b0, b1):
        at = 8 * near[b, 0]
        own = load(x, at)
        v = load(data, at) * own
        u = v - v
        for dx in range(1, 3):
            k = (dx - 1) * step
            v = v + load(weights, k + at) * (own - load(x, at + dx))
            u = u + load(weights, k + at - dx) * (own - load(x, at - dx))
        for dy in range(1, 3):
            up = 8 * near[b, dy]
            down = 8 * near[b, 2 + dy]
            for dx in range(-2, 3):
                k = (5 * dy + dx - 1) * step
                v = v + load(weights, k + at) * (own - load(x, down + dx))
                u = u + load(weights, k + up - dx) * (own - load(x, up - dx))
        v = v + u
        free = load(scale, at)
        if mode == 0:
            v = where_positive(free, v)
            store(out, at, v)
            sums += total(v * own)
        elif mode == 1:
            store(out, at, where_positive(free, load(r, at) - v))
        elif mode == 2:
            v = load(r, at) - v
            store(rest, at, v)
            v = a1 * own + a2 * free * v
            store(out, at, v)
            store(z, at, own + v)
        elif mode == 3:
            v = where_positive(free, load(r, at) - v)
            store(rest, at, v)
            store(out, at, a1 * free * v)
        else:
            v = load(z, at) + own + a1 * own + a2 * free * (load(rest, at) - v)
            store(z, at, v)
            sums += total(v * load(r, at))
    return sums


@compiled(float64(_F1, int64, int64, float32, float32, _F1, _F1, _F1, _F1, _F1))
def advance(scale, b0, b1, length, c, p, product, x, r, first):
    """Go `length` along p in the blocks b0..b1 of the compact order; first = c scale r; return r . r."""
    sums = 0.0
    along, share = spread(length), spread(c)
    for b in range(b0, b1):
        at = 8 * b
        store(x, at, load(x, at) + along * load(p, at))
        v = load(r, at) - along * load(product, at)
        store(r, at, v)
        store(first, at, share * load(scale, at) * v)
        sums += total(v * v)
    return sums
