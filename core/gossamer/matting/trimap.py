"""Trimaps: what is certainly foreground, what is certainly background, and the band between."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gossamer.arrays import Array, as_mask, as_rgb
from gossamer.errors import InputError
from gossamer.matting.signed_distance import has_edge, signed_distance, unit_length, weighted_distance
from gossamer.progress import Progress, ProgressCallback
from gossamer.resampling import area, bilinear, shrink

__all__ = ["trimap_from_mask"]

# Lengths are in units (see signed_distance): pixels of a picture of 0.48 megapixels.
PLAIN = 3.0  # half the band around a straight, hard edge
WINDOW = 15.0  # sigma of the neighbourhood in which softness and intricacy are measured
CORE = 0.5  # share of the subject's local half thickness that the band may take,
FIXED_CORE = 0.75  # and that a fixed band may: who chose it knows that the mask is off by as much
LOCAL = 40.0  # how far away a thicker part of the subject may be to count as local
SURE = 1.5  # the band's half width in terms of the mask's measured error
WORK_AREA = 700_000  # colours are asked at this size at most


def trimap_from_mask(
    mask: ArrayLike,
    image: ArrayLike | None = None,
    *,
    band: int | None = None,
    foreground_threshold: float = 0.95,
    background_threshold: float = 0.05,
    progress: Progress | ProgressCallback | None = None,
) -> Array:
    """Mark the band around a mask's edge as unknown.

    Parameters
    ----------
    mask : (H, W) array
        1 = foreground.
    image : (H, W, 3) array, optional
        The picture, RGB. With it the band is as wide as the mask is seen to be wrong, place by place, and what its
        colours contradict near the edge becomes unknown too.
    band : int, optional
        Pixels on either side of the mask's edge (its contour at one half) that become unknown; fewer inside where
        the subject is thin. By default the band adapts: to the picture's size, the softness of the mask and the
        intricacy of its edge. In both cases every part of the subject that is wider than a few pixels keeps a known
        core.
    foreground_threshold, background_threshold : float
        Where the mask lies between the two it is unknown as well.
    progress : callable, optional
        Called as ``progress(fraction, message)``; an exception that it raises stops the work and passes through.

    Returns
    -------
    (H, W) float32
        0 = background, 0.5 = unknown, 1 = foreground.

    Raises
    ------
    InputError
        The mask has another shape than the picture or values outside [0, 1], or the band is smaller than 1.
    """
    picture = None if image is None else as_rgb(image)
    alpha = as_mask(mask, None if picture is None else picture.shape)
    if band is not None and band < 1:
        raise InputError(f"The matting band is {band}.", "Give at least 1 pixel.")
    distance = signed_distance(alpha)
    width: Array | np.float32 | float
    if band is not None:
        # The edge lies half a pixel from the first pixels on either side.
        width, picture = np.float32(band - 0.5), None
        if has_edge(alpha):
            width = np.minimum(width, _room(distance, FIXED_CORE))
    elif not has_edge(alpha):
        width, picture = 0.0, None
    else:
        width = _width(alpha, distance)
    trimap = np.full(alpha.shape, 0.5, np.float32)
    if picture is not None and min(alpha.shape) >= 3:
        width, contradicted = _seen(picture, alpha, Progress.of(progress))
        width = np.minimum(width, _room(distance))
    else:
        contradicted = np.zeros(alpha.shape, bool)
    trimap[(alpha >= foreground_threshold) & (distance > width) & ~contradicted] = 1
    trimap[(alpha <= background_threshold) & (-distance > width) & ~contradicted] = 0
    return trimap


def _width(mask: Array, distance: Array) -> Array:
    """Return half the band's width in pixels from the mask alone."""
    import cv2

    unit = unit_length(mask.shape)
    sigma = WINDOW * unit
    inside = (distance > 0).astype(np.uint8)
    edge = cv2.morphologyEx(inside, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)).astype(np.float32) / 2
    length = cv2.GaussianBlur(edge, (0, 0), sigma)
    # A straight edge through the middle of the window has this much of it.
    straight = 1 / (sigma * math.sqrt(2 * math.pi))
    intricate = np.clip(length / straight, 1, 2)
    # 4 m (1 - m) over a ramp from 0 to 1 is two thirds of its width.
    ramp = 1.5 * cv2.GaussianBlur(4 * mask * (1 - mask), (0, 0), sigma) / np.maximum(length, 0.1 * straight)
    result: Array = np.minimum(PLAIN * unit * intricate + ramp / 2, _room(distance)).astype(np.float32)
    return result


def _room(distance: Array, share: float = CORE) -> Array:
    """Return how wide the band may be: inside, a share of the local thickness; outside, as wide as it likes."""
    import cv2

    within = np.maximum(distance, 0)
    room = np.full(distance.shape, np.inf, np.float32)
    reach = max(round(min(float(within.max()), LOCAL * unit_length(distance.shape))), 1)
    # The thickest place within reach, looked for at a lower resolution where it is far.
    step = max(reach // 8, 1)
    size = (-(-distance.shape[1] // step), -(-distance.shape[0] // step))
    padded = np.pad(within, ((0, size[1] * step - within.shape[0]), (0, size[0] * step - within.shape[1])))
    blocks = padded.reshape(size[1], step, size[0], step).max(axis=(1, 3))
    side = 2 * -(-reach // step) + 1
    thick = cv2.dilate(blocks, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
    thick = np.repeat(np.repeat(thick, step, axis=0), step, axis=1)[: distance.shape[0], : distance.shape[1]]
    np.multiply(thick, share, out=room, where=distance > 0)
    return room


def _seen(picture: Array, mask: Array, report: Progress) -> tuple[Array, NDArray[np.bool_]]:
    """Return half the band's width in pixels as the colours show it, and the pixels whose colours say otherwise."""
    import cv2

    from gossamer.matting.from_mask.estimate import SMALL
    from gossamer.matting.from_mask.palette import BAND, Palette

    shape = mask.shape[0], mask.shape[1]
    factor = math.sqrt(WORK_AREA / mask.size)
    if factor < 1:
        size = (max(round(shape[1] * factor), 3), max(round(shape[0] * factor), 3))
        picture, mask = (shrink(plane, size) for plane in (picture, mask))
    unit = unit_length(mask.shape)
    if not has_edge(mask):  # too small to be asked about
        return np.full(shape, PLAIN * unit_length(shape), np.float32), np.zeros(shape, bool)
    step = 2 if min(mask.shape) >= SMALL else 1
    size = (mask.shape[1] // step, mask.shape[0] // step)
    distance = area(weighted_distance(mask, 1.5 * BAND * unit), *size[::-1]) / np.float32(unit)
    report.tick()
    colours = Palette(shrink(picture, size), distance, None, unit / step)
    vote = colours.vote()
    width = colours.mask_error(vote) * np.float32(SURE * unit_length(shape))
    contradicted = (np.abs(vote - (distance > 0)) > 0.5) & (colours.gate > 0.5) & (np.abs(distance) < BAND)
    contradicted = cv2.dilate(contradicted.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(np.float32)
    return bilinear(width, *shape), bilinear(contradicted, *shape) > 0.5
