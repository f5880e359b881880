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
_ABOVE = 0.12  # of the subject's height: there a round foot has its full width
_NEAR = 0.01  # of the subject's height: so near to the straight line is on the ground
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
    edge : (W,) float32
        The subject's lower edge; `line` where a column has none.
    middle, half : float
        The middle column and half the width of what stands there, a little above its lowest row.
    touching : float
        How far apart the outermost places are where the hull and the lower edge meet.
    """

    line: Array
    slope: float
    level: float
    edge: Array
    middle: float
    half: float
    touching: float

    def round_drop(self, depth: float) -> Array:
        """Return by how much, in every column, the edge is above the straight line because the foot is round.

        A round foot, seen from a little above, shows its near side as half an ellipse. What rises faster than that is
        rounded itself, as a ball is.

        Parameters
        ----------
        depth : float
            Of the ellipse, of its width, as it looks.
        """
        columns = np.arange(len(self.edge)) + 0.5
        away = np.minimum(np.abs(columns - self.middle), self.half)
        round_foot = depth * (self.half - np.sqrt(self.half**2 - away**2))
        return np.asarray(np.clip(np.minimum(self._lift(), round_foot), 0, None), np.float32)

    def spread(self, depth: float, height: float) -> float:
        """Return how far apart the outermost columns are that touch the ground, in pixels.

        Parameters
        ----------
        depth : float
            As for :meth:`round_drop`.
        height : float
            The subject's.
        """
        near = np.flatnonzero(self._lift() - self.round_drop(depth) <= max(1.0, _NEAR * height))
        near = near[(near >= self.middle - self.half) & (near < self.middle + self.half)]
        return float(max(np.ptp(near) + 1 if len(near) else 0, self.touching))

    def _lift(self) -> Array:
        """Return by how much the edge is above the straight line."""
        columns = np.arange(len(self.edge), dtype=np.float32) + np.float32(0.5)
        return np.asarray(self.level + self.slope * columns - self.edge, np.float32)


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
        flat = np.full(width, float(bottom), np.float32)
        return Foot(flat, 0.0, float(bottom), flat, (left + right) / 2, (right - left) / 2, 0.0)
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
    slope, spread = 0.0, float(np.ptp(places[touching])) + 1
    if spread > _SPREAD * box.width:
        slope = float(np.clip(np.polyfit(places[touching], rows[touching], 1)[0], -_STEEPEST, _STEEPEST))
    edge = line.astype(np.float32)
    edge[left + columns] = lowest
    above = solid[max(0, int(lowest.max()) - top - max(1, round(_ABOVE * box.height)) - 1)]
    stands = left + np.flatnonzero(above) if above.any() else left + columns
    first, last = float(stands.min()), float(stands.max()) + 1
    level = float((rows - slope * places).max())
    return Foot(line.astype(np.float32), slope, level, edge, (first + last) / 2, (last - first) / 2, spread)


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
