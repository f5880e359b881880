"""Wide parts that a model half saw: whether they are the subject's is told by their colours.

A network that looks at a small picture is sure of a head and grey over the jersey below it, or over the second of two
flowers. Such a region is hardly ever background (see :mod:`gossamer.matting.auto.evidence`), but nothing in it is near
a contour that could be solved. So it is looked at as a whole, in coarse cells. It becomes the subject's, and its border
a contour like any other, where

- the model half saw it: what it only suspects, as the ground below a building, stays as it is;
- it touches what the model is sure of;
- its colours are on average more common in the sure subject than in the sure background;
- GrabCut (Rother, Kolmogorov and Blake, SIGGRAPH 2004), begun with the region as probable subject, leaves nearly all of
  it there: what has the background's colours is taken out of it;
- mask and picture are smooth inside: strands, lace and meshes that the network saw too small are grey rightly;
- it is not translucent (see :mod:`gossamer.matting.auto.translucent`), nor nearly all that there is.

In frames of clips nothing of this is done: a region that is near one of these bounds would come and go.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.matting.auto.mixtures import Mixtures
from gossamer.matting.auto.translucent import translucency
from gossamer.matting.from_mask.faith import ramp
from gossamer.resampling import bilinear, shrink

__all__ = ["resolved", "wide_doubt"]

CELL = 5.0  # units: the side of a cell
FEW = 8  # cells a side: smaller pictures have no wide parts
DOUBTED = 0.04, 0.9  # mask values between
GROWN = 5  # cells; what is this near to such a region may belong to it, however little the mask has there
BESIDE = 2  # cells; what surrounds a region is this near
WIDE = 2  # cells; where a disc of this radius fits in
LEAST = 0.005  # of the picture
HALF = 0.25, 0.35  # mean of the mask in a region: less is no word of the model's for it
NOTHING, SOLID, SURE = 0.02, 0.9, 0.96  # mask values: below is background, above is subject, and gives its colours
THERE = 0.1  # mask value from which on there is anything
MUCH = 0.15, 0.25  # share of what there is that is solid
TOUCHING = 0.05, 0.15  # share of what surrounds a region that is solid
LEFT = 0.85, 0.9  # share of its inside that GrabCut leaves in the subject
ALIKE = 0.1, 0.3  # decimal logarithm of how much more common its colours are in the subject
FINE = 0.8  # sigma in cells: what is finer in the mask
ROUGH = 0.05, 0.09  # root mean square of that in a region
TEXTURE = 0.005, 0.01  # variance of a region's colours within cells
CLEAR = 0.25, 0.5  # share of it that is translucent
ROUNDS = 3  # of GrabCut
BINS = 24  # of colours, a side
HEARD = 100  # cells of sure background: with fewer of them its colours are not known
RARE = 0.05  # density of colours, 1 being even, that is as good as none
RESOLVED = 0.95  # what the mask becomes: solid, but not beyond the picture's own word


def wide_doubt(image: Array, mask: Array, unit: float) -> Array | None:
    """Return how far what a mask doubts is the subject's, in coarse cells: (h, w) float32 in [0, 1]; None for nowhere.

    Parameters
    ----------
    image : (H, W, 3) float32 ndarray
        RGB in [0, 1].
    mask : (H, W) float32 ndarray
        In [0, 1].
    unit : float
        Pixels in a unit of length.
    """
    import cv2

    height, width = (round(side / (CELL * unit)) for side in mask.shape)
    if min(height, width) < FEW:
        return None
    seen = shrink(mask, (width, height))
    regions = _wide_regions(seen)
    behind = cv2.erode((seen < NOTHING).view(np.uint8), np.ones((3, 3), np.uint8)) > 0
    if not regions or _share(seen > SOLID, seen > THERE) <= MUCH[0] or np.count_nonzero(behind) < HEARD:
        return None
    colours, texture = _cells(shrink(image, (2 * width, 2 * height)))
    kept = _cut(colours, seen, np.logical_or.reduce(regions))
    cells = _Cells(seen, texture, _likeness(colours, seen > SURE, behind), kept)
    weights = [_weight(region, cells) for region in regions]
    if not any(weights):
        return None
    clear = shrink(translucency(mask, Mixtures(image, unit), unit), (width, height))
    result = np.zeros_like(seen)
    for region, weight in zip(regions, weights, strict=True):
        if weight:
            found = _joined(kept & (seen > NOTHING) & (seen < DOUBTED[1]) & _grown(region, GROWN), region)
            opaque = 1 - _ramp(float(clear[_inner(region)].mean()), CLEAR)
            result[found] = np.maximum(result[found], np.float32(weight * opaque))
    return result if result.any() else None


def resolved(mask: Array, belonging: Array) -> Array:
    """Return a mask in which what :func:`wide_doubt` found belongs to the subject.

    Parameters
    ----------
    mask : (H, W) float32 ndarray
        In [0, 1], at any size.
    belonging : (h, w) float32 ndarray
        What was found.

    Returns
    -------
    (H, W) float32 ndarray
        Nowhere less than the mask.
    """
    step = bilinear(belonging, *mask.shape)
    step *= np.maximum(np.float32(RESOLVED) - mask, 0)
    step += mask
    return step


class _Cells(NamedTuple):
    """What is known of each cell, (h, w): its mask, variance, whose its colour is, and what GrabCut leaves."""

    seen: Array
    texture: Array
    likeness: Array
    kept: NDArray[np.bool_]


def _wide_regions(seen: Array) -> list[NDArray[np.bool_]]:
    """Return the places that a mask doubts over a wide area, each (h, w)."""
    import cv2

    doubted = ((seen > DOUBTED[0]) & (seen < DOUBTED[1])).view(np.uint8)
    wide = cv2.morphologyEx(doubted, cv2.MORPH_OPEN, _disc(WIDE))
    _, labels, boxes, _ = cv2.connectedComponentsWithStats(wide)
    return [labels == label for label in range(1, len(boxes)) if boxes[label, cv2.CC_STAT_AREA] >= LEAST * seen.size]


def _weight(region: NDArray[np.bool_], cells: _Cells) -> float:
    """Return how far a region is the subject's, in [0, 1], if it is not translucent."""
    import cv2

    seen, inner = cells.seen, _inner(region)
    if not (inner & cells.kept).any():
        return 0.0
    fine = (seen - cv2.GaussianBlur(seen, (0, 0), FINE)) ** 2
    return (
        _ramp(float(seen[region].mean()), HALF)
        * _ramp(_share(seen > SOLID, seen > THERE), MUCH)
        * _ramp(_share(seen > SOLID, _grown(region, BESIDE) & ~region), TOUCHING)
        * _ramp(_share(cells.kept, inner), LEFT)
        * _ramp(float(cells.likeness[inner & cells.kept].mean()), ALIKE)
        * (1 - _ramp(float(np.sqrt(fine[inner].mean())), ROUGH))
        * (1 - _ramp(float(cells.texture[inner].mean()), TEXTURE))
    )


def _cells(halves: Array) -> tuple[NDArray[np.uint8], Array]:
    """Return the colours of cells as bytes, and their variance in each, given the colours of their quarters."""
    size = halves.shape[1] // 2, halves.shape[0] // 2
    mean = shrink(halves, size)
    variance = np.maximum(shrink(halves * halves, size) - mean * mean, 0).sum(axis=2)
    return np.round(mean * 255).astype(np.uint8), variance


def _likeness(colours: NDArray[np.uint8], subject: NDArray[np.bool_], behind: NDArray[np.bool_]) -> Array:
    """Return the decimal logarithm of how much more common each cell's colour is in the subject than behind it."""
    import cv2

    lab = cv2.cvtColor(colours, cv2.COLOR_RGB2LAB).astype(np.int32) * BINS // 256
    code = (lab[..., 0] * BINS + lab[..., 1]) * BINS + lab[..., 2]
    inside, outside = (_density(code, place)[code] + np.float32(RARE) for place in (subject, behind))
    result: Array = np.log10(inside / outside)
    return result


def _density(code: NDArray[np.int32], place: NDArray[np.bool_]) -> Array:
    """Return how common the colours are in a place, spread to those beside them; even ones have 1."""
    counts: Array = np.bincount(code[place], minlength=BINS**3).astype(np.float32).reshape(3 * (BINS,))
    for axis in 2 * (0, 1, 2):
        edges = np.pad(counts, [(1, 1) if each == axis else (0, 0) for each in range(3)], mode="edge")
        before, after = (np.take(edges, range(first, first + BINS), axis) for first in (0, 2))
        counts = np.float32(0.5) * counts + np.float32(0.25) * (before + after)
    density: Array = counts.reshape(-1) * np.float32(BINS**3 / max(float(place.sum()), 1.0))
    return density


def _cut(colours: NDArray[np.uint8], seen: Array, doubted: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return what GrabCut leaves in the subject, if what is doubted begins there."""
    import cv2

    labels = np.full(seen.shape, cv2.GC_PR_BGD, np.uint8)
    labels[(seen < NOTHING) & ~_grown(doubted, GROWN)] = cv2.GC_BGD
    labels[(seen > SOLID) & ~doubted] = cv2.GC_FGD
    labels[doubted | ((seen > 0.5) & (seen <= SOLID))] = cv2.GC_PR_FGD
    cv2.setRNGSeed(0)  # its clusters begin at random
    cv2.grabCut(colours, labels, None, np.zeros((1, 65)), np.zeros((1, 65)), ROUNDS, cv2.GC_INIT_WITH_MASK)
    kept: NDArray[np.bool_] = (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)
    return kept


def _grown(place: NDArray[np.bool_], cells: int) -> NDArray[np.bool_]:
    import cv2

    grown: NDArray[np.bool_] = cv2.dilate(place.view(np.uint8), _disc(cells)) > 0
    return grown


def _inner(region: NDArray[np.bool_]) -> NDArray[np.bool_]:
    import cv2

    inner: NDArray[np.bool_] = cv2.erode(region.view(np.uint8), _disc(1)) > 0
    return inner


def _joined(place: NDArray[np.bool_], region: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return those pieces of a place that reach into a region."""
    import cv2

    _, pieces = cv2.connectedComponents(place.view(np.uint8))
    joined: NDArray[np.bool_] = place & np.isin(pieces, np.unique(pieces[place & region]))
    return joined


def _share(what: NDArray[np.bool_], of: NDArray[np.bool_]) -> float:
    return float((what & of).sum()) / max(float(of.sum()), 1.0)


def _ramp(value: float, bounds: tuple[float, float]) -> float:
    return float(ramp(np.array(value, np.float32), *bounds))


def _disc(radius: int) -> NDArray[np.uint8]:
    import cv2

    side = 2 * radius + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)
