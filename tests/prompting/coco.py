"""COCO's run-length encoding read back, as pycocotools reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def decode_rle(rle: Mapping[str, Any]) -> np.ndarray:
    """Return the mask, (H, W) bool."""
    height, width = rle["size"]
    counts = _runs(rle["counts"])
    assert sum(counts) == height * width
    flat = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    return flat.reshape(width, height).T.copy()


def _runs(counts: str) -> list[int]:
    text = counts.encode("ascii")
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
