"""White that is still white after JPEG, also in the blocks that a subject shares with it."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer.progress import Progress

__all__ = ["FINEST", "white_kept"]

FINEST = 100
"""The quality of JPEG at which every whole number is kept: only there roundings can be turned so that white stays."""

_BLOCK = 8
_ROUNDS = 300
_MOST = 6  # of 255: so far a pixel beside the white may be moved, which nobody sees
_SHARES = (0.02, 0.05, 0.15)  # of the pixels of a block that are moved at a time
_ACROSS = 64  # blocks

Bytes = NDArray[np.uint8]


def white_kept(pixels: Bytes, clear: NDArray[np.bool_], *, progress: Progress) -> Bytes:
    """Return a picture whose white is 255 in all three channels after JPEG of the quality ``FINEST``, 4:4:4.

    A block of 8 x 8 pixels without a subject is white after JPEG. In one with both, rounding its frequencies leaves
    white pixels at 252 to 255. Other values of the subject's pixels, a little off, round otherwise: they are tried by
    chance, all blocks at once, and what is whiter is kept.

    Parameters
    ----------
    pixels : (H, W, 3) uint8
    clear : (H, W) bool
        Where nothing of the subject is: only its white is seen to, and never changed.
    progress : Progress
        May raise to cancel.

    Returns
    -------
    (H, W, 3) uint8
        A few of 255 off beside the white, the same elsewhere. Here and there 254 may be left, where a block has so
        little that can be moved.
    """
    high, wide = clear.shape[0] // _BLOCK, clear.shape[1] // _BLOCK  # what is no whole block is at the very edge
    inner = np.s_[: high * _BLOCK, : wide * _BLOCK]
    white = _blocks(clear[inner] & (pixels[inner].min(axis=2) == 255))
    rings = np.flatnonzero(white.any((1, 2)) & ~white.all((1, 2)))
    if not rings.size:
        return pixels
    result = pixels.copy()
    row, column = rings // wide * _BLOCK, rings % wide * _BLOCK
    at = (row[:, None, None] + np.arange(_BLOCK)[:, None], column[:, None, None] + np.arange(_BLOCK))
    result[at] = _chosen(pixels[at], white[rings], progress)
    return result


def _chosen(blocks: Bytes, white: NDArray[np.bool_], progress: Progress) -> Bytes:
    """Return (N, 8, 8, 3) blocks moved so that what is white in them stays so."""
    random = np.random.default_rng(0)  # the same picture must give the same file
    best, left = blocks.copy(), _off(blocks, white)
    lowest, highest = blocks.astype(np.int16) - _MOST, blocks.astype(np.int16) + _MOST
    for _ in range(_ROUNDS):
        progress.tick()
        some = np.flatnonzero(left)
        if not some.size:
            break
        moved = random.random(white[some].shape, np.float32) < random.choice(_SHARES)
        step = random.integers(-1, 2, (some.size, _BLOCK, _BLOCK, 3), np.int8)
        step *= (moved & ~white[some])[..., None]
        tried = np.clip(np.clip(best[some] + step.astype(np.int16), lowest[some], highest[some]), 0, 255)
        tried = tried.astype(np.uint8)
        off = _off(tried, white[some])
        better = off <= left[some]  # an equal one leads on
        best[some[better]], left[some[better]] = tried[better], off[better]
    return best


def _off(blocks: Bytes, white: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return by how much each block's white is darkened by JPEG, squared and summed."""
    from PIL import Image

    high = -(-len(blocks) // _ACROSS)
    sheet = np.full((high * _ACROSS, _BLOCK, _BLOCK, 3), 255, np.uint8)
    sheet[: len(blocks)] = blocks
    picture = sheet.reshape(high, _ACROSS, _BLOCK, _BLOCK, 3).swapaxes(1, 2).reshape(high * _BLOCK, -1, 3)
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=FINEST, subsampling=0)
    stream.seek(0)
    with Image.open(stream) as decoded:
        lost = 255 - np.asarray(decoded, np.int32)
    found = _blocks(lost)[: len(blocks)]
    return np.asarray((found * found * white[..., None]).sum((1, 2, 3)), np.int64)


def _blocks(plane: NDArray[Any]) -> NDArray[Any]:
    """Return (H, W, ...) as (N, 8, 8, ...), row by row."""
    high, wide, *rest = plane.shape
    parts = plane.reshape(high // _BLOCK, _BLOCK, wide // _BLOCK, _BLOCK, *rest)
    return parts.swapaxes(1, 2).reshape(-1, _BLOCK, _BLOCK, *rest)
