"""The photograph's own shadow: how much darker its background is than it would be without the subject."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.errors import InputError
from gossamer.image import Image
from gossamer.matting.from_mask.estimate import work_size
from gossamer.matting.from_mask.faith import ramp
from gossamer.matting.key.screen import find_screen
from gossamer.matting.signed_distance import unit_length
from gossamer.parallel.patience import patiently
from gossamer.progress import Progress
from gossamer.resampling import Pixels, bilinear, wide_blur
from gossamer.settings.recipe import Recipe

__all__ = ["kept_shadow", "photographed_shadow", "with_shadow_apart"]

EMPTY = 0.02  # alpha below is background alone
APART = 3.0  # units from the subject at which the background is looked at
UNEVEN = 0.015  # how far a background's light may leave a smooth surface before it is a shadow
SHARE, EVEN, QUIET = 0.3, 0.03, 0.03  # of the background that must be plain, and how smooth and free of noise
DARK = 0.1  # a darker background shows no shadows
FAINT = 0.02, 0.05  # darker by less is nothing, by more all of it
TINT = 0.06, 0.15  # of brightness: what differs in hue by less is a shadow, by more another thing
OTHER, UNLIKE = 0.1, 0.05  # of the background that may be other things, which differ from it by more than so much
CALM = 1.0  # sigma in units of the blur that takes the noise off
INWARD = 2.0, 12.0  # sigmas in units over which it goes on beneath the subject
TOUCHING = 3.0  # units: shadows reach this near to the subject


def photographed_shadow(pixels: Pixels, alpha: Array) -> Array | None:
    """Find the shadow of a subject on a plain background.

    Parameters
    ----------
    pixels : (H, W, 3) uint8 or float32
        The photograph.
    alpha : (H, W) float32
        The subject's.

    Returns
    -------
    (H, W) float32 or None
        The alpha of a black layer beneath the subject that makes the shadow over any background, in [0, 1]; it goes on
        beneath the subject. None where the background is not plain, so that nothing tells a shadow from it.
    """
    import cv2

    image, matte = work_size(pixels, alpha)
    unit = unit_length(matte.shape)
    free = matte < EMPTY
    side = 2 * round(APART * unit) + 1
    far = cv2.erode(free.astype(np.uint8), np.ones((side, side), np.uint8)) > 0
    screen = find_screen(image, far, uneven=UNEVEN)
    if screen is None or screen.noise > QUIET or screen.rough > EVEN:
        return None
    if screen.share < SHARE or float(screen.field[far].max()) < DARK:
        return None
    weight = free.astype(np.float32)
    seen = _calm(image, weight, unit)
    dark, hue = _darkness(seen, screen.field)
    # Before trees below a sky, or a street, the darker things that reach the subject are no shadow of it.
    other = (np.abs(seen - screen.field).max(axis=2) > UNLIKE) & ((hue > TINT[0]) | (dark <= 0))
    if other[far].mean() > OTHER:
        return None
    shadow = dark * ramp(dark, *FAINT) * (1 - ramp(hue, *TINT)) * weight
    shadow *= _of_the_subject(shadow, matte, unit)
    beneath = np.zeros_like(shadow)
    known = np.zeros_like(shadow)
    for sigma in INWARD:
        nearby = wide_blur(np.dstack([shadow, weight]), sigma * unit)
        share = np.clip(nearby[..., 1], 0, 1)
        guess = nearby[..., 0] / np.maximum(nearby[..., 1], np.float32(1e-4))
        trust = (1 - known) * np.clip(share * 4, 0, 1)
        beneath += trust * guess
        known += trust
    return bilinear(np.clip(np.where(free, shadow, beneath), 0, 1), *alpha.shape)


def kept_shadow(source: Image, alpha: Array, progress: Progress, warn: Callable[[str], object]) -> Array | None:
    """Return the shadow of a photograph's subject that is to be kept, as :func:`photographed_shadow` does.

    Parameters
    ----------
    source : Image
        The photograph: nothing is kept where its own alpha has nothing.
    alpha : (H, W) float32
        The subject's.
    progress : Progress
        May raise to cancel.
    warn : callable
        Told in one sentence why there is no shadow.
    """
    shadow = patiently(lambda: photographed_shadow(source.pixels, alpha), progress)
    if shadow is None:
        warn("The photograph's shadow was not kept: its background is not plain, and nothing tells them apart.")
        return None
    if not shadow.any():
        warn("No shadow was found beside the subject.")
    return shadow if source.alpha is None else shadow * source.alpha


def with_shadow_apart(recipe: Recipe, format: str, how: str) -> Recipe:
    """Return a recipe that finds the photograph's shadow, for a layer of its own: :meth:`Cutout.apart` takes it out.

    Parameters
    ----------
    recipe : Recipe
    format : str
        Of the layer's file.
    how : str
        What asks for the layer, for messages.

    Raises
    ------
    InputError
        The format has no alpha, or the recipe puts something beneath the cut-out.
    """
    if format == "jpeg":
        raise InputError("JPEG cannot hold a shadow's alpha.", "Choose PNG, WebP or TIFF.")
    if recipe.background.fill != "transparent" or recipe.shadow.kind != "none":
        raise InputError(
            "A shadow's layer goes beneath a cut-out that stands on nothing.",
            f"Leave out the background and the made shadow, or {how}.",
        )
    return recipe.model_copy(update={"foreground": recipe.foreground.model_copy(update={"shadow": "keep"})})


def _calm(image: Array, weight: Array, unit: float) -> Array:
    """Return a picture without its noise; what has no weight plays no part."""
    summed = wide_blur(np.dstack([image * weight[..., None], weight]), CALM * unit)
    result: Array = summed[..., :3] / np.maximum(summed[..., 3:], np.float32(1e-3))
    return result


def _darkness(seen: Array, behind: Array) -> tuple[Array, Array]:
    """Return how much darker a picture is than its background, and how much its hue differs from it, of brightness."""
    strength = np.maximum((behind * behind).sum(axis=2), np.float32(1e-3))
    left = (seen * behind).sum(axis=2) / strength
    hue = np.linalg.norm(seen - left[..., None] * behind, axis=2) / np.sqrt(strength)
    return np.clip(1 - left, 0, 1), hue


def _of_the_subject(shadow: Array, alpha: Array, unit: float) -> NDArray[np.bool_]:
    """Return which parts of a shadow reach the subject."""
    import cv2

    subject = (alpha > 0.5).astype(np.uint8)
    side = 2 * round(TOUCHING * unit) + 1
    near = cv2.dilate(subject, np.ones((side, side), np.uint8)) > 0
    _, labels = cv2.connectedComponents(((shadow > 0) | near).astype(np.uint8), connectivity=8, ltype=cv2.CV_32S)
    its = np.zeros(int(labels.max()) + 1, bool)
    its[np.unique(labels[near])] = True
    its[0] = False
    result: NDArray[np.bool_] = its[labels]
    return result
