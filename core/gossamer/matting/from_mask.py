"""From a rough mask to a matte: the mask is a prior that the picture's colours correct.

A trimap throws away what the mask says inside its band and believes it blindly outside. Here every pixel near the edge
keeps an opinion and a weight. Its side comes from its distance to the edge together with a colour vote
(:mod:`gossamer.matting.colour_vote`), its alpha from colour sampling (:mod:`gossamer.matting.colour_sampling`), and
the closed-form matting Laplacian (Levin 2008) spreads both along the picture's structures. How far the mask may be
wrong, and whether colours can be believed, is measured on the picture itself, place by place.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gossamer.arrays import Array, as_mask, as_rgb, bilinear
from gossamer.matting.closed_form import solve_matting_laplacian
from gossamer.matting.closed_form_layout import Team
from gossamer.matting.colour_sampling import sample_alpha
from gossamer.matting.colour_vote import BAND, ColourVote
from gossamer.matting.signed_distance import signed_distance
from gossamer.progress import Progress, ProgressCallback

__all__ = ["matte_from_mask"]

UNIT_AREA = 480_000  # pixels of the picture in which the unit of length is one pixel
WORK_AREA = 700_000  # larger pictures are worked on at this size first
PASSES = 2
TRUSTING, DOUBTING = 0.03, 1.0  # weight of the prior where colours can be believed and where they cannot
SAMPLING = 0.15  # weight of a fully confident sample
SETTLED = 0.5  # how much less samples count where the side is certain
REACH = 20.0  # samples come from this far beyond the band
ENDS = 0.03  # the solver hardly reaches 0 and 1; this much at either end is stretched away
TOLERANCE = 3e-3


def matte_from_mask(
    image: ArrayLike, mask: ArrayLike, *, progress: Progress | ProgressCallback | None = None
) -> Array:
    """Estimate alpha from a picture and a rough mask of the subject.

    Parameters
    ----------
    image : (H, W, 3) array
        RGB: uint8, uint16 or floats in [0, 1].
    mask : (H, W) array
        The subject's rough mask, hard or soft: bool, uint8, uint16 or floats in [0, 1]; 1 = foreground. Uncertain
        values widen the zone that is decided anew.
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
    import cv2

    picture = as_rgb(image)
    rough = as_mask(mask, picture.shape)
    report = Progress.of(progress)
    report(0.0, "Refining the mask")
    inside = rough > 0.5
    if inside.all() or not inside.any() or min(rough.shape) < 3:
        report(1.0)
        return rough.copy()
    height, width = rough.shape
    shrink = math.sqrt(WORK_AREA / (height * width))
    if shrink >= 1:
        alpha = _matte(picture, rough, report)
    else:
        size = (max(round(width * shrink), 3), max(round(height * shrink), 3))
        small = (cv2.resize(a, size, interpolation=cv2.INTER_AREA) for a in (picture, rough))
        alpha = _enlarge(_matte(*small, report.part(0.0, 0.5)), picture, report.part(0.5, 1.0))
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
    inside = mask > 0.5
    if inside.all() or not inside.any():
        return mask.copy()
    # Below a fifth of the unit area masks do not get more exact in proportion.
    scale = max(math.sqrt(mask.size / UNIT_AREA), 0.45)
    # An undecided mask is as good as an edge near by; a hard one keeps its distances.
    distance = signed_distance(mask) * np.abs(2 * mask - 1)
    colours = ColourVote(image, distance, scale, team)
    report(0.2)
    small = colours.image
    alpha = _estimate(small, colours.distance * np.float32(scale / colours.step), colours, None, scale / colours.step, team, report.part(0.2, 0.4))
    for _ in range(HALF-1):
        alpha = _estimate(small, colours.distance * np.float32(scale / colours.step), colours, alpha, scale / colours.step, team, report.part(0.2, 0.4))
    for _ in range(FULL):
        alpha = _estimate(image, distance, colours, alpha, scale, team, report.part(0.4, 1.0))
    result: Array = np.clip((alpha - ENDS) / (1 - 2 * ENDS), 0, 1)
    return result


def _estimate(
    image: Array, distance: Array, colours: ColourVote, alpha: Array | None, scale: float, team: Team, report: Progress
) -> Array:
    shape = distance.shape
    inside, free = distance > 0, np.abs(distance) < BAND * scale
    around = np.abs(distance) < (BAND + REACH) * scale
    vote = colours.vote(alpha)
    gate = bilinear(colours.gate, *shape)
    error = bilinear(colours.mask_error(vote), *shape)
    prior_weight = (TRUSTING * (REF / error) ** POW)**gate * DOUBTING ** (1 - gate)
    if alpha is not None and OFF:
        distance = distance - OFF * np.float32(scale) * bilinear(colours.offset(alpha), *shape)
    side = _certainty(distance / (error * np.float32(scale)) + gate * _logit(bilinear(vote, *shape)))
    target, weight = (side > 0).astype(np.float32), prior_weight * side**2
    if alpha is None:
        certain, limit = side, 0.8
    else:
        alpha = bilinear(alpha, *shape)
        certain, limit = 2 * alpha - 1, 0.9
    sampled = sample_alpha(image, free, around & (certain > limit), around & (certain < -limit), scale, team)
    if sampled is not None:
        extra = np.float32(SAMPLING) * sampled.confidence * gate[free] * (1 - SETTLED * side[free] ** 2)
        both = weight[free] + extra
        target[free] = (weight[free] * target[free] + extra * sampled.alpha) / np.maximum(both, 1e-9)
        weight[free] = both
    if alpha is not None and NLW:
        mean, agreement = (bilinear(p, *shape) for p in colours.look_alikes(alpha))
        extra = np.float32(NLW) * agreement * gate
        target = (weight * target + extra * mean) / np.maximum(weight + extra, 1e-9)
        weight = weight + extra
    if alpha is not None and ECHO:
        target = (weight * target + ECHO * alpha) / (weight + ECHO)
        weight = weight + np.float32(ECHO)
    np.clip(target, 0, 1, out=target)
    fixed = inside.astype(np.float32)
    return solve_matting_laplacian(
        image, ~free, fixed, weight=weight, target=target, epsilon=EPS if alpha is not None else EPSH, tolerance=TOLERANCE, progress=report.part(0.5, 1.0)
    )


def _enlarge(small: Array, image: Array, report: Progress) -> Array:
    """Bring a matte to the size of `image` and let its details follow the picture."""
    import cv2

    height, width = image.shape[:2]
    alpha = np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR))
    factor = math.ceil(height / small.shape[0])
    unknown = ((small > 0.01) & (small < 0.99)).astype(np.uint8)
    edge = cv2.morphologyEx((small > 0.5).astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    grown = cv2.dilate(unknown | edge, np.ones((3, 3), np.uint8))
    free = cv2.resize(grown, (width, height), interpolation=cv2.INTER_NEAREST) > 0
    if not free.any():
        return alpha
    weight = np.full(alpha.shape, DETAIL / factor**2, np.float32)
    return solve_matting_laplacian(
        image, ~free, alpha, weight=weight, target=alpha, tolerance=TOLERANCE, progress=report
    )


DETAIL = 0.05
REF=3.
POW=0.5
NLW=.1
OFF=1.
ECHO=0.01
FULL=1
HALF=1
EPS=1e-6
EPSH=1e-7



def _certainty(logit: Array) -> Array:
    """Return 2 sigmoid(x) - 1."""
    result: Array = np.tanh(logit / 2)
    return result


def _logit(p: Array) -> Array:
    p = np.clip(p, 0.01, 0.99)
    result: Array = np.log(p / (1 - p))
    return result
