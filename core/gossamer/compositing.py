"""Compositing: a foreground with its alpha "over" a background (Porter and Duff 1984)."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gossamer.arrays import Array, as_mask, as_rgb, unit_float
from gossamer.colours import colour_names, read_colour
from gossamer.errors import InputError
from gossamer.gradients import Gradient, is_gradient, read_gradient
from gossamer.image import Image, read_image
from gossamer.light import from_linear, to_linear
from gossamer.paths import source_path
from gossamer.settings.recipe import Background
from gossamer.spelling import did_you_mean

__all__ = [
    "Backdrop",
    "Composite",
    "cover",
    "is_opaque",
    "over",
    "parse_colour",
    "read_backdrop",
]

TRANSPARENT, BLUR = "transparent", "blur"

_STRIP = 1 << 16  # pixels converted at a time: stays in the cache


def over(
    foreground: ArrayLike,
    alpha: ArrayLike,
    background: ArrayLike,
    *,
    linear_light: bool = False,
    highlights: bool = False,
) -> Array:
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
    highlights : bool
        Both layers may be brighter than 1, as those of HDR are: finite float32, which stays as bright. sRGB's curve
        goes on above 1.

    Returns
    -------
    (H, W, 3) float32
        ``alpha * foreground + (1 - alpha) * background``, in the numbers' own encoding.

    Raises
    ------
    InputError
        Sizes differ or values are outside [0, 1].
    """
    if highlights:
        return _over_with_highlights(np.asarray(foreground, np.float32), alpha, background, linear_light)
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
    result = np.empty(front.shape, np.float32)
    rows = max(1, _STRIP // max(1, front.shape[1]))
    for top in range(0, len(result), rows):
        part = slice(top, top + rows)
        under = behind if behind.ndim == 1 else behind[part]
        mixed = np.subtract(front[part], under, out=result[part])
        mixed *= matte[part]
        mixed += under
        np.clip(mixed, 0, 1, out=mixed)
    return result


def _over_with_highlights(front: Array, alpha: ArrayLike, background: ArrayLike, linear_light: bool) -> Array:
    matte = as_mask(alpha, front.shape, "alpha")[:, :, None]
    behind = np.asarray(background, np.float32)
    if linear_light:
        return _over_in_linear_light(front, matte, behind, brightest=np.inf)
    result: Array = front - behind
    result *= matte
    result += behind
    np.copyto(result, front, where=matte >= 1)  # what is not mixed is not rounded either
    return result


def _over_in_linear_light(foreground: Array, alpha: Array, behind: Array, brightest: float = 1) -> Array:
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
        result[rows] = from_linear(mixed, brightest)
        # The curves' rounding must not touch what is not mixed.
        np.copyto(result[rows], front, where=matte >= 1)
        np.copyto(result[rows], back, where=matte <= 0)
    return result


def parse_colour(text: str, *, transparent: bool = False) -> Array:
    """Return the (3,) float32 colour that a text means, e.g. ``#rrggbb``; where it may be transparent (4,), with alpha.

    Raises
    ------
    InputError
        It is no colour as :func:`gossamer.colours.read_colour` knows them, or one that is transparent in part.
    """
    colour = read_colour(text) if isinstance(text, str) else None
    if colour is None:
        close = did_you_mean(text, colour_names()) if isinstance(text, str) else ""
        raise InputError(f"{text!r} is not a colour.", f"{close}Write it as #rrggbb, e.g. #ffffff.")
    if transparent:
        return np.array(colour, np.float32)
    if colour.alpha < 1:
        raise InputError(f"{text!r} is transparent in part.", "Write an opaque colour as #rrggbb, e.g. #ffffff.")
    return np.array(colour[:3], np.float32)


def is_opaque(fill: str) -> bool:
    """Return whether nothing of a result with this ``background.fill`` is transparent; reads no file."""
    fill = fill.strip()
    if fill == TRANSPARENT:
        return False
    colour = read_colour(fill) if fill != BLUR and not is_gradient(fill) else None
    return colour is None or colour.alpha == 1


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


class Composite(NamedTuple):
    """A subject over its background.

    Attributes
    ----------
    rgb : (H, W, 3) float32
        Straight colours.
    alpha : (H, W) float32 or None
        None where it is opaque.
    """

    rgb: Array
    alpha: Array | None


@dataclass(frozen=True, eq=False)
class Backdrop:
    """What comes behind a subject, read and checked before there is one; made by :func:`read_backdrop`.

    Attributes
    ----------
    colour : (3,) float32 or None
        In the picture's own profile.
    alpha : float
        Of `colour`; 1 = opaque.
    picture : Image or None
        As it was read.
    blur : float or None
        Standard deviation, in percent of the picture's diagonal.
    linear_light : bool
        As for :func:`over`.
    conversion : callable or None
        Brings the numbers of `picture` to the picture's profile.
    warnings : tuple of str
        What was guessed or put right in reading.
    gradient : Gradient or None
        In sRGB; `conversion` brings it to the picture's profile.
    highlights : bool
        As for :func:`over`.
    """

    colour: Array | None = None
    alpha: float = 1.0
    picture: Image | None = None
    blur: float | None = None
    linear_light: bool = False
    conversion: Conversion | None = None
    warnings: tuple[str, ...] = ()
    gradient: Gradient | None = None
    highlights: bool = False

    def behind(
        self,
        image: NDArray[Any],
        foreground: NDArray[Any] | None = None,
        alpha: Array | None = None,
        visible: Array | None = None,
    ) -> Array | None:
        """Return the background for a picture: (H, W, 3) or (3,) float32; None where there is to be none.

        Parameters
        ----------
        image : (H, W, 3) float32 or uint8
            The picture that the subject is from.
        foreground, alpha : (H, W, 3) and (H, W) arrays, optional
            The subject's own colours and matte: what is blurred is the picture without it. Without a matte all of it.
        visible : (H, W) float32, optional
            The picture's own alpha: what it hides is not blurred into anything.
        """
        height, width = image.shape[:2]
        if self.colour is not None:
            return self.colour
        if self.picture is not None:
            covered = cover(_over_white(self.picture), height, width)
            return covered if self.conversion is None else self.conversion(covered)
        if self.gradient is not None:
            painted = self.gradient.painted(height, width)
            return painted if self.conversion is None else self.conversion(painted)
        if self.blur is not None:
            return _blurred(image, foreground, alpha, visible, float(np.hypot(height, width)) * self.blur / 100)
        return None

    def under(
        self,
        foreground: NDArray[Any],
        matte: Array,
        image: NDArray[Any],
        visible: Array | None = None,
        *,
        estimated: bool = True,
    ) -> Composite | None:
        """Put a subject over the background; None where there is to be none.

        Parameters
        ----------
        foreground : (H, W, 3) float32 or uint8
            The subject's straight colours.
        matte : (H, W) float32
            1 = subject.
        image, visible
            As for :meth:`behind`: the whole alpha of the subject is ``matte * visible``.
        estimated : bool
            Whether the colours are the subject's own, or still the picture's.
        """
        behind = self.behind(image, foreground if estimated else None, matte, visible)
        if behind is None:
            return None
        alpha = matte if visible is None else matte * visible
        colours = unit_float(foreground)
        how = {"linear_light": self.linear_light, "highlights": self.highlights}
        if self.alpha == 1:
            return Composite(over(colours, alpha, behind, **how), None)
        # Straight colours of both together are mixed by the subject's share of what is seen.
        seen = alpha + (1 - alpha) * np.float32(self.alpha)
        share = np.divide(alpha, seen, out=np.zeros_like(alpha), where=seen > 0)
        return Composite(over(colours, share, behind, **how), seen)


def read_backdrop(settings: Background, icc_profile: bytes | None = None) -> Backdrop:
    """Read what a recipe wants behind the subject, before any model runs.

    Parameters
    ----------
    settings : Background
        A picture is scaled to cover, its middle kept; where it is transparent, white shows. A colour that is
        transparent in part leaves the result so.
    icc_profile : bytes, optional
        The colour profile of the picture that the subject is from: colours (sRGB) and pictures (their own profile) are
        converted to it.

    Raises
    ------
    InputError
        The fill is no colour and no picture that can be read, or cannot be converted to the profile.
    """
    fill = settings.fill.strip()
    if fill == TRANSPARENT:
        return Backdrop()
    if fill == BLUR:
        return Backdrop(blur=settings.blur, linear_light=settings.linear_light)
    gradient = read_gradient(fill)
    if gradient is not None:
        convert = conversion(None, icc_profile)
        return Backdrop(gradient=gradient, linear_light=settings.linear_light, conversion=convert)
    colour = read_colour(fill)
    if colour is not None:
        rgb = np.array(colour[:3], np.float32)
        convert = conversion(None, icc_profile)
        own = rgb if convert is None else convert(rgb[None, None])[0, 0]
        return Backdrop(colour=own, alpha=colour.alpha, linear_light=settings.linear_light)
    picture = _background_picture(settings.fill)
    warnings = list(picture.warnings)
    if picture.alpha is not None and float(picture.alpha.min()) < 1:
        warnings.append(f"The background {settings.fill} is transparent in part: white shows there.")
    return Backdrop(
        picture=picture,
        linear_light=settings.linear_light,
        conversion=conversion(picture.icc_profile, icc_profile),
        warnings=tuple(warnings),
    )


def _background_picture(fill: str) -> Image:
    path = source_path(fill.strip() if not os.path.lexists(fill) else fill, "background")
    if re.fullmatch(r"[A-Za-z][A-Za-z _-]*", fill.strip()) and not os.path.lexists(path):
        close = did_you_mean(fill, (TRANSPARENT, BLUR, *colour_names()))
        raise InputError(
            f"{fill!r} is neither a colour nor the path of a picture.",
            f"{close}Give transparent, blur, a colour as #ffffff or white, or a picture's path.",
        )
    return read_image(path)


def _over_white(picture: Image) -> NDArray[Any]:
    """Return the colours that a picture shows on white paper."""
    if picture.alpha is None:
        return picture.pixels
    return over(np.asarray(picture.rgb), np.asarray(picture.alpha), np.ones(3, np.float32))


_FAINT = np.float32(1e-4)  # of weight: below it sums of float32 are mostly rounding
_PURE = np.float32(0.5 / 255)  # of alpha: what 8 bits round to nothing


def _blurred(
    image: NDArray[Any], foreground: NDArray[Any] | None, alpha: Array | None, visible: Array | None, sigma: float
) -> Array:
    """Blur what is behind the subject: a normalised convolution of ``(1 - alpha) * background``.

    That product is the picture less ``alpha * foreground``, exactly so where these are right. Divided by the blurred
    ``1 - alpha`` it holds nothing of the subject, which would glow around itself. Without a foreground only pixels
    without a subject count, where there are any.
    """
    import cv2

    height, width = image.shape[:2]
    # A wide Gaussian loses nothing at a quarter of its sigma: blur a small copy and bring it back.
    shrink = max(1, int(sigma / 4))
    across, down = -(-width // shrink), -(-height // shrink)
    small = np.empty((down, across, 4), np.float32)
    pure = alpha is not None and foreground is None and bool((alpha < _PURE).any())
    step = max(1, _STRIP // (width * shrink))
    for top in range(0, down, step):
        rows = slice(top * shrink, min((top + step) * shrink, height))
        # Copies of the last row and column fill the last cells.
        rest = (-(rows.stop - rows.start) % shrink, across * shrink - width)

        def reduced(plane: NDArray[Any], rest: tuple[int, int] = rest) -> Array:
            if any(rest):
                plane = cv2.copyMakeBorder(plane, 0, rest[0], 0, rest[1], cv2.BORDER_REPLICATE)
            size = (across, plane.shape[0] // shrink)
            return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA)).reshape(size[1], across, -1)

        product, weight = unit_float(image[rows]), np.ones((rows.stop - rows.start, width), np.float32)
        if alpha is not None:
            weight = (alpha[rows] < _PURE).astype(np.float32) if pure else 1 - alpha[rows]
            if foreground is not None:
                front = cv2.multiply(unit_float(foreground[rows]), cv2.merge(3 * [np.ascontiguousarray(alpha[rows])]))
                product = np.maximum(cv2.subtract(product, front, dst=front), 0, out=front)
            else:
                product = product * weight[..., None]
        if visible is not None:
            product, weight = product * visible[rows, :, None], weight * visible[rows]
        small[top : top + step, :, :3], small[top : top + step, :, 3:] = reduced(product), reduced(weight)
    total = small.sum((0, 1), dtype=np.float64)
    mean = (total[:3] / total[3] if total[3] > 0 else np.full(3, 0.5)).astype(np.float32)
    small = np.asarray(cv2.GaussianBlur(small, (0, 0), sigma / shrink, borderType=cv2.BORDER_REPLICATE))
    colours = np.clip((small[..., :3] + _FAINT * mean) / (small[..., 3:] + _FAINT), 0, 1)
    risen = cv2.resize(colours, (across * shrink, down * shrink), interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(np.asarray(risen, np.float32)[:height, :width])


Conversion: TypeAlias = Callable[[Array], Array]
"""Takes (H, W, 3) float32 numbers of one profile and returns those of another."""


def conversion(source: bytes | None, target: bytes | None) -> Conversion | None:
    """Return what converts from one RGB profile to another (None: sRGB), in 8 bits; None where they are the same.

    Raises
    ------
    InputError
        One of them cannot be used.
    """
    if source == target:
        return None
    import io

    import PIL.Image
    from PIL import ImageCms

    def opened(icc: bytes | None) -> ImageCms.ImageCmsProfile:
        return ImageCms.ImageCmsProfile(io.BytesIO(icc) if icc else ImageCms.createProfile("sRGB"))

    try:
        transform = ImageCms.buildTransform(
            opened(source),
            opened(target),
            "RGB",
            "RGB",
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
        raise InputError(
            "The picture's colour profile or that of the background cannot be used to convert between them.",
            "Convert both to sRGB first, or choose a transparent background.",
        ) from None

    def convert(rgb: Array) -> Array:
        picture = PIL.Image.fromarray((rgb * np.float32(255) + np.float32(0.5)).astype(np.uint8))
        converted = ImageCms.applyTransform(picture, transform)
        assert converted is not None  # noqa: S101 - None only for inPlace
        return as_rgb(np.asarray(converted))

    return convert
