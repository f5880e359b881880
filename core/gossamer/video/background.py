"""What goes along with the background: evidence against what a model keeps without being sure.

A model of pictures keeps things behind the subject, as somebody in the street or what shows between its leaves. One
frame does not tell whose they are; the motion of several does, where the subject moves otherwise than what is behind
it. Two motions are found from frame to frame: that of what lies far from the matte, as a homography, and that of what
the model is sure of, as a similarity. What moves as the first and not as the second speaks against being kept; it is
gathered along the motion over the frames, and tips what is in doubt.

Who walks has a foot on the ground, and that goes along with the background, too. But a body bends: what joins the
foot to the rest moves like neither of both, and where much of the subject does, nothing is told. A thing behind a
subject that moves as one, of which a model may well be sure, is not joined to it. A part of which the model is sure
stays in any case, and so does what lies next to what moves as the subject does: hair through which the background is
seen.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array

__all__ = ["FINENESS", "going_along", "squares", "tipped", "weighed"]

FINENESS = 2  # evidence is gathered in pictures so much smaller than those of the flow
_OUTSIDE, _AWAY = 0.1, 4  # of a matte, and px of the evidence: what lies so far from what is kept is background
_INSIDE, _WITHIN = 0.9, 2  # likewise: so deep within what is surely kept lies the subject
_SAMPLED = 3  # of the evidence's pixels in a row, every such one is asked for its motion
_LEAST = 60  # of them: fewer do not tell a motion
_ALIKE = 0.5  # px: what differs by less moves alike
_SHARE = 0.5  # of those asked: so many have to move alike
_AS_ONE = 0.87  # of the subject: so much has to move as most of it does, or as the background
_JOINED = (0.4, 0.25)  # px, and of what both differ by: what is farther from either lies between
_APART = (0.7, 1.5)  # px a frame: motions that differ by less are one, and by more are two
_TEXTURE = (0.008, 0.02)  # of the range of brightness: what varies less does not tell how it moves
_ROUND = 3.0  # px of the evidence: texture is looked for so far around
_LOOP = 0.7  # px: how far forth and back may lead away from the start
_OFF = 0.6  # px: how far a motion may be off
_NEAR = 1.5  # px of the evidence: what is seen holds for so much around
_FEW = 0.1  # weight of one frame in which all is clear: with less nothing is decided
_CLEAR = (0.3, 0.7)  # share of what was seen that speaks against: doubts begin to tip, and are tipped
_TIP = 7.0  # by how much at most, in the logarithm of the odds
_DOUBT = (0.015, 0.03)  # of a part's matte, what is missing to 1: less is none, and with more it may be tipped
_PART = 10.0  # px of the evidence: a part is what lies so near
_HANGS = 0.3  # or what hangs together, where so much is kept and goes along
_AROUND, _LENT = 6.0, 0.3  # px of the evidence, and weight: what is kept and varies tells so far around itself
_COARSE = 4  # its means are taken in pictures so much smaller
_BESIDE = (2.0, 4.0)  # px of the evidence: what lies nearer to what is surely kept belongs to it


def going_along(flow: Array, loop: Array, grey: NDArray[np.uint8], matte: Array) -> Array | None:
    """Return what moves as the background does and not as the subject, between two frames.

    Parameters
    ----------
    flow : (h, w, 2) float32
        Where the pixels of a frame lie in the other one, from where they are.
    loop : (h, w) float32
        Square of the distance between a pixel and where forth and back lead, px.
    grey : (h, w) uint8
        The frame.
    matte : (h, w) float32
        Its matte.

    Returns
    -------
    (h', w', 2) float32 or None
        The weight of what speaks against, and that of all that could be told, in a picture smaller by ``FINENESS``.
        None where there are no two motions, or more than those.
    """
    import cv2

    size = tuple(max(1, side // FINENESS) for side in matte.shape[::-1])
    flow, loop, level, kept = (
        np.asarray(cv2.resize(one, size, interpolation=cv2.INTER_AREA), np.float32)
        for one in (flow, loop, grey.astype(np.float32) / np.float32(255), matte)
    )
    mean = cv2.GaussianBlur(level, (0, 0), _ROUND / FINENESS)
    varies = np.sqrt(np.maximum(cv2.GaussianBlur(level * level, (0, 0), _ROUND / FINENESS) - mean * mean, 0))
    told = _risen(varies, _TEXTURE) * np.exp(-loop / np.float32(_LOOP**2))
    is_clear = told > 0.5
    outside = cv2.dilate(kept, _disc(_AWAY)) < _OUTSIDE
    inside = cv2.erode(kept, _disc(_WITHIN)) > _INSIDE
    places = _places(matte.shape, size)
    behind = _homography(places, flow, outside & is_clear)
    front = _similarity(places, flow, inside & is_clear)
    if behind is None or front is None or not _is_one(flow, behind, front, inside & is_clear):
        return None
    weight = told * _risen(np.sqrt(squares(behind - front)), _APART)
    goes = np.exp(-squares(flow - behind) / np.float32(_OFF**2))
    stays = np.exp(-squares(flow - front) / np.float32(_OFF**2))
    against = weight * goes * (1 - stays)
    return np.asarray(cv2.GaussianBlur(np.dstack([against, weight]), (0, 0), _NEAR), np.float32)


def weighed(matte: Array, gathered: Array) -> tuple[Array, Array]:
    """Return how far each pixel goes along with the background, and how far its part of the matte is doubted.

    Parameters
    ----------
    matte : (h, w) float32
        In [0, 1]: the mean over frames.
    gathered : (h', w', 2) float32
        Sums of what :func:`going_along` gives, moved along.

    Returns
    -------
    two of (h', w') float32
        In [0, 1]. What a model is sure of, and what lies next to that, goes along with nothing. Where nothing varies
        the motion of what is kept around tells.
    """
    import cv2

    kept = _kept(matte, gathered.shape)
    around = cv2.GaussianBlur(gathered * np.square(kept)[..., None], (0, 0), _AROUND)
    told = gathered + np.float32(_LENT) * around
    against = told[..., 0] / (told[..., 1] + np.float32(_FEW))
    sure = ((kept > _INSIDE) & (against < _CLEAR[0])).astype(np.uint8)
    sure = cv2.morphologyEx(sure, cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    away = cv2.distanceTransform(1 - sure, cv2.DIST_L2, 3)
    goes = _risen(against, _CLEAR)
    beside = goes * _risen(away, _BESIDE)
    doubt = np.maximum(_doubt(kept, kept * goes), _doubt_of_parts(kept, kept * beside))
    return beside, _risen(doubt, _DOUBT)


def tipped(matte: Array, tip: Array) -> Array:
    """Return what is left of a matte when its doubts are tipped.

    Parameters
    ----------
    matte : (h, w) float32
        In [0, 1]: the mean over frames.
    tip : (h', w') float32
        In [0, 1]: how far.

    Returns
    -------
    (h, w) float32
        In [0, 1], a factor.
    """
    import cv2

    kept = _kept(matte, tip.shape)
    odds = np.exp(-np.float32(_TIP) * tip)
    left = odds / (kept * odds + 1 - kept)  # of the odds kept : 1 - kept, in terms of the matte
    return np.asarray(cv2.resize(left, matte.shape[::-1], interpolation=cv2.INTER_LINEAR), np.float32)


def squares(vectors: Array) -> Array:
    """Return the square of the length of vectors, (h, w, 2): twice as fast as a sum along the last axis."""
    return np.asarray(np.square(vectors[..., 0]) + np.square(vectors[..., 1]), np.float32)


def _kept(matte: Array, shape: tuple[int, ...]) -> Array:
    import cv2

    return np.asarray(np.clip(cv2.resize(matte, shape[1::-1], interpolation=cv2.INTER_AREA), 0, 1), np.float32)


def _doubt(kept: Array, part: Array) -> Array:
    """Return what is missing to 1 in a matte, in the mean of what is near; `part` is how much of each pixel counts."""
    import cv2

    height, width = kept.shape
    size = (-(-width // _COARSE), -(-height // _COARSE))
    coarse = cv2.resize(np.dstack([part * _missing(kept), part]), size, interpolation=cv2.INTER_AREA)
    wide = cv2.GaussianBlur(coarse, (0, 0), _PART / _COARSE)
    doubt = wide[..., 0] / (wide[..., 1] + np.float32(1e-3))
    return np.asarray(cv2.resize(doubt, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def _doubt_of_parts(kept: Array, part: Array) -> Array:
    """Return likewise what is missing in the mean of all that hangs together: who doubts half of a car doubts it."""
    import cv2

    _, labels = cv2.connectedComponents((part > _HANGS).astype(np.uint8))
    places = labels.ravel()
    missing, whole = (np.bincount(places, one.ravel()) for one in (part * _missing(kept), part))
    mean = (missing / (whole + 1e-3)).astype(np.float32)
    mean[0] = 0  # what is no part
    return np.asarray(cv2.dilate(mean[labels], _disc(_WITHIN)), np.float32)


def _missing(kept: Array) -> Array:
    """Return what is missing to 1; a contour counts as what lies within it: it is soft however sure the matte is."""
    import cv2

    return np.asarray(1 - cv2.dilate(kept, _disc(_WITHIN)), np.float32)


def _homography(places: Array, flow: Array, chosen: NDArray[np.bool_]) -> Array | None:
    """Return the flow, (h, w, 2), that most of the chosen pixels follow, as of a plane; None where few do."""
    import cv2

    start, along = _sampled(places, flow, chosen)
    if len(start) < _LEAST:
        return None
    found, follows = cv2.findHomography(start, start + along, cv2.RANSAC, _ALIKE, maxIters=500, confidence=0.99)
    if found is None or follows.mean() < _SHARE:
        return None
    return np.asarray(cv2.perspectiveTransform(places, found) - places, np.float32)


def _similarity(places: Array, flow: Array, chosen: NDArray[np.bool_]) -> Array | None:
    """Return the flow, (h, w, 2), that most of the chosen pixels follow: moved, turned, nearer; None where few do."""
    import cv2

    start, along = _sampled(places, flow, chosen)
    if len(start) < _LEAST:
        return None
    found, follows = cv2.estimateAffinePartial2D(
        start, start + along, method=cv2.RANSAC, ransacReprojThreshold=_ALIKE, maxIters=500
    )
    if found is None or follows.mean() < _SHARE:
        return None
    return np.asarray(cv2.transform(places, found) - places, np.float32)


def _is_one(flow: Array, behind: Array, front: Array, subject: NDArray[np.bool_]) -> bool:
    """Return whether what counts as the subject moves as most of it does, but for what moves as the background."""
    apart, off = (np.sqrt(one[subject]) for one in (squares(front - behind), _nearest(flow, front, behind)))
    return bool((off < np.minimum(_JOINED[0], np.float32(_JOINED[1]) * apart)).mean() > _AS_ONE)


def _nearest(flow: Array, *motions: Array) -> Array:
    """Return the square of how far a flow is from that of some motions which is nearest."""
    return np.asarray(np.minimum.reduce([squares(flow - one) for one in motions]), np.float32)


def _sampled(places: Array, flow: Array, chosen: NDArray[np.bool_]) -> tuple[Array, Array]:
    every = np.s_[_SAMPLED // 2 :: _SAMPLED, _SAMPLED // 2 :: _SAMPLED]
    return places[every][chosen[every]], flow[every][chosen[every]]


def _places(shape: tuple[int, ...], size: tuple[int, ...]) -> Array:
    """Return x and y, in a picture of this shape, of the pixels of a smaller one."""
    across, down = (
        (np.arange(small, dtype=np.float32) + 0.5) * np.float32(whole / small) - 0.5
        for small, whole in zip(size, shape[::-1], strict=True)
    )
    return np.dstack(np.meshgrid(across, down)).astype(np.float32)


def _risen(plane: Array, between: tuple[float, float]) -> Array:
    """Return 0 below two bounds, 1 above them, and smoothly in between."""
    low, high = between
    share = np.clip((plane - np.float32(low)) / np.float32(high - low), 0, 1)
    return np.asarray(share * share * (3 - 2 * share), np.float32)


def _disc(radius: int) -> NDArray[np.uint8]:
    import cv2

    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1)), np.uint8)
