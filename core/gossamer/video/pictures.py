"""A folder of numbered pictures, or a single one, read as a clip."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array, as_rgb
from gossamer.compositing import conversion
from gossamer.errors import InputError
from gossamer.image import Image, read_image
from gossamer.image.limits import kind_of
from gossamer.paths import cannot_read
from gossamer.video.clip import Clip, Frame
from gossamer.video.tags import ColourTags

__all__ = ["PictureSource", "is_picture"]

_SUFFIXES = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".webp", ".bmp", ".exr")


def is_picture(path: Path) -> bool:
    """Return whether a file is a single picture: :func:`read_image` keeps what FFmpeg drops of such.

    Both its name and its first bytes have to say so: films may be called .webp, and some begin as a JPEG does.
    """
    if not _is_called_so(path):
        return False
    try:
        with path.open("rb") as file:
            return kind_of(file.read(64)) is not None
    except OSError as error:
        raise cannot_read(path, error) from error


def _is_called_so(path: Path) -> bool:
    return path.suffix.lower() in _SUFFIXES


class PictureSource:
    """The pictures of a folder in the order of their numbers, as :class:`~gossamer.video.source.VideoSource`.

    Parameters
    ----------
    folder : Path
        Or a picture, which is the only one then.
    rate : Fraction
        Pictures a second.
    size : (int or None, int or None)
        As for a clip.

    Raises
    ------
    InputError
        There are none, or one of them cannot be read, or has another size than the first.
    """

    begin = Fraction(0)

    def __init__(
        self, folder: Path, rate: Fraction = Fraction(25), size: tuple[int | None, int | None] = (None, None)
    ) -> None:
        from gossamer.video.source import scaled_sides

        self.warnings: list[str] = []
        self._told: set[str] = set()
        self._paths = [folder] if folder.is_file() else _in_order(folder)
        self.warnings += _gaps(self._paths)
        first = read_image(self._paths[0])
        self._source = (first.width, first.height)
        wide, tall = scaled_sides(first.width, first.height, size)
        self._rate = rate
        self.clip = Clip(
            path=folder,
            width=wide,
            height=tall,
            rate=rate,
            time_base=1 / rate,
            seconds=float(len(self._paths) / rate),
            depth=8 if first.bit_depth == 8 else 16,
            aspect=Fraction(1),
            tags=ColourTags.of_pictures(),
            has_alpha=first.alpha is not None,
            has_sound=False,
            codec=self._paths[0].suffix.lstrip(".").lower(),
            icc_profile=first.icc_profile,
        )

    def __enter__(self) -> PictureSource:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """There is nothing to close."""

    def frames(
        self,
        start: Fraction = Fraction(0),
        end: Fraction | None = None,
        done: tuple[int, Fraction] | None = None,
    ) -> Iterator[Frame]:
        """Yield the frames between two points; see :meth:`gossamer.video.source.VideoSource.frames`."""
        number = 0
        for place, path in enumerate(self._paths):
            time = place / self._rate
            if time < start:
                continue
            if end is not None and time >= end:
                return
            if done is None or number >= done[0]:
                yield self._frame(path, number, time - start)
            number += 1

    def _frame(self, path: Path, number: int, time: Fraction) -> Frame:
        picture = read_image(path)
        for warning in picture.warnings:
            said = warning.replace(f"{path}: ", "", 1)  # each once, however many pictures it is true of
            if said not in self._told:
                self._told.add(said)
                self.warnings.append(warning)
        if (picture.width, picture.height) != self._source:
            wide, tall = self._source
            raise InputError(
                f"{path} has {picture.width} x {picture.height} pixels and the first picture {wide} x {tall}.",
                "Give pictures of one size.",
            )
        if (convert := conversion(picture.icc_profile, self.clip.icc_profile)) is not None:
            if "profile" not in self._told:
                self._told.add("profile")
                self.warnings.append(
                    f"{path} has another colour profile than the first picture: its colours were converted, in 8 bits."
                )
            picture = replace(picture, pixels=convert(as_rgb(picture.pixels)))
        pixels, alpha = self._numbers(picture)
        return Frame(number, time, pixels, alpha)

    def _numbers(self, picture: Image) -> tuple[NDArray[np.uint8 | np.uint16], NDArray[np.uint16] | None]:
        import cv2

        pixels = picture.pixels
        alpha: Array | None = picture.alpha
        size = (self.clip.width, self.clip.height)
        if size != self._source:
            how = cv2.INTER_AREA if size[0] < self._source[0] else cv2.INTER_CUBIC
            pixels = np.asarray(cv2.resize(pixels, size, interpolation=how))
            alpha = None if alpha is None else np.clip(cv2.resize(alpha, size, interpolation=how), 0, 1)
        if pixels.dtype != np.uint8:
            pixels = (np.clip(pixels, 0, 1) * np.float32(65535) + np.float32(0.5)).astype(np.uint16)
            if self.clip.depth == 8:
                pixels = (pixels >> 8).astype(np.uint8)
        whole = None if alpha is None else (alpha * np.float32(65535) + np.float32(0.5)).astype(np.uint16)
        return np.ascontiguousarray(pixels), whole


def _in_order(folder: Path) -> list[Path]:
    """Return the pictures of a folder in the order of their numbers; raises InputError where there are none."""
    try:
        files = list(folder.iterdir())
    except OSError as error:
        raise cannot_read(folder, error) from error
    found = [path for path in files if _is_called_so(path) and not path.name.startswith(".")]
    if not found:
        raise InputError(f"{folder} holds no pictures.", "Give a folder of numbered pictures, or a clip.")
    return sorted(found, key=_by_number)


def _gaps(paths: list[Path]) -> list[str]:
    """Return what a folder lacks of one row of pictures, in the order of their numbers: one name, and even steps."""
    folder = paths[0].parent.name
    if len({re.sub(r"\d+", "0", path.stem) for path in paths}) > 1:
        return [
            f"{folder} holds pictures of several names, such as {paths[0].name} and {paths[-1].name}: they are taken "
            "one after the other."
        ]
    columns = zip(*(map(int, re.findall(r"\d+", path.stem)) for path in paths), strict=True)
    counted = [numbers for numbers in columns if len(set(numbers)) > 1]
    if len(counted) != 1:
        return []
    steps = [two - one for one, two in itertools.pairwise(counted[0])]
    missing = sum(step // min(steps) - 1 for step in steps) if min(steps) > 0 else 0
    if not missing:
        return []
    before = counted[0][next(place for place, step in enumerate(steps) if step > min(steps))]
    return [f"{folder} lacks {missing} of its pictures, the first after number {before}: the clip is shorter by them."]


def _by_number(path: Path) -> tuple[list[int | str], str]:
    pieces = [int(piece) if piece.isdecimal() else piece for piece in re.split(r"(\d+)", path.stem)]
    # Numbers and texts alternate from a text on: lists of two names compare place by place.
    return pieces, path.name
