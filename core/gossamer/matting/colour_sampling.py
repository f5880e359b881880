"""Alpha of single pixels from samples of certain foreground and background near them.

Wang and Cohen, "Optimized color sampling for robust matting", CVPR 2007; Gastal and Oliveira, "Shared sampling for
real-time alpha matting", Eurographics 2010. A pixel on the line between a foreground and a background colour is their
mixture; of all pairs of nearby samples the best are those whose line passes closest by.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.matting.closed_form_layout import Team

__all__ = ["Sampled", "sample_alpha"]

SAMPLES = 12  # of each side; all pairs are tried
THIN = 3  # every third certain pixel is a sample
BLOCK = 4  # pixels of a block share their candidates
FAR = 0.0002  # cost of a pixel of distance to a sample, in colour units
MISFIT = 0.03  # cost at which confidence has fallen to 1/e
APART = 0.3  # colours this far apart, or further, tell alpha well


@dataclass(frozen=True)
class Sampled:
    """What sampling says of the pixels asked, in the order of ``array[asked]``: alpha and confidence in [0, 1]."""

    alpha: Array
    confidence: Array


def sample_alpha(
    image: Array,
    asked: NDArray[np.bool_],
    foreground: NDArray[np.bool_],
    background: NDArray[np.bool_],
    scale: float,
    team: Team,
) -> Sampled | None:
    """Estimate the alpha of single pixels by colour sampling.

    Parameters
    ----------
    image : (H, W, 3) float32 ndarray
        RGB in [0, 1].
    asked : (H, W) bool ndarray
        The pixels to estimate.
    foreground, background : (H, W) bool ndarray
        Where samples may be taken from.
    scale : float
        Length of the unit of distance, in pixels.
    team : Team
        The threads to work with.

    Returns
    -------
    Sampled or None
        None where a side has not enough samples.
    """
    from scipy.spatial import cKDTree

    from gossamer.matting.sampling_kernels import best_pairs

    height, width = asked.shape
    row, column = np.ogrid[:height, :width]
    lattice = (column + 2 * row) % THIN == 0
    places = [np.argwhere(side & lattice) for side in (foreground, background)]
    rows, columns = (a.astype(np.int32) for a in np.nonzero(asked))
    if not len(rows) or min(map(len, places)) < SAMPLES:
        return None
    blocks = np.zeros((-(-height // BLOCK), -(-width // BLOCK)), bool)
    blocks[rows // BLOCK, columns // BLOCK] = True
    number = np.cumsum(blocks, dtype=np.int32).reshape(blocks.shape) - np.int32(1)
    centres = np.argwhere(blocks) * BLOCK + (BLOCK - 1) / 2
    near = [np.empty((len(centres), SAMPLES), np.int32) for _ in places]
    trees = [cKDTree(place) for place in places]

    def find(side: int, start: int, stop: int) -> None:
        near[side][start:stop] = trees[side].query(centres[start:stop], k=SAMPLES)[1]

    parts = _cuts(len(centres), 4000)
    team.run(find, [(side, a, b) for side in (0, 1) for a, b in parts])
    tables = [np.hstack([image[p[:, 0], p[:, 1]], p.astype(np.float32)]) for p in places]
    group = number[rows // BLOCK, columns // BLOCK]
    result = np.empty((len(rows), 3), np.float32)
    far = np.float32(FAR / scale)

    def fit(start: int, stop: int) -> None:
        best_pairs(image, rows, columns, group, *near, *tables, far, start, stop, result)

    team.run(fit, _cuts(len(rows), 8000))
    alpha, cost, span = result.T
    confidence = np.exp(cost * np.float32(-1 / MISFIT)) * np.minimum(span / np.float32(APART), 1) ** 2
    return Sampled(np.ascontiguousarray(alpha), confidence)


def _cuts(count: int, least: int) -> list[tuple[int, int]]:
    ends = np.linspace(0, count, max(count // least, 1) + 1).astype(int)
    return [(int(a), int(b)) for a, b in pairwise(ends)]
