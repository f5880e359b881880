"""The boxes of AVIF and HEIC files (ISO base media): what they say about the picture before it is decoded."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from gossamer.image.colour import Colour, by_cicp

__all__ = ["Properties", "properties"]

_MOST_BOXES = 20_000
_CONTAINERS = {b"moov", b"trak", b"mdia", b"minf", b"stbl"}
_VISUAL_ENTRY = 78  # bytes of a video sample entry before its boxes


@dataclass
class Properties:
    """What the boxes of the first picture say.

    Attributes
    ----------
    size : tuple of int or None
        Width and height.
    icc_profile : bytes or None
        From a ``colr`` box; it comes before the numbers of another.
    colour : Colour or None
        What the numbers of a ``colr`` box name; None where there are none, or they say "unspecified".
    deep : bool
        Whether an AV1 picture has more than 8 bits a channel.
    note : str
        What could not be understood of the colours.
    exif : list of bytes
        Blocks of EXIF, from where their TIFF header begins.
    """

    size: tuple[int, int] | None = None
    icc_profile: bytes | None = None
    colour: Colour | None = None
    deep: bool = False
    note: str = ""
    exif: list[bytes] = field(default_factory=list)


def _boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, start and end of the content of each box; a broken one ends it."""
    for _ in range(_MOST_BOXES):
        if start + 8 > end:
            return
        length, kind = struct.unpack_from(">I4s", data, start)
        head = 8
        if length == 1 and start + 16 <= end:
            (length,) = struct.unpack_from(">Q", data, start + 8)
            head = 16
        elif length == 0:
            length = end - start
        if length < head or start + length > end:
            return
        yield kind, start + head, start + length
        start += length


def properties(data: bytes) -> Properties:
    """Read the boxes of the primary picture, else of the first track; what is broken is left to the decoder."""
    found = Properties()
    try:
        mine, all_of_them = _of_primary(data)
        tracks = _of_tracks(data, 0, len(data), 0)
    except (struct.error, IndexError):
        return found
    with suppress(struct.error, IndexError):
        found.exif = _exif(data)
    for box in mine:
        _take(data, box, found)
    # A grid's tiles may hold what the grid does not, and a sequence may have no still picture.
    for box in (*all_of_them, *tracks):
        if box[0] in (b"colr", b"av1C"):
            _take(data, box, found)
    return found


def _of_primary(data: bytes) -> tuple[list[tuple[bytes, int, int]], list[tuple[bytes, int, int]]]:
    """Return the property boxes of the primary item, and those of all items."""
    meta = next(((start, end) for kind, start, end in _boxes(data, 0, len(data)) if kind == b"meta"), None)
    if meta is None:
        return [], []
    primary, shared, mine = 0, [], []
    inner = {kind: (start, end) for kind, start, end in _boxes(data, meta[0] + 4, meta[1])}
    if b"pitm" in inner:
        start, _ = inner[b"pitm"]
        (primary,) = struct.unpack_from(">I" if data[start] else ">H", data, start + 4)
    for kind, start, end in _boxes(data, *inner.get(b"iprp", (0, 0))):
        if kind == b"ipco":
            shared = list(_boxes(data, start, end))
        elif kind == b"ipma":
            mine += _associated(data, start, end, primary)
    return [shared[i - 1] for i in mine if 0 < i <= len(shared)], shared


def _associated(data: bytes, start: int, end: int, item: int) -> list[int]:
    """Return the numbers, from 1, of the properties of `item`."""
    wide_item, wide_index = data[start] > 0, data[start + 3] & 1
    (count,) = struct.unpack_from(">I", data, start + 4)
    place = start + 8
    for _ in range(min(count, _MOST_BOXES)):
        if place + 3 > end:
            break
        (this,) = struct.unpack_from(">I" if wide_item else ">H", data, place)
        place += 4 if wide_item else 2
        number = data[place]
        place += 1
        if wide_index:
            indices = [value & 0x7FFF for value in struct.unpack_from(f">{number}H", data, place)]
        else:
            indices = [value & 0x7F for value in data[place : place + number]]
        place += number * (2 if wide_index else 1)
        if this == item:
            return indices
    return []


def _exif(data: bytes) -> list[bytes]:
    """Return the blocks of EXIF that the items of the file hold."""
    meta = next(((start, end) for kind, start, end in _boxes(data, 0, len(data)) if kind == b"meta"), None)
    if meta is None:
        return []
    inner = {kind: (start, end) for kind, start, end in _boxes(data, meta[0] + 4, meta[1])}
    if b"iinf" not in inner or b"iloc" not in inner:
        return []
    start, end = inner[b"iinf"]
    wanted = set()
    for kind, place, stop in _boxes(data, start + (8 if data[start] else 6), end):
        if kind == b"infe" and data[place] >= 2:
            form = ">IH4s" if data[place] > 2 else ">HH4s"
            item, _, name = struct.unpack_from(form, data[place + 4 : stop])
            if name == b"Exif":
                wanted.add(item)
    base = inner.get(b"idat", (0, 0))[0]
    blocks = [
        b"".join(data[a + inside * base :][:n] for a, n, inside in parts) for parts in _extents(data, inner, wanted)
    ]
    return [block[4 + int.from_bytes(block[:4], "big") :] for block in blocks if len(block) > 12]


def _extents(
    data: bytes, inner: dict[bytes, tuple[int, int]], wanted: set[int]
) -> Iterator[list[tuple[int, int, bool]]]:
    """Yield, of each item that is wanted, the places and lengths of its parts, and whether they lie in ``idat``."""
    place, end = inner[b"iloc"]
    steps = 0
    version = data[place]
    sizes = data[place + 4] >> 4, data[place + 4] & 15, data[place + 5] >> 4, data[place + 5] & 15
    place += 6

    def take(size: int) -> int:
        nonlocal place
        place += size
        if place > end:
            raise struct.error("cut off")
        return int.from_bytes(data[place - size : place], "big")

    for _ in range(min(take(4 if version == 2 else 2), _MOST_BOXES)):
        if place + 6 > end:
            break
        item = take(4 if version == 2 else 2)
        inside = version > 0 and take(2) & 15 == 1
        take(2)
        base = take(sizes[2])
        parts = []
        for _ in range(take(2)):
            steps += 1
            if steps > _MOST_BOXES:
                raise struct.error("parts without end")
            take(sizes[3] if version > 0 else 0)
            offset = base + take(sizes[0])
            parts.append((offset, take(sizes[1]), inside))
        if item in wanted:
            yield parts


def _of_tracks(data: bytes, start: int, end: int, depth: int) -> list[tuple[bytes, int, int]]:
    """Return the boxes of the sample entries of all tracks."""
    found: list[tuple[bytes, int, int]] = []
    for kind, inner, stop in _boxes(data, start, end):
        if kind in _CONTAINERS and depth < 8:
            found += _of_tracks(data, inner, stop, depth + 1)
        elif kind == b"stsd":
            for _, entry, last in _boxes(data, inner + 8, stop):
                found += _boxes(data, entry + _VISUAL_ENTRY, last)
    return found


def _take(data: bytes, box: tuple[bytes, int, int], found: Properties) -> None:
    kind, start, end = box
    if kind == b"ispe" and found.size is None and end - start >= 12:
        width, height = struct.unpack_from(">II", data, start + 4)
        found.size = width, height
    elif kind == b"av1C" and end - start >= 3:
        found.deep = found.deep or bool(data[start + 2] & 0x40)
    elif kind == b"colr":
        which = data[start : start + 4]
        if which in (b"prof", b"rICC") and found.icc_profile is None:
            found.icc_profile = data[start + 4 : end]
        elif which == b"nclx" and end - start >= 8 and found.colour is None and not found.note:
            primaries, transfer = struct.unpack_from(">HH", data, start + 4)
            try:
                found.colour = by_cicp(primaries, transfer, "its nclx box")
            except ValueError:
                found.note = "its colour numbers name no colour space; it is taken as sRGB"
