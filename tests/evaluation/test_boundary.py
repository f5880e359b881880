"""Boundary IoU against the authors' repeated erosion, and known answers."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from gossamer.errors import InputError
from gossamer.evaluation import boundary_iou


def rim(mask: NDArray[np.bool_], times: int) -> NDArray[np.bool_]:
    """Erode by 3 x 3 so often, with outside beyond the border."""
    eroded = mask
    for _ in range(times):
        padded = np.pad(eroded, 1)
        eroded = np.all(
            [padded[i : i + mask.shape[0], j : j + mask.shape[1]] for i in range(3) for j in range(3)], axis=0
        )
    return mask & ~eroded


@pytest.mark.parametrize("size", [(60, 80), (97, 31), (5, 5), (1, 40)])
@pytest.mark.parametrize("ratio", [0.02, 0.1])
def test_it_is_that_of_repeated_erosion(size: tuple[int, int], ratio: float) -> None:
    random = np.random.default_rng(size[0])
    coarse = random.random((2, -(-size[0] // 9), -(-size[1] // 9))) > 0.4
    first, second = coarse.repeat(9, 1).repeat(9, 2)[:, : size[0], : size[1]] ^ (random.random((2, *size)) > 0.98)
    times = max(1, round(ratio * float(np.hypot(*size))))
    a, b = rim(first, times), rim(second, times)
    assert boundary_iou(first, second, dilation_ratio=ratio) == (a & b).sum() / (a | b).sum()


def test_known_answers() -> None:
    truth = np.zeros((300, 400), np.bool_)  # its diagonal is 500, the rim 10 wide
    truth[100:200, 100:200] = True
    assert boundary_iou(truth, truth) == 1
    inner = np.zeros_like(truth)
    inner[110:190, 110:190] = True  # its rim begins where the other ends
    assert boundary_iou(inner, truth) == 0
    half = np.zeros_like(truth)
    half[105:195, 105:195] = True
    shared = 90**2 - 80**2
    either = (100**2 - 80**2) + (90**2 - 70**2) - shared
    assert boundary_iou(half, truth) == shared / either
    everything = np.ones_like(truth)
    assert boundary_iou(everything, everything) == 1  # the picture's border counts as an edge
    assert boundary_iou(~everything, ~everything) == 0
    assert boundary_iou(truth, ~everything) == 0


def test_bad_input() -> None:
    with pytest.raises(InputError, match="shapes"):
        boundary_iou(np.zeros((3, 4), np.bool_), np.zeros((4, 3), np.bool_))
    with pytest.raises(InputError, match="shapes"):
        boundary_iou(np.zeros((0, 4), np.bool_), np.zeros((0, 4), np.bool_))
