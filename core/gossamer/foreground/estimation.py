"""Foreground and background colours by any of the methods."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from gossamer.arrays import Array
from gossamer.errors import InputError
from gossamer.foreground.box_blur import fuse
from gossamer.foreground.checks import check_pair, check_radius
from gossamer.progress import Progress, ProgressCallback

__all__ = ["METHODS", "ForegroundBackground", "estimate_foreground"]

METHODS = ("auto", "none", "blur_fusion", "multilevel", "closed_form")


class ForegroundBackground(NamedTuple):
    """Colours of foreground and background, (H, W, 3) float32 in [0, 1] each."""

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
) -> ForegroundBackground:
    """Estimate the colours of foreground and background of ``image = alpha F + (1 - alpha) B``."""
    picture, matte = check_pair(image, alpha)
    sides = check_radius(radius, "radius"), check_radius(fine_radius, "fine radius")
    report = Progress.of(progress)
    report(0.0, "Estimating foreground colours")
    if method == "none":
        result = ForegroundBackground(picture.copy(), picture.copy())
    elif method == "blur_fusion":
        result = ForegroundBackground(np.empty_like(picture), np.empty_like(picture))
        fuse(picture, matte, *sides, *result, report)
    elif method in ("multilevel", "auto"):
        from pymatting import estimate_foreground_ml

        result = ForegroundBackground(*estimate_foreground_ml(picture, matte, return_background=True))
    elif method == "closed_form":
        from pymatting import estimate_foreground_cf

        both = estimate_foreground_cf(picture.astype(np.float64), matte.astype(np.float64), return_background=True)
        result = ForegroundBackground(*(part.astype(np.float32) for part in both))
    else:
        raise InputError(f"There is no foreground method {method!r}.", f"Take one of: {', '.join(METHODS)}.")
    report(1.0)
    return result
