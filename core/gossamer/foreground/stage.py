"""The foreground stage: a picture, its alpha and the settings in, the subject's own colours out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array, unit_float
from gossamer.colours import screen_channel
from gossamer.image import Image
from gossamer.parallel.patience import patiently
from gossamer.progress import Progress
from gossamer.settings.recipe import Foreground

__all__ = ["subject_colours"]

_EVERY = 4  # pixels: enough of them tell a screen's colour
_BEHIND = 0.02  # alpha below is the screen


def subject_colours(
    source: Image,
    alpha: Array,
    settings: Foreground,
    *,
    final: bool,
    keyed: bool = False,
    progress: Progress,
    warn: Callable[[str], object],
) -> NDArray[Any]:
    """Return the subject's colours, (H, W, 3), by the method of the settings, despilled where they ask for it.

    Parameters
    ----------
    source : Image
        The picture.
    alpha : (H, W) float32
        1 = foreground.
    settings : Foreground
    final : bool
        Whether nothing more is computed from the colours: then those of a large picture of bytes are bytes.
    keyed : bool
        Whether a screen was keyed out: despill ``auto`` looks which.
    progress : Progress
        May raise to cancel.
    warn : callable
        Told in one sentence each what did not go as asked.
    """
    # Each of these loads kernels: only what is wanted.
    from gossamer import foreground
    from gossamer.foreground.soft_band.solver import LARGE

    spill = settings.despill
    if spill == "auto":
        spill = _screen(source.pixels, alpha) if keyed else "none"
    steps, plain = progress, spill == "none"
    if settings.method == "none":
        colours = source.pixels if plain else source.rgb
    elif settings.method in ("auto", "soft_band"):
        thrifty = plain and final and source.pixels.dtype == np.uint8 and alpha.size > LARGE
        colours = foreground.soft_band(source.pixels, alpha, eight_bit=thrifty, progress=steps)
    elif settings.method == "blur_fusion":
        rgb = patiently(lambda: source.rgb, steps)
        colours = foreground.blur_fusion(rgb, alpha, settings.radius, settings.fine_radius, progress=steps)
        reach, fused = (settings.fine_radius - 1) // 2, colours
        colours = patiently(lambda: foreground.fill_hidden(fused, alpha, reach), steps)
    else:
        layers = foreground.estimate_foreground(source.rgb, alpha, settings.method, progress=steps, warn=warn)
        colours = layers.foreground
    if settings.decontaminate < 100 and settings.method != "none":
        share, own = settings.decontaminate / 100, colours
        colours = patiently(lambda: _mixed(source.pixels, own, share), progress)
    if spill == "none":
        return colours
    colour, strength = spill, settings.despill_strength
    # Unasked only what cannot be the subject's: olive leaves are no spill of a green screen.
    limit: Literal["average", "maximum"] = "maximum" if settings.despill == "auto" else "average"
    return patiently(lambda: foreground.despill(colours, alpha, colour, strength, limit=limit), steps)


def _mixed(pixels: NDArray[Any], colours: NDArray[Any], share: float) -> NDArray[Any]:
    """Return the subject's colours by a share, and the picture's for the rest."""
    import cv2

    seen = pixels if pixels.dtype == colours.dtype else unit_float(pixels)
    return np.asarray(cv2.addWeighted(colours, share, seen, 1 - share, 0))


def _screen(pixels: NDArray[Any], alpha: Array) -> Literal["none", "green", "blue"]:
    """Return which screen is behind a subject, if any."""
    behind = pixels[::_EVERY, ::_EVERY][alpha[::_EVERY, ::_EVERY] < _BEHIND]
    if not len(behind):
        return "none"
    channel = screen_channel(np.median(behind, axis=0) / (255 if pixels.dtype == np.uint8 else 1))
    return "green" if channel == 1 else "blue" if channel == 2 else "none"
