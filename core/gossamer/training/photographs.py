"""Photographs of anything, without masks: what a base finds in them is what a network is to go on finding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.errors import InputError
from gossamer.image import read_image
from gossamer.progress import Progress
from gossamer.settings.dataset import Data
from gossamer.training.dataset import Example, split
from gossamer.training.dataset.backgrounds import backgrounds_in
from gossamer.training.dataset.duplicates import look_at
from gossamer.training.feeding import LONGEST, Taught, shrunk

__all__ = ["Photograph", "Recalled", "photographs_of", "recalled"]

_LEAST = 0.005  # of a picture: where a base finds less than that, a handful of pixels would decide the measure
_FOUND = 0.05  # alpha
_SURE = 0.8


@dataclass(frozen=True)
class Photograph:
    """A picture without a mask, see :class:`gossamer.training.feeding.Taught`."""

    name: str
    path: Path
    drawn: bool = False
    maskless: bool = True

    def load(self, seed: int = 0) -> tuple[NDArray[np.uint8], Array]:
        """Return (H, W, 3) uint8, and nothing as its alpha; raises InputError where it cannot be read."""
        pixels = read_image(self.path).pixels
        rgb = pixels if pixels.dtype == np.uint8 else np.rint(pixels * np.float32(255)).astype(np.uint8)
        return rgb, np.zeros(rgb.shape[:2], np.float32)


@dataclass(frozen=True, eq=False)
class Recalled:
    """A photograph with what a base finds in it, as small as it is measured."""

    name: str
    rgb: NDArray[np.uint8]
    alpha: Array
    drawn: bool = False

    def load(self, seed: int = 0) -> tuple[NDArray[np.uint8], Array]:
        """Return picture and mask."""
        return self.rgb, self.alpha

    def settled(self, mask: Array) -> Array:
        """Return a mask with the base's own wherever that is undecided, which nothing is measured by."""
        return np.where(np.abs(2 * self.alpha - 1) < _SURE, self.alpha, mask)


def photographs_of(
    folder: str | Path, reading: Data, progress: Progress
) -> tuple[tuple[Photograph, ...], tuple[Photograph, ...]]:
    """Return the photographs of a folder to learn from, and those to validate on: none nearly alike in both.

    Parameters
    ----------
    folder : path
    reading : Data
        Its ``validation`` and ``split_seed``.
    progress : Progress
        May raise to cancel.

    Raises
    ------
    InputError
        It holds no pictures, too few, or one that cannot be read.
    """
    files = backgrounds_in(folder)
    examples, root = [], Path(folder)
    for number, file in enumerate(files):
        progress(number / len(files), f"Looking at the photographs: {number} of {len(files)}")
        name = f"photograph {file.relative_to(root).as_posix() if file.is_relative_to(root) else file.name}"
        rgb, _ = Photograph(name, file).load()
        examples.append(Example(name, name, file, None, "photograph", look=look_at(rgb)))
    try:
        parts = split(examples, reading.model_copy(update={"test": 0.0}))
    except InputError as error:
        raise InputError(f"{folder}: {error.message}", "Give a folder of more photographs.") from None
    train, held = (tuple(Photograph(one.name, one.picture) for one in part) for part in (parts.train, parts.validation))
    return train, held


def recalled(pictures: Sequence[Taught], find: Callable[[NDArray[np.uint8]], Array]) -> tuple[Taught, ...]:
    """Return pictures to validate on, where those without masks have what the base finds; others stay.

    Parameters
    ----------
    pictures : sequence of Taught
    find : callable
        Returns the base's mask of (H, W, 3) uint8.

    Returns
    -------
    tuple of Taught
        Without the photographs in which the base finds next to nothing: there is nothing to lose in them. Nor are
        those measured in which it is not sure, as in landscapes: its mask is as good as another there. At least the
        half that it is surest of stays.
    """
    kept: list[Taught] = []
    found: list[Recalled] = []
    for one in pictures:
        if not isinstance(one, Photograph):
            kept.append(one)
            continue
        rgb, _ = shrunk(*one.load(), LONGEST)
        alpha = find(rgb)
        if float((alpha > 0.5).mean()) >= _LEAST:
            found.append(Recalled(one.name, rgb, alpha))
    found.sort(key=lambda one: -_sureness(one.alpha))  # of equals the earlier stays before
    half = (len(found) + 1) // 2
    return (*kept, *(one for place, one in enumerate(found) if place < half or _sureness(one.alpha) >= _SURE))


def _sureness(alpha: Array) -> float:
    """Return how far from undecided a mask is where it finds anything: 0 to 1."""
    return float(np.abs(2 * alpha[alpha > _FOUND] - 1).mean())
