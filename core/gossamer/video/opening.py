"""A clip, opened: a film, an animated picture, or pictures in a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction
from typing import TypeAlias

from gossamer.errors import InputError
from gossamer.paths import check_readable, source_path
from gossamer.settings.video import Video, read_size
from gossamer.video.animation import AnimationSource, is_animation
from gossamer.video.clip import Frame
from gossamer.video.pictures import PictureSource, is_picture
from gossamer.video.source import VideoSource
from gossamer.video.timing import at_rate

__all__ = ["Source", "frames_of", "open_source"]

Source: TypeAlias = VideoSource | PictureSource | AnimationSource
"""Whatever frames come from."""


def open_source(path: str | os.PathLike[str], settings: Video | None = None) -> Source:
    """Open a clip for reading; it is closed at the end of its ``with``.

    Parameters
    ----------
    path : path
        A file that FFmpeg reads, an animated GIF, WebP or APNG, a folder of numbered pictures, or a single picture.
    settings : Video, optional
        ``size`` scales its frames; ``fps`` is the rate of pictures.

    Raises
    ------
    InputError
        There is no such clip, or it cannot be read.
    """
    settings, path = settings or Video(), source_path(path, "clip")
    size = read_size(settings.size) if settings.size else (None, None)
    if os.path.isdir(path):  # False also of names that are too long, which are told below
        return PictureSource(path, settings.rate or Fraction(25), size)
    check_readable(path, "clip")
    if not path.is_file():  # FFmpeg would wait for a pipe and hear nobody, and clips are not read from front to back
        raise InputError(f"{path} is a pipe or a device, not a clip.", "Save it as a file first.")
    if is_animation(path):
        return AnimationSource(path, size)
    return PictureSource(path, settings.rate or Fraction(25), size) if is_picture(path) else VideoSource(path, size)


def frames_of(
    source: Source, settings: Video, begun: int = 0, done: tuple[int, Fraction] | None = None
) -> Iterator[Frame]:
    """Return the frames that settings ask for: between their points, at their rate.

    Parameters
    ----------
    source : Source
    settings : Video
    begun : int
        How many of them were had already.
    done : (int, Fraction), optional
        Number and time of the next one, where that is known.
    """
    begin, end = settings.span
    rate = settings.rate
    if rate is not None and rate != source.clip.rate:
        every = at_rate(source.frames(begin, end), rate, 1 / source.clip.rate)
        return (frame for frame in every if frame.number >= begun)
    return source.frames(begin, end, done)
