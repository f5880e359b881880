"""Holes, specks and the largest parts: whole components of the mask, with the soft skirts that belong to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array

__all__ = ["fill_holes", "keep_largest", "remove_specks"]

_Flags = NDArray[np.bool_]

_VISIBLE = np.float32(1 / 255)  # a skirt ends where eight bits show nothing any more


def fill_holes(alpha: Array, area: float) -> Array:
    """Make enclosed components of ``alpha <= 0.5`` of at most `area` pixels opaque.

    Components at the picture's border are not enclosed. Background is connected through sides only: two pixels
    of the foreground that touch at a corner enclose what lies behind them.
    """
    holes = _components(alpha <= 0.5, 4)
    soft = _components(alpha < 1 - _VISIBLE, 4)
    gone = _without(
        holes,
        soft,
        drop=(holes.area <= area) & ~holes.at_border,
        drop_faint=(soft.area <= area) & ~soft.at_border,
    )
    return alpha if gone is None else np.where(gone, np.float32(1), alpha)


def remove_specks(alpha: Array, area: float) -> Array:
    """Make components of ``alpha > 0.5`` of at most `area` pixels transparent, and faint ones of that size.

    What fills the whole picture is no island.
    """
    islands = _components(alpha > 0.5, 8)
    soft = _components(alpha > _VISIBLE, 8)
    most = min(area, alpha.size - 1)
    gone = _without(islands, soft, drop=islands.area <= most, drop_faint=soft.area <= most)
    return alpha if gone is None else np.where(gone, np.float32(0), alpha)


def keep_largest(alpha: Array, count: int) -> Array:
    """Make all but the `count` largest components of ``alpha > 0.5`` transparent; the first wins a tie."""
    islands = _components(alpha > 0.5, 8)
    if len(islands.area) == 0:
        return alpha  # nothing is the largest: a mask this faint is not emptied
    soft = _components(alpha > _VISIBLE, 8)
    drop = np.ones(len(islands.area), bool)
    drop[np.argsort(-islands.area, kind="stable")[:count]] = False
    gone = _without(islands, soft, drop=drop, drop_faint=np.ones(len(soft.area), bool))
    return alpha if gone is None else np.where(gone, np.float32(0), alpha)


@dataclass(frozen=True)
class _Components:
    """Connected components: label 0 is none of them, entry i of the arrays describes label i + 1."""

    labels: NDArray[np.int32]
    area: NDArray[np.int32]
    at_border: _Flags


def _components(inside: _Flags, connectivity: int) -> _Components:
    import cv2

    _, labels, stats, _ = cv2.connectedComponentsWithStats(inside.view(np.uint8), connectivity=connectivity)
    left, top, width, height, area = stats[1:].T
    at_border = (left == 0) | (top == 0) | (left + width == inside.shape[1]) | (top + height == inside.shape[0])
    return _Components(labels, area, at_border)


def _without(cores: _Components, soft: _Components, *, drop: _Flags, drop_faint: _Flags) -> _Flags | None:
    """Say which pixels belong to the components to drop; None where there are none.

    Parameters
    ----------
    cores : _Components
        Of the mask, cut at one half; each lies within one component of `soft`.
    soft : _Components
        Of the mask down to its faintest visible values.
    drop : (number of cores,) bool
        The cores to drop.
    drop_faint : (number of soft components,) bool
        The soft components to drop if they have no core at all.
    """
    owner = np.zeros(len(drop) + 1, np.int32)  # the soft component that a core lies in
    owner[cores.labels.reshape(-1)] = soft.labels.reshape(-1)
    has_core = np.zeros(len(drop_faint) + 1, bool)
    has_core[owner[1:]] = True
    has_kept, has_dropped = np.zeros_like(has_core), np.zeros_like(has_core)
    has_kept[owner[1:][~drop]] = True
    has_dropped[owner[1:][drop]] = True
    whole = has_dropped & ~has_kept
    whole[1:] |= drop_faint & ~has_core[1:]
    whole[0] = False
    mixed = has_dropped & has_kept
    if not whole.any() and not mixed.any():
        return None
    gone: _Flags = whole[soft.labels]
    if mixed.any():
        gone |= _nearer(cores, soft, owner, drop, mixed)
    return gone


def _nearer(cores: _Components, soft: _Components, owner: NDArray[Any], drop: _Flags, mixed: _Flags) -> _Flags:
    """Share soft components with both kinds of cores out: a pixel goes if the nearest core goes."""
    import cv2

    inside = cores.labels > 0
    _, nearest = cv2.distanceTransformWithLabels(
        (~inside).view(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    core_of = np.zeros(int(nearest.max()) + 1, np.int32)
    core_of[nearest[inside]] = cores.labels[inside]
    affected = mixed[soft.labels]
    core = core_of[nearest[affected]]
    dropped = np.concatenate([[False], drop])
    affected[affected] = dropped[core] & (owner[core] == soft.labels[affected])
    return affected
