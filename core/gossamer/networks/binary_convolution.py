"""Convolutions of signs by signs: packed as bits, what differs counted, the sums exact.

After M. Rastegari, V. Ordonez, J. Redmon, A. Farhadi, "XNOR-Net", ECCV 2016. The kernels are in ``native/binary.c``;
the plain statement beside them is what they are measured by, and what runs where none is compiled.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.native import COUNT, PLACE, function
from gossamer.parallel.strips import Strips

__all__ = ["BinaryConvolution", "packed_bits", "unpacked_bits"]

_LANES = 16  # outputs that the kernel computes side by side
_SPAN = 4  # pixels that it computes side by side
_WORK = 4_000_000_000  # products of signs from which strips on every core are worth their threads


class BinaryConvolution:
    """One convolution of the signs of what comes in, and what follows it.

    Parameters
    ----------
    signs : (out, in, side, side)
        -1, 0 or 1.
    before : (in) float32
        Added before the sign is taken.
    gain, base : (out) float32
        What sums are multiplied by, and what is added then.
    slope, after : (out) float32, optional
        What negative results are multiplied by, and what is added to all then.
    stride : int
    padding : int
        Zeros around what comes in: they are 0, no sign.
    """

    def __init__(
        self,
        signs: NDArray[np.int8],
        before: Array,
        gain: Array,
        base: Array,
        slope: Array | None = None,
        after: Array | None = None,
        stride: int = 1,
        padding: int = 0,
    ) -> None:
        self.signs, self.before, self.gain, self.base = signs, before, gain, base
        self.slope, self.after, self.stride, self.padding = slope, after, stride, padding
        outputs, channels, side, _ = signs.shape
        blocks, words = -(-outputs // _LANES), -(-channels // 32)
        ordered = signs.transpose(0, 2, 3, 1).reshape(outputs, side * side, channels)
        self._weights = _laid_out(ordered < 0, blocks)
        beyond = _counted(self._weights.reshape(blocks, side * side, words, _LANES)).sum(2)
        self._beyond = np.ascontiguousarray(beyond, np.int32)
        self._known = None if np.all(signs) else _laid_out(ordered != 0, blocks)

    def __call__(self, x: Array, residual: Array | None = None) -> Array:
        """Return what it makes of a picture.

        Parameters
        ----------
        x : (in, H, W) float32
            C-contiguous.
        residual : (R, h, w) float32, optional
            Added to the sums, output n taking channel n % R.

        Returns
        -------
        (out, h, w) float32
        """
        pack = function("pack_signs", PLACE, PLACE, COUNT, COUNT, PLACE, PLACE, result=COUNT)
        rows = function("binary_rows", *8 * (PLACE,), COUNT, *2 * (PLACE,), *11 * (COUNT,), *2 * (PLACE,))
        if pack is None or rows is None:
            return self.plain(x, residual)
        outputs, _, side, _ = self.signs.shape
        channels, height, width = x.shape
        words = -(-channels // 32)
        bits, known = np.zeros((height * width + _SPAN, words), np.uint32), None
        if pack(x, self.before, channels, height * width, bits, None):
            known = np.zeros_like(bits)
            pack(x, self.before, channels, height * width, bits, known)
        high, wide = self._size(height, width)
        out = np.empty((outputs, high, wide), np.float32)
        given = bits, known, self._weights, self._known, self._beyond, self.gain, self.base, residual
        numbers = channels, height, width, side, self.stride, self.padding, outputs, high, wide
        count = (wide + _SPAN) * side * side * words * (1 if known is None else 2)

        def strip(first: int, last: int) -> None:
            room = np.empty(count, np.uint32)
            of = 1 if residual is None else len(residual)
            rows(*given, of, self.slope, self.after, *numbers, first, last, room, out)

        if self.signs.size * high * wide < _WORK:
            strip(0, high)
        else:
            from gossamer.progress import Progress

            with Strips() as strips:
                strips.each(strip, high, max(1, high // 8), Progress())
        return out

    def plain(self, x: Array, residual: Array | None = None) -> Array:
        """Return the same, in NumPy alone."""
        sums = self.sums(x)
        result: Array = sums * self.gain[:, None, None] + self.base[:, None, None]
        if residual is not None:
            result = result + np.tile(residual, (len(result) // len(residual), 1, 1))
        if self.slope is not None:
            result = np.where(result > 0, result, result * self.slope[:, None, None])
            if self.after is not None:
                result = result + self.after[:, None, None]
        return np.ascontiguousarray(result, np.float32)

    def sums(self, x: Array) -> Array:
        """Return the sums of products of signs, (out, h, w) float32, in NumPy alone: whole numbers."""
        signs = np.sign(x + self.before[:, None, None])
        edge = self.padding
        signs = np.pad(signs, ((0, 0), (edge, edge), (edge, edge)))
        side = self.signs.shape[2]
        windows = np.lib.stride_tricks.sliding_window_view(signs, (side, side), axis=(1, 2))  # type: ignore[call-overload]
        windows = windows[:, :: self.stride, :: self.stride]
        sums: Array = np.einsum("cyxij,ocij->oyx", windows, self.signs.astype(np.float32), optimize=True)
        return sums

    def _size(self, height: int, width: int) -> tuple[int, int]:
        side = self.signs.shape[2]
        high, wide = ((length + 2 * self.padding - side) // self.stride + 1 for length in (height, width))
        return high, wide


def packed_bits(signs: NDArray[np.int8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    """Return signs as bits in one row, 1 for -1, and which of them are not 0, None where all are."""
    flat = signs.reshape(-1)
    return np.packbits(flat < 0), None if np.all(flat) else np.packbits(flat != 0)


def unpacked_bits(bits: NDArray[np.uint8], known: NDArray[np.uint8] | None, shape: tuple[int, ...]) -> NDArray[np.int8]:
    """Return the signs that :func:`packed_bits` packed, of this shape."""
    count = int(np.prod(shape))
    signs = 1 - 2 * np.unpackbits(bits, count=count).astype(np.int8)
    if known is not None:
        signs = signs * np.unpackbits(known, count=count).astype(np.int8)
    return signs.reshape(shape)


def _laid_out(truth: NDArray[np.bool_], blocks: int) -> NDArray[np.uint32]:
    """Return bits of (out, places, channels) as the kernel reads them, (blocks, places * words, lanes)."""
    outputs, places, channels = truth.shape
    words = -(-channels // 32)
    padded = np.zeros((blocks * _LANES, places, words * 32), bool)
    padded[:outputs, :, :channels] = truth
    packed = np.packbits(padded, axis=2, bitorder="little").view("<u4").astype(np.uint32)
    packed = packed.reshape(blocks, _LANES, places * words).transpose(0, 2, 1)
    return np.ascontiguousarray(packed)


def _counted(words: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Return how many bits of each word are 1."""
    octets = np.unpackbits(words[..., None].view(np.uint8), axis=-1)
    counts: NDArray[np.int64] = octets.sum(-1, dtype=np.int64)
    return counts
