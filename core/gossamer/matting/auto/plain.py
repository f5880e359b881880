"""Pictures that have a plain background already: there the background's colour decides, where it is certain.

Product photographs, drawings, logos, passport pictures: what is behind the subject is known everywhere, so alpha at the
edges is not estimated but measured (see :mod:`gossamer.matting.key.unmix`). What the subject is remains the mask's
business: shadows and other things before the same wall, white parts before white, and what is soft over a wide area
are left to the usual way.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.matting.from_mask.faith import ramp
from gossamer.matting.key.alpha import plate_of
from gossamer.matting.key.screen import find_screen
from gossamer.matting.key.unmix import RIM, Cleared, Plate, cleared_small
from gossamer.resampling import Pixels, wide_blur

__all__ = ["Plain", "plain_background"]

EMPTY = 0.05  # mask values below are background for sure
APART = 4.0  # units from anything else at which background is looked at
LEAST = 0.03  # of the picture that the background must take
PURE = 0.85  # of what the mask takes for it that must be of its colour: masks overlook thin parts
QUIET, EVEN = 3 / 255, 3 / 255  # its noise, and what a smooth surface may leave of it, at most
UNEVEN = 0.02  # how far it may leave that surface anywhere
SUBJECT = 0.5  # mask values above are subject
WRONG = 3.0  # units that a mask's contour may be off
NEAR, FAR = 4.0, 10.0  # units from what the background's colour does not explain: where it decides nothing, and all
INSIDE = 0.9  # mask values above are surely subject
CONTRAST = 0.12  # from the background's colour: texture alone makes no such differences
AROUND = 5.0  # sigma in units
DISTINCT = 0.8, 0.95  # of the subject there, how much must be distinct from the background
RINGS = 0.03  # more of JPEG's ringing makes colours beside edges useless
RINGING = 0.6  # how much JPEG's colours beside an edge decide at most
FADED = 0.01  # mask values below are nothing that fades
SOFT = 0.1  # mask values this far from 0 and 1 over a wide area are glass or smoke


class Plain(NamedTuple):
    """A plain background.

    Attributes
    ----------
    plate : Plate
    sure : (h, w) float32
        Where its colour decides, in [0, 1]; everywhere else the usual way has to.
    dropped : (h, w) bool
        What stands before it and belongs to nothing that the mask shows: dust, small things beside the subject.
    """

    plate: Plate
    sure: Array
    dropped: NDArray[np.bool_]


def plain_background(picture: Pixels, image: Array, mask: Array, distance: Array, unit: float) -> Plain | None:
    """Tell whether a picture's background is plain for certain, and where that decides.

    Parameters
    ----------
    picture : (H, W, 3) uint8 or float32
    image : (h, w, 3) float32
        The same at the size that is worked at.
    mask : (h, w) float32
        Of the subject, in [0, 1].
    distance : (h, w) float32
        Its signed distance in pixels.
    unit : float
        Pixels in a unit of length.
    """
    behind = (mask < EMPTY) & (distance < -APART * unit)
    if behind.mean() < LEAST:
        return None
    screen = find_screen(image, behind, uneven=UNEVEN, roughest=EVEN)
    if screen is None or screen.noise > QUIET:
        return None
    if screen.share < PURE:
        return None
    plate = plate_of(picture, screen, coloured=False)
    if plate.noise.ringing > RINGS:
        return None
    unknown, dropped = _unexplained(cleared_small(image, plate, picture.shape), mask, distance, unit)
    sure = np.ones(mask.shape, np.float32) if not unknown.any() else ramp(_away(unknown) / unit, NEAR, FAR)
    sure *= _distinct(image - screen.field, mask, unit)
    if plate.noise.ringing:
        sure *= np.float32(RINGING)
    return Plain(plate, sure, dropped)


def _unexplained(
    cleared: Cleared, mask: Array, distance: Array, unit: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return where colour and mask contradict each other, and what stands apart from the subject."""
    import cv2

    rim = RIM * unit
    there = ~cleared.empty
    _, labels = cv2.connectedComponents(there.astype(np.uint8), connectivity=8, ltype=cv2.CV_32S)
    meant, seen = (np.zeros(int(labels.max()) + 1, bool) for _ in range(2))
    meant[np.unique(labels[mask > SUBJECT])] = True
    seen[np.unique(labels[mask > SOFT])] = True
    meant[0] = seen[0] = True
    dropped, doubted = ~seen[labels], (seen & ~meant)[labels]
    thick = cleared.away > rim
    other = thick & there & (mask < SUBJECT) & (distance < -WRONG * unit)  # a shadow, another thing
    hidden = cleared.empty & (mask > SUBJECT) & (distance > WRONG * unit)  # a part of the background's own colour
    soft = ((mask > SOFT) & (mask < 1 - SOFT)).astype(np.uint8)
    side = 2 * round(rim) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    wide = cv2.morphologyEx(soft, cv2.MORPH_OPEN, disc) > 0
    if wide.any():  # as far as it fades, which colours cannot tell from nothing
        fading = cv2.morphologyEx(((mask > FADED) & (mask < 1 - SOFT)).astype(np.uint8), cv2.MORPH_OPEN, disc)
        _, parts = cv2.connectedComponents(fading, connectivity=8, ltype=cv2.CV_32S)
        wide |= np.isin(parts, np.setdiff1d(parts[wide], 0))
    return (other & ~dropped) | doubted | hidden | wide, dropped


def _distinct(off: Array, mask: Array, unit: float) -> Array:
    """Return whether the subject's colours around each place are others than the background's, in [0, 1]."""
    inside = (mask > INSIDE).astype(np.float32)
    apart = inside * (np.abs(off).max(axis=2) > CONTRAST)
    around = wide_blur(np.dstack([inside, apart]), AROUND * unit)
    return ramp((around[..., 1] + np.float32(1e-4)) / (around[..., 0] + np.float32(1e-4)), *DISTINCT)


def _away(zone: NDArray[np.bool_]) -> Array:
    import cv2

    return np.asarray(cv2.distanceTransform((~zone).astype(np.uint8), cv2.DIST_L2, 5), np.float32)
