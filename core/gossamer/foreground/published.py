"""The published methods that PyMatting implements: multi-level (Germer 2020) and closed form (Levin 2008)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike

from gossamer.arrays import Array
from gossamer.foreground.checks import check_pair
from gossamer.progress import Progress, ProgressCallback

__all__ = ["closed_form_layers", "multilevel", "multilevel_layers"]

T = TypeVar("T")

# PyMatting prints a warning when its incomplete Cholesky factor fails without a shift: begin with one.
_SHIFTS = (1e-3, 1e-2, 0.1, 0.5, 1.0, 10.0)


def multilevel(image: ArrayLike, alpha: ArrayLike, *, progress: Progress | ProgressCallback | None = None) -> Array:
    """Estimate the foreground's colours by the multi-level method.

    Parameters
    ----------
    image : (H, W, 3) array-like
        The picture: floats in [0, 1], uint8 or uint16.
    alpha : (H, W) array-like
        1 where the foreground is: floats in [0, 1], uint8, uint16 or bool.
    progress : callable, optional
        Called as ``progress(fraction, message)``; may raise to cancel.

    Returns
    -------
    (H, W, 3) float32
        The foreground's straight colours in [0, 1].

    Raises
    ------
    InputError
        A wrong shape, type or size, values outside [0, 1] or not finite.

    References
    ----------
    T. Germer, T. Uelwer, S. Conrad, S. Harmeling, "Fast Multi-Level Foreground Estimation", ICPR 2020.
    """
    report = Progress.of(progress)
    report(0.0, "Estimating foreground colours")
    foreground, _ = multilevel_layers(*check_pair(image, alpha), report)
    report(1.0)
    return foreground


def multilevel_layers(image: Array, alpha: Array, progress: Progress) -> tuple[Array, Array]:
    """Return foreground and background of checked arrays by the multi-level method."""
    from pymatting.foreground.estimate_foreground_ml import estimate_foreground_ml

    single = alpha.size == 1  # whose number of levels would be the logarithm of one
    picture = np.repeat(image, 2, axis=1) if single else image
    matte = np.repeat(alpha, 2, axis=1) if single else alpha

    def work(stop: threading.Event) -> tuple[Array, Array]:
        front, back = estimate_foreground_ml(picture, matte, return_background=True)
        return front, back

    front, back = _ticking(work, progress)
    width = image.shape[1]
    return _with_what_is_seen(image, alpha, front[:, :width], back[:, :width])


def closed_form_layers(image: Array, alpha: Array, progress: Progress) -> tuple[Array, Array]:
    """Return foreground and background of checked arrays by the closed-form method."""
    from pymatting.foreground.estimate_foreground_cf import estimate_foreground_cf

    def work(stop: threading.Event) -> tuple[Array, Array]:
        def look(*_: object) -> None:
            if stop.is_set():
                raise _StopError

        front, back = estimate_foreground_cf(
            image.astype(np.float64),
            alpha.astype(np.float64),
            return_background=True,
            ichol_kwargs={"shifts": _SHIFTS},
            # An absolute bound too: where a channel is 0 everywhere there is no relative one.
            cg_kwargs={"callback": look, "atol": 1e-7 * alpha.size**0.5},
        )
        return front.astype(np.float32), back.astype(np.float32)

    return _with_what_is_seen(image, alpha, *_ticking(work, progress))


def _with_what_is_seen(image: Array, alpha: Array, front: Array, back: Array) -> tuple[Array, Array]:
    """Write the picture where one layer is all that is seen: smoothness pulls the solvers away from it there."""
    np.copyto(front, image, where=(alpha == 1)[:, :, None])
    np.copyto(back, image, where=(alpha == 0)[:, :, None])
    return np.ascontiguousarray(front), np.ascontiguousarray(back)


class _StopError(Exception):
    """Ends a solver that nobody waits for any more."""


def _ticking(work: Callable[[threading.Event], T], progress: Progress) -> T:
    """Run `work` in a thread and give the caller a chance to cancel twenty times a second."""
    stop = threading.Event()
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work(stop))
        except _StopError:
            pass
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="gossamer-foreground", daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(0.05)
            progress.tick()
    except BaseException:
        stop.set()
        raise
    if errors:
        raise errors[0]
    return results[0]
