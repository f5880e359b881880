"""Guided filtering, KNN and learning-based matting with known answers."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from gossamer.errors import Cancelled, InputError
from gossamer.matting.guided import guided_alpha
from gossamer.matting.sampled import knn_alpha, learning_based_alpha


def composite(size: int = 90) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a picture, its true alpha and a trimap; colours vary a little, as in photographs."""
    y, x = np.mgrid[:size, :size]
    alpha = np.clip((size / 3.5 - np.hypot(x - size / 2, y - size / 2)) / 6 + 0.5, 0, 1).astype(np.float32)
    noise = 0.01 * np.random.default_rng(0).standard_normal((size, size, 3))
    picture = alpha[..., None] * [0.8, 0.25, 0.2] + (1 - alpha[..., None]) * [0.15, 0.4, 0.7] + noise
    hard = (alpha > 0.5).astype(np.uint8)
    trimap = np.full(alpha.shape, 0.5, np.float32)
    kernel = np.ones((15, 15), np.uint8)
    trimap[cv2.erode(hard, kernel) == 1] = 1
    trimap[cv2.dilate(hard, kernel) == 0] = 0
    return np.clip(picture, 0, 1).astype(np.float32), alpha, trimap


def test_the_guided_filter_equals_its_definition() -> None:
    """Solve every window by least squares, as the paper defines the filter."""
    rng = np.random.default_rng(1)
    picture, mask = rng.random((9, 11, 3)), rng.random((9, 11))
    radius, epsilon = 2, 1e-3
    sums, counts = np.zeros((9, 11)), np.zeros((9, 11))
    for i in range(9):
        for j in range(11):
            window = np.s_[max(0, i - radius) : i + radius + 1, max(0, j - radius) : j + radius + 1]
            colours, values = picture[window].reshape(-1, 3), mask[window].ravel()
            centred = colours - colours.mean(0)
            covariance = centred.T @ centred / len(colours) + epsilon * np.eye(3)
            slope = np.linalg.solve(covariance, centred.T @ (values - values.mean()) / len(colours))
            offset = values.mean() - slope @ colours.mean(0)
            sums[window] += picture[window] @ slope + offset
            counts[window] += 1
    expected = np.clip(sums / counts, 0, 1)
    np.testing.assert_allclose(guided_alpha(picture, mask, radius=radius, epsilon=epsilon), expected, atol=1e-5)


def test_the_guided_filter_finds_the_picture_s_edge() -> None:
    picture, alpha, _ = composite()
    rough = np.roll((alpha > 0.5).astype(np.float32), (2, 2), (0, 1))
    assert np.abs(guided_alpha(picture, rough) - alpha).mean() < 0.7 * np.abs(rough - alpha).mean()


def test_strips_do_not_show() -> None:
    rng = np.random.default_rng(2)
    picture, mask = rng.random((700, 16, 3), dtype=np.float32), rng.random((700, 16), dtype=np.float32)
    tall = np.tile(picture, (1, 200, 1)), np.tile(mask, (1, 200))  # wide enough for several strips
    result = guided_alpha(*tall)
    part = guided_alpha(tall[0][250:450], tall[1][250:450])
    np.testing.assert_allclose(result[300:400], part[50:150], atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1), (1, 20), (2, 3)])
def test_constant_and_tiny_pictures(shape: tuple[int, int]) -> None:
    mask = np.full(shape, 0.25, np.float32)
    np.testing.assert_allclose(guided_alpha(np.full((*shape, 3), 0.5, np.float32), mask), mask, atol=1e-6)


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("method", [knn_alpha, learning_based_alpha])
def test_a_composite_is_recovered(method) -> None:
    picture, alpha, trimap = composite()
    found = method(picture, trimap)
    unknown = trimap == 0.5
    assert found.dtype == np.float32
    assert np.array_equal(found[~unknown], trimap[~unknown])
    assert np.abs(found - alpha)[unknown].mean() < 0.05


@pytest.mark.parametrize("method", [knn_alpha, learning_based_alpha])
def test_trimaps_without_an_answer(method) -> None:
    picture, _, trimap = composite(40)
    assert np.array_equal(method(picture, np.round(trimap)), (np.round(trimap) >= 0.9).astype(np.float32))
    with pytest.raises(InputError, match="no known foreground"):
        method(picture, np.minimum(trimap, 0.5))
    with pytest.raises(InputError, match="no known background"):
        method(picture, np.maximum(trimap, 0.5))
    with pytest.raises(InputError, match="pixels, but the picture"):
        method(picture, trimap[:-1])


def test_bad_settings_and_cancelling() -> None:
    picture, alpha, _ = composite(40)
    with pytest.raises(InputError, match="radius 0"):
        guided_alpha(picture, alpha, radius=0)
    with pytest.raises(InputError, match="NaN"):
        guided_alpha(picture, np.full(alpha.shape, np.nan))

    def stop(fraction: float, message: str) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        guided_alpha(picture, alpha, progress=stop)
