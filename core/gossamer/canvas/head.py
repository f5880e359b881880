"""Where the head is, from the outline alone: for passport photographs."""

from __future__ import annotations

import numpy as np

from gossamer.arrays import Array
from gossamer.canvas.subject import Box
from gossamer.errors import InputError
from gossamer.lengths import Span

__all__ = ["head_box"]

_REMEDY = "Say where the crown and the chin are, from the photograph's top: --canvas-head '12% 58%'."
_SEEN = 0.5
_CROWN = 0.25  # of the head's width: narrower above it are single strands
_SHOULDERS = 1.6  # of the head's width: below the rows that are so wide there is no head
_TALLEST, _SHORTEST = 2.2, 0.9  # of a head's width, from the crown to the chin
_CHIN = 0.88  # of the way from the crown to the neck's narrowest row
_LONG_HAIR = 1.2  # a head's height, of its width with hair that hides the neck
_MOST = 0.75  # of the whole figure's height: what is more is no head above shoulders


def head_box(alpha: Array, told: Span | None = None) -> Box:
    """Return the box from the crown to the chin, and as wide as the head.

    Parameters
    ----------
    alpha : (H, W) float32
        1 = the person, seen from the front, upright.
    told : Span, optional
        Where crown and chin are.

    Raises
    ------
    InputError
        No head can be made out above shoulders.

    Notes
    -----
    From the crown the outline widens to the head, narrows to the neck and widens to the shoulders. The chin lies above
    the neck's narrowest row. Where hair hides the neck there is no such row, and a head is taken as 1.2 times as high
    as wide (hair and ears included).
    """
    height = len(alpha)
    solid = alpha >= _SEEN
    widths = np.count_nonzero(solid, axis=1).astype(float)
    if not widths.any():
        raise InputError("There is nobody in the matte.", _REMEDY)
    if told is not None:
        top, chin = told.start.of(height), told.end.of(height)
        if not 0 <= top < chin <= height:
            raise InputError(f"The head from {top:.0f} to {chin:.0f} is not in the photograph.", _REMEDY)
    else:
        top, chin = _outline(widths)
    rows = solid[int(top) : max(int(chin), int(top) + 1)]
    columns = np.flatnonzero(rows.any(0))
    if not len(columns):
        raise InputError("There is nobody where the head is said to be.", _REMEDY)
    # Symmetric about where most rows have their middle: a strand or an ear to one side moves nothing.
    middles = [float(np.flatnonzero(row).mean()) + 0.5 for row in rows if row.any()]
    middle, half = float(np.median(middles)), float(np.percentile(np.count_nonzero(rows, axis=1), 90)) / 2
    return Box(middle - half, top, middle + half, chin)


def _outline(widths: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> tuple[float, float]:
    """Return the rows of the crown and the chin."""
    from scipy import ndimage

    filled = np.flatnonzero(widths)
    first, last = int(filled[0]), int(filled[-1]) + 1
    profile = ndimage.gaussian_filter1d(widths[first:last], max(1.0, (last - first) / 150), mode="nearest")
    shoulders = float(profile.max())
    if shoulders < 1 or len(profile) < 8:
        raise InputError("No head can be made out.", _REMEDY)
    # The head: the first row from which the outline narrows by a tenth before it widens to shoulders.
    widest, narrowest = 0, 0
    for row in range(1, len(profile)):
        if profile[row] > profile[widest] and profile[narrowest] > 0.93 * profile[widest]:
            widest = narrowest = row
        elif profile[row] < profile[narrowest]:
            narrowest = row
        elif profile[row] > 1.15 * profile[narrowest] and profile[narrowest] < 0.93 * profile[widest]:
            break
    wide = float(profile[widest])
    crown = first + int(np.flatnonzero(profile[: widest + 1] >= _CROWN * wide)[0])
    crown -= int(min(crown - first, 0.05 * wide))
    has_neck = profile[narrowest] < 0.93 * wide and narrowest > widest and shoulders >= 1.15 * profile[narrowest]
    if has_neck:
        height = _CHIN * (first + narrowest - crown)
        if _SHORTEST * wide <= height <= _TALLEST * wide:
            return float(crown), float(crown + height)
    # Long hair: the head's width is that above the shoulders.
    below = np.flatnonzero(profile >= _SHOULDERS * np.median(profile[: max(1, len(profile) // 4)]))
    upper = profile[: int(below[0])] if len(below) else profile[: len(profile) // 3]
    wide = float(np.median(upper[len(upper) // 4 :])) if len(upper) > 4 else 0.0
    height = _LONG_HAIR * wide
    if not wide or height > _MOST * (last - crown) or shoulders < 1.2 * wide:
        raise InputError("No head can be made out above shoulders.", _REMEDY)
    return float(crown), float(crown + height)
