"""OpenEXR: what its header says, and its pixels, decoded by FFmpeg."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from gossamer.errors import InputError, import_failure
from gossamer.image.colour import Colour, Curve, Primaries, by_chromaticities
from gossamer.image.deep import Raw
from gossamer.image.limits import check_delivered, check_size, damaged, unknown_kind

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["STRAIGHT", "ExrHeader", "read_exr", "read_header"]

STRAIGHT = b"goss"
"""What our files name as their writer, in place of FFmpeg's ``lavc``: their colours are not multiplied by alpha."""

_MAGIC = b"v/1\x01"
_TILED, _DEEP, _PARTS = 0x200, 0x800, 0x1000
_MOST = 1 << 16  # bytes of one attribute that is looked at; names and types have 255 at most
_DWA = (8, 9)
_DEFLATED = (2, 3, 5)  # ZIPS, ZIP, PXR24
_LINES = {3: 16, 4: 32, 5: 16, 6: 32, 7: 32, 8: 32, 9: 256}  # of a chunk, by compression; one of others
_BYTES = {0: 4, 1: 2, 2: 4}  # by kind of number
_CLEAR = 0.99  # alpha below which a pixel is transparent
_BRIGHTER = 0.02  # of the colours' range: by so much a colour is above its alpha
_GLOWS = 0.25  # of transparent pixels: more than so many that shine above their alpha are no glow


@dataclass
class ExrHeader:
    """What matters of a header.

    Attributes
    ----------
    width, height : int
        Of the display window, which is what is shown.
    channels : dict of str to int
        Kind of number (0 whole, 1 half, 2 float) by name, in the file's order.
    compression : int
    primaries : Primaries or None
        Where it names them.
    writer : bytes
        What its writer calls itself; empty where it does not.
    parts : bool
        Whether there are several pictures, or pixels of several depths.
    origin : (int, int)
        Left and top of the display window.
    window : (int, int)
        Width and height of what there are pixels for.
    windows : list of int
        Where both lie in the file.
    tile : (int, int) or None
        Width and height of a tile, where it is cut into tiles.
    end : int
        Where it ends in the file.
    """

    width: int = 0
    height: int = 0
    channels: dict[str, int] = field(default_factory=dict)
    compression: int = 0
    primaries: Primaries | None = None
    writer: bytes = b""
    parts: bool = False
    origin: tuple[int, int] = (0, 0)
    window: tuple[int, int] = (0, 0)
    windows: list[int] = field(default_factory=list)
    tile: tuple[int, int] | None = None
    end: int = 0

    @property
    def colour(self) -> Colour:
        """The space of its numbers: linear light."""
        return by_chromaticities(self.primaries, Curve("linear"), "the rules of OpenEXR")

    @property
    def layout(self) -> str | None:
        """Which channels are read: RGB, RGBA or Y; None where there are no such."""
        if set("RGB") <= self.channels.keys():
            return "RGBA" if "A" in self.channels else "RGB"
        # FFmpeg takes either for the other of grey and alpha; beside RY and BY, Y is not the whole picture.
        return "Y" if "Y" in self.channels and not {"A", "RY", "BY"} & self.channels.keys() else None


def read_header(data: bytes) -> ExrHeader:
    """Read the header of an OpenEXR file.

    Raises
    ------
    ValueError, struct.error
        It is none, or ends early.

    References
    ----------
    "OpenEXR File Layout", openexr.com.
    """
    if data[:4] != _MAGIC:
        raise ValueError("no OpenEXR")
    header = ExrHeader(parts=bool(struct.unpack_from("<I", data, 4)[0] & (_DEEP | _PARTS)))
    place = 8
    while data[place : place + 1] not in (b"\0", b""):
        name, place = _text(data, place)
        _, place = _text(data, place)
        (length,) = struct.unpack_from("<i", data, place)
        value = data[place + 4 : place + 4 + min(length, _MOST)]
        place += 4 + length
        if length < 0 or place > len(data):
            raise ValueError("an attribute leads beyond the file")
        _take(header, name, value)
        if name.endswith(b"Window"):
            header.windows.append(place - length)
    header.end = place + 1
    return header


def _take(header: ExrHeader, name: bytes, value: bytes) -> None:
    if name == b"channels":
        header.channels = _channels(value)
    elif name == b"compression":
        header.compression = value[0]
    elif name == b"displayWindow":
        header.width, header.height = _sides(value)
        header.origin = struct.unpack_from("<2i", value)
    elif name == b"dataWindow":
        header.window = _sides(value)
    elif name == b"tiles":
        header.tile = struct.unpack_from("<2I", value)
    elif name == b"chromaticities":
        red, green, blue, white = (struct.unpack_from("<2f", value, 8 * corner) for corner in range(4))
        header.primaries = Primaries(white, red, green, blue)
    elif name == b"writer":
        header.writer = value


def _sides(value: bytes) -> tuple[int, int]:
    left, top, right, bottom = struct.unpack("<4i", value)
    return right - left + 1, bottom - top + 1


def _text(data: bytes, place: int) -> tuple[bytes, int]:
    end = data.index(b"\0", place, place + 257)
    return data[place:end], end + 1


def _channels(value: bytes) -> dict[str, int]:
    found, place = {}, 0
    while value[place : place + 1] not in (b"\0", b""):
        name, place = _text(value, place)
        (found[name.decode("utf-8", "replace")],) = struct.unpack_from("<i", value, place)
        place += 16
    return found


def read_exr(data: bytes, label: str, notes: list[str]) -> tuple[Raw, Colour]:
    """Read an OpenEXR picture: its pixels, and the space of its numbers.

    By its rules colours are multiplied by alpha. Ours are not, and say so; nor are those whose transparent pixels
    shine.

    Parameters
    ----------
    data : bytes
    label : str
        What messages call the file.
    notes : list of str
        What is left out or guessed is added to it.

    Raises
    ------
    InputError
        Damaged, too large, or of a kind that FFmpeg does not know.
    MissingExtra
        PyAV is not installed.
    ValueError, struct.error
        Its header is damaged.
    """
    header = read_header(data)
    check_size(header.width, header.height, label)
    check_delivered(header.width, header.height, len(data), label)
    colour, layout = header.colour, header.layout
    if layout is None or header.parts:
        raise InputError(
            f"{label} has no channels R, G and B, or Y alone, of its own.",
            "Save one picture with R, G, B and A, without layers.",
        )
    if header.compression in _DWA:  # FFmpeg's decoder loses the alpha of these, and what is no half
        raise InputError(f"{label} is compressed by DWA, which Gossamer cannot read.", "Save it with ZIP or PIZ.")
    _check_chunks(data, header, label)
    others = [name for name in header.channels if name not in layout]
    if others:
        shown = ", ".join(others[:4]) + (" and others" if len(others) > 4 else "")
        notes.append(f"of its channels {', '.join(layout)} are used, and {shown} left out")
    pixels = _decoded(data if header.origin == (0, 0) else _at_origin(data, header), label)
    if pixels.shape != (header.height, header.width, len(layout)):
        raise damaged(label)
    premultiplied = layout.endswith("A") and header.writer != STRAIGHT and not _shines(pixels)
    if premultiplied:
        notes.append("its colours are taken as multiplied by alpha, as OpenEXR has them")
    return Raw(pixels, 1.0, 32, premultiplied), colour


def _check_chunks(data: bytes, header: ExrHeader, label: str) -> None:
    """Refuse a file of which pixels are missing: FFmpeg leaves them as they are, and says nothing."""
    wide, tall = header.window
    if min(wide, tall) < 1 or (header.tile and min(header.tile) < 1):
        raise damaged(label)
    across, down = header.tile or (wide, _LINES.get(header.compression, 1))
    columns, rows = -(-wide // across), -(-tall // down)
    head = 20 if header.tile else 8
    each = sum(_BYTES.get(kind, 4) for kind in header.channels.values())
    for number, place in enumerate(_places(data, header, columns * rows)):
        row, column = divmod(number, columns)
        if place + head > len(data):
            raise damaged(label)
        (size,) = struct.unpack_from("<i", data, place + head - 4)
        if size < 0 or place + head + size > len(data):
            raise damaged(label)
        whole = each * min(across, wide - column * across) * min(down, tall - row * down)
        if header.compression in _DEFLATED and size < whole:  # what would not become smaller is stored as it is
            zlib.decompress(data[place + head : place + head + size])


def _places(data: bytes | bytearray, header: ExrHeader, count: int) -> tuple[int, ...]:
    return struct.unpack_from(f"<{count}Q", data, header.end)


def _at_origin(data: bytes, header: ExrHeader) -> bytes:
    """Return a file whose display window begins at 0, 0, where FFmpeg sees every one begin."""
    moved = bytearray(data)
    left, top = header.origin
    for place in header.windows:
        x0, y0, x1, y1 = struct.unpack_from("<4i", data, place)
        struct.pack_into("<4i", moved, place, x0 - left, y0 - top, x1 - left, y1 - top)
    if header.tile is None:  # tiles have numbers of their own
        for place in _places(data, header, -(-header.window[1] // _LINES.get(header.compression, 1))):
            (line,) = struct.unpack_from("<i", data, place)
            struct.pack_into("<i", moved, place, line - top)
    return bytes(moved)


def _decoded(data: bytes, label: str) -> NDArray[np.float32]:
    """Return the pixels, (H, W, C) float32."""
    try:
        import av
    except ImportError as error:
        raise import_failure(error, "Reading OpenEXR pictures", "video") from None
    av.logging.set_level(None)
    context: Any = av.CodecContext.create("exr", "r")
    context.thread_count = 1
    try:
        frame = next(iter([*context.decode(av.Packet(data)), *context.decode(None)]), None)
    except av.error.PatchWelcomeError:
        raise unknown_kind(label, "EXR") from None
    if frame is None or frame.is_corrupt:
        raise damaged(label)
    kinds: dict[str, np.dtype[Any]] = {"f32le": np.dtype("<f4"), "f16le": np.dtype("<f2")}
    kind = next((kind for end, kind in kinds.items() if frame.format.name.endswith(end)), None)
    if kind is None:
        raise unknown_kind(label, "EXR")
    planes = [_plane(plane, kind, frame.width, frame.height) for plane in frame.planes]
    order = (2, 0, 1, 3)[: len(planes)] if len(planes) > 1 else (0,)  # FFmpeg lays them as green, blue, red
    return np.dstack([planes[place] for place in order])


def _plane(plane: Any, kind: np.dtype[Any], width: int, height: int) -> NDArray[np.float32]:
    numbers = np.frombuffer(plane, kind).reshape(-1, plane.line_size // kind.itemsize)
    return numbers[:height, :width].astype(np.float32)


def _shines(pixels: NDArray[np.float32]) -> bool:
    """Return whether colours, (H, W, 4), lie above their alpha where that is small, as multiplied ones cannot."""
    alpha, brightest = pixels[..., -1], pixels[..., :-1].max(axis=-1)
    clear = alpha < _CLEAR
    brighter = clear & (brightest > np.maximum(alpha, 0) + _BRIGHTER)
    return bool(np.count_nonzero(brighter) > _GLOWS * np.count_nonzero(clear & (brightest > 0)))
