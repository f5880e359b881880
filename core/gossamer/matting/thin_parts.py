"""What is thin in a mask: ropes, poles, birds far away, which a band around its edge would swallow whole."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array, distances

__all__ = ["SHARE", "gain_warning", "keep_thin", "loss_warnings", "thin_parts"]

SHARE = 0.004  # of the diagonal: what a disc of this radius does not fit into is thin
_LEAST = 2  # pixels
_FAINT = 0.01  # less than this above its surroundings is no part of its own
_CORNER = 0.42  # what reaches less far beyond the rest, in radii, is a corner: one of 90 degrees reaches 0.41
_WORK_AREA = 1_000_000  # soft ridges of larger masks are looked for at this size
_LOST, _SURE = 0.5, 0.9  # a pixel of which the mask was sure is lost where less than half of it is left
_SHARE_LOST, _ISLAND_LOST = 0.05, 0.5  # of the sure area of the whole mask, and of one island
_NOTHING, _MUCH = 0.05, 0.25  # of a mask: up to here is background, and how much of that may be kept as things apart
_SPECK = 2e-5  # of the picture: islands below this are noise


def thin_parts(mask: Array) -> NDArray[np.bool_]:
    """Find what is thinner than about 0.8 % of the picture's diagonal.

    Parameters
    ----------
    mask : (H, W) float32 ndarray
        1 = foreground.

    Returns
    -------
    (H, W) bool ndarray
        The parts above one half that a disc of 0.4 % of the diagonal does not fit into (the residue of an opening),
        and the soft rim around them.
    """
    import cv2

    thin: NDArray[np.bool_] = _residue(mask) if mask.size <= _WORK_AREA else _large_residue(mask)
    if not thin.any():
        return thin
    radius = _radius(mask.shape)
    solid = (mask > 0.5) & ~thin
    away = _distance(solid)
    # The corner of a box is no part of its own, nor is the jag of a polygon.
    _, labels = cv2.connectedComponents(thin.astype(np.uint8), connectivity=8, ltype=cv2.CV_32S)
    reach = np.zeros(int(labels.max()) + 1, np.float32)
    np.maximum.at(reach, labels[thin], away[thin])
    thin = np.asarray((reach > _CORNER * radius)[labels], bool)
    if not thin.any():
        return thin
    # The rim belongs to whichever is nearer.
    near = _distance(thin)
    thin |= (near <= radius) & (mask <= 0.5) & (near < away)
    return thin


def keep_thin(alpha: Array, mask: Array) -> Array:
    """Give a matte back what is thin in its mask: there the mask is all that is known, so alpha is no less than it.

    Parameters
    ----------
    alpha, mask : (H, W) float32 ndarray
        1 = foreground.

    Returns
    -------
    (H, W) float32 ndarray
    """
    return np.maximum(alpha, mask, out=alpha.copy(), where=thin_parts(mask))


def loss_warnings(alpha: Array, mask: Array) -> list[str]:
    """Say in a sentence or two what a matte has lost of its mask, as a whole or whole islands of it; or nothing.

    Parameters
    ----------
    alpha, mask : (H, W) float32 ndarray
        The matte, and the mask that it was made of; 1 = foreground.

    Returns
    -------
    list of str
        Warnings for the report.
    """
    import cv2

    step = math.ceil(math.sqrt(mask.size / _WORK_AREA))  # of large ones some pixels tell as much
    alpha, mask = alpha[::step, ::step], mask[::step, ::step]
    sure = mask >= _SURE
    area = int(np.count_nonzero(sure))
    lost = sure & (alpha < _LOST)
    gone = int(np.count_nonzero(lost))
    if gone == 0:
        return []
    found = []
    remedy = "Choose another matting method, a narrower matting band, or no matting."
    if gone > _SHARE_LOST * area:
        found.append(f"Matting lost {gone / area:.0%} of what the mask was sure of. {remedy}")
    _, labels = cv2.connectedComponents(sure.astype(np.uint8), connectivity=8, ltype=cv2.CV_32S)
    areas = np.bincount(labels[sure])
    losses = np.bincount(labels[lost], minlength=len(areas))
    islands = int(np.count_nonzero((areas > max(_SPECK * mask.size, 4)) & (losses > _ISLAND_LOST * areas)))
    if islands:
        what = "an island" if islands == 1 else f"{islands} islands"
        found.append(f"Matting lost {what} of the mask. {remedy}")
    return found


def gain_warning(alpha: Array, mask: Array) -> str:
    """Say in a sentence that keying kept much of what a mask has nothing of, as of a savanna below a blue sky; or "".

    Parameters
    ----------
    alpha, mask : (H, W) float32 ndarray
        The matte, and the mask of what stands before the screen; 1 = foreground.

    Returns
    -------
    str
        A warning for the report.
    """
    step = math.ceil(math.sqrt(mask.size / _WORK_AREA))
    nothing = mask[::step, ::step] <= _NOTHING
    kept = np.count_nonzero(alpha[::step, ::step][nothing] >= _SURE)
    if kept <= _MUCH * np.count_nonzero(nothing):
        return ""
    return "Keying kept much of what the mask takes for background: not all of it is a screen. Choose the matting auto."


def _radius(shape: tuple[int, ...]) -> float:
    """Return the radius of the disc; half a pixel more than a whole number, which is rounder."""
    return max(_LEAST, round(SHARE * math.hypot(*shape))) + 0.5


def _residue(mask: Array) -> NDArray[np.bool_]:
    """Return where a mask above one half is more than its opening by the disc."""
    import cv2

    radius = _radius(mask.shape)
    y, x = np.mgrid[-int(radius) : int(radius) + 1, -int(radius) : int(radius) + 1]
    disc = (x * x + y * y <= radius * radius).astype(np.uint8)
    result: NDArray[np.bool_] = (mask > 0.5) & (mask - cv2.morphologyEx(mask, cv2.MORPH_OPEN, disc) > _FAINT)
    return result


def _large_residue(mask: Array) -> NDArray[np.bool_]:
    """Return the same of a large mask: soft ridges, which are broad, from a smaller one, crisp ones by distances."""
    import cv2

    height, width = mask.shape
    factor = math.sqrt(_WORK_AREA / mask.size)
    size = max(round(width * factor), 1), max(round(height * factor), 1)
    small = np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_AREA)).reshape(size[::-1])
    soft = cv2.resize(_residue(small).astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0
    inside, radius = mask > 0.5, _radius(mask.shape)
    opened = _distance(_distance(~inside) > radius) <= radius
    result: NDArray[np.bool_] = inside & (soft | ~opened)
    return result


def _distance(there: NDArray[np.bool_]) -> Array:
    """Return each pixel's distance to the nearest that is `there`, infinite where none is."""
    return distances(~there) if there.any() else np.full(there.shape, np.inf, np.float32)
