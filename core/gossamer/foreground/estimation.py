"""Foreground and background colours by any of the methods."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gossamer.arguments import check_call
from gossamer.arrays import Array, as_mask
from gossamer.errors import InputError
from gossamer.foreground.blur_fusion.estimate import fuse
from gossamer.foreground.checks import check_pair, check_radius
from gossamer.foreground.levin import closed_form_layers
from gossamer.foreground.published import multilevel_layers
from gossamer.foreground.soft_band.solver import band_layers
from gossamer.progress import Progress, ProgressCallback

__all__ = ["METHODS", "ForegroundBackground", "estimate_foreground", "soft_band"]

_log = logging.getLogger("gossamer")

METHODS = ("auto", "none", "blur_fusion", "multilevel", "closed_form", "soft_band")


class ForegroundBackground(NamedTuple):
    """Straight colours of both layers of a picture.

    Attributes
    ----------
    foreground, background : (H, W, 3) float32
        In [0, 1].
    """

    foreground: Array
    background: Array


def estimate_foreground(
    image: ArrayLike,
    alpha: ArrayLike,
    method: str = "auto",
    *,
    radius: int = 90,
    fine_radius: int = 6,
    progress: Progress | ProgressCallback | None = None,
    warn: Callable[[str], object] | None = None,
) -> ForegroundBackground:
    """Estimate both layers of a picture ``alpha * foreground + (1 - alpha) * background``.

    Parameters
    ----------
    image : (H, W, 3) array-like
        The picture: floats in [0, 1], uint8 or uint16.
    alpha : (H, W) array-like
        1 where the foreground is: floats in [0, 1], uint8, uint16 or bool.
    method : str
        - ``none``: the picture itself, twice;
        - ``blur_fusion``: two passes of box blurs (Forte 2021), the fastest;
        - ``multilevel``: Germer 2020, as PyMatting has it;
        - ``closed_form``: Levin 2008; exact for its model, and slow;
        - ``soft_band``: Gossamer's own: as multilevel, but only where the layers mix, aware of their texture,
          several times as fast and with half the error; hidden colours continue the seen ones smoothly;
        - ``auto``: the best of them, ``soft_band``.
    radius, fine_radius : int
        Sides in pixels of the box blurs of ``blur_fusion``.
    progress : callable, optional
        Called as ``progress(fraction, message)``; may raise to cancel.
    warn : callable, optional
        Told in one sentence where ``closed_form`` had not settled in the end. Without it that goes to the logger
        ``gossamer`` as a warning.

    Returns
    -------
    ForegroundBackground
        ``(foreground, background)``, (H, W, 3) float32 each. At alpha 1 the foreground is the picture, and
        at alpha 0 the background is, except with ``blur_fusion``, whose background is the picture's, blurred.

    Raises
    ------
    InputError
        A wrong shape, type or size, values outside [0, 1] or not finite, a radius below 1, an unknown method.

    References
    ----------
    A. Levin, D. Lischinski, Y. Weiss, "A Closed-Form Solution to Natural Image Matting", PAMI 2008.
    T. Germer, T. Uelwer, S. Conrad, S. Harmeling, "Fast Multi-Level Foreground Estimation", ICPR 2020.
    M. Forte, "Approximate Fast Foreground Colour Estimation", ICIP 2021.
    """
    if method not in METHODS:
        raise InputError(f"There is no foreground method {method!r}.", f"Take one of: {', '.join(METHODS)}.")
    check_call(warn, "warn", "warn(sentence)")
    picture, matte = check_pair(image, alpha)
    sides = check_radius(radius, "radius"), check_radius(fine_radius, "fine radius")
    report = Progress.of(progress)
    report(0.0, "Estimating foreground colours")
    if method == "none":
        result = ForegroundBackground(picture.copy(), picture.copy())
    elif method == "blur_fusion":
        result = ForegroundBackground(np.empty_like(picture), np.empty_like(picture))
        fuse(picture, matte, *sides, *result, report)
    elif method == "multilevel":
        result = ForegroundBackground(*multilevel_layers(picture, matte, report))
    elif method == "closed_form":
        result = ForegroundBackground(*closed_form_layers(picture, matte, report, warn or _log.warning))
    else:
        front, back = band_layers(picture, matte, report)
        assert back is not None  # noqa: S101 - asked for by default
        result = ForegroundBackground(front, back)
    report(1.0)
    return result


def soft_band(
    image: ArrayLike,
    alpha: ArrayLike,
    *,
    eight_bit: bool = False,
    progress: Progress | ProgressCallback | None = None,
) -> NDArray[Any]:
    """Estimate the foreground's colours alone as ``estimate_foreground(..., "soft_band")`` does, in less memory.

    Parameters
    ----------
    image : (H, W, 3) array-like
        The picture: floats in [0, 1], uint8 (which is not converted as a whole) or uint16.
    alpha : (H, W) array-like
        1 where the foreground is: floats in [0, 1], uint8, uint16 or bool.
    eight_bit : bool
        Round to uint8 (of 255), a quarter of the memory. Hidden colours that hardly differ may become one.
    progress : callable, optional
        Called as ``progress(fraction, message)``; may raise to cancel.

    Returns
    -------
    (H, W, 3) float32, or uint8
        The foreground's straight colours in [0, 1] (of 255 as bytes): the picture's where alpha is 1, and a smooth
        continuation of the subject's own where nothing is visible.

    Raises
    ------
    InputError
        A wrong shape, type or size, values outside [0, 1] or not finite.
    """
    if isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3:
        picture: NDArray[Any] = np.ascontiguousarray(image)
        matte = np.ascontiguousarray(as_mask(alpha, image.shape, "alpha"))
    else:
        picture, matte = check_pair(image, alpha)
    return band_layers(picture, matte, Progress.of(progress), background=False, eight_bit=eight_bit)[0]
