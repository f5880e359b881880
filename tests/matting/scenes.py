"""A cat with a disc for a mask, and what one method makes of it: for processes of their own, so without torch."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import skimage.data

import gossamer

__all__ = ["recipe", "scene"]


def scene(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    picture = cv2.resize(skimage.data.chelsea(), (width, height), interpolation=cv2.INTER_LINEAR)
    mask = np.zeros((height, width), np.float32)
    cv2.circle(mask, (width // 2, height // 2), height // 3, 1, -1)
    return picture, cv2.GaussianBlur(mask, (0, 0), height / 200)


def recipe(stage: str, method: str, model: Path) -> gossamer.Recipe:
    settings = {"matting": {"method": "none"}, "foreground": {"method": "none"}, stage: {"method": method}}
    settings["matting"]["model"] = str(model)
    return gossamer.Recipe.of(settings)
