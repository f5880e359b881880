"""Pictures changed at random, so that few of them teach as many would.

What is changed and how much is BiRefNet's authors' (flips, turns, brightness and contrast, pepper noise), and U²-Net's
(parts of the picture), see :class:`gossamer.settings.training.Training`. OpenCV does it in few lines: albumentations
is no more kept up, and what follows it has another licence.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.settings.training import Training

__all__ = ["augmented", "cut"]

_TURNED = 0.2  # of the pictures
_LIT = 0.5


def cut(
    rgb: NDArray[np.uint8], alpha: Array, side: int, settings: Training, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], Array]:
    """Return a part of a picture and of its alpha: a tile of `side` pixels, or nearly the whole.

    Parameters
    ----------
    rgb : (H, W, 3) uint8
    alpha : (H, W) float32
    side : int
        Of a tile.
    settings : Training
        Its ``tiles`` and ``crop``.
    rng : Generator
    """
    height, width = alpha.shape
    as_tile = rng.random() < settings.tiles
    keep = 1 - settings.crop * rng.random(2)
    places = rng.random(2)
    if as_tile and max(height, width) > side:
        rows, columns = min(side, height), min(side, width)
    else:
        rows, columns = max(1, round(height * keep[0])), max(1, round(width * keep[1]))
    top, left = (int(places[0] * (height - rows + 1)), int(places[1] * (width - columns + 1)))
    if (
        as_tile
        and max(height, width) > side
        and (subject := np.argwhere(alpha[:: max(1, height // 64)].max(0) > 0)).size
    ):
        # A tile without any of the subject teaches little: its middle column is one that the subject has.
        middle = int(subject[int(places[1] * (len(subject) - 1e-9))][0])
        left = min(max(0, middle - columns // 2), width - columns)
    place = np.s_[top : top + rows, left : left + columns]
    return rgb[place], alpha[place]


def augmented(
    rgb: NDArray[np.uint8], alpha: Array, settings: Training, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], Array]:
    """Return a picture and its alpha, changed at random.

    Parameters
    ----------
    rgb : (H, W, 3) uint8
    alpha : (H, W) float32
    settings : Training
        What is changed, and how much.
    rng : Generator
        The same gives the same.
    """
    import cv2

    # Everything is drawn first, whether it is used or not: what one setting is does not change another's.
    mirrored, turned = rng.random() < settings.flip, rng.random() < _TURNED
    angle = rng.uniform(-settings.rotation, settings.rotation)
    lit = rng.random(2) < _LIT
    brightness, contrast = rng.uniform(1 - settings.light, 1 + settings.light, 2)
    seed = int(rng.integers(2**31))
    if mirrored:
        rgb, alpha = np.ascontiguousarray(rgb[:, ::-1]), np.ascontiguousarray(alpha[:, ::-1])
    if turned and angle:
        height, width = alpha.shape
        matrix = cv2.getRotationMatrix2D((width / 2 - 0.5, height / 2 - 0.5), angle, 1.0)
        # Colours are mirrored outwards and alpha with them: a black corner would be a thing to learn.
        how = {"flags": cv2.INTER_LINEAR, "borderMode": cv2.BORDER_REFLECT_101}
        rgb = np.asarray(cv2.warpAffine(np.ascontiguousarray(rgb), matrix, (width, height), **how), np.uint8)
        alpha = np.asarray(cv2.warpAffine(np.ascontiguousarray(alpha), matrix, (width, height), **how), np.float32)
    if lit.any():
        levels = np.arange(256, dtype=np.float64)
        if lit[0]:
            levels = levels * brightness
        if lit[1]:
            middle = float(cv2.mean(np.ascontiguousarray(rgb))[1]) * (brightness if lit[0] else 1)
            levels = middle + (levels - middle) * contrast
        rgb = np.clip(np.rint(levels), 0, 255).astype(np.uint8)[rgb]
    if settings.pepper:
        noise = np.random.default_rng(seed)
        count = int(settings.pepper * alpha.size)
        rows, columns = noise.integers(alpha.shape[0], size=count), noise.integers(alpha.shape[1], size=count)
        rgb = np.array(rgb)
        rgb[rows, columns] = noise.choice(np.array([0, 255], np.uint8), (count, 1))
    return rgb, alpha
