"""Where a subject touches the ground, as its outline's lower edge tells."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gossamer.arrays import Array
from gossamer.canvas.subject import Box

__all__ = ["Foot", "foot_of"]

_SOLID = 0.5  # of alpha
_LIFTED = 0.25  # of the subject's height: what is higher above its lowest row hangs over and touches nothing
_TOUCHES = 0.01  # of the subject's height: so near to the hull is on the ground
_SPREAD = 0.4  # of the subject's width: what stands on less tells no slant
_STEEPEST = 0.3  # rows a column: no ground looks steeper where cameras look at things from the front


class Foot(NamedTuple):
    """The subject's foot.

    Attributes
    ----------
    line : (W,) float32
        For every column of the canvas the row, from the top, where the ground meets the subject's near side: the hull
        of its lower edge, and beyond it the nearest.
    slope, level : float
        The straight line nearest to where it touches: `level` is its row in column 0. No part of the subject is below.
    """

    line: Array
    slope: float
    level: float


def foot_of(alpha: Array, box: Box) -> Foot:
    """Return where a subject touches the ground.

    Parameters
    ----------
    alpha : (H, W) float32
    box : Box
        The subject's.
    """
    height, width = alpha.shape
    top, bottom = max(0, int(box.top)), min(height, int(np.ceil(box.bottom)))
    left, right = max(0, int(box.left)), min(width, int(np.ceil(box.right)))
    solid = alpha[top:bottom, left:right] >= _SOLID
    columns = np.flatnonzero(solid.any(0)) if solid.size else np.zeros(0, int)
    if not len(columns):
        return Foot(np.full(width, float(bottom), np.float32), 0.0, float(bottom))
    lowest = bottom - np.argmax(solid[::-1, columns], axis=0).astype(np.float64)
    standing = lowest.max() - lowest <= _LIFTED * box.height
    places, rows = left + columns[standing] + 0.5, lowest[standing]
    x, y = _hull(places, rows)
    everywhere = np.arange(width) + 0.5
    line = np.interp(everywhere, x, y)
    # No steeper than a ground is: what rises faster, such as the tip of a shoe, is off it.
    rise = _STEEPEST * everywhere
    line = np.maximum(
        np.maximum.accumulate(line + rise) - rise, (np.maximum.accumulate((line - rise)[::-1]))[::-1] + rise
    )
    line = np.interp(everywhere, everywhere[int(x[0]) : int(x[-1]) + 1], line[int(x[0]) : int(x[-1]) + 1])
    touching = np.interp(places, everywhere, line) - rows <= max(1.0, _TOUCHES * box.height)
    slope = 0.0
    if np.ptp(places[touching]) > _SPREAD * box.width:
        slope = float(np.clip(np.polyfit(places[touching], rows[touching], 1)[0], -_STEEPEST, _STEEPEST))
    return Foot(line.astype(np.float32), slope, float((rows - slope * places).max()))


def _hull(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the corners of the hull of points from below (rows count downwards), `x` rising (Andrew 1979)."""
    corners: list[tuple[float, float]] = []
    for one in zip(x.tolist(), y.tolist(), strict=True):
        while len(corners) > 1 and _turns_up(corners[-2], corners[-1], one):
            corners.pop()
        corners.append(one)
    points = np.array(corners)
    return points[:, 0], points[:, 1]


def _turns_up(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    return (b[1] - a[1]) * (c[0] - a[0]) <= (c[1] - a[1]) * (b[0] - a[0])
