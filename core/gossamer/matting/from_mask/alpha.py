"""From a rough mask to a matte: the mask is a prior that the picture's colours correct.

A trimap throws away what the mask says inside its band and believes it blindly outside. Here every pixel near the edge
keeps an opinion and a weight. Its side comes from its distance to the edge together with a colour vote
(:mod:`gossamer.matting.from_mask.colour_vote`), its alpha from colour sampling
(:mod:`gossamer.matting.from_mask.colour_sampling`), and
the closed-form matting Laplacian (Levin 2008) spreads both along the picture's structures. How far the mask may be
wrong, and whether colours can be believed, is measured on the picture itself, place by place. A soft mask that is seen
to follow the picture comes from a model that knows the subject: where such a mask is sure, it outweighs the colours.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gossamer.arrays import Array, as_mask, as_rgb
from gossamer.matting.closed_form.alpha import solve_matting_laplacian
from gossamer.matting.closed_form.layout import Team
from gossamer.matting.from_mask.colour_sampling import sample_alpha
from gossamer.matting.from_mask.colour_vote import BAND, ColourVote, shrink, wide_blur
from gossamer.matting.guided import guided_alpha
from gossamer.matting.signed_distance import has_edge, unit_length, weighted_distance
from gossamer.progress import Progress, ProgressCallback
from gossamer.resampling import bilinear

__all__ = ["matte_from_mask"]

WORK_AREA = 1_000_000  # larger pictures are worked on at this size first
TRUSTING, DOUBTING = 0.03, 1.0  # weight of the prior where colours can be believed and where they cannot
SLIGHT = 3.0  # a mask wrong by this many units gets the weight above; the more exact it is, the more
SAMPLING = 0.15  # weight of a fully confident sample
SETTLED = 0.5  # how much less samples count where the side is certain
REACH = 20.0  # units; samples come from this far beyond the band
COMPANY = 0.3  # weight of what pixels of the same colour came to in the first estimate
ECHO = 0.01  # weight of the first estimate itself
ENDS = 0.03  # the solver hardly reaches 0 and 1; this much at either end is stretched away
EPSILON = 1e-7, 1e-6  # of the Laplacian, at half size and at full size
TOLERANCE = 3e-3
DETAIL = 0.05  # weight of the enlarged matte and of samples in a picture of twice the working size's sides
BESIDE = 10.0  # units around what is enlarged; its samples come from there
FAITH = 1.0  # weight of a soft mask's values where it follows the picture and is sure of itself
SURE = 16  # power of |2 mask - 1|: salient models give solid parts .999, holes that they overlooked .6 to .98
GRID = 24  # pixels: a part of a picture that begins at a multiple of it is worked on like the whole
WINDOW = 3.0  # radius in units of the guided filter that tells whether a mask follows the picture
NEARBY = 25.0  # sigma in units of the neighbourhood in which that is measured
FOLLOWS = 0.25, 0.55  # share of the mask's detail that the picture explains: of a blur none, of models' .4 to .9
LEFT = 0.1, 0.05  # unexplained detail a unit of edge: of rough hard masks .11 to .4, of models' .06 at most
FINE = 0.005  # detail below this, as in a wide blur, has nothing to follow the picture with


def matte_from_mask(image: ArrayLike, mask: ArrayLike, *, progress: Progress | ProgressCallback | None = None) -> Array:
    """Estimate alpha from a picture and a rough mask of the subject.

    Parameters
    ----------
    image : (H, W, 3) array
        RGB: uint8, uint16 or floats in [0, 1].
    mask : (H, W) array
        The subject's rough mask, hard or soft: bool, uint8, uint16 or floats in [0, 1]; 1 = foreground. Uncertain
        values widen the zone that is decided anew; sure ones are kept where a soft mask follows the picture's edges.
    progress : callable, optional
        Called as ``progress(fraction, message)``; an exception that it raises stops the work and passes through.

    Returns
    -------
    (H, W) float32 ndarray
        Alpha in [0, 1]. Where nothing can be told, as with a mask without an edge, the mask itself.

    Raises
    ------
    InputError
        The mask's size is not the picture's, or there are NaN or values outside [0, 1].

    References
    ----------
    .. [1] Levin, Lischinski, Weiss: "A closed-form solution to natural image matting", TPAMI 30 (2), 2008.
    .. [2] Wang, Cohen: "Optimized color sampling for robust matting", CVPR 2007.
    """
    picture = as_rgb(image)
    rough = as_mask(mask, picture.shape)
    report = Progress.of(progress)
    report(0.0, "Refining the mask")
    if min(rough.shape) < 3 or not has_edge(rough):
        report(1.0)
        return rough.copy()
    height, width = rough.shape
    factor = math.sqrt(WORK_AREA / (height * width))
    if factor >= 1:
        alpha = _matte(picture, rough, report)
    else:
        size = (max(round(width * factor), 3), max(round(height * factor), 3))
        small, hint = (shrink(plane, size) for plane in (picture, rough))
        alpha = _enlarge(_matte(small, hint, report.part(0.0, 0.5)), picture, report.part(0.5, 1.0))
    report(1.0)
    return alpha


def _matte(image: Array, mask: Array, report: Progress) -> Array:
    """Solve at the size given."""
    team = Team(report)
    try:
        return _solve(image, mask, team, report)
    finally:
        team.close()


def _solve(image: Array, mask: Array, team: Team, report: Progress) -> Array:
    """Estimate twice: at half size, where hair is a surface, then at the size given, knowing better."""
    if not has_edge(mask):  # what it had was lost in shrinking it
        return mask.copy()
    scale = unit_length(mask.shape)
    report(0.02)
    distance = weighted_distance(mask, (BAND + REACH) * scale)
    faith = _faith(image, mask, scale)
    report(0.06)
    colours = ColourVote(image, distance, scale, team)
    report(0.2)
    half = colours.step
    size = colours.gate.shape[::-1]
    prior = None if faith is None else (shrink(mask, size), shrink(faith, size))
    first = _estimate(
        colours.image, colours.distance * np.float32(scale / half), colours, None, prior, scale / half, team,
        report.part(0.2, 0.4),
    )  # fmt: skip
    prior = None if faith is None else (mask, faith)
    alpha = _estimate(image, distance, colours, first, prior, scale, team, report.part(0.4, 1.0))
    result: Array = np.clip((alpha - ENDS) / (1 - 2 * ENDS), 0, 1)
    return result


def _estimate(
    image: Array,
    distance: Array,
    colours: ColourVote,
    first: Array | None,
    prior: tuple[Array, Array] | None,
    scale: float,
    team: Team,
    report: Progress,
) -> Array:
    """Gather what is known of every pixel near the edge and solve for alpha, given an earlier estimate or none.

    `prior` is a mask with the faith that its values deserve, or none.
    """
    shape = distance.shape[0], distance.shape[1]
    inside, free = distance > 0, np.abs(distance) < BAND * scale
    vote = colours.vote(first)
    gate, vote, error = (bilinear(plane, *shape) for plane in (colours.gate, vote, colours.mask_error(vote)))
    report(0.05)
    side = _certainty(distance / (error * np.float32(scale)) + gate * _logit(vote))
    target = (side > 0).astype(np.float32)
    weight = (TRUSTING * np.sqrt(SLIGHT / error)) ** gate * DOUBTING ** (1 - gate) * side**2

    report(0.1)
    alpha = None if first is None else bilinear(first, *shape)
    certain, limit = (side, 0.8) if alpha is None else (2 * alpha - 1, 0.9)
    near = np.abs(distance) < (BAND + REACH) * scale
    sampled = sample_alpha(image, free, near & (certain > limit), near & (certain < -limit), scale, team)
    report(0.4)
    if sampled is not None:
        extra = np.float32(SAMPLING) * sampled.confidence * gate * (1 - np.float32(SETTLED) * side**2)
        target, weight = _join(target, weight, sampled.alpha, extra)
    if alpha is not None:
        report(0.42)
        mean, agreement = (bilinear(plane, *shape) for plane in colours.look_alikes(alpha))
        target, weight = _join(target, weight, mean, np.float32(COMPANY) * agreement * gate)
        report(0.44)
        target, weight = _join(target, weight, alpha, np.full_like(weight, ECHO))
    if prior is not None:
        mask, faith = prior
        target, weight = _join(target, weight, mask, np.float32(FAITH) * faith * np.abs(2 * mask - 1) ** SURE)
    return solve_matting_laplacian(
        image,
        ~free,
        inside.astype(np.float32),
        weight=weight,
        target=np.clip(target, 0, 1),
        epsilon=EPSILON[alpha is not None],
        tolerance=TOLERANCE,
        progress=report.part(0.45, 1.0),
    )


def _faith(image: Array, mask: Array, scale: float) -> Array | None:
    """Return how far a soft mask's values deserve to be believed, 0 to 1, or None: a hard one's never.

    A guided filter keeps of the mask what is a function of the colours nearby. A model that saw the picture draws its
    ramps along the picture's edges, so the filter changes them little, much less than a blur of the same reach; an edge
    that was drawn or enlarged without the picture falls apart.
    """
    import cv2

    if not np.any((mask > 0.02) & (mask < 0.98)):
        return None
    radius = max(round(WINDOW * scale), 1)
    window = (2 * radius + 1, 2 * radius + 1)

    def around(plane: Array) -> Array:
        return wide_blur(plane, NEARBY * scale)

    edge = cv2.morphologyEx((mask > 0.5).astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    length = around(np.asarray(edge, np.float32)) / np.float32(2) + np.float32(1e-3)
    length *= np.float32(scale)
    blurred = np.asarray(cv2.blur(cv2.blur(mask, window), window), np.float32)
    left = around((guided_alpha(image, mask, radius=radius) - mask) ** 2)
    detail = around((blurred - mask) ** 2)
    left /= length
    detail /= length
    follows: Array = 1 - (left + np.float32(FINE)) / (detail + np.float32(FINE))
    result: Array = _ramp(follows, *FOLLOWS) * _ramp(left, *LEFT)
    return result


def _ramp(values: Array, none: float, full: float) -> Array:
    """Return 0 at `none`, 1 at `full`, and linearly between."""
    result: Array = np.clip((values - np.float32(none)) / np.float32(full - none), 0, 1)
    return result


def _join(target: Array, weight: Array, other: Array, extra: Array) -> tuple[Array, Array]:
    """Return the one quadratic term that stands for two."""
    both = weight + extra
    return (weight * target + extra * other) / np.maximum(both, np.float32(1e-9)), both


def _enlarge(small: Array, image: Array, report: Progress) -> Array:
    """Bring a matte to the size of `image` and let its details follow the picture.

    Only what is neither clear nor solid, and the edge, is solved again; the colours beside it tell how much of each
    pixel is subject, which the enlarged matte knows on average only.
    """
    import cv2

    height, width = image.shape[:2]
    factor = math.sqrt(height * width / small.size)
    alpha: Array = np.clip(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), 0, 1)
    report(0.02)
    unknown = ((small > 0.01) & (small < 0.99)).astype(np.uint8)
    edge = cv2.morphologyEx((small > 0.5).astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    grown = cv2.dilate(unknown | edge, np.ones((3, 3), np.uint8))
    side = 2 * round(BESIDE * unit_length(small.shape)) + 1
    beside = cv2.dilate(grown, np.ones((side, side), np.uint8))
    free, near = (cv2.resize(zone, (width, height), interpolation=cv2.INTER_NEAREST) > 0 for zone in (grown, beside))
    report(0.05)
    if not free.any():
        return alpha
    whole, scale = alpha, unit_length(image.shape)
    box = _box(near)
    image, alpha, free, near = np.ascontiguousarray(image[box]), whole[box], free[box], near[box]
    team = Team(report)
    try:
        sampled = sample_alpha(image, free, near & (alpha > 0.95), near & (alpha < 0.05), scale, team)
    finally:
        team.close()
    report(0.4)
    target, weight = alpha, free * np.float32(DETAIL / factor**2)
    if sampled is not None:
        target, weight = _join(target, weight, sampled.alpha, np.float32(DETAIL) * sampled.confidence)
    whole[box] = solve_matting_laplacian(
        image,
        ~free,
        alpha,
        weight=weight,
        target=np.clip(target, 0, 1),
        epsilon=EPSILON[1],
        tolerance=TOLERANCE,
        progress=report.part(0.4, 1.0),
    )
    return whole


def _box(zone: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Return rows and columns that hold all of a zone, and from a multiple of what samples and solver count in."""
    rows, columns = np.flatnonzero(zone.any(axis=1)), np.flatnonzero(zone.any(axis=0))
    top, left = (int(each[0]) // GRID * GRID for each in (rows, columns))
    return slice(top, int(rows[-1]) + 1), slice(left, int(columns[-1]) + 1)


def _certainty(logit: Array) -> Array:
    """Return 2 sigmoid(x) - 1."""
    result: Array = np.tanh(logit / 2)
    return result


def _logit(p: Array) -> Array:
    p = np.clip(p, 0.01, 0.99)
    result: Array = np.log(p / (1 - p))
    return result
