"""The equations of KNN matting: pixels that look alike, near or far, have the same alpha (Chen, Li and Tang 2013).

Every pixel is tied to its nearest neighbours among colours and places, once with places that count much and once with
places that hardly count. pymatting's form of the method is followed (its numbers of neighbours and weights), but the
known pixels are eliminated instead of weighted, and only those that can matter are looked at.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.conjugate import conjugate_gradients
from gossamer.matting.signed_distance import unit_length
from gossamer.networks.memory import require_memory
from gossamer.parallel.patience import patiently
from gossamer.parallel.threads import thread_count
from gossamer.progress import Progress

__all__ = ["solve_knn"]

_RUNS = (20, 2.0), (10, 0.1)  # number of neighbours, and weight of the place (of the picture's sides) in the distance
_MARGIN = 10.0  # units (see unit_length) around the unknown pixels in which every known one may be a neighbour,
_LATTICE = 1 << 18  # and about so many of those further away
_QUERY = 1 << 12  # pixels whose neighbours are looked for between two chances to cancel
_BLOCK = 1 << 18  # rows of the matrix multiplied between two chances to cancel
_PER_UNKNOWN, _PER_POINT = 8 * 30 * 2 + 60, 150  # bytes at the peak: neighbours (twice when joined), vectors; trees
_TOLERANCE, _MOST = 1e-5, 2000
_UNSETTLED = (
    "KNN matting had not settled after {} iterations, so its alpha may be inexact. Choose a narrower matting band, or "
    "the matting closed_form."
)


def solve_knn(
    image: Array,
    unknown: NDArray[np.bool_],
    foreground: NDArray[np.bool_],
    progress: Progress,
    warn: Callable[[str], object],
) -> Array:
    """Return the unknown pixels' alpha, in the order of ``image[unknown]``, not clipped.

    Parameters
    ----------
    image : (H, W, 3) float32 ndarray
    unknown, foreground : (H, W) bool ndarray
        What to solve for, and the certain foreground; the rest is certain background. None of the three is empty.
    progress : Progress
        May raise to cancel.
    warn : callable
        Told in one sentence where the solution had not settled in the end.

    Returns
    -------
    (N,) float32 ndarray

    Raises
    ------
    DeviceError
        The memory does not suffice.
    """
    points = patiently(lambda: _points(unknown), progress)
    count = int(np.count_nonzero(unknown))
    require_memory(
        count * _PER_UNKNOWN + len(points) * _PER_POINT,
        f"KNN matting of {count / 1e6:.1f} million unknown pixels",
        "Choose a narrower matting band, a smaller picture, or the matting closed_form.",
    )
    values = foreground.ravel()[points[count:]].astype(np.float32)
    degree, right = np.zeros(count, np.float32), np.zeros(count, np.float32)
    rows: list[list[NDArray[np.int32]]] = []  # of every block of unknown pixels its neighbours, run by run
    for number, (neighbours, weight) in enumerate(_RUNS):
        part = progress.part(0.3 * number, 0.3 * (number + 1))
        features = patiently(partial(_features, image, points, weight), progress)
        blocks = _tie(features, neighbours, values, degree, right, part)
        rows = blocks if not rows else [[*a, *b] for a, b in zip(rows, blocks, strict=True)]
    matrices = [patiently(lambda: _matrix(rows.pop(0), count), progress) for _ in range(len(rows))]
    return _solved(matrices, degree, right, progress.part(0.6, 1.0), warn)


def _points(unknown: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return where there are unknown pixels, and then where there are known ones that may be their neighbours."""
    return np.concatenate([np.flatnonzero(unknown), np.flatnonzero(_company(unknown))])


def _company(unknown: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the known pixels that may be neighbours: all near unknown ones, and a lattice of the others."""
    import cv2

    margin = round(_MARGIN * unit_length(unknown.shape))
    near = cv2.dilate(unknown.astype(np.uint8), np.ones((2 * margin + 1, 2 * margin + 1), np.uint8)) > 0
    step = max(math.isqrt(unknown.size // _LATTICE), 1)
    near[::step, ::step] = True
    result: NDArray[np.bool_] = near & ~unknown
    return result


def _features(image: Array, points: NDArray[np.int64], weight: float) -> Array:
    height, width = image.shape[:2]
    features = np.empty((len(points), 5), np.float32)
    features[:, :3] = image.reshape(-1, 3)[points]
    y, x = np.divmod(points, width)
    features[:, 3] = x * (weight / max(width - 1, 1))
    features[:, 4] = y * (weight / max(height - 1, 1))
    return features


def _tree(features: Array) -> Any:
    from scipy.spatial import cKDTree  # slow to import, so where somebody may leave

    return cKDTree(features, balanced_tree=False, compact_nodes=False)


def _nearest(tree: Any, features: Array, neighbours: int, threads: int) -> NDArray[np.intp]:
    result: NDArray[np.intp] = tree.query(features, k=neighbours, workers=threads)[1]
    return result.reshape(len(features), -1)


def _tie(
    features: Array, neighbours: int, values: Array, degree: Array, right: Array, progress: Progress
) -> list[list[NDArray[np.int32]]]:
    """Find every point's neighbours; return those that tie unknown ones, and add all ties up in `degree` and `right`.

    The unknown points come first. A neighbour that is known, or the point itself, is -1 in the result.
    """
    count, total = len(degree), len(features)
    neighbours = min(neighbours, total)
    tree = patiently(lambda: _tree(features), progress)
    ties = np.empty((count, neighbours), np.int32)
    threads = thread_count()
    for start in range(0, total, _QUERY):
        progress(start / total)
        end = min(start + _QUERY, total)
        found = patiently(partial(_nearest, tree, features[start:end], neighbours, threads), progress)
        here = np.arange(start, end)[:, None]
        among = found < count
        middle = min(max(count - start, 0), end - start)  # rows before it are unknown themselves
        if middle:
            mine, theirs = found[:middle], among[:middle] & (found[:middle] != here[:middle])
            ties[start : start + middle] = np.where(theirs, mine, -1)
            known = np.where(among[:middle], np.float32(0), values[np.maximum(mine - count, 0)])
            right[start : start + middle] += known.sum(axis=1)
            degree[start : start + middle] += (mine != here[:middle]).sum(axis=1)
            np.add.at(degree, mine[theirs], np.float32(1))
        if middle < end - start:
            others, theirs = found[middle:], among[middle:]
            np.add.at(degree, others[theirs], np.float32(1))
            mine = np.broadcast_to(values[here[middle:] - count], others.shape)
            np.add.at(right, others[theirs], mine[theirs])
    return [[ties[start : start + _BLOCK]] for start in range(0, count, _BLOCK)]


def _matrix(runs: list[NDArray[np.int32]], count: int) -> Any:
    """Return a block of rows of the matrix of ties between unknown pixels."""
    from scipy.sparse import csr_matrix

    ties = np.concatenate(runs, axis=1)
    there = ties >= 0
    pointer = np.concatenate([[0], np.cumsum(there.sum(axis=1))]).astype(np.int32)
    return csr_matrix((np.ones(int(pointer[-1]), np.float32), ties[there], pointer), (len(ties), count))


def _solved(
    matrices: list[Any], degree: Array, right: Array, progress: Progress, warn: Callable[[str], object]
) -> Array:
    ends = list(itertools.accumulate((matrix.shape[0] for matrix in matrices), initial=0))

    def product(x: Array) -> Array:
        y: Array = degree * x
        for matrix, start, end in zip(matrices, ends[:-1], ends[1:], strict=True):
            y[start:end] -= matrix @ x
            y -= matrix.T @ x[start:end]
            progress.tick()
        return y

    scale = 1 / np.maximum(degree, 1)
    start = np.full_like(right, 0.5)
    residual = right - product(start)
    goal = _TOLERANCE * max(float(np.linalg.norm(right)), 1e-6)
    found = conjugate_gradients(
        product, lambda r: scale * r, residual, goal, _MOST, progress, lambda: warn(_UNSETTLED.format(_MOST))
    )
    result: Array = start + found
    return result
