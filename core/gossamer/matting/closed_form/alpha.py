"""Closed-form matting: the alpha that makes every small window a line of colours.

Levin, Lischinski and Weiss, "A closed-form solution to natural image matting", TPAMI 2008. The matte minimises
a'La, where L is the matting Laplacian: within every 3 x 3 window alpha should be an affine function of the colours.
Known pixels are eliminated exactly and the rest is solved by conjugate gradients, preconditioned by a multigrid of
our own (:mod:`gossamer.matting.closed_form.multigrid`). The solution is the one of pymatting's ``estimate_alpha_cf``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gossamer.arrays import as_mask, as_rgb, box_around, check_size
from gossamer.errors import InputError
from gossamer.native import library
from gossamer.progress import Progress, ProgressCallback

if TYPE_CHECKING:
    from gossamer.matting.closed_form.solver import Groundwork

__all__ = ["closed_form_alpha", "groundwork", "solve_matting_laplacian"]

_Array = NDArray[np.float32]

_REACH = 2  # pixels: so much further reach windows that hold a free pixel


def closed_form_alpha(
    image: ArrayLike,
    trimap: ArrayLike,
    *,
    epsilon: float = 1e-7,
    tolerance: float = 3e-6,
    progress: Progress | ProgressCallback | None = None,
) -> _Array:
    """Estimate alpha from a trimap by closed-form matting.

    Parameters
    ----------
    image : (H, W, 3) array
        RGB: uint8, uint16 or floats in [0, 1].
    trimap : (H, W) array
        uint8, uint16 or floats in [0, 1]. At most 0.1: background; at least 0.9: foreground; between: unknown.
    epsilon : float
        Regularisation of the windows' colour covariance, in squared colour units. Larger is smoother.
    tolerance : float
        Norm of the equations' residual, relative to that of alpha = 0 in the unknown pixels, at which to stop. With
        the default alpha is off by about 0.0001 on average.
    progress : callable, optional
        Called as ``progress(fraction, message)``; an exception that it raises stops the work and passes through.

    Returns
    -------
    (H, W) float32 ndarray
        Alpha in [0, 1]; exactly 0 and 1 where the trimap is known.

    Raises
    ------
    InputError
        The sizes differ, there are NaN or infinite values or values outside [0, 1], or pixels are unknown and
        the trimap has no known foreground or no known background.

    References
    ----------
    .. [1] Levin, Lischinski, Weiss: "A closed-form solution to natural image matting", TPAMI 30 (2), 2008.
    """
    picture = as_rgb(image, "picture")
    hints = as_mask(trimap, picture.shape, "trimap")
    foreground, unknown = hints >= 0.9, (hints > 0.1) & (hints < 0.9)
    if unknown.any() and (not foreground.any() or (foreground | unknown).all()):
        lacks = "foreground" if not foreground.any() else "background"
        raise InputError(
            f"The trimap has no known {lacks}, so there is nothing to tell the unknown pixels apart by.",
            f"Mark some pixels that are certainly {lacks} ({1 if lacks == 'foreground' else 0}) in the trimap.",
        )
    return solve_matting_laplacian(
        picture, ~unknown, foreground.astype(np.float32), epsilon=epsilon, tolerance=tolerance, progress=progress
    )


def solve_matting_laplacian(
    image: ArrayLike,
    known: ArrayLike,
    values: ArrayLike,
    *,
    weight: ArrayLike | None = None,
    target: ArrayLike | None = None,
    epsilon: float = 1e-7,
    tolerance: float = 3e-6,
    progress: Progress | ProgressCallback | None = None,
    ground: Groundwork | None = None,
) -> _Array:
    """Minimise a'La + sum of weight (a - target)^2 with some pixels of a fixed.

    L is the matting Laplacian of windows of 3 x 3 pixels [1]_, scaled as in pymatting (every window adds at most 1
    to the diagonal of a pixel).

    Parameters
    ----------
    image : (H, W, 3) array
        RGB in [0, 1].
    known : (H, W) bool array
        True where alpha is fixed.
    values : (H, W) array
        The fixed values in [0, 1]; read where `known`.
    weight : (H, W) array, optional
        How much a free pixel is drawn to its target; at least 0.
    target : (H, W) array, optional
        The targets in [0, 1]; needed with `weight`.
    epsilon, tolerance, progress
        As in :func:`closed_form_alpha`.
    ground : Groundwork, optional
        What :func:`groundwork` made of the same picture, known pixels and `epsilon` before.

    Returns
    -------
    (H, W) float32 ndarray
        The minimiser, clipped to [0, 1]. Where the picture is too small for a window (less than 3 pixels in a
        direction) and there is no weight, a free pixel takes the value of the nearest fixed one.

    Raises
    ------
    InputError
        The sizes or ranges are wrong, or nothing fixes the solution: no known pixel and no positive weight.
    """
    picture = as_rgb(image, "picture")
    fixed = np.asarray(known)
    if fixed.dtype != np.bool_ or fixed.shape != picture.shape[:2]:
        raise InputError(
            f"known must be a bool array of the picture's size {picture.shape[:2]}, not {fixed.dtype} {fixed.shape}.",
            "Pass known = (trimap <= 0.1) | (trimap >= 0.9).",
        )
    alpha = np.where(fixed, as_mask(values, picture.shape, "values", measured=True), np.float32(0))
    pull = goal = None
    if weight is not None:
        if target is None:
            raise InputError("A weight was given without a target.", "Pass target as well.")
        pull = _checked_weight(weight, picture)
        goal = as_mask(target, picture.shape, "target", measured=True)
    if not (0 < epsilon < math.inf and 0 < tolerance < math.inf):
        raise InputError(f"epsilon ({epsilon}) and tolerance ({tolerance}) must be positive.", "Use the defaults.")
    report = Progress.of(progress)
    report(0.0, "Closed-form matting")
    free = ~fixed
    if free.any():
        if not fixed.any() and (pull is None or not pull.any()):
            raise InputError("Every pixel is unknown.", "Mark some pixels as certainly foreground or background.")
        if min(alpha.shape) < 3:
            _fill_tiny(alpha, free, pull, goal)
        else:
            solve, box = _solver(), box_around(free, _REACH)
            alpha[box][free[box]] = solve(
                picture[box],
                free[box],
                alpha[box],
                None if pull is None else pull[box],
                None if goal is None else goal[box],
                epsilon,
                tolerance,
                report,
                ground,
            )
    report(1.0, "Closed-form matting")
    return np.clip(alpha, 0, 1, out=alpha)


def groundwork(image: _Array, free: NDArray[np.bool_], epsilon: float) -> Groundwork | None:
    """Begin :func:`solve_matting_laplacian` for these free pixels, before weight and target are known, in one thread.

    Parameters
    ----------
    image : (H, W, 3) float32 ndarray
        RGB in [0, 1].
    free : (H, W) bool ndarray
        What is not known.
    epsilon : float
        As in :func:`closed_form_alpha`.

    Returns
    -------
    Groundwork or None
        None where there is nothing to begin with.
    """
    if library() is None or min(free.shape) < 3 or not free.any():
        return None
    from gossamer.matting.closed_form.layout import Team
    from gossamer.matting.closed_form.solver import Groundwork

    box, team = box_around(free, _REACH), Team(Progress(), 1)
    try:
        return Groundwork(image[box], free[box], epsilon, team)
    finally:
        team.close()


def _solver() -> Any:
    """Return the solver with kernels in C or, where these were not compiled, the one in SciPy."""
    if library() is None:
        from gossamer.matting.closed_form import plain as closed_form_plain

        return closed_form_plain.solve
    from gossamer.matting.closed_form import solver as closed_form_solver

    return closed_form_solver.solve


def _fill_tiny(alpha: _Array, free: NDArray[np.bool_], pull: _Array | None, goal: _Array | None) -> None:
    """Answer where no window fits: the targets where weighted, else the nearest settled pixel (at most 2 x N)."""
    if pull is not None and goal is not None:
        drawn = free & (pull > 0)
        alpha[drawn] = goal[drawn]
        free = free & ~drawn
    if not free.any():
        return
    import cv2

    labels = cv2.distanceTransformWithLabels(
        free.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )[1]
    settled = np.zeros(int(labels.max()) + 1, np.float32)
    settled[labels[~free]] = alpha[~free]
    alpha[free] = settled[labels[free]]


def _checked_weight(weight: ArrayLike, picture: _Array) -> _Array:
    pull = np.asarray(weight, np.float32)
    check_size(pull.shape, picture.shape, "weight")
    if not (float(pull.min()) >= 0 and float(pull.max()) < math.inf):  # NaN fails every comparison
        raise InputError("The weight must be finite and at least 0.", "Clip it, and replace NaN.")
    return pull
