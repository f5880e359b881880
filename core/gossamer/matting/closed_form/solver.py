"""Conjugate gradients for the matting Laplacian on the free pixels of a picture."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer.matting.closed_form.layout import BLOCK, Layout, Team
from gossamer.matting.closed_form.multigrid import CoarseSpace
from gossamer.native import COUNT, EXACT, FOUND, NUMBER, PLACE, function, places
from gossamer.progress import Progress

__all__ = ["Groundwork", "solve"]

_Array = NDArray[np.float32]

_build_weights = function(
    *("build_weights", PLACE, COUNT, COUNT, *7 * (PLACE,), COUNT, EXACT, COUNT, COUNT, PLACE, PLACE),
)
_bound = function("bound", PLACE, PLACE, PLACE, COUNT, COUNT, COUNT, PLACE)
_apply = function(
    *("apply", *4 * (FOUND,), *4 * (COUNT,), NUMBER, NUMBER, *5 * (FOUND,)),
    result=EXACT,
)
_apply_both = function(
    *("apply_both", *4 * (FOUND,), *7 * (COUNT,), *3 * (NUMBER,), *5 * (FOUND,)),
    result=EXACT,
)
_advance = function("advance", FOUND, COUNT, COUNT, NUMBER, NUMBER, *5 * (FOUND,), result=EXACT)

_RATIO = 8.0  # the smoother works on the upper 7/8 of the spectrum, which ends at 2
_MIDDLE, _HALF = 1 + 1 / _RATIO, 1 - 1 / _RATIO
_FIRST = 1 / _MIDDLE  # of two Chebyshev steps: share of the scaled residual in the first,
_RHO = 1 / (2 * _MIDDLE / _HALF - _HALF / _MIDDLE)
_SECOND = _RHO * _HALF / _MIDDLE, 2 * _RHO / _HALF  # of the first step and of the residual in the second
_MOST = 400  # iterations; ordinary pictures need 15 to 60


class Groundwork:
    """What the free pixels and their colours alone say of the equations: made before weights and targets are known.

    Parameters
    ----------
    image : (H, W, 3) float32 ndarray
        At least 3 x 3 pixels.
    free : (H, W) bool ndarray
        What to solve for; at least one pixel.
    epsilon : float
        See :func:`gossamer.matting.closed_form.alpha.closed_form_alpha`.
    team : Team
        Who makes it.
    """

    def __init__(self, image: _Array, free: NDArray[np.bool_], epsilon: float, team: Team) -> None:
        image = np.ascontiguousarray(image)
        self.layout = layout = Layout(free)
        seg, win = layout.segments, layout.windows
        self.weights = np.zeros(12 * layout.step, np.float32)
        height, width = free.shape
        segments = seg.pointer, seg.x, seg.length, seg.start, win.pointer, win.x, win.length

        def build(top: int, bottom: int) -> None:
            room = np.empty((45, width + 32))
            _build_weights(image, height, width, *segments, layout.step, epsilon, top, bottom, room, self.weights)

        team.run(build, layout.bands())
        self.inside = layout.gather(free)
        self.near = layout.near(self.inside)
        team.tick()
        self.coarse = CoarseSpace(layout, self.inside, layout.gather_colours(image), team)


class _Matrix:
    """A = L + diag(data) on the compact pixels, and the passes over memory that the solver is made of."""

    def __init__(self, ground: Groundwork, data: NDArray[Any] | None, team: Team) -> None:
        self.layout = layout = ground.layout
        self.weights, self._near = ground.weights, ground.near
        self._team = team
        self.data = np.zeros(layout.size, np.float32) if data is None else layout.gather(data)
        self._shares = layout.shares(len(self._near))
        self._all = layout.shares(layout.size // BLOCK)
        self._none = np.zeros(0, np.float32)
        self.scale = np.empty(layout.size, np.float32)
        self.scale.fill(1)
        # Sums of absolute weights bound the spectrum of the scaled matrix by 2, whatever the picture.
        team.run(
            lambda a, b: _bound(self.weights, self.data, self._near, layout.step, a, b, self.scale),
            self._shares,
        )
        np.divide(1, np.maximum(self.scale, 1e-9), out=self.scale)
        self.scale *= ground.inside
        self._places = places(self.weights, self.data, self.scale, self._near)
        self._found: dict[tuple[int, ...], tuple[Any, ...]] = {}
        self._lag = layout.lag(self._near)

    def _at(self, *vectors: _Array) -> tuple[Any, ...]:
        """Return `places` of vectors, found once: a solution goes through the same few many times."""
        key = tuple(map(id, vectors))
        if key not in self._found:
            self._found[key] = places(*vectors), vectors  # which are held, so that no other gets the same id
        return self._found[key][0]  # type: ignore[no-any-return]

    def _run(
        self, mode: int, x: _Array, r: _Array, z: _Array, out: _Array, rest: _Array, c1: float = 0.0, c2: float = 0.0
    ) -> float:
        step, matrix, vectors = self.layout.step, self._places, self._at(x, r, z, out, rest)
        parts = self._team.run(lambda a, b: _apply(*matrix, step, a, b, mode, c1, c2, *vectors), self._shares)
        return float(sum(parts))

    def product(self, x: _Array, out: _Array) -> float:
        """Write A x to `out`; return x'Ax."""
        return self._run(0, x, self._none, self._none, out, self._none)

    def residual(self, r: _Array, x: _Array, out: _Array) -> None:
        """Write r - A x to `out`."""
        self._run(1, x, r, self._none, out, self._none)

    def smooth(self, r: _Array, z: _Array, first: _Array, second: _Array, rest: _Array) -> None:
        """Begin `z` with two Chebyshev steps for the residual `r`; `first` is the first of them, and then r - A z."""
        self._run_both(False, first, r, z, second, rest)

    def smooth_again(self, r: _Array, z: _Array, first: _Array, rest: _Array) -> float:
        """Add two Chebyshev steps to `z`; return r . z."""
        return self._run_both(True, self._none, r, z, first, rest)

    def _run_both(self, again: bool, x: _Array, r: _Array, z: _Array, out: _Array, rest: _Array) -> float:
        """Run two modes in one pass over the matrix, and the second by itself where the shares meet."""
        step, lag, matrix, count = self.layout.step, self._lag, self._places, len(self._near)
        vectors = self._at(x, r, z, out, rest)

        def work(a: int, b: int) -> float:
            low, high = lag if a > 0 else 0, lag if b < count else 0
            return float(_apply_both(*matrix, step, a, b, lag, low, high, again, _FIRST, *_SECOND, *vectors))

        total = float(sum(self._team.run(work, self._shares)))
        seams = []
        for a, b in self._shares:
            after = min(a + lag, b) if a > 0 else a
            seams += [(a, after), (max(b - lag, after), b)] if b < count else [(a, after)]
        seams = [(a, b) for a, b in seams if a < b]
        if seams:
            mode, given = (4, (out, r, z, self._none, rest)) if again else (1, (out, rest, self._none, x, self._none))
            addresses = self._at(*given)
            parts = self._team.run(lambda a, b: _apply(*matrix, step, a, b, mode, *_SECOND, *addresses), seams)
            total += float(sum(parts))
        return total

    def advance(self, length: float, p: _Array, product: _Array, x: _Array, r: _Array, first: _Array) -> float:
        """Let x += length p and r -= length product; begin the next smoothing in `first`; return r . r."""
        scale, vectors = self._places[2], self._at(p, product, x, r, first)
        parts = self._team.run(lambda a, b: _advance(scale, a, b, length, _FIRST, *vectors), self._all)
        return float(sum(parts))


def solve(
    image: _Array,
    free: NDArray[np.bool_],
    values: _Array,
    data: _Array | None,
    target: _Array | None,
    epsilon: float,
    tolerance: float,
    progress: Progress,
    ground: Groundwork | None = None,
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
        See :func:`gossamer.matting.closed_form.alpha.closed_form_alpha`.
    progress : Progress
    ground : Groundwork, optional
        What was made of the first two and `epsilon` before.
    """
    team = Team(progress)
    try:
        ground = ground or Groundwork(image, free, epsilon, team)
        matrix = _Matrix(ground, data, team)
        layout, coarse = matrix.layout, ground.coarse
        progress(0.1)
        # The fixed pixels' part of the equations, brought to the right-hand side.
        right = np.zeros(layout.size, np.float32)
        if data is not None and target is not None:
            right = matrix.data * layout.gather(target) * (matrix.scale > 0)
        matrix.residual(right, layout.gather(values), right)
        team.tick()
        coarse.build(matrix.weights, matrix.data, matrix.scale, team)
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
        matrix.smooth(r, z, first, second, work)
        coarse.add_correction(first, z)
        return matrix.smooth_again(r, z, first, work)

    start = matrix.advance(0.0, x, x, x, r, first)
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
            matrix.advance(0.0, p, work, x, r, first)
            rz = precondition()
            p[:] = z
            continue
        rest = matrix.advance(rz / curvature, p, work, x, r, first)
        # The residual, not the last step, tells how good alpha is: where a leaf cuts a piece off the sky, the piece's
        # alpha hangs on hardly anything, stays wrong for ten iterations of tiny steps and then moves at once.
        if rest <= goal:
            break
        progress(math.log(start / max(rest, goal)) / math.log(start / goal))
        last, rz = rz, precondition()
        p *= np.float32(rz / last)
        p += z
    return x
