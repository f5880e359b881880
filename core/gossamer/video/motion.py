"""How a picture moved from one frame to the next, and how far that can be trusted."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.video.background import FINENESS, going_along, squares

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
_EDGE = 5  # px: so near lies an edge
_NOTHING = 0.03  # of a matte: there is none
_DEEP = 4  # px: half a patch of flow; deeper within flow is not drawn along by what is behind
_BESIDE = 12.0  # px: what is within an edge lies so near
_ENOUGH = 0.02  # of the surroundings: so much has to lie within
_WORSE = 0.006  # of the colours' range: so much worse may the motion of what is within be around an edge than its own
_SPREAD = 0.5  # px: what is within an edge and moves less uniformly has no common motion
_NEAR, _OTHER = 2.0, 0.144  # px, and of the colours' range: beyond it an edge shows another thing, as hair that flies
_COARSE = 4  # wide means are taken in pictures so much smaller


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
    along : (h', w', 2) float32 or None
        What moves as the background does, see :func:`gossamer.video.background.going_along`; None where there are no
        two motions, and across a cut.
    """

    place: Array
    trust: Array
    along: Array | None = None

    @cached_property
    def coarse(self) -> Motion:
        """As it is for pictures of the size of `along`."""
        height, width = self.trust.shape
        return self.enlarged(max(1, height // FINENESS), max(1, width // FINENESS))

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

    def enlarged(self, height: int, width: int) -> Motion:
        """Return it for pictures of another size."""
        import cv2

        h, w = self.trust.shape
        factor = np.array([width / w, height / h], np.float32)
        flow = cv2.resize(self.place - _places(h, w), (width, height), interpolation=cv2.INTER_LINEAR) * factor
        trust = cv2.resize(self.trust, (width, height), interpolation=cv2.INTER_LINEAR)
        return Motion(_places(height, width) + flow, np.asarray(trust, np.float32))


def reduced(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Return a picture, (H, W, 3) uint8 or uint16, as small as motion is looked for in it, (h, w, 3) uint8."""
    import cv2

    height, width = pixels.shape[:2]
    scale = min(1.0, _LONGEST / max(height, width))
    size = (max(16, round(width * scale)), max(16, round(height * scale)))
    if pixels.dtype != np.uint8:
        pixels = (pixels >> 8).astype(np.uint8)
    return np.ascontiguousarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))


def motion_between(
    now: NDArray[np.uint8], before: NDArray[np.uint8], mattes: tuple[Array, Array] | None = None
) -> tuple[Motion, Motion]:
    """Return where the pixels of one frame were in the one before, and where those of that one went.

    Parameters
    ----------
    now, before : (h, w, 3) uint8
        See :func:`reduced`.
    mattes : two of (h, w) float32, optional
        Theirs: at the edge of what they hold, which flow draws along with what is behind, motion is that of what is
        within.

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
    ours, theirs = mattes or (None, None)
    return _motion(now, before, back, forth, ours), _motion(before, now, forth, back, theirs)


def _motion(
    here: NDArray[np.uint8], there: NDArray[np.uint8], flow: Array, returning: Array, matte: Array | None
) -> Motion:
    import cv2

    start = _places(*here.shape[:2])
    place = start + flow
    off = _difference(here, there, place)
    returned = cv2.remap(returning, place, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    allowed = _LOOP + _FASTER * np.sqrt(squares(flow))
    loop = squares(flow + returned)
    astray = loop / np.square(allowed)
    is_cut = float(off.mean()) > _CUT
    trust = _trust(cv2.GaussianBlur(off, (0, 0), _GRAIN), astray) * _is_inside(place)
    if matte is not None:
        along, sure, taken = _within(here, there, flow, off, astray, trust, matte)
        place = start + (flow + (along - flow) * taken[..., None])
        trust += (sure - trust) * taken
        trust *= _is_inside(place)
    if is_cut:
        trust = _across_a_cut(trust, here)
    found = None
    if matte is not None and not is_cut:
        found = going_along(flow, loop, cv2.cvtColor(here, cv2.COLOR_RGB2GRAY), matte)
    return Motion(place, np.asarray(cv2.GaussianBlur(trust, (0, 0), 1.0), np.float32), found)


@lru_cache(maxsize=4)  # of one clip: a millisecond each, ten times a frame
def _places(height: int, width: int) -> Array:
    """Return x and y of each pixel, (h, w, 2)."""
    places = np.dstack(np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)))
    places.flags.writeable = False
    return places


def _difference(here: NDArray[np.uint8], there: NDArray[np.uint8], place: Array) -> Array:
    """Return how far colours at these places of another picture are off, (h, w) float32 of the colours' range."""
    import cv2

    moved = cv2.remap(there, place, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    off = cv2.absdiff(moved, here).astype(np.float32)
    return np.asarray(cv2.transform(off, np.full((1, 3), 1 / (3 * 255), np.float32)), np.float32)


def _trust(off: Array, astray: Array) -> Array:
    return np.asarray(np.exp(-np.square(off / np.float32(_DIFFERENCE)) - astray), np.float32)


def _is_inside(place: Array) -> NDArray[np.bool_]:
    """Return which places lie within the picture."""
    height, width = place.shape[:2]
    across, down = place[..., 0], place[..., 1]
    return np.asarray((across >= 0) & (across <= width - 1) & (down >= 0) & (down <= height - 1))


def _within(
    here: NDArray[np.uint8],
    there: NDArray[np.uint8],
    flow: Array,
    off: Array,
    astray: Array,
    trust: Array,
    matte: Array,
) -> tuple[Array, Array, Array]:
    """Return motion and trust of what is within an edge, (h, w, 2) and (h, w), and where these are taken, (h, w).

    A patch on an edge shows what moves within it and what moves behind, flow follows the one that has more texture, and
    the colours of soft edges change with what is behind. But an edge moves as that does whose edge it is.
    """
    import cv2

    window = cv2.getStructuringElement(cv2.MORPH_RECT, (2 * _DEEP + 1, 2 * _DEEP + 1))
    deep = cv2.erode(matte, window)
    weight = np.square(deep) * trust
    across, down = flow[..., 0], flow[..., 1]
    enough, across, down, lengths, led = _means([across, down, squares(flow), astray], weight)
    along = np.dstack([across, down])
    spread = np.maximum(lengths - squares(along), 0)
    there_off = _difference(here, there, _places(*matte.shape) + along)
    _, within = _means([there_off], weight)
    _, own, mean = _means([off, there_off], np.square(matte) * (1 - deep) + np.float32(1e-4))
    window = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * _EDGE + 1, 2 * _EDGE + 1))
    is_edge = (cv2.dilate(matte, window) > _NOTHING) & (cv2.erode(matte, window) < 1 - _NOTHING)
    is_taken = is_edge & (enough > _ENOUGH) & (mean < own + _WORSE)
    taken = is_taken * np.exp(-spread / np.float32(_SPREAD**2))
    weight = np.square(matte) + np.float32(1e-3)
    here_off = cv2.GaussianBlur(there_off * weight, (0, 0), _NEAR) / cv2.GaussianBlur(weight, (0, 0), _NEAR)
    sure = _trust(within, led + np.square(here_off / np.float32(_OTHER)))
    return along, sure, np.asarray(cv2.GaussianBlur(taken, (0, 0), 1.0), np.float32)


def _means(planes: list[Array], weight: Array) -> list[Array]:
    """Return the mean of a weight around each pixel, and the weighted ones of planes; all are (h, w)."""
    import cv2

    height, width = weight.shape
    size = (-(-width // _COARSE), -(-height // _COARSE))

    def mean(plane: Array) -> Array:
        coarse = cv2.resize(plane, size, interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.GaussianBlur(coarse, (0, 0), _BESIDE / _COARSE), np.float32)

    whole = mean(weight)
    found = [whole, *(mean(plane * weight) / (whole + np.float32(1e-6)) for plane in planes)]
    return [np.asarray(cv2.resize(one, (width, height), interpolation=cv2.INTER_LINEAR), np.float32) for one in found]


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
