"""Conjugate gradients that can be stopped."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer.progress import Progress

__all__ = ["conjugate_gradients"]

_Vector = NDArray[Any]


def conjugate_gradients(
    product: Callable[[_Vector], _Vector],
    precondition: Callable[[_Vector], _Vector],
    residual: _Vector,
    goal: float,
    most: int,
    progress: Progress,
    unsettled: Callable[[], object],
) -> _Vector:
    """Solve A x = r for a symmetric, positive (semi)definite A (Hestenes and Stiefel 1952).

    Parameters
    ----------
    product : callable
        ``product(x)``: A x, a new array.
    precondition : callable
        ``precondition(r)``: about A⁻¹ r, a new array.
    residual : ndarray
        The right-hand side, of any shape; used up.
    goal : float
        Norm of the residual at which to stop.
    most : int
        Iterations after which to stop anyway.
    progress : Progress
        Called once an iteration; may raise to cancel.
    unsettled : callable
        Called at the end where `most` iterations did not reach the goal.

    Returns
    -------
    ndarray
        x, of the shape and type of `residual`.
    """
    x = np.zeros_like(residual)
    start = norm = least = _norm(residual)
    if norm <= goal or norm == 0:
        return x
    z = precondition(residual)
    direction, old = z.copy(), _inner(residual, z)
    for _ in range(most):
        image = product(direction)
        curvature = _inner(direction, image)
        if not (curvature > 0 and old > 0):  # nothing is left but what rounding makes
            break
        step = residual.dtype.type(old / curvature)
        x += step * direction
        residual -= step * image
        norm = _norm(residual)
        if norm <= goal:
            break
        least = min(least, norm)  # the norm need not fall in every iteration
        progress(math.log(start / least) / math.log(start / goal) if goal > 0 else 0.0)
        z = precondition(residual)
        old, before = _inner(residual, z), old
        direction *= residual.dtype.type(old / before)
        direction += z
    else:
        unsettled()
    return x


def _inner(a: _Vector, b: _Vector) -> float:
    # In double whatever the vectors are; not by BLAS, which adds up in another order where there are more cores.
    return float(np.einsum("i,i->", a.reshape(-1), b.reshape(-1), dtype=np.float64))


def _norm(a: _Vector) -> float:
    return math.sqrt(_inner(a, a))
