"""The matting method key: the backdrop's colour decides what is transparent, as in a keyer."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gossamer.arrays import Array, as_mask, as_pixels
from gossamer.colours import read_colour, screen_channel
from gossamer.errors import InputError
from gossamer.matting.from_mask.estimate import work_size
from gossamer.matting.from_mask.faith import ramp
from gossamer.matting.key.noise import Noise, picture_noise
from gossamer.matting.key.screen import Screen, find_screen
from gossamer.matting.key.several import NOISY, find_others, joined
from gossamer.matting.key.unmix import EMPTY, Plate, clear, unmix
from gossamer.matting.signed_distance import unit_length
from gossamer.progress import Progress, ProgressCallback
from gossamer.resampling import Pixels, bilinear

__all__ = ["key_alpha", "plate_of"]

FRAME = 0.04  # of the shorter side: the border in which a screen is looked for
PART = 0.3  # of that border that the screen must take
INSIDE = 2.5  # units that a mask's contour may be off
OPAQUE = 0.8, 0.95  # mask values below may be glass or smoke, those above are not
APART = 2.0  # units around what is dropped that go with it


def key_alpha(
    image: ArrayLike,
    mask: ArrayLike | None = None,
    *,
    screen: str = "auto",
    progress: Progress | ProgressCallback | None = None,
) -> Array:
    """Find the alpha of what stands before a screen of one colour, or before a plain wall or paper.

    The screen may be lit unevenly, be noisy, and have several colours: a green floor before a green wall. Before a
    green, blue or red one its light that shows through is told by the difference of the channels (Vlahos); at edges,
    and before any other colour, alpha is how far a pixel is from the screen's colour on the line to the subject's.

    Parameters
    ----------
    image : (H, W, 3) array
        RGB: uint8, uint16 or floats in [0, 1].
    mask : (H, W) array, optional
        The subject's: what stands before the screen apart from it, such as a lamp, is dropped, and what is of a colour
        like the screen's well inside it, such as a leaf, is opaque. What has the screen's very colour is transparent
        whatever the mask says.
    screen : str
        ``"auto"``, or the screen's colour, e.g. ``"#00b140"`` or ``"green"``: about right is enough.
    progress : callable, optional
        Called as ``progress(fraction, message)``; an exception that it raises stops the work and passes through.

    Returns
    -------
    (H, W) float32 ndarray
        Alpha in [0, 1].

    Raises
    ------
    InputError
        There is no such screen in the picture, the mask's size is not the picture's, `screen` is no colour, or there
        are NaN or values outside [0, 1].

    References
    ----------
    .. [1] Smith, Blinn: "Blue screen matting", SIGGRAPH 1996.
    .. [2] Vlahos: "Comprehensive electronic compositing system", US patent 4,344,085, 1982 (expired).
    """
    picture = as_pixels(image)
    whole = None if mask is None else as_mask(mask, picture.shape)
    report = Progress.of(progress)
    report(0.0, "Keying")
    small, hint = work_size(picture, np.ones(picture.shape[:2], np.float32) if whole is None else whole)
    found = _screen(small, _colour(screen), None if whole is None else hint)
    report(0.2)
    if found is None:
        raise InputError(
            "No screen of one colour was found.", "Name its colour, or choose a model and the matting auto."
        )
    plate = plate_of(picture, found, coloured=True)
    solid = None if whole is None or plate.channel is None else _solid(hint)
    alpha = unmix(picture, small, plate, None, report.part(0.2, 0.95), solid)
    if whole is not None and whole.max() > 0.5:
        dropped = _apart(small, found, hint)
        if dropped.any():
            alpha *= 1 - bilinear(dropped.astype(np.float32), *alpha.shape)
    report(1.0)
    return alpha


def plate_of(picture: Pixels, screen: Screen, *, coloured: bool) -> Plate:
    """Measure what unmixing needs to know of a picture before a screen.

    Parameters
    ----------
    picture : (H, W, 3) uint8 or float32
    screen : Screen
    coloured : bool
        Whether nothing before a green, blue or red screen is of its colour.
    """
    noise = picture_noise(picture, screen.field)
    noise = noise._replace(camera=max(noise.camera, screen.noise))
    return Plate(screen, noise, _channel(screen) if coloured else None)


def _colour(screen: str) -> Array | None:
    if screen.strip().lower() == "auto":
        return None
    colour = read_colour(screen)
    if colour is None:
        raise InputError(f"{screen!r} is no screen's colour.", "Give auto, or a colour such as #00b140 or green.")
    return np.array(colour[:3], np.float32)


def _screen(small: Array, colour: Array | None, hint: Array | None) -> Screen | None:
    """Find the screen: along the frame, or where a mask has nothing; then wherever it is seen."""
    everywhere, expected = np.ones(small.shape[:2], bool), None
    if colour is None:
        width = max(round(FRAME * min(small.shape[:2])), 1)
        expected = everywhere.copy()
        expected[width:-width, width:-width] = False
        if hint is not None and (hint < EMPTY).any():
            expected = hint < EMPTY
        first = find_screen(small, expected)
        if first is None or first.share < PART:
            return None
        colour = np.median(small[first.seen], axis=0)
    found = find_screen(small, everywhere, colour)
    if found is None:
        return None
    if _channel(found) is not None:  # grey ones would take every grey thing for their shadow, and a wall for a floor
        others = [] if expected is None else find_others(small, found, expected)
        several = joined(small, [np.median(small[found.seen], axis=0), *others]) if others else None
        found = several or find_screen(small, everywhere, colour, shaded=True)
    return None if found is None or found.noise > NOISY else found


def _channel(screen: Screen) -> int | None:
    """Return which channel a coloured screen is of, or None."""
    return screen_channel(screen.field.mean(axis=(0, 1)))


def _solid(hint: Array) -> Array | None:
    """Return how opaque a mask's inside surely is; None where it tells nothing of a background."""
    import cv2

    if not (hint < EMPTY).any():
        return None
    side = 2 * round(INSIDE * unit_length(hint.shape)) + 1
    least = cv2.erode(hint, np.ones((side, side), np.uint8), borderType=cv2.BORDER_REPLICATE)
    return ramp(cv2.blur(least, (side, side)), *OPAQUE)


def _apart(small: Array, screen: Screen, hint: Array) -> NDArray[np.bool_]:
    """Return what stands before the screen and is no part of what the mask shows."""
    import cv2

    there = (~clear(small, screen.field, Noise(screen.noise, 0.0)).empty).astype(np.uint8)
    count, labels = cv2.connectedComponents(there, connectivity=8, ltype=cv2.CV_32S)
    meant = np.zeros(count, bool)
    meant[np.unique(labels[hint > 0.5])] = True
    meant[0] = True
    dropped = ~meant[labels]
    side = 2 * round(APART * unit_length(hint.shape)) + 1
    grown = cv2.dilate(dropped.astype(np.uint8), np.ones((side, side), np.uint8)) > 0
    result: NDArray[np.bool_] = grown & ((there == 0) | dropped)
    return result
