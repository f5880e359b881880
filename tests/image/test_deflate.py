"""Strips joined: zlib reads one stream, whatever ISA-L made of them; where blocks end is found as zlib finds it."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np
import pytest
from isal import igzip_lib
from numpy.typing import NDArray

from gossamer.image import deflate

BLOCK = deflate._BLOCK


def residuals(seed: int, length: int) -> NDArray[np.uint8]:
    """Bytes of many kinds: even, bell-shaped, repeated, sparse, steep."""
    random = np.random.default_rng(seed)
    made = (
        lambda: random.integers(0, random.integers(1, 257), length),
        lambda: np.rint(random.normal(0, 20 * random.random(), length)),
        lambda: np.repeat(random.integers(0, 4, length // 7 + 1), 7)[:length],
        lambda: np.where(random.random(length) < random.random() ** 3, random.integers(0, 256, length), 0),
        lambda: random.geometric(random.uniform(0.02, 1), length),
    )
    return made[seed % len(made)]().astype(np.int64).astype(np.uint8)


def left_by_trial(block: bytes) -> set[int]:
    """Whether three or more bits of the last byte are left, as zlib reads the block with its end taken off."""
    found = set()
    for more, many in ((b"\0\0\xff\xff", True), (b"\0\0\0\xff\xff", False)):
        inflater = zlib.decompressobj(-15)
        try:
            inflater.decompress(bytes([block[0] - 1]) + block[1:] + more + b"\1\0\0\xff\xff")
        except zlib.error:
            continue
        if inflater.eof:
            found.add(many)
    return found


@pytest.fixture(params=["compiled", "python"])
def bits_left(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], int | None]:
    """Both ways to find the end of a block."""
    assert deflate._compiled_bits_left() is not None
    if request.param == "python":
        monkeypatch.setattr(deflate, "_compiled_bits_left", lambda: None)
    return deflate._bits_left


def test_where_a_block_ends_is_found(bits_left: Callable[[bytes], int | None]) -> None:
    known = []
    for seed in range(120):
        data = residuals(seed, (100, 5000, BLOCK)[seed % 3])
        block = igzip_lib.compress(data, 1, igzip_lib.COMP_DEFLATE, igzip_lib.MEM_LEVEL_EXTRA_LARGE, deflate.RUNS)
        if (left := bits_left(block)) is not None:
            assert left_by_trial(block) == {left >= 3}
            assert block[-1] >> 8 - left == 0
            known.append(left)
    assert len(known) > 60
    assert set(known) == set(range(8))


@pytest.mark.long
def test_both_ways_find_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = deflate._compiled_bits_left()
    monkeypatch.setattr(deflate, "_compiled_bits_left", lambda: None)
    for seed in range(100):
        data = residuals(seed, 1 + 997 * seed)
        for level in (1, 6, 9):  # zlib's blocks are of other shapes
            block = zlib.compress(data, level, -15)
            wanted = deflate._bits_left(block)
            assert compiled(block, len(block)) == (-1 if wanted is None else wanted)


def test_hard_blocks_are_left_alone(bits_left: Callable[[bytes], int | None]) -> None:
    random = np.random.default_rng(0).integers(0, 256, 1 << 20, np.uint8).tobytes()
    assert bits_left(zlib.compress(b"", 9, -15)) is None  # a fixed code
    assert bits_left(zlib.compress(random[:9000], 0, -15)) is None  # stored
    bits = "10100000000000111" + "000" * 2 + "100" + "000" * 14 + "100"  # of two lengths, 18 and 1
    bits += "1111111111101011000"  # 256 times none, the end, a distance; then the end: zeros alone
    block = int(bits[::-1], 2).to_bytes(-(-len(bits) // 8), "little")
    assert zlib.decompress(block, -15) == b""
    assert bits_left(block) is None
    assert bits_left(zlib.compress(bytes(x & 15 for x in random), 9, -15)) is None  # many blocks
    assert bits_left(b"") is None


@pytest.mark.usefixtures("bits_left")
@pytest.mark.parametrize("window", [deflate.RUNS, deflate.SOME, deflate.MOST])
@pytest.mark.parametrize("codec", [deflate._isal, deflate._zlib])
def test_strips_join_into_one_stream(codec: Callable[[memoryview, int, bool], bytes], window: int) -> None:
    lengths = (1, 17, 4000, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 3 * BLOCK + 5)
    strips = [residuals(seed, lengths[seed % len(lengths)]) for seed in range(20)]
    strips += [np.zeros(2 * BLOCK, np.uint8), np.random.default_rng(1).integers(0, 256, 3 * BLOCK, np.uint8)]
    stream = b"".join(codec(strip.data, window, number == len(strips) - 1) for number, strip in enumerate(strips))
    inflater = zlib.decompressobj(-15)
    assert inflater.decompress(stream) == b"".join(strip.tobytes() for strip in strips)
    assert inflater.eof
    assert not inflater.unused_data


@pytest.mark.usefixtures("bits_left")
def test_more_than_one_block_at_a_time_is_joined_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deflate, "_BLOCK", 1 << 20)  # more than ISA-L takes into one
    data = np.random.default_rng(2).integers(0, 200, 3 << 20, np.uint8)
    assert zlib.decompress(deflate._isal(data.data, deflate.RUNS, False) + b"\x03\0", -15) == data.tobytes()


def test_runs_are_as_small_as_zlib_s_and_noise_no_larger() -> None:
    runs = np.repeat(np.random.default_rng(3).integers(0, 9, 9000, np.uint8), 29)
    noise = np.rint(np.random.default_rng(4).normal(0, 3, 2 * BLOCK)).astype(np.int8).view(np.uint8)
    for data in (runs, noise):
        assert len(deflate._isal(data.data, deflate.RUNS, True)) <= 1.02 * len(
            deflate._zlib(data.data, deflate.RUNS, True)
        )
