"""Where the subjects of a prompt are: each one's box, points and mask, as the networks that find masks read them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.prompting.prompt import Box, Point, Prompt

__all__ = ["SCRIBBLE_POINTS", "Places", "around", "holds", "overlap", "places_of", "points_of", "spread"]

SCRIBBLE_POINTS = 8
"""So many at most are made of each kind of scribble: SAM's authors train it with up to eight."""


@dataclass(frozen=True, eq=False)
class Places:
    """What is said of where one subject is.

    Attributes
    ----------
    box : (x0, y0, x1, y1), optional
    points, not_points : tuple of (x, y)
    mask : (H, W) float32, optional
    """

    box: Box | None = None
    points: tuple[Point, ...] = ()
    not_points: tuple[Point, ...] = ()
    mask: Array | None = None


def places_of(prompt: Prompt) -> list[Places]:
    """Return the subjects that a prompt's places mean, one for each box.

    Scribbles become up to eight points on each of their kinds, spread as far as they go. Points belong to each box
    that they lie in, and those on the subject in no box to a subject of their own; where there is one box all belong
    to it. A rough mask belongs to the subject; to several boxes its part in each. A mask alone gets a box around it,
    which the network needs more than the mask.
    """
    points, not_points = points_of(prompt)
    boxes, mask = prompt.boxes, prompt.mask
    if len(boxes) > 1:
        places = [
            Places(
                box,
                tuple(point for point in points if holds(box, point)),
                tuple(point for point in not_points if holds(box, point)),
                None if mask is None else _part(mask, box),
            )
            for box in boxes
        ]
        others = tuple(point for point in points if not any(holds(box, point) for box in boxes))
        return [*places, Places(None, others, not_points)] if others else places
    if boxes:
        return [Places(boxes[0], points, not_points, mask)]
    if mask is not None:
        return [Places(None if points else around(mask), points, not_points, mask)]
    return [Places(None, points, not_points)] if points else []


def points_of(prompt: Prompt) -> tuple[tuple[Point, ...], tuple[Point, ...]]:
    """Return the points on the subject and on what is none, those of the scribbles too."""
    points, not_points = prompt.points, prompt.not_points
    if prompt.scribbles is not None:
        points += spread(prompt.scribbles >= 0.9, SCRIBBLE_POINTS)
        not_points += spread(prompt.scribbles <= 0.1, SCRIBBLE_POINTS)
    return points, not_points


def spread(marked: Any, count: int) -> tuple[Point, ...]:
    """Return up to `count` points on marked pixels, (H, W) bool, each as far from the others as can be."""
    rows, columns = np.nonzero(marked)
    if not len(rows):
        return ()
    # So many are enough to choose from, and a scribble of a million pixels takes no time.
    step = max(1, len(rows) // 4096)
    places = np.stack([columns[::step], rows[::step]], axis=1).astype(np.float32) + np.float32(0.5)
    chosen = [int(np.argmin(((places - places.mean(axis=0)) ** 2).sum(axis=1)))]
    distance = ((places - places[chosen[0]]) ** 2).sum(axis=1)
    while len(chosen) < count and distance.max() > 1:
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, ((places - places[chosen[-1]]) ** 2).sum(axis=1))
    return tuple((float(x), float(y)) for x, y in places[chosen])


def around(mask: Array) -> Box | None:
    """Return the box around what a mask, (H, W), marks; None where that is nothing."""
    rows, columns = np.flatnonzero((mask > 0.5).any(axis=1)), np.flatnonzero((mask > 0.5).any(axis=0))
    if not len(rows):
        return None
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def holds(box: Box, point: Point) -> bool:
    """Return whether a point lies in a box."""
    return box[0] <= point[0] <= box[2] and box[1] <= point[1] <= box[3]


def _part(mask: Array, box: Box) -> Array:
    part = np.zeros_like(mask)
    rows, columns = slice(int(box[1]), int(np.ceil(box[3]))), slice(int(box[0]), int(np.ceil(box[2])))
    part[rows, columns] = mask[rows, columns]
    return part


def overlap(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Return the intersection over the union."""
    union = np.count_nonzero(one | other)
    return np.count_nonzero(one & other) / union if union else 1.0
