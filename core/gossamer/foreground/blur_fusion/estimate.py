"""Blur fusion (Forte 2021): foreground colours by two passes of box blurs."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from gossamer.arrays import Array
from gossamer.foreground.checks import check_pair, check_radius
from gossamer.parallel.strips import Strips
from gossamer.progress import Progress, ProgressCallback

__all__ = ["blur_fusion", "fuse"]

_SMALL = 1 << 19  # pixels up to which OpenCV takes less time than importing the compiled kernel: half a second
_PIXELS = 1 << 21  # a strip's pixels: enough that the rows summed before its first do not matter


def blur_fusion(
    image: ArrayLike,
    alpha: ArrayLike,
    radius: int = 90,
    fine_radius: int = 6,
    *,
    progress: Progress | ProgressCallback | None = None,
) -> Array:
    """Estimate the foreground's colours by blur fusion.

    The same result as the authors' code, ``cv2.blur`` in float64, borders included, to about a hundredth of
    an 8-bit step. Both passes run in one sweep, so that nothing but the result has the size of the picture.

    Parameters
    ----------
    image : (H, W, 3) array-like
        The picture: floats in [0, 1], uint8 or uint16.
    alpha : (H, W) array-like
        1 where the foreground is: floats in [0, 1], uint8, uint16 or bool.
    radius, fine_radius : int
        Sides in pixels of the box blurs of the first and the second pass, at least 1, odd or even.
    progress : callable, optional
        Called as ``progress(fraction, message)``; may raise to cancel.

    Returns
    -------
    (H, W, 3) float32
        The foreground's straight colours in [0, 1]. Black where the alpha is 0 as far as the blurs reach.

    Raises
    ------
    InputError
        A wrong shape, type or size, values outside [0, 1] or not finite, a radius below 1.

    References
    ----------
    M. Forte, "Approximate Fast Foreground Colour Estimation", ICIP 2021;
    https://github.com/Photoroom/fast-foreground-estimation
    """
    picture, matte = check_pair(image, alpha)
    sides = check_radius(radius, "radius"), check_radius(fine_radius, "fine radius")
    foreground = np.empty_like(picture)
    fuse(picture, matte, *sides, foreground, None, Progress.of(progress))
    return foreground


def fuse(
    image: Array,
    alpha: Array,
    radius: int,
    fine_radius: int,
    foreground: Array,
    background: Array | None,
    progress: Progress,
) -> None:
    """Write the foreground of checked arrays in `foreground` and, if asked, the background in `background`."""
    progress(0.0, "Estimating foreground colours")
    if alpha.size <= _SMALL and max(radius, fine_radius) <= 1000:
        foreground[...], blurred = _published(image, alpha, radius, fine_radius)
        if background is not None:
            background[...] = blurred
        progress(1.0)
        return
    from gossamer.foreground.box_blur_kernel import strip

    height, width = alpha.shape
    behind = np.empty((0, 0, 3), np.float32) if background is None else background

    def work(top: int, bottom: int) -> None:
        strip(image, alpha, radius, fine_radius, top, bottom, foreground, behind)

    # Every strip repeats the first pass for as many rows as the second one's blur is high.
    with Strips() as strips:
        strips.each(work, height, max(_PIXELS // width, 4 * fine_radius, 32), progress)


def _published(image: Array, alpha: Array, radius: int, fine_radius: int) -> tuple[Array, Array]:
    """Return foreground and blurred background as the paper's code computes them, in float64."""
    import cv2

    picture, matte = image.astype(np.float64), alpha.astype(np.float64)[..., None]
    front = behind = picture
    for side in (radius, fine_radius):
        weight = cv2.blur(matte, (side, side)).reshape(matte.shape)
        front = cv2.blur(front * matte, (side, side)).reshape(picture.shape) / (weight + 1e-5)
        behind = cv2.blur(behind * (1 - matte), (side, side)).reshape(picture.shape) / (1 - weight + 1e-5)
        front = np.clip(front + matte * (picture - matte * front - (1 - matte) * behind), 0, 1)
    # The sums' rounding errors can lie a hair outside.
    return front.astype(np.float32), np.clip(behind, 0, 1).astype(np.float32)
