"""How steadily mattes follow the truth from frame to frame."""

from __future__ import annotations

import numpy as np

from gossamer.arrays import Array
from gossamer.errors import InputError

__all__ = ["dtssd"]


def dtssd(mattes: Array, truths: Array) -> float:
    """Return dtSSD x 100: how far the changes of mattes from frame to frame are from those of the truth.

    The mean over the steps of the root of each one's mean square, as Robust Video Matting's authors reckon it
    (evaluation/evaluate_lr.py); the root of the mean square over all steps is a little larger.

    Parameters
    ----------
    mattes, truths : (T, H, W) float32
        In [0, 1].

    Raises
    ------
    InputError
        They differ in shape, or are of a single frame.

    References
    ----------
    M. Erofeev, Y. Gitman, D. Vatolin, A. Fedorov, J. Wang, "Perceptually Motivated Benchmark for Video Matting",
    BMVC 2015.
    """
    if mattes.shape != truths.shape or mattes.ndim != 3 or len(mattes) < 2:
        raise InputError("Steadiness is that of two frames or more, with as many truths.", "Give whole clips.")
    steps = np.diff(mattes, axis=0) - np.diff(truths, axis=0)
    return float(100 * np.sqrt(np.square(steps).mean((1, 2), dtype=np.float64)).mean())
