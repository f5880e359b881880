"""Shape: how much there is, in how many parts, whether it is cut off, and where it has holes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gossamer.quality.view import View
from gossamer.quality.windows import places

__all__ = ["Shape", "measure_shape"]

_SUDDEN = 0.9  # of alpha
_DEEP = 0.012  # of the diagonal: a straight end is deeper than this


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
    areas = view.islands[1]
    holes = view.holes[1]
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


def _straight_end(view: View, support: NDArray[np.bool_] | None) -> float:
    """Return the longest straight, sudden end along rows or columns, as a share of the diagonal.

    What is long where it ends is deep as well, or else the line is the side of something thin, such as a mast.
    """
    longest = 0
    deep = round(_DEEP * view.diagonal)
    for inside, alpha, seen in (
        (view.inside, view.alpha, support),
        (view.inside.T, view.alpha.T, None if support is None else support.T),
    ):
        if alpha.shape[0] < 6:
            continue
        crossings = inside[2:-3] != inside[3:-2]
        if seen is not None:
            crossings &= ~(seen[2:-3] | seen[3:-2])
        y, x = places(crossings)
        # From two pixels before the step to two after it nearly all of alpha is gone: no soft edge.
        sudden = np.abs(alpha[y + 1, x] - alpha[y + 4, x]) > _SUDDEN
        y, x = y[sudden] + 2, x[sudden]
        inner = np.where(inside[y, x], y, y + 1)
        step = np.where(inside[y, x], -1, 1)
        whole = np.ones(y.size, np.bool_)
        for away in (deep // 3, 2 * deep // 3, deep):
            whole &= inside[np.clip(inner + step * away, 0, len(inside) - 1), x]
        longest = max(longest, _longest_run(y[whole], x[whole]))
    return longest / view.diagonal


def _longest_run(rows: NDArray[np.intp], columns: NDArray[np.intp]) -> int:
    """Return the length of the longest run of neighbours along the rows; places come row after row."""
    if not rows.size:
        return 0
    ends = np.flatnonzero((np.diff(rows) != 0) | (np.diff(columns) != 1)) + 1
    return int(np.diff(np.concatenate([[0], ends, [rows.size]])).max())
