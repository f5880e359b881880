"""Where a cut-out is most in doubt: the places of its edge that are worth looking at enlarged."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gossamer.arrays import Array
from gossamer.quality.continuity import continued
from gossamer.quality.photograph import edges_of
from gossamer.quality.view import View

__all__ = ["Place", "worst_places"]

_UNFOUNDED, _ACROSS = 12.0, 8.0  # what a pixel of contour weighs where the photograph has no edge, or goes on across it
_LEAST = 0.1  # of a window's side is the sum of what is worth a look: a hard edge across four tenths of it
_HARD = 0.25  # of a pixel of contour that nothing speaks against
_MATTED = 4.0  # alpha (1 - alpha) of one half becomes 1


class Place(NamedTuple):
    """A square of a cut-out, in its own pixels."""

    top: int
    left: int
    side: int


def worst_places(view: View, *, count: int = 3, side: int = 128) -> list[Place]:
    """Return the squares with the most doubtful edge in them, none overlapping.

    Doubtful is what the checks count against a cut-out: contour where the photograph has no edge, or goes on as if
    there was nothing; and, in a cut-out without any of that, the widest soft edge, which is where hair is.

    Parameters
    ----------
    view : View
        The cut-out, see :func:`gossamer.quality.view.look`; with a photograph its contour is asked whether it is one.
    count : int
        At most so many.
    side : int
        Their side in pixels of the cut-out's own size; less in a picture that is smaller.

    Returns
    -------
    list of Place
        The worst first; empty for a matte without an edge.
    """
    import cv2

    height, width = view.whole.shape
    side = min(side, height, width)
    rows, columns = view.alpha.shape
    window = max(round(side * rows / height), 1), max(round(side * columns / width), 1)
    sums = cv2.boxFilter(_doubt(view), cv2.CV_32F, window[::-1], anchor=(0, 0), normalize=False)
    sums = np.ascontiguousarray(sums[: rows - window[0] + 1, : columns - window[1] + 1])
    places: list[Place] = []
    least = _LEAST * max(window)
    while len(places) < count and sums.size and sums.max() > least:
        row, column = (int(i) for i in np.unravel_index(int(sums.argmax()), sums.shape))
        top, left = min(row * height // rows, height - side), min(column * width // columns, width - side)
        places.append(Place(top, left, side))
        sums[max(0, row - window[0] + 1) : row + window[0], max(0, column - window[1] + 1) : column + window[1]] = 0
    return places


def _doubt(view: View) -> Array:
    """Return how doubtful each pixel of the working size is, (h, w), 0 away from edges."""
    soft = np.float32(_MATTED) * view.alpha * (1 - view.alpha)
    doubt: Array = np.maximum(np.float32(_HARD) * view.contour.astype(np.float32), soft)
    if view.photo is not None and view.contour.any():
        doubt += np.float32(_UNFOUNDED) * (view.contour & ~edges_of(view)).astype(np.float32)
        doubt += np.float32(_ACROSS) * continued(view).astype(np.float32)
    return doubt
