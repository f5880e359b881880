"""A U²-Net of some thousand weights and pictures that it can learn from in seconds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from gossamer.networks.architectures.u2net import Stage, U2Net
from gossamer.settings.training import Training
from gossamer.training.bases import Base
from gossamer.training.lessons import Lessons
from gossamer.weights.catalogue import architecture

SIDE = 32


@dataclass(frozen=True)
class Ellipse:
    """A bright ellipse before something dark, by its seed."""

    seed: int
    drawn: bool = False

    @property
    def name(self) -> str:
        return f"ellipse {self.seed}"

    def load(self, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        random = np.random.default_rng(self.seed)
        mask = np.zeros((48, 64), np.uint8)
        centre, axes = random.integers(20, 30, 2).tolist(), random.integers(8, 16, 2).tolist()
        cv2.ellipse(mask, centre, axes, float(random.uniform(0, 180)), 0, 360, 255, -1, cv2.LINE_AA)
        noise = random.integers(0, 60, (48, 64, 3))
        return (noise + mask[..., None] * 0.6).astype(np.uint8), mask.astype(np.float32) / 255


def network(seed: int = 0) -> U2Net:
    torch.manual_seed(seed)
    down = [Stage(height, 4, 6) for height in (7, 6, 5, 4)] + [Stage(4, 4, 6, dilated=True)] * 2
    return U2Net(down, [Stage(4, 4, 6, dilated=True)] + [Stage(height, 4, 6) for height in (4, 5, 6, 7)])


class TinyBase(Base):
    """The tiny network, drawn by its seed."""

    def load(self) -> U2Net:
        return network()


def base() -> Base:
    family = architecture("u2net")
    return TinyBase("tiny", "u2netp", Path("none"), family.input, family.output)


def lessons(train: int = 6) -> Lessons:
    pictures = tuple(Ellipse(number) for number in range(train + 5))
    return Lessons(pictures[:train], pictures[train : train + 1], pictures[-3:-1], pictures[-1:])  # type: ignore[arg-type]


def settings(**changed: object) -> Training:
    plain = {"steps": 6, "batch": 4, "side": SIDE, "validate_every": 2, "worst": 1, "warmup": 1, "rate": 1e-3}
    return Training.of(**{**plain, **changed})
