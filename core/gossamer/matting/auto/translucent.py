"""Things that a mask shows to be translucent: glass, smoke, veils, whose greys are what they are.

A region that a model doubts is grey over a wide area, too, and should become opaque where its colours are the
subject's. Two things tell it from glass. Of the thing that it belongs to it is a part, beside much that the model is
sure of; a glass or a cloud of smoke is grey nearly everywhere, but for a rim and a highlight. And a doubt fades: into
the background, and into what the model is sure of. Glass, also with a label, a cap or a hand on it, ends as sharply as
anything else that the mask shows, and the picture has an edge where something solid begins; where it has none for a
part of the border, glass is still told by what is seen through it. And glass can be neither so dark before a bright
wall nor so bright before a dark one as leaves that a model doubts.

So do a mesh, lace and hair that a network saw too small; those are not grey smoothly, or else the picture, larger than
the network saw it, is explained much better by wires and holes side by side than by glass.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.matting.auto.mixtures import Mixtures
from gossamer.matting.from_mask.faith import ramp
from gossamer.resampling import bilinear, wide_blur

__all__ = ["translucency", "unresolved"]

GREY = 0.12, 0.88  # mask values between are neither subject nor background
WIDE = 4.0  # units; where a disc of this radius fits in there is no contour and no strand
MOST = 0.55, 0.75  # share of a thing that is wide and grey: where it may be translucent, and where it surely is
FINE = 4.0  # sigma in units: what is finer is the remainder of something that is no glass
ROUGH = 0.05, 0.09  # root mean square of that in a region's greys, where it is some and where it is much
LEAST = 0.01  # of the picture: smaller regions have too little of a border to tell
CONTOUR = 6.0  # units within which a contour goes from background to subject
NOTHING, ALL = 0.05, 0.95  # mask values there
MIDDLE = 0.3, 0.7  # of the step between two values: where its steepness is measured
BORDER = 5.0  # units; what lies this near a region is its border
LEVEL = 8.0  # sigma in units over which a region's own grey is averaged
SHARP = 1.1  # width of a border, as a multiple of that of the mask's solid contours, that is still as sharp
SHARPLY = 0.75, 0.9  # share of a region's border that is: where it may be glass, and where it surely is
RIM = 16.0  # units; what is solid no further inside a thing than this is a rim
ABOUT = 1.5  # width of a border with what is solid further inside, likewise
FADED = 0.05, 0.15  # share of a region's border that such a one takes and that is wider, or no edge in the picture
IMPOSSIBLE = 0.15, 0.3  # share of a border where the colours allow no glass: where it may be some, and where none is
EASIER = 0.5  # logarithm of how much less of the colours an estimate leaves unexplained, if it is of wires and holes
MOSTLY = 0.62, 0.8  # share of a region where it does: where it may be no glass, and where it surely is none
FEW = 40.0  # units of a border's area: less is none


def translucency(mask: Array, mixtures: Mixtures, unit: float) -> Array:
    """Return how far each pixel is the inside of something translucent, (H, W) float32 in [0, 1].

    Parameters
    ----------
    mask : (H, W) float32 ndarray
        In [0, 1].
    mixtures : Mixtures
        Of the picture.
    unit : float
        Pixels in a unit of length.
    """
    import cv2

    grey = ((mask > GREY[0]) & (mask < GREY[1])).view(np.uint8)
    side = 2 * round(WIDE * unit) + 1
    wide = cv2.morphologyEx(grey, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
    if not wide.any():
        return np.zeros(mask.shape, np.float32)
    inner = cv2.erode(wide, _square(FINE * unit)) > 0
    fine = mask - wide_blur(mask, FINE * unit)
    fine *= fine
    _, things = cv2.connectedComponents((mask > GREY[0]).view(np.uint8))
    share = ramp(_means(things, things > 0, wide, 0), *MOST) * _smooth(things, inner, fine)
    clear = share[things] * wide
    _, regions, boxes, _ = cv2.connectedComponentsWithStats(wide)
    glassy = _smooth(regions, inner, fine)
    glassy[boxes[:, cv2.CC_STAT_AREA] < LEAST * mask.size] = 0
    glassy[0] = 0
    if glassy.any():
        possible = np.ones_like(glassy)
        steps = _Steps(mask, mixtures, unit)
        for region in np.flatnonzero(glassy):
            inside = regions == region
            ends, possible[region] = steps.judge(inside, boxes[region], otherwise=bool(clear[inside].any()))
            glassy[region] *= ends
        core = cv2.erode(wide, _square(steps.width / 2))  # up to its border's own blur
        np.maximum(clear, glassy[regions] * core, out=clear)
        clear *= possible[regions]
    return np.asarray(cv2.blur(clear, (3, 3)), np.float32)


def unresolved(clear: Array, better: Array) -> Array:
    """Return what is left of translucency where the picture was looked at more closely: the same shape.

    Parameters
    ----------
    clear : (H, W) float32 ndarray
        What :func:`translucency` tells.
    better : (H, W) float32 ndarray
        Logarithm of how much more of the colours the mask leaves unexplained than an estimate.
    """
    import cv2

    if not clear.any():
        return clear
    _, regions = cv2.connectedComponents((clear > 0).view(np.uint8))
    share = _means(regions, regions > 0, better > EASIER, 0)
    left: Array = clear * (1 - ramp(share, *MOSTLY))[regions]
    return left


def _means(labels: NDArray[np.int32], place: NDArray[np.bool_], of: NDArray[Any], otherwise: float) -> Array:
    """Return the mean of a plane over each label's part of a place."""
    many = int(labels.max()) + 1
    flat = labels[place]
    pixels = np.bincount(flat, minlength=many)
    means = np.where(pixels, np.bincount(flat, of[place], many) / np.maximum(pixels, 1), otherwise)
    return means.astype(np.float32)


def _smooth(labels: NDArray[np.int32], inner: NDArray[np.bool_], squares: Array) -> Array:
    """Return how smooth each label's greys are, in [0, 1], given squares of what is fine in them."""
    smooth: Array = 1 - ramp(np.sqrt(_means(labels, inner, squares, 1)), *ROUGH)
    return smooth


class _Ends(NamedTuple):
    """How far something ends like a thing of its own, and whether it does if more speaks for that: in [0, 1]."""

    surely: float
    perhaps: float


class _Steps:
    """How sharply a mask steps from one value to another; `width` is that of its solid contours in pixels, or 0."""

    def __init__(self, mask: Array, mixtures: Mixtures, unit: float) -> None:
        import cv2

        self._mask, self._mixtures, self._unit = mask, mixtures, unit
        across, down = (cv2.Scharr(mask, cv2.CV_32F, *order, scale=1 / 32) for order in ((1, 0), (0, 1)))
        self._steep = cv2.dilate(np.hypot(across, down), np.ones((5, 5), np.uint8))
        window = np.ones((2 * round(CONTOUR * unit) + 1,) * 2, np.uint8)
        self._outside = cv2.erode(mask, window) < NOTHING
        solid = self._outside & (cv2.dilate(mask, window) > ALL) & (mask > MIDDLE[0]) & (mask < MIDDLE[1])
        self.width = 1 / float(np.median(self._steep[solid])) if np.count_nonzero(solid) > FEW * unit else 0.0

    @cached_property
    def _away(self) -> Array:
        """How far from the background each pixel is."""
        import cv2

        return np.asarray(cv2.distanceTransform((self._mask > NOTHING).view(np.uint8), cv2.DIST_L2, 5), np.float32)

    @cached_property
    def _apart(self) -> Array:
        """How far colours can be told from those of what is solid beside them."""
        solid = (self._mask > GREY[1]).astype(np.float32)
        return bilinear(self._mixtures.told(solid)[1], *solid.shape)

    def judge(self, region: NDArray[np.bool_], box: NDArray[np.int32], *, otherwise: bool) -> tuple[float, float]:
        """Return how far a grey region is glass by how it ends, and whether it is possible at all: in [0, 1].

        The latter is told only if it is asked for: if the region ends so, or counts as glass `otherwise`.
        """
        import cv2

        inside = region.view(np.uint8)
        ends = self._ends(inside, box)
        if not (ends.surely or ends.perhaps or otherwise):
            return 0.0, 1.0
        within = cv2.erode(inside, _square(WIDE / 2 * self._unit)) > 0
        through = self._mixtures.through(self._mask, within, self._mask < NOTHING)
        possible = 1 - float(ramp(np.array([through.short]), *IMPOSSIBLE)[0])
        return max(ends.surely, ends.perhaps * through.follows), possible

    def _ends(self, inside: NDArray[np.uint8], box: NDArray[np.int32]) -> _Ends:
        """Return how far a grey region ends like a thing of its own."""
        import cv2

        left, top, width, height = (int(value) for value in box[:4])
        border = round(BORDER * self._unit)
        margin = border + 1
        crop = np.s_[max(top - margin, 0) : top + height + margin, max(left - margin, 0) : left + width + margin]
        mask, steep, inside = self._mask[crop], self._steep[crop], inside[crop]
        within = cv2.erode(inside, _square(WIDE / 2 * self._unit)).astype(np.float32)
        level = wide_blur(mask * within, LEVEL * self._unit) / np.maximum(wide_blur(within, LEVEL * self._unit), 1e-4)
        ring = cv2.dilate(inside, np.ones((2 * border + 1,) * 2, np.uint8)) > 0
        outer = ring & self._outside[crop] & (mask > MIDDLE[0] * level) & (mask < MIDDLE[1] * level)
        if np.count_nonzero(outer) <= FEW * self._unit:
            return _Ends(0.0, 0.0)
        sharp = np.mean(level[outer] < SHARP * self.width * steep[outer], dtype=np.float32)
        if sharp <= SHARPLY[0]:
            return _Ends(0.0, 0.0)
        rim = cv2.dilate(inside, np.ones((3, 3), np.uint8)) > inside
        deep = rim & (mask > GREY[1]) & (self._away[crop] > RIM * self._unit)
        unlike = np.where(1 - level[deep] < ABOUT * self.width * steep[deep], 1 - self._apart[crop][deep], 1)
        faded = unlike.sum(dtype=np.float32) / max(np.count_nonzero(rim), 1)
        surely = float(ramp(np.array([sharp]), *SHARPLY)[0]) * (1 - float(ramp(np.array([faded]), *FADED)[0]))
        return _Ends(surely, float(faded < FADED[1]))


def _square(radius: float) -> NDArray[np.uint8]:
    side = 2 * round(radius) + 1
    return np.ones((side, side), np.uint8)
