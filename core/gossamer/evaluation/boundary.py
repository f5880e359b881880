"""Boundary IoU (Cheng, Girshick, Dollar, Berg, Kirillov: Boundary IoU, CVPR 2021)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gossamer.arrays import as_mask
from gossamer.errors import InputError

__all__ = ["boundary_iou"]


def boundary_iou(prediction: ArrayLike, truth: ArrayLike, *, dilation_ratio: float = 0.02) -> float:
    """Return intersection over union of the inner rims of two masks.

    The rim of a mask is what of it lies at most d pixels from its outside, with d = `dilation_ratio` times the
    picture's diagonal, rounded, and at least 1. Distance is the larger of that along the rows and the columns
    (the authors erode d times by 3 x 3), and beyond the picture's border is outside.

    Parameters
    ----------
    prediction, truth : (H, W) array
        bool, or as :func:`gossamer.arrays.as_mask` takes them: what is above one half is foreground.
    dilation_ratio : float
        0.02 is the authors' for pictures.

    Returns
    -------
    float
        0 to 1; 0 where neither mask has any foreground (the quotient is then 0 / 0).

    Raises
    ------
    InputError
        If the shapes differ, are not (H, W), or there are no pixels.
    """
    shapes = np.shape(prediction), np.shape(truth)
    if len(shapes[0]) != 2 or shapes[0] != shapes[1] or 0 in shapes[0]:
        raise InputError(f"The masks have the shapes {shapes[0]} and {shapes[1]}.", "Give two of one (height, width).")
    predicted = as_mask(prediction, name="prediction", measured=True) > 0.5
    subject = as_mask(truth, name="truth", measured=True) > 0.5
    reach = max(1, round(dilation_ratio * math.hypot(*predicted.shape)))
    first, second = _rim(predicted, reach), _rim(subject, reach)
    union = int(np.count_nonzero(first | second))
    return int(np.count_nonzero(first & second)) / union if union else 0.0


def _rim(mask: NDArray[np.bool_], reach: int) -> NDArray[np.bool_]:
    import cv2

    padded = cv2.copyMakeBorder(mask.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    distance = np.asarray(cv2.distanceTransform(padded, cv2.DIST_C, 3))[1:-1, 1:-1]
    rim: NDArray[np.bool_] = mask & (distance <= reach)
    return rim
