"""Whether pictures that come together are the frames of a clip: each shows what the one before it showed, moved.

Frames of one clip have nearly everything in common with the next one, wherever it has moved to, and different
photographs next to nothing, however alike they look: two products before white, two sights before the same beach. So
each picture's motion to the next one is looked for, in small, and what of its texture is found again there is counted.
A clip may have cuts, and jump here and there: more than half of the pairs that are looked at have to agree.

What does not move at all tells nothing: before one and the same photograph small subjects that are exchanged are taken
for a clip, as they would be in one. What follows from it is little: see ``of_clip`` of
:func:`gossamer.matting.auto_alpha`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.progress import Progress, ProgressCallback
from gossamer.video.motion import motion_between

__all__ = ["are_frames", "found_again"]

LONGEST = 160  # px: of the picture in which motion is looked for
PAIRS = 12  # that are looked at, spread over all there are
STANDING = 4  # pictures: so often may one be repeated before the next one comes
TEXTURE = 0.03  # of the colours' range: what varies less is found everywhere
AROUND = 3.0  # px: where it varies
SAME = 0.5  # share of the texture that is found again: from here on two pictures show the same


def are_frames(
    picture: Callable[[int], NDArray[Any]], count: int, progress: Progress | ProgressCallback | None = None
) -> bool:
    """Tell whether pictures are the frames of one clip, in their order.

    Parameters
    ----------
    picture : callable
        Given a number it returns that picture: (H, W, 3), uint8, uint16 or floats in [0, 1].
    count : int
        How many there are. Some of them are looked at, spread over all.
    progress : callable, optional
        Called as ``progress(fraction, message)``; an exception that it raises stops the work and passes through.

    Returns
    -------
    bool
        False for one picture, and for one that is repeated all the time: nothing comes and goes there.
    """
    steps, votes = Progress.of(progress), list[bool]()
    number = min(count - 1, PAIRS)
    for place in range(number):
        steps(place / number, "Comparing the pictures")
        start = place * (count - 1) // number
        first = _small(picture(start))
        for other in range(start + 1, min(start + 1 + STANDING, count)):
            second = _small(picture(other))
            if not np.array_equal(first, second):
                votes.append(first.shape == second.shape and found_again(first, second) >= SAME)
                break
    return 2 * sum(votes) > len(votes)


def found_again(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """Return the share of two pictures' texture that is found in the other one, the lesser of both, in [0, 1].

    Parameters
    ----------
    first, second : (h, w, 3) uint8
        Of one size, small.
    """
    motions = motion_between(first, second)
    return min(_share(motion.trust, here) for motion, here in zip(motions, (first, second), strict=True))


def _share(trust: Array, here: NDArray[np.uint8]) -> float:
    import cv2

    grey = cv2.cvtColor(here, cv2.COLOR_RGB2GRAY).astype(np.float32) / np.float32(255)
    mean = cv2.GaussianBlur(grey, (0, 0), AROUND)
    variance = np.maximum(cv2.GaussianBlur(grey * grey, (0, 0), AROUND) - mean * mean, 0)
    weight = 1 - np.exp(-variance / np.float32(TEXTURE**2))
    return float((trust * weight).sum() / (weight.sum() + 1))


def _small(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Return a picture in small, (h, w, 3) uint8."""
    import cv2

    height, width = pixels.shape[:2]
    scale = min(1.0, LONGEST / max(height, width))
    size = max(16, round(width * scale)), max(16, round(height * scale))
    small = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))
    if small.dtype == np.uint8:
        return np.ascontiguousarray(small)
    range_of = 1.0 if small.dtype.kind == "f" else np.iinfo(small.dtype).max
    return np.asarray(np.rint(small * np.float32(255 / range_of)).clip(0, 255), np.uint8)
