"""Compositing: a foreground with its alpha "over" a background (Porter and Duff 1984)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gossamer.arrays import Array, as_mask, as_rgb, unit_float
from gossamer.errors import InputError
from gossamer.image import read_image

__all__ = ["background_for", "cover", "from_linear", "over", "parse_colour", "to_linear"]

_STRIP = 1 << 16  # pixels converted at a time: stays in the cache


def over(foreground: ArrayLike, alpha: ArrayLike, background: ArrayLike, *, linear_light: bool = False) -> Array:
    """Put a foreground with straight alpha over a background.

    Parameters
    ----------
    foreground : (H, W, 3) array
        Straight (not premultiplied) colours: uint8, uint16 or floats in [0, 1].
    alpha : (H, W) array
        1 = foreground: bool, uint8, uint16 or floats in [0, 1].
    background : (H, W, 3) or (3,) array
        A picture of the same size, or one colour: uint8, uint16 or floats in [0, 1].
    linear_light : bool
        Mix amounts of light instead of the numbers, which are taken to follow sRGB's curve.

    Returns
    -------
    (H, W, 3) float32
        ``alpha * foreground + (1 - alpha) * background``, in the numbers' own encoding.

    Raises
    ------
    InputError
        Sizes differ or values are outside [0, 1].
    """
    front = as_rgb(foreground, "foreground")
    matte = as_mask(alpha, front.shape, "alpha")[:, :, None]
    behind = np.asarray(background)
    if behind.shape not in ((3,), front.shape):
        raise InputError(
            f"The background has the shape {behind.shape}.",
            f"Give {front.shape} or one colour of 3 numbers.",
        )
    if behind.ndim == 1:
        # Black and white are written as whole numbers too: (0, 0, 0), (1, 1, 1).
        colour = behind.astype(np.float32) if behind.dtype.kind in "bi" else behind
        behind = as_rgb(colour[None, None], "background")[0, 0]
    else:
        behind = as_rgb(behind, "background")
    if linear_light:
        return _over_in_linear_light(front, matte, behind)
    result: Array = front - behind
    result *= matte
    result += behind
    return np.clip(result, 0, 1, out=result)


def _over_in_linear_light(foreground: Array, alpha: Array, behind: Array) -> Array:
    """Mix what the numbers of both layers mean as light, a strip at a time."""
    result = np.empty_like(foreground)
    step = max(1, _STRIP // foreground.shape[1])
    for top in range(0, len(foreground), step):
        rows = slice(top, top + step)
        front, matte = foreground[rows], alpha[rows]
        back = np.broadcast_to(behind if behind.ndim == 1 else behind[rows], front.shape)
        mixed = to_linear(front)
        mixed -= to_linear(back)
        mixed *= matte
        mixed += to_linear(back)
        result[rows] = from_linear(mixed)
        # The curves' rounding must not touch what is not mixed.
        np.copyto(result[rows], front, where=matte >= 1)
        np.copyto(result[rows], back, where=matte <= 0)
    return result


def to_linear(numbers: Array) -> Array:
    """Return the light that sRGB numbers in [0, 1] stand for, in [0, 1] (IEC 61966-2-1)."""
    light = np.power((numbers + np.float32(0.055)) / np.float32(1.055), np.float32(2.4))
    return np.where(numbers <= np.float32(0.04045), numbers / np.float32(12.92), light)


def from_linear(light: Array) -> Array:
    """Return the sRGB numbers in [0, 1] of light in [0, 1], what lies outside clipped (IEC 61966-2-1)."""
    light = np.clip(light, 0, 1)
    numbers = np.float32(1.055) * np.power(light, np.float32(1 / 2.4)) - np.float32(0.055)
    return np.where(light <= np.float32(0.0031308), light * np.float32(12.92), numbers)


def parse_colour(text: str) -> Array:
    """Return the (3,) float32 colour of ``#rrggbb``; raises InputError for anything else."""
    try:
        if len(text) != 7 or text[0] != "#":
            raise ValueError
        values = bytes.fromhex(text[1:])
    except ValueError:
        raise InputError(f"{text!r} is not a colour.", "Write it as #rrggbb, e.g. #ffffff.") from None
    return np.frombuffer(values, np.uint8).astype(np.float32) / np.float32(255)


def cover(picture: Array, height: int, width: int) -> Array:
    """Scale (h, w, 3) to cover `height` x `width`, keeping its aspect ratio, and cut the middle out."""
    import cv2

    picture = as_rgb(picture, "background")
    scale = max(height / picture.shape[0], width / picture.shape[1])
    size = (max(width, round(picture.shape[1] * scale)), max(height, round(picture.shape[0] * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    scaled = np.asarray(cv2.resize(picture, size, interpolation=how), dtype=np.float32)
    top, left = (size[1] - height) // 2, (size[0] - width) // 2
    return np.ascontiguousarray(scaled[top : top + height, left : left + width])


def background_for(
    fill: str, image: NDArray[Any], *, blur: float = 2.0, icc_profile: bytes | None = None
) -> Array | None:
    """Make the background that a recipe's ``background.fill`` asks for.

    Parameters
    ----------
    fill : str
        ``transparent``, ``blur``, ``#rrggbb`` or the path of a picture (scaled to cover, middle kept).
    image : (H, W, 3) float32 or uint8
        The picture that the foreground is from.
    blur : float
        Standard deviation of ``blur``, in percent of the picture's diagonal.
    icc_profile : bytes, optional
        The picture's colour profile: colours (sRGB) and pictures (their own profile) are converted to it.

    Returns
    -------
    (H, W, 3) or (3,) float32, or None for ``transparent``

    Raises
    ------
    InputError
        The colour or the picture cannot be read.
    """
    if fill == "transparent":
        return None
    if fill.startswith("#"):
        colour: Array = _converted(parse_colour(fill)[None, None], None, icc_profile)[0, 0]
        return colour
    height, width = image.shape[:2]
    if fill == "blur":
        import cv2

        sigma = float(np.hypot(height, width)) * blur / 100
        # A wide Gaussian loses nothing at a quarter of its sigma: blur a small copy and bring it back.
        shrink = max(1, int(sigma / 4))
        small_size = (max(1, width // shrink), max(1, height // shrink))
        small = cv2.resize(unit_float(image), small_size, interpolation=cv2.INTER_AREA)
        small = cv2.GaussianBlur(small, (0, 0), sigma / shrink, borderType=cv2.BORDER_REPLICATE)
        return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.float32)
    behind = read_image(fill)
    return _converted(cover(behind.rgb, height, width), behind.icc_profile, icc_profile)


def _converted(rgb: Array, source: bytes | None, target: bytes | None) -> Array:
    """Convert (H, W, 3) from one RGB profile to another (None: sRGB), in 8 bits where they differ."""
    if source == target:
        return rgb
    import io

    import PIL.Image
    from PIL import ImageCms

    before, after = (
        ImageCms.ImageCmsProfile(io.BytesIO(icc) if icc else ImageCms.createProfile("sRGB")) for icc in (source, target)
    )
    picture = PIL.Image.fromarray((rgb * np.float32(255) + np.float32(0.5)).astype(np.uint8))
    try:
        converted = ImageCms.profileToProfile(picture, before, after, outputMode="RGB")
    except ImageCms.PyCMSError:
        raise InputError(
            "The picture's colour profile cannot be used to convert the background to it.",
            "Convert the picture to sRGB first, or choose a transparent background.",
        ) from None
    return as_rgb(np.asarray(converted))
