"""What of a preview is sent: the parts that have changed."""

from __future__ import annotations

import numpy as np
import pytest

from gossamer.worker.previewing import changed


@pytest.mark.parametrize("shape", [(600, 700), (300, 451), (257, 256), (1, 700), (700, 1)])
def test_boxes_hold_every_change(shape: tuple[int, int]) -> None:
    random = np.random.default_rng(3)
    height, width = shape
    before = random.integers(0, 256, shape, dtype=np.uint8)
    after = before.copy()
    for _ in range(4):
        after[random.integers(height), random.integers(width)] ^= 255
    seen = before.copy()
    for left, top, wide, high in changed(before, after):
        assert left + wide <= width
        assert top + high <= height
        seen[top : top + high, left : left + wide] = after[top : top + high, left : left + wide]
    assert np.array_equal(seen, after)
    assert changed(after, after) == []


def test_boxes_hold_little_else() -> None:
    before = np.zeros((600, 700), np.uint8)
    after = before.copy()
    after[300, 3] = after[300, 699] = 1
    assert changed(before, after) == [(0, 256, 256, 256), (512, 256, 188, 256)]
    after[300, 300] = after[599, 0] = 1
    assert changed(before, after) == [(0, 256, 700, 256), (0, 512, 256, 88)]
