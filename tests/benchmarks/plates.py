"""Scenes with an exact alpha before a plain backdrop: paper, a shop's white (as JPEG), a studio's wall, a screen.

Subjects are the drawn things of thin_scenes.py, letters and drawings, and cut-outs with true alpha from a folder; their
colours are their own or a photograph's. The mask is what a network would give.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from thin_scenes import SOFT, THINGS, Array, _clouds, _Sheet, _spread, network_mask, smooth

from gossamer.foreground import estimate_foreground

PLATES = ("white", "paper", "shop", "wall", "green", "blue")


class Plated(NamedTuple):
    """A picture, its exact alpha, a mask and the subject's own colours."""

    name: str
    image: Array
    alpha: Array
    mask: Array
    colour: Array


def plate(kind: str, shape: tuple[int, int], random: np.random.Generator) -> tuple[Array, float]:
    """Return a backdrop (H, W, 3) and the noise of its photograph (standard deviation)."""
    height, width = shape
    if kind in ("white", "shop"):
        return np.full((height, width, 3), 1.0 if random.random() < 0.7 else 0.98, np.float32), 0.0
    if kind == "paper":
        return np.broadcast_to(random.uniform(0, 1, 3).astype(np.float32).round(2), (height, width, 3)).copy(), 0.0
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) / max(shape)
    turn = random.uniform(0, 2 * np.pi)
    slope = (np.cos(turn) * (x - 0.4) + np.sin(turn) * (y - 0.4)).astype(np.float32)
    if kind == "wall":
        light = 1 + random.uniform(0, 0.12) * slope
        return np.clip(random.uniform(0.6, 0.95) * light[..., None] * (1, 1, random.uniform(0.9, 1)), 0, 1).astype(
            np.float32
        ), random.uniform(0.003, 0.008)
    colour = {"green": (0.15, 0.62, 0.22), "blue": (0.1, 0.22, 0.65)}[kind] + random.uniform(-0.06, 0.06, 3)
    light = 0.85 + 0.5 * slope * random.uniform(0.3, 1) + 0.2 * (_clouds(shape, random) - 0.5)
    return np.clip(colour * light[..., None], 0, 1).astype(np.float32), random.uniform(0.008, 0.018)


def drawing(shape: tuple[int, int], random: np.random.Generator) -> tuple[Array, Array]:
    """Return colours and alpha of an illustration: outlines, flat fills and letters, edges one pixel wide."""
    height, width = shape
    alpha, colour = np.zeros(shape, np.float32), np.zeros((height, width, 3), np.float32)
    aspect = width / height

    def paint(draw: _Sheet, tone: Array) -> None:
        layer = draw.alpha()
        seen = layer + alpha * (1 - layer)
        share = np.divide(layer, seen, out=np.zeros_like(layer), where=seen > 0)[..., None]
        colour[:] = colour * (1 - share) + tone * share
        alpha[:] = seen

    for _ in range(3):
        turn = np.sort(random.uniform(0, 2 * np.pi, random.integers(3, 9)))
        middle, size = random.uniform(0.25, 0.75, 2) * (aspect, 1), random.uniform(0.08, 0.25)
        points = np.stack([middle[0] + size * np.cos(turn), middle[1] + size * np.sin(turn)], 1)
        sheet = _Sheet(height, width, random)
        sheet.fill(points)
        paint(sheet, random.uniform(0, 1, 3).astype(np.float32))
        sheet = _Sheet(height, width, random)
        sheet.stroke(np.concatenate([points, points[:1]]), random.uniform(0.002, 0.01))
        paint(sheet, np.float32(random.uniform(0, 0.2)) * np.ones(3, np.float32))
    big = np.zeros((3 * height, 3 * width), np.uint8)
    for row in range(3):
        at = (int(random.uniform(0.05, 0.4) * 3 * width), int((0.3 + 0.25 * row) * 3 * height))
        scale = random.uniform(1, 3) * height / 250
        cv2.putText(big, "Gossamer", at, cv2.FONT_HERSHEY_TRIPLEX, scale, 255, max(1, round(scale)), cv2.LINE_8)
    letters = _Sheet(height, width, random)
    letters._big = big
    paint(letters, random.uniform(0, 1, 3).astype(np.float32))
    return colour, alpha


def _cut_outs(folder: Path) -> Iterator[tuple[str, Array, Array]]:
    for path in sorted((folder / "input").glob("*.png")):
        image = cv2.imread(str(path))[:, :, ::-1].astype(np.float32) / 255
        alpha = cv2.imread(str(folder / "alpha" / path.name), cv2.IMREAD_GRAYSCALE).astype(np.float32) / 255
        yield path.stem, estimate_foreground(image, alpha, "closed_form").foreground, alpha


def plated(
    kind: str, photos: list[Array], folder: Path | None, count: int, megapixels: float, first: int = 0
) -> Iterator[Plated]:
    """Make `count` scenes of drawn things and, with a folder, one of each of its cut-outs."""
    names = [*THINGS, "drawing", *SOFT, "drawing"]
    for seed in range(first, first + count):
        random = np.random.default_rng(1000 + seed)
        name = names[seed % len(names)]
        aspect = random.choice([4 / 3, 2 / 3, 1.0])
        height = round(np.sqrt(megapixels * 1e6 / aspect))
        width = round(height * aspect)
        if name == "drawing":
            colour, alpha = drawing((height, width), random)
        else:
            sheet = _Sheet(height, width, random)
            (smooth if name in SOFT else THINGS[name])(sheet)
            alpha = sheet.alpha()
            tone, shade = random.uniform(0.05, 0.9, 3), _clouds((height, width), random)[..., None]
            colour = np.clip(tone * (0.6 + 0.6 * shade), 0, 1).astype(np.float32)
            if name in SOFT:
                body = alpha if name == "glass" else cv2.GaussianBlur(alpha, (0, 0), height / 15)
                body = np.clip(1.2 * body - 0.2, 0, 1)  # some of the backdrop is to be seen
                alpha = (body * (0.15 + 0.6 * _clouds((height, width), random))).astype(np.float32)
                colour = np.full((height, width, 3), random.uniform(0.3, 0.9), np.float32)
            elif random.random() < 0.5:
                colour = _spread(photos[random.integers(len(photos))], height, width)
            alpha = cv2.GaussianBlur(alpha, (0, 0), 0.5)
        yield _scene(f"{name} {seed}", kind, colour, alpha, random)
    if folder is not None:
        for number, (name, colour, alpha) in enumerate(_cut_outs(folder)):
            yield _scene(name, kind, colour, alpha, np.random.default_rng(2000 + number))


def _scene(name: str, kind: str, colour: Array, alpha: Array, random: np.random.Generator) -> Plated:
    behind, noise = plate(kind, alpha.shape, random)
    if kind in ("green", "blue"):  # subjects there do not wear the screen's colour
        channel = 1 if kind == "green" else 2
        others = np.delete(colour, channel, axis=2).max(axis=2)
        colour = colour.copy()
        colour[..., channel] = np.minimum(colour[..., channel], others)
    image = alpha[..., None] * colour + (1 - alpha[..., None]) * behind
    if noise:
        image = image + random.normal(0, noise, image.shape)
    image = np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)
    if kind == "shop":  # as they lie in shops' folders
        _, data = cv2.imencode(".jpg", image[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, int(random.integers(80, 95))))
        image = cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]
    image = (image / 255).astype(np.float32)
    soft = name.split()[0] in SOFT
    mask = network_mask(alpha, 1024, random, gaps=0 if soft else 0.3, hard=1.0 if soft else 1.6)
    return Plated(name, image, alpha, mask, colour)
