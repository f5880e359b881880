"""The foreground stage: a picture, its alpha and the settings in, the subject's own colours out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.image import Image
from gossamer.parallel.patience import patiently
from gossamer.progress import Progress
from gossamer.settings.recipe import Foreground

__all__ = ["subject_colours"]


def subject_colours(
    source: Image,
    alpha: Array,
    settings: Foreground,
    *,
    final: bool,
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
    progress : Progress
        May raise to cancel.
    warn : callable
        Told in one sentence each what did not go as asked.
    """
    # Each of these loads kernels: only what is wanted.
    from gossamer import foreground
    from gossamer.foreground.soft_band.solver import LARGE

    steps, plain = progress, settings.despill == "none"
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
    if settings.despill == "none":
        return colours
    colour, strength = settings.despill, settings.despill_strength
    return patiently(lambda: foreground.despill(colours, alpha, colour, strength), steps)
