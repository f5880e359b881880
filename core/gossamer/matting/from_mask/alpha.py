"""From a rough mask to a matte: the mask is a prior that the picture's colours correct.

A trimap throws away what the mask says inside its band and believes it blindly outside. Here every pixel near the edge
keeps an opinion and a weight (:mod:`gossamer.matting.from_mask.estimate`). How far the mask may be wrong, and whether
colours can be believed, is measured on the picture itself, place by place. A soft mask that is seen to follow the
picture comes from a model that knows the subject: where such a mask is sure, it outweighs the colours.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from gossamer.arrays import Array, as_mask, as_pixels
from gossamer.matting.from_mask.enlarge import enlarge_onto
from gossamer.matting.from_mask.estimate import estimate, in_doubt, work_size
from gossamer.matting.from_mask.faith import mask_faith
from gossamer.matting.from_mask.hair import sample_hair
from gossamer.matting.from_mask.palette import BAND
from gossamer.matting.signed_distance import has_edge, signed_distance, unit_length
from gossamer.parallel.patience import Begun
from gossamer.progress import Progress, ProgressCallback

__all__ = ["matte_from_mask"]


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
    picture = as_pixels(image)
    whole = as_mask(mask, picture.shape)
    report = Progress.of(progress)
    report(0.0, "Refining the mask")
    small, hint = work_size(picture, whole)
    if min(hint.shape) < 3 or not has_edge(hint):  # what it had may have been lost in shrinking it
        report(1.0)
        return whole.copy()
    unit = unit_length(hint.shape)
    reading = Begun(lambda: mask_faith(small, hint, unit))
    try:
        distance = signed_distance(hint)
        faith = reading.result(report)
    finally:
        reading.end()
    report(0.15)
    asked = in_doubt(hint, distance, BAND, unit)
    settled = (hint > 0.5).astype(np.float32)
    found = estimate(small, hint, distance, faith, asked, None, None, unit, report.part(0.15, 0.85))
    alpha = estimated = np.where(asked, found.alpha, settled)
    if hint is not whole:
        believed = asked.astype(np.float32)
        alpha = enlarge_onto(picture, whole, small, estimated, believed, report.part(0.85, 0.9), hard=True)
    alpha = sample_hair(picture, alpha, estimated, found.gate, report.part(0.9, 1.0))
    report(1.0)
    return alpha
