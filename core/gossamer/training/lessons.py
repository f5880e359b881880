"""What a network is taught with: pictures to learn from, to be validated on, and not to be forgotten."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.errors import InputError
from gossamer.paths import source_path
from gossamer.progress import Progress
from gossamer.settings.dataset import Data
from gossamer.training.dataset import Example, compose, read_dataset, split
from gossamer.training.feeding import Taught
from gossamer.training.photographs import photographs_of

__all__ = ["Lesson", "Lessons", "check_enough", "lessons_of", "tell_left_out"]

_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")
_NAMED = 5  # of what was left out, in one line


@dataclass(frozen=True)
class Lesson:
    """An example, as it is taught: a cut-out over another background each time."""

    example: Example
    backgrounds: tuple[Path, ...] = ()

    @property
    def name(self) -> str:
        """What people know it by."""
        return self.example.name

    @property
    def drawn(self) -> bool:
        """Whether every load draws another picture."""
        return self.example.is_cutout

    def load(self, seed: int = 0) -> tuple[NDArray[np.uint8], Array]:
        """Return (H, W, 3) uint8 and (H, W) float32 in [0, 1]; raises InputError where it cannot be read."""
        if self.drawn:
            return compose(self.example, self.backgrounds, seed)
        rgb, alpha = self.example.load()
        return rgb, np.clip(alpha, 0, 1).astype(np.float32, copy=False)


@dataclass(frozen=True)
class Lessons:
    """Everything that is taught.

    Attributes
    ----------
    train, validation : tuple of Lesson or ClipLesson
        Of the domain. A third part of it, the test, nothing sees before the proof.
    general, general_validation : tuple of Lesson or Photograph
        What is not to be forgotten; maybe none.
    test : tuple of str
        Names.
    """

    train: tuple[Taught, ...]
    validation: tuple[Taught, ...]
    general: tuple[Taught, ...] = ()
    general_validation: tuple[Taught, ...] = ()
    test: tuple[str, ...] = ()
    general_test: tuple[str, ...] = ()

    def names(self) -> dict[str, Any]:
        """Return the names in each part, ready for JSON."""
        parts = {name: list(getattr(self, name)) for name in ("test", "general_test")}
        for name in ("train", "validation", "general", "general_validation"):
            parts[name] = [lesson.name for lesson in getattr(self, name)]
        return parts


def lessons_of(
    data: str | Path,
    general: str | Path | None,
    backgrounds: str | Path | None,
    reading: Data,
    progress: Progress,
    announce: Callable[[str], object],
    photographs: str | Path | None = None,
) -> Lessons:
    """Read and split what a network is taught with.

    Parameters
    ----------
    data, general : path
        Data sets; the second may be None.
    backgrounds : path or None
        A folder of pictures.
    reading : Data
        How the first is read and split. Of the second only the shares are: it has masks, names and groups of its own.
    progress : Progress
        May raise to cancel.
    announce : callable
        Told what was left out.
    photographs : path, optional
        A folder of pictures of anything, without masks.

    Raises
    ------
    InputError
        One of them cannot be used, or leaves nothing to train on or to validate on.
    """
    behind = _pictures(backgrounds)
    train, validation, test = _parts(data, reading, behind, progress, announce)
    check_enough(data, train, validation, "pictures")
    anything = reading.for_general()
    own, held, tested = ((), (), ()) if general is None else _parts(general, anything, behind, progress, announce)
    if general is not None and not (own and held):
        raise InputError(f"{general} leaves too few pictures.", "Give more, or leave --general-data out.")
    shown, looked = ((), ()) if photographs is None else photographs_of(photographs, reading, progress)
    return Lessons(train, validation, (*own, *shown), (*held, *looked), test, tested)


def check_enough(data: str | Path, train: Sequence[object], validation: Sequence[object], things: str) -> None:
    """Refuse, with InputError, data that leave nothing to train on or to validate on."""
    if not train or not validation:
        raise InputError(
            f"{data} leaves {len(train)} {things} to train on and {len(validation)} to validate on.",
            f"Give more {things}, or another share to --validation.",
        )


def tell_left_out(
    source: str | Path,
    left_out: Sequence[tuple[str, str]],
    announce: Callable[[str], object],
    command: str = "gossamer dataset check",
) -> None:
    """Name what cannot be used of a data set and why, or the first of it and the command that names all."""
    for name, reason in left_out[:_NAMED]:
        announce(f"{name} is left out: {reason}")
    if len(left_out) > _NAMED:
        announce(f"{len(left_out) - _NAMED} more of {source} are left out; see: {command}")


def _parts(
    source: str | Path,
    reading: Data,
    behind: tuple[Path, ...],
    progress: Progress,
    announce: Callable[[str], object],
) -> tuple[tuple[Lesson, ...], tuple[Lesson, ...], tuple[str, ...]]:
    found = read_dataset(source, reading, progress)
    tell_left_out(source, found.left_out, announce)
    parts = split(found.examples, reading, progress)
    lesson = functools.partial(_lessons, behind=behind)
    return lesson(parts.train), lesson(parts.validation), tuple(one.name for one in parts.test)


def _lessons(examples: Sequence[Example], behind: tuple[Path, ...]) -> tuple[Lesson, ...]:
    return tuple(Lesson(one, behind) for one in examples)


def _pictures(folder: str | Path | None) -> tuple[Path, ...]:
    if folder is None:
        return ()
    path = source_path(folder, "folder of backgrounds")
    found = tuple(sorted(one for one in path.rglob("*") if one.suffix.lower() in _PICTURES)) if path.is_dir() else ()
    if not found:
        raise InputError(f"{folder} holds no pictures.", "Give a folder of pictures as --backgrounds.")
    return found
