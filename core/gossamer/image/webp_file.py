"""The header of a WebP file: its size, before memory is taken for it."""

from __future__ import annotations

import struct

__all__ = ["first_frame", "webp_size"]


def webp_size(data: bytes) -> tuple[int, int]:
    """Return width and height of the canvas.

    Raises
    ------
    ValueError, struct.error
        If the header is damaged, or the file shorter than it says.
    """
    (length,) = struct.unpack_from("<I", data, 4)
    if length + 8 > len(data) + 1:  # writers differ on a last odd byte
        raise ValueError("cut off")
    kind = data[12:16]
    if kind == b"VP8X":
        width, height = (int.from_bytes(data[i : i + 3], "little") + 1 for i in (24, 27))
    elif kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind == b"VP8 ":
        width, height = (value & 0x3FFF for value in struct.unpack_from("<HH", data, 26))
    else:
        raise ValueError("no WebP header")
    return width, height


def first_frame(data: bytes) -> tuple[int, int, int, int] | None:
    """Return left, top, width and height of the first frame of an animation; None for a still picture.

    Raises
    ------
    struct.error
        If the file is damaged.
    """
    place = 12
    while place + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, place)
        if kind == b"ANMF" and place + 20 <= len(data):
            x, y, width, height = (int.from_bytes(data[place + i : place + i + 3], "little") for i in (8, 11, 14, 17))
            return 2 * x, 2 * y, width + 1, height + 1
        if kind in (b"VP8 ", b"VP8L"):
            return None
        place += 8 + length + length % 2
    return None
