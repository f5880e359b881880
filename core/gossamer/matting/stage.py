"""The matting stage: a mask and the settings in, a matte out."""

from __future__ import annotations

import math
from collections.abc import Callable

from gossamer.arrays import Array, unit_float
from gossamer.errors import InputError
from gossamer.matting.auto.alpha import auto_alpha
from gossamer.matting.closed_form.alpha import closed_form_alpha
from gossamer.matting.from_mask.alpha import matte_from_mask
from gossamer.matting.guided import guided_alpha
from gossamer.matting.key.alpha import key_alpha
from gossamer.matting.sampled import knn_alpha, learning_based_alpha
from gossamer.matting.signed_distance import signed_distance, unit_length
from gossamer.matting.thin_parts import gain_warning, keep_thin, loss_warnings
from gossamer.matting.trimap import trimap_from_mask
from gossamer.matting.vitmatte.lent import lent_vitmatte
from gossamer.parallel.patience import patiently
from gossamer.progress import Progress
from gossamer.resampling import Pixels
from gossamer.settings.recipe import Matting

__all__ = ["band_pixels", "matte"]

_SURE = 0.6
"""What a mask must reach somewhere to be solved again: from one that is sure of nothing solvers make nothing."""

_THIN = ("auto", "key")
"""What looks after thin parts itself, or knows better than the mask what they are."""

_EVERY = 8  # pixels: those that are looked at first

_SOLVERS = {"knn": knn_alpha, "learning_based": learning_based_alpha}


def band_pixels(settings: Matting, shape: tuple[int, ...]) -> int:
    """Return the band of the settings in pixels of a picture of this (height, width); at least 1."""
    return max(round(settings.band * unit_length(shape)), 1) if settings.relative else settings.band


def matte(
    pixels: Pixels,
    mask: Array,
    settings: Matting,
    *,
    progress: Progress,
    warn: Callable[[str], object],
    device: str = "auto",
    announce: Callable[[str], object] | None = None,
    of_clip: bool = False,
) -> Array:
    """Find the alpha of soft edges by the method of the settings, which keeps what is thin in the mask.

    Parameters
    ----------
    pixels : (H, W, 3) uint8 or float32 ndarray
        The picture: bytes, or floats in [0, 1].
    mask : (H, W) float32 ndarray
        1 = foreground.
    settings : Matting
        The method, and what belongs to it.
    progress : Progress
        May raise to cancel.
    warn : callable
        Told in one sentence each what did not go as asked, and what was lost of the mask.
    device : {"auto", "cpu", "cuda"}
        Where a network runs, where the settings want one.
    announce : callable, optional
        Told in one sentence what is fetched for it.
    of_clip : bool
        Whether the picture is a frame of a clip: see :func:`~gossamer.matting.auto_alpha`.

    Returns
    -------
    (H, W) float32 ndarray
        In [0, 1]; `mask` itself where there is no method or it cannot be used.
    """
    if settings.method == "none":
        return mask
    found = _solved(pixels, mask, settings, progress.part(0.0, 0.95), warn, device, announce, of_clip)
    if found is None:
        return mask
    kept = found
    if settings.method not in _THIN:
        kept = patiently(lambda: keep_thin(found, mask), progress)
    if _goes(mask, below=1.0):  # of everything, as without a model, something has to go
        for warning in patiently(lambda: loss_warnings(kept, mask), progress):
            warn(warning)
    if settings.method == "key" and (warning := patiently(lambda: gain_warning(kept, mask), progress)):
        warn(warning)
    progress(1.0)
    return kept


def _solved(
    pixels: Pixels,
    mask: Array,
    settings: Matting,
    steps: Progress,
    warn: Callable[[str], object],
    device: str,
    announce: Callable[[str], object] | None,
    of_clip: bool,
) -> Array | None:
    method, band = settings.method, band_pixels(settings, mask.shape)
    if method != "guided" and not _goes(mask, above=_SURE):
        if (most := float(mask.max())) > 0:  # of an empty one the report says so itself
            warn(f"Matting was left out: the mask is nowhere sure of a foreground (at most {most:.2f} of 1).")
        return None
    if method == "auto":
        return auto_alpha(pixels, mask, of_clip=of_clip, progress=steps)
    if method == "key":
        try:
            return key_alpha(pixels, mask, screen=settings.screen, progress=steps)
        except InputError as error:
            warn(f"Keying was left out. {error.message} {error.remedy}")
            return None
    if method == "from_mask":
        return matte_from_mask(pixels, mask, progress=steps)
    rgb = patiently(lambda: unit_float(pixels), steps)
    if method == "guided":
        return guided_alpha(rgb, mask, radius=band, progress=steps)
    furthest = patiently(lambda: _furthest(mask), steps)
    for side, far in zip(("foreground", "background"), furthest, strict=True):
        if far <= band - 0.5:
            warn(f"Matting was left out: a band of {band} px leaves no certain {side}. Choose a narrower matting band.")
            return None
    trimap = patiently(lambda: trimap_from_mask(mask, band=band), steps)
    for side, known in (("foreground", trimap == 1), ("background", trimap == 0)):
        if not known.any():
            warn(f"Matting was left out: the mask has no certain {side}. Choose the matting auto.")
            return None
    if method == "vitmatte":
        with lent_vitmatte(settings.model, device, steps.part(0.0, 0.2), announce) as network:
            return network.predict(rgb, trimap, progress=steps.part(0.2, 1.0), warn=warn)
    if method == "closed_form":
        return closed_form_alpha(rgb, trimap, progress=steps)
    return _SOLVERS[method](rgb, trimap, progress=steps, warn=warn)


def _goes(mask: Array, *, above: float = math.inf, below: float = -math.inf) -> bool:
    """Tell whether a mask goes at least as far as one limit, or below the other; a few pixels mostly tell it."""
    for some in (mask[::_EVERY, ::_EVERY], mask):
        if float(some.max()) >= above or float(some.min()) < below:
            return True
    return False


def _furthest(mask: Array) -> tuple[float, float]:
    """Return how far the innermost and the outermost pixel are from the mask's edge."""
    distance = signed_distance(mask)
    return float(distance.max()), -float(distance.min())
