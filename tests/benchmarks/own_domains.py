"""Two domains with exact truths, and general pictures, made to fine-tune a network on: see finetune.py.

``thin``: wheels, whisks, rigging, nets and ropes over clutter, each of them so wide that a network of 320 px can show
it: who has thinner things takes a network that sees more pixels. ``hidden``: subjects in their background's own colours
and texture. ``general``: solid and furry subjects of other colours, as any network finds them; ``crowded``: the same
over the clutter of ``thin``. Whatever is made for training has another seed and other photographs than what is
measured on.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from thin_scenes import THINGS, Array, _clouds, _Sheet, _spread

THIN = ("wheel", "whisk", "rigging", "mesh", "ropes", "whiskers")
SOLID = ("smooth", "corners", "fur", "hair")
DOMAINS = ("thin", "hidden", "general", "crowded")
SEEN = 320  # pixels at which the smallest networks see a picture's longer side
WIDEST = 4  # of those: how wide the thinnest strokes are at most
SMALLEST = 0.65  # of its size: a thing that is moved


class _Wide(_Sheet):
    """A canvas on which no stroke is so thin that a network of SEEN pixels could not show it, however it is moved."""

    def stroke(self, points: NDArray[np.floating], width: float, value: int = 255) -> None:
        unit = max(1.0, self.aspect) / SEEN
        super().stroke(points, max(width, unit * self.random.uniform(1.5 / SMALLEST, WIDEST)), value)


class Made(NamedTuple):
    """A picture and its exact alpha, as :class:`gossamer.training.feeding.Taught` wants it."""

    name: str
    rgb: NDArray[np.uint8]
    alpha: Array
    drawn: bool = False

    def load(self, seed: int = 0) -> tuple[NDArray[np.uint8], Array]:
        return self.rgb, self.alpha


def photographs(folder: Path | None) -> list[Array]:
    """Return photographs, float32: a folder's, or those that scikit-image brings along."""
    if folder is None:
        from skimage import data

        found = [data.astronaut(), data.coffee(), data.chelsea(), data.rocket()]
    else:
        found = [cv2.imread(str(path))[..., ::-1] for path in files_in(folder)]
    photos = []
    for picture in found:
        scale = 640 / max(picture.shape[:2])
        small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else picture
        photos.append(np.ascontiguousarray(small).astype(np.float32) / 255)
    return photos


def files_in(folder: Path | None) -> list[Path]:
    """Return the files of a folder's photographs, in their order."""
    found = [] if folder is None else sorted(folder.iterdir())
    return [path for path in found if path.suffix.lower() in (".jpg", ".jpeg", ".png")]


def made(domain: str, count: int, photos: Sequence[Array], seed: int, height: int = 420) -> list[Made]:
    """Make `count` pictures of a domain; the same seed and photographs give the same."""
    return [
        _made(domain, f"{domain} {seed}-{i}", photos, np.random.default_rng([seed, i]), height) for i in range(count)
    ]


def _made(domain: str, name: str, photos: Sequence[Array], random: np.random.Generator, height: int) -> Made:
    width = round(height * random.choice([4 / 3, 1.0, 3 / 4]))
    sheet = (_Wide if domain == "thin" else _Sheet)(height, width, random)
    thing = str(random.choice(THIN if domain == "thin" else SOLID[:2] if domain == "hidden" else SOLID))
    THINGS[thing](sheet)
    alpha = _moved(sheet.alpha(), random)
    behind, before = (_seen(photos[i], height, width, random) for i in random.choice(len(photos), 2, replace=False))
    if domain == "hidden":
        # The background's own texture from elsewhere in it, its light a little changed.
        colour = np.roll(behind, tuple(random.integers(height // 4, 3 * height // 4, 2)), (0, 1))
        if random.random() < 0.5:
            colour = colour[:, ::-1]
        colour = colour * np.float32(random.uniform(0.85, 1.15)) + np.float32(random.uniform(-0.04, 0.04))
    elif domain == "thin":
        behind = _cluttered(behind, random)
        tone = random.uniform(0.0, 1.0, 3).astype(np.float32)
        colour = tone * (0.7 + 0.5 * _clouds((height, width), random)[..., None])
    else:
        colour = before
        if domain == "crowded":
            behind = _cluttered(behind, random)
    alpha = cv2.GaussianBlur(alpha, (0, 0), 0.5)
    image = alpha[..., None] * np.clip(colour, 0, 1) + (1 - alpha[..., None]) * behind
    image = image + random.normal(0, 0.008, image.shape)
    return Made(name, np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8), np.clip(alpha, 0, 1).astype(np.float32))


def _moved(alpha: Array, random: np.random.Generator) -> Array:
    """Put the thing elsewhere, smaller or larger, turned a little."""
    height, width = alpha.shape
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), random.uniform(-20, 20), random.uniform(SMALLEST, 1.0))
    matrix[:, 2] += random.uniform(-0.08, 0.08, 2) * (width, height)
    return np.asarray(cv2.warpAffine(alpha, matrix, (width, height), flags=cv2.INTER_AREA), np.float32)


def _seen(photo: Array, height: int, width: int, random: np.random.Generator) -> Array:
    """Return a part of a photograph, mirrored where it is too small."""
    large = _spread(photo, 2 * height, 2 * width)
    top, left = random.integers(0, height), random.integers(0, width)
    part = large[top : top + height, left : left + width]
    return part[:, ::-1] if random.random() < 0.5 else part


def _cluttered(behind: Array, random: np.random.Generator) -> Array:
    """Lay blots and strokes of the photograph's own colours over it: what is thin is not the subject alone."""
    height, width = behind.shape[:2]
    result = np.ascontiguousarray(behind).copy()
    for _ in range(int(random.integers(6, 18))):
        tone = behind[random.integers(height), random.integers(width)].tolist()
        centre = (int(random.integers(width)), int(random.integers(height)))
        axes = tuple(int(side) for side in random.integers(height // 60, height // 8, 2))
        cv2.ellipse(result, centre, axes, float(random.uniform(0, 180)), 0, 360, tone, -1, cv2.LINE_AA)
    return cv2.GaussianBlur(result, (0, 0), 0.8)
