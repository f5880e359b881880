"""Planes of bytes in GIMP's own Python, beside what numpy makes of the same."""

from __future__ import annotations

import numpy as np

from gossamer_gimp import planes


def test_boxes_are_cut_out_and_put_in() -> None:
    plane = np.random.default_rng(3).integers(0, 256, (60, 70), dtype=np.uint8)
    boxes = [(0, 0, 70, 8), (5, 10, 20, 30), (69, 59, 1, 1)]
    parts = [planes.cut_out(plane.tobytes(), 70, box) for box in boxes]
    empty = bytearray(60 * 70)
    planes.put_in(empty, 70, boxes, memoryview(b"".join(parts)))
    seen = np.frombuffer(empty, np.uint8).reshape(60, 70)
    for left, top, wide, high in boxes:
        inside = slice(top, top + high), slice(left, left + wide)
        assert np.array_equal(seen[inside], plane[inside])
    assert np.count_nonzero(seen) <= 70 * 8 + 20 * 30 + 1


def test_marks_are_white_black_or_nothing() -> None:
    values, opacity = np.meshgrid(np.arange(256, dtype=np.uint8), np.arange(256, dtype=np.uint8))
    said = np.frombuffer(planes.marked(values.tobytes(), opacity.tobytes()), np.uint8).reshape(256, 256)
    there = opacity >= 128
    assert np.array_equal(said == 255, there & (values >= 230))
    assert np.array_equal(said == 0, there & (values <= 25))
    assert set(np.unique(said)) == {0, 128, 255}
