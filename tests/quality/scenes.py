"""A subject with hair before a background, both textured, whose alpha and colours are known to the last bit."""

from __future__ import annotations

import functools
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

SIZE = 480, 640
CENTRE, RADIUS = (320, 260), 120
HAIRS = 90


class Scene(NamedTuple):
    """photo and colours (H, W, 3), alpha (H, W): float32 in [0, 1]."""

    photo: NDArray[np.float32]
    alpha: NDArray[np.float32]
    colours: NDArray[np.float32]
    background: NDArray[np.float32]


@functools.cache
def scene() -> Scene:
    """Return a reddish head with hair before something greenish."""
    random = np.random.default_rng(3)
    height, width = SIZE
    big = np.zeros((3 * height, 3 * width), np.uint8)
    cv2.circle(big, (3 * CENTRE[0], 3 * CENTRE[1]), 3 * RADIUS, 255, -1)
    for angle in random.uniform(0, 2 * np.pi, HAIRS):
        foot, tip = (
            np.array(CENTRE) + (np.cos(angle + turn), np.sin(angle + turn)) * np.array(reach)
            for turn, reach in ((0, 110), (random.normal(0, 0.1), random.uniform(140, 185)))
        )
        cv2.line(big, tuple((3 * foot).astype(int)), tuple((3 * tip).astype(int)), 255, int(random.integers(3, 7)))
    alpha = cv2.resize(big, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    colours, background = (
        np.clip(np.float32(tone) + 0.05 * grain(random)[..., None], 0, 1)
        for tone in ((0.75, 0.35, 0.25), (0.2, 0.55, 0.35))
    )
    return Scene(over(colours, alpha, background), alpha, colours, background)


def grain(random: np.random.Generator) -> NDArray[np.float32]:
    """Return texture of unit contrast."""
    noise = cv2.GaussianBlur(random.standard_normal(SIZE).astype(np.float32), (0, 0), 1.2)
    return noise / noise.std()


def over(
    colours: NDArray[np.float32], alpha: NDArray[np.float32], background: NDArray[np.float32]
) -> NDArray[np.float32]:
    return (alpha[..., None] * colours + (1 - alpha[..., None]) * background).astype(np.float32)


def rgba(colours: NDArray[np.float32], alpha: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.round(np.dstack([colours, alpha]) * 255).astype(np.uint8)


def true_cutout() -> NDArray[np.uint8]:
    return rgba(scene().colours, scene().alpha)
