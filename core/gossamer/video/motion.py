"""How a picture moved from one frame to the next, and how far that can be trusted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array

__all__ = ["Motion", "motion_between", "reduced"]

_LONGEST = 512  # px: of the picture in which motion is looked for
_DIFFERENCE = 0.048  # of the colours' range: how far a moved picture may be off before it shows another thing
_GRAIN = 0.6  # px: noise of single pixels is no difference
_LOOP, _FASTER = 2.2, 0.11  # px, and of the speed: how far forth and back may lead away from the start
_CUT = 0.11  # mean difference of a moved picture beyond which most of it is another one: a cut
_TEXTURE = 0.03  # of the colours' range: what varies less shows nothing across a cut, where flat areas agree by chance
_FOUND = 0.05  # of the picture: what has texture and is found again across a cut, where something is
_AROUND = 12.0  # px: flat areas go on with what is around them
_PART = 0.3  # of what is found again around a pixel: so much has to have texture


@dataclass(frozen=True, eq=False)
class Motion:
    """Where the pixels of one picture lie in another.

    Attributes
    ----------
    place : (h, w, 2) float32
        x and y in the other picture.
    trust : (h, w) float32
        In [0, 1]; 0 where they show something else. Across a cut what goes on, as a subject before another background,
        is trusted where it has texture, and nothing where next to nothing goes on.
    """

    place: Array
    trust: Array

    def moved(self, plane: NDArray[np.float32], *, sharp: bool = False) -> NDArray[np.float32]:
        """Return what a plane of the other picture, (h, w) or (h, w, n), has at these places.

        Parameters
        ----------
        plane : (h, w) or (h, w, n) float32
        sharp : bool
            By cubic interpolation, which may lead a little beyond the plane's values: what is moved from frame to frame
            over and over loses its edges by the linear one.
        """
        import cv2

        how = cv2.INTER_CUBIC if sharp else cv2.INTER_LINEAR
        return np.asarray(cv2.remap(plane, self.place, None, how, borderMode=cv2.BORDER_REPLICATE), np.float32)


def reduced(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Return a picture, (H, W, 3) uint8 or uint16, as small as motion is looked for in it, (h, w, 3) uint8."""
    import cv2

    height, width = pixels.shape[:2]
    scale = min(1.0, _LONGEST / max(height, width))
    size = (max(16, round(width * scale)), max(16, round(height * scale)))
    if pixels.dtype != np.uint8:
        pixels = (pixels >> 8).astype(np.uint8)
    return np.ascontiguousarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))


def motion_between(now: NDArray[np.uint8], before: NDArray[np.uint8]) -> tuple[Motion, Motion]:
    """Return where the pixels of one frame were in the one before, and where those of that one went.

    Parameters
    ----------
    now, before : (h, w, 3) uint8
        See :func:`reduced`.

    References
    ----------
    T. Kroeger, R. Timofte, D. Dai, L. Van Gool, "Fast Optical Flow using Dense Inverse Search", ECCV 2016.
    """
    import cv2

    grey, last = (cv2.cvtColor(one, cv2.COLOR_RGB2GRAY) for one in (now, before))
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    search.setFinestScale(0)  # at half the size contours are off by so much that mattes smear there
    search.setVariationalRefinementIterations(1)  # of five, which take more time than all the rest, and find no more
    back, forth = search.calc(grey, last, None), search.calc(last, grey, None)
    return _trusted(now, before, back, forth), _trusted(before, now, forth, back)


def _trusted(here: NDArray[np.uint8], there: NDArray[np.uint8], flow: NDArray[Any], returning: NDArray[Any]) -> Motion:
    import cv2

    height, width = here.shape[:2]
    across, down = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    place = np.dstack([across + flow[..., 0], down + flow[..., 1]])
    inside = (place[..., 0] >= 0) & (place[..., 0] <= width - 1) & (place[..., 1] >= 0) & (place[..., 1] <= height - 1)
    returned = cv2.remap(returning, place, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    moved = cv2.remap(there, place, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    off = cv2.absdiff(moved, here).astype(np.float32).mean(2) / np.float32(255)
    is_cut = float(off.mean()) > _CUT
    off = cv2.GaussianBlur(off, (0, 0), _GRAIN)
    allowed = _LOOP + _FASTER * np.linalg.norm(flow, axis=2)
    astray = np.linalg.norm(flow + returned, axis=2)
    trust = np.exp(-np.square(off / _DIFFERENCE) - np.square(astray / allowed)) * inside
    if is_cut:
        trust = _across_a_cut(trust.astype(np.float32), here)
    return Motion(place, np.asarray(cv2.GaussianBlur(trust.astype(np.float32), (0, 0), 1.0), np.float32))


def _across_a_cut(trust: Array, here: NDArray[np.uint8]) -> Array:
    """Return how far what is found again across a cut can be trusted: near enough of it has to have texture."""
    import cv2

    grey = cv2.cvtColor(here, cv2.COLOR_RGB2GRAY).astype(np.float32) / np.float32(255)
    mean = cv2.GaussianBlur(grey, (0, 0), 3.0)
    variance = np.maximum(cv2.GaussianBlur(grey * grey, (0, 0), 3.0) - mean * mean, 0)
    sure = trust * (1 - np.exp(-variance / np.float32(_TEXTURE**2)))
    if float(sure.mean()) < _FOUND:
        return np.zeros_like(trust)
    part = cv2.GaussianBlur(sure, (0, 0), _AROUND) / (cv2.GaussianBlur(trust, (0, 0), _AROUND) + np.float32(1e-3))
    return np.asarray(trust * np.minimum(part / np.float32(_PART), 1), np.float32)
