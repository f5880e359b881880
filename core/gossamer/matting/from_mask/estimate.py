"""Alpha near a mask's edge from all that is known: mask, colour vote, samples, look-alikes and the Laplacian.

A pixel's side comes from its distance to the mask's edge together with a colour vote
(:mod:`gossamer.matting.from_mask.palette`), its alpha from colour sampling
(:mod:`gossamer.matting.from_mask.colour_sampling`), and the closed-form matting Laplacian (Levin 2008) spreads both
along the picture's structures: first at half size, where hair is a surface, wherever anything may be wrong; then at the
size given, where the first answer is neither clear nor solid.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array, unit_float
from gossamer.matting.closed_form.alpha import groundwork, solve_matting_laplacian
from gossamer.matting.closed_form.layout import Team
from gossamer.matting.from_mask.colour_sampling import sample_alpha
from gossamer.matting.from_mask.faith import ramp
from gossamer.matting.from_mask.palette import BAND, Palette
from gossamer.matting.signed_distance import weighted
from gossamer.parallel.patience import Begun
from gossamer.progress import Progress
from gossamer.resampling import Pixels, bilinear, shrink, wide_blur

if TYPE_CHECKING:
    from gossamer.matting.closed_form.solver import Groundwork

__all__ = ["Drawn", "Estimate", "estimate", "in_doubt", "work_size"]

# Weights as pairs are of a mask that is a hint, and of a model's that follows the picture: there samples know more.
TRUSTING = 0.03, 0.015  # of the prior where colours can be believed
DOUBTING = 1.0  # of the prior where they cannot
SLIGHT = 3.0  # a mask wrong by this many units gets the weight above; the more exact it is, the more
SAMPLING = 0.15, 0.25  # of a fully confident sample
SETTLED = 0.5  # how much less samples count where the side is certain
REACH = 20.0  # units; samples come from this far beyond the band
COMPANY = 0.2, 0.05  # of what pixels of the same colour came to in the first estimate
ECHO = 0.003  # weight of the first estimate itself
ENDS = 0.03  # the solver hardly reaches 0 and 1; this much at either end is stretched away, but not among hairs
MIXED = 2.0  # sigma in units of the neighbourhood whose mixing tells that faint values are the picture's
FAINT = 0.1, 0.3  # 4 alpha (1 - alpha) in it from which on they are
EPSILON = 1e-7, 1e-6  # of the Laplacian, at half size and at full size
TOLERANCE = 3e-3
FAITH = 1.0  # weight of a soft mask's values where it follows the picture and is sure of itself
DOUBLINGS = 5  # of the power of |2 mask - 1|: models give solid parts .999, holes that they overlooked .6 to .98
CLEAR = 0.02  # a first answer this near to 0 or 1 is kept, away from edges
SMALL = 64  # pictures of fewer rows or columns are not halved
ROWS = 64  # looked at at a time by one thread
WORK_AREA = 700_000  # larger pictures are worked on at this size
SOFT = 0.03  # mask values further than this from 0 and 1 are open
BESIDE = 4.0  # units around those are, too


@dataclass(frozen=True)
class Estimate:
    """The alpha estimated, how far the colours speak for foreground, and how far they can be believed.

    All (H, W) float32 in [0, 1].
    """

    alpha: Array
    support: Array
    gate: Array


class Drawn(NamedTuple):
    """How far each pixel of a mask is hair, and how far it belongs to a line or a narrow gap: (H, W) in [0, 1]."""

    hair: Array
    lines: Array


@dataclass(frozen=True)
class _Scale:
    """One size to solve at: lengths are in pixels, planes of that size."""

    image: Array
    mask: Array
    distance: Array
    free: NDArray[np.bool_]
    faith: Array
    hair: Array | None
    unit: float
    lost: NDArray[np.bool_] | None = None  # what is too small to be seen at half size


def work_size(image: Pixels, mask: Array) -> tuple[Array, Array]:
    """Return picture, as floats, and mask at the size that is worked at; the very same mask where that is its own."""
    height, width = mask.shape
    factor = math.sqrt(WORK_AREA / mask.size)
    if factor >= 1:
        return unit_float(image), mask
    size = (max(2 * round(width * factor / 2), 1), max(2 * round(height * factor / 2), 1))  # the half is a whole one
    return shrink(image, size), shrink(mask, size)


def in_doubt(mask: Array, distance: Array, reach: Array | float, unit: float) -> NDArray[np.bool_]:
    """Return where anything may be wrong: as far as `reach` (in units) from the contour, and where the mask is unsure.

    Parameters
    ----------
    mask : (H, W) float32 ndarray
        In [0, 1].
    distance : (H, W) float32 ndarray
        Its signed distance.
    reach : (H, W) float32 ndarray or float
        In units.
    unit : float
        Pixels in a unit of length.
    """
    import cv2

    soft = ((mask > SOFT) & (mask < 1 - SOFT)).astype(np.uint8)
    side = 2 * round(BESIDE * unit) + 1
    grown = cv2.dilate(soft, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))) > 0
    result: NDArray[np.bool_] = grown | (np.abs(distance) < np.float32(unit) * reach)
    return result


def estimate(
    image: Array,
    mask: Array,
    distance: Array,
    faith: Array,
    asked: NDArray[np.bool_],
    heard: Array | None,
    drawn: Drawn | None,
    unit: float,
    report: Progress,
) -> Estimate:
    """Estimate alpha anew where it is asked.

    Parameters
    ----------
    image : (H, W, 3) float32 ndarray
        RGB in [0, 1].
    mask : (H, W) float32 ndarray
        In [0, 1], with an edge.
    distance : (H, W) float32 ndarray
        Its signed distance.
    faith : (H, W) float32 ndarray
        How much the mask's own values are to be believed, in [0, 1].
    asked : (H, W) bool ndarray
        Where alpha may differ from the mask.
    heard : (H, W) float32 ndarray, optional
        How much a pixel has to say about its colour's side, in [0, 1]; all the same without it.
    drawn : Drawn, optional
        What there is in a mask that a model drew. Such a one draws hair harder than it is: as far as colours can be
        believed, what is nearly certain among greys is doubted as they are, but for lines and narrow gaps. Without it
        the mask is a hint, whose certainty counts everywhere.
    unit : float
        Pixels in a unit of length.
    report : Progress
        What it raises passes through.
    """
    import cv2

    height, width = mask.shape
    step = 2 if min(mask.shape) >= SMALL else 1
    size = (width // step, height // step)
    distance = weighted(distance, mask, (BAND + REACH) * unit)
    near = np.asarray(cv2.resize(distance, size, interpolation=cv2.INTER_AREA), np.float32)
    picture = shrink(image, size)
    open_to_doubt = shrink(asked.astype(np.float32), size) > 0
    hair = None if drawn is None else drawn.hair * (1 - drawn.lines)
    trust, hairs = shrink(faith, size), None if hair is None else shrink(hair, size)
    half = _Scale(picture, shrink(mask, size), near / np.float32(step), open_to_doubt, trust, hairs, unit / step)
    begun, team = _begin(half, EPSILON[0]), Team(report)
    try:
        palette = Palette(picture, near / np.float32(unit), None if heard is None else shrink(heard, size), unit / step)
        report(0.2)
        first = _solve(half, begun, palette, palette.vote(), None, team, report.part(0.2, 0.5))
        unclear = ((first > CLEAR) & (first < 1 - CLEAR)).astype(np.uint8)
        edge = cv2.morphologyEx((first > 0.5).astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
        unclear = cv2.dilate(unclear | edge, np.ones((3, 3), np.uint8))
        seen = bilinear(near, height, width)
        lost = np.where(mask > 0.5, seen <= 0, seen >= 0)
        unclear = cv2.resize(unclear, (width, height), interpolation=cv2.INTER_NEAREST)
        free = cv2.dilate(unclear | lost.view(np.uint8), np.ones((3, 3), np.uint8)) > 0
        whole = _Scale(image, mask, distance, free & asked, faith, hair, unit, lost)
        begun = _begin(whole, EPSILON[1])
        vote = palette.vote(first)
        alpha = _solve(whole, begun, palette, vote, first, team, report.part(0.5, 1.0))
    finally:
        team.close()
        begun.end()
    vote, gate = (bilinear(plane, height, width) for plane in (vote * palette.gate, palette.gate))
    ends = np.full_like(mask, ENDS)
    if drawn is not None:
        mixed = wide_blur(alpha * (1 - alpha) * np.float32(4), MIXED * unit)
        ends *= 1 - ramp(mixed, *FAINT) * faith * gate * (1 - drawn.lines)
    stretched: Array = np.clip((alpha - ends) / (1 - 2 * ends), 0, 1)
    return Estimate(np.where(asked, stretched, mask), vote, gate)


def _begin(at: _Scale, epsilon: float) -> Begun[Groundwork | None]:
    """Begin what the equations need of picture and free pixels, beside what looks at the colours."""
    return Begun(lambda: groundwork(at.image, at.free, epsilon))


def _solve(
    at: _Scale,
    begun: Begun[Groundwork | None],
    palette: Palette,
    vote: Array,
    first: Array | None,
    team: Team,
    report: Progress,
) -> Array:
    """Gather what is known of every free pixel and solve for alpha, given a first answer at half size or none."""
    import cv2

    height, width = at.mask.shape
    inside, free = (at.distance > 0).astype(np.float32), at.free
    known = inside if first is None else bilinear(first, height, width)
    if not free.any():
        return known
    gate, vote, error = (bilinear(plane, height, width) for plane in (palette.gate, vote, palette.mask_error(vote)))
    sides = np.empty_like(known)

    def lean(top: int, bottom: int) -> None:
        rows = slice(top, bottom)
        logit = np.clip(vote[rows], 0.01, 0.99)
        logit = np.log(logit / (1 - logit))
        logit *= gate[rows]
        logit += at.distance[rows] / (error[rows] * np.float32(at.unit))
        np.tanh(logit / 2, out=sides[rows])  # 2 sigmoid - 1

    team.run(lean, [(top, min(top + ROWS, height)) for top in range(0, height, ROWS)])
    place = np.flatnonzero(free)

    def of(plane: Array) -> Array:
        return plane.reshape(-1)[place]

    side, here, own, faith = of(sides), of(gate), of(at.mask), of(at.faith)
    model = faith if at.hair is not None else np.zeros_like(faith)  # how far it is one's that saw the picture
    target = (side > 0).astype(np.float32)
    # Between the two weights geometrically, by how far colours can be believed.
    weight = here * np.log(_by(model, TRUSTING) * np.float32(math.sqrt(SLIGHT)) / np.sqrt(of(error)))
    weight += (1 - here) * np.float32(math.log(DOUBTING))
    np.exp(weight, out=weight)
    weight *= side * side
    report(0.1)
    certain, limit = (sides, 0.8) if first is None else (2 * known - 1, 0.9)
    reach = 2 * round(REACH * at.unit) + 1
    near = (np.abs(at.distance) < (BAND + REACH) * at.unit) & (
        cv2.dilate(free.astype(np.uint8), np.ones((reach, reach), np.uint8)) > 0
    )
    sampled = sample_alpha(at.image, free, near & (certain > limit), near & (certain < -limit), at.unit, team)
    report(0.4)
    if sampled is not None:
        extra = _by(model, SAMPLING) * of(sampled.confidence) * here * (1 - np.float32(SETTLED) * side * side)
        target, weight = _join(target, weight, of(sampled.alpha), extra)
    if first is not None and at.lost is not None:
        lost = at.lost.reshape(-1)[place]
        mean, agreement = (of(bilinear(plane, height, width)) for plane in palette.look_alikes(first))
        target, weight = _join(target, weight, mean, _by(model, COMPANY) * agreement * here)
        target, weight = _join(target, weight, of(known), np.where(lost, 0, np.float32(ECHO)).astype(np.float32))
    sure = np.abs(2 * own - 1)
    for _ in range(DOUBLINGS):
        sure *= sure
    if at.hair is not None:
        sure *= 1 - of(at.hair) * here
    target, weight = _join(target, weight, own, np.float32(FAITH) * faith * sure)
    report(0.45)
    pull, goal = np.zeros_like(known), np.zeros_like(known)
    pull.reshape(-1)[place], goal.reshape(-1)[place] = weight, np.clip(target, 0, 1)
    return solve_matting_laplacian(
        at.image,
        ~free,
        known,
        weight=pull,
        target=goal,
        epsilon=EPSILON[first is not None],
        tolerance=TOLERANCE,
        progress=report.part(0.45, 1.0),
        ground=begun.result(report),
    )


def _by(model: Array, weights: tuple[float, float]) -> Array:
    """Return the weight between that of a hint and that of a model's mask."""
    hint, drawn = weights
    return np.float32(hint) + np.float32(drawn - hint) * model


def _join(target: Array, weight: Array, other: Array, extra: Array) -> tuple[Array, Array]:
    """Return the one quadratic term that stands for two."""
    both = weight + extra
    return (weight * target + extra * other) / np.maximum(both, np.float32(1e-9)), both
