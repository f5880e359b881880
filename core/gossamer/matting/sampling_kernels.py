"""The compiled loop of colour sampling; imported only when a matte is computed (it loads numba)."""

# Numba takes the argument types from the signature; it says more than annotations could.
# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs

from __future__ import annotations

import numpy as np
from numba import float32, int32, int64, types, void

from gossamer.matting.closed_form_kernels import compiled

_F2, _I1, _I2 = float32[:, ::1], int32[::1], int32[:, ::1]
_PICTURE = types.Array(float32, 3, "A", readonly=True)  # pictures that were read are read-only


@compiled(void(_PICTURE, _I1, _I1, _I1, _I2, _I2, _F2, _F2, float32, int64, int64, _F2))
def best_pairs(image, rows, columns, group, fore_near, back_near, fore, back, far, start, stop, result):
    """For pixels start..stop find the pairs of colours that explain them best (see colour_sampling).

    `fore` and `back` hold colour and position (r, g, b, y, x) of the samples, `fore_near[group[i]]` the candidates of
    pixel i. Writes mean alpha, cost and colour distance of the three best pairs to `result[i]`.
    """
    count = back_near.shape[1]
    pair = np.empty((8, count), np.float32)
    best = np.empty((3, 3), np.float32)
    tiny, zero, one = np.float32(1e-6), np.float32(0), np.float32(1)
    for i in range(start, stop):
        y, x = np.float32(rows[i]), np.float32(columns[i])
        r, g, b = image[rows[i], columns[i], 0], image[rows[i], columns[i], 1], image[rows[i], columns[i], 2]
        for k in range(count):
            s = back_near[group[i], k]
            pair[0, k], pair[1, k], pair[2, k] = back[s, 0], back[s, 1], back[s, 2]
            away = (back[s, 3] - y) * (back[s, 3] - y) + (back[s, 4] - x) * (back[s, 4] - x)
            pair[3, k] = far * np.sqrt(away)
        for k in range(3):
            best[k, 0], best[k, 1], best[k, 2] = np.float32(0.5), np.float32(1e9), zero
        for f in range(fore_near.shape[1]):
            s = fore_near[group[i], f]
            f0, f1, f2 = fore[s, 0], fore[s, 1], fore[s, 2]
            away = (fore[s, 3] - y) * (fore[s, 3] - y) + (fore[s, 4] - x) * (fore[s, 4] - x)
            behind = far * np.sqrt(away)
            for k in range(count):
                d0, d1, d2 = f0 - pair[0, k], f1 - pair[1, k], f2 - pair[2, k]
                e0, e1, e2 = r - pair[0, k], g - pair[1, k], b - pair[2, k]
                span = d0 * d0 + d1 * d1 + d2 * d2
                t = (e0 * d0 + e1 * d1 + e2 * d2) / (span + tiny)
                t = min(max(t, zero), one)
                e0, e1, e2 = e0 - t * d0, e1 - t * d1, e2 - t * d2
                pair[4, k] = np.sqrt(e0 * e0 + e1 * e1 + e2 * e2) + behind + pair[3, k]
                pair[5, k] = t
                pair[6, k] = span
            for k in range(count):
                if pair[4, k] < best[2, 1]:
                    place = 2
                    while place > 0 and pair[4, k] < best[place - 1, 1]:
                        best[place, 0], best[place, 1] = best[place - 1, 0], best[place - 1, 1]
                        best[place, 2] = best[place - 1, 2]
                        place -= 1
                    best[place, 0], best[place, 1], best[place, 2] = pair[5, k], pair[4, k], np.sqrt(pair[6, k])
        for k in range(3):
            result[i, k] = (best[0, k] + best[1, k] + best[2, k]) / np.float32(3)
