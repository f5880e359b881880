"""What the checks look at: the same lengths and colours at every size, and sums that are those of their pixels."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from gossamer.quality.view import look
from gossamer.quality.windows import Windows
from tests.quality.scenes import scene


@pytest.mark.parametrize("size", [(1203, 1601), (1200, 1600), (300, 400)])
@pytest.mark.parametrize("deep", [False, True])
def test_colours_of_some_pixels_are_those_of_all(size: tuple[int, int], deep: bool) -> None:
    true = scene()
    alpha, colours = (cv2.resize(plane, size[::-1]) for plane in (true.alpha, true.colours))
    given = colours if deep else np.round(colours * 255).astype(np.uint8)
    view = look(np.clip(alpha, 0, 1), given, None)
    rows, columns = np.nonzero((view.alpha > 0.05) & (view.alpha < 1))
    assert rows.size > 500
    assert view.colours is not None
    # Bytes are multiplied and averaged as bytes there: by how much that is off grows where little is seen.
    off = np.abs(view.colours_at(rows, columns) - view.colours[rows, columns]).max(axis=1)
    assert (off * view.alpha[rows, columns]).max() < 2 / 255


def test_the_colours_behind_what_cannot_be_seen_do_not_count() -> None:
    alpha = np.zeros((1200, 1600), np.float32)
    alpha[:, 801:] = 1
    colours = np.where(alpha[..., None] > 0, np.float32([0.2, 0.4, 0.6]), np.float32(1)).astype(np.float32)
    view = look(alpha, colours, None)
    rows, columns = np.nonzero(view.alpha > 0)
    np.testing.assert_allclose(view.colours_at(rows, columns), np.broadcast_to([0.2, 0.4, 0.6], (len(rows), 3)), 1e-5)


def test_windows_hold_what_their_pixels_hold() -> None:
    height, width, radius = 60, 81, 10
    random = np.random.default_rng(0)
    where = random.random((height, width)) < 0.3
    values = random.random((height, width)).astype(np.float32)
    rows, columns = np.array([30, 31, 0, 59]), np.array([40, 41, 0, 80])
    windows = Windows(where.shape, radius, rows, columns)
    places = np.nonzero(where)
    count, total = windows.sums(*places, None, values[places])
    assert windows.area == pytest.approx((2 * radius + 1) ** 2, rel=0.1)
    for place, (row, column) in enumerate(zip(rows, columns, strict=True)):
        # They begin at every other pixel: a window of 22 around the even pixel before, but for what is outside.
        top, left = row // 2 * 2 - radius, column // 2 * 2 - radius
        box = np.s_[max(top, 0) : top + 2 * radius + 2, max(left, 0) : left + 2 * radius + 2]
        assert count[place] == np.count_nonzero(where[box])
        assert total[place] == pytest.approx(values[box][where[box]].sum(), rel=1e-5)
