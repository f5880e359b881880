"""Where a subject is like what is behind it, its mask stays: nothing in the picture speaks against it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from gossamer.matting.auto import auto_alpha
from gossamer.matting.auto.mixtures import Mixtures
from gossamer.matting.signed_distance import unit_length

HEIGHT, WIDTH = 300, 400


def disc(x: float) -> NDArray[np.float32]:
    """Return the exact alpha of a disc with its middle at x."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    return np.clip(80.5 - np.hypot(columns - x, rows - 150), 0, 1).astype(np.float32)


@pytest.mark.parametrize("level", [0.2, 0.5, 0.8])
def test_what_differs_by_less_than_noise_keeps_its_mask(level: float) -> None:
    random = np.random.default_rng(3)
    alpha = disc(200)
    image = level + 0.02 * alpha[..., None] + random.normal(0, 0.04, (HEIGHT, WIDTH, 3))
    mask = cv2.GaussianBlur(alpha, (0, 0), 0.7)
    off = float(np.abs(auto_alpha(np.clip(image, 0, 1).astype(np.float32), mask) - alpha).mean())
    assert off < 1.05 * float(np.abs(mask - alpha).mean())


def test_a_fading_rim_before_a_plain_wall_stays() -> None:
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    alpha = 0.8 * np.exp(-((np.hypot(columns - 200, rows - 150) / 70) ** 2)).astype(np.float32)
    random = np.random.default_rng(5)
    image = 0.75 - 0.1 * alpha[..., None] + random.normal(0, 0.004, (HEIGHT, WIDTH, 3))
    found = auto_alpha(np.clip(image, 0, 1).astype(np.float32), alpha)
    assert float(np.abs(found - alpha).max()) < 0.02


@pytest.mark.parametrize("level", [0.3, 0.9])
def test_noise_is_known_in_dark_pictures_and_in_bright_ones(level: float) -> None:
    random = np.random.default_rng(7)
    alpha = disc(200)
    image = level + 0.01 * alpha[..., None] + random.normal(0, 0.03, (HEIGHT, WIDTH, 3))
    mixtures = Mixtures(np.clip(image, 0, 1).astype(np.float32), unit_length(alpha.shape))
    contour = cv2.resize(alpha, (WIDTH // 2, HEIGHT // 2), interpolation=cv2.INTER_AREA)
    assert float(mixtures.told(alpha).apart[(contour > 0.1) & (contour < 0.9)].max()) < 0.2
