"""The coarse space of the closed-form solver: hats times {1, R, G, B}.

Within a small window the closed-form model says that alpha is an affine function of the colours. What a local
smoother cannot reduce therefore looks, over larger distances, like a slowly varying affine function of the colours:
on hats of spacing 8, 16, 32... pixels times {1, R, G, B} the error that is left is represented well, and conjugate
gradients need a tenth of the iterations that they need with plain bilinear coarse functions.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer.matting.closed_form.layout import BLOCK, Layout, Team
from gossamer.native import COUNT, FOUND, PLACE, function, places

__all__ = ["CoarseSpace"]

_Array = NDArray[Any]

_galerkin = function(
    "galerkin",
    *4 * (PLACE,),
    COUNT,
    PLACE,
    *3 * (COUNT,),
    *3 * (PLACE,),
    COUNT,
    COUNT,
    *3 * (PLACE,),
    COUNT,
    COUNT,
    PLACE,
)
_restrict = function("restrict", FOUND, COUNT, *4 * (FOUND,), COUNT, COUNT, FOUND)
_prolong = function("prolong", FOUND, COUNT, *6 * (FOUND,), COUNT, COUNT, FOUND)
_chebyshev = function("chebyshev", *3 * (FOUND,), *8 * (COUNT,), *4 * (FOUND,))
_lift = function("lift", *3 * (PLACE,), COUNT, COUNT, PLACE)
_lower = function("lower", *3 * (PLACE,), COUNT, PLACE)
_factorise = function("factorise", PLACE, PLACE, COUNT, PLACE, result=COUNT)
_solve = function("solve", PLACE, PLACE, COUNT, PLACE, PLACE)
_keep = function("keep", PLACE, COUNT, COUNT, PLACE, PLACE)
_coarsen = function("coarsen", *6 * (PLACE,), COUNT, COUNT, PLACE)
_moments = function("moments", PLACE, COUNT, PLACE, PLACE, COUNT, COUNT, *3 * (PLACE,))
_meet = function("meet", *4 * (PLACE,), COUNT, COUNT, *3 * (PLACE,))
_bases = function("bases", PLACE, COUNT, COUNT, PLACE)
_corners = function("corners", *4 * (PLACE,), COUNT, COUNT, PLACE)
_around = function("around", PLACE, COUNT, COUNT, PLACE, PLACE, COUNT, PLACE)
_parents = function("parents", PLACE, PLACE, *3 * (COUNT,), *3 * (PLACE,), result=COUNT)
_ascend = function("ascend", PLACE, PLACE, COUNT, PLACE, PLACE, COUNT, *3 * (PLACE,))
_transfer = function("transfer", PLACE, PLACE, COUNT, *6 * (PLACE,))


_DIRECT = 1200  # so many unknowns at most are solved exactly
_STEPS = 4  # of a smoother
_FEW, _MANY = 128, 1024  # cells of a band: where much is done for each, and where little is


def _factors(from_nothing: bool) -> _Array:
    """Return two factors a Chebyshev step for the upper part of a spectrum that ends at 1."""
    low = 1 / 30
    mid, half = (1 + low) / 2, (1 - low) / 2
    rho = half / mid
    found = [] if from_nothing else [(0.0, 1 / mid)]
    for _ in range(_STEPS - 1):
        last, rho = rho, 1 / (2 * mid / half - rho)
        found.append((rho * last, 2 * rho / half))
    return np.array([*found, (0.0, 0.0)], np.float32)


_FIRST = 1 / ((1 + 1 / 30) / 2)
_FROM_NOTHING, _AGAIN = _factors(True), _factors(False)


class _Nodes:
    """The nodes of one level: positions, numbering, mean colour, Gram matrix and basis."""

    def __init__(self, number: _Array, centre: _Array, gram: _Array) -> None:
        self.number = number
        self.centre = centre
        self.gram = gram
        self.basis = np.empty_like(gram)
        _bases(gram, 0, len(gram), self.basis)
        self.y, self.x = (a.astype(np.int32) for a in np.nonzero(number >= 0))
        self.near = np.empty((len(gram), 25), np.int32)
        _around(number, *number.shape, self.y, self.x, len(gram), self.near)

    def __len__(self) -> int:
        return len(self.y)


class _Level:
    """A coarse matrix in 5 x 5 blocks, and a Chebyshev smoother for it."""

    def __init__(self, nodes: _Nodes, stencil: _Array, team: Team) -> None:
        self._team = team
        self.near = nodes.near
        self._count = count = len(nodes)
        own = np.arange(count, dtype=np.int32)[:, None]
        self._lag = int(np.abs(np.where(self.near < 0, own, self.near) - own).max())
        # What lies between two pieces is left to one thread: of two that are as small as this an eighth of the work.
        pieces = min(max(count // max(1536, 3 * _STEPS * self._lag), 1), 16)
        self._cuts = [count * i // pieces for i in range(pieces + 1)]
        self._blocks = np.empty((count, 13, 4, 4), np.float32)  # the matrix is symmetric
        self.scale = np.empty((count, 4), np.float32)
        pairs = itertools.pairwise(count * i // 4 for i in range(5))
        team.run(lambda a, b: _keep(stencil, a, b, self._blocks, self.scale), pairs)
        self._places = places(self.near, self._blocks, self.scale)
        self._room = np.empty((_STEPS + 1, count, 4), np.float32)

    def smooth(self, b: _Array) -> tuple[_Array, _Array]:
        """Four Chebyshev steps on the upper part of the spectrum, from nothing; return x and b - A x."""
        first = self._room[0]
        np.multiply(self.scale, b, out=first)
        first *= np.float32(_FIRST)
        x, rest = first.copy(), b.copy()
        self._step(_FROM_NOTHING, True, rest, x)
        return x, rest

    def smooth_again(self, b: _Array, x: _Array) -> None:
        """Add four steps to `x`."""
        self._room[0] = x
        self._step(_AGAIN, False, b.copy(), x)

    def _step(self, factors: _Array, ends: bool, r: _Array, x: _Array) -> None:
        kept, vectors, cuts = self._places, places(factors, self._room, r, x), self._cuts

        def work(start: int, stop: int, low: int, high: int) -> None:
            _chebyshev(*kept, self._count, start, stop, low, high, self._lag, _STEPS, ends, *vectors)

        last = len(cuts) - 2
        self._team.run(work, [(cuts[i], cuts[i + 1], int(i > 0), -int(i < last)) for i in range(last + 1)])
        if last:
            self._team.run(work, [(cut, cut, -1, 1) for cut in cuts[1:-1]])


class _Bottom:
    """The coarsest matrix, factorised: symmetric, by rows from the first column that is not empty."""

    def __init__(self, nodes: _Nodes) -> None:
        node, k = np.nonzero(nodes.near >= 0)
        other = nodes.near[node, k]
        below = other <= node
        node, k, other = node[below], k[below], other[below]
        left = np.full(len(nodes), len(nodes), np.int64)
        np.minimum.at(left, node, other)
        row = np.arange(4 * len(nodes))
        self._first = np.repeat(4 * left, 4)
        length = row + 1 - self._first
        self._begin = np.concatenate(([0], np.cumsum(length)[:-1]))
        self._size = int(length.sum())
        rows, columns = np.broadcast_arrays(
            4 * node[:, None, None] + np.arange(4)[:, None], 4 * other[:, None, None] + np.arange(4)
        )
        self._lower = columns <= rows
        rows, columns = rows[self._lower], columns[self._lower]
        self._place = self._begin[rows] + columns - self._first[rows]
        self._pairs = node, k, other
        self._diagonal = self._begin + length - 1

    def take(self, stencil: _Array) -> None:
        """Take the matrix's numbers, (N, 25, 4, 4), and factorise it."""
        node, k, other = self._pairs
        # Node k of a neighbourhood sees this one as its node 24 - k: the mean of both makes the matrix symmetric.
        twin = np.swapaxes(stencil[other, 24 - k], 1, 2)
        blocks = (stencil[node, k].astype(np.float64) + twin) / 2
        self._plain = np.zeros(self._size)
        self._plain[self._place] = blocks[self._lower]
        self._shift = 1e-6 / 30
        self.strengthen()

    def strengthen(self) -> bool:
        """Add more to the diagonal and factorise; False at the limit."""
        self._sound = False
        while (shift := self._shift * 30) <= 1:
            self._shift = shift
            self._rows = self._plain.copy()
            own = self._plain[self._diagonal]
            # Functions that a basis lacks: identity.
            self._rows[self._diagonal] += np.where(own > 1e-9, shift * own, 1.0)
            if _factorise(self._first, self._begin, len(self._first), self._rows) == 0:
                self._sound = True
                return True
        return False

    def solve(self, b: _Array) -> _Array:
        """Return the solution for an (N, 4) right-hand side; zero where the matrix is beyond help."""
        if not self._sound:
            return np.zeros_like(b)
        x = b.astype(np.float64)
        _solve(self._first, self._begin, len(self._first), self._rows, x)
        return x.astype(np.float32)


class CoarseSpace:
    """Approximate inverse on the coarse functions of a picture's unknown pixels.

    Parameters
    ----------
    layout : Layout
    free : (N,) bool ndarray
        Which of the compact pixels are solved for.
    colour : (3, N) float32 ndarray
        Compact colours.
    team : Team
    """

    def __init__(self, layout: Layout, free: NDArray[np.bool_], colour: _Array, team: Team) -> None:
        self._team, self._layout, self._colour, self._size = team, layout, colour, layout.size
        nodes, self._exact_mean = self._cells(layout, free, colour)
        self._nodes = [nodes]
        self._transfers: list[tuple[Any, Any, int]] = []
        while len(self._nodes[-1]) * 4 > _DIRECT:
            team.tick()
            self._nodes.append(self._above(self._nodes[-1]))
        self._bottom = _Bottom(self._nodes[-1])

    def build(self, weights: _Array, data: _Array, scale: _Array, team: Team) -> None:
        """Make the coarse matrices, without which it answers nothing.

        Parameters
        ----------
        weights, data, scale : compact float32 ndarrays
            The matrix (see the kernels); `scale` is zero where a pixel is not free.
        team : Team
            Who works from now on.
        """
        self._team, self._scale = team, scale
        nodes, layout = self._nodes[0], self._layout
        stencil = np.zeros((len(nodes), 25, 4, 4), np.float32)
        bands = self._bands(_FEW)
        phases = bands[::2], bands[1::2]
        for phase in phases:  # neighbouring bands share a row of nodes
            team.run(
                lambda a, b: _galerkin(
                    weights, data, scale, self._colour, layout.size, layout.block_at, *layout.block_at.shape,
                    layout.step, self._cell_y, self._cell_x, nodes.number, *nodes.number.shape, self._exact_mean,
                    nodes.centre, nodes.basis, a, b, stencil,
                ),
                phase,
            )  # fmt: skip
        self._levels: list[_Level] = []
        for nodes, (parent, transfer, count) in zip(self._nodes, self._transfers, strict=False):
            self._levels.append(_Level(nodes, stencil, team))
            team.tick()
            stencil = self._coarser(nodes, stencil, parent, transfer, count)
        team.tick()
        self._bottom.take(stencil)

    def _coarser(self, nodes: _Nodes, stencil: _Array, parent: _Array, transfer: _Array, count: int) -> _Array:
        """Return the matrix, (count, 25, 4, 4), of the level above."""
        above = np.zeros((count, 25, 4, 4), np.float32)
        # Bands begin at even rows: then no two of one phase have a row of parents in common.
        bands = 4 if len(nodes) > _MANY else 1
        wanted = [2 * (len(nodes.number) * i // (2 * bands)) for i in range(1, bands)]
        cuts = [0, *map(int, np.searchsorted(nodes.y, wanted)), len(nodes)]
        pairs = list(itertools.pairwise(cuts))
        for phase in (pairs[::2], pairs[1::2]):
            self._team.run(
                lambda a, b: _coarsen(nodes.near, nodes.y, nodes.x, stencil, parent, transfer, a, b, above), phase
            )
        return above

    def _cells(self, layout: Layout, wanted: NDArray[np.bool_], colour: _Array) -> tuple[_Nodes, _Array]:
        """Cells of 8 x 8 pixels with free pixels in them, and the nodes at their corners."""
        rows, columns = -(-layout.height // BLOCK), layout.active.shape[1]
        cell = (layout.block_y // BLOCK) * columns + layout.block_x
        index = np.full(rows * columns, -1, np.int32)
        index[cell[layout.own(wanted).view(np.uint64)[:, 0] != 0]] = 0
        used = np.flatnonzero(index == 0)
        index[used] = np.arange(len(used), dtype=np.int32)
        cell = index[cell]
        inside = cell >= 0
        self._cell_y, self._cell_x = (a.astype(np.int32) for a in divmod(used, columns))
        self._cell_block = np.full((len(used), BLOCK), -1, np.int32)
        self._cell_block[cell[inside], layout.block_y[inside] % BLOCK] = layout.block_at[layout.active][inside]
        weight, mean, moment = np.empty(len(used)), np.empty((len(used), 3)), np.empty((len(used), 4, 4))
        self._tasks = self._bands(_MANY)
        self._team.run(
            lambda a, b: _moments(colour, layout.size, wanted, self._cell_block, a, b, weight, mean, moment),
            self._tasks,
        )
        corners = [(0, 0), (0, 1), (1, 0), (1, 1)]
        grid = np.full((rows + 1, columns + 1), -1, np.int32)
        for i, j in corners:
            grid[self._cell_y + i, self._cell_x + j] = 0
        nodes = int(np.count_nonzero(grid == 0))
        grid[grid == 0] = np.arange(nodes, dtype=np.int32)
        self._cell_node = np.stack([grid[self._cell_y + i, self._cell_x + j] for i, j in corners], axis=1)
        self._node_cell = np.full((4, nodes), len(used), np.int64)
        for e in range(4):
            self._node_cell[e, self._cell_node[:, e]] = np.arange(len(used))
        centre, gram = np.zeros((nodes, 3)), np.zeros((nodes, 4, 4))
        _meet(self._cell_node, weight, mean, moment, len(used), nodes, np.zeros(nodes), centre, gram)
        result = _Nodes(grid, centre, gram)
        # The nodes' bases in terms of every cell's own centred colours.
        self._basis = np.empty((len(used), 4, 4, 4), np.float32)
        _corners(self._cell_node, mean, centre, result.basis, 0, len(used), self._basis)
        self._mean = mean.astype(np.float32)
        self._moments = np.zeros((len(used) + 1, 4, 4), np.float32)
        return result, mean

    def _bands(self, cells: int) -> list[tuple[int, int]]:
        """Cut the cells into bands of whole rows, of about so many each."""
        count = len(self._cell_y)
        starts = np.flatnonzero(np.diff(self._cell_y, prepend=-1))
        wanted = np.linspace(0, count, int(min(max(count // cells, 1), 16)) + 1)[1:-1]
        cuts = np.unique(np.concatenate(([0], starts[np.searchsorted(starts, wanted, side="right") - 1], [count])))
        return [(int(a), int(b)) for a, b in itertools.pairwise(cuts)]

    def _above(self, nodes: _Nodes) -> _Nodes:
        """Find the level with twice the spacing and the transfer to it."""
        height, width = ((n - 1) // 2 + 2 for n in nodes.number.shape)
        count, number = len(nodes), np.full((height, width), -1, np.int32)
        parent, share = np.empty((count, 4), np.int32), np.empty((count, 4))
        above = _parents(nodes.y, nodes.x, count, height, width, number, parent, share)
        centre, gram = np.zeros((above, 3)), np.zeros((above, 4, 4))
        _ascend(parent, share, count, nodes.centre, nodes.gram, above, np.zeros(above), centre, gram)
        coarse = _Nodes(number, centre, gram)
        transfer = np.zeros((count, 4, 4, 4), np.float32)
        own = nodes.centre, nodes.gram, nodes.basis
        _transfer(parent, share, count, *own, centre, coarse.basis, transfer)
        self._transfers.append((parent, transfer, above))
        return coarse

    def strengthen(self) -> bool:
        """Make the coarsest matrix more definite, after rounding made it indefinite; False at the limit."""
        return self._bottom.strengthen()

    def add_correction(self, r: _Array, z: _Array) -> None:
        """Add to `z` the coarse functions' answer to the residual `r` (zero where not free)."""
        given, moments = places(r, self._cell_block, self._mean, self._basis), places(self._moments)
        colour = places(self._colour)
        self._team.run(lambda a, b: _restrict(*colour, self._size, *given, a, b, *moments), self._tasks)
        m = self._moments
        n = self._node_cell
        b = m[n[0], 0] + m[n[1], 1] + m[n[2], 2] + m[n[3], 3]
        x = self._solve(0, b)
        given = places(self._scale, self._cell_block, self._cell_node, self._mean, self._basis, x)
        target = places(z)
        self._team.run(lambda a, b: _prolong(*colour, self._size, *given, a, b, *target), self._tasks)

    def _solve(self, index: int, b: _Array) -> _Array:
        if index == len(self._levels):
            return self._bottom.solve(b)
        level, (parent, transfer, count) = self._levels[index], self._transfers[index]
        x, rest = level.smooth(b)
        above = np.zeros((count, 4), np.float32)
        _lower(parent, transfer, rest, len(x), above)
        _lift(parent, transfer, self._solve(index + 1, above), 0, len(x), x)
        level.smooth_again(b, x)
        return x
