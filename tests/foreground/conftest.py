from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray


class Composite(NamedTuple):
    image: NDArray[np.float32]
    alpha: NDArray[np.float32]
    foreground: NDArray[np.float32]
    background: NDArray[np.float32]

    def error(self, estimate: NDArray[np.float32]) -> float:
        """Mean error in 1/255 over soft pixels, weighted by alpha."""
        soft = (self.alpha > 0) & (self.alpha < 1)
        weight = self.alpha[soft]
        error = np.abs(estimate - self.foreground)[soft].mean(1) * 255
        return float((error * weight).sum() / weight.sum())


@pytest.fixture(scope="session")
def composite() -> Composite:
    """A known subject with a furry edge over a photograph that has nothing to do with it."""
    from skimage import data

    random = np.random.default_rng(7)
    height, width = 300, 400
    matte = np.zeros((height * 4, width * 4), np.uint8)
    centre = np.array([width * 2, height * 2])
    cv2.circle(matte, centre.tolist(), 340, 255, -1)
    for angle in random.uniform(0, 2 * np.pi, 700):
        direction = np.array([np.cos(angle), np.sin(angle)])
        start = centre + 320 * direction
        end = centre + random.uniform(380, 560) * direction + random.normal(0, 40, 2)
        cv2.line(matte, start.astype(int).tolist(), end.astype(int).tolist(), 255, int(random.integers(2, 7)))
    alpha = cv2.resize(matte, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    foreground = cv2.resize(random.random((6, 8, 3), dtype=np.float32), (width, height)) * 0.6
    foreground += cv2.GaussianBlur(random.random((height, width, 3), dtype=np.float32), (0, 0), 1.5) * 0.3
    background = data.chelsea()[:height, :width].astype(np.float32) / 255
    image = alpha[:, :, None] * foreground + (1 - alpha[:, :, None]) * background
    return Composite((np.round(image * 255) / 255).astype(np.float32), alpha, foreground, background)
