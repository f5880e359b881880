"""Strips joined: zlib reads one stream of whatever is in them, and our kernel's bytes follow from the data alone."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gossamer import native
from gossamer.image import deflate
from gossamer.native import COUNT

WINDOWS = deflate.RUNS, deflate.SOME, deflate.MOST
BLOCK, STORED, SHORTEST = 1 << 17, 65535, deflate._LEAST
EDGES = (0, 1, 2, 3, 4, 5, 7, 8, 9, 258, 259, 32767, 32768, 32769, SHORTEST - 1, SHORTEST, SHORTEST + 1)
EDGES += (STORED, STORED + 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 2 * BLOCK + 1)


def fibonacci(length: int) -> NDArray[np.int64]:
    """Symbols as often as these numbers, from one to beyond `length`: the longest codes that so many can have."""
    counts = [1, 1]
    while sum(counts) < length:
        counts.append(counts[-1] + counts[-2])
    return np.random.default_rng(length).permutation(np.repeat(np.arange(len(counts)), counts)[:length])


def residuals(seed: int, length: int) -> NDArray[np.uint8]:
    """Bytes of many kinds: none but one, even, two, steep, bell-shaped, repeated, sparse, pixels."""
    random = np.random.default_rng(seed)
    made = (
        lambda: np.full(length, seed),
        lambda: random.integers(0, random.integers(1, 257), length),
        lambda: random.integers(0, 256, length),
        lambda: random.integers(0, 2, length) * 200,
        lambda: fibonacci(length),
        lambda: np.rint(random.normal(0, 20 * random.random(), length)),
        lambda: np.repeat(random.integers(0, 4, length // 7 + 1), 7)[:length],
        lambda: np.where(random.random(length) < random.random() ** 3, random.integers(0, 256, length), 0),
        lambda: random.geometric(random.uniform(0.02, 1), length),
        lambda: np.repeat(random.integers(0, 256, (length // 8 + 1, 4)), 2, axis=0).ravel()[:length],
        lambda: np.resize(random.integers(0, 256, 3 + 9000 * (seed % 7)), length),
    )
    return made[seed % len(made)]().astype(np.int64).astype(np.uint8)


KINDS = range(11)


@pytest.fixture(params=["kernel", "zlib"])
def codec(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> deflate.Codec:
    """Either way to deflate."""
    assert deflate._compiled_deflate() is not None
    if request.param == "zlib":
        monkeypatch.setattr(deflate, "_compiled_deflate", lambda: None)
    return deflate.codec()


def inflated(stream: bytes) -> bytes:
    """Inflate raw blocks, which are whole and end where they should."""
    inflater = zlib.decompressobj(-15)
    found = inflater.decompress(stream)
    assert inflater.eof
    assert not inflater.unused_data
    return found


@pytest.mark.parametrize("window", WINDOWS)
def test_strips_join_into_one_stream(codec: deflate.Codec, window: int) -> None:
    lengths = (1, 17, 4000, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 3 * BLOCK + 5)
    strips = [residuals(seed, lengths[seed % len(lengths)]) for seed in range(23)]
    strips += [np.zeros(2 * BLOCK, np.uint8), np.random.default_rng(1).integers(0, 256, 3 * BLOCK, np.uint8)]
    last = len(strips) - 1
    stream = b"".join(codec.deflated(strip, window, 4, number == last) for number, strip in enumerate(strips))
    assert inflated(stream) == b"".join(strip.tobytes() for strip in strips)


@pytest.mark.parametrize("kind", KINDS)
def test_every_size_comes_back(kind: int) -> None:
    for length in EDGES:
        data = residuals(kind, length)
        for window, pixel in ((deflate.RUNS, 1), (deflate.RUNS, 3), (deflate.RUNS, 4), (9, 4), (15, 1)):
            stream = deflate._own(data, window, pixel, True)
            assert inflated(stream) == data.tobytes(), (length, window, pixel)
            assert len(stream) <= length + 6 * (length // SHORTEST + 2)  # stored, if nothing else is shorter
            assert abs(deflate._own_size(data, window, pixel) - len(stream)) <= 3 * (length // SHORTEST + 2)
            assert inflated(deflate._own(data, window, pixel, False) + b"\3\0") == data.tobytes()


@pytest.mark.long
def test_whatever_is_deflated_comes_back() -> None:
    random = np.random.default_rng(0)
    for seed in range(2000):
        length = int(random.integers(0, (10, 500, 20_000, 300_000)[seed % 4]))
        data = residuals(int(random.integers(1 << 30)), length)
        window, pixel = int(random.choice(WINDOWS)), int(random.choice((1, 2, 3, 4, 6, 8)))
        assert inflated(deflate._own(data, window, pixel, True)) == data.tobytes(), seed


def other_kernels() -> Iterator[Any]:
    """Yield the kernel of each variant that this processor can run."""
    for suffix in ("", "_avx2") if native.variant() == "avx2" else ("",):
        kernel = native.library()[f"gossamer_deflate{suffix}"]
        kernel.argtypes, kernel.restype = deflate._compiled_deflate().argtypes, COUNT
        yield kernel


@pytest.mark.parametrize("window", WINDOWS)
def test_the_bytes_follow_from_the_data_alone(window: int) -> None:
    """Whatever is in the memory that it works in, wherever that lies, in every variant."""
    random = np.random.default_rng(5)
    for seed in range(22):
        data = residuals(seed, 70_000 + 9_000 * seed)
        made = set()
        for kernel in other_kernels():
            for turn in range(4):
                room = random.integers(0, 256, deflate._SCRATCH + 64, np.uint8)
                scratch, out = room[16 * turn :][: deflate._SCRATCH], np.full(2 * len(data), turn, np.uint8)
                place = np.empty(len(data) + 7, np.uint8)[turn:][: len(data)]
                place[:] = data
                size = kernel(place, len(data), 3, 1 << window if window else 0, 1, scratch, out)
                made.add(out[:size].tobytes())
        assert len(made) == 1


def test_no_larger_than_zlib_s() -> None:
    random = np.random.default_rng(3)
    runs = np.repeat(random.integers(0, 9, 9000, np.uint8), 29)
    noise = np.rint(random.normal(0, 3, 2 * BLOCK)).astype(np.int8).view(np.uint8)
    steep = fibonacci(BLOCK).astype(np.uint8)
    for data in (runs, noise, steep):
        for window in (deflate.RUNS, deflate.MOST):
            wanted = len(deflate._zlib(data, window, 1, True))
            assert len(deflate._own(data, window, 1, True)) <= 1.02 * wanted
