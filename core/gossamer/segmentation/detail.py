"""Detail for big pictures: uncertain edges are predicted again, closer, in overlapping tiles.

A network sees every picture at one size, so in a large one it misses what is finer than one of its own pixels. Here
the picture's tiles along the mask's edge go through the same network, with the same preprocessing, each as a picture
of its own. What comes back is sharper, but also forgetful: a network that sees only a part of the subject may take
another part of the scene for it. Therefore a tile only counts as far as it agrees with the first mask where that one
is sure, as a whole and around each pixel, and only where it does not move the mask as such; and it only changes the
mask near its edge.

Measured with IS-Net on eight photographs with known alpha, composited at 4.3 megapixels: tiles that are believed as
they are make one mask 2.4 times worse (sum of absolute differences); weighed like this, six of the eight become
better, by 6 to 14 %, one stays as it is, one becomes 11 % worse, and the boundary IoU rises from 0.59 to 0.62.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from gossamer.arrays import Array, distances
from gossamer.progress import Progress
from gossamer.resampling import Pixels, area
from gossamer.segmentation.preprocessing import Box

__all__ = ["Predict", "add_detail", "cover"]

Predict: TypeAlias = Callable[[Sequence[Pixels], Progress], list[Array]]
"""Maps pictures to their masks, as the model at hand does."""

_GAIN = 1.25  # a picture that is larger by less than that than the network sees it has nothing more to show
_ZOOM = 2.0  # a tile has half of the picture's sides: closer, and networks lose sight of what the subject is
_SURE = 0.05  # below it, and above one less it, the first mask is sure
_REACH = 8  # of the edge in pixels of the network: fades from the half of it on
_FADE = 0.15  # of a tile's sides: what touches its border is seen without its surroundings
_FEW = 0.01  # a share of a tile or of an edge that is too small to count
# Mean disagreement with what the first mask is sure of: up to where a tile's surroundings of a pixel count in full,
# and from where they count nothing; and the same for a tile as a whole.
_AROUND = (0.02, 0.12)
_WHOLE = (0.05, 0.1)
# How far a tile may move the mask, blurred by so many pixels of the network: an edge may become finer, not go away.
# Of what it does move it, a part is taken back, as tiles are surer of where an edge is than of what is foreground.
_MOVED = (0.2, 0.4)
_BLUR = 4.0
_TAKEN_BACK = 0.7
_CELLS = 1536  # longer side of the grid; networks that see more than that need no finer one


class _Grid(NamedTuple):
    """What is known at about the network's resolution."""

    mask: Array
    edge: Array
    """1 at the mask's edge, fading to 0."""
    weight: Array
    """What the tiles add up to."""
    unit: float
    """Cells to a pixel of the network: 1, or less where that sees more than the grid has."""


def add_detail(
    image: Pixels,
    mask: Array,
    size: tuple[int, int],
    predict: Predict,
    progress: Progress | None = None,
    *,
    each: float = 0.0,
) -> Array:
    """Return a mask with more detail along its edge.

    Parameters
    ----------
    image : (H, W, 3) uint8 or float32
    mask : (H, W) float32
        What the network says of the whole picture.
    size : tuple of int
        Height and width at which it saw that.
    predict : callable
        ``predict([crop], progress)`` gives the masks of crops.
    progress : Progress, optional
        Called before every tile and while the network runs.
    each : float
        Seconds that the first tile will take, about: then `progress` is told how many are left; 0: not known.

    Returns
    -------
    (H, W) float32
        A new array; `mask` itself where the picture is hardly larger than `size` or has no edge. Nothing in it
        depends on the order in which anything ran.
    """
    steps = progress or Progress()
    ratio = math.sqrt(mask.size / (size[0] * size[1]))
    zoom = min(ratio, _ZOOM)
    if zoom < _GAIN:
        return mask
    unit = min(1.0, _CELLS * ratio / max(mask.shape))
    height, width = (max(1, round(side * unit / ratio)) for side in mask.shape)
    small = area(mask, height, width)
    grid = _Grid(small, _edge(small, _REACH * unit), np.zeros_like(small), unit)
    tile = (math.ceil(height / zoom), math.ceil(width / zoom))
    boxes = cover(grid.edge > 0, tile)
    if not boxes:
        return mask
    change = np.zeros_like(mask)
    start = time.perf_counter()
    for number, box in enumerate(boxes):
        if each and number:
            each = (time.perf_counter() - start) / number
        left = f", about {math.ceil(each * (len(boxes) - number))} s" if each else ""
        steps(number / len(boxes), f"Looking closer, {number + 1} of {len(boxes)}{left}")
        part = steps.part(number / len(boxes), (number + 1) / len(boxes))
        pixels = _scaled(box, grid.mask.shape, mask.shape)
        crop: Pixels = image[pixels]
        closer = predict([crop], part)[0]
        weighed = _weighed(closer, box, grid)
        if weighed is None:
            continue
        trust, moved = weighed
        grid.weight[_slices(box)] += trust
        closer -= mask[pixels]
        moved *= np.float32(_TAKEN_BACK)
        closer -= _enlarged(moved, *closer.shape)
        closer *= _enlarged(trust, *closer.shape)
        change[pixels] += closer
    # Where tiles overlap their weights may exceed 1; where none is trusted in full the first mask has the rest.
    share = np.divide(grid.edge, np.maximum(grid.weight, 1), dtype=np.float32)
    change *= _enlarged(share, *mask.shape)
    change += mask
    return np.clip(change, 0, 1, out=change)


def cover(edge: np.typing.NDArray[np.bool_], tile: tuple[int, int]) -> list[Box]:
    """Choose tiles whose middles cover an edge: always the one that covers most of what is left.

    Parameters
    ----------
    edge : (h, w) bool
    tile : tuple of int
        Height and width of the tiles, at most those of `edge`.

    Returns
    -------
    list of Box
        On a lattice of a quarter of a tile; a tile at the picture's border covers up to there.
    """
    places = [_places(side, of) for side, of in zip(edge.shape, tile, strict=True)]
    left = edge.astype(np.int32)
    enough = _FEW * left.sum()
    boxes: list[Box] = []
    while left.sum() > enough:
        sums = np.zeros((left.shape[0] + 1, left.shape[1] + 1), np.int64)
        sums[1:, 1:] = left.cumsum(axis=0).cumsum(axis=1)
        gains = [
            (int(sums[b, r] - sums[t, r] - sums[b, x] + sums[t, x]), (top, start, t, b, x, r))
            for top, t, b in places[0]
            for start, x, r in places[1]
        ]
        gain, (top, start, t, b, x, r) = max(gains, key=lambda one: one[0])
        if gain == 0:  # the middles of a tile's neighbours overlap, so this cannot be; an endless loop must not
            break
        boxes.append(Box(top, start, *tile))
        left[t:b, x:r] = 0
    return boxes


def _places(side: int, tile: int) -> list[tuple[int, int, int]]:
    """Return where tiles may lie along one axis: start, and start and end of the middle."""
    count = math.ceil((side - tile) / max(1, tile // 4)) + 1
    margin = int(_FADE * tile)
    places = []
    for start in sorted({round(i * (side - tile) / max(1, count - 1)) for i in range(count)}):
        first = 0 if start == 0 else start + margin
        places.append((start, first, side if start + tile == side else start + tile - margin))
    return places


def _edge(mask: Array, reach: float) -> Array:
    """Return 1 where a mask is not sure or changes sides, fading to 0 at `reach`."""
    import cv2

    unsure = ((mask > _SURE) & (mask < 1 - _SURE)).astype(np.uint8)
    unsure |= cv2.morphologyEx((mask >= 0.5).astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    if not unsure.any():
        return np.zeros_like(mask)
    distance = distances(unsure == 0)
    edge: Array = np.clip(2 - distance * np.float32(2 / reach), 0, 1).astype(np.float32)
    return edge


def _weighed(closer: Array, box: Box, grid: _Grid) -> tuple[Array, Array] | None:
    """Bring a tile's values to the first mask's and say how far it counts.

    Returns two arrays on the grid, (h, w): the weight, and how far the tile moves the mask as a whole around each
    cell; None where it counts nothing at all.
    """
    cells = _slices(box)
    coarse, edge = grid.mask[cells], grid.edge[cells]
    sure = (edge == 0).astype(np.float32)
    small = area(closer, box.height, box.width)
    low, high = _levels(small, coarse, sure)
    for values in (small, closer):
        values -= np.float32(low)
        values *= np.float32(1 / (high - low))
        np.clip(values, 0, 1, out=values)
    small -= coarse
    wrong = np.abs(small) * sure
    known = float(sure.sum())
    whole = float(wrong.sum()) / known if known >= _FEW * sure.size else 0.0
    total = _falling(np.float32(whole), _WHOLE)
    if not total > 0:
        return None
    around = _mean_around(wrong, sure, 0.1 * max(box.height, box.width))
    moved = _mean_around(small * edge, edge, _BLUR * grid.unit)
    trust: Array = _falling(around, _AROUND) * _falling(np.abs(moved), _MOVED) * total
    trust *= _ramp(box.top, box.height, grid.mask.shape[0])[:, None]
    trust *= _ramp(box.left, box.width, grid.mask.shape[1])
    return trust, moved


def _mean_around(values: Array, counted: Array, sigma: float) -> Array:
    """Return weighted means of `values`, which are multiplied by their weights `counted`, around each cell."""
    import cv2

    result: Array = cv2.GaussianBlur(values, (0, 0), sigma)
    result /= np.maximum(cv2.GaussianBlur(counted, (0, 0), sigma), np.float32(1e-3))
    return result


def _levels(small: Array, coarse: Array, sure: Array) -> tuple[float, float]:
    """Return what a tile gives for background and foreground that the first mask is sure of; 0 and 1 if unclear."""
    means = []
    for side, default in ((coarse < 0.5, 0.0), (coarse >= 0.5, 1.0)):
        there = (sure > 0) & side
        means.append(float(small[there].mean()) if there.mean() > _FEW else default)
    low, high = means
    return (low, high) if high - low > 0.5 else (0.0, 1.0)


def _falling(values: Array | np.float32, limits: tuple[float, float]) -> Array:
    """Return 1 up to the first limit, 0 from the second on."""
    share: Array = np.clip((np.float32(limits[1]) - values) / np.float32(limits[1] - limits[0]), 0, 1)
    return share


def _ramp(start: int, length: int, total: int) -> Array:
    """Return a tile's weight along one axis: it fades at its ends, but not where the picture ends."""
    position = np.arange(length, dtype=np.float32) + np.float32(0.5)
    rising = position / np.float32(_FADE * length)
    weight = np.ones(length, np.float32)
    if start > 0:
        weight = np.minimum(weight, rising)
    if start + length < total:
        weight = np.minimum(weight, rising[::-1])
    return weight


def _scaled(box: Box, cells: tuple[int, ...], pixels: tuple[int, ...]) -> tuple[slice, slice]:
    """Return the pixels of a box of cells."""
    ends = ((box.top, box.top + box.height), (box.left, box.left + box.width))
    rows, columns = (
        slice(*(round(end * pixels[axis] / cells[axis]) for end in pair)) for axis, pair in enumerate(ends)
    )
    return rows, columns


def _slices(box: Box) -> tuple[slice, slice]:
    return slice(box.top, box.top + box.height), slice(box.left, box.left + box.width)


def _enlarged(small: Array, height: int, width: int) -> Array:
    import cv2

    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.float32)
