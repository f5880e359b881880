"""The labels that GrabCut starts from: what a box, a rough mask, marks and a salient mask say of every pixel.

Four arguments from boxes and masks alone are behind them, none about what is in a picture. A thing that goes on beyond
the box is not what the box means. A subject reaches all sides of its box about equally well, so that what was seen of
it lacks no more than one side shows (after Lempitsky et al., "Image segmentation with a bounding box prior", ICCV
2009). A colour that is more frequent around the box than in it is background until shown otherwise; where the box may
hold more than the subject, its corners belong to what is around. A rough mask is right in its depth, and says little at
its edge.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.prompting.places import around

__all__ = ["BACK", "FORE", "LIKELY_BACK", "LIKELY_FORE", "Labels", "Site", "along", "begun", "depth_of"]
__all__ += ["edge_strength", "is_fore", "lacking"]

Labels = NDArray[np.uint8]
_Where = NDArray[np.bool_]

BACK, FORE, LIKELY_BACK, LIKELY_FORE = 0, 1, 2, 3  # OpenCV's labels
_HINT = 0.1  # from here on the salient mask counts: GrabCut drops what has the background's colours, but adds little
_SURE = 0.9  # from here on, and away from its edge, a hint is certain: by colours alone GrabCut would cut holes into it
_FIRM = 0.5  # of what counts must be certain for nothing to be added far from it
_CORE = 0.005  # how far away, in parts of the picture's diagonal
_NEAR = 0.02  # of the box's diagonal: so much GrabCut may add to what was seen of a subject that misses nothing
_SLIP = 0.015  # of the box's diagonal: so far outside of it a subject's own edge may be seen
_DEEP = 0.5  # of the greatest depth: what is deeper is certainly of the subject whose mask it is
_ROOM = 0.35  # of the square root of a rough mask's area: so far beyond the mask its subject may reach
_RING = 0.25  # of a box's sides: what lies so near around it is compared with what it holds
_LEAST = 0.02  # of the box's area: a ring that is smaller tells nothing of the background
_BINS = 5  # bits of each colour channel (CIE Lab) that are told apart, and blurred by one bin
_EDGE = 0.9  # of the edge around a subject must be where two things meet, each at its lower quartile
_FRAME = 3  # width of the picture's border that stands for background where nothing else does, in pixels


@dataclass(frozen=True, eq=False)
class Site:
    """A picture at the working size, and what is said about it.

    Attributes
    ----------
    image : (H, W, 3) uint8
    marked : (H, W) int32
        What is certain: `FORE`, `BACK` or -1.
    box : (x0, y0, x1, y1) of int, optional
    hint : (H, W) float32, optional
        What a salient model saw.
    rough : (H, W) float32, optional
        The prompt's mask.
    """

    image: Labels = field(repr=False)
    marked: NDArray[np.int32] = field(repr=False)
    box: tuple[int, int, int, int] | None = None
    hint: Array | None = field(default=None, repr=False)
    rough: Array | None = field(default=None, repr=False)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        return self.marked.shape[0], self.marked.shape[1]

    def inside(self, margin_x: float = 0, margin_y: float = 0) -> _Where:
        """Return what lies in the box with these margins, (H, W); everything where there is no box."""
        if self.box is None:
            return np.ones(self.shape, bool)
        x0, y0, x1, y1 = self.box
        aside, above = round(margin_x), round(margin_y)
        inside = np.zeros(self.shape, bool)
        inside[max(y0 - above, 0) : y1 + above, max(x0 - aside, 0) : x1 + aside] = True
        return inside


def is_fore(labels: Labels) -> _Where:
    """Return what is foreground, certain or likely, (H, W)."""
    fore: _Where = (labels == FORE) | (labels == LIKELY_FORE)
    return fore


def begun(site: Site, hinted: bool, crowded: bool = False) -> Labels:
    """Return the labels that GrabCut starts from, (H, W).

    Parameters
    ----------
    site : Site
    hinted : bool
        Whether its hint, or in a box its rough mask, is what is meant; else the box, mask or marks by themselves are.
    crowded : bool
        Whether a box may hold more than the subject, so that its corners count as its surroundings. Where the subject
        is alone they tell as often of itself.
    """
    if hinted:
        labels = _from_hint(site)
    elif site.box is not None:
        labels = _from_box(site, crowded)
    elif site.rough is not None:
        labels = _from_rough(site.rough)
    elif (site.marked == FORE).any():
        labels = np.where(_flooded(site.image, site.marked), LIKELY_FORE, LIKELY_BACK).astype(np.uint8)
    else:
        labels = np.full(site.shape, LIKELY_BACK, np.uint8)
    labels[site.marked == FORE], labels[site.marked == BACK] = FORE, BACK
    return labels


def _from_hint(site: Site) -> Labels:
    """Return what was seen, without what goes on elsewhere, and with room for what it lacks."""
    import cv2

    hint = site.hint if site.hint is not None else site.rough
    assert hint is not None  # noqa: S101 - asked for by whoever has one
    inside = site.inside()
    room = inside
    deep = np.zeros(site.shape, bool)
    if site.hint is not None and site.rough is not None:
        room, deep = _around(site.rough), depth_of(site.rough > 0.5, each=True) > _DEEP
    other = _going_on(site, hint, room, deep)
    if deep.any() and not _parts(site.image, hint > 0.5, other):
        other[:] = False  # one thing, of which the paint covers a part
    kept = np.where(inside & ~other, hint, np.float32(0))
    seen = (kept > _HINT) | deep
    labels = np.where(seen, LIKELY_FORE, np.where(inside, LIKELY_BACK, BACK)).astype(np.uint8)
    side = 2 * max(round(_CORE * math.hypot(*site.shape)), 1) + 1
    labels[cv2.erode((kept > _SURE).astype(np.uint8), np.ones((side, side), np.uint8)) > 0] = FORE
    extent = around(np.where(deep, np.float32(1), kept))
    # What was seen dimly may end elsewhere.
    sure = np.count_nonzero(kept > _SURE) >= _FIRM * np.count_nonzero(kept > _HINT)
    if extent is not None and sure and (site.hint is not None or site.box is not None):
        x0, y0, x1, y1 = site.box or extent
        reach = _NEAR * math.hypot(x1 - x0, y1 - y0)
        if site.box is not None:
            reach += lacking(site.box, extent, site.shape) * max(x1 - x0, y1 - y0)
        away = cv2.distanceTransform((~seen).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
        labels[away > reach] = BACK
    return labels


def _going_on(site: Site, hint: Array, room: _Where, deep: _Where) -> _Where:
    """Return what in the room that a subject has belongs to things that were seen beyond it, (H, W).

    They are flooded from there, and the subject from its depth, until both meet at an edge of the picture.
    """
    import cv2

    there = hint > 0.5
    beyond = there & ~room
    if site.box is not None:
        slip = max(_SLIP * math.hypot(site.box[2] - site.box[0], site.box[3] - site.box[1]), 2)
        beyond = there & ~site.inside(slip, slip)
    own = deep & there if deep.any() else depth_of(there & room) > _DEEP
    if not beyond.any() or not own.any() or min(site.shape) < 3:
        return np.zeros(site.shape, bool)
    sources = np.zeros(site.shape, np.int32)
    sources[hint <= _HINT], sources[beyond], sources[own] = 3, 2, 1
    # Blurred a little: noise is no edge.
    cv2.watershed(cv2.GaussianBlur(site.image, (0, 0), 1.5), sources)
    return np.equal(sources, 2)


def _parts(image: Labels, there: _Where, other: _Where) -> bool:
    """Return whether what was seen falls into two things, of which one is `other`.

    Where two things meet there is an edge all along the line, as there is around both; a line that goes through one
    thing runs over plain parts of it too.
    """
    if not other.any():
        return True
    strength = edge_strength(image)
    between, around_both = along(strength, there & ~other, other), along(strength, there, ~there)
    if not between.size or not around_both.size:
        return True
    weak, usual = (float(np.quantile(edge, 0.25)) for edge in (between, around_both))
    return weak >= _EDGE * usual


def edge_strength(image: Labels) -> Array:
    """Return how sharply a picture changes at every pixel or beside it, (H, W), in no unit; noise counts for little."""
    import cv2

    smooth = cv2.GaussianBlur(image, (0, 0), 1.5).astype(np.float32)
    steps = [cv2.Sobel(smooth, cv2.CV_32F, *way) for way in ((1, 0), (0, 1))]
    near = np.ones((5, 5), np.uint8)  # how far beside its edge a line may run
    return np.asarray(cv2.dilate(np.sqrt(sum((step**2).sum(axis=2) for step in steps)), near), np.float32)


def along(plane: Array, one: _Where, beside: _Where) -> Array:
    """Return a plane's values where one region meets another that is beside it, (N,)."""
    import cv2

    found: Array = plane[one & (cv2.dilate(beside.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0)]
    return found


def lacking(box: tuple[int, ...], extent: tuple[float, ...], shape: tuple[int, int]) -> float:
    """Return by how much an extent falls short of one side of a box more than of another, in parts of its sides.

    A box that is drawn too large is so on all sides; those at the picture's border are always tight.
    """
    (x0, y0, x1, y1), (height, width) = box, shape
    sides = (x1 - x0, y1 - y0, x1 - x0, y1 - y0)
    ends = (extent[0] - x0, extent[1] - y0, x1 - extent[2], y1 - extent[3])
    gaps = [end / side for end, side in zip(ends, sides, strict=True)]
    free = (x0 > 0, y0 > 0, x1 < width, y1 < height)
    slack = min((gap for gap, is_free in zip(gaps, free, strict=True) if is_free), default=0.0)
    return max(gaps) - slack


def _from_box(site: Site, crowded: bool) -> Labels:
    """Return what has the colours of the box's inside rather than of its surroundings, or was seen."""
    assert site.box is not None  # noqa: S101 - asked for by whoever has one
    inside = site.inside()
    # Not flooded from marks in it: that comes to less than the box itself where they are short.
    labels = np.where(inside, LIKELY_FORE, BACK).astype(np.uint8)
    ring = site.inside(_RING * (site.box[2] - site.box[0]), _RING * (site.box[3] - site.box[1])) & ~inside
    if np.count_nonzero(ring) >= _LEAST * np.count_nonzero(inside):
        middle = _middle(site) if crowded else inside
        foreign = _rather(site.image, ring | (inside & ~middle), middle) & inside
        if site.hint is not None:
            nothing = np.zeros(site.shape, bool)
            foreign &= (site.hint < 0.5) | _going_on(site, site.hint, inside, nothing)
        labels[foreign] = LIKELY_BACK
    return labels


def _middle(site: Site) -> _Where:
    """Return the ellipse in a box, (H, W): what touches all sides of its box has little in the corners."""
    assert site.box is not None  # noqa: S101 - asked for by whoever has one
    x0, y0, x1, y1 = site.box
    y, x = (axis + 0.5 for axis in np.ogrid[: site.shape[0], : site.shape[1]])
    aside, above = (2 * x - x0 - x1) / (x1 - x0), (2 * y - y0 - y1) / (y1 - y0)
    middle: _Where = (aside**2 + above**2 <= 1) & site.inside()
    return middle


def _from_rough(rough: Array) -> Labels:
    """Return a rough mask's depth as certain, and what is far from it as background."""
    painted = rough > 0.5
    labels = np.where(painted, LIKELY_FORE, np.where(_around(rough), LIKELY_BACK, BACK)).astype(np.uint8)
    labels[depth_of(painted, each=True) > _DEEP] = FORE
    return labels


def _around(rough: Array) -> _Where:
    """Return where the subject of a rough mask may be, (H, W)."""
    import cv2

    painted = rough > 0.5
    away = cv2.distanceTransform((~painted).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    near: _Where = away <= _ROOM * math.sqrt(np.count_nonzero(painted))
    return near


def depth_of(shape: _Where, each: bool = False) -> Array:
    """Return how deep pixels lie in a shape, in parts of its greatest depth, or each of its islands', (H, W)."""
    import cv2
    from scipy.ndimage import maximum

    if shape.all():  # nothing is nearer than anything else; else the picture's border is no edge of a shape
        return np.ones(shape.shape, np.float32)
    depth = cv2.distanceTransform(shape.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    if not each:
        return np.asarray(depth / max(float(depth.max()), 1.0), np.float32)
    count, islands = cv2.connectedComponents(shape.astype(np.uint8))
    most = np.maximum(maximum(depth, islands, np.arange(count)), 1)
    return np.asarray(depth / most[islands], np.float32)


def _rather(image: Labels, one: _Where, other: _Where) -> _Where:
    """Return what has colours that are more frequent in one region than in another, (H, W)."""
    import cv2
    from scipy.ndimage import gaussian_filter

    lab = (cv2.cvtColor(image, cv2.COLOR_RGB2LAB) >> (8 - _BINS)).astype(np.int32)
    colours = (lab[..., 0] << 2 * _BINS) | (lab[..., 1] << _BINS) | lab[..., 2]
    one_has, other_has = (
        gaussian_filter(
            np.bincount(colours[region], minlength=8**_BINS).reshape((2**_BINS,) * 3) / np.count_nonzero(region), 1.0
        )
        for region in (one, other)
    )
    more: _Where = (one_has > other_has).ravel()[colours]
    return more


def _flooded(image: Labels, marked: NDArray[np.int32]) -> _Where:
    """Return what is flooded from marks on the subject before it is from those on what is none, (H, W).

    Where there are no such marks the picture's border stands for them.
    """
    import cv2

    sources: NDArray[np.int32] = np.zeros(marked.shape, np.int32)
    sources[marked == BACK] = 2
    if not sources.any():
        sources[:_FRAME] = sources[-_FRAME:] = 2
        sources[:, :_FRAME] = sources[:, -_FRAME:] = 2
    sources[marked == FORE] = 1
    if min(marked.shape) >= 3:  # it does not look at a picture's outermost pixels
        cv2.watershed(image, sources)
    return np.equal(sources, 1)
