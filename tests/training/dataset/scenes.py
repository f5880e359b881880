"""Pictures with exact truths: a blob with its own texture over clutter, made from a seed."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image


def textured(seed: int, height: int = 96, width: int = 128) -> NDArray[np.float32]:
    """Return smooth noise of many scales in random colours, (H, W, 3) float32."""
    lots = np.random.default_rng(seed)
    made = np.zeros((height, width, 3), np.float32)
    for cells, strength in ((3, 0.5), (6, 0.35), (12, 0.25), (24, 0.15)):
        coarse = lots.standard_normal((cells, cells, 3)).astype(np.float32)
        made += strength * cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(0.25 * made + lots.uniform(0.3, 0.7, 3).astype(np.float32), 0, 1)


def blob(seed: int, height: int = 96, width: int = 128) -> NDArray[np.float32]:
    """Return a soft-edged mask of a shape in the middle, (H, W) float32."""
    lots = np.random.default_rng(1000 + seed)
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    angle = np.arctan2(rows - height / 2, columns - width / 2)
    far = np.hypot((rows - height / 2) / height, (columns - width / 2) / width)
    edge = 0.24 + sum(lots.uniform(-0.05, 0.05) * np.cos(k * angle + lots.uniform(0, 6)) for k in (2, 3, 5))
    return np.clip((edge - far) * 40 + 0.5, 0, 1).astype(np.float32)


def scene(seed: int, height: int = 96, width: int = 128) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return a picture and its true alpha."""
    alpha = blob(seed, height, width)
    front, back = textured(2 * seed, height, width), textured(2 * seed + 1, height, width)
    front = np.clip(front + np.float32(0.3 if seed % 2 else -0.3), 0, 1)
    made = alpha[..., None] * front + (1 - alpha[..., None]) * back
    return np.rint(made * 255).astype(np.uint8), alpha


def save_picture(path: Path, rgb: NDArray[np.uint8]) -> None:
    """Write a picture, its folder too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rgb).save(path, quality=95)


def save_mask(path: Path, alpha: NDArray[np.float32]) -> None:
    """Write a mask in grey, its folder too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.rint(alpha * 255).astype(np.uint8)).save(path)


def save_cutout(path: Path, rgb: NDArray[np.uint8], alpha: NDArray[np.float32]) -> None:
    """Write a cut-out with straight colours, its folder too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.dstack([rgb, np.rint(alpha * 255).astype(np.uint8)])).save(path)


def fill_folder(root: Path, count: int, first: int = 0) -> None:
    """Write `count` pairs into the folders images and masks."""
    for seed in range(first, first + count):
        rgb, alpha = scene(seed)
        save_picture(root / "images" / f"item-{seed:03d}.jpg", rgb)
        save_mask(root / "masks" / f"item-{seed:03d}.png", alpha)
