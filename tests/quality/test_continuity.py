"""How long a piece of contour is."""

from __future__ import annotations

import numpy as np
import pytest

from gossamer.quality.continuity import longest_run


def test_a_line_is_as_long_as_it_is_and_gaps_of_a_few_pixels_are_none() -> None:
    line = np.zeros((60, 80), np.bool_)
    line[30, 10:50] = True
    line[5, 5:20] = True
    assert longest_run(line) == 40
    line[30, 30:33] = False
    assert longest_run(line) == 37
    line[30, 30:40] = False
    assert longest_run(line) == 20
    assert longest_run(np.zeros_like(line)) == 0


@pytest.mark.parametrize("strands", [1, 4, 12])
def test_strands_side_by_side_are_no_longer_for_their_number(strands: int) -> None:
    lines = np.zeros((60, 80), np.bool_)
    lines[10 : 10 + 2 * strands : 2, 20:50] = True
    assert np.count_nonzero(lines) == 30 * strands
    assert longest_run(lines) == pytest.approx(np.hypot(30, 2 * strands - 1), abs=0.1)
