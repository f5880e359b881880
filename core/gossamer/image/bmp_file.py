"""The header of a BMP file: its colours, its run lengths spread out, and fields of pixels brought to bytes."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

import numpy as np

from gossamer.image.colour import SRGB, Colour, Curve, Primaries, by_chromaticities, gamma
from gossamer.image.limits import check_delivered, check_size, unknown_kind

__all__ = ["BmpFile", "read_header"]

_CORE, _V4, _V5 = 12, 108, 124
_WITH_ALPHA = 56
_USUAL = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)  # masks of red, green, blue and alpha
_HEADERS = (_CORE, 40, 52, 56, 64, _V4, _V5)
_RAW, _RLE8, _RLE4, _FIELDS = 0, 1, 2, 3
_CALIBRATED, _SRGB, _WINDOWS, _LINKED, _EMBEDDED = 0, b"BGRs", b" niW", b"KNIL", b"DEBM"


@dataclass
class BmpFile:
    """What the header says.

    Attributes
    ----------
    clean : bytes
        The file, its pixels not compressed, and where they hold alpha of eight bits a channel.
    """

    clean: bytes
    width: int
    height: int
    icc_profile: bytes | None = None
    colour: Colour | None = None
    notes: list[str] = field(default_factory=list)


def read_header(data: bytes, label: str) -> BmpFile:
    """Read the header of a BMP file.

    Raises
    ------
    InputError
        If it is too large, or of a kind that is not read.
    ValueError, struct.error
        If it is damaged or cut off.
    """
    offset, size = struct.unpack_from("<II", data, 10)
    if size not in _HEADERS:
        raise unknown_kind(label, "BMP")
    if size == _CORE:
        width, height, planes, bits = struct.unpack_from("<4H", data, 18)
        compression = _RAW
    else:
        width, height, planes, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    check_size(width, abs(height), label)
    bmp = BmpFile(data, width, abs(height))
    known = {_RAW: (1, 4, 8, 16, 24, 32), _RLE8: (8,), _RLE4: (4,), _FIELDS: (16, 24, 32)}.get(compression, ())
    if bits not in known or planes > 1:
        raise unknown_kind(label, "BMP")
    if compression in (_RLE8, _RLE4):
        if height < 0:
            raise ValueError("run lengths from the top")
        check_delivered(width, height, len(data), label)
        bmp.clean = _spread(bmp, data, offset, compression == _RLE4)
    elif offset + (width * bits + 31) // 32 * 4 * abs(height) > len(data):
        raise ValueError("the pixels end too early")
    if size >= _WITH_ALPHA and compression == _FIELDS and bits != 24:
        masks = struct.unpack_from("<4I", data, 14 + 40)
        if masks[3] and masks != _USUAL:  # of these Pillow knows some, without their alpha where a pixel has 16 bits
            bmp.clean = _fields_apart(bmp, data, offset, bits, masks)
    if bits == 32 and compression == _RAW:
        fourth = np.frombuffer(data, np.uint8, 4 * width * abs(height), offset)[3::4]
        if fourth.size and fourth.min() != fourth.max():
            bmp.notes.append("its header calls the fourth byte of its pixels unused: if that is alpha, it is lost")
    if size >= _V4:
        _take_colour(bmp, data, size)
    return bmp


def _take_colour(bmp: BmpFile, data: bytes, size: int) -> None:
    kind = data[14 + 56 : 14 + 60]
    if kind in (_SRGB, _WINDOWS):
        bmp.colour = SRGB.told_by("its header")
    elif kind == _EMBEDDED and size >= _V5:
        start, length = struct.unpack_from("<II", data, 14 + 112)
        bmp.icc_profile = data[14 + start : 14 + start + length] or None
    elif kind == _LINKED:
        bmp.notes.append("its colour profile is in another file and is left out; it is taken as sRGB")
    elif struct.unpack("<I", kind)[0] == _CALIBRATED:
        ends = struct.unpack_from("<9i3I", data, 14 + 60)
        if not any(ends):
            return
        try:
            bmp.colour = _calibrated(ends)
        except (ValueError, ZeroDivisionError):
            bmp.notes.append("its header names no colour space that there is; it is taken as sRGB")


def _calibrated(ends: tuple[int, ...]) -> Colour:
    """Return the space of the XYZ of full red, green and blue, which add up to white, and of three gammas."""
    xyz = [[value / (1 << 30) for value in ends[i : i + 3]] for i in (0, 3, 6)]
    powers = [value / 65536 for value in ends[9:]]
    power = sum(powers) / 3
    curve: Curve | None = gamma(power) if power else None
    if not any(ends[:9]):
        return by_chromaticities(None, curve, "its header")
    xyz.insert(0, [sum(column) for column in zip(*xyz, strict=True)])
    pairs = [(x / (x + y + z), y / (x + y + z)) for x, y, z in xyz]
    return by_chromaticities(Primaries(*pairs), curve, "its header")


def _spread(bmp: BmpFile, data: bytes, offset: int, four: bool) -> bytes:
    """Return the file with its run lengths as plain rows of bytes, a byte a pixel."""
    width, height = bmp.width, bmp.height
    stride = -(-width // 4) * 4
    rows = bytearray(stride * height)
    x = y = 0
    position, ended = offset, False
    while y < height and position + 2 <= len(data):
        count, value = data[position], data[position + 1]
        position += 2
        if count:
            x = _put(
                rows,
                y * stride,
                x,
                width,
                bytes([value >> 4, value & 15]) * 128 if four else bytes([value]) * count,
                count,
            )
        elif value == 0:
            x, y = 0, y + 1
        elif value == 1:
            ended = True
            break
        elif value == 2:
            right, up = data[position : position + 2]
            x, y, position = x + right, y + up, position + 2
        else:
            length = (value + 1) // 2 if four else value
            some = data[position : position + length]
            if len(some) < length:
                raise ValueError("the pixels end too early")
            pixels = bytes(nibble for byte in some for nibble in (byte >> 4, byte & 15)) if four else some
            x = _put(rows, y * stride, x, width, pixels, value)
            position += length + length % 2
    left = height - y - (x >= width)
    if not ended and left > 0:
        raise ValueError("the pixels end too early")
    if ended and left > 0:
        bmp.notes.append(f"it ends before its last {left} rows, which are left blank")
    header = bytearray(data[:offset])
    (colours,) = struct.unpack_from("<I", header, 46)
    struct.pack_into("<HI", header, 28, 8, _RAW)
    struct.pack_into("<I", header, 46, colours or (16 if four else 256))
    return bytes(header) + bytes(rows)


def _fields_apart(bmp: BmpFile, data: bytes, offset: int, bits: int, masks: tuple[int, ...]) -> bytes:
    """Return the file with the fields of its pixels, whichever bits they have, as four bytes in the usual order."""
    row = (bmp.width * bits + 31) // 32 * 4
    rows = np.frombuffer(data, np.uint8, row * bmp.height, offset).reshape(bmp.height, row)
    values = rows.view("<u2" if bits == 16 else "<u4")[:, : bmp.width].astype(np.uint32)
    pixels = np.empty((bmp.height, bmp.width, 4), np.uint8)
    for channel, mask in zip((2, 1, 0, 3), masks, strict=True):  # blue comes first in the file
        low = (mask & -mask).bit_length() - 1 if mask else 0
        most = mask >> low
        if most & (most + 1) or mask >= 1 << bits:
            raise ValueError("a field that is not of bits side by side")
        # Rounded: 31 of 31 is white.
        pixels[..., channel] = np.rint(((values & mask) >> low) * (255 / most)) if most else 0
    header = bytearray(data[:offset])
    struct.pack_into("<HI", header, 28, 32, _FIELDS)
    struct.pack_into("<I", header, 34, pixels.nbytes)
    struct.pack_into("<4I", header, 14 + 40, *_USUAL)
    return bytes(header) + pixels.tobytes()


def _put(rows: bytearray, start: int, x: int, width: int, pixels: bytes, count: int) -> int:
    """Put `count` of `pixels` at `x` of the row that begins at `start`, as far as it reaches; return the next place."""
    fits = max(0, min(count, width - x))
    rows[start + x : start + x + fits] = pixels[:fits]
    return x + count
