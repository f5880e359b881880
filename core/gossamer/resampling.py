"""Resizing as the models' authors do it, where that is neither skimage's nor plain bilinear.

Each function equals the library that it names, to the last bit where that is said.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array

__all__ = ["PillowFilter", "Pixels", "area", "bilinear_align_corners", "eight_bit", "pillow_resize"]

PillowFilter: TypeAlias = Literal["bilinear", "lanczos"]

Pixels: TypeAlias = NDArray[np.uint8] | Array
"""Bytes, or float32 in [0, 1]."""

_STRIP = 64  # rows at a time: what is held beside the picture stays in the cache
_SAME = 1e-5  # 8-bit values divided by 255 in another order or precision differ by less; 16-bit neighbours by 1.5e-5


def eight_bit(image: Pixels) -> NDArray[np.uint8] | None:
    """Return the 8-bit picture that `image` is or was made of, or None where it holds more than 8 bits can.

    Parameters
    ----------
    image : (H, W, C) uint8 or float32
        Floats in [0, 1].

    Returns
    -------
    (H, W, C) uint8 or None
    """
    import cv2

    if image.dtype == np.uint8:
        return image.astype(np.uint8, copy=False)
    steps = (np.arange(256) / np.float32(255)).astype(np.float32)
    result = np.empty(image.shape, np.uint8)
    for top in range(0, len(image), _STRIP):
        strip = np.ascontiguousarray(image[top : top + _STRIP]).reshape(-1, 1)
        rounded = cv2.convertScaleAbs(strip, alpha=255)
        if cv2.norm(strip, cv2.LUT(rounded, steps), cv2.NORM_INF) > _SAME:
            return None
        result[top : top + _STRIP] = rounded.reshape(image[top : top + _STRIP].shape)
    return result


def pillow_resize(image: Pixels, height: int, width: int, filter: PillowFilter) -> Array:
    """Resize (H, W, 3) as Pillow does, which anti-aliases: the filter widens by as much as the picture shrinks.

    A picture of 8 bits is resized in 8 bits, as its model's authors do: Pillow rounds after the pass along the
    rows and again after the one along the columns, and the result equals theirs to the last bit. A deeper
    picture has no counterpart in their code; it is resized in float by the same filter and never rounded, so
    that its masks are the limit of the 8-bit ones and gain from its depth.

    Parameters
    ----------
    image : (H, W, 3) uint8 or float32
        Floats in [0, 1].
    height, width : int
    filter : {"bilinear", "lanczos"}

    Returns
    -------
    (height, width, 3) float32
        In [0, 1].
    """
    import PIL.Image

    kernel = {"bilinear": PIL.Image.Resampling.BILINEAR, "lanczos": PIL.Image.Resampling.LANCZOS}[filter]
    rounded = eight_bit(image)
    if rounded is not None:
        small = np.asarray(PIL.Image.fromarray(rounded).resize((width, height), kernel))
        return small.astype(np.float32) / np.float32(255)
    result = np.empty((height, width, 3), np.float32)
    for channel in range(3):
        plane = PIL.Image.fromarray(np.ascontiguousarray(image[..., channel]))  # mode F: 32-bit float, unrounded
        result[..., channel] = np.asarray(plane.resize((width, height), kernel))
    return np.clip(result, 0, 1, out=result)  # Lanczos overshoots; 8-bit pictures are clipped by their type


def area(array: Array, height: int, width: int) -> Array:
    """Resize (H, W) or (H, W, C) as ``cv2.resize(interpolation=cv2.INTER_AREA)`` does: means of the areas."""
    import cv2

    return np.asarray(cv2.resize(array, (width, height), interpolation=cv2.INTER_AREA), dtype=np.float32)


def bilinear_align_corners(array: Array, height: int, width: int) -> Array:
    """Resize (H, W) bilinearly so that the centres of the corner pixels stay at the corners.

    The same as ``torch.nn.functional.interpolate(mode="bilinear", align_corners=True)``.
    """
    first, second, share = _corner_taps(array.shape[1], width)
    across = array[:, first] * (1 - share)
    across += array[:, second] * share
    first, second, share = _corner_taps(array.shape[0], height)
    result = np.empty((height, width), np.float32)
    for top in range(0, height, _STRIP):
        rows = slice(top, top + _STRIP)
        weight = share[rows, None]
        np.multiply(across[first[rows]], 1 - weight, out=result[rows])
        result[rows] += across[second[rows]] * weight
    return result


def _corner_taps(size: int, new_size: int) -> tuple[NDArray[Any], NDArray[Any], Array]:
    """Return for each new pixel its two neighbours and the second one's share."""
    position = np.arange(new_size) * ((size - 1) / max(new_size - 1, 1))
    first = np.minimum(position.astype(np.intp), max(size - 2, 0))
    return first, np.minimum(first + 1, size - 1), (position - first).astype(np.float32)
