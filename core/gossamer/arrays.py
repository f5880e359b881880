"""Array contracts, checked once at the public edge, and resampling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gossamer.errors import InputError
from gossamer.native import COUNT, PLACE, function, place
from gossamer.parallel.strips import Strips
from gossamer.progress import Progress

__all__ = ["Array", "Taps", "as_mask", "as_rgb", "bilinear", "normalise", "resample", "skimage_resize", "unit_float"]

Array: TypeAlias = NDArray[np.float32]

_FLAT = 1 / 510
_LINES = 32  # resampled at a time by one thread
_TRUNCATE = 4.0  # scipy.ndimage.gaussian_filter cuts the Gaussian at four standard deviations


def as_rgb(image: Any, name: str = "image") -> Array:
    """Return `image` as (H, W, 3) float32 in [0, 1], without a copy where it already is.

    Parameters
    ----------
    image : array-like
        (H, W, 3) of uint8, uint16 or floating point in [0, 1].
    name : str
        What messages call it.

    Raises
    ------
    InputError
        Another shape or type, no pixels, NaN or values outside [0, 1].
    """
    array = np.asarray(image)
    if array.ndim != 3 or array.shape[2] != 3:
        raise InputError(f"The {name} has the shape {array.shape}.", "Give (height, width, 3): RGB.")
    return _as_unit_float(array, name)


def as_mask(mask: Any, shape: tuple[int, ...] | None = None, name: str = "mask") -> Array:
    """Return `mask` as (H, W) float32 in [0, 1], without a copy where it already is.

    Parameters
    ----------
    mask : array-like
        (H, W) of bool, uint8, uint16 or floating point in [0, 1]; 1 = foreground.
    shape : tuple of int, optional
        The picture's shape; its first two entries must be the mask's.
    name : str
        What messages call it.

    Raises
    ------
    InputError
        Another shape or type, no pixels, NaN or values outside [0, 1].
    """
    array = np.asarray(mask)
    if array.ndim != 2:
        raise InputError(f"The {name} has the shape {array.shape}.", "Give (height, width).")
    if shape is not None and array.shape != tuple(shape[:2]):
        raise InputError(
            f"The {name} is {array.shape[1]} x {array.shape[0]} pixels, but the picture is {shape[1]} x {shape[0]}.",
            f"Resize the {name} to the picture's size.",
        )
    return _as_unit_float(array.astype(np.float32) if array.dtype == np.bool_ else array, name)


def _as_unit_float(array: NDArray[Any], name: str) -> Array:
    if array.size == 0:
        raise InputError(f"The {name} has no pixels.", "Give a picture of at least 1 x 1.")
    if array.dtype == np.uint8 or array.dtype == np.uint16:
        return unit_float(array)
    if not np.issubdtype(array.dtype, np.floating):
        raise InputError(f"The {name} holds {array.dtype}.", "Give uint8, uint16 or floats in [0, 1].")
    result: Array = array.astype(np.float32, copy=False)
    low, high = float(result.min()), float(result.max())
    if not (low >= -1e-4 and high <= 1 + 1e-4):  # also true of NaN
        raise InputError(
            f"The {name} has values from {low:g} to {high:g}.",
            "Give floats in [0, 1], without NaN or infinity.",
        )
    return result if low >= 0 and high <= 1 else np.clip(result, 0, 1)


def unit_float(pixels: NDArray[Any]) -> Array:
    """Return colours in [0, 1]: uint8 divided by 255, uint16 by 65535, float32 as it is, without a copy."""
    if pixels.dtype == np.float32:
        return pixels
    white = np.float32(np.iinfo(pixels.dtype).max)
    result: Array = np.divide(pixels, white, dtype=np.float32, casting="same_kind")
    return result


def bilinear(array: Array, height: int, width: int) -> Array:
    """Resize (H, W) or (H, W, C) float32 bilinearly without antialiasing.

    Pixel centres lie at half coordinates and borders repeat: the same as
    ``torch.nn.functional.interpolate(mode="bilinear", align_corners=False)``.
    """
    import cv2

    return np.asarray(cv2.resize(array, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def normalise(array: Array, out: Array | None = None) -> Array:
    """Stretch `array` to [0, 1] (min-max); a flat one is clipped instead.

    Flat is what spans less than half an 8-bit step, 1/510: that holds no subject, and stretching its rounding
    noise would invent one.

    Parameters
    ----------
    array : array
        Any shape, float32.
    out : array, optional
        Where the result goes; `array` itself stretches it in place.
    """
    low, high = float(array.min()), float(array.max())
    if high - low < _FLAT:
        clipped: Array = np.clip(array, 0, 1, out=out)
        return clipped
    result: Array = np.subtract(array, np.float32(low), out=out)
    result /= np.float32(high - low)
    return result


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
            across = (place(columns.start), place(columns.weights), columns.weights.shape[1], len(columns.start))
            down = (place(rows.start), place(rows.weights), rows.weights.shape[1])
            places = (place(middle), place(result), first, last)
            compiled(place(array), array.itemsize, *array.shape, *down, *across, *places)
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
    result = resample(array, _skimage_taps(array.shape[0], height), _skimage_taps(array.shape[1], width))
    outside = result == 0
    np.clip(result, array.min(), array.max(), out=result)
    result[outside] = 0
    return result


def _skimage_taps(size: int, new_size: int) -> Taps:
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
