"""The controls in their order: the mask's shape before matting, the alpha's edge after it."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from gossamer.arrays import Array, as_mask
from gossamer.parallel.patience import patiently
from gossamer.progress import Progress, ProgressCallback
from gossamer.refinement.components import fill_holes, keep_largest, remove_specks
from gossamer.refinement.contour import feather, shift, smooth
from gossamer.settings.recipe import Refinement

__all__ = ["adjust_alpha", "clean_mask", "refine_mask"]

_Step = tuple[str, Callable[[Array, Progress], Array]]


def clean_mask(mask: ArrayLike, settings: Refinement, *, progress: Progress | ProgressCallback | None = None) -> Array:
    """Correct a mask's shape, before matting.

    In this order: ``invert``, ``threshold``, ``fill_holes``, ``remove_specks``, ``keep_largest``, ``smooth``.
    They say what the subject is; done after matting they would cut off the hair that matting found.

    Parameters
    ----------
    mask : (H, W) array
        1 = foreground.
    settings : Refinement
        The other fields play no part; with the defaults the mask comes back as it is.
    progress : callable, optional
        ``progress(fraction, message)``; raising in it stops the work.

    Returns
    -------
    (H, W) float32
        In [0, 1]; `mask` itself where nothing is to be done.

    Raises
    ------
    InputError
        The mask has another shape or values outside [0, 1].
    """
    steps: list[_Step] = []

    def whole(work: Callable[[Array], Array]) -> Callable[[Array, Progress], Array]:
        return lambda alpha, part: patiently(lambda: work(alpha), part)

    if settings.invert:
        steps.append(("Inverting the mask", lambda alpha, _: 1 - alpha))
    if settings.threshold > 0:
        level = max(np.float32(settings.threshold), np.finfo(np.float32).tiny)  # a tiny one must not round to 0: all
        steps.append(("Thresholding the mask", lambda alpha, _: (alpha >= level).astype(np.float32)))
    if settings.fill_holes > 0:
        steps.append(("Filling holes", whole(lambda alpha: fill_holes(alpha, area(alpha, settings.fill_holes)))))
    if settings.remove_specks > 0:
        steps.append(
            ("Removing specks", whole(lambda alpha: remove_specks(alpha, area(alpha, settings.remove_specks))))
        )
    if settings.keep_largest > 0:
        steps.append(("Keeping the largest", whole(lambda alpha: keep_largest(alpha, settings.keep_largest))))
    if settings.smooth > 0:
        steps.append(("Smoothing the mask", lambda alpha, part: smooth(alpha, length(alpha, settings.smooth), part)))

    def length(alpha: Array, value: float) -> float:
        return _pixels(alpha, value, settings)

    def area(alpha: Array, diameter: float) -> float:
        return math.pi / 4 * length(alpha, diameter) ** 2

    return _run(mask, steps, "mask", progress)


def adjust_alpha(
    alpha: ArrayLike, settings: Refinement, *, progress: Progress | ProgressCallback | None = None
) -> Array:
    """Adjust an alpha's edge, after matting (or without it).

    In this order: ``black_point`` and ``white_point``, ``shift_edge``, ``feather``, ``contrast``.

    Parameters
    ----------
    alpha : (H, W) array
        1 = foreground.
    settings : Refinement
        The other fields play no part; with the defaults the alpha comes back as it is.
    progress : callable, optional
        ``progress(fraction, message)``; raising in it stops the work.

    Returns
    -------
    (H, W) float32
        In [0, 1]; `alpha` itself where nothing is to be done.

    Raises
    ------
    InputError
        The alpha has another shape or values outside [0, 1].
    """
    steps: list[_Step] = []
    black, white = settings.black_point, settings.white_point
    if black > 0 or white < 1:
        steps.append(("Setting black and white", lambda alpha, _: _levels(alpha, black, white)))
    if settings.shift_edge:
        steps.append(("Shifting the edge", lambda alpha, part: shift(alpha, length(alpha, settings.shift_edge), part)))
    if settings.feather > 0:
        steps.append(("Feathering the edge", lambda alpha, part: feather(alpha, length(alpha, settings.feather), part)))
    if settings.contrast > 0:
        half = (1 - settings.contrast / 100) / 2
        steps.append(("Raising the contrast", lambda alpha, _: _levels(alpha, 0.5 - half, 0.5 + half)))

    def length(alpha: Array, value: float) -> float:
        return _pixels(alpha, value, settings)

    return _run(alpha, steps, "alpha", progress)


def refine_mask(mask: ArrayLike, settings: Refinement, *, progress: Progress | ProgressCallback | None = None) -> Array:
    """Run every control on a mask that no matting follows: :func:`clean_mask`, then :func:`adjust_alpha`.

    Parameters
    ----------
    mask : (H, W) array
        1 = foreground.
    settings : Refinement
        With the defaults the mask comes back as it is.
    progress : callable, optional
        ``progress(fraction, message)``; raising in it stops the work.

    Returns
    -------
    (H, W) float32
        In [0, 1]; `mask` itself where nothing is to be done.

    Raises
    ------
    InputError
        The mask has another shape or values outside [0, 1].
    """
    report = Progress.of(progress)
    clean = clean_mask(mask, settings, progress=report.part(0.0, 0.5))
    return adjust_alpha(clean, settings, progress=report.part(0.5, 1.0))


def _run(mask: ArrayLike, steps: list[_Step], name: str, progress: Progress | ProgressCallback | None) -> Array:
    if not steps and isinstance(mask, np.ndarray) and mask.dtype == np.float32 and mask.ndim == 2:
        return mask  # not even looked at: most recipes leave this stage alone
    result, report = as_mask(mask, name=name), Progress.of(progress)
    for index, (message, step) in enumerate(steps):
        report(index / len(steps), message)
        result = step(result, report.part(index / len(steps), (index + 1) / len(steps)))
    report(1.0)
    return result


def _pixels(alpha: Array, value: float, settings: Refinement) -> float:
    """Return a length of the settings in pixels."""
    return value if settings.unit == "px" else value / 100 * math.hypot(*alpha.shape)


def _levels(alpha: Array, black: float, white: float) -> Array:
    """Stretch [black, white] to [0, 1]; where the two are one, what lies at it becomes a half."""
    result: Array = alpha - np.float32(black)
    if white - black < 1e-6:
        return np.heaviside(result, np.float32(0.5), out=result)
    result /= np.float32(white) - np.float32(black)  # rounded as the pixels are: white becomes 1 to the last bit
    return np.clip(result, 0, 1, out=result)
