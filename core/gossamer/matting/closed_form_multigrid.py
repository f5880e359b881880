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

from gossamer.matting.closed_form_layout import BLOCK, Layout, Team

__all__ = ["CoarseSpace"]

_Array = NDArray[Any]


def _bases(gram: _Array) -> _Array:
    """Columns that make {1, R, G, B} orthonormal at every node; what is linearly dependent there becomes zero."""
    count = len(gram)
    low, kept = np.zeros((count, 4, 4)), np.zeros((count, 4), bool)
    faint = (0.01 / 255) ** 2 * gram[:, 0, 0]
    for i in range(4):
        for j in range(i):
            rest = gram[:, i, j] - np.einsum("nk,nk->n", low[:, i, :j], low[:, j, :j])
            low[:, i, j] = np.divide(rest, low[:, j, j], out=np.zeros(count), where=kept[:, j])
        rest = gram[:, i, i] - np.einsum("nk,nk->n", low[:, i, :i], low[:, i, :i])
        kept[:, i] = (rest > (faint if i else 1e-6)) & (rest > 1e-5 * gram[:, i, i])
        low[:, i, i] = np.sqrt(np.where(kept[:, i], rest, 1.0))
    for i in range(4):
        low[:, i][~kept[:, i]] = np.eye(4)[i]
        low[:, i + 1 :, i][~kept[:, i]] = 0
    bases = np.swapaxes(np.linalg.inv(low), 1, 2)
    return np.ascontiguousarray(np.where(kept[:, None, :], bases, 0.0))


class _Nodes:
    """The nodes of one level: positions, numbering, mean colour, Gram matrix and basis."""

    def __init__(self, number: _Array, centre: _Array, gram: _Array) -> None:
        self.number = number
        self.centre = centre
        self.gram = gram
        self.basis = _bases(gram)
        self.y, self.x = (a.astype(np.int32) for a in np.nonzero(number >= 0))
        padded = np.full((number.shape[0] + 4, number.shape[1] + 4), -1, np.int32)
        padded[2:-2, 2:-2] = number
        self.near = np.stack([padded[self.y + i, self.x + j] for i in range(5) for j in range(5)], axis=1)

    def __len__(self) -> int:
        return len(self.y)


class _Level:
    """A coarse matrix in 5 x 5 blocks, and a Chebyshev smoother for it."""

    def __init__(self, nodes: _Nodes, stencil: _Array, team: Team) -> None:
        from gossamer.matting import closed_form_coarse_kernels as kernels

        self._multiply, self._team = kernels.multiply, team
        self.near, self._rows = nodes.near, stencil.reshape(-1, 4, 100)
        count = len(nodes)
        pieces = max(min(count // 2048, 16), 1)
        cuts = [count * i // pieces for i in range(pieces + 1)]
        self._tasks = list(itertools.pairwise(cuts))
        # Row sums of absolute values bound the spectrum of the scaled matrix by 1, without an estimate.
        total = np.abs(self._rows).sum(axis=2)
        self.scale = np.divide(1, total, out=np.zeros_like(total), where=total > 1e-9)

    def __matmul__(self, x: _Array) -> _Array:
        out = np.empty_like(x)
        self._team.run(
            lambda a, b: self._multiply(self.near, self._rows, x, a, b, out),
            self._tasks,
        )
        return out

    def smooth(self, b: _Array, x: _Array | None) -> _Array:
        """Four Chebyshev steps on the upper part of the spectrum."""
        low = 1 / 30
        mid, half = (1 + low) / 2, (1 - low) / 2
        rho = half / mid
        r = b if x is None else b - self @ x
        p = self.scale * r
        p *= np.float32(1 / mid)
        x = p.copy() if x is None else x + p
        for _ in range(3):
            r = r - self @ p
            last, rho = rho, 1 / (2 * mid / half - rho)
            p *= np.float32(rho * last)
            p += np.float32(2 * rho / half) * (self.scale * r)
            x += p
        return x


class CoarseSpace:
    """Approximate inverse on the coarse functions of a picture's unknown pixels.

    Parameters
    ----------
    layout : Layout
    weights, data, scale : compact float32 ndarrays
        The matrix (see the kernels); `scale` is zero where a pixel is not free.
    colour : (3, N) float32 ndarray
        Compact colours.
    team : Team
    direct : int
        At most so many unknowns are solved by factorisation.
    """

    def __init__(
        self,
        layout: Layout,
        weights: _Array,
        data: _Array,
        scale: _Array,
        colour: _Array,
        team: Team,
        direct: int = 6000,
    ) -> None:
        from gossamer.matting import closed_form_coarse_kernels as kernels

        self._kernels, self._team = kernels, team
        self._scale, self._colour = scale, colour
        nodes, mean = self._cells(layout, scale, colour)
        stencil = np.zeros((len(nodes), 4, 25, 4), np.float32)
        phases = self._tasks[::2], self._tasks[1::2]
        for phase in phases:  # neighbouring bands share a row of nodes
            team.run(
                lambda a, b: kernels.galerkin(
                    weights, data, scale, colour, layout.block_at, layout.step, self._cell_y, self._cell_x,
                    nodes.number, mean, nodes.centre, nodes.basis, a, b, stencil,
                ),
                phase,
            )  # fmt: skip
        self._levels: list[_Level] = []
        self._transfers: list[tuple[Any, Any]] = []
        while len(nodes) * 4 > direct:
            self._levels.append(_Level(nodes, stencil, team))
            team.tick()
            nodes, stencil = self._coarsen(nodes, stencil)
        self._bottom, self._shift = self._matrix(nodes, stencil), 1e-6
        self._factorise()

    def _cells(self, layout: Layout, scale: _Array, colour: _Array) -> tuple[_Nodes, _Array]:
        """Cells of 8 x 8 pixels with free pixels in them, and the nodes at their corners."""
        free = layout.own(scale > 0)
        rows = -(-layout.height // BLOCK)
        columns = layout.active.shape[1]
        cell = (layout.block_y // BLOCK) * columns + layout.block_x
        number = np.bincount(cell, free.sum(axis=1), rows * columns)
        used = np.flatnonzero(number)
        index = np.full(rows * columns, -1, np.int64)
        index[used] = np.arange(len(used))
        cell = index[cell]
        inside = cell >= 0
        cell, weight = cell[inside], number[used]
        self._cell_y, self._cell_x = (a.astype(np.int32) for a in divmod(used, columns))
        self._cell_block = np.full((len(used), BLOCK), -1, np.int32)
        self._cell_block[cell, layout.block_y[inside] % BLOCK] = layout.block_at[layout.active][inside]
        # Means first, then centred products: raw second moments would lose faint colours in float32.
        mean = np.empty((len(used), 3))
        moment = np.zeros((len(used), 4, 4))
        centred = []
        for c in range(3):
            self._team.tick()
            values = layout.own(colour[c])[inside] * free[inside]
            mean[:, c] = np.bincount(cell, values.sum(axis=1), len(used)) / weight
            values -= mean[cell, c, None].astype(np.float32) * free[inside]
            centred.append(values)
        for c in range(3):
            self._team.tick()
            for d in range(c + 1):
                product = np.einsum("bj,bj->b", centred[c], centred[d])
                moment[:, c + 1, d + 1] = moment[:, d + 1, c + 1] = np.bincount(cell, product, len(used))
        moment[:, 0, 0] = weight
        corners = [(0, 0), (0, 1), (1, 0), (1, 1)]
        grid = np.full((rows + 1, columns + 1), -1, np.int32)
        for i, j in corners:
            grid[self._cell_y + i, self._cell_x + j] = 0
        grid[grid == 0] = np.arange(np.count_nonzero(grid == 0), dtype=np.int32)
        nodes = int(grid.max()) + 1
        self._cell_node = np.stack([grid[self._cell_y + i, self._cell_x + j] for i, j in corners], axis=1)
        self._node_cell = np.full((4, nodes), len(used), np.int64)
        total, centre = np.zeros(nodes), np.zeros((nodes, 3))
        for e in range(4):
            self._node_cell[e, self._cell_node[:, e]] = np.arange(len(used))
            total[self._cell_node[:, e]] += weight
            centre[self._cell_node[:, e]] += weight[:, None] * mean
        centre /= total[:, None]
        gram = np.zeros((nodes, 4, 4))
        shift = np.zeros((len(used), 4, 4))
        for e in range(4):
            shift[:, 0, 1:] = mean - centre[self._cell_node[:, e]]
            moved = moment + weight[:, None, None] * (shift[:, 0, :, None] * shift[:, 0, None, :])
            moved[:, 0, 1:] = moved[:, 1:, 0] = weight[:, None] * shift[:, 0, 1:]
            gram[self._cell_node[:, e]] += moved
        result = _Nodes(grid, centre, gram)
        # The nodes' bases in terms of every cell's own centred colours.
        self._basis = np.empty((len(used), 4, 4, 4), np.float32)
        for e in range(4):
            own = result.basis[self._cell_node[:, e]]
            away = mean - centre[self._cell_node[:, e]]
            own[:, 0] += np.einsum("na,nab->nb", away, own[:, 1:])
            self._basis[:, e] = own
        self._mean = mean.astype(np.float32)
        self._moments = np.zeros((len(used) + 1, 4, 4), np.float32)
        starts = np.flatnonzero(np.diff(self._cell_y, prepend=-1))
        wanted = np.linspace(0, len(used), int(min(max(len(used) // 256, 1), 16)) + 1)[1:-1]
        cuts = np.unique(np.concatenate(([0], starts[np.searchsorted(starts, wanted, side="right") - 1], [len(used)])))
        self._tasks = [(int(a), int(b)) for a, b in itertools.pairwise(cuts)]
        return result, mean

    def _coarsen(self, nodes: _Nodes, stencil: _Array) -> tuple[_Nodes, _Array]:
        """Build the level with twice the spacing and the transfer to it."""
        import scipy.sparse

        height, width = ((n - 1) // 2 + 2 for n in nodes.number.shape)
        weight, target = [], []
        for i in (0, 1):
            for j in (0, 1):
                wy = np.where(nodes.y % 2 == 0, 1 - i, 0.5)
                wx = np.where(nodes.x % 2 == 0, 1 - j, 0.5)
                weight.append(wy * wx)
                target.append((nodes.y // 2 + i) * width + nodes.x // 2 + j)
        w, t = np.stack(weight, axis=1), np.stack(target, axis=1)
        number = np.full(height * width, -1, np.int32)
        used = np.unique(t[w > 0])
        number[used] = np.arange(len(used), dtype=np.int32)
        parent = np.where(w > 0, number[t], -1).astype(np.int32)
        child, which = np.nonzero(parent >= 0)
        to, share = parent[child, which], w[child, which]
        mass = share * nodes.gram[child, 0, 0]
        total = np.bincount(to, mass, len(used))
        sums = [np.bincount(to, mass * nodes.centre[child, c], len(used)) for c in range(3)]
        centre = np.stack(sums, axis=1) / total[:, None]
        shift = np.zeros((len(child), 4, 4))
        shift[:] = np.eye(4)
        shift[:, 0, 1:] = nodes.centre[child] - centre[to]
        moved = np.swapaxes(shift, 1, 2) @ (nodes.gram[child] * (share**2)[:, None, None]) @ shift
        gram = np.stack([np.bincount(to, moved.reshape(-1, 16)[:, k], len(used)) for k in range(16)], axis=1)
        coarse = _Nodes(number.reshape(height, width), centre, gram.reshape(-1, 4, 4))
        inverse = np.swapaxes(nodes.basis, 1, 2) @ nodes.gram
        values = (inverse[child] @ (shift @ coarse.basis[to])) * share[:, None, None]
        transfer = np.zeros((len(nodes), 4, 4, 4), np.float32)
        transfer[child, which] = values
        result = np.zeros((len(coarse), 4, 25, 4), np.float32)
        self._kernels.coarsen(nodes.near, nodes.y, nodes.x, stencil, parent, transfer, result)
        pointer = np.concatenate(([0], np.cumsum(np.bincount(child, minlength=len(nodes)))))
        q = scipy.sparse.bsr_matrix(
            (values.astype(np.float32), to, pointer), shape=(4 * len(nodes), 4 * len(coarse))
        ).tocsr()
        self._transfers.append((q, q.T.tocsr()))
        return coarse, result

    @staticmethod
    def _matrix(nodes: _Nodes, stencil: _Array) -> Any:
        import scipy.sparse

        on = nodes.near >= 0
        pointer = np.concatenate(([0], np.cumsum(on.sum(axis=1))))
        blocks = np.swapaxes(stencil, 1, 2).astype(np.float64)
        # Node k of a neighbourhood sees this one as its node 24 - k: the mean of both makes the matrix symmetric.
        twin = np.swapaxes(blocks[nodes.near, np.arange(24, -1, -1)], 2, 3)
        size = 4 * len(nodes)
        rows = scipy.sparse.bsr_matrix(((blocks + twin)[on] / 2, nodes.near[on], pointer), shape=(size, size)).tocsr()
        rows.sort_indices()
        return scipy.sparse.csc_matrix((rows.data, rows.indices, rows.indptr), shape=(size, size))

    def _factorise(self) -> None:
        import scipy.sparse
        import scipy.sparse.linalg

        diagonal = self._bottom.diagonal()
        shift = np.where(diagonal > 1e-9, self._shift * diagonal, 1.0)  # functions that a basis lacks: identity
        self._lu = self._team.aside(
            lambda: scipy.sparse.linalg.splu(
                (self._bottom + scipy.sparse.diags(shift)).tocsc(),
                permc_spec="MMD_AT_PLUS_A",
                diag_pivot_thresh=0.0,
                options={"SymmetricMode": True},
            )
        )

    def strengthen(self) -> bool:
        """Make the coarsest matrix more definite, after rounding made it indefinite; False at the limit."""
        self._shift *= 30
        if self._shift > 1:
            return False
        self._factorise()
        return True

    def add_correction(self, r: _Array, z: _Array) -> None:
        """Add to `z` the coarse functions' answer to the residual `r` (zero where not free)."""
        k = self._kernels
        self._team.run(
            lambda a, b: k.restrict(self._colour, r, self._cell_block, self._mean, self._basis, a, b, self._moments),
            self._tasks,
        )
        m = self._moments
        n = self._node_cell
        b = m[n[0], 0] + m[n[1], 1] + m[n[2], 2] + m[n[3], 3]
        x = self._solve(0, b)
        self._team.run(
            lambda a, b: k.prolong(
                self._colour, self._scale, self._cell_block, self._cell_node, self._mean, self._basis, x, a, b, z
            ),
            self._tasks,
        )

    def _solve(self, index: int, b: _Array) -> _Array:
        if index == len(self._levels):
            exact: _Array = self._lu.solve(b.astype(np.float64).ravel())
            return exact.astype(np.float32).reshape(-1, 4)
        level, (q, qt) = self._levels[index], self._transfers[index]
        x = level.smooth(b, None)
        rest = self._solve(index + 1, (qt @ (b - level @ x).ravel()).reshape(-1, 4))
        x += (q @ rest.ravel()).reshape(-1, 4)
        return level.smooth(b, x)
