"""The edge: how soft it is, whether it is stepped or rough, and what haze lies away from it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.quality.view import View, blurred
from gossamer.quality.windows import places

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
_TILE = 64  # pixels
_LOOKED_AT = 80  # tiles


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
    visible = far & (alpha >= _HAZE[0])
    return Edge(
        softness=soft / view.length / view.unit,
        steps=_steps(view),
        roughness=_roughness(view),
        haze=_share(visible & (alpha <= _HAZE[1]), far),
        ghost=_share(visible & (alpha > _HAZE[1]), far),
        veil=_share(deep & (alpha < _OPAQUE), deep),
    )


def _share(some: NDArray[np.bool_], of: NDArray[np.bool_]) -> float:
    return int(np.count_nonzero(some)) / max(int(np.count_nonzero(of)), 1)


def _steps(view: View) -> float:
    """Return which share of the crossings of one half, along rows and columns, is one jump."""
    tiles = _tiles(view)
    jumps = crossings = 0
    for planes in (tiles, tiles.transpose(0, 2, 1)):
        rows = np.ascontiguousarray(planes[:, 1:-2])
        inside = rows > 0.5
        bent = _bent(inside[:, :, 1:-2] != inside[:, :, 2:-1])
        line, x = places(bent.reshape(-1, bent.shape[2]))
        around = np.stack([rows.reshape(-1, rows.shape[2])[line, x + shift] for shift in range(4)])
        rise = around.max(axis=0) - around.min(axis=0)
        crossing = rise > _RISE
        jumps += int(np.count_nonzero(crossing & (np.abs(around[2] - around[1]) >= _WHOLE_STEP * rise)))
        crossings += int(np.count_nonzero(crossing))
    return jumps / crossings if crossings >= _LEAST else 0.0


def _tiles(view: View) -> Array:
    """Return squares of alpha at its own size that the contour runs through, with one pixel before and two after."""
    size = np.array(view.whole.shape)
    side = int(min(_TILE, *size))
    found = np.stack(places(view.contour), axis=1) * (size / view.alpha.shape) // side
    corners = np.unique(found.astype(np.intp), axis=0) * side
    if len(corners) > _LOOKED_AT:  # of many some tell as much
        corners = corners[np.arange(_LOOKED_AT) * len(corners) // _LOOKED_AT]
    corners = np.minimum(corners, size - side)
    span = np.arange(-1, side + 2)
    y, x = (np.clip(corners[:, axis, None] + span, 0, size[axis] - 1) for axis in (0, 1))
    tiles: Array = view.whole[y[:, :, None], x[:, None]]
    return tiles


def _bent(crossings: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return crossings without those in a straight line across, as at the side of a box, which may well be sharp."""
    import cv2

    count, height, width = crossings.shape
    if height < _STRAIGHT or not count:
        return crossings
    apart = np.zeros((count, height + 1, width), np.uint8)
    apart[:, :-1] = crossings
    kernel = np.ones((_STRAIGHT, 1), np.uint8)
    straight = cv2.morphologyEx(apart.reshape(-1, width), cv2.MORPH_OPEN, kernel).reshape(apart.shape)
    result: NDArray[np.bool_] = crossings & (straight[:, :-1] == 0)
    return result


def _roughness(view: View) -> float:
    """Return the area that smoothing the contour changes where alpha is sure, a length of contour."""
    smooth = blurred(view.inside.astype(np.float32), _SMOOTH * view.unit) > 0.5
    teeth = (smooth != view.inside) & (np.abs(view.alpha - 0.5) > 0.4)
    return float(np.count_nonzero(teeth)) / view.length / view.unit
