"""Bad files among good ones: the good ones are done, byte for byte as without them, and every bad one is named."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile

from gossamer.batch.journal import read_journal
from tests.batch.conftest import Batch, photograph

GOOD = 4


def tiff_of(tags: dict[int, int], body: bytes, after: int = 0) -> bytes:
    """Return a TIFF of one page, whose tags are longs and whose pixels lie at its eighth byte."""
    at = 8 + len(body)
    rows = b"".join(struct.pack("<HHII", code, 4, 1, value) for code, value in sorted(tags.items()))
    return b"II*\0" + struct.pack("<I", at) + body + struct.pack("<H", len(tags)) + rows + struct.pack("<I", after)


def png_of(width: int, height: int, colour: int, rows: bytes) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    parts = chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def pages_in_a_circle() -> bytes:
    tags = {256: 8, 257: 8, 258: 8, 259: 1, 262: 2, 273: 8, 277: 3, 278: 8, 279: 192}
    return tiff_of(tags, bytes(192), after=200)


def strips_are_missing() -> bytes:
    made = io.BytesIO()
    tifffile.imwrite(made, np.full((64, 64, 3), 200, np.uint16), photometric="rgb", rowsperstrip=16)
    data = bytearray(made.getvalue())
    made.seek(0)
    with tifffile.TiffFile(made) as file:
        tag = file.pages.first.tags["ImageLength"]
        data[tag.valueoffset : tag.valueoffset + 2] = struct.pack("<H", 256)
    return bytes(data)


def rows_are_missing() -> bytes:
    return png_of(64, 64, 2, (b"\0" + b"\x80" * 192) * 32)


def one_row_of_thousands() -> bytes:
    return png_of(17000, 17000, 0, bytes(17001))


def strip_swells() -> bytes:
    body = zlib.compress(bytes(1 << 26), 9)
    tags = {256: 100, 257: 100, 258: 16, 259: 8, 262: 1, 273: 8, 277: 3, 278: 100, 279: len(body)}
    return tiff_of(tags, body)


def row_is_endless() -> bytes:
    head = struct.pack("<IiiHHIIiiII", 40, 20_000_000, 1, 1, 8, 1, 6, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 1084, 0, 0, 1078) + head + bytes(1024) + bytes([1, 0, 0, 0, 0, 1])


def half_a_jpeg() -> bytes:
    from PIL import Image

    made = io.BytesIO()
    noise = np.random.default_rng(2).integers(0, 255, (80, 80, 3), np.uint8)
    Image.fromarray(noise).save(made, "JPEG")
    return made.getvalue()[:700]


BAD: dict[str, Callable[[], bytes]] = {
    "strips.tif": strips_are_missing,
    "rows.png": rows_are_missing,
    "bomb.png": one_row_of_thousands,
    "endless.bmp": row_is_endless,
    "half.jpg": half_a_jpeg,
    "empty.webp": bytes,
    "noise.heic": lambda: np.random.default_rng(1).bytes(500),
    "zeros.avif": lambda: bytes(4000),
}

ODD: dict[str, Callable[[], bytes]] = {"circle.tif": pages_in_a_circle, "swells.tif": strip_swells}
"""Whole as far as their first page says: they are read, and end."""


def test_good_ones_are_done_as_without_the_bad_ones_which_are_named(batch: Batch, tmp_path: Path) -> None:
    for number in range(GOOD):
        photograph(tmp_path / "good" / f"p{number}.png", number)
    assert batch(tmp_path / "good", "--out", tmp_path / "alone", "--no-check").status == 0
    for name, make in {**BAD, **ODD}.items():
        (tmp_path / "good" / name).write_bytes(make())
    shown = batch(tmp_path / "good", "--out", tmp_path / "among", "--no-check", "--json")
    assert shown.status == 1
    records = read_journal(tmp_path / "among").records.values()
    assert {record.source for record in records if record.state == "failed"} == set(BAD)
    for number in range(GOOD):
        name = f"p{number}.png"
        assert (tmp_path / "among" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()
    assert {failure["source"] for failure in shown.summary["failures"]} == set(BAD)
    assert all(failure["message"] and failure["remedy"] for failure in shown.summary["failures"])
    assert not any(failure["exit_code"] == 70 for failure in shown.summary["failures"])  # no fault of ours
    made = {path.name for path in (tmp_path / "among").iterdir() if path.is_file()}
    assert made == {f"p{number}.png" for number in range(GOOD)} | {"circle.png", "swells.png"}
