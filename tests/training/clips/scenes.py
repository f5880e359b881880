"""Clips with exact truths: a blob that drifts over clutter; and a network for clips of some thousand weights."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gossamer.networks.architectures.rvm import RobustVideoMatting
from gossamer.progress import Progress
from gossamer.settings.dataset import Data
from gossamer.settings.training import Training
from gossamer.training.bases import ClipBase
from gossamer.training.clips.lessons import clip_lessons_of
from gossamer.training.lessons import Lessons
from gossamer.training.processes import Processes
from gossamer.training.run_folder import RunFolder
from gossamer.training.trainer import Trainer
from gossamer.weights.catalogue import architecture
from tests.training.dataset.scenes import blob, save_cutout, save_mask, save_picture, textured

SIDE = 64


def frame(seed: int, place: int, height: int = 72, width: int = 96) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return a frame of a clip and its alpha: the blob of a seed goes to the right and down before what is still."""
    alpha = np.roll(blob(seed, height, width), (place, 2 * place), (0, 1))
    front = np.clip(textured(2 * seed, height, width) + np.float32(0.4 if seed % 2 else -0.4), 0, 1)
    made = alpha[..., None] * front + (1 - alpha[..., None]) * textured(2 * seed + 1, height, width)
    return np.rint(made * 255).astype(np.uint8), alpha


def save_clip(root: Path, name: str, seed: int, count: int = 6, first: int = 1) -> None:
    """Write a clip as folders of frames and of mattes."""
    for place in range(count):
        rgb, alpha = frame(seed, place)
        save_picture(root / "images" / name / f"{place + first:04d}.png", rgb)
        save_mask(root / "masks" / name / f"{place + first:04d}.png", alpha)


def save_cut_clip(folder: Path, seed: int, count: int = 5) -> None:
    """Write a clip as a folder of frames with alpha."""
    for place in range(count):
        save_cutout(folder / f"{place:03d}.png", *frame(seed, place))


class _Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        sides = (3, 4, 6, 6, 8)
        self.layers = nn.ModuleList(nn.Conv2d(a, b, 3, 2, 1) for a, b in itertools.pairwise(sides))

    def forward(self, x: Tensor) -> list[Tensor]:
        found = []
        for layer in self.layers:
            x = torch.relu(layer(x))
            found.append(x)
        return found


def network(seed: int = 0) -> RobustVideoMatting:
    torch.manual_seed(seed)
    return RobustVideoMatting(_Encoder(), 8, (4, 6, 6, 8), (8, 8, 8, 16))


class TinyClipBase(ClipBase):
    """The tiny network, drawn by its seed."""

    def load(self) -> nn.Module:
        return network()


def base() -> ClipBase:
    family = architecture("rvm")
    return TinyClipBase("tiny", "rvm_mobilenetv3", Path("none"), family.input, family.output)


def settings(**changed: object) -> Training:
    plain = {"steps": 4, "batch": 2, "side": SIDE, "length": 3, "validate_every": 2, "worst": 1, "warmup": 1}
    return Training.of(**{**plain, "rate": 1e-3, **changed})


def save_lessons(root: Path) -> None:
    """Write clips to learn from, and general ones."""
    for seed in range(5):
        save_clip(root / "domain", f"take{seed}", seed, 4)
        save_cut_clip(root / "general" / f"cut{seed}", 10 + seed, 3)


def lessons(root: Path) -> Lessons:
    reading = Data(test=0.0, validation=30.0)
    return clip_lessons_of(root / "domain", root / "general", None, reading, Progress(), print)


def trainer(folder: Path, taught: Lessons, told: list[str] | None = None, **changed: object) -> Trainer:
    run = RunFolder(folder)
    for path in (run.path, run.checkpoints, run.worst):
        path.mkdir(parents=True, exist_ok=True)
    said = told if told is not None else []
    return Trainer(base(), taught, settings(**changed), run, Processes("cpu"), said.append)
