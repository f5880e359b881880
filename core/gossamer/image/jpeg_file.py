"""The segments of a JPEG file, looked through before anything is decoded."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field

from gossamer.errors import InputError
from gossamer.image.limits import check_delivered, check_size, unknown_kind

__all__ = ["JpegFile", "read_segments"]

_MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")  # neither stuffed zeros nor fill bytes
_MARKER_OR_RESTART = re.compile(rb"\xff([\x01-\xfe])")
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
_TEM, _SOI, _EOI, _SOS, _DRI = 0x01, 0xD8, 0xD9, 0xDA, 0xDD
_ALONE = {_TEM, _SOI, *range(0xD0, 0xD8)}  # without length and body
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_SEQUENTIAL, _PROGRESSIVE, _ARITHMETIC = (0xC0, 0xC1, 0xC9), (0xC2, 0xCA), (0xC9, 0xCA)
_MOST_SEGMENTS = 100_000
_MOST_SCANS = 100  # encoders make about ten; each takes a pass over the whole picture, however short it is
_EXIF, _XMP = b"Exif\0", b"http://ns.adobe.com/xap/1.0/\0"


@dataclass
class JpegFile:
    """What the segments say.

    Attributes
    ----------
    clean : bytes
        The file without what it holds beside the picture and its profile.
    end : int or None
        Where in `clean` the data of the last scan end, at a marker or with the file; None where there is none.
    closed : bool
        Whether there is a marker that ends the picture.
    units : int
        Blocks, or groups of blocks, in the last scan.
    incomplete : bool
        Whether scans are missing, or were never made, that hold fine detail; or, where it is not closed, anything.
    """

    clean: bytes
    width: int = 0
    height: int = 0
    frame: int = 0
    sampling: dict[int, tuple[int, int]] = field(default_factory=dict)
    scans: int = 0
    units: int = 0
    exif: bytes = b""
    xmp: bytes | None = None
    end: int | None = None
    closed: bool = False
    incomplete: bool = False

    @property
    def arithmetic(self) -> bool:
        """Whether it is coded arithmetically."""
        return self.frame in _ARITHMETIC

    @property
    def scattered(self) -> bool:
        """Whether the components of a picture that is not progressive lie one after the other."""
        return self.frame in _SEQUENTIAL and self.scans > 1

    @property
    def finest(self) -> tuple[int, int]:
        """The largest sampling factors, across and down."""
        return max(x for x, _ in self.sampling.values()), max(y for _, y in self.sampling.values())

    @property
    def groups(self) -> int:
        """How many groups of blocks there are, which hold some of each component."""
        across, down = self.finest
        return -(-self.width // (8 * across)) * -(-self.height // (8 * down))

    def blocks(self, component: int) -> int:
        """Return how many blocks of 8 × 8 a component has."""
        (across, down), (x, y) = self.finest, self.sampling.get(component, (0, 0))
        return -(-self.width * x // (8 * across)) * -(-self.height * y // (8 * down))

    @property
    def fewest_bytes(self) -> int:
        """Bytes that the pixels need at least: two bits for a block of 8 × 8, and one in the first scan of many."""
        if self.arithmetic:
            return 0
        blocks = sum(map(self.blocks, self.sampling))
        return blocks * (2 if self.frame in _SEQUENTIAL else 1) // 8


def read_segments(data: bytes, label: str) -> JpegFile:
    """Look through the segments of the first picture in a JPEG file.

    Raises
    ------
    InputError
        If it is too large, of a kind that is not read, or has so many scans that it is made to take time.
    ValueError, struct.error
        If it is damaged, or holds fewer bytes than its pixels need.
    """
    jpeg = JpegFile(data)
    bits: dict[int, list[int | None]] = {}  # of each component, how many bits of each coefficient are still to come
    dropped: list[tuple[int, int]] = []
    position, in_scan, restarts = 2, False, 0
    for _ in range(_MOST_SEGMENTS):
        # Where no restarts are announced, one ends the scan: libjpeg makes grey of the rest.
        found = (_MARKER if restarts or not in_scan else _MARKER_OR_RESTART).search(data, position)
        if found is None:
            break
        marker, start = found[1][0], found.end()
        if in_scan:
            jpeg.end = found.start()
            if restarts:
                _check_restarts(jpeg, data, position, restarts)
        in_scan = marker == _SOS
        if marker == _EOI:
            jpeg.closed = True
            break
        if marker in _ALONE:
            position = start
            continue
        (length,) = struct.unpack_from(">H", data, start)
        body = data[start + 2 : start + length]
        position = start + max(2, length)
        if marker in _FRAMES:
            _take_frame(jpeg, marker, body, label)
            bits = {each: [None] * 64 for each in jpeg.sampling}
        elif marker == _DRI:
            (restarts,) = struct.unpack_from(">H", body)
        elif marker == _SOS:
            _take_scan(jpeg, body, bits, label)
        elif 0xE0 <= marker <= 0xEF or marker == 0xFE:
            if marker == 0xE1 and body.startswith(_EXIF):
                jpeg.exif = jpeg.exif or body
            elif marker == 0xE1 and body.startswith(_XMP):
                jpeg.xmp = jpeg.xmp or body
            if marker not in (0xE0, 0xEE) and not (marker == 0xE2 and body.startswith(b"ICC_PROFILE\0")):
                dropped.append((found.start(), position))
    else:
        raise ValueError("segments without end")
    if not jpeg.sampling or not jpeg.scans:
        raise ValueError("no picture")
    if jpeg.arithmetic:
        check_delivered(jpeg.width, jpeg.height, len(data), label)
    if jpeg.fewest_bytes > len(data):
        raise ValueError("the pixels end too early")
    if jpeg.closed:
        _check_complete(jpeg, bits)
    else:
        _find_end(jpeg, data, position if in_scan else None, restarts, bits)
    if dropped:
        _drop(jpeg, dropped)
    return jpeg


def _take_frame(jpeg: JpegFile, marker: int, body: bytes, label: str) -> None:
    precision, height, width, count = struct.unpack_from(">BHHB", body)
    supported = marker in _SEQUENTIAL or marker in _PROGRESSIVE
    if jpeg.sampling or not supported or precision != 8 or count not in (1, 3, 4) or (width and not height):
        raise unknown_kind(label, "JPEG")  # 12 bits, lossless, hierarchical, two components, height told at the end
    check_size(width, height, label)
    jpeg.width, jpeg.height, jpeg.frame = width, height, marker
    for i in range(count):
        number, sampling, _ = struct.unpack_from("3B", body, 6 + 3 * i)
        across, down = sampling >> 4, sampling & 15
        if number in jpeg.sampling or not 1 <= across <= 4 or not 1 <= down <= 4:
            raise ValueError("no such components")
        jpeg.sampling[number] = across, down


def _take_scan(jpeg: JpegFile, body: bytes, bits: dict[int, list[int | None]], label: str) -> None:
    jpeg.scans += 1
    if jpeg.scans > _MOST_SCANS:
        raise InputError(
            f"{label} has more than {_MOST_SCANS} scans, which no camera or editor makes.",
            "Open it in an image editor and save it again.",
        )
    count = body[0]
    jpeg.units = jpeg.blocks(body[1]) if count == 1 else jpeg.groups
    if len(body) < 4 + 2 * count:
        raise ValueError("a scan without its head")
    first, last, approximation = body[1 + 2 * count : 4 + 2 * count]
    whole = jpeg.frame in _SEQUENTIAL
    wanted: Iterable[int] = range(64) if whole else range(first, min(last, 63) + 1)
    for number in body[1 : 1 + 2 * count : 2]:
        if number in bits:
            for i in wanted:
                bits[number][i] = 0 if whole else approximation & 15


def _check_restarts(jpeg: JpegFile, data: bytes, start: int, interval: int) -> None:
    """Refuse a scan that has not just as many restarts as it must: libjpeg makes grey of what is between others."""
    end = jpeg.end or start
    if _RESTART.fullmatch(data, end - 2, end):  # one at the end does no harm
        end -= 2
    if len(_RESTART.findall(data, start, end)) != (jpeg.units - 1) // interval:
        raise ValueError("there are too few restarts, or too many")


def _check_complete(jpeg: JpegFile, bits: dict[int, list[int | None]]) -> None:
    """Refuse a picture of which a component has no scan; see whether its fine detail has all."""
    if any(each[0] is None for each in bits.values()):
        raise ValueError("a component is missing")
    jpeg.incomplete = any(value != 0 for each in bits.values() for value in each)


def _find_end(jpeg: JpegFile, data: bytes, start: int | None, restarts: int, bits: dict[int, list[int | None]]) -> None:
    """See where the data end of a picture without an end marker, and whether any are missing before; no error yet.

    `start` is where those of the last scan begin, None where a marker ends them.
    """
    if start is not None:
        end = len(data.rstrip(b"\0"))  # codes are filled up with ones, so that zeros are a file system's
        stuffed = end < len(data) and data[end - 1] == 0xFF
        jpeg.end = max(start, end + 1 if stuffed else len(data[:end].rstrip(b"\xff")))
    try:
        if restarts and start is not None:
            _check_restarts(jpeg, data, start, restarts)
        _check_complete(jpeg, bits)
    except ValueError:
        jpeg.incomplete = True


def _drop(jpeg: JpegFile, dropped: list[tuple[int, int]]) -> None:
    """Leave segments out of `clean`."""
    kept, position, before = [], 0, 0
    for start, end in dropped:
        kept.append(jpeg.clean[position:start])
        position = max(position, end)
        before += end - start if jpeg.end is not None and end <= jpeg.end else 0
    kept.append(jpeg.clean[position:])
    jpeg.clean = b"".join(kept)
    jpeg.end = None if jpeg.end is None else jpeg.end - before
