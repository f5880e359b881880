"""The closed-form solver in SciPy, for where the kernels in C were not compiled, and to compare them with.

The same method with one coarse level: conjugate gradients, preconditioned by Chebyshev smoothing and a correction on
hats of 16 pixels times {1, R, G, B} (see :mod:`gossamer.matting.closed_form.multigrid` for why).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer.progress import Progress

__all__ = ["laplacian", "solve"]

_Array = NDArray[np.float32]

_CELL = 8  # pixels between nodes
_WINDOWS = 1 << 15  # built at a time
_RATIO = 8.0  # the smoother works on the upper 7/8 of the spectrum, which ends at 2
_MOST = 400  # iterations


def laplacian(image: _Array, wanted: NDArray[np.bool_], epsilon: float, progress: Progress | None = None) -> Any:
    """Return the matting Laplacian of the windows that hold wanted pixels: (HW, HW), CSR, float64.

    Parameters
    ----------
    image : (H, W, 3) float32 ndarray
        At least 3 x 3 pixels.
    wanted : (H, W) bool ndarray
    epsilon : float
        See :func:`gossamer.matting.closed_form.alpha.closed_form_alpha`.
    progress : Progress, optional
        Ticked meanwhile.
    """
    import cv2
    import scipy.sparse

    height, width = wanted.shape
    held = cv2.dilate(wanted.astype(np.uint8), np.ones((3, 3), np.uint8))[1:-1, 1:-1]
    rows, columns = np.nonzero(held)
    offsets = (np.arange(3)[:, None] * width + np.arange(3)).ravel()
    colours = image.reshape(-1, 3).astype(np.float64)
    result = scipy.sparse.csr_matrix((height * width, height * width))
    for start in range(0, len(rows), _WINDOWS):
        part = slice(start, start + _WINDOWS)
        pixels = (rows[part] * width + columns[part])[:, None] + offsets
        centred = colours[pixels] - colours[pixels].mean(axis=1, keepdims=True)
        covariance = np.swapaxes(centred, 1, 2) @ centred / 9 + epsilon / 9 * np.eye(3)
        affinity = (1 + centred @ np.linalg.solve(covariance, np.swapaxes(centred, 1, 2))) / 9
        places = np.repeat(pixels, 9, axis=1).ravel(), np.tile(pixels, 9).ravel()
        result = result + scipy.sparse.csr_matrix(((np.eye(9) - affinity).ravel(), places), shape=result.shape)
        if progress is not None:
            progress.tick()
    return result


def solve(
    image: _Array,
    free: NDArray[np.bool_],
    values: _Array,
    data: _Array | None,
    target: _Array | None,
    epsilon: float,
    tolerance: float,
    progress: Progress,
    ground: None = None,
) -> _Array:
    """Do what :func:`gossamer.matting.closed_form.solver.solve` does."""
    import scipy.sparse
    import scipy.sparse.linalg

    whole = laplacian(image, free, epsilon, progress)[free.ravel()]
    matrix = whole[:, free.ravel()]
    right = -(whole @ np.where(free, 0, values).ravel().astype(np.float64))
    if data is not None and target is not None:
        matrix = matrix + scipy.sparse.diags(data[free].astype(np.float64))
        right += data[free].astype(np.float64) * target[free]
    progress(0.3)
    functions = _coarse_functions(image, free)
    coarse = (functions.T @ matrix @ functions).tocsc()
    diagonal = coarse.diagonal()
    shift = np.where(diagonal > 1e-9, 1e-6 * diagonal, 1.0)
    inverse = scipy.sparse.linalg.splu((coarse + scipy.sparse.diags(shift)).tocsc())
    scale = 1 / np.maximum(np.asarray(abs(matrix).sum(axis=1)).ravel(), 1e-9)  # bounds the scaled spectrum by 1
    progress(0.5)

    def smooth(r: NDArray[np.float64]) -> NDArray[np.float64]:
        """Take two Chebyshev steps from zero."""
        middle, half = (1 + 1 / _RATIO) / 2, (1 - 1 / _RATIO) / 2
        share = 1 / (2 * middle / half - half / middle)
        step = scale * r / middle
        again = share * half / middle * step + 2 * share / half * scale * (r - matrix @ step)
        result: NDArray[np.float64] = step + again
        return result

    def precondition(r: NDArray[np.float64]) -> NDArray[np.float64]:
        z = smooth(r)
        z = z + functions @ inverse.solve(functions.T @ (r - matrix @ z))
        result: NDArray[np.float64] = z + smooth(r - matrix @ z)
        return result

    tool = scipy.sparse.linalg.LinearOperator(matrix.shape, matvec=precondition, dtype=np.float64)
    found, _ = scipy.sparse.linalg.cg(
        matrix, right, rtol=tolerance, maxiter=_MOST, M=tool, callback=lambda _: progress.tick()
    )
    return np.asarray(found, np.float32)


def _coarse_functions(image: _Array, free: NDArray[np.bool_]) -> Any:
    """Return hats times {1, R, G, B} about each hat's mean colour as the columns of a (pixels, 4 nodes) matrix."""
    import scipy.sparse

    y, x = np.nonzero(free)
    columns = free.shape[1] // _CELL + 2
    rows = free.shape[0] // _CELL + 2
    fy, fx = y % _CELL / _CELL, x % _CELL / _CELL
    weights = np.concatenate([(1 - fy) * (1 - fx), (1 - fy) * fx, fy * (1 - fx), fy * fx])
    corner = y // _CELL * columns + x // _CELL
    nodes = np.concatenate([corner, corner + 1, corner + columns, corner + columns + 1])
    pixels = np.tile(np.arange(len(y)), 4)
    shape = len(y), rows * columns
    hats = scipy.sparse.csr_matrix((weights, (pixels, nodes)), shape=shape)
    colours = image[free].astype(np.float64)
    means = (hats.T @ colours) / np.maximum(np.asarray(hats.sum(axis=0)).ravel(), 1e-9)[:, None]
    parts = [hats]
    for c in range(3):
        centred = weights * (colours[pixels, c] - means[nodes, c])
        parts.append(scipy.sparse.csr_matrix((centred, (pixels, nodes)), shape=shape))
    used = np.flatnonzero(hats.getnnz(axis=0))
    return scipy.sparse.hstack([part[:, used] for part in parts]).tocsr()
