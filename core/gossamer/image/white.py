"""White that is still white after JPEG, also in the blocks that a subject shares with it."""

from __future__ import annotations

import io
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.progress import Progress

__all__ = ["FINEST", "WhiteKept", "white_kept"]

FINEST = 100
"""The quality of JPEG that keeps every frequency as a whole number: only there roundings can be turned."""

_BLOCK = 8
_PIXELS = _BLOCK * _BLOCK
_STAGES = [
    *[(2, 1.0)] * 10,
    *[(4, 1.0)] * 20,
    *[(6, 1.0)] * 30,
    *[(10, 1.0)] * 20,
    *[(16, 1.0), (16, 0.7), (16, 0.4)] * 10,
    *[(16, 0.0)] * 20,
]
"""Round by round, how far, of 255, a pixel beside the white may be moved, and how much of its difference from white is
left at least. Nearly all blocks need the first rounds alone; two red pixels in a white block may have to be paler."""
_FEW = 4.0  # pixels that can be moved: each of fewer may be moved farther at once
_SHARES = (0.02, 0.05, 0.15)  # of the pixels of a block that are moved by one at a time
_ANEW = 0.4  # of what is tried begins with the block itself, moved anywhere within reach: that leads out of dead ends
_AT_ONCE = 4096  # blocks
_ACROSS = 64  # blocks side by side in a file: what it holds may be no longer than 65,500 pixels
_TRIED = 8192  # blocks a round; where fewer are left, each is tried more often
_MOST_TRIED = 256  # of one block
_WHITE = ((255, 255), (128, 129), (128, 128))  # from, to: what of Y, Cb and Cr makes 255 of red, green and blue

Bytes = NDArray[np.uint8]


class WhiteKept(NamedTuple):
    """A picture whose white stays white, in the colours that JPEG holds.

    Attributes
    ----------
    ycbcr : (H, W, 3) uint8
        For :func:`~gossamer.image.write.encode_image`, of the quality ``FINEST``.
    beside : (H, W) bool
        The blocks in which there is both, white and subject.
    """

    ycbcr: Bytes
    beside: NDArray[np.bool_]

    def coarser(self, quality: int) -> Bytes:
        """Return it with all other blocks as JPEG of another quality leaves them.

        Written with the quality ``FINEST`` that takes half as much room again as a file of `quality`, up to twice as
        much, and white beside the subject stays what it is.
        """
        stream = io.BytesIO()
        _picture(self.ycbcr).save(stream, "JPEG", quality=quality, subsampling=0)
        return np.where(self.beside[..., None], self.ycbcr, _decoded(stream))


def white_kept(pixels: Bytes, clear: NDArray[np.bool_], *, progress: Progress) -> WhiteKept:
    """Return a picture whose white is 255 in all three channels after JPEG of the quality ``FINEST``, 4:4:4.

    A block of 8 x 8 pixels without a subject is white after JPEG. In one with both, rounding its frequencies leaves
    white pixels at 252 to 255. Other values of the subject's pixels, a little off, round otherwise: they are tried by
    chance, many blocks at once and each plane by itself, until libjpeg's decoder gives pure white.

    Parameters
    ----------
    pixels : (H, W, 3) uint8
        RGB.
    clear : (H, W) bool
        Where nothing of the subject is: only its white is seen to, and never changed.
    progress : Progress
        May raise to cancel.

    Returns
    -------
    WhiteKept
        A few of 255 off beside the white, the same elsewhere.
    """
    from PIL import Image

    height, width = clear.shape
    white = clear & (pixels.min(axis=2) == 255)
    ycbcr = np.array(Image.fromarray(pixels).convert("YCbCr"))
    beside = np.zeros_like(clear)
    # Libjpeg repeats the last row and column of what is no whole block, at the right and at the bottom.
    whole, across = height - height % _BLOCK, width - width % _BLOCK
    for rows in (slice(0, whole), slice(whole, height)):
        for columns in (slice(0, across), slice(across, width)):
            part = white[rows, columns]
            if part.size:
                beside[rows, columns] = _settled(ycbcr[rows, columns], part, progress)
    return WhiteKept(ycbcr, beside)


def _settled(planes: Bytes, white: NDArray[np.bool_], progress: Progress) -> NDArray[np.bool_]:
    """Move the subject's pixels of blocks with white in them, in place; returns where these are.

    All blocks are of one size; less than 8 rows or columns are one block high or wide.
    """
    height, width = white.shape
    tall, wide = min(height, _BLOCK), min(width, _BLOCK)
    # Where each of the 64 pixels of a block is taken from: itself, or the last that there is.
    own = np.minimum(np.arange(_BLOCK), tall - 1)[:, None] * wide + np.minimum(np.arange(_BLOCK), wide - 1)
    places = _blocks(np.arange(height * width).reshape(height, width), tall, wide)
    there = white.ravel()[places]
    both = there.any(axis=1) & ~there.all(axis=1)
    found = np.zeros(height * width, np.bool_)
    found[places[both]] = True
    for channel in range(3):
        plane = planes[..., channel].ravel()
        for start in range(0, int(np.count_nonzero(both)), _AT_ONCE):
            some = places[both][start : start + _AT_ONCE]
            plane[some] = _chosen(plane[some], there[both][start : start + _AT_ONCE], own.ravel(), channel, progress)
        planes[..., channel] = plane.reshape(height, width)
    return found.reshape(height, width)


def _chosen(
    blocks: Bytes, white: NDArray[np.bool_], own: NDArray[np.intp], channel: int, progress: Progress
) -> NDArray[np.float32]:
    """Return (N, n) pixels of blocks moved so that what is white in them stays so; `own` makes 64 of n."""
    random = np.random.default_rng(0)  # the same picture must give the same file
    first, neutral = blocks.astype(np.float32), np.float32(_WHITE[channel][0])
    best, left = first.copy(), _off(first, white, own, channel)
    farther = np.maximum(_FEW / np.count_nonzero(~white, axis=1), 1).astype(np.float32)[:, None]
    for reach, least in _STAGES:
        progress.tick()
        some = np.flatnonzero(left)
        if not some.size:
            break
        times = min(max(_TRIED // some.size, 1), _MOST_TRIED)
        number = np.repeat(some, times)
        shape = number.size, blocks.shape[1]
        step = random.integers(0, 2, shape, np.int8) * 2 - 1
        step *= random.random(shape, np.float32) < random.choice(_SHARES, (number.size, 1))
        tried, fixed = best[number] + step, white[number]
        anew = np.flatnonzero(random.random(number.size) < _ANEW)
        far = random.random((anew.size, shape[1]), np.float32) * 2 - 1
        own_share = least + (1 - least) * random.random((anew.size, 1), np.float32)
        tried[anew] = neutral + own_share * (first[number[anew]] + reach * farther[number[anew]] * far - neutral)
        most, away = reach * farther[some], least * (first[some] - neutral)
        low, high = np.minimum(first[some], neutral + away) - most, np.maximum(first[some], neutral + away) + most
        np.clip(tried, np.repeat(low, times, axis=0), np.repeat(high, times, axis=0), out=tried)
        np.clip(np.rint(tried), 0, 255, out=tried)
        tried[fixed] = best[number][fixed]
        off = _off(tried, fixed, own, channel).reshape(some.size, times)
        choice = off.argmin(axis=1)
        lowest = off[np.arange(some.size), choice]
        better = lowest <= left[some]  # an equal one leads on
        best[some[better]] = tried.reshape(some.size, times, -1)[np.arange(some.size), choice][better]
        left[some[better]] = lowest[better]
    return best


def _off(blocks: Array, white: NDArray[np.bool_], own: NDArray[np.intp], channel: int) -> NDArray[np.int32]:
    """Return how far JPEG takes the white of each block beyond its limits, squared and summed."""
    low, high = _WHITE[channel]
    first = np.unique(own, return_index=True)[1]  # of pixels that are there for the encoder alone nothing is asked
    seen = _through_jpeg(blocks.astype(np.uint8)[:, own])[:, first].astype(np.int32)
    lost = np.maximum(low - seen, 0) + np.maximum(seen - high, 0)
    return np.asarray((lost * lost * white).sum(axis=1), np.int32)


def _through_jpeg(blocks: Bytes) -> Bytes:
    """Return (N, 64) blocks of one plane as a decoder gives them: each plane of a file is coded like a grey picture."""
    from PIL import Image

    stream = io.BytesIO()
    sheet = np.full((-(-len(blocks) // _ACROSS) * _ACROSS, _BLOCK, _BLOCK), 255, np.uint8)
    sheet[: len(blocks)] = blocks.reshape(-1, _BLOCK, _BLOCK)
    picture = sheet.reshape(-1, _ACROSS, _BLOCK, _BLOCK).swapaxes(1, 2).reshape(-1, _ACROSS * _BLOCK)
    Image.fromarray(picture).save(stream, "JPEG", quality=FINEST)
    return _blocks(_decoded(stream), _BLOCK, _BLOCK)[: len(blocks)]


def _decoded(stream: io.BytesIO) -> Bytes:
    """Return what a file holds: one plane, or YCbCr."""
    from PIL import Image

    stream.seek(0)
    with Image.open(stream) as file:
        file.draft("YCbCr" if file.mode == "RGB" else file.mode, file.size)
        return np.asarray(file, np.uint8)


def _picture(ycbcr: Bytes) -> Any:
    """Return a Pillow image of YCbCr."""
    from PIL import Image

    height, width = ycbcr.shape[:2]
    return Image.frombytes("YCbCr", (width, height), ycbcr.tobytes())


def _blocks(plane: NDArray[Any], tall: int, wide: int) -> NDArray[Any]:
    """Return (H, W) as (N, tall * wide), row by row."""
    height, width = plane.shape
    parts = plane.reshape(height // tall, tall, width // wide, wide)
    return parts.swapaxes(1, 2).reshape(-1, tall * wide)
