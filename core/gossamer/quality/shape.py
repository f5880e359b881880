"""Shape: how much there is, in how many parts, whether it is cut off, and where it has holes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gossamer.quality.view import View

__all__ = ["Shape", "measure_shape", "significant"]

_SPECK = 12.0  # square units: less is no part of its own
_HOLE = 30.0  # square units: smaller holes are between hairs
_SURE = 0.5


class Shape(NamedTuple):
    """What the shape of an alpha says.

    Attributes
    ----------
    coverage : float
        Mean of alpha.
    parts, specks : int
        Islands, and those of them that are less than a hundredth of the largest.
    frame : float
        Share of the frame's length that the subject touches.
    sides : tuple of str
        The sides that it touches.
    cut : float
        The longest straight end along rows or columns inside the picture, as a share of the diagonal; of those that
        a photograph, where there is one, has no edge at.
    holes : int
        Holes in it that are larger than gaps between hairs.
    hole_area : float
        Their area against the subject's.
    size : float
        The longer side of the box around it, in pixels of the cut-out itself.
    """

    coverage: float
    parts: int
    specks: int
    frame: float
    sides: tuple[str, ...]
    cut: float
    holes: int
    hole_area: float
    size: float


def measure_shape(view: View, support: NDArray[np.bool_] | None) -> Shape:
    """Measure the shape of a cut-out.

    Parameters
    ----------
    view : View
    support : (h, w) bool or None
        Where the photograph has an edge.
    """
    inside = view.inside
    areas = significant(inside, _SPECK * view.unit**2)[1]
    holes = holes_of(view)[1]
    sides = {"top": inside[0], "bottom": inside[-1], "left": inside[:, 0], "right": inside[:, -1]}
    touched = {name: float(side.mean()) for name, side in sides.items()}
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    box = max(np.ptp(rows) + 1, np.ptp(columns) + 1) if rows.size else 0
    total = sum(side.size for side in sides.values())
    return Shape(
        coverage=float(view.alpha.mean(dtype=np.float64)),
        parts=len(areas),
        specks=int(np.count_nonzero(areas < 0.01 * areas.max())) if areas.size else 0,
        frame=sum(int(np.count_nonzero(side)) for side in sides.values()) / total,
        sides=tuple(name for name, share in touched.items() if share > 0),
        cut=_straight_end(view, support),
        holes=len(holes),
        hole_area=float(holes.sum() / max(np.count_nonzero(inside), 1)),
        size=float(box * view.whole.shape[0] / view.alpha.shape[0]),
    )


def significant(there: NDArray[np.bool_], least: float) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return the islands of at least an area: their labels (0 elsewhere), and their areas in the labels' order."""
    import cv2

    _, labels, stats, _ = cv2.connectedComponentsWithStats(there.astype(np.uint8), connectivity=8, ltype=cv2.CV_32S)
    areas = stats[:, cv2.CC_STAT_AREA].astype(np.int64)
    areas[0] = 0
    kept = np.flatnonzero(areas >= max(least, 1))
    new = np.zeros(len(areas), np.int32)
    new[kept] = np.arange(1, len(kept) + 1)
    return new[labels], areas[kept]


def holes_of(view: View) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return the holes of a view that are not between hairs: their labels, and their areas."""
    import cv2

    _, labels = cv2.connectedComponents((~view.inside).astype(np.uint8), connectivity=4, ltype=cv2.CV_32S)
    outer = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    enclosed = ~np.isin(labels, outer) & (labels > 0)
    return significant(enclosed, _HOLE * view.unit**2)


def _straight_end(view: View, support: NDArray[np.bool_] | None) -> float:
    """Return the longest straight, sudden end along rows or columns, as a share of the diagonal."""
    longest = 0
    for alpha, seen in (
        (view.alpha, support),
        (np.ascontiguousarray(view.alpha.T), None if support is None else support.T),
    ):
        if alpha.shape[0] < 6:
            continue
        inside = alpha > _SURE
        # From two pixels before the step to two after it nearly all of alpha is gone: no soft edge.
        step = (inside[2:-3] != inside[3:-2]) & (np.abs(alpha[1:-4] - alpha[4:-1]) > 0.9)
        if seen is not None:
            step &= ~(seen[2:-3] | seen[3:-2])
        longest = max(longest, _longest_run(step))
    return longest / view.diagonal


def _longest_run(flags: NDArray[np.bool_]) -> int:
    """Return the length of the longest run of True along the rows."""
    padded = np.zeros((flags.shape[0], flags.shape[1] + 2), np.int8)
    padded[:, 1:-1] = flags
    change = np.diff(padded, axis=1)
    starts, ends = np.nonzero(change == 1)[1], np.nonzero(change == -1)[1]
    return int((ends - starts).max()) if starts.size else 0
