"""Masks of several subjects, and of a prompt and an automatic model, made one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gossamer.arrays import Array, distances
from gossamer.errors import InputError

__all__ = ["intersection", "union"]

# SAM draws on a grid of 256 cells a side, and hair stands out further than its masks do: so many cells around them the
# automatic model is believed in full, and from twice as many on not at all.
_CELLS = 4
_GRID = 256


def union(masks: Sequence[Array]) -> Array:
    """Return the largest of the masks everywhere, (H, W); at least one is needed."""
    if not masks:
        raise InputError("There are no masks to unite.", "Give at least one.")
    result = masks[0].copy()
    for mask in masks[1:]:
        np.maximum(result, mask, out=result)
    return result


def intersection(prompted: Array, automatic: Array) -> Array:
    """Return the automatic mask where the prompt's mask is, and a little around it.

    The choice comes from the prompt, the hair from the automatic model: that one's soft edge is kept also where it
    reaches out of the prompt's coarse mask, full up to four cells of SAM's grid away and fading out until eight.

    Parameters
    ----------
    prompted, automatic : (H, W) float32
        In [0, 1].

    Returns
    -------
    (H, W) float32
        Nowhere more than `automatic`.
    """
    inside = prompted > 0.5
    if not inside.any():
        return np.zeros_like(automatic)
    reach = max(_CELLS * max(inside.shape) / _GRID, 1.0)
    around = distances(~inside)
    weight = np.clip(2 - around / np.float32(reach), 0, 1)
    result: Array = automatic * weight
    return result
