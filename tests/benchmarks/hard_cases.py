"""The cases that people complain of, each as a set of made scenes with an exact alpha.

    python tests/benchmarks/hard_cases.py PHOTOS [--cut-outs FOLDER] [--scenes 16] [--megapixels 0.6] [--only white,…]

PHOTOS are photographs to make scenes of; FOLDER, if given, holds ``input/*.png`` and ``alpha/*.png`` of the same names.
Prints the mean absolute error of alpha in levels of 255, and that of the cut-out over a new background, for the mask
(with the picture's colours), for the matting auto and, before screens, for key.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from plates import PLATES, Plated, drawing, plated
from thin_scenes import THINGS, Array, _clouds, _Sheet, _spread, network_mask, smooth

from gossamer.foreground import soft_band
from gossamer.matting.auto import auto_alpha
from gossamer.matting.key import key_alpha

CASES = ("same colour", "white on white", "holes", "see-through", "drawing")


def composed(case: str, photos: list[Array], count: int, megapixels: float, first: int = 0) -> Iterator[Plated]:
    """Make scenes that are hard for reasons other than a plain backdrop."""
    for seed in range(first, first + count):
        random = np.random.default_rng(5000 + seed)
        height = round(np.sqrt(megapixels * 1e6 * 3 / 4))
        width = round(height * 4 / 3)
        behind = _spread(photos[random.integers(len(photos))], height, width)
        sheet = _Sheet(height, width, random)
        gaps, hard = 0.3, 1.6
        if case == "drawing":
            colour, alpha = drawing((height, width), random)
        elif case == "see-through":
            smooth(sheet)
            body = sheet.alpha()
            body = body if seed % 2 else cv2.GaussianBlur(body, (0, 0), height / 15)
            alpha = (body * (0.15 + 0.6 * _clouds((height, width), random))).astype(np.float32)
            colour = np.full((height, width, 3), random.uniform(0.5, 0.95), np.float32)
            gaps, hard = 0, 1.0
        else:
            names = ["smooth", "corners", "fur", "whisk", "lace", "mesh"]
            THINGS[{"holes": ["lace", "mesh"][seed % 2]}.get(case, names[seed % len(names)])](sheet)
            alpha = sheet.alpha()
            shade = _clouds((height, width), random)[..., None]
            if case == "same colour":  # the subject wears another part of the same photograph
                colour = np.ascontiguousarray(behind[::-1, ::-1])
            elif case == "white on white":
                colour = (0.86 + 0.14 * shade * np.ones(3)).astype(np.float32)
                behind = np.full_like(behind, 1.0) - 0.06 * _clouds((height, width), random)[..., None] * (seed % 2)
            else:
                colour = np.clip(random.uniform(0.05, 0.9, 3) * (0.6 + 0.6 * shade), 0, 1).astype(np.float32)
        alpha = cv2.GaussianBlur(alpha, (0, 0), 0.5)
        image = alpha[..., None] * colour + (1 - alpha[..., None]) * behind + random.normal(0, 0.006, behind.shape)
        image = (np.round(np.clip(image, 0, 1) * 255) / 255).astype(np.float32)
        yield Plated(f"{case} {seed}", image, alpha, network_mask(alpha, 1024, random, gaps=gaps, hard=hard), colour)


class _Row(NamedTuple):
    mask: float
    auto: float
    key: float
    mask_over: float
    auto_over: float


def measure(scene: Plated, screen: bool) -> _Row:
    """Return errors in levels of 255: of alpha, and of the cut-out over a colour that is neither's."""
    auto = auto_alpha(scene.image, scene.mask)
    new = np.float32([0.2, 0.5, 0.9])
    truth = scene.alpha[..., None] * (scene.colour - new)

    def over(alpha: Array, colour: Array) -> float:
        return float(np.abs(alpha[..., None] * (colour - new) - truth).mean() * 255)

    def off(alpha: Array) -> float:
        return float(np.abs(alpha - scene.alpha).mean() * 255)

    return _Row(
        off(scene.mask),
        off(auto),
        off(key_alpha(scene.image, scene.mask)) if screen else float("nan"),
        over(scene.mask, scene.image),
        over(auto, soft_band(scene.image, auto)),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--cut-outs", type=Path)
    parser.add_argument("--scenes", type=int, default=16)
    parser.add_argument("--megapixels", type=float, default=0.6)
    parser.add_argument("--only", default=",".join((*PLATES, *CASES)))
    arguments = parser.parse_args()
    paths = sorted(p for p in arguments.photos.iterdir() if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    photos = [cv2.imread(str(path))[:, :, ::-1].astype(np.float32) / 255 for path in paths]
    for case in arguments.only.split(","):
        if case in PLATES:
            scenes = plated(case, photos, arguments.cut_outs, arguments.scenes, arguments.megapixels)
        else:
            scenes = composed(case, photos, arguments.scenes, arguments.megapixels)
        table = np.array([measure(scene, case in ("green", "blue")) for scene in scenes])
        mean = _Row(*table.mean(axis=0))
        worse = int(np.count_nonzero(table[:, 1] > 1.02 * table[:, 0]))
        print(
            f"{case:15} {len(table):2} scenes; alpha: mask {mean.mask:.2f}, auto {mean.auto:.2f}, key {mean.key:.2f} "
            f"({worse} worse than the mask); over another background: mask {mean.mask_over:.2f}, "
            f"auto {mean.auto_over:.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
