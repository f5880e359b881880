"""Hair once more, by colour sampling at the picture's own size.

The Laplacian that an estimate is spread by makes of dense hair a soft surface, and at a smaller size hairs are no more
than that. Where much of a neighbourhood is neither subject nor background, and colours tell the two apart, each pixel's
own colour knows more about it. Beside a plain contour it does not: a mixture of few pixels looks like anything.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from gossamer.arrays import Array
from gossamer.matting.closed_form.layout import Team
from gossamer.matting.from_mask.colour_sampling import Sampled, sample_alpha
from gossamer.matting.from_mask.faith import ramp
from gossamer.matting.signed_distance import unit_length
from gossamer.native import COUNT, NUMBER, PLACE, function
from gossamer.parallel.strips import Strips
from gossamer.progress import Progress
from gossamer.resampling import Pixels, bilinear_at, wide_blur

__all__ = ["hairiness", "sample_hair"]

SOFT = 0.1  # alpha further than this from 0 and 1 is hair, or another mixture
AROUND = 6.0  # sigma in units of the neighbourhood
DENSE = 0.1, 0.25  # share of it that is soft where hair begins, and where it surely is: beside a contour .1 at most
OPEN = 0.02  # alpha further than this from 0 and 1 may change
CERTAIN = 0.05  # alpha nearer than this to 0 or 1 gives samples
BESIDE = 10.0  # units; samples come from this far around
ROWS = 128  # looked at at a time by one thread
KEPT = 0.3  # weight of what was estimated, beside 1 of a fully confident sample


def hairiness(alpha: Array) -> Array:
    """Return how far the neighbourhood of each pixel is hair, or another wide mixture: (H, W) float32 in [0, 1]."""
    soft = ((alpha > SOFT) & (alpha < 1 - SOFT)).astype(np.float32)
    return ramp(wide_blur(soft, AROUND * unit_length(alpha.shape)), *DENSE)


def sample_hair(image: Pixels, alpha: Array, estimated: Array, belief: Array, report: Progress) -> Array:
    """Sample alpha anew where there is hair.

    Parameters
    ----------
    image : (H, W, 3) uint8 or float32 ndarray
        RGB.
    alpha : (H, W) float32 ndarray
        The matte so far.
    estimated, belief : (h, w) float32 ndarray
        The same at the size that it was estimated at, and how far colours can be believed there, in [0, 1].
    report : Progress
        What it raises passes through.

    Returns
    -------
    (H, W) float32 ndarray
    """
    import cv2

    share = hairiness(estimated) * belief
    if not share.any():
        return alpha
    height = len(alpha)
    unit, reach = unit_length(alpha.shape), round(BESIDE * unit_length(alpha.shape))
    hairy = cv2.dilate((share > 0).astype(np.uint8), np.ones((3, 3), np.uint8))
    rows = np.flatnonzero(hairy.any(axis=1)) * height / len(hairy)
    band = slice(max(int(rows[0]) - reach, 0), int(rows[-1]) + height // len(hairy) + reach + 1)
    inner = alpha[band]  # whole rows: nothing is copied
    part: Any = np.ascontiguousarray(image[band])
    down, across = (
        np.minimum((np.arange(many) * (few / many)).astype(np.intp), few - 1)
        for many, few in zip(alpha.shape, hairy.shape, strict=True)
    )
    hairy, down = np.ascontiguousarray(hairy[:, across]), down[band]
    free, inside, outside = (np.zeros(inner.shape, np.uint8) for _ in range(3))

    def part_of(top: int, bottom: int, around: int) -> tuple[slice, slice] | None:
        """Return these rows where there is hair within so many pixels: the columns that matter."""
        first, last = max(top - around, 0), min(bottom + around, len(free))
        held = np.flatnonzero(hairy[down[first] : down[last - 1] + 1].any(axis=0))
        if not len(held):
            return None
        return slice(top, bottom), slice(max(int(held[0]) - around, 0), int(held[-1]) + around + 1)

    def find(top: int, bottom: int) -> None:
        if (place := part_of(top, bottom, 0)) is not None:
            free[place] = hairy[down[top:bottom], place[1]] & cv2.inRange(inner[place], OPEN, 1 - OPEN)

    def beside(top: int, bottom: int) -> None:
        if (place := part_of(top, bottom, reach)) is None:
            return
        first = max(top - reach, 0)
        near = cv2.dilate(free[first : bottom + reach, place[1]], np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
        near, own = near[top - first : bottom - first], inner[place]
        np.bitwise_and(near, own > 1 - CERTAIN, out=inside[place])
        np.bitwise_and(near, own < CERTAIN, out=outside[place])

    with Strips() as strips:
        strips.each(find, len(free), ROWS, report.part(0.0, 0.1))
        if not cv2.countNonZero(free):
            return alpha
        strips.each(beside, len(free), max(ROWS, 2 * reach), report.part(0.1, 0.3))
    team = Team(report.part(0.3, 0.9))
    try:
        asked, certain = free.view(np.bool_), (inside.view(np.bool_), outside.view(np.bool_))
        sampled = sample_alpha(part, asked, *certain, unit, team)
    finally:
        team.close()
    if sampled is not None:
        with Strips() as strips:
            settle = partial(_settle, sampled, share, band.start, height, inner)
            strips.each(settle, len(inner), ROWS, report.part(0.9, 1.0))
    report(1.0)
    return alpha


def _settle(sampled: Sampled, share: Array, above: int, whole: int, alpha: Array, top: int, bottom: int) -> None:
    """Let alpha, which begins so many rows below the top of a whole picture, go towards what was sampled."""
    compiled = function("settle", *3 * (PLACE,), *5 * (COUNT,), NUMBER, COUNT, COUNT, PLACE)
    if compiled is not None and alpha.flags.c_contiguous:
        planes = sampled.alpha, sampled.confidence, share
        compiled(*planes, *share.shape, above, whole, alpha.shape[1], KEPT, top, bottom, alpha)
        return
    y, x = np.nonzero(sampled.confidence[top:bottom])
    y += top
    weight = bilinear_at(share, whole, alpha.shape[1], y + above, x) * sampled.confidence[y, x]
    here = alpha[y, x]
    alpha[y, x] = here + weight / (weight + np.float32(KEPT)) * (sampled.alpha[y, x] - here)
