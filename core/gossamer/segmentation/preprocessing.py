"""From a picture to what a network was trained on, exactly as its authors do it."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from gossamer.arrays import Array, unit_float
from gossamer.errors import ModelError
from gossamer.resampling import Pixels, area, bilinear, eight_bit, pillow_resize, skimage_resize
from gossamer.weights.catalogue import InputSpec

__all__ = ["Box", "at_resolution", "letterbox_box", "network_size", "preprocess"]

_LONGEST = 4096  # of a side, whatever the aspect ratio: 400 x 2 pixels at a reference of 512 would be 102,400 x 512


class Box(NamedTuple):
    """A rectangle in pixels."""

    top: int
    left: int
    height: int
    width: int


def at_resolution(spec: InputSpec, side: int) -> InputSpec:
    """Return how a picture is fed in another size than its authors'.

    Parameters
    ----------
    spec : InputSpec
        The authors' own steps.
    side : int
        In pixels, both of a stretched or letterboxed picture. Where the aspect ratio is kept, the most that the longer
        side may have; where there is a reference, as MODNet's authors have it, that.

    Returns
    -------
    InputSpec
        Nothing but sizes differ.
    """
    if spec.size is not None:
        return replace(spec, size=(side, side))
    if spec.shortest is not None and spec.shortest == spec.longest:
        return replace(spec, shortest=side, longest=side)
    enlarged = spec.shortest is not None and spec.shortest < side
    return replace(spec, shortest=spec.shortest if enlarged else None, longest=side)


def network_size(spec: InputSpec, height: int, width: int) -> tuple[int, int]:
    """Return the height and width at which a network sees a picture.

    Parameters
    ----------
    spec : InputSpec
        With a fixed `size`, that is it. Without one the picture's own size counts, cut down to multiples of
        `multiple` as the authors do. It is scaled before, its aspect ratio kept, so that the shorter side is at
        least `shortest` and, which goes first, the longer at most `longest`. Where both are one number, that is
        a reference as MODNet's authors have it: a picture smaller or larger than it on both sides is scaled to
        have it as its shorter side.
    height, width : int
        The picture's size.

    Returns
    -------
    tuple of int
        Height and width.
    """
    if spec.size is not None:
        return spec.size[1], spec.size[0]
    multiple = spec.multiple or 1
    short, long = min(height, width), max(height, width)
    low, high = spec.shortest or multiple, spec.longest or _LONGEST
    if spec.shortest is not None and low == high:
        low, high = multiple, _LONGEST
        if long < spec.shortest or short > spec.shortest:
            short, long = spec.shortest, int(long / short * spec.shortest)
    else:
        scale = min(max(1.0, low / short), high / long)
        if scale != 1:
            short, long = round(short * scale), round(long * scale)
    low, high = -(-low // multiple) * multiple, high // multiple * multiple
    short, long = (min(max(side // multiple * multiple, low), high) for side in (short, long))
    return (short, long) if height <= width else (long, short)


def letterbox_box(size: tuple[int, int], height: int, width: int) -> Box:
    """Return where a picture lies in a letterbox: its aspect ratio kept, as large as fits, in the middle.

    Parameters
    ----------
    size : tuple of int
        Height and width of the letterbox.
    height, width : int
        The picture's size.

    Returns
    -------
    Box
        At least 1 x 1, also of a picture thousands of times as long as it is wide.
    """
    if height * size[1] > width * size[0]:
        inner = size[0], max(1, int(size[0] * width / height))
    else:
        inner = max(1, int(size[1] * height / width)), size[1]
    return Box((size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2, *inner)


def preprocess(image: Pixels, spec: InputSpec) -> Array:
    """Turn a picture into what a network was trained on.

    Parameters
    ----------
    image : (H, W, 3) uint8 or float32
        sRGB, floats in [0, 1]. Bytes and the floats that were made of them give the same.
    spec : InputSpec
        The authors' own steps, see the catalogue.

    Returns
    -------
    (1, 3, h, w) float32
        Of the size that :func:`network_size` gives.

    Raises
    ------
    ModelError
        The catalogue asks for a resizing that this version does not have.
    """
    height, width = network_size(spec, *image.shape[:2])
    if spec.quantize == "truncate":
        small = _truncated(image, spec, height, width)
    else:
        small = _resized(image, spec, height, width)
    if spec.scale == "max":
        small /= np.float32(max(float(small.max()), 1e-6))
    small -= np.asarray(spec.mean, np.float32)
    small /= np.asarray(spec.std, np.float32)
    return np.ascontiguousarray(small.transpose(2, 0, 1)[None], dtype=np.float32)


def _resized(image: Pixels, spec: InputSpec, height: int, width: int) -> Array:
    """Return a new array: the picture in [0, 1], (height, width, 3)."""
    if spec.resize == "skimage":
        rounded = eight_bit(image)
        if rounded is None:
            return skimage_resize(image, height, width)
        small = skimage_resize(rounded, height, width)
        small /= 255
        return small
    if spec.resize == "bilinear_antialias":
        return pillow_resize(image, height, width, "bilinear")
    if spec.resize == "lanczos":
        return pillow_resize(image, height, width, "lanczos")
    values = unit_float(image)
    if spec.resize == "letterbox":
        box = letterbox_box((height, width), *image.shape[:2])
        padded = np.zeros((height, width, 3), np.float32)
        inside = bilinear(values, box.height, box.width)
        padded[box.top : box.top + box.height, box.left : box.left + box.width] = inside
        return padded
    if spec.resize == "bilinear":
        small = bilinear(values, height, width)
    elif spec.resize == "area":
        small = area(values, height, width)
    else:
        raise ModelError(f"The resizing {spec.resize!r} is not supported.", "Install a newer Gossamer.")
    return small.copy() if np.shares_memory(small, image) else small


def _truncated(image: Pixels, spec: InputSpec, height: int, width: int) -> Array:
    """Return the picture as from authors who interpolate whole numbers and cut the fraction off.

    Only the same whole numbers round alike, so the picture is brought to them first: one colour at a time, as
    another whole picture in memory would be a big one.
    """
    if spec.resize != "bilinear":
        raise ModelError(f"The resizing {spec.resize!r} cannot be truncated.", "Install a newer Gossamer.")
    small = np.empty((height, width, 3), np.float32)
    plane = np.empty(image.shape[:2], np.float32)
    for channel in range(3):
        if image.dtype == np.uint8:
            plane[...] = image[..., channel]
        else:
            np.multiply(image[..., channel], np.float32(255), out=plane)
            np.rint(plane, out=plane)
        np.floor(bilinear(plane, height, width), out=small[..., channel])
    small /= 255
    return small
