"""How far a picture's pixels are from the backdrop that they show: the camera's noise, and the ringing of JPEG."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gossamer.arrays import Array, unit_float
from gossamer.matting.key.screen import behind_place
from gossamer.resampling import Pixels

__all__ = ["Noise", "picture_noise"]

AREA, ROWS = 400_000, 48  # pixels that are looked at, in strips of so many rows
CLEAR, FAINT = 0.15, 0.08  # differences from the backdrop above are the subject's, below may be noise
NEAR, FAR = 3.0, 8.0  # pixels from the subject: a block of JPEG that holds an edge rings as far as its other end
FEWEST = 50
NORMAL = 0.68  # of the magnitudes of normal noise lie below one standard deviation
RINGS = 3.0  # standard deviations of camera noise: what is below is that
HIGH, ABOVE = 0.9, 1.5  # of the ringing is below, and how much the rest of it may be above that


class Noise(NamedTuple):
    """What a picture's pixels differ by from the backdrop that they show.

    Attributes
    ----------
    camera : float
        Standard deviation, everywhere.
    ringing : float
        The most beside the subject, as JPEG leaves it; 0 in files without.
    """

    camera: float
    ringing: float


def picture_noise(picture: Pixels, field: Array) -> Noise:
    """Measure a picture's noise around its backdrop.

    Beside the subject JPEG rings, by many times the noise of files that are clean elsewhere. Soft edges are there, too,
    but do not alternate from pixel to pixel. Fine hair does, above all in small pictures, but lies towards the
    subject's colours: ringing is measured where the backdrop's colour is left the other way.

    Parameters
    ----------
    picture : (H, W, 3) uint8 or float32
    field : (h, w, 3) float32
        The backdrop's colour everywhere; of the same or of a smaller size.
    """
    import cv2

    height, width = picture.shape[:2]
    every = max(height * width // AREA, 1) * ROWS
    far, near = [], []
    for top in range(0, height, every):
        bottom = min(top + ROWS, height)
        behind = behind_place(field, (slice(top, bottom), slice(0, width)), height, width)
        off = unit_float(picture[top:bottom]) - behind
        most = np.abs(off).max(axis=2)
        away = np.full_like(most, np.inf)
        if not (most < CLEAR).all():
            away = cv2.distanceTransform((most < CLEAR).astype(np.uint8), cv2.DIST_L2, 5)
        faint = most < FAINT
        far.append(most[(away > 2 * FAR) & faint])
        subject = cv2.blur(off * (most >= CLEAR)[..., None], (2 * round(FAR) + 1,) * 2)
        other_way = np.einsum("ijk,ijk->ij", off, subject) < 0
        other_way |= np.abs(behind - np.float32(0.5)).max(axis=2) > 0.5 - FAINT  # white has none
        beside = (away > NEAR) & (away <= FAR) & faint & other_way
        fast = np.abs(off - cv2.blur(off, (3, 3))).max(axis=2)
        near.append(np.minimum(most, fast)[beside])
    camera, ringing = _quantile(far, NORMAL), ABOVE * _quantile(near, HIGH)
    return Noise(camera, ringing if ringing > RINGS * camera else 0.0)


def _quantile(parts: list[Array], share: float) -> float:
    values = np.concatenate(parts) if parts else np.empty(0, np.float32)
    return float(np.quantile(values, share)) if len(values) >= FEWEST else 0.0
