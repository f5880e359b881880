"""Smooth, shift and feather: the mask's contour and how soft it is."""

from __future__ import annotations

import math

import numpy as np

from gossamer.arrays import Array
from gossamer.progress import Progress
from gossamer.refinement.tiles import enlarge, filter_tiles, reduce

__all__ = ["feather", "shift", "smooth"]

_REACH = 3.5  # a Gaussian ends at so many standard deviations
_HARD = 0.4  # standard deviation of the softest edge that is as steep as an antialiased one: 1 a pixel


def feather(alpha: Array, sigma: float, progress: Progress) -> Array:
    """Blur with a Gaussian of `sigma` pixels.

    Beyond the picture's border the mask goes on as it ends there: a subject that the frame cuts is not faded.
    """
    # A wide Gaussian loses nothing on a smaller copy, if the blurs of the way there and back are discounted:
    # block means have the variance (factor² - 1) / 12 pixels, bilinear interpolation 1/6 of a block's.
    factor = max(1, int(sigma / 4))
    variance = sigma**2 if factor == 1 else (sigma**2 - (factor**2 - 1) / 12) / factor**2 - 1 / 6
    narrow = math.sqrt(variance)
    small = reduce(alpha, factor)
    blurred = filter_tiles(small, _reach(narrow), lambda tile: _blur(tile, narrow), progress)
    result = enlarge(blurred, factor, alpha.shape)
    return np.clip(result, 0, 1, out=result)


def smooth(alpha: Array, sigma: float, progress: Progress) -> Array:
    """Round the contour's details up to about `sigma` pixels, and give it its softness back.

    Parameters
    ----------
    alpha : (H, W) float32
        In [0, 1].
    sigma : float
        Standard deviation of the Gaussian G, in pixels.
    progress : Progress
        What it raises passes through.

    Returns
    -------
    (H, W) float32
        In [0, 1].

    Notes
    -----
    A Gaussian G of variance v moves a contour of radius R inwards by v / (2 R), which changes the value at an edge
    of the standard deviation e by v / (2 R) times the edge's new slope, ~ 1 / sqrt(e² + v). In
    (1 + b) G(sigma) - b G(2 sigma) these changes cancel for one b between 1/3 (soft edges) and 1 (hard ones):
    the contour's details go, and it stays where it was (the idea of Taubin 1995, who alternates shrinking and
    growing steps). The result is steepened about one half by the ratio of the slopes before and after. The edge's e
    follows from alpha (1 - alpha), whose integral across it is e / sqrt(pi), over the gradient's, which is 1.
    Hard edges become antialiased, soft ones remain soft, and flat grey is left alone.
    """
    factor = max(1, int(sigma / 2.5))
    narrow = sigma / factor
    small = reduce(alpha, factor)
    softness = reduce(alpha * (1 - alpha), factor)
    halo = _reach(narrow) + _reach(narrow * math.sqrt(3))
    steep = filter_tiles(small, halo, lambda tile, soft: _smooth(tile, soft, narrow, factor), progress, softness)
    result = enlarge(steep, factor, alpha.shape)
    return np.clip(result, 0, 1, out=result)


def _smooth(alpha: Array, softness: Array, sigma: float, factor: int) -> Array:
    """Return the smoothed field, steepened and not yet cut at 0 and 1; lengths are pixels of the reduced copy."""
    import cv2

    variance = np.float32(sigma**2)
    once = _blur(alpha, sigma)
    wide = _blur(once, sigma * math.sqrt(3))  # of 2 sigma in all
    slope = cv2.magnitude(*(cv2.Sobel(once, cv2.CV_32F, *order, ksize=1, scale=0.5) for order in ((1, 0), (0, 1))))
    slope += np.float32(1e-6)
    edge = _blur(softness, sigma)
    edge *= np.float32(math.sqrt(math.pi))
    edge /= slope
    np.maximum(edge, np.float32(_HARD / factor), out=edge)
    squared = edge * edge
    after_once = 1 / np.sqrt(squared + variance)
    after_wide = 1 / np.sqrt(squared + 4 * variance)
    balance = 1 / (4 * after_wide / after_once - 1)
    gain = 1 / (edge * ((1 + balance) * after_once - balance * after_wide))
    field = once + balance * (once - wide) - np.float32(0.5)
    field *= gain
    field += np.float32(0.5)
    return np.asarray(field, dtype=np.float32)


def shift(alpha: Array, distance: float, progress: Progress) -> Array:
    """Move every level of the alpha outwards by `distance` pixels, or inwards where that is negative.

    Parameters
    ----------
    alpha : (H, W) float32
        In [0, 1].
    distance : float
        In pixels; any fraction counts.
    progress : Progress
        What it raises passes through.

    Returns
    -------
    (H, W) float32
        The greatest (or least) value within `distance`: dilation (or erosion) of grey values by a disc. It keeps
        the edge's profile, and two shifts of the same sign add up. Nothing comes in from beyond the border.

    Notes
    -----
    Between pixels the alpha is linear along rows, columns and diagonals; a disc is taken there by its chords.
    """
    halo = math.floor(abs(distance)) + 1
    if distance > 0:
        result = filter_tiles(alpha, halo, lambda tile: _dilate(tile, distance, halo), progress)
    else:
        result = filter_tiles(alpha, halo, lambda tile: -_dilate(-tile, -distance, halo), progress)
    return np.clip(result, 0, 1, out=result)  # interpolation rounds


def _dilate(tile: Array, radius: float, halo: int) -> Array:
    """Return the greatest values within `radius`, without the `halo`, which is floor(radius) + 1."""
    import cv2  # its maxima and sums take half of numpy's time on tiles

    height, width = tile.shape[0] - 2 * halo, tile.shape[1] - 2 * halo

    def at(array: Array, down: int, right: int) -> Array:
        return array[halo + down : halo + down + height, halo + right : halo + right + width]

    result = at(tile, 0, 0).copy()
    between = np.empty_like(result)

    # Whole pixels: of each row a run of 2 n + 1, as the union of two runs of the same power of two.
    runs = [tile]
    while 2 ** len(runs) <= 2 * int(radius) + 1:
        step = 2 ** (len(runs) - 1)
        runs.append(np.asarray(cv2.max(runs[-1][:, :-step], runs[-1][:, step:]), dtype=np.float32))
    chords = [(down, math.sqrt(max(0.0, radius**2 - down**2))) for down in range(-int(radius), int(radius) + 1)]
    for down, half in chords:
        reach = int(half)
        size = (2 * reach + 1).bit_length() - 1
        cv2.max(result, at(runs[size], down, -reach), result)
        if size:
            cv2.max(result, at(runs[size], down, reach + 1 - 2**size), result)

    # Fractions of pixels: the ends of the chords that meet the circle steeply, in both directions, and diagonals.
    steep = [(along, half) for along, half in chords if abs(along) <= radius * math.sqrt(0.5) and half % 1 > 0]
    diagonal = radius * math.sqrt(0.5)
    ends: list[tuple[float, tuple[int, int], tuple[int, int]]] = []  # fraction, the pixel inside, the one outside
    for along, half in steep:
        for near, far in ((int(half), int(half) + 1), (-int(half), -int(half) - 1)):
            ends += [(half % 1, (along, near), (along, far)), (half % 1, (near, along), (far, along))]
    near, far = int(diagonal), int(diagonal) + 1
    for down, right in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
        ends.append((diagonal % 1, (down * near, right * near), (down * far, right * far)))
    for fraction, inner, outer in ends:
        cv2.addWeighted(at(tile, *inner), 1 - fraction, at(tile, *outer), fraction, 0, between)
        cv2.max(result, between, result)
    return result


def _blur(tile: Array, sigma: float) -> Array:
    import cv2

    if sigma < 0.05:
        return tile.copy()  # nothing of its neighbours is left in float32, and OpenCV squares sigma to zero
    size = 2 * _reach(sigma) + 1
    blurred = cv2.GaussianBlur(tile, (size, size), sigma, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(blurred, dtype=np.float32)


def _reach(sigma: float) -> int:
    return max(1, math.ceil(_REACH * sigma))
