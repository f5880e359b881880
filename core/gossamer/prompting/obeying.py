"""Marks on what is no subject, and on what is one, are obeyed with the things that they lie on.

A point is a few pixels wide. Where everything around it was cut out, or nothing, it says that a whole thing is on the
wrong side: that thing is flooded from the point, and what is on its right side from there, until both meet at an edge
of the picture.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.prompting.labels import BACK, FORE, Labels, along, depth_of, edge_strength

__all__ = ["obeyed"]

_Where = NDArray[np.bool_]

_RING = 0.012  # of the picture's diagonal: what lies so near around a mark tells on which side its thing is
_ALONE = 0.6  # of that ring that must be on the other side
_DEEP = 0.5  # of the greatest depth: what is deeper is certainly of the thing that it lies in
_EDGE = 1.7  # times the median within a shape the edge must be, at its lower quartile, where a thing was cut from it
_MANY = 8  # marks that are looked at one by one; what are more than these, all at once
_FRAME = 3  # width of the picture's border that stands for background where nothing else does, in pixels


def obeyed(image: Labels, fore: _Where, marked: NDArray[np.int32]) -> _Where:
    """Return a foreground whose marks are no islands and no holes, but whole things.

    Parameters
    ----------
    image : (H, W, 3) uint8
    fore : (H, W) bool
        What was found; the marks' own pixels are right in it or become so.
    marked : (H, W) int32
        What is certain: `FORE`, `BACK` or -1.

    Returns
    -------
    (H, W) bool
        `fore` with the marked pixels, and without, or with, the things whose marks stood alone in it.
    """
    result = np.where(marked == FORE, True, fore & (marked != BACK))
    if min(fore.shape) < 3:  # watershed does not look at a picture's outermost pixels
        return result
    holes = _alone(marked == BACK, ~result, marked)
    if holes.any():
        result = _without(image, result, holes, marked)
    islands = _alone(marked == FORE, result, marked)
    if islands.any():
        sources = np.where(result & ~islands, 3, 0).astype(np.int32)
        edge = np.ones(fore.shape, bool)
        edge[_FRAME:-_FRAME, _FRAME:-_FRAME] = False
        sources[(edge & ~result) | (marked == BACK)], sources[islands] = 1, 2
        result |= (_flooded(image, sources) == 2) | islands
    obeying: _Where = result | (marked == FORE)
    return obeying


def _alone(marks: _Where, side: _Where, marked: NDArray[np.int32]) -> _Where:
    """Return those marks around which hardly anything is on their side, (H, W)."""
    import cv2

    count, parts = cv2.connectedComponents(marks.astype(np.uint8))
    around = 2 * max(round(_RING * math.hypot(*marks.shape)), 2) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (around, around))
    alone = np.zeros(marks.shape, bool)
    for number in range(1, count):
        part = parts == number
        ring = (cv2.dilate(part.astype(np.uint8), disc) > 0) & (marked == -1)
        if np.count_nonzero(ring & ~side) > _ALONE * np.count_nonzero(ring):
            alone |= part
    return alone


def _without(image: Labels, fore: _Where, holes: _Where, marked: NDArray[np.int32]) -> _Where:
    """Return a foreground without what the marks in it reject, (H, W).

    Whole things go first: what is left around the other marks tells how small is what they lie on.
    """
    strength, small = edge_strength(image), False
    while holes.any():
        for hole in _deepest_first(fore | holes, holes)[:: -1 if small else 1]:
            kept, is_whole = _kept(image, strength, fore | hole, hole, marked == FORE, small)
            if is_whole or small:
                break
        else:
            small = True
            continue
        fore = kept
        holes = holes & ~hole
        holes = holes & _alone(holes, ~fore, marked)
    return fore


def _deepest_first(shape: _Where, marks: _Where) -> list[_Where]:
    """Return each of the marks in a shape, (H, W), the deepest first; where there are too many, all as one."""
    import cv2

    depth = _away(~shape)
    count, parts = cv2.connectedComponents(marks.astype(np.uint8))
    if count - 1 > _MANY:
        return [marks]
    return sorted((parts == number for number in range(1, count)), key=lambda mark: -float(depth[mark].max()))


def _kept(
    image: Labels, strength: Array, shape: _Where, holes: _Where, wanted: _Where, small: bool
) -> tuple[_Where, bool]:
    """Return a foreground without the thing that a mark in it rejects, (H, W), and whether that is a whole one.

    Parameters
    ----------
    image : (H, W, 3) uint8
    strength : (H, W) float32
        Of its edges.
    shape, holes, wanted : (H, W) bool
        The foreground, the mark, and marks on what stays.
    small : bool
        Whether it is known for none.
    """
    import cv2

    depth = _away(~shape)
    near = _ball(holes, wanted, depth)
    if small:
        own = shape & ((_away(near) > _away(~near).max()) | wanted)
        return _divided(image, shape, own, near, holes, wanted), False
    deep = (depth_of(shape, each=True) > _DEEP) & ~near
    # What lies as deep elsewhere, in islands that the rejected thing has no part of.
    _, islands = cv2.connectedComponents((deep | near).astype(np.uint8))
    own = deep & ~np.isin(islands, np.unique(islands[near]))
    if not own.any():
        away = _away(holes)
        own = deep & (away > float(depth[holes].max()))
        if wanted.any():
            own &= _away(wanted) < away
    own |= _ball(wanted & shape, holes, depth)
    if not own.any():
        return shape & ~holes, True
    kept = _divided(image, shape, own, near, holes, wanted)
    line = along(strength, kept, shape & ~kept)
    # A line through plain parts: what the mark lies on is small, and was taken in with something larger.
    return kept, not line.size or float(np.quantile(line, 0.25)) >= _EDGE * float(np.median(strength[shape]))


def _divided(image: Labels, shape: _Where, own: _Where, near: _Where, holes: _Where, wanted: _Where) -> _Where:
    """Return what of a shape is flooded from `own` before it is from `near`, (H, W)."""
    import cv2

    sources = np.where(shape, 0, 3).astype(np.int32)
    sources[own], sources[near] = 1, 2
    # Beyond the shape is what nobody asks about: its colours are made such that nothing is flooded from there.
    inside = shape.astype(np.float32)[..., None]
    around = cv2.blur(image * inside, (5, 5)) / np.maximum(cv2.blur(inside, (5, 5)), 0.01)[..., None]
    walled = np.where(shape[..., None], image, np.where(around > 127, 0, 255)).astype(np.uint8)
    found = _flooded(walled, sources)
    # Where floods met, the nearer one has it.
    kept: _Where = shape & ~holes & (_away(found == 1) < _away(found == 2))
    if not (wanted & kept).any():
        return kept
    _, before = cv2.connectedComponents(shape.astype(np.uint8))
    _, after = cv2.connectedComponents(kept.astype(np.uint8))
    # Of what was one thing with a wanted mark in it, shallow parts that were cut from that are others.
    cut = np.isin(before, np.intersect1d(before[wanted & kept], before[holes]))
    return kept & (~cut | np.isin(after, np.unique(after[(wanted | own) & kept])))


def _ball(marks: _Where, others: _Where, depth: NDArray[np.float32]) -> _Where:
    """Return what is so near to marks in a shape that it is theirs: half as far as its edge, and as other marks."""
    import cv2

    ball = marks.copy()
    count, parts = cv2.connectedComponents(marks.astype(np.uint8))
    away = _away(others)
    for number in range(1, count):
        part = parts == number
        reach = min(float(depth[part].max()), float(away[part].min())) / 2
        ball |= _away(part) <= reach
    return ball & ~others


def _away(where: _Where) -> NDArray[np.float32]:
    """Return how far everything is from what is there, in pixels, (H, W)."""
    import cv2

    return np.asarray(cv2.distanceTransform((~where).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5), np.float32)


def _flooded(image: Labels, sources: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return from which source everything is flooded first, (H, W); -1 where several meet."""
    import cv2

    # Blurred a little: noise is no edge.
    cv2.watershed(cv2.GaussianBlur(image, (0, 0), 1.5), sources)
    return sources
