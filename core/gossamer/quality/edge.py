"""The edge: how soft it is, whether it is stepped or rough, and what haze lies away from it."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.quality.view import View

__all__ = ["Edge", "measure_edge"]

_SOFT = 0.08, 0.92  # beyond that it is haze
_WHOLE_STEP = 0.95  # of what alpha rises over four pixels: it jumps between two of them
_RISE = 0.3  # less is no edge
_HAZE = 0.01, 0.08
_FAR = 14.0  # units from what is seen as the subject: no edge reaches so far
_DEEP = 8.0  # units below the surface
_OPAQUE = 0.96
_SMOOTH = 2.0  # sigma in units: what a contour loses by this blur is roughness
_LEAST = 30  # crossings: of fewer nothing can be said
_STRAIGHT = 16  # pixels in a line
_STRIP = 64  # rows
_LOOKED_AT = 2_000_000  # pixels


class Edge(NamedTuple):
    """What the edge of an alpha says.

    Attributes
    ----------
    softness : float
        Soft area a length of contour: how wide the edge is, in units.
    steps : float
        Share of the edge that jumps from one pixel to the next, at the cut-out's own size: near 1 of masks that are
        black and white, or enlarged without interpolation.
    roughness : float
        Hard teeth a length of contour, in units.
    haze : float
        Share of what lies far from the subject that has an alpha of 1 to 8 %.
    ghost : float
        The same with more.
    veil : float
        Share of what lies deep inside that can be seen through.
    """

    softness: float
    steps: float
    roughness: float
    haze: float
    ghost: float
    veil: float


def measure_edge(view: View) -> Edge:
    """Measure the edge of a cut-out."""
    alpha = view.alpha
    soft = int(np.count_nonzero((alpha > _SOFT[0]) & (alpha < _SOFT[1])))
    far, deep = view.without > _FAR, view.within > _DEEP
    behind, within = alpha[far], alpha[deep]
    return Edge(
        softness=soft / view.length / view.unit,
        steps=_steps(view.whole),
        roughness=_roughness(view),
        haze=float(((behind >= _HAZE[0]) & (behind <= _HAZE[1])).mean()) if behind.size else 0.0,
        ghost=float((behind > _HAZE[1]).mean()) if behind.size else 0.0,
        veil=float((within < _OPAQUE).mean()) if within.size else 0.0,
    )


def _steps(alpha: Array) -> float:
    """Return which share of the crossings of one half, along rows and columns, is one jump."""
    apart = _STRIP * max(math.ceil(alpha.size / _LOOKED_AT), 1)  # of large ones some strips tell as much
    jumps = crossings = 0
    for plane in (alpha, alpha.T):
        for top in range(0, plane.shape[0], apart):
            rows = np.ascontiguousarray(plane[top : top + _STRIP])
            if rows.shape[1] < 4:
                continue
            inside = rows > 0.5
            y, x = np.nonzero(_bent(inside[:, 1:-2] != inside[:, 2:-1]))
            around = np.stack([rows[y, x + shift] for shift in range(4)])
            rise = around.max(axis=0) - around.min(axis=0)
            crossing = rise > _RISE
            jumps += int(np.count_nonzero(crossing & (np.abs(around[2] - around[1]) >= _WHOLE_STEP * rise)))
            crossings += int(np.count_nonzero(crossing))
    return jumps / crossings if crossings >= _LEAST else 0.0


def _bent(crossings: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return crossings without those in a straight line across, as at the side of a box, which may well be sharp."""
    import cv2

    if crossings.shape[0] < _STRAIGHT:
        return crossings
    kernel = np.ones((_STRAIGHT, 1), np.uint8)
    straight = cv2.morphologyEx(crossings.astype(np.uint8), cv2.MORPH_OPEN, kernel)
    result: NDArray[np.bool_] = crossings & (straight == 0)
    return result


def _roughness(view: View) -> float:
    """Return the area that smoothing the contour changes where alpha is sure, a length of contour."""
    import cv2

    smooth = cv2.GaussianBlur(view.inside.astype(np.float32), (0, 0), _SMOOTH * view.unit) > 0.5
    teeth = (smooth != view.inside) & (np.abs(view.alpha - 0.5) > 0.4)
    return float(np.count_nonzero(teeth)) / view.length / view.unit
