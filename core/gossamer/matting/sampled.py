"""KNN and learning-based matting: what they accept and give."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gossamer.arguments import check_call
from gossamer.arrays import Array, as_mask, as_rgb
from gossamer.errors import InputError
from gossamer.parallel.patience import patiently
from gossamer.progress import Progress, ProgressCallback

__all__ = ["knn_alpha", "learning_based_alpha"]

_log = logging.getLogger("gossamer")


def knn_alpha(
    image: ArrayLike,
    trimap: ArrayLike,
    *,
    progress: Progress | ProgressCallback | None = None,
    warn: Callable[[str], object] | None = None,
) -> Array:
    """Estimate alpha by KNN matting: pixels that look alike, near or far, have the same alpha.

    Parameters
    ----------
    image : (H, W, 3) array
        RGB, uint8, uint16 or floats in [0, 1].
    trimap : (H, W) array
        uint8, uint16 or floats in [0, 1]. At most 0.1: background; at least 0.9: foreground; between: unknown.
    progress : callable, optional
        ``progress(fraction, message)``, called several times a second; raising in it stops the work.
    warn : callable, optional
        Told in one sentence where the solution had not settled in the end. Without it that goes to the logger
        ``gossamer`` as a warning.

    Returns
    -------
    (H, W) float32

    Raises
    ------
    InputError
        Sizes differ, values lie outside [0, 1], or the trimap has no known foreground or background.
    DeviceError
        There is not enough memory for so many unknown pixels.

    References
    ----------
    .. [1] Chen, Li, Tang: "KNN matting", TPAMI 35 (9), 2013.
    """
    from gossamer.matting.knn import solve_knn

    return _solved(solve_knn, "KNN matting", image, trimap, progress, warn)


def learning_based_alpha(
    image: ArrayLike,
    trimap: ArrayLike,
    *,
    progress: Progress | ProgressCallback | None = None,
    warn: Callable[[str], object] | None = None,
) -> Array:
    """Estimate alpha by learning-based matting: alpha is a local linear function that is learned a window.

    Parameters, result and errors are those of :func:`knn_alpha`.

    References
    ----------
    .. [1] Zheng, Kambhamettu: "Learning based digital matting", ICCV 2009.
    """
    from gossamer.matting.learning import solve_learning

    return _solved(solve_learning, "Learning-based matting", image, trimap, progress, warn)


def _solved(
    solve: Callable[
        [Array, NDArray[np.bool_], NDArray[np.bool_], Progress, Callable[[str], object]],
        NDArray[Any],
    ],
    title: str,
    image: ArrayLike,
    trimap: ArrayLike,
    progress: Progress | ProgressCallback | None,
    warn: Callable[[str], object] | None,
) -> Array:
    check_call(warn, "warn", "warn(sentence)")
    steps = Progress.of(progress)
    steps(0.0, title)
    picture, unknown, foreground = patiently(lambda: _checked(image, trimap), steps)
    result: Array = foreground.astype(np.float32)
    if unknown.any():
        result[unknown] = np.clip(solve(picture, unknown, foreground, steps, warn or _log.warning), 0, 1)
    steps(1.0)
    return result


def _checked(image: ArrayLike, trimap: ArrayLike) -> tuple[Array, NDArray[np.bool_], NDArray[np.bool_]]:
    """Return the picture, which pixels are unknown, and which are certain foreground."""
    picture = as_rgb(image, "picture")
    hints = as_mask(trimap, picture.shape, "trimap")
    unknown: NDArray[np.bool_] = (hints > 0.1) & (hints < 0.9)
    if unknown.any():
        for side, known in (("foreground", hints >= 0.9), ("background", hints <= 0.1)):
            if not known.any():
                raise InputError(f"The trimap has no known {side}.", f"Mark some pixels that are certainly {side}.")
    return picture, unknown, hints >= 0.9
