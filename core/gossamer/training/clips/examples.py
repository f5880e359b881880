"""One clip with its truth: numbered pictures, a film, or a still that is yet to move."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array, check_size
from gossamer.errors import InputError
from gossamer.training.dataset import Example
from gossamer.training.dataset.duplicates import Look
from gossamer.video import open_source

__all__ = ["ClipExample", "Film"]

Pair = tuple[NDArray[np.uint8], Array]


@dataclass(frozen=True)
class Film:
    """A film, and one of its mattes or its own alpha.

    Attributes
    ----------
    picture : Path
    matte : Path or None
        None where the film has alpha.
    inverted : bool
        Whether the matte's black is the subject.
    """

    picture: Path
    matte: Path | None
    inverted: bool = False

    def frames(self, first: int = 0) -> Iterator[Pair]:
        """Yield colours, (H, W, 3) uint8, and alpha, (H, W) float32, from a frame on.

        Raises
        ------
        InputError
            A file cannot be read, frames differ in size from their mattes, or there is neither alpha nor a matte.
        MissingExtra
            PyAV is not installed.
        """
        with open_source(self.picture) as source:
            if self.matte is None:
                if not source.clip.has_alpha:
                    raise InputError(f"{self.picture} has no alpha and no mattes.", "Give mattes of the same name.")
                for frame in source.frames(first / source.clip.rate):
                    assert frame.alpha is not None  # noqa: S101 - the clip has it
                    yield _bytes(frame.pixels), _unit(frame.alpha)
                return
            with open_source(self.matte) as mattes:
                both = zip(
                    source.frames(first / source.clip.rate), mattes.frames(first / mattes.clip.rate), strict=False
                )
                for frame, matte in both:
                    # Its three channels are the same but for what a codec made of them.
                    alpha = _unit(matte.pixels).mean(axis=2, dtype=np.float32)
                    check_size(alpha.shape, frame.pixels.shape, f"mattes {self.matte.name}")
                    yield _bytes(frame.pixels), np.float32(1) - alpha if self.inverted else alpha

    def count(self) -> tuple[int, int]:
        """Return how many frames there are, and how many mattes; raises as :meth:`frames`."""
        found = [0, 0]
        for place, path in enumerate((self.picture, self.matte or self.picture)):
            with open_source(path) as source:
                found[place] = sum(1 for _ in source.frames(Fraction(0)))
        return found[0], found[1]


@dataclass(frozen=True)
class ClipExample:
    """A clip and where its truth is.

    Attributes
    ----------
    name : str
        What reports call it, and no other one of its set.
    group : str
        What belongs together, such as the takes of one scene.
    frames : tuple of Example
        Its numbered pictures in their order; of a still the one.
    film : Film or None
        In their place.
    is_cutout : bool
        Whether its colours are the subject's alone: there is no background, and it gets one that moves.
    length : int
        How many frames it has, where that was looked at.
    size : tuple of int
        Width and height in pixels, where it was looked at.
    looks : tuple of Look
        What was seen of some of its frames, to know it again.
    """

    name: str
    group: str
    frames: tuple[Example, ...] = ()
    film: Film | None = None
    is_cutout: bool = False
    length: int = 0
    size: tuple[int, int] = field(default=(0, 0), compare=False, repr=False)
    looks: tuple[Look, ...] = field(default=(), compare=False, repr=False)

    @property
    def is_still(self) -> bool:
        """Whether it is one picture, which is made to move."""
        return self.film is None and len(self.frames) == 1

    @property
    def source(self) -> str:
        """What it was read from, for people."""
        if self.film is not None:
            return "film"
        return "still" if self.is_still else "folder of frames"

    @property
    def path(self) -> Path:
        """The film, the still, or the folder of its frames."""
        if self.film is not None:
            return self.film.picture
        return self.frames[0].picture if self.is_still else self.frames[0].picture.parent

    def read(self, numbers: Sequence[int]) -> list[Pair]:
        """Return some of its frames, counted from 0: colours (H, W, 3) uint8, alpha (H, W) float32 in [0, 1].

        Raises
        ------
        InputError
            A frame cannot be read, or its matte has another size.
        """
        wanted = set(numbers)
        if self.film is None:
            found = {number: self.frames[number].load() for number in wanted}
        else:
            first, last = min(wanted), max(wanted)
            every = enumerate(islice(self.film.frames(first), last + 1 - first), first)
            found = {number: pair for number, pair in every if number in wanted}
            if last not in found:
                raise InputError(
                    f"{self.film.picture} ends before frame {last + 1}.", "Copy it again: it was cut short."
                )
        return [found[number] for number in numbers]


def _bytes(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    if pixels.dtype == np.uint8:
        return pixels
    return np.asarray(np.rint(pixels.astype(np.float32) * np.float32(255 / 65535)), np.uint8)


def _unit(values: NDArray[Any]) -> Array:
    return values.astype(np.float32) * np.float32(1 / (255 if values.dtype == np.uint8 else 65535))
