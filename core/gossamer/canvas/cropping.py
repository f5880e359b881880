"""A crop around a subject that can be worked on by itself, and its way back into the picture."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike

from gossamer.arrays import Array, as_mask, as_rgb
from gossamer.canvas.subject import Box, subject_box
from gossamer.errors import InputError

__all__ = ["crop_box", "paste_back"]


def crop_box(alphas: Iterable[Array], *, margin: float = 10.0, multiple: int = 1) -> Box:
    """Return the box around the subject of one or several mattes of one size, in whole pixels inside the picture.

    Parameters
    ----------
    alphas : iterable of (H, W) float32
        1 = foreground. Of several, such as a video's, the box holds the subjects of all; empty ones do not count.
    margin : float
        Room around the subject on all sides, in percent of its longer side.
    multiple : int
        Both sides become multiples of so many pixels, as far as the picture is large enough.

    Raises
    ------
    InputError
        Nothing is in any of the mattes, or `margin` or `multiple` is impossible.
    """
    if margin < 0 or not math.isfinite(margin) or multiple < 1:
        raise InputError("The margin of a crop is negative, or its multiple below 1.", "Give 0 or more, and 1 or more.")
    found, shape = [], (0, 0)
    for alpha in alphas:
        shape = alpha.shape[0], alpha.shape[1]
        if alpha.max() > 0:
            found.append(subject_box(alpha))
    if not found:
        raise InputError("Nothing is in the matte, so that there is nothing to crop to.", "Give another mask.")
    left, top = min(box.left for box in found), min(box.top for box in found)
    right, bottom = max(box.right for box in found), max(box.bottom for box in found)
    room = margin / 100 * max(right - left, bottom - top)
    x0, x1 = _side(left - room, right + room, shape[1], multiple)
    y0, y1 = _side(top - room, bottom + room, shape[0], multiple)
    return Box(x0, y0, x1, y1)


def _side(start: float, end: float, length: int, multiple: int) -> tuple[int, int]:
    """Return one side of a box in whole pixels: within the picture, and of the size that was asked for."""
    first, last = max(math.floor(start), 0), min(math.ceil(end), length)
    most = length // multiple * multiple or length
    size = min(-(-(last - first) // multiple) * multiple, most)
    first = min(max(first - (size - (last - first)) // 2, 0), length - size)
    return first, first + size


def paste_back(
    picture: ArrayLike, part: ArrayLike, box: Box, *, mask: ArrayLike | None = None, feather: float = 0.0
) -> Array:
    """Put a part that was cropped, and changed since, back into its picture.

    Parameters
    ----------
    picture : (H, W, 3) array
        What it was cropped from.
    part : (h, w, 3) array
        Of any size: it is scaled to the box.
    box : Box
        Where it lies, in whole pixels.
    mask : (h, w) array, optional
        1 where the part counts, of the part's size; everywhere without it.
    feather : float
        Pixels over which the part fades out towards the box's sides, those at the picture's border apart.

    Returns
    -------
    (H, W, 3) float32

    Raises
    ------
    InputError
        The box does not lie in the picture, or a size is wrong.
    """
    import cv2

    whole, inner = as_rgb(picture, "picture").copy(), as_rgb(part, "part")
    left, top, right, bottom = (round(side) for side in box)
    height, width = whole.shape[:2]
    if not (0 <= left < right <= width and 0 <= top < bottom <= height):
        raise InputError(
            f"The box {left}, {top}, {right}, {bottom} does not lie in the picture of {width} x {height}.",
            "Paste into the picture that the part was cropped from.",
        )
    size = (right - left, bottom - top)

    def fitted(plane: Array) -> Array:
        if plane.shape[1::-1] == size:
            return plane
        how = cv2.INTER_AREA if plane.shape[1] > size[0] else cv2.INTER_CUBIC
        return np.clip(np.asarray(cv2.resize(plane, size, interpolation=how), np.float32), 0, 1)

    weight = np.ones(size[::-1], np.float32) if mask is None else fitted(as_mask(mask, inner.shape, "mask"))
    if feather > 0:
        rows, columns = np.arange(size[1], dtype=np.float32) + 0.5, np.arange(size[0], dtype=np.float32) + 0.5
        far = np.float32(np.inf)
        down = np.minimum(rows if top > 0 else far, rows[::-1] if bottom < height else far)
        across = np.minimum(columns if left > 0 else far, columns[::-1] if right < width else far)
        weight = weight * np.minimum(np.minimum.outer(down, across) / np.float32(feather), 1).astype(np.float32)
    target = whole[top:bottom, left:right]
    target += weight[:, :, None] * (fitted(inner) - target)
    return whole
