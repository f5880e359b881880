"""Alpha of single pixels from samples of certain foreground and background near them.

Wang and Cohen, "Optimized color sampling for robust matting", CVPR 2007; Gastal and Oliveira, "Shared sampling for
real-time alpha matting", Eurographics 2010. A pixel on the line between a foreground and a background colour is their
mixture; of all pairs of nearby samples the best are those whose line passes closest by.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array, unit_float
from gossamer.matting.closed_form.layout import Team
from gossamer.matting.from_mask.nearest import Nearest
from gossamer.native import COUNT, NUMBER, PLACE, function
from gossamer.resampling import Pixels

__all__ = ["Sampled", "sample_alpha"]

SAMPLES = 8  # of each side; all pairs are tried
THIN = 3  # in units, about: every so manyth certain pixel is a sample
BEST = 3  # pairs that are averaged
TILE = 4  # a tile's pixels, 4 x 4, share their candidates
SHARED = 6  # so do tiles in squares of this many times less than the samples' spacing: theirs would be the same
FAR = 0.0002  # cost of a pixel of distance to a sample, in colour units
MISFIT = 0.03  # cost at which confidence has fallen to 1/e
APART = 0.3  # colours this far apart, or further, tell alpha well


@dataclass(frozen=True)
class Sampled:
    """What sampling says of the pixels asked: alpha and confidence in [0, 1], (H, W) each; zero elsewhere."""

    alpha: Array
    confidence: Array


def sample_alpha(
    image: Pixels,
    asked: NDArray[np.bool_],
    foreground: NDArray[np.bool_],
    background: NDArray[np.bool_],
    scale: float,
    team: Team,
) -> Sampled | None:
    """Estimate the alpha of single pixels by colour sampling.

    Parameters
    ----------
    image : (H, W, 3) uint8 or float32 ndarray
        RGB: bytes, or floats in [0, 1].
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
    step = 2 * max(round(THIN * scale / 2 - 0.5), 1) + 1
    places = [_on_lattice(side, step) for side in (foreground, background)]
    tiles = _tiles(asked)
    if not len(tiles) or min(map(len, places)) < SAMPLES:
        return None
    cells, row, side = _cells(tiles, max(round(step / SHARED), 1))
    centres = np.ascontiguousarray(cells * side + (side - 1) / 2, np.float32)
    near = [np.empty((len(cells), SAMPLES), np.int32) for _ in places]
    trees = team.run(Nearest, [(place,) for place in places])

    def find(which: int, start: int, stop: int) -> None:
        squared = np.empty((stop - start, SAMPLES), np.float32)
        trees[which].find(centres[start:stop], 0, stop - start, near[which][start:stop], squared)

    team.run(find, [(which, a, b) for which in (0, 1) for a, b in _cuts(len(cells), 2000)])
    tables = [np.hstack([unit_float(image[tuple(place.T.astype(np.intp))]), place]) for place in places]
    result = Sampled(np.zeros(asked.shape, np.float32), np.zeros(asked.shape, np.float32))
    fit = _fit if _sample() is None else _fit_compiled
    far = FAR / scale
    pixels: Any = np.ascontiguousarray(image)
    asked = np.ascontiguousarray(asked)
    given = pixels, asked, tiles, row, near, tables, far
    team.run(lambda a, b: fit(*given, a, b, result), _cuts(len(tiles), 2000))
    return result


def _on_lattice(side: NDArray[np.bool_], step: int) -> Array:
    """Return the (row, column) of the pixels of `side` with (column + 2 row) % step = 0; the step is odd."""
    found = []
    for row in range(step):
        column = -2 * row % step
        found.append(np.argwhere(side[row::step, column::step]) * step + (row, column))
    return np.ascontiguousarray(np.concatenate(found), np.float32)


def _tiles(asked: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Return the (row, column) of the tiles that hold pixels that are asked, row after row."""
    height, width = asked.shape
    padded = asked.view(np.uint8)
    if height % TILE or width % TILE or not asked.flags.c_contiguous:
        padded = np.zeros((-(-height // TILE) * TILE, -(-width // TILE) * TILE), np.uint8)
        padded[:height, :width] = asked
    rows = padded.view(f"u{TILE}")
    held = rows[::TILE] | rows[1::TILE]
    for row in range(2, TILE):
        held |= rows[row::TILE]
    return np.argwhere(held).astype(np.int32)


def _cells(tiles: NDArray[np.int32], many: int) -> tuple[NDArray[np.int32], NDArray[np.int32], int]:
    """Return the (row, column) of squares of so many tiles, the number of each tile's, and their side in pixels."""
    if many == 1:
        return tiles, np.arange(len(tiles), dtype=np.int32), TILE
    y, x = (tiles // many).T
    number = np.zeros((int(y.max()) + 1, int(x.max()) + 1), np.int32)
    number[y, x] = 1
    cells = np.argwhere(number).astype(np.int32)
    number[cells[:, 0], cells[:, 1]] = np.arange(len(cells), dtype=np.int32)
    return cells, number[y, x], TILE * many


def _sample() -> Any:
    given = PLACE, *3 * (COUNT,), *6 * (PLACE,), COUNT, PLACE, PLACE, *3 * (NUMBER,)
    return function("sample", *given, COUNT, COUNT, PLACE, PLACE)


def _fit_compiled(
    image: Pixels,
    asked: NDArray[np.bool_],
    tiles: NDArray[np.int32],
    row: NDArray[np.int32],
    near: list[NDArray[np.int32]],
    tables: list[Array],
    far: float,
    start: int,
    stop: int,
    result: Sampled,
) -> None:
    """Find the pairs of colours that explain the pixels of some tiles best; write what they say to `result`."""
    _sample()(
        *(
            image,
            image.itemsize,
            *asked.shape,
            asked,
            np.ascontiguousarray(tiles[:, 0]),
            np.ascontiguousarray(tiles[:, 1]),
            row,
        ),
        *(*near, near[0].shape[1], *tables, far, MISFIT, APART, start, stop, result.alpha, result.confidence),
    )


def _fit(
    image: Pixels,
    asked: NDArray[np.bool_],
    tiles: NDArray[np.int32],
    row: NDArray[np.int32],
    near: list[NDArray[np.int32]],
    tables: list[Array],
    far: float,
    start: int,
    stop: int,
    result: Sampled,
) -> None:
    """Do what the compiled kernel does, where that was not compiled."""
    found = (side[row[start:stop]] for side in near)
    for tile, *samples in zip(tiles[start:stop], *found, strict=True):
        y, x = np.nonzero(asked[TILE * tile[0] :, TILE * tile[1] :][:TILE, :TILE])
        y, x = y + TILE * tile[0], x + TILE * tile[1]
        fore, back = (table[numbers] for table, numbers in zip(tables, samples, strict=True))
        way = [far * np.hypot(y[:, None] - side[:, 3], x[:, None] - side[:, 4]) for side in (fore, back)]
        line = fore[:, None, :3] - back[None, :, :3]  # (foreground, background, colour); pixels come before these
        length = (line**2).sum(axis=2)
        off = unit_float(image[y, x])[:, None, None] - back[None, None, :, :3]
        t = np.clip((off * line).sum(axis=3) / (length + np.float32(1e-6)), 0, 1)
        cost = np.sqrt(((off - t[..., None] * line) ** 2).sum(axis=3)) + way[0][:, :, None] + way[1][:, None, :]
        best = np.argpartition(cost.reshape(len(y), -1), BEST, axis=1)[:, :BEST]
        alpha, misfit = (np.take_along_axis(a.reshape(len(y), -1), best, 1).mean(axis=1) for a in (t, cost))
        span = np.sqrt(length).ravel()[best].mean(axis=1)
        result.alpha[y, x] = alpha
        result.confidence[y, x] = np.exp(-misfit / MISFIT) * np.minimum(span / APART, 1) ** 2


def _cuts(count: int, least: int) -> list[tuple[int, int]]:
    ends = np.linspace(0, count, max(count // least, 1) + 1).astype(int)
    return [(int(a), int(b)) for a, b in pairwise(ends)]
