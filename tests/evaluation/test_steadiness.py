from __future__ import annotations

import numpy as np
import pytest

from gossamer.errors import InputError
from gossamer.evaluation.steadiness import dtssd


def test_it_is_the_authors_mean_of_root_mean_squares_of_changes() -> None:
    """Steps of 0 and 0.5 in a quarter of the pixels: 0 and 0.25, and their mean."""
    truths = np.zeros((3, 4, 4), np.float32)
    mattes = truths.copy()
    mattes[2, :2, :2] = 0.5
    assert dtssd(mattes, truths) == pytest.approx(100 * (0 + 0.25) / 2)
    assert dtssd(mattes, mattes) == 0
    # What is off alike in all frames is steady.
    assert dtssd(truths + np.float32(0.3), truths) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("shape", [(1, 4, 4), (2, 4, 5), (4, 4)])
def test_it_is_of_clips(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="two frames or more"):
        dtssd(np.zeros(shape, np.float32), np.zeros((2, 4, 4) if shape[-1] == 5 else shape, np.float32))
