"""Hair once more, by colour sampling at the picture's own size.

The Laplacian that an estimate is spread by makes of dense hair a soft surface, and at a smaller size hairs are no more
than that. Where much of a neighbourhood is neither subject nor background, and colours tell the two apart, each pixel's
own colour knows more about it. Beside a plain contour it does not: a mixture of few pixels looks like anything.
"""

from __future__ import annotations

import numpy as np

from gossamer.arrays import Array, unit_float
from gossamer.matting.closed_form.layout import Team
from gossamer.matting.from_mask.colour_sampling import sample_alpha
from gossamer.matting.from_mask.faith import ramp
from gossamer.matting.signed_distance import unit_length
from gossamer.progress import Progress
from gossamer.resampling import Pixels, bilinear, wide_blur

__all__ = ["sample_hair"]

SOFT = 0.1  # alpha further than this from 0 and 1 is hair, or another mixture
AROUND = 6.0  # sigma in units of the neighbourhood
DENSE = 0.2, 0.4  # share of it that is soft where hair begins, and where it surely is: beside a contour .1 at most
OPEN = 0.02  # alpha further than this from 0 and 1 may change
CERTAIN = 0.05  # alpha nearer than this to 0 or 1 gives samples
BESIDE = 10.0  # units; samples come from this far around
KEPT = 0.3  # weight of what was estimated, beside 1 of a fully confident sample


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

    soft = ((estimated > SOFT) & (estimated < 1 - SOFT)).astype(np.float32)
    dense = wide_blur(soft, AROUND * unit_length(estimated.shape))
    share = ramp(dense, *DENSE) * belief
    if not share.any():
        return alpha
    height, width = alpha.shape
    unit, reach = unit_length(alpha.shape), round(BESIDE * unit_length(alpha.shape))
    hairy = cv2.dilate((share > 0).astype(np.uint8), np.ones((3, 3), np.uint8))
    rows = np.flatnonzero(hairy.any(axis=1)) * height / len(hairy)
    band = slice(max(int(rows[0]) - reach, 0), int(rows[-1]) + height // len(hairy) + reach + 1)
    inner, part = alpha[band], np.ascontiguousarray(unit_float(image[band]))  # whole rows: nothing is copied
    free = cv2.resize(hairy, (width, height), interpolation=cv2.INTER_NEAREST)[band]
    free = (free & cv2.inRange(inner, OPEN, 1 - OPEN)) > 0
    if not free.any():
        return alpha
    report(0.1)
    near = cv2.dilate(free.view(np.uint8), np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)) > 0
    team = Team(report)
    try:
        sampled = sample_alpha(part, free, near & (inner > 1 - CERTAIN), near & (inner < CERTAIN), unit, team)
    finally:
        team.close()
    if sampled is not None:
        weight = bilinear(share, height, width)[band][free] * sampled.confidence[free]
        inner[free] += weight / (weight + np.float32(KEPT)) * (sampled.alpha[free] - inner[free])
    report(1.0)
    return alpha
