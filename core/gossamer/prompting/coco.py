"""COCO's run-length encoding of masks: the JSON form that annotation tools and evaluation code read.

The format is that of pycocotools (github.com/cocodataset/cocoapi): runs of 0 and 1 in turn, beginning with 0, counted
down the columns; from the third on each as the difference to the one two before; in groups of five bits, the lowest
first, a sixth bit saying that more follow, and 48 added so that each group is a printable character.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gossamer.errors import InputError

__all__ = ["decode_rle", "encode_rle"]

_LARGEST = 1 << 30  # pixels of a mask to decode: more is an attack or a mistake


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


def decode_rle(rle: Mapping[str, Any]) -> NDArray[np.bool_]:
    """Return the mask, (H, W) bool, of COCO's run-length encoding, compressed or as a list of runs.

    Raises
    ------
    InputError
        It is damaged.
    """
    remedy = 'Give {"size": [height, width], "counts": "..."} as COCO has it.'
    try:
        height, width = (int(side) for side in rle["size"])
        counts = rle["counts"]
        runs = [int(run) for run in counts] if not isinstance(counts, (str, bytes)) else _runs(counts)
    except (KeyError, TypeError, ValueError, IndexError):
        raise InputError("A run-length encoded mask is damaged.", remedy) from None
    if not 0 < height * width <= _LARGEST or min(runs, default=0) < 0 or sum(runs) != height * width:
        raise InputError("A run-length encoded mask does not fill its size.", remedy)
    flat = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return flat.reshape(width, height).T.copy()


def _runs(counts: str | bytes) -> list[int]:
    text = counts.encode("ascii") if isinstance(counts, str) else counts
    runs: list[int] = []
    position = 0
    while position < len(text):
        value = shift = 0
        while True:
            group = text[position] - 48
            position += 1
            value |= (group & 0x1F) << shift
            shift += 5
            if not group & 0x20:
                if group & 0x10:
                    value -= 1 << shift
                break
        runs.append(value + runs[-2] if len(runs) > 2 else value)
    return runs
