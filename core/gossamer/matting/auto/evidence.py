"""How far an estimate is to be believed against the mask it started from: a correction needs evidence.

Masks of models are wrong in ways of their own. What they overlooked is far more common than what they made up: nearly
every upward correction that colours support is right, while a region that a model doubts (grey over a wide area) is
either subject or truly transparent, hardly ever background. So alpha is

- raised beside a contour, and elsewhere only where the colours there are those of what the mask is sure of, or the mask
  itself has nearly all of it (models leave 0.9 or 0.95 deep in a subject; smoke and glass are below that); not where
  the mask shows a narrow gap, as between the wires of a mesh, which samples and windows are too coarse for;
- lowered only beside a contour between what surely is subject and what surely is not, only where the picture becomes
  easier to explain as a mixture of two colours by it, and not where the mask shows something thin: fine lines have no
  colours of their own that samples could come from; nor what has colours of its own, which no mixture of what is
  inside with what is outside gives, as the outline of a drawing has.

What is translucent altogether stays as the mask has it (see :mod:`gossamer.matting.auto.translucent`).

The less a mask follows the picture, the less these doubts count: a mask drawn by hand or by a rough model is a hint.
But no mask is corrected beside a contour where neither its own nor the estimate's divides colours that differ by more
than texture and noise do: samples of one colour on both sides give each pixel the alpha of its noise.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.matting.auto.mixtures import NOISE, Mixtures, Told
from gossamer.matting.auto.translucent import translucency, unresolved
from gossamer.matting.from_mask.estimate import Estimate
from gossamer.matting.from_mask.faith import ramp
from gossamer.matting.thin_parts import SHARE
from gossamer.parallel.patience import Begun
from gossamer.progress import Progress
from gossamer.resampling import bilinear, shrink, wide_blur

__all__ = ["Grounds", "belief", "grounds", "thinness"]

SURE = 0.9  # mask values above are surely subject, below one minus that surely not
BESIDE = 20.0  # units; alpha is raised beside a contour: where both are this near on average
NEAR = 8.0  # the same where it is lowered: what lies deeper the model has found
ROUGH = 30.0  # for either, in a mask that does not follow the picture
BETTER = -0.3, 0.1  # logarithm of how much more of the colours the estimate leaves unexplained, or fewer
SUPPORT = 0.4, 0.6  # share of foreground among the colours' votes; where nobody is heard it is one half
WHOLE = 0.85, 0.95  # mask values from which on a pixel is the subject's wherever it lies: it may become opaque
TOGETHER = 0.6  # sigma in units over which votes are averaged
TELLING = 0.8  # how far colours are to be believed at least: where they tell nothing a model's mask stays
ALONG = 16.0  # units around in which an estimate's contour speaks for the step to it
MODEL = 0.8  # care from which on what is thin, translucent, or an outline is kept entirely
DOUBLE = 2.0  # thin parts are kept entirely from half of their full weight


class Grounds(NamedTuple):
    """What picture and mask tell before anything is estimated.

    Attributes
    ----------
    place, near : (H, W) float32
        How near a contour between subject and background is, in [0, 1]: for raising alpha, and for lowering it.
    thin, gaps : (H, W) float32
        How far what is thin in the mask, and what is a narrow gap in it, are to be kept, in [0, 1].
    clear : (H, W) float32
        How far what is translucent in it is to be kept, in [0, 1].
    mixtures : Mixtures
        Of the picture.
    unexplained, apart : (h, w) float32
        What the mask leaves of them, and how far colours on either side of its contour can be told apart.
    """

    place: Array
    near: Array
    thin: Array
    gaps: Array
    clear: Array
    mixtures: Mixtures
    unexplained: Array
    apart: Array


def grounds(
    mixtures: Mixtures, told: Told, mask: Array, care: Array, thin: tuple[Array, Array], unit: float
) -> Grounds:
    """Return what is known of the mask's places.

    Parameters
    ----------
    mixtures : Mixtures
        Of the picture.
    told : Told
        What they tell by the mask.
    mask, care : (H, W) float32 ndarray
        As for :func:`belief`.
    thin : two (H, W) float32 ndarrays
        How far each pixel belongs to a line of the mask, and to a narrow gap in it, in [0, 1].
    unit : float
        As for :func:`belief`.
    """
    away: Array = (_away(mask > SURE) + _away(mask < 1 - SURE)) / np.float32(unit)

    def within(reach: float) -> Array:
        result: Array = np.clip(2 - away / (care * np.float32(reach) + (1 - care) * np.float32(ROUGH)), 0, 1)
        return result

    kept = np.minimum(care / np.float32(MODEL), 1)
    lines, gaps, clear = (kept * part for part in (*thin, translucency(mask, mixtures, unit)))
    return Grounds(within(BESIDE), within(NEAR), lines, gaps, clear, mixtures, told.left, told.apart)


def belief(
    mask: Array, found: Estimate, care: Array, known: Grounds, unit: float, report: Progress
) -> tuple[Array, Array]:
    """Return how much of the step from `mask` to `alpha` to take, and how open each pixel is to other evidence.

    Parameters
    ----------
    mask : (H, W) float32 ndarray
        In [0, 1].
    found : Estimate
        What it may step to, and what colours say.
    care : (H, W) float32 ndarray
        How far to treat the mask as a model's, in [0, 1]; 0: as a hint.
    known : Grounds
        What :func:`grounds` says of them.
    unit : float
        Pixels in a unit of length.
    report : Progress
        What it raises passes through.

    Returns
    -------
    step, room : (H, W) float32 ndarray
        In [0, 1].
    """
    place, near, thin, gaps, clear, mixtures, unexplained, apart = known
    height, width = mask.shape
    after = Begun(lambda: mixtures.told(found.alpha))
    try:
        # A single pixel's vote is noise.
        voted = ramp(wide_blur(found.support, TOGETHER * unit), *SUPPORT)
        np.maximum(voted, ramp(mask, *WHOLE), out=voted)
        told = 1 - care * (1 - np.minimum(found.gate / np.float32(TELLING), 1))
        left = after.result(report)
    finally:
        after.end()
    seen = care * bilinear(apart, height, width)
    either = np.maximum(apart, _along(found.alpha, left.apart, ALONG * unit / 2))
    seen += (1 - care) * bilinear(either, height, width)
    near = near * seen
    raised = np.maximum(place * seen, voted)
    gain = bilinear(unexplained + np.float32(NOISE), height, width)
    gain /= bilinear(left.left + np.float32(NOISE), height, width)
    np.log(gain, out=gain)
    better = ramp(gain, *BETTER)
    kept = np.minimum(care / np.float32(MODEL), 1) * bilinear(_outlines(mask, found.alpha, mixtures), height, width)
    lowered = near * (1 - care * (1 - better)) * (1 - thin)
    step = np.where(found.alpha > mask, raised * (1 - gaps), lowered * (1 - kept)) * told
    opaque = 1 - unresolved(clear, gain)
    return step * opaque, near * np.maximum(1 - 2 * thin, 0) * (1 - kept) * opaque


def _outlines(mask: Array, alpha: Array, mixtures: Mixtures) -> Array:
    """Return how far what would be lost has colours of its own, as the outlines of drawings, in [0, 1]."""
    lost = (mask > 0.5) & (alpha < 0.5)
    if not lost.any():
        return np.zeros((1, 1), np.float32)
    return mixtures.strange(lost, (mask < 1 - SURE) & (alpha < 1 - SURE), (mask > SURE) & (alpha > SURE))


def thinness(mask: Array) -> Array:
    """Return how far each pixel belongs to something thin in the mask, (H, W) float32 in [0, 1]."""
    import cv2

    radius = max(2, round(SHARE * float(np.hypot(*mask.shape))))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    grey = cv2.convertScaleAbs(mask, alpha=255)  # four times as fast as floats
    over = np.divide(cv2.subtract(grey, cv2.morphologyEx(grey, cv2.MORPH_OPEN, disc)), 255, dtype=np.float32)
    over /= np.maximum(mask, np.float32(0.1))
    over *= mask > 0.5
    share = np.asarray(cv2.GaussianBlur(over, (0, 0), 1.0), np.float32)
    share *= np.float32(DOUBLE)
    return np.clip(share, 0, 1, out=share)


def _along(alpha: Array, told: Array, radius: float) -> Array:
    """Return the mean of what is told along the contour of `alpha` around each place, (h, w); 0 where it is far."""
    import cv2

    height, width = told.shape
    inside = (shrink(alpha, (width, height)) > 0.5).view(np.uint8)
    edge = np.asarray(cv2.morphologyEx(inside, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)), np.float32)
    window = 2 * (2 * round(radius) + 1,)
    near = cv2.blur(edge, window)
    return np.asarray(cv2.blur(edge * told, window) / np.maximum(near, np.float32(1e-6)), np.float32)


def _away(zone: NDArray[np.bool_]) -> Array:
    """Return the distance to the zone in pixels."""
    import cv2

    if not zone.any():
        return np.full(zone.shape, 1e6, np.float32)
    return np.asarray(cv2.distanceTransform((~zone).view(np.uint8), cv2.DIST_L2, 5), np.float32)
