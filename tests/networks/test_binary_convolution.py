from __future__ import annotations

import itertools

import numpy as np
import pytest

from gossamer.native import function, variant
from gossamer.networks.binary_convolution import BinaryConvolution, packed_bits, unpacked_bits


def convolution(
    outputs: int, channels: int, side: int, stride: int = 1, *, zeros: bool = False, bends: bool = True
) -> BinaryConvolution:
    rng = np.random.default_rng(outputs + channels)
    signs = rng.integers(-1 if zeros else 0, 2, (outputs, channels, side, side)).astype(np.int8)
    before, gain, base, slope, after = (
        rng.normal(0, 1, count).astype(np.float32) for count in (channels, *4 * (outputs,))
    )
    given = (slope, after) if bends else (None, None)
    return BinaryConvolution(
        signs if zeros else np.where(signs > 0, 1, -1).astype(np.int8), before, gain, base, *given, stride, side // 2
    )


@pytest.mark.skipif(variant() is None, reason="the kernels are not compiled")
@pytest.mark.parametrize(
    ("outputs", "channels", "side", "stride"),
    [(16, 16, 3, 1), (20, 40, 1, 1), (33, 35, 3, 2), (17, 195, 3, 1), (5, 3, 3, 1), (40, 300, 1, 1), (16, 64, 1, 2)],
)
@pytest.mark.parametrize("zeros", [False, True])
def test_the_kernel_counts_what_numpy_adds(outputs: int, channels: int, side: int, stride: int, zeros: bool) -> None:
    one = convolution(outputs, channels, side, stride, zeros=zeros)
    rng = np.random.default_rng(3)
    for height, width in ((1, 1), (2, 7), (9, 13), (5, 261)):
        x = rng.normal(0, 1, (channels, height, width)).astype(np.float32)
        if zeros:  # exactly 0 after what is added: no sign
            x[rng.uniform(0, 1, x.shape) < 0.1] = 0
            x -= one.before[:, None, None]
            one.before[:] = -x.reshape(channels, -1)[:, 0]
        unit = np.ones(outputs, np.float32), np.zeros(outputs, np.float32)
        plain = BinaryConvolution(one.signs, one.before, *unit, None, None, stride, side // 2)
        # The sums are whole numbers: they are the same, to the last one.
        assert np.array_equal(plain(x), one.sums(x))
        residual = rng.normal(0, 1, (1, *plain(x).shape[1:])).astype(np.float32)
        assert np.allclose(one(x, residual), one.plain(x, residual), rtol=1e-5, atol=1e-4)


def test_a_convolution_of_signs_is_one_of_torch() -> None:
    torch = pytest.importorskip("torch")
    one = convolution(24, 70, 3, 2, bends=False)
    x = np.random.default_rng(1).normal(0, 1, (70, 11, 14)).astype(np.float32)
    signs = torch.sign(torch.from_numpy(x + one.before[:, None, None]))[None]
    sums = torch.nn.functional.conv2d(signs, torch.from_numpy(one.signs.astype(np.float32)), None, 2, 1)[0].numpy()
    wanted = sums * one.gain[:, None, None] + one.base[:, None, None]
    assert np.allclose(one(x), wanted, atol=1e-4)
    assert np.allclose(one.plain(x), wanted, atol=1e-4)


def test_zeros_around_a_picture_are_no_signs() -> None:
    """All signs 1: the sum in a corner has four places, at an edge six, inside nine."""
    ones = np.ones((1, 32, 3, 3), np.int8)
    vector = np.zeros(32, np.float32), np.ones(1, np.float32), np.zeros(1, np.float32)
    found = BinaryConvolution(ones, *vector, None, None, 1, 1)(np.ones((32, 4, 5), np.float32))
    places = {(0, 0): 4, (0, 2): 6, (2, 2): 9, (3, 4): 4, (2, 0): 6}
    assert all(found[0, y, x] == 32 * count for (y, x), count in places.items())


@pytest.mark.parametrize("shape", [(3, 5, 3, 3), (16, 64, 1, 1)])
def test_bits_give_the_signs_back(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    for low in (0, -1):
        signs = rng.integers(low, 2, shape).astype(np.int8)
        signs[signs == 0] = 0 if low else -1
        bits, known = packed_bits(signs)
        assert len(bits) == -(-signs.size // 8)
        assert (known is None) == bool(np.all(signs))
        assert np.array_equal(unpacked_bits(bits, known, shape), signs)


def test_without_kernels_the_plain_way_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    one = convolution(9, 33, 3)
    x = np.random.default_rng(2).normal(0, 1, (33, 6, 7)).astype(np.float32)
    wanted = one(x)
    monkeypatch.setattr("gossamer.networks.binary_convolution.function", lambda *arguments, **how: None)
    assert np.allclose(one(x), wanted, atol=1e-4)


@pytest.mark.skipif(variant() != "avx2", reason="this processor has one variant of the kernels")
def test_both_variants_of_the_kernels_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain vectors, what a processor without AVX2 runs, count the same."""
    from gossamer import native

    x = np.random.default_rng(2).normal(0, 1, (100, 7, 9)).astype(np.float32)
    for side, bends in itertools.product((1, 3), (False, True)):
        one = convolution(21, 100, side, bends=bends)
        wanted = one(x)
        with monkeypatch.context() as patch:
            patch.setattr(
                "gossamer.networks.binary_convolution.function",
                lambda name, *arguments, result=None: native._bound(name, "plain", arguments, result),
            )
            assert np.allclose(one(x), wanted, atol=1e-4)
    assert function("pack_signs") is not None
