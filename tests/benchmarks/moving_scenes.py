"""Clips whose mattes are known: cut-outs that move over photographs that move otherwise, with blur, zoom and a cut.

What moves is rigid, and motion that is found somewhere in it holds for all of it. So there are waves: of the whole
subject, slow and long, and of its fringe alone, quick and short, before a middle that does not wave.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

import gossamer

__all__ = ["WAVES", "MovingScene", "scenes"]

WAVES = {"none": (0.0, 1.0, 1.0), "body": (1.5, 100.0, 24.0), "fringe": (3.0, 25.0, 8.0)}  # px of 360, px, frames

PERIOD = 100  # frames: one sway of the subject and one pan of what is behind it, four seconds
STEPS = 4  # moments in an exposure: motion blur is their mean


@dataclass(frozen=True, eq=False)
class MovingScene:
    """One clip.

    Attributes
    ----------
    name : str
    frames : list of (H, W, 3) uint8
    alphas : list of (H, W) float32
        The truth.
    """

    name: str
    frames: list[np.ndarray]
    alphas: list[np.ndarray]


def waved(colours: np.ndarray, alpha: np.ndarray, waves: str, frame: float) -> tuple[np.ndarray, np.ndarray]:
    """Return a subject as it waves at a time."""
    amplitude, length, period = WAVES[waves]
    if not amplitude:
        return colours, alpha
    height, width = alpha.shape
    down, across = np.mgrid[:height, :width].astype(np.float32)
    scale = height / 396  # it is 1.1 times as high as the picture
    turns = np.float32(1 / (length * scale))
    strength = np.full_like(alpha, amplitude * scale)
    if waves == "fringe":
        side = 2 * round(6 * scale) + 1
        strength *= 1 - cv2.GaussianBlur(cv2.erode(alpha, np.ones((side, side), np.uint8)), (0, 0), 4 * scale)
    phase = 2 * np.pi * frame / period
    across_by = strength * np.sin(2 * np.pi * turns * (down + 0.3 * across) + phase)
    down_by = strength * np.sin(2 * np.pi * turns * (across - 0.2 * down) + 1.3 * phase)
    place = np.dstack([across + across_by, down + down_by]).astype(np.float32)
    moved = (cv2.remap(one, place, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for one in (colours, alpha))
    return next(moved), next(moved)


def scenes(
    folder: Path, photos: Path, width: int, count: int, chosen: list[int], waves: str = "none"
) -> Iterator[MovingScene]:
    """Yield clips of `count` frames, `width` wide: cut-outs of a folder (``input``, ``alpha``) over photographs."""
    pictures = sorted((folder / "input").glob("*.png"))
    behind = sorted(path for path in photos.iterdir() if path.suffix in (".jpg", ".jpeg", ".png"))
    height = width * 9 // 16
    for number in chosen:
        random, path = np.random.default_rng(number), pictures[number % len(pictures)]
        picture = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
        alpha = cv2.imread(str(folder / "alpha" / path.name), 0).astype(np.float32) / 255
        scale = 1.1 * height / picture.shape[0]
        size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
        picture, alpha = (cv2.resize(one, size, interpolation=cv2.INTER_AREA) for one in (picture, alpha))
        front = gossamer.foreground.soft_band(picture, alpha).astype(np.float32)
        grounds = []
        for one in range(2):
            ground = cv2.cvtColor(cv2.imread(str(behind[(2 * number + one) % len(behind)])), cv2.COLOR_BGR2RGB)
            grow = 1.5 * max(width / ground.shape[1], height / ground.shape[0])
            how = cv2.INTER_AREA if grow < 1 else cv2.INTER_CUBIC
            grounds.append(cv2.resize(ground, None, fx=grow, fy=grow, interpolation=how).astype(np.float32) / 255)
        drift, turn, zoom = random.uniform(-1, 1, 2), random.uniform(-0.15, 0.15), random.uniform(-0.1, 0.1)
        pan, sway = random.uniform(-1, 1, 2), random.uniform(0.02, 0.06)
        cut = 2 * count // 3 if number % 2 else count
        frames, truths = [], []
        noise = np.random.default_rng(number + 99)
        for frame in range(count):
            light = np.zeros((height, width, 3), np.float32)
            truth = np.zeros((height, width), np.float32)
            for step in range(STEPS):
                moment = (frame + 0.5 * step / STEPS) / PERIOD
                ground = grounds[frame >= cut]
                angle = turn * np.sin(2 * np.pi * moment)
                grown = 1 + zoom * np.sin(2 * np.pi * moment + 1)
                place = np.array([width / 2, height * 0.55]) + width * sway * np.array(
                    [np.sin(2 * np.pi * moment + drift[0] * 3), 0.4 * np.cos(4 * np.pi * moment + drift[1] * 3)]
                )
                turned = cv2.getRotationMatrix2D((size[0] / 2, size[1] / 2), np.degrees(angle), grown)
                turned[:, 2] += place - np.array(size) / 2
                shown, shape = waved(front, alpha, waves, frame + 0.5 * step / STEPS)
                matte = cv2.warpAffine(shape, turned, (width, height), flags=cv2.INTER_LINEAR)
                colours = cv2.warpAffine(
                    shown, turned, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
                )
                corner = np.array([ground.shape[1] - width, ground.shape[0] - height]) * (
                    0.5 + 0.35 * pan * np.cos(2 * np.pi * moment)
                )
                moved = np.array([[1, 0, -corner[0]], [0, 1, -corner[1]]], np.float32)
                back = cv2.warpAffine(
                    ground, moved, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
                )
                light += (matte[..., None] * (colours - back) + back) / STEPS
                truth += matte / STEPS
            light += noise.normal(0, 1.5 / 255, light.shape)
            frames.append(np.clip(light * 255 + 0.5, 0, 255).astype(np.uint8))
            truths.append(truth)
        yield MovingScene(path.stem, frames, truths)
