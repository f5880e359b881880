"""The encoder's files as other programs read them: exact, whole, no larger than Pillow's."""

from __future__ import annotations

import io
import struct
import sys
import threading
import tracemalloc
import zlib
from collections.abc import Callable, Iterator

import cv2
import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from PIL import Image as Pillow

from gossamer import native
from gossamer.image import deflate, encode_image, png
from gossamer.image.png import encode_png
from gossamer.parallel.threads import thread_count

MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


@pytest.fixture(params=["kernels", "zlib"])
def codec(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """With kernels and ISA-L's checksums, and as where there are neither."""
    if request.param == "zlib":
        monkeypatch.setitem(sys.modules, "isal", None)
        for module, kernel in ((png, "_compiled_filter"), (deflate, "_compiled_deflate")):
            assert getattr(module, kernel)() is not None
            monkeypatch.setattr(module, kernel, lambda: None)
    deflate.checksums.cache_clear()
    assert (deflate.checksums() is zlib) == (request.param == "zlib")
    yield request.param
    deflate.checksums.cache_clear()


def encode(pixels: NDArray[np.generic], threads: int | None = None) -> bytes:
    """Encode an array (H, W, C)."""
    return encode_png(
        lambda top, bottom, out: np.copyto(out, pixels[top:bottom]),
        pixels.shape,
        8 * pixels.dtype.itemsize,
        threads=threads,
    )


def decode(data: bytes) -> NDArray[np.generic]:
    """Decode with libpng; (H, W, C), RGB order."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels.ndim == 2:
        return pixels[..., None]
    return pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]


def chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """Take a file apart, looking at every length and checksum."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    found, position = [], 8
    while position < len(data):
        (length,) = struct.unpack_from(">I", data, position)
        kind, body = data[position + 4 : position + 8], data[position + 8 : position + 8 + length]
        assert struct.unpack_from(">I", data, position + 8 + length)[0] == zlib.crc32(kind + body)
        found.append((kind, body))
        position += 12 + length
    return found


def photograph(height: int, width: int) -> NDArray[np.uint8]:
    """A cut-out: a photograph whose left half melts into a smooth ramp under an alpha of 0."""
    picture = cv2.resize(skimage.data.astronaut(), (width, height), interpolation=cv2.INTER_CUBIC)
    ramp = cv2.resize(cv2.resize(picture, (4, 4), interpolation=cv2.INTER_AREA), (width, height))
    alpha = np.clip(np.linspace(-4, 6, width, dtype=np.float32), 0, 1)[None, :, None] * np.ones((height, 1, 1))
    mixed = np.where(alpha > 0, picture, ramp)
    return np.concatenate([mixed, np.rint(alpha * 255)], axis=2).astype(np.uint8)


@pytest.mark.usefixtures("codec")
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (9, 1), (5, 3), (600, 701)])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_pixels_come_back_exactly(size: tuple[int, int], channels: int, kind: type[np.unsignedinteger]) -> None:
    rng = np.random.default_rng(channels)
    pixels = rng.integers(0, 256 ** np.dtype(kind).itemsize, (*size, channels), dtype=kind)
    half = size[0] // 2
    pixels[half:] = (np.arange(size[1])[None, :, None] + np.arange(size[0] - half)[:, None, None]) // 3  # smooth
    data = encode(pixels)
    if channels == 2:  # OpenCV spreads grey and alpha to four channels
        assert np.array_equal(decode(data)[..., [0, 3]], pixels)
    else:
        assert np.array_equal(decode(data), pixels)
    if kind is np.uint8:
        with Pillow.open(io.BytesIO(data)) as picture:
            assert picture.mode == MODES[channels]
            assert np.array_equal(np.asarray(picture).reshape(pixels.shape), pixels)


@pytest.mark.usefixtures("codec")
def test_one_valid_stream_that_uses_every_filter() -> None:
    smooth = cv2.resize(photograph(4, 4), (900, 900))
    noise = np.random.default_rng(0).normal(128, 9, (600, 900, 4)).astype(np.uint8)
    detail = cv2.resize(skimage.data.coffee()[100:200, 150:300], (900, 600), interpolation=cv2.INTER_CUBIC)
    detail = np.concatenate([detail, np.full((600, 900, 1), 255, np.uint8)], axis=2)
    parts = chunks(encode(np.concatenate([smooth, noise, detail])))
    assert [kind for kind, _ in parts] == [b"IHDR", *[b"IDAT"] * (len(parts) - 2), b"IEND"]
    assert len(parts) > 12
    inflater = zlib.decompressobj()
    rows = inflater.decompress(b"".join(body for kind, body in parts if kind == b"IDAT"))
    assert inflater.eof  # the checksum of the whole is right
    assert not inflater.unused_data
    filters = np.frombuffer(rows, np.uint8).reshape(2100, 1 + 900 * 4)[:, 0]
    assert set(filters.tolist()) == {2, 3, 4}


@pytest.mark.usefixtures("codec")
def test_threads_change_no_byte() -> None:
    pixels = photograph(1500, 900)
    used = set()

    def rows(top: int, bottom: int, out: NDArray[np.uint8]) -> None:
        used.add(threading.get_ident())
        out[:] = pixels[top:bottom]

    alone = encode_png(rows, pixels.shape, 8, threads=1)
    assert used == {threading.get_ident()}
    for threads in (2, 3, 16):
        assert encode_png(rows, pixels.shape, 8, threads=threads) == alone
    assert len(used) > 1


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_filters_kernel_changes_no_byte(kind: type[np.unsignedinteger], monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = photograph(700, 900).astype(kind) * kind(np.iinfo(kind).max // 255)
    with_it = encode(pixels, threads=1)
    assert png._compiled_filter() is not None
    monkeypatch.setattr(png, "_compiled_filter", lambda: None)
    assert encode(pixels, threads=1) == with_it


@pytest.mark.parametrize("variant", ["plain", "avx2"])
def test_the_same_pixels_are_the_same_bytes_everywhere(variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who compares two runs' files by their bytes sees what differs in the pictures, whatever the processor."""
    if variant == "avx2" and native.variant() != "avx2":
        pytest.skip("this processor has no AVX2")
    monkeypatch.setattr(native, "variant", lambda: variant)
    y, x = np.mgrid[:500, :640]
    noise = np.random.PCG64(7).random_raw(x.size).reshape(x.shape).astype(np.int64) & 255  # the same in every release
    ramps = np.stack([(x * y) >> 9, x // 3 + y // 5, (x ^ y) & 63, np.clip(4 * x - 2 * y, 0, 255)], axis=2)
    noisy = ramps + (noise[..., None] >> np.array([5, 4, 6, 8]))  # runs
    ramps[300:, :, :3] += noise[300:, :, None] & 7  # matches, nearby and far back
    text = np.tile((noise[:50, :80, None] & 1) * 255, (10, 8, 1))
    pictures = ramps.astype(np.uint8), noisy.astype(np.uint8), text.astype(np.uint8), ramps.astype(np.uint16) * 257
    assert [zlib.crc32(encode(each)) for each in pictures] == [3628134860, 1073668249, 3645846063, 394348061]


@pytest.mark.long
@pytest.mark.parametrize(
    "made",
    [
        lambda: photograph(1500, 1000),
        skimage.data.astronaut,
        skimage.data.coffee,
        lambda: np.clip(skimage.data.chelsea() + np.random.default_rng(1).normal(0, 4, (300, 451, 3)), 0, 255).astype(
            "uint8"
        ),
        lambda: np.full((700, 800, 3), 77, np.uint8),
        lambda: photograph(1500, 1000)[..., 3:],
    ],
    ids=["cut-out", "astronaut", "coffee", "noisy", "flat", "mask"],
)
def test_no_larger_than_pillows_default(codec: str, made: Callable[[], NDArray[np.uint8]]) -> None:
    pixels = made()
    theirs = io.BytesIO()
    Pillow.fromarray(pixels.squeeze()).save(theirs, "PNG")
    assert len(encode(pixels)) <= 1.03 * len(theirs.getvalue()) + 200


@pytest.mark.long
def test_paeths_prediction_for_all_there_is() -> None:
    left, above = np.meshgrid(np.arange(256), np.arange(256))
    for corner in range(0, 256):
        estimate = left + above - corner
        distances = np.abs(np.stack([left, above, np.full_like(left, corner)]) - estimate)
        wanted = np.choose(distances.argmin(0), [left, above, corner])  # the first of equals, as the standard says
        got = png._paeth(left.astype(np.uint8), above.astype(np.uint8), np.full(left.shape, corner, np.uint8))
        assert np.array_equal(got, wanted), corner


@pytest.mark.long
def test_memory_is_the_file_and_a_few_strips() -> None:
    rgb = np.ascontiguousarray(photograph(2400, 1600)[..., :3] / np.float32(255))
    alpha = np.ascontiguousarray(rgb[..., 0])
    encode_image(rgb[:600], alpha[:600], "png")
    tracemalloc.start()
    data = encode_image(rgb, alpha, "png")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2.2 * len(data) + thread_count() * 8 * png._STRIP


def test_what_the_rows_raise_passes_through() -> None:
    def rows(top: int, bottom: int, out: NDArray[np.uint8]) -> None:
        raise KeyboardInterrupt

    for threads in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            encode_png(rows, (2000, 1000, 4), 8, threads=threads)


def test_files_made_at_once_in_many_threads_are_the_same() -> None:
    pixels = photograph(700, 1000)
    pixels = np.repeat(np.repeat(pixels[::4, ::4], 4, axis=0), 4, axis=1)
    start, made = threading.Barrier(8), []

    def work() -> None:
        start.wait()
        made.append(encode(pixels, threads=2))

    crew = [threading.Thread(target=work) for _ in range(8)]
    for one in crew:
        one.start()
    for one in crew:
        one.join()
    assert len(made) == 8
    assert len(set(made)) == 1
    assert np.array_equal(decode(made[0]), pixels)
