"""Thin parts of a mask that the picture shows to be thinner: strands of hair that a network drew like wires.

A network draws what is thin as if it covered its pixels. A wire has colours of its own, which are no mixture of
anything nearby; a strand has those of the hair that it belongs to, and where it covers a third of a pixel its colour
lies a third of the way from what is behind it to them. So what is thin becomes fainter only where the picture's samples
say so beyond doubt, and only from what is solid.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gossamer.arrays import Array
from gossamer.matting.closed_form.layout import Team
from gossamer.matting.from_mask.colour_sampling import sample_alpha
from gossamer.matting.from_mask.faith import ramp
from gossamer.progress import Progress
from gossamer.resampling import wide_blur

__all__ = ["Faint", "faint_lines"]

THIN = 0.05  # how thin at least
DRAWN = 0.3  # mask values below are faint already
SOLID = 0.95, 0.1  # what the subject's samples come from: mask values above, and no thinner
BEHIND = 0.05  # mask values below: the background's samples
AROUND = 30.0  # units: samples come from this near, and from nowhere else
TOLD = 0.5, 0.8  # confidence from which on samples count, and count fully
AGREED = 2.0  # sigma in units of the line's pixels around, on average no surer: one alone would be a nibble
DOUBLE = 2.0  # samples count fully from half of the full thinness


class Faint(NamedTuple):
    """Alpha of lines as samples have it, and how far they are to be believed: (H, W) float32 in [0, 1]."""

    alpha: Array
    weight: Array


def faint_lines(image: Array, mask: Array, thin: Array, unit: float, report: Progress) -> Faint | None:
    """Sample the alpha of a mask's lines; None where there are none, or a side has no samples.

    Parameters
    ----------
    image : (H, W, 3) float32 ndarray
        RGB in [0, 1].
    mask : (H, W) float32 ndarray
        In [0, 1].
    thin : (H, W) float32 ndarray
        How far each pixel belongs to something thin, in [0, 1].
    unit : float
        Pixels in a unit of length.
    report : Progress
        What it raises passes through.
    """
    import cv2

    asked = (thin > THIN) & (mask > DRAWN)
    if not asked.any():
        return None
    side = 2 * round(AROUND * unit) + 1
    near = cv2.dilate(asked.view(np.uint8), np.ones((side, side), np.uint8)) > 0
    value, thinness = SOLID
    solid, behind = near & (mask > value) & (thin < thinness), near & (mask < BEHIND)
    team = Team(report)
    try:
        sampled = sample_alpha(image, asked, solid, behind, unit, team)
    finally:
        team.close()
    if sampled is None:
        return None
    weight = ramp(sampled.confidence, *TOLD)
    shared = wide_blur(weight, AGREED * unit) / np.maximum(wide_blur(asked.astype(np.float32), AGREED * unit), 1e-3)
    weight = np.minimum(weight, shared) * np.minimum(thin * np.float32(DOUBLE), 1)
    return Faint(sampled.alpha, weight)
