"""Array contracts, checked once at the public edge."""

from __future__ import annotations

import math
import os
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gossamer.errors import InputError
from gossamer.numbering import is_numbered, scattered_labels

__all__ = [
    "FLAT",
    "OVERSHOOT",
    "Array",
    "as_mask",
    "as_pixels",
    "as_rgb",
    "box_around",
    "check_size",
    "distances",
    "in_range",
    "normalise",
    "on_another_scale",
    "plane_of",
    "range_remedy",
    "unit_float",
    "unit_mask",
    "unit_range",
]

Array: TypeAlias = NDArray[np.float32]

OVERSHOOT = 0.3
"""How far floats may lie outside [0, 1], wherever Gossamer takes pictures, masks, trimaps or alphas: they are cut off.

A resized white square on black overshoots at its corners by 0.15 with Pillow's bicubic filter, 0.23 with OpenCV's and
0.27 with Lanczos; rounding errors are far less. What lies further out is on another scale, such as 0 to 255 or -1 to 1.
"""

_PART = 1 << 16  # numbers looked at at a time
_ROUNDING = 1e-3  # what is wholly outside by more is no overshoot
_LABELS = 31  # whole numbers of 255 up to this show next to nothing as a mask: they are labels
_DEEP_LABELS = 4095  # the same of 65535; masks of sensors with 10 or 12 bits, too, are no brighter
_LABELLED = "Give 1 (or True) where the subject is and 0 elsewhere, e.g. labels > 0, or floats in [0, 1]."
_MOST_SHADES = 2  # so many shades of grey, none of them white, may stand side by side in a mask
_PLAIN = ("1", "L", "I", "F", "I;16", "I;16L", "I;16B", "I;16N")  # PIL's modes whose numbers are what they show
_ORIENTATION = 0x0112
_READ = "Read it with gossamer.image.read_mask(...).plane."

FLAT = 1 / 510
"""Half an 8-bit step: what spans less holds nothing, see :func:`normalise`."""


def as_rgb(image: Any, name: str = "image") -> Array:
    """Return `image` as (H, W, 3) float32 in [0, 1], without a copy where it already is.

    Parameters
    ----------
    image : array-like
        (H, W, 3) of uint8, uint16 or floating point in [0, 1], or beyond by :data:`OVERSHOOT`, which is cut off.
    name : str
        What messages call it.

    Raises
    ------
    InputError
        Another shape or type, no pixels, NaN or values outside [0, 1].
    """
    if getattr(image, "mode", "RGB") not in ("RGB", "RGBX"):  # a PIL picture whose three channels are others
        raise InputError(f"The {name} is a picture of the mode {image.mode}.", 'Convert it: picture.convert("RGB").')
    array = _array_of(image, name, "Give (height, width, 3): RGB.")
    if array.ndim != 3 or array.shape[2] != 3:
        raise InputError(f"The {name} has the shape {array.shape}.", "Give (height, width, 3): RGB.")
    _check_pixels(array, name)
    if array.dtype == np.uint8 or array.dtype == np.uint16:
        return unit_float(array)
    return unit_range(array, name, "uint8, uint16 or floats in [0, 1]")


def as_pixels(image: Any, name: str = "image") -> NDArray[np.uint8] | Array:
    """Return `image` as :func:`as_rgb` does, but bytes as they are: for whoever needs no floats of all of it."""
    if isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3:
        _check_pixels(image, name)
        return image
    return as_rgb(image, name)


def as_mask(mask: Any, shape: tuple[int, ...] | None = None, name: str = "mask", *, measured: bool = False) -> Array:
    """Return `mask` as (H, W) float32 in [0, 1], without a copy where it already is.

    This is the contract of the functions that take a plane of numbers and can tell nothing: whatever would have to be
    guessed is refused. :func:`gossamer.image.read_mask` reads pictures of masks and says what it took.

    Parameters
    ----------
    mask : array-like
        (H, W), or with an axis of length 1 before or after it. bool; uint8 of 255; uint16 of 65535; other whole numbers
        of 255, or of 65535 where they are larger; or floats in [0, 1], or beyond by :data:`OVERSHOOT`, which is cut
        off. Whole numbers of which none is above 1 are labels: 1 = foreground.
    shape : tuple of int, optional
        The picture's shape; its first two entries must be the mask's.
    name : str
        What messages call it.
    measured : bool
        A mask that is measured may be as faint as it likes; otherwise whole numbers that are small, or number
        patches one after the other, as in a map of several labels, are refused.

    Raises
    ------
    InputError
        Another shape or type, no pixels, NaN or values outside [0, 1], or labels of several kinds.
    """
    if hasattr(mask, "getbands") and (mask.mode not in _PLAIN or mask.getexif().get(_ORIENTATION, 1) != 1):
        raise InputError(f"The {name} is a picture of the mode {mask.mode}, or lies on its side.", _READ)
    if isinstance(mask, (str, bytes, os.PathLike)):
        raise InputError(f"The {name} is no array of numbers but {type(mask).__name__}.", _READ)
    array = plane_of(_array_of(mask, name, "Give (height, width), 1 = foreground."), name)
    check_size(array.shape, shape, name)
    return unit_mask(array, name, measured=measured)[0]


def plane_of(array: NDArray[Any], name: str) -> NDArray[Any]:
    """Return an (H, W) view of an array that has nothing more than axes of length 1 besides, at its ends."""
    shape = array.shape
    while array.ndim > 2 and array.shape[-1] == 1:
        array = array[..., 0]
    while array.ndim > 2 and array.shape[0] == 1:
        array = array[0]
    if array.ndim != 2:
        raise InputError(f"The {name} has the shape {shape}.", "Give (height, width).")
    return array


def check_size(size: tuple[int, ...], picture: tuple[int, ...] | None, name: str, whose: str = "the picture") -> None:
    """Raise InputError where `name`, of the size (height, width), is not as large as the picture."""
    if picture is None or tuple(size) == tuple(picture[:2]):
        return
    remedy = f"Resize the {name} to the size of {whose}."
    if tuple(size) == (picture[1], picture[0]):
        remedy = f"Turn the {name} by a quarter: {whose} is taken upright, as viewers show it."
    raise InputError(f"The {name} is {size[1]} x {size[0]} pixels, but {whose} is {picture[1]} x {picture[0]}.", remedy)


def unit_mask(array: NDArray[Any], name: str, *, white: float = 0.0, measured: bool = False) -> tuple[Array, str]:
    """Return the numbers of a mask in [0, 1], and in half a sentence what had to be guessed about them.

    Parameters
    ----------
    array : ndarray
        Of any shape; see :func:`as_mask`.
    name : str
        What messages call it.
    white : float
        Of floats that come from whole numbers: what was 1 before.
    measured : bool
        As for :func:`as_mask`.

    Raises
    ------
    InputError
        As :func:`as_mask`.
    """
    _check_pixels(array, name)
    note = ""
    if array.dtype == np.bool_:
        return array.astype(np.float32), note
    if array.dtype.kind in "iu":
        low, high = int(array.min()), int(array.max())
        white = float(np.iinfo(array.dtype).max)
        if array.dtype not in (np.uint8, np.uint16):
            white = 255.0 if high <= 255 else 65535.0
            if low < 0 or high > 65535:
                raise InputError(
                    f"The {name} has whole numbers from {low} to {high}.", "Give 0 to 255, or floats in [0, 1]."
                )
            note = f"its numbers are taken as of {white:g}" if high > 1 else ""
        unit = np.divide(array, np.float32(white), dtype=np.float32, casting="unsafe")
    else:
        unit = unit_range(array, name, "bool, uint8, uint16 or floats in [0, 1]")
        high = round(float(unit.max()) * white) if white else 0
    if white and high == 1:
        return (unit > 0).astype(np.float32), "its numbers are 0 and 1: they are taken as labels, 1 = foreground"
    dim = _DEEP_LABELS if white > 255 else _LABELS
    if white and 1 < high <= dim and not measured:
        raise InputError(
            f"The {name} has no number above {high}, of {white:g} for white: its whole numbers look like labels.",
            _LABELLED,
        )
    if white and high > dim and not measured:
        if high < white and is_numbered(array, white, high):
            raise InputError(
                f"The {name} has every number up to {high}, each in an area of its own: they look like labels.",
                _LABELLED,
            )
        labels = scattered_labels(array, white)
        if len(labels) > _MOST_SHADES and high < white:
            raise InputError(
                f"The {name} has {len(labels)} numbers such as {_listed(labels)}, each in areas of its own, and none "
                f"of {white:g}: they look like labels.",
                _LABELLED,
            )
        if labels:
            note = f"{_listed(labels)} in areas of their own look like labels, but are taken as shades of grey"
    return unit, note


def _listed(labels: tuple[int, ...]) -> str:
    return f"{', '.join(str(label) for label in labels[:3])}{' …' if len(labels) > 3 else ''}"


def unit_range(array: NDArray[Any], name: str, wanted: str = "floats in [0, 1]") -> Array:
    """Return floats as float32 in [0, 1]; what lies beyond by no more than :data:`OVERSHOOT` is cut off.

    Raises
    ------
    InputError
        They are no floats, NaN or infinite, or on another scale.
    """
    if not np.issubdtype(array.dtype, np.floating):
        raise InputError(f"The {name} holds {array.dtype}.", f"Give {wanted}.")
    result: Array = array.astype(np.float32, copy=False)
    low, high = _extremes(result)
    if not in_range(low, high):
        raise InputError(f"The {name} has values from {low:g} to {high:g}.", range_remedy(low, high))
    return result if low >= 0 and high <= 1 else np.clip(result, 0, 1)


def _extremes(array: Array) -> tuple[float, float]:
    """Return the least and the largest number; NaN where there is one."""
    if not array.flags.c_contiguous:
        return float(array.min()), float(array.max())
    flat = array.reshape(-1)
    parts = [flat[start : start + _PART] for start in range(0, flat.size, _PART)]  # read once: they stay in the cache
    found = np.array([(part.min(), part.max()) for part in parts])
    return float(found[:, 0].min()), float(found[:, 1].max())


def in_range(low: float, high: float) -> bool:
    """Return whether floats from `low` to `high` are those of a picture: some in [0, 1], none far from it, no NaN."""
    return -OVERSHOOT <= low <= 1 + _ROUNDING and -_ROUNDING <= high <= 1 + OVERSHOOT


def on_another_scale(plane: NDArray[np.float32]) -> bool:
    """Return whether most numbers that are not 0 lie far above 1, as those of 255 do: no highlights are so many."""
    if not float(np.nanmax(plane, initial=0.0)) > 2:
        return False
    return bool(2 * np.count_nonzero(plane > 1 + OVERSHOOT) > np.count_nonzero(plane > 0))


def range_remedy(low: float, high: float) -> str:
    """Return what is to be done about floats from `low` to `high`."""
    if not math.isfinite(low) or not math.isfinite(high):
        return "Give floats in [0, 1], without NaN or infinity: see np.nan_to_num."
    if low >= -OVERSHOOT and high > 2:
        return "Divide 8-bit values by 255: give floats in [0, 1]."
    return "Give floats in [0, 1]: clip or scale them."


def _array_of(value: Any, name: str, remedy: str) -> NDArray[Any]:
    if value is None:
        raise InputError(f"There is no {name}.", remedy)
    try:
        return np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:  # rows of unlike lengths, a tensor that is not on the CPU
        reason = str(error).partition("\n")[0].rstrip(".")
        raise InputError(f"The {name} cannot be made an array ({reason}).", remedy) from None


def _check_pixels(array: NDArray[Any], name: str) -> None:
    if array.size == 0:
        raise InputError(f"The {name} has no pixels.", "Give a picture of at least 1 x 1.")


def unit_float(pixels: NDArray[Any]) -> Array:
    """Return colours in [0, 1]: uint8 divided by 255, uint16 by 65535, float32 as it is, without a copy."""
    if pixels.dtype == np.float32:
        return pixels
    white = np.float32(np.iinfo(pixels.dtype).max)
    result: Array = np.divide(pixels, white, dtype=np.float32, casting="same_kind")
    return result


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
    if high - low < FLAT:
        clipped: Array = np.clip(array, 0, 1, out=out)
        return clipped
    result: Array = np.subtract(array, np.float32(low), out=out)
    result /= np.float32(high - low)
    return result


def distances(inside: NDArray[np.bool_]) -> Array:
    """Return the Euclidean distance of each pixel that is inside to the nearest that is not, (H, W) float32; others 0.

    Something has to be outside. Each is the root of a whole number: OpenCV's last bits depend on how many threads there
    are.
    """
    import cv2

    found = cv2.distanceTransform(np.asarray(inside, np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    found = np.asarray(found, np.float32).reshape(inside.shape)
    np.square(found, out=found)
    np.rint(found, out=found)
    return np.sqrt(found, out=found)


def box_around(there: NDArray[np.bool_], margin: int) -> tuple[slice, slice]:
    """Return rows and columns of the box around what is there, something at least, and a margin within the array.

    Parameters
    ----------
    there : (H, W) bool
    margin : int
        Pixels, on every side.
    """
    rows, columns = (np.flatnonzero(there.any(axis=axis)) for axis in (1, 0))
    return (
        slice(max(int(rows[0]) - margin, 0), int(rows[-1]) + margin + 1),
        slice(max(int(columns[0]) - margin, 0), int(columns[-1]) + margin + 1),
    )
