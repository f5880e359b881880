"""COCO's run-length encoding of masks: the JSON form that annotation tools and evaluation code read.

The format is that of pycocotools (github.com/cocodataset/cocoapi): runs of 0 and 1 in turn, beginning with 0, counted
down the columns; from the third on each as the difference to the one two before; in groups of five bits, the lowest
first, a sixth bit saying that more follow, and 48 added so that each group is a printable character.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from gossamer.errors import InputError

__all__ = ["encode_rle"]


def encode_rle(mask: ArrayLike) -> dict[str, Any]:
    """Return a mask as COCO's ``{"size": [height, width], "counts": "..."}``.

    Parameters
    ----------
    mask : (H, W) array
        True or above one half = the subject.
    """
    hard = np.asarray(mask) > 0.5
    if hard.ndim != 2:
        raise InputError(f"The mask has the shape {hard.shape}.", "Give (height, width).")
    flat = hard.ravel(order="F")
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    edges = np.concatenate([[0], changes, [flat.size]])
    runs = np.diff(edges).tolist()
    if flat.size and flat[0]:
        runs = [0, *runs]
    characters = []
    for i, run in enumerate(runs):
        value = run - runs[i - 2] if i > 2 else run
        more = True
        while more:
            bits = value & 0x1F
            value >>= 5  # keeps the sign
            more = value != (-1 if bits & 0x10 else 0)
            characters.append(chr((bits | 0x20 if more else bits) + 48))
    return {"size": [int(hard.shape[0]), int(hard.shape[1])], "counts": "".join(characters)}
