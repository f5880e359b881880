"""Scenes with an exact alpha whose boxes hold more than the subject: cut-outs before photographs and other cut-outs.

Everything is made of two folders: one with photographs and their alphas, one with photographs of anything. A subject
stands where it stood in its own picture, with more room on the sides that it did not touch; what is behind it is
another photograph, and a second cut-out that reaches into the subject's box or lies within it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from gossamer.foreground import estimate_foreground

Array = NDArray[np.float32]
KINDS = ("beside", "within", "clutter")
_TRIES = 40


class Scene(NamedTuple):
    """A picture (H, W, 3) and the exact alpha of its subject, both float32 in [0, 1], and the subject's name."""

    name: str
    subject: str
    image: Array
    alpha: Array


class _Cutting(NamedTuple):
    """A subject's straight colours and alpha, and whether it touched its picture's left, top, right and bottom."""

    name: str
    colours: Array
    alpha: Array
    touched: tuple[bool, bool, bool, bool]


def _read(path: Path, flags: int = cv2.IMREAD_COLOR) -> Array:
    picture = cv2.imread(str(path), flags)
    assert picture is not None, path
    return np.ascontiguousarray(picture[..., ::-1] if picture.ndim == 3 else picture).astype(np.float32) / 255


def pictures(folder: Path) -> Iterator[tuple[str, Array, Array]]:
    """Yield name, picture and alpha of ``input/*.png`` and ``alpha/*.png``."""
    for path in sorted((folder / "input").glob("*.png")):
        yield path.stem, _read(path), _read(folder / "alpha" / path.name, cv2.IMREAD_GRAYSCALE)


def box_of(alpha: Array, loose: float = 0.0, above: float = 0.5) -> tuple[int, int, int, int]:
    """Return the box around alphas above a limit, every side moved out by a share of the box's."""
    rows, columns = np.flatnonzero((alpha > above).any(1)), np.flatnonzero((alpha > above).any(0))
    x0, y0, x1, y1 = int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
    aside, over = round(loose * (x1 - x0)), round(loose * (y1 - y0))
    return max(x0 - aside, 0), max(y0 - over, 0), min(x1 + aside, alpha.shape[1]), min(y1 + over, alpha.shape[0])


def scenes(folder: Path, backdrops: Path, seed: int = 0) -> Iterator[Scene]:
    """Yield a scene of every kind for every picture of a folder, before photographs of another."""
    cuttings = [_cutting(*found) for found in pictures(folder)]
    behind = [_read(path) for path in sorted(backdrops.iterdir()) if path.suffix in (".jpg", ".jpeg", ".png")]
    for number, cutting in enumerate(cuttings):
        for turn, kind in enumerate(KINDS):
            random = np.random.default_rng((seed, number, turn))
            other = cuttings[(number + 1 + int(random.integers(len(cuttings) - 1))) % len(cuttings)]
            factor = 2.0 if random.random() < 0.25 else 1.0
            colours, alpha = _with_room(cutting, random, factor)
            image = _covering(behind[int(random.integers(len(behind)))], alpha.shape, random)
            if kind != "clutter":
                image = _joined(image, alpha, other, kind, random)
            image = alpha[..., None] * colours + (1 - alpha[..., None]) * image
            noise = random.normal(0, 1.5 / 255, image.shape).astype(np.float32)
            image = np.rint(np.clip(image + noise, 0, 1) * 255) / np.float32(255)
            yield Scene(f"{cutting.name} {kind} {other.name}", cutting.name, image.astype(np.float32), alpha)


def _cutting(name: str, image: Array, alpha: Array) -> _Cutting:
    # Alphas of photographs have noise in the thousandths, far from the subject.
    alpha = np.where(alpha < 0.02, np.float32(0), alpha)
    colours = estimate_foreground(image, alpha).foreground
    x0, y0, x1, y1 = box_of(alpha)
    edge_x, edge_y = 0.01 * alpha.shape[1], 0.01 * alpha.shape[0]
    touched = (x0 < edge_x, y0 < edge_y, x1 > alpha.shape[1] - edge_x, y1 > alpha.shape[0] - edge_y)
    return _Cutting(name, colours, alpha, touched)


def _with_room(cutting: _Cutting, random: np.random.Generator, factor: float) -> tuple[Array, Array]:
    """Return colours and alpha with up to 0.4 of the picture's sides more room where the subject did not touch."""
    height, width = cutting.alpha.shape
    sides = (width, height, width, height)
    left, top, right, bottom = (
        0 if touched else round(random.uniform(0, 0.4) * side)
        for touched, side in zip(cutting.touched, sides, strict=True)
    )
    padding = ((top, bottom), (left, right))
    alpha, colours = np.pad(cutting.alpha, padding), np.pad(cutting.colours, (*padding, (0, 0)), mode="edge")
    if factor != 1:
        size = (round(alpha.shape[1] * factor), round(alpha.shape[0] * factor))
        alpha = cv2.resize(alpha, size, interpolation=cv2.INTER_CUBIC).clip(0, 1)
        colours = cv2.resize(colours, size, interpolation=cv2.INTER_CUBIC).clip(0, 1)
    return np.asarray(colours, np.float32), np.asarray(alpha, np.float32)


def _covering(picture: Array, shape: tuple[int, ...], random: np.random.Generator) -> Array:
    """Return a part of a photograph, mirrored or not, at this height and width."""
    height, width = shape
    factor = max(height / picture.shape[0], width / picture.shape[1]) * random.uniform(1.0, 1.5)
    interpolation = cv2.INTER_CUBIC if factor > 1 else cv2.INTER_AREA
    large = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=interpolation).clip(0, 1)
    top, left = (int(random.integers(max(a - b, 0) + 1)) for a, b in zip(large.shape, (height, width), strict=False))
    part = np.ascontiguousarray(large[top : top + height, left : left + width])
    part = cv2.resize(part, (width, height)) if part.shape[:2] != (height, width) else part
    return np.asarray(part[:, ::-1] if random.random() < 0.5 else part, np.float32)


def _joined(image: Array, alpha: Array, other: _Cutting, kind: str, random: np.random.Generator) -> Array:
    """Return the backdrop with another cut-out in it: across the border of the subject's box, or within the box."""
    height, width = alpha.shape
    x0, y0, x1, y1 = box_of(alpha)
    left, top, right, bottom = box_of(other.alpha)
    own = np.ascontiguousarray(other.alpha[top:bottom, left:right])
    colours = np.ascontiguousarray(other.colours[top:bottom, left:right])
    best: tuple[float, Array, Array] | None = None
    for _ in range(_TRIES):
        share = random.uniform(0.4, 0.7) if kind == "beside" else random.uniform(0.2, 0.35)
        factor = share * np.sqrt((x1 - x0) * (y1 - y0) / own.size)
        size = (max(round(own.shape[1] * factor), 8), max(round(own.shape[0] * factor), 8))
        x, y = round(random.uniform(x0 - size[0] / 2, x1 - size[0] / 2)), round(random.uniform(y0, y1 - size[1] / 2))
        if kind == "within":
            x, y = min(max(x, x0 + 4), x1 - size[0] - 4), min(max(y, y0 + 4), y1 - size[1] - 4)
        shift = np.array([[factor, 0, x], [0, factor, y]], np.float32)
        there = cv2.warpAffine(own, shift, (width, height), flags=cv2.INTER_AREA)
        seen = (there > 0.5) & (alpha < 0.5)
        inside = float(seen[y0:y1, x0:x1].sum())
        outside = float(seen.sum()) - inside
        # Seen well in the box, of at least a twentieth of the subject, and where it may, well beside the box too.
        value = min(inside / (0.05 * (alpha > 0.5).sum()), 1) + (
            min(outside / max(0.3 * inside, 1), 1) if kind == "beside" else 0
        )
        if best is None or value > best[0]:
            best = value, there, cv2.warpAffine(colours, shift, (width, height), flags=cv2.INTER_AREA, borderMode=1)
    assert best is not None
    return np.asarray(best[1][..., None] * best[2] + (1 - best[1][..., None]) * image, np.float32)
