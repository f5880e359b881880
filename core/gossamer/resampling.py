"""Resizing: plainly, and as the models' authors do it.

Each function equals the library that it names, to the last bit where that is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array, unit_float
from gossamer.native import COUNT, PLACE, function
from gossamer.parallel.strips import Strips
from gossamer.progress import Progress

__all__ = [
    "PillowFilter",
    "Pixels",
    "Taps",
    "area",
    "area_taps",
    "between",
    "bilinear",
    "bilinear_align_corners",
    "bilinear_at",
    "eight_bit",
    "pillow_resize",
    "resample",
    "shrink",
    "skimage_resize",
    "skimage_taps",
    "wide_blur",
]

PillowFilter: TypeAlias = Literal["bilinear", "lanczos"]

Pixels: TypeAlias = NDArray[np.uint8] | Array
"""Bytes, or float32 in [0, 1]."""

_LINES = 32  # resampled at a time by one thread
_COARSE = 4.0  # wide blurs are made of pixels of which sigma has so many
_TRUNCATE = 4.0  # scipy.ndimage.gaussian_filter cuts the Gaussian at four standard deviations
_STRIP = 64  # rows at a time: what is held beside the picture stays in the cache
_LARGE = 1 << 21  # numbers from which on means of areas are worth threads of our own
_SLIVER = 1e-3  # OpenCV does without a pixel that is covered by less
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


def shrink(array: Pixels, size: tuple[int, int]) -> Array:
    """Average (H, W) or (H, W, C), bytes or floats in [0, 1], down to a (width, height); bytes to bytes first."""
    if (found := _means(array, *size)) is not None:
        if array.dtype == np.uint8:
            return unit_float(np.rint(found, out=found).astype(np.uint8))
        return np.clip(found, 0, 1, out=found)
    if array.dtype == np.uint8:
        import cv2

        return unit_float(np.asarray(cv2.resize(array, size, interpolation=cv2.INTER_AREA)))
    result: Array = np.clip(area(np.asarray(array, np.float32), size[1], size[0]), 0, 1)
    return result


def _means(array: Pixels, width: int, height: int) -> Array | None:
    """Return a large array's means of areas as OpenCV has them, in less time; None where it is the one to ask.

    They differ by the rounding of their sums. For whole factors it has a way of its own.
    """
    if array.size < _LARGE or array.shape[0] < 2 * height or array.shape[1] < 2 * width:
        return None
    if array.shape[0] % height == 0 or array.shape[1] % width == 0 or _compiled_resample() is None:
        return None
    if array.dtype not in (np.uint8, np.float32):
        return None
    planes = np.ascontiguousarray(array).reshape(*array.shape[:2], -1)
    found = resample(planes, area_taps(array.shape[0], height), area_taps(array.shape[1], width))
    return found.reshape(height, width, *array.shape[2:])


def area_taps(size: int, new_size: int) -> Taps:
    """Return for each of few wide pixels the narrow ones that it covers, by the share of it that they are."""
    scale = size / new_size
    left = np.arange(new_size) * scale
    right = np.minimum(left + scale, size)
    start = np.floor(left).astype(np.int64)
    places = start[:, None] + np.arange(int(np.ceil(scale)) + 1)
    covered = np.minimum(places + 1, right[:, None]) - np.maximum(places, left[:, None])
    weights = np.where(covered > _SLIVER, covered, 0) / (right - left)[:, None]
    return _inside(start, weights, size)


def wide_blur(plane: Array, sigma: float) -> Array:
    """Blur (H, W) or (H, W, C) with a Gaussian much wider than a pixel: what it leaves has room in far fewer pixels."""
    import cv2

    height, width = plane.shape[:2]
    step = int(min(max(sigma // _COARSE, 1), height, width))
    if step == 1:
        return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma), np.float32)
    down, across = -(-height // step), -(-width // step)
    # Of whole squares alone OpenCV makes means quickly.
    whole = cv2.copyMakeBorder(plane, 0, down * step - height, 0, across * step - width, cv2.BORDER_REPLICATE)
    small = area(whole, down, across)
    # Averaging and interpolating blur by themselves, by a variance of 1/12 and of 1/6 of the step's square.
    blurred = np.asarray(cv2.GaussianBlur(small, (0, 0), float(np.sqrt((sigma / step) ** 2 - 0.25))), np.float32)
    return bilinear(blurred, down * step, across * step)[:height, :width]


def bilinear(array: Array, height: int, width: int) -> Array:
    """Resize (H, W) or (H, W, C) float32 bilinearly without antialiasing.

    Pixel centres lie at half coordinates and borders repeat: the same as
    ``torch.nn.functional.interpolate(mode="bilinear", align_corners=False)``.
    """
    import cv2

    return np.asarray(cv2.resize(array, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def between(many: int, few: int) -> tuple[NDArray[np.intp], NDArray[np.intp], Array]:
    """Return for each of many pixels along an axis its two neighbours among few for `bilinear`, and the second's share.

    Where there is only one, it is both.
    """
    step = np.float32(few / many)
    place = np.clip((np.arange(many, dtype=np.float32) + np.float32(0.5)) * step - np.float32(0.5), 0, few - 1)
    first = np.minimum(place.astype(np.intp), max(few - 2, 0))
    return first, np.minimum(first + 1, few - 1), (place - first).astype(np.float32)


def bilinear_at(array: Array, height: int, width: int, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Array:
    """Return single pixels, (N,), of what `bilinear` makes of an (H, W) array."""
    (above, below, down), (left, right, across) = between(height, array.shape[0]), between(width, array.shape[1])
    above, below, down = above[rows], below[rows], down[rows]
    left, right, across = left[columns], right[columns], across[columns]
    upper = array[above, left] + across * (array[above, right] - array[above, left])
    lower = array[below, left] + across * (array[below, right] - array[below, left])
    return np.asarray(upper + down * (lower - upper), np.float32)


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


@dataclass(frozen=True)
class Taps:
    """A linear map of one axis: output i is the sum over j of weights[i, j] * input[start[i] + j]."""

    start: NDArray[np.int64]
    weights: Array


def resample(array: NDArray[Any], rows: Taps, columns: Taps) -> Array:
    """Apply a separable linear resampling to (H, W, C) of any real type; returns (h, w, C) float32."""
    result = np.empty((len(rows.start), len(columns.start), array.shape[2]), np.float32)
    compiled = _compiled_resample() if array.dtype in (np.uint8, np.float32) and array.flags.c_contiguous else None

    def work(first: int, last: int) -> None:
        if compiled is not None:
            middle = np.empty(array.shape[1:], np.float32)
            across = (columns.start, columns.weights, columns.weights.shape[1], len(columns.start))
            down = (rows.start, rows.weights, rows.weights.shape[1])
            places = (middle, result, first, last)
            compiled(array, array.itemsize, *array.shape, *down, *across, *places)
            return
        span = rows.weights.shape[1]
        middle = np.empty((last - first, *array.shape[1:]), np.float32)
        for i, start in enumerate(rows.start[first:last]):
            strip = array[start : start + span].astype(np.float32, copy=False)
            middle[i] = np.tensordot(rows.weights[first + i, : len(strip)], strip, axes=1)
        span = columns.weights.shape[1]
        for i, (start, weights) in enumerate(zip(columns.start, columns.weights, strict=True)):
            strip = middle[:, start : start + span]
            result[first:last, i] = np.einsum("hkc,k->hc", strip, weights[: strip.shape[1]])

    with Strips() as strips:
        strips.each(work, len(result), _LINES, Progress())
    return result


def _compiled_resample() -> Any:
    return function("resample", PLACE, *4 * (COUNT,), *2 * (PLACE, PLACE, COUNT), COUNT, PLACE, PLACE, COUNT, COUNT)


def skimage_resize(array: NDArray[Any], height: int, width: int) -> Array:
    """Resize (H, W, C) as ``skimage.transform.resize(mode="constant")`` does.

    U²-Net's authors resize with it: a Gaussian of sigma (size / new size - 1) / 2 along an axis that shrinks,
    then linear interpolation, both with zeros outside; the result is clipped to the range of the input,
    except where it is exactly zero. Gaussian and interpolation are one linear map here, so a picture is read
    once and never filtered at its full size.
    """
    result = resample(array, skimage_taps(array.shape[0], height), skimage_taps(array.shape[1], width))
    outside = result == 0
    np.clip(result, array.min(), array.max(), out=result)
    result[outside] = 0
    return result


def skimage_taps(size: int, new_size: int) -> Taps:
    """Return what :func:`skimage_resize` does along one axis."""
    factor = size / new_size
    sigma = max(0.0, (factor - 1) / 2)
    reach = int(_TRUNCATE * sigma + 0.5) if sigma > 1e-15 else 0
    kernel = np.exp(-0.5 / max(sigma, 1e-15) ** 2 * np.arange(-reach, reach + 1) ** 2) if reach else np.ones(1)
    kernel /= kernel.sum()
    centre = (np.arange(new_size) + 0.5) * factor - 0.5
    first = np.floor(centre).astype(np.intp)
    fraction = centre - first
    wide = np.zeros((new_size, 2 * reach + 2))
    wide[:, :-1] += (1 - fraction)[:, None] * kernel
    wide[:, 1:] += fraction[:, None] * kernel
    # Outside is zero for the interpolation's own two taps and for the Gaussian's: drop what lies outside.
    outside = (first < 0, first + 1 >= size)
    wide[outside[0], :-1] -= (1 - fraction[outside[0]])[:, None] * kernel
    wide[outside[1], 1:] -= fraction[outside[1], None] * kernel
    return _inside(first - reach, wide, size)


def _inside(start: NDArray[np.intp], weights: NDArray[Any], size: int) -> Taps:
    """Shift every row of taps into [0, size), dropping those that fall outside."""
    span = min(weights.shape[1], size)
    new_start = np.clip(start, 0, size - span)
    index = np.arange(span)[None, :] + (new_start - start)[:, None]
    valid = (index >= 0) & (index < weights.shape[1])
    taken = np.take_along_axis(weights, np.clip(index, 0, weights.shape[1] - 1), axis=1)
    return Taps(new_start.astype(np.int64), np.where(valid, taken, 0).astype(np.float32))
