"""Planes of bytes in GIMP's own Python, beside what numpy makes of the same."""

from __future__ import annotations

import numpy as np
import pytest

from gossamer_gimp import planes


@pytest.mark.parametrize("shape", [(600, 700), (300, 451), (257, 256), (1, 700), (700, 1)])
def test_boxes_hold_every_change_and_little_else(shape: tuple[int, int]) -> None:
    random = np.random.default_rng(3)
    height, width = shape
    before = random.integers(0, 256, shape, dtype=np.uint8)
    after = before.copy()
    for _ in range(4):
        after[random.integers(height), random.integers(width)] ^= 255
    seen = before.copy()
    boxes = list(planes.changed(before.tobytes(), after.tobytes(), width, height))
    for left, top, wide, high in boxes:
        part = planes.cut_out(after.tobytes(), width, (left, top, wide, high))
        seen[top : top + high, left : left + wide] = np.frombuffer(part, np.uint8).reshape(high, wide)
    assert np.array_equal(seen, after)
    assert list(planes.changed(after.tobytes(), after.tobytes(), width, height)) == []
    if shape == (600, 700):
        one = before.copy()
        one[300, 300] ^= 255
        assert list(planes.changed(before.tobytes(), one.tobytes(), 700, 600)) == [(256, 256, 256, 256)]


def test_marks_are_white_black_or_nothing() -> None:
    values, opacity = np.meshgrid(np.arange(256, dtype=np.uint8), np.arange(256, dtype=np.uint8))
    said = np.frombuffer(planes.marked(values.tobytes(), opacity.tobytes()), np.uint8).reshape(256, 256)
    there = opacity >= 128
    assert np.array_equal(said == 255, there & (values >= 230))
    assert np.array_equal(said == 0, there & (values <= 25))
    assert set(np.unique(said)) == {0, 128, 255}
