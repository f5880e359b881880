"""What GrabCut looks at for a prompt: the part of the picture around it, at the working size, and the way back."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.prompting.labels import BACK, FORE, Site
from gossamer.prompting.places import holds
from gossamer.prompting.prompt import Box, Prompt
from gossamer.resampling import bilinear

__all__ = ["SURROUNDED", "enlarged", "grown_box", "in_pixels", "site_of"]

SURROUNDED = 0.5
"""Of a box's sides: what is farther from it plays no part."""

_AREA = 500_000  # pixels that GrabCut works on: its time grows faster than they do, and matting finds larger ones' edge
_TOUCH = 0.006  # radius of what a point stands for, in parts of the picture's diagonal


def site_of(rgb: Array, prompt: Prompt, box: Box | None, hint: Array | None) -> Site:
    """Return what GrabCut looks at, at its working size."""
    import cv2

    height, width = rgb.shape[:2]
    part = left, top, right, bottom = _surroundings(prompt, box, width, height)
    rgb = rgb[top:bottom, left:right]
    factor = min(1.0, math.sqrt(_AREA / (rgb.shape[0] * rgb.shape[1])))
    size = (max(round(rgb.shape[1] * factor), 1), max(round(rgb.shape[0] * factor), 1))
    scale = (size[0] / rgb.shape[1], size[1] / rgb.shape[0])
    eight_bit = np.rint(rgb * np.float32(255)).astype(np.uint8)
    return Site(
        cv2.resize(eight_bit, size, interpolation=cv2.INTER_AREA) if factor < 1 else eight_bit,
        _marks(prompt, box, part, size, scale),
        None if box is None else in_pixels(box, part, scale),
        *(
            None if plane is None else cv2.resize(plane[top:bottom, left:right], size, interpolation=cv2.INTER_AREA)
            for plane in (hint, prompt.mask)
        ),
    )


def enlarged(result: NDArray[np.bool_], prompt: Prompt, box: Box | None, height: int, width: int) -> Array:
    """Return what was found at the working size, (height, width)."""
    left, top, right, bottom = _surroundings(prompt, box, width, height)
    mask = np.zeros((height, width), np.float32)
    mask[top:bottom, left:right] = bilinear(result.astype(np.float32), bottom - top, right - left).clip(0, 1)
    return mask


def grown_box(box: Box, share: float, width: int, height: int) -> tuple[int, int, int, int]:
    """Return a box with a share of its sides more on all of them, in whole pixels of the picture."""
    aside, above = share * (box[2] - box[0]), share * (box[3] - box[1])
    return (
        max(math.floor(box[0] - aside), 0),
        max(math.floor(box[1] - above), 0),
        min(math.ceil(box[2] + aside), width),
        min(math.ceil(box[3] + above), height),
    )


def in_pixels(box: Box, origin: tuple[int, ...], scale: tuple[float, float]) -> tuple[int, int, int, int]:
    """Return a box in whole pixels of a part of the picture at another scale."""
    x0, x1 = ((x - origin[0]) * scale[0] for x in box[::2])
    y0, y1 = ((y - origin[1]) * scale[1] for y in box[1::2])
    return math.floor(x0), math.floor(y0), max(math.ceil(x1), 1), max(math.ceil(y1), 1)


def _surroundings(prompt: Prompt, box: Box | None, width: int, height: int) -> tuple[int, int, int, int]:
    """Return the part of the picture that GrabCut looks at; far from a box it learns of another background."""
    if box is None:
        return 0, 0, width, height
    if len(prompt.boxes) < 2 and prompt.points:  # all are meant, those beside the box as well
        x, y = zip(*prompt.points, strict=True)
        box = min(box[0], *x), min(box[1], *y), max(box[2], *x), max(box[3], *y)
    return grown_box(box, SURROUNDED, width, height)


def _marks(
    prompt: Prompt, box: Box | None, part: tuple[int, int, int, int], size: tuple[int, int], scale: tuple[float, float]
) -> NDArray[np.int32]:
    """Return what is certain of a part of the picture, at the working size: foreground, background, or -1."""
    import cv2

    left, top, right, bottom = part
    marked = np.full((size[1], size[0]), -1, np.int32)
    if prompt.scribbles is not None:
        scribbles = prompt.scribbles[top:bottom, left:right]
        for label, side in ((BACK, scribbles <= 0.1), (FORE, scribbles >= 0.9)):
            # A line that is one pixel wide must not get lost in the smaller picture.
            marked[cv2.resize(side.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.2] = label
    # Several boxes share the points, each its own; what lies in one box alone plays no part in the others.
    alone = len(prompt.boxes) < 2
    radius = max(round(_TOUCH * math.hypot(*size)), 1)
    for label, points in ((BACK, prompt.not_points), (FORE, prompt.points)):
        for x, y in points:
            if alone or box is None or holds(box, (x, y)):
                cv2.circle(marked, (int((x - left) * scale[0]), int((y - top) * scale[1])), radius, label, -1)
    return marked
