"""Contact sheets show what they should where they should."""

from __future__ import annotations

import numpy as np
import pytest

from gossamer.errors import InputError
from gossamer.sheets.contact_sheet import BACKGROUNDS, Entry, contact_sheet, edge_windows


def disc(size: int = 200) -> np.ndarray:
    y, x = np.mgrid[:size, :size]
    return np.clip((size / 4 - np.hypot(x - size / 2, y - size / 2)) / 6 + 0.5, 0, 1).astype(np.float32)


def test_edge_windows_lie_on_the_edge_and_do_not_overlap() -> None:
    alpha = disc()
    corners = edge_windows(alpha, 40, 3)
    assert len(corners) == 3
    for row, column in corners:
        window = alpha[row : row + 40, column : column + 40]
        assert window.min() < 0.1
        assert window.max() > 0.9
    for i, (row, column) in enumerate(corners):
        assert all(max(abs(row - r), abs(column - c)) >= 40 for r, c in corners[:i])
    assert edge_windows(np.ones((50, 50), np.float32), 20, 3) == []
    assert edge_windows(alpha, 500, 3) == []


def test_a_sheet_shows_every_background_and_enlarges_without_smoothing() -> None:
    alpha = disc()
    red = np.zeros((200, 200, 3), np.float32)
    red[..., 0] = 1
    sheet = contact_sheet([Entry("one", red, alpha), Entry("two", red, alpha)], width=200, crops=1, zoom=4)
    one_row = sheet.shape[0] // 2
    assert np.array_equal(sheet[:one_row][28:], sheet[one_row:][28:])
    for i, name in enumerate(BACKGROUNDS):
        left = 8 + i * 208
        cell = sheet[28 + 8 : 28 + 208, left : left + 200]
        expected = [int(name[j : j + 2], 16) / 255 for j in (1, 3, 5)]
        np.testing.assert_allclose(cell[2, 2], expected, atol=1e-6)
        np.testing.assert_allclose(cell[100, 100], [1, 0, 0], atol=1e-6)
        crop = sheet[28 + 216 : 28 + 416, left : left + 200]
        assert np.array_equal(crop, crop[::4, ::4].repeat(4, 0).repeat(4, 1))


def test_other_sizes_are_refused() -> None:
    small = Entry("small.png", np.zeros((4, 4, 3), np.float32), np.zeros((4, 4), np.float32))
    large = Entry("large.png", np.zeros((5, 4, 3), np.float32), np.zeros((5, 4), np.float32))
    with pytest.raises(InputError, match=r"large\.png is 4 x 5 pixels, but small\.png is 4 x 4"):
        contact_sheet([small, large])
    with pytest.raises(InputError, match="nothing to compare"):
        contact_sheet([])
