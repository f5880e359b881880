"""Conjugate gradients for the matting Laplacian on the free pixels of a picture."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer.matting import closed_form_kernels as kernels
from gossamer.matting.closed_form_layout import BLOCK, Layout, Team
from gossamer.matting.closed_form_multigrid import CoarseSpace
from gossamer.progress import Progress

__all__ = ["solve"]

_Array = NDArray[np.float32]

_RATIO = 8.0  # the smoother works on the upper 7/8 of the spectrum
_MOST = 400  # iterations; ordinary pictures need 15 to 60


class _Matrix:
    """A = L + diag(data) on the compact pixels, its smoother and the products that the solver needs."""

    def __init__(
        self, image: _Array, free: NDArray[np.bool_], data: NDArray[Any] | None, epsilon: float, team: Team
    ) -> None:
        self.layout = layout = Layout(free)
        self._team = team
        seg, win = layout.segments, layout.windows
        self._segments = (seg.pointer, seg.x, seg.length, seg.start)
        self._bands = layout.bands()
        self.weights = np.empty(12 * layout.size, np.float32)
        team.run(
            lambda a, b: kernels.build_weights(
                image, *self._segments, win.pointer, win.x, win.length, epsilon, a, b, self.weights
            ),
            self._bands,
        )
        self.free = layout.gather(free)
        self.data = np.zeros(layout.size, np.float32) if data is None else layout.gather(data)
        self._none = np.zeros(0, np.float32)
        self.scale = np.empty(layout.size, np.float32)
        # Sums of absolute weights bound the spectrum of the scaled matrix by 2, whatever the picture.
        self._run(3, self._none, self.scale)
        np.divide(1, np.maximum(self.scale, 1e-9), out=self.scale)
        self.scale *= self.free

    def _run(
        self,
        mode: int,
        x: _Array,
        out: _Array,
        r: _Array | None = None,
        z: _Array | None = None,
        c1: float = 0.0,
        c2: float = 0.0,
    ) -> float:
        r, z = (self._none if a is None else a for a in (r, z))
        parts = self._team.run(
            lambda a, b: kernels.apply(
                self.weights, self.data, self.scale, *self._segments, self.layout.span, a, b, mode, c1, c2, x, r, out, z
            ),
            self._bands,
        )
        return float(sum(parts))

    def product(self, x: _Array, out: _Array) -> float:
        """Write A x to `out`; return x'Ax."""
        return self._run(0, x, out)

    def residual(self, r: _Array, x: _Array, out: _Array) -> None:
        """Write r - A x to `out`."""
        self._run(1, x, out, r)

    def smooth(self, r: _Array, z: _Array, first: _Array, second: _Array) -> _Array:
        """Add two Chebyshev steps for the residual `r` to `z`; return the last step (its product is not in r)."""
        low = 2 / _RATIO
        mid, half = (2 + low) / 2, (2 - low) / 2
        sigma = mid / half
        rho = 1 / (2 * sigma - 1 / sigma)
        np.multiply(self.scale, r, out=first)
        first *= np.float32(1 / mid)
        z += first
        self._run(2, first, second, r, z, rho / sigma, 2 * rho / half)
        return second


def _dot(a: _Array, b: _Array) -> float:
    """Sum of products, the same for any number of threads (BLAS does not promise that)."""
    parts = np.einsum("bj,bj->b", a.reshape(-1, BLOCK), b.reshape(-1, BLOCK))
    return float(parts.sum(dtype=np.float64))


def solve(
    image: _Array,
    free: NDArray[np.bool_],
    values: _Array,
    data: _Array | None,
    target: _Array | None,
    epsilon: float,
    tolerance: float,
    progress: Progress,
) -> _Array:
    """Return the free pixels' alpha, in the order of ``array[free]``, not clipped.

    Parameters
    ----------
    image : (H, W, 3) float32 ndarray
        At least 3 x 3 pixels.
    free : (H, W) bool ndarray
        What to solve for; at least one pixel.
    values : (H, W) float32 ndarray
        Alpha of the other pixels; zero where free.
    data, target : (H, W) float32 ndarray or None
        Weight and target of the soft constraints.
    epsilon, tolerance : float
        See :func:`gossamer.matting.closed_form.closed_form_alpha`.
    progress : Progress
    """
    team = Team(progress)
    try:
        matrix = _Matrix(image, free, data, epsilon, team)
        layout = matrix.layout
        progress(0.1)
        # The fixed pixels' part of the equations, brought to the right-hand side.
        right = np.zeros(layout.size, np.float32)
        if data is not None and target is not None:
            right = matrix.data * layout.gather(target)
        matrix.residual(right, layout.gather(values), right)
        team.tick()
        colour = np.empty((3, layout.size), np.float32)
        for c in range(3):
            colour[c] = layout.gather(image[..., c])
            team.tick()
        coarse = CoarseSpace(layout, matrix.weights, matrix.data, matrix.scale, colour, team)
        progress(0.3)
        x = _conjugate_gradients(matrix, coarse, right, tolerance, progress.part(0.3, 1.0))
        return layout.scatter(x)[free]
    finally:
        team.close()


def _conjugate_gradients(
    matrix: _Matrix, coarse: CoarseSpace, r: _Array, tolerance: float, progress: Progress
) -> _Array:
    """Solve A x = r; `r` is used up."""
    x, z, first, second, work = (np.zeros_like(r) for _ in range(5))

    def precondition() -> float:
        work[:] = r
        z[:] = 0
        matrix.residual(work, matrix.smooth(work, z, first, second), work)
        coarse.add_correction(work, z)
        matrix.residual(r, z, work)
        matrix.smooth(work, z, first, second)
        return _dot(r, z)

    start = _dot(r, r)
    if start == 0:
        return x
    goal = start * tolerance**2
    rz = precondition()
    p = z.copy()
    for _ in range(_MOST):
        curvature = matrix.product(p, work)
        if not (rz > 0 and curvature > 0):
            # Rounding made the preconditioner indefinite: shift its coarsest matrix and begin again from here.
            if not coarse.strengthen():
                break
            rz = precondition()
            p[:] = z
            continue
        step = np.float32(rz / curvature)
        np.multiply(p, step, out=first)
        x += first
        work *= step
        r -= work
        rest = _dot(r, r)
        # The residual, not the last step, tells how good alpha is: where a leaf cuts a piece off the sky, the piece's
        # alpha hangs on hardly anything, stays wrong for ten iterations of tiny steps and then moves at once.
        if rest <= goal:
            break
        progress(math.log(start / max(rest, goal)) / math.log(start / goal))
        last, rz = rz, precondition()
        p *= np.float32(rz / last)
        p += z
    return x
