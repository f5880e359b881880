"""Where a photograph goes on across a cut-out's contour: a part is missing there, or it is another thing's contour."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.quality.view import View
from gossamer.quality.windows import Windows, places

__all__ = ["continued", "longest_run"]

_WINDOW = 10.0  # radius in units of the piece of contour that is looked at
_ON, _NEAR, _FAR = 1.5, 3.0, 8.0  # units from the contour: what is on it, and what is beside it
_NO_STRONGER = 1.25  # the photograph changes at the contour no more than so many times as fast as on its calmer side
_NO_OTHER = 0.8  # and both sides' mean colours are no further apart than so many times their own spread
_NOISE = 6e-4  # of a spread's square, and
_STEP = 0.002  # of a gradient, that is no texture
_GAP = 5  # pixels
_ENOUGH = 0.02  # of the window must be beside the contour
_NONE = np.float32(1e-3)  # pixels: where a window holds none, sums are 0 and so are means
_STEEP = 1e-3  # of a blurred contour's slope: below it, it has no direction


class _Zone(NamedTuple):
    """What the windows around a contour hold of some pixels, (N,): their share, and means of their values."""

    share: Array
    change: Array
    colours: Array
    spread: Array

    @classmethod
    def of(cls, where: NDArray[np.bool_], view: View, windows: Windows) -> _Zone:
        assert view.photo is not None  # noqa: S101 - whoever asks has one
        rows, columns = places(where)
        colours = view.photo[rows, columns]
        values = (colours[:, 0], colours[:, 1], colours[:, 2], np.einsum("nc,nc->n", colours, colours))
        count, change, red, green, blue, squares = windows.sums(
            rows, columns, None, _across(view, rows, columns), *values
        )
        share = count / np.float32(windows.area)
        count = np.maximum(count, _NONE)
        means = np.stack([red, green, blue], axis=1) / count[:, None]
        spread = np.maximum(squares / count - np.einsum("nc,nc->n", means, means), 0)
        return cls(share, change / count, means, spread)


def continued(view: View) -> NDArray[np.bool_]:
    """Return the contour across which the photograph goes on as if there was nothing.

    Parameters
    ----------
    view : View
        With a photograph.

    Returns
    -------
    (h, w) bool
    """
    assert view.photo is not None  # noqa: S101 - whoever asks has one
    result = np.zeros(view.contour.shape, np.bool_)
    if not view.contour.any():
        return result
    distance = view.within - view.without
    inner, outer = (distance > _NEAR) & (distance < _FAR), (distance < -_NEAR) & (distance > -_FAR)
    contour = places(view.contour)
    windows = Windows(view.alpha.shape, view.reach(_WINDOW), *contour)

    within, without = (_Zone.of(side, view, windows) for side in (inner, outer))
    rows, columns = places(np.abs(distance) < _ON)
    count, change = windows.sums(rows, columns, None, _across(view, rows, columns))
    on = change / np.maximum(count, _NONE)
    apart = ((within.colours - without.colours) ** 2).sum(axis=1)
    same = (on + _STEP < _NO_STRONGER * (np.minimum(within.change, without.change) + 2 * _STEP)) & (
        apart < _NO_OTHER**2 * (within.spread + without.spread + _NOISE)
    )
    same &= (within.share > _ENOUGH) & (without.share > _ENOUGH)
    result[contour] = same
    return result


def longest_run(line: NDArray[np.bool_]) -> float:
    """Return how long that of a contour's parts is, in pixels, which hangs together but for gaps of a few.

    Where strands lie side by side their contours hang together, too, and reach no further for their number: a part
    counts by its pixels, but by no more than the diagonal of the box around it.
    """
    import cv2

    if not line.any():
        return 0.0
    thick = cv2.dilate(line.view(np.uint8), np.ones((_GAP, _GAP), np.uint8))
    _, labels, boxes, _ = cv2.connectedComponentsWithStats(thick, connectivity=8, ltype=cv2.CV_32S)
    sides = boxes[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]] - (_GAP - 1)
    pixels = np.bincount(labels[line], minlength=len(boxes))
    return float(np.minimum(pixels, np.hypot(*sides.T))[1:].max())


def _across(view: View, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Array:
    """Return how fast the photograph changes across the contour's direction nearby, at some pixels, (N,)."""
    right, down = (slope[rows, columns] for slope in view.slopes)
    x, y = (slope[rows, columns] for slope in view.normal)
    steep = np.hypot(x, y)
    length = np.maximum(steep, np.float32(1e-6))[:, None]
    along = (right * x[:, None] + down * y[:, None]) / length
    squares = np.einsum("nc,nc->n", along, along)
    total = np.einsum("nc,nc->n", right, right) + np.einsum("nc,nc->n", down, down)
    result: Array = np.sqrt(np.where(steep > _STEEP, squares, total))
    return result
