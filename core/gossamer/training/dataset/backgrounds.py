"""What cut-outs are put over: the user's pictures, those blurred, noise, gradients, and the subject's own colours.

Each is there for a reason. The user's pictures are where the model will work; blurred ones are what a lens makes of
most backgrounds; noise keeps a network from learning that texture is foreground, gradients that smoothness is
background; and colours like the subject's leave it nothing but the shape.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import numpy as np

from gossamer.arrays import Array
from gossamer.compositing import conversion, cover
from gossamer.errors import InputError
from gossamer.evaluation.pairs import SUFFIXES
from gossamer.image import Image, read_image
from gossamer.paths import source_path
from gossamer.resampling import wide_blur

__all__ = ["KINDS", "Kind", "background", "backgrounds_in", "in_srgb"]

Kind: TypeAlias = Literal["picture", "blurred", "noise", "gradient", "near"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_SHARES: dict[Kind, float] = {"picture": 4, "blurred": 2, "noise": 1, "gradient": 1, "near": 2}
_COLOURS = 4  # of the subject, that a background of its colours is made of


def backgrounds_in(folder: str | os.PathLike[str]) -> tuple[Path, ...]:
    """Return the pictures in a folder and those within, by name.

    Raises
    ------
    InputError
        It is no folder, or holds no picture.
    """
    root = source_path(folder, "folder of backgrounds")
    files = [] if not root.is_dir() else sorted(file for file in root.rglob("*") if file.suffix.lower() in SUFFIXES)
    found = tuple(file for file in files if file.is_file() and not file.name.startswith("."))
    if not found:
        what = "holds no pictures" if root.is_dir() else "is no folder"
        raise InputError(f"{root} {what}.", "Give a folder of photographs to put the subjects over.")
    return found


def background(
    pictures: Sequence[Path],
    subject: Array,
    size: tuple[int, int],
    lots: np.random.Generator,
    kind: Kind | None = None,
) -> Array:
    """Make a background.

    Parameters
    ----------
    pictures : sequence of Path
        The user's; without them `picture` is not drawn, and `blurred` is made of noise.
    subject : (N, 3) float32
        Colours of the subject.
    size : tuple of int
        Height and width.
    lots : numpy.random.Generator
    kind : str, optional
        One of :data:`KINDS`; by lot without it.

    Returns
    -------
    (H, W, 3) float32
        In sRGB, [0, 1].

    Raises
    ------
    InputError
        The picture that was drawn cannot be read.
    """
    if kind is None:
        able = [one for one in KINDS if pictures or one != "picture"]
        shares = np.array([_SHARES[one] for one in able])
        kind = able[int(lots.choice(len(able), p=shares / shares.sum()))]
    if kind in ("picture", "blurred") and pictures:
        made = _cut(pictures[int(lots.integers(len(pictures)))], size, lots)
        if kind == "blurred":
            made = wide_blur(made, float(lots.uniform(0.01, 0.05)) * math.hypot(*size))
    elif kind == "blurred" or kind == "noise":
        made = _noise(size, lots, steep=2.0 if kind == "blurred" else float(lots.uniform(0.3, 1.3)))
    elif kind == "gradient":
        made = _gradient(size, lots)
    else:
        made = _near(subject, size, lots)
    return np.clip(made, 0, 1, out=made)


def in_srgb(picture: Image) -> Array:
    """Return a picture's colours in sRGB, (H, W, 3) float32."""
    convert = conversion(picture.icc_profile, None)
    return picture.rgb if convert is None else convert(picture.rgb)


def _cut(file: Path, size: tuple[int, int], lots: np.random.Generator) -> Array:
    """Return a part of a picture, of random place and scale, mirrored half of the time."""
    rgb = in_srgb(read_image(file))
    height, width = rgb.shape[:2]
    share = float(lots.uniform(0.6, 1.0))
    tall, wide = max(1, round(height * share)), max(1, round(width * share))
    top, left = int(lots.integers(height - tall + 1)), int(lots.integers(width - wide + 1))
    part = np.ascontiguousarray(rgb[top : top + tall, left : left + wide])
    made = np.asarray(cover(part, *size), np.float32).copy()
    return np.ascontiguousarray(made[:, ::-1]) if lots.random() < 0.5 else made


def _noise(size: tuple[int, int], lots: np.random.Generator, *, steep: float) -> Array:
    """Return noise whose octaves fall off by `steep`, around a random colour; channels vary together and alone."""
    import cv2

    height, width = size
    made = np.zeros((height, width, 3), np.float32)
    cells = 2
    while cells <= min(size):
        shape = (max(2, cells * height // max(size)), max(2, cells * width // max(size)))
        grey = lots.standard_normal((*shape, 1), np.float32)
        octave = (0.7 * grey + 0.5 * lots.standard_normal((*shape, 3), np.float32)).astype(np.float32)
        made += cv2.resize(octave, (width, height), interpolation=cv2.INTER_CUBIC) * np.float32(cells**-steep)
        cells *= 2
    made -= made.mean(axis=(0, 1), dtype=np.float64).astype(np.float32)
    made *= np.float32(float(lots.uniform(0.08, 0.3)) / max(float(made.std()), 1e-6))
    made += lots.uniform(0.1, 0.9, 3).astype(np.float32)
    return made


def _gradient(size: tuple[int, int], lots: np.random.Generator) -> Array:
    """Return two colours that pass into each other along a line or around a point, with the grain of a camera."""
    height, width = size
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    if lots.random() < 0.5:
        angle = float(lots.uniform(0, 2 * math.pi))
        along = columns * np.float32(math.cos(angle)) + rows * np.float32(math.sin(angle))
    else:
        middle = lots.uniform(0, 1, 2) * (height, width)
        along = np.hypot(rows - np.float32(middle[0]), columns - np.float32(middle[1]))
    along -= along.min()
    along /= max(float(along.max()), 1e-6)
    # Half of them in one hue, as studios light their paper.
    first = lots.uniform(0, 1, 3).astype(np.float32)
    second = first * np.float32(lots.uniform(0.4, 1)) if lots.random() < 0.5 else lots.uniform(0, 1, 3)
    made = first + along[..., None] * (np.asarray(second, np.float32) - first)
    grain = lots.standard_normal(made.shape, np.float32)
    grain *= np.float32(lots.uniform(0, 0.02))
    made += grain
    return np.asarray(made, np.float32)


def _near(subject: Array, size: tuple[int, int], lots: np.random.Generator) -> Array:
    """Return patches of the subject's own colours, a little off, softly joined, with some texture."""
    import cv2

    height, width = size
    picked = subject[lots.integers(len(subject), size=_COLOURS)] if len(subject) else lots.uniform(0, 1, (_COLOURS, 3))
    picked = np.asarray(picked, np.float32) + lots.normal(0, 0.04, (_COLOURS, 3)).astype(np.float32)
    cells = int(lots.integers(3, 9))
    fields = [
        cv2.resize(lots.standard_normal((cells, cells), np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
        for _ in range(_COLOURS)
    ]
    shares = np.exp(np.stack(fields, axis=-1) * np.float32(lots.uniform(1, 6)))
    shares /= shares.sum(axis=-1, keepdims=True)
    made = np.asarray(shares @ picked, np.float32)
    texture = _noise(size, lots, steep=float(lots.uniform(0.3, 1.3)))
    texture -= texture.mean(axis=(0, 1), dtype=np.float64).astype(np.float32)
    made += texture * np.float32(0.35)
    return made
