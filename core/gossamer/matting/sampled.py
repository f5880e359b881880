"""KNN and learning-based matting, through pymatting."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from gossamer.arrays import Array, as_mask, as_rgb
from gossamer.errors import InputError
from gossamer.parallel.forks import threaded
from gossamer.progress import Progress, ProgressCallback

__all__ = ["knn_alpha", "learning_based_alpha"]


def knn_alpha(image: ArrayLike, trimap: ArrayLike, *, progress: Progress | ProgressCallback | None = None) -> Array:
    """Estimate alpha by KNN matting: pixels that look alike, near or far, have the same alpha.

    Parameters
    ----------
    image : (H, W, 3) array
        RGB, uint8, uint16 or floats in [0, 1].
    trimap : (H, W) array
        uint8, uint16 or floats in [0, 1]. At most 0.1: background; at least 0.9: foreground; between: unknown.
    progress : callable, optional
        ``progress(fraction, message)``; raising in it stops the work before or after the solution.

    Returns
    -------
    (H, W) float32

    Raises
    ------
    InputError
        Sizes differ, values lie outside [0, 1], the trimap has no known foreground or background, or pymatting
        finds no solution.

    References
    ----------
    .. [1] Chen, Li, Tang: "KNN matting", TPAMI 35 (9), 2013.
    """
    return _solved("estimate_alpha_knn", "KNN matting", image, trimap, progress)


def learning_based_alpha(
    image: ArrayLike, trimap: ArrayLike, *, progress: Progress | ProgressCallback | None = None
) -> Array:
    """Estimate alpha by learning-based matting: alpha is a local linear function that is learned a window.

    Parameters, result and errors are those of :func:`knn_alpha`.

    References
    ----------
    .. [1] Zheng, Kambhamettu: "Learning based digital matting", ICCV 2009.
    """
    return _solved("estimate_alpha_lbdm", "Learning-based matting", image, trimap, progress)


def _solved(
    function: str,
    title: str,
    image: ArrayLike,
    trimap: ArrayLike,
    progress: Progress | ProgressCallback | None,
) -> Array:
    picture = as_rgb(image, "picture")
    hints = as_mask(trimap, picture.shape, "trimap")
    unknown = (hints > 0.1) & (hints < 0.9)
    if not unknown.any():
        return (hints >= 0.9).astype(np.float32)
    for side, known in (("foreground", hints >= 0.9), ("background", hints <= 0.1)):
        if not known.any():
            raise InputError(f"The trimap has no known {side}.", f"Mark some pixels that are certainly {side}.")
    steps = Progress.of(progress)
    steps(0.0, title)
    import pymatting

    estimate: Any = getattr(pymatting, function)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its notes on thresholds and versions are not for our users
            alpha = threaded(lambda: estimate(picture.astype(np.float64), hints.astype(np.float64)))
    except (ValueError, ArithmeticError, np.linalg.LinAlgError) as error:
        raise InputError(f"{title} found no solution ({error}).", "Choose another matting method.") from None
    if not np.isfinite(alpha).all():
        raise InputError(f"{title} found no solution.", "Choose another matting method.")
    steps(1.0)
    result: Array = np.clip(alpha, 0, 1).astype(np.float32)
    result[~unknown] = hints[~unknown] >= 0.9
    return result
