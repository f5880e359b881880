"""The blocks of a GIF file: what its first frame needs, cut out of all else."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image as Pillow

__all__ = ["GifFile", "check_whole", "lacks_colours", "read_blocks"]

_MOST_FRAMES = 1000  # counted; more are "more than"
_MOST_STEPS = 1_000_000
_EXTENSION, _PICTURE, _TRAILER = 0x21, 0x2C, 0x3B
_CONTROL, _APPLICATION = 0xF9, 0xFF
_PROFILE = b"ICCRGBG1012"


@dataclass
class GifFile:
    """What the blocks say.

    Attributes
    ----------
    clean : bytes
        A GIF file of the first frame alone.
    box : tuple of int
        Left, top, width and height of that frame.
    colours : int
        How many its palette has.
    transparent : int
        Which number stands for no colour; -1: none.
    frames : int
        How many there are, of 1000 and more at least so many.
    """

    clean: bytes
    width: int
    height: int
    box: tuple[int, int, int, int]
    icc_profile: bytes | None = None
    colours: int = 256
    transparent: int = -1
    frames: int = 1
    countless: bool = False


def read_blocks(data: bytes) -> GifFile:
    """Look through the blocks of a GIF file.

    Raises
    ------
    ValueError, IndexError
        If its first frame is cut off.
    """
    width, height = (int.from_bytes(data[i : i + 2], "little") for i in (6, 8))
    position = 13 + (3 << ((data[10] & 7) + 1) if data[10] & 0x80 else 0)
    head, control, icc = data[:position], b"", None
    steps = 0
    while True:
        steps += 1
        if steps > _MOST_STEPS:
            raise ValueError("blocks without end")
        kind = data[position]
        if kind == _EXTENSION:
            inner, start = position + 2, position
            position = _skip(data, inner)
            if data[start + 1] == _CONTROL:
                control = data[start:position]
            elif data[start + 1] == _APPLICATION and data[inner + 1 : inner + 12] == _PROFILE and icc is None:
                icc = _joined(data, inner + 12, position)
        elif kind == _PICTURE:
            break
        elif kind == _TRAILER:
            raise ValueError("no frame")
        else:
            position += 1
    start = position
    left, top, across, down = (int.from_bytes(data[start + i : start + i + 2], "little") for i in (1, 3, 5, 7))
    position = _skip(data, _pixels(data, start))
    clean = head + control + data[start:position] + b";"
    gif = GifFile(clean, max(width, left + across), max(height, top + down), (left, top, across, down), icc)
    own, common = data[start + 9], data[10]
    if (own | common) & 0x80:
        gif.colours = 2 << ((own if own & 0x80 else common) & 7)
    if len(control) > 6 and control[3] & 1:
        gif.transparent = control[6]
    _count(data, position, gif)
    return gif


def check_whole(gif: GifFile, pixels: NDArray[np.uint8]) -> None:
    """Refuse a first frame of which Pillow's decoder has not given all rows.

    It takes data that end early, if they end well, as whole, and leaves the rest as it was before. So a frame with
    rows that are all alike is decoded once more, over other numbers: what differs has not been given.

    Parameters
    ----------
    pixels : ndarray
        (H, W) uint8, as Pillow decodes ``gif.clean``.
    """
    import numpy as np

    left, top, width, height = gif.box
    frame = pixels[top : top + height, left : left + width]
    if frame.ndim != 2 or (frame != frame[:, :1]).any(axis=1).all():
        return
    other = np.asarray(_over(gif.clean, (int(frame[-1, 0]) + 1) % 256))[top : top + height, left : left + width]
    if not np.array_equal(frame, other):
        raise ValueError("the pixels end too early")


def lacks_colours(gif: GifFile, pixels: NDArray[np.uint8]) -> bool:
    """Tell whether pixels have numbers beyond the palette, as where it is damaged: they come out black.

    Parameters
    ----------
    pixels : ndarray
        As for :func:`check_whole`.
    """
    left, top, width, height = gif.box
    frame = pixels[top : top + height, left : left + width]
    if frame.ndim != 2 or gif.colours >= 256:
        return False
    return bool(((frame >= gif.colours) & (frame != gif.transparent)).any())


def _over(data: bytes, shade: int) -> Pillow.Image:
    """Decode the first frame into memory that is full of `shade`."""
    from PIL import Image
    from PIL.GifImagePlugin import GifImageFile

    class Prepared(GifImageFile):
        def load_prepare(self) -> None:
            super().load_prepare()
            self.im = Image.new(self.im.mode, self.im.size, shade).im
            if self.im.mode == "P":
                Image.Image.load(self)  # the palette, as the base class does

    picture = Prepared(io.BytesIO(data), "")
    picture.load()
    return picture


def _pixels(data: bytes, start: int) -> int:
    """Return where the sub-blocks of the picture at `start` begin."""
    flags = data[start + 9]
    return start + 10 + (3 << ((flags & 7) + 1) if flags & 0x80 else 0) + 1


def _skip(data: bytes, position: int) -> int:
    """Return where the sub-blocks that begin at `position` have ended."""
    while length := data[position]:
        position += 1 + length
    return position + 1


def _joined(data: bytes, position: int, end: int) -> bytes:
    parts = []
    while position < end and (length := data[position]):
        parts.append(data[position + 1 : position + 1 + length])
        position += 1 + length
    return b"".join(parts)


def _count(data: bytes, position: int, gif: GifFile) -> None:
    """Count the frames after the first; a file that is cut off there has as many as are whole."""
    blocks = 0
    try:
        while gif.frames < _MOST_FRAMES and blocks < 10 * _MOST_FRAMES:
            blocks += 1
            kind = data[position]
            if kind == _EXTENSION:
                position = _skip(data, position + 2)
            elif kind == _PICTURE:
                position = _skip(data, _pixels(data, position))
                gif.frames += 1
            else:
                return
        gif.countless = True
    except IndexError:
        return
