"""Directories of tags, as TIFF files and blocks of EXIF have them: only what is asked for is read.

Pillow and tifffile copy all values of a directory first, and of thousands of entries each may claim the whole file.
"""

from __future__ import annotations

import struct
from typing import Any

__all__ = ["Directory", "first_directory"]

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_FORMS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 11: "f", 12: "d", 13: "I", 16: "Q", 17: "q", 18: "Q"}
_TEXT, _BYTES, _RATIONALS = 2, 7, (5, 10)
_MOST_VALUES = 1 << 18  # of one tag that is asked for: TransferFunction has 3 × 65536
_SLACK = 1 << 16  # bytes


class Directory:
    """A directory that begins at `place`.

    Raises
    ------
    struct.error
        If it is cut off.
    """

    def __init__(self, data: bytes, place: int, order: str, big: bool) -> None:
        self._data, self._order, self._big = data, order, big
        form, head, entry = ("Q", 8, 20) if big else ("H", 2, 12)
        (count,) = struct.unpack_from(order + form, data, place)
        if place + head + count * entry > len(data):
            raise struct.error("a directory is cut off")
        self._entries: dict[int, tuple[int, int, int]] = {}
        for start in range(place + head, place + head + count * entry, entry):
            code, kind, number = struct.unpack_from(order + ("HHQ" if big else "HHI"), data, start)
            self._entries.setdefault(code, (kind, number, start + (12 if big else 8)))
        self.count = count

    @property
    def claimed(self) -> int:
        """Bytes that all values together claim to be."""
        return sum(_SIZES.get(kind, 1) * number for kind, number, _ in self._entries.values())

    def is_sane(self) -> bool:
        """Return whether what the values claim is not far more than there is."""
        return self.claimed <= 2 * len(self._data) + _SLACK

    def __getitem__(self, code: int) -> Any:
        """Return a value: a number, several in a tuple, text or bytes.

        Raises
        ------
        KeyError
            If there is none.
        ValueError, struct.error, ZeroDivisionError
            If it is broken, or of too many numbers.
        """
        kind, count, place = self._entries[code]
        size = _SIZES[kind] * count
        if count > _MOST_VALUES:
            raise ValueError("too many values")
        if size > (8 if self._big else 4):
            (place,) = struct.unpack_from(self._order + ("Q" if self._big else "I"), self._data, place)
        raw = self._data[place : place + size]
        if len(raw) < size:
            raise ValueError("a value is cut off")
        if kind == _TEXT:
            return raw.split(b"\0")[0].decode("utf-8", "replace")
        if kind == _BYTES:
            return raw
        values: tuple[float, ...]
        if kind in _RATIONALS:
            parts = struct.unpack(f"{self._order}{2 * count}{'I' if kind == 5 else 'i'}", raw)
            values = tuple(above / below for above, below in zip(parts[::2], parts[1::2], strict=True))
        else:
            values = struct.unpack(f"{self._order}{count}{_FORMS[kind]}", raw)
        return values[0] if count == 1 else values

    def get(self, code: int, default: Any = None) -> Any:
        """Return a value, or `default` where there is none."""
        return self[code] if code in self._entries else default

    def get_ifd(self, code: int) -> Directory | dict[int, Any]:
        """Return the directory to which a tag points, or an empty dict."""
        place = self.get(code)
        return Directory(self._data, int(place), self._order, self._big) if place else {}


def first_directory(data: bytes) -> Directory:
    """Return the first directory of a TIFF file, or of a block of EXIF with or without its name.

    Raises
    ------
    ValueError, struct.error
        If there is none.
    """
    data = data.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None:
        raise ValueError("no directory")
    big = struct.unpack_from(order + "H", data, 2)[0] == 43
    (place,) = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)
    return Directory(data, place, order, big)
