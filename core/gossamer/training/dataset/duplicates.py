"""Pictures that are nearly alike: the same one resized, compressed, cropped a little or mirrored.

A perceptual hash (the signs of the lowest frequencies, as in pHash by Zauner 2010) proposes pairs; a search of one's
middle in the other, over small changes of scale, decides. The hash alone either misses crops or takes all white
backdrops with something dark on them for one picture.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gossamer.progress import Progress

__all__ = ["Duplicate", "Look", "find_duplicates", "look_at"]

_SIDE = 64  # pixels a side of what is kept of a picture
_NEAR = 20  # bits of 63 in which two hashes may differ for the pictures to be compared
_MOST = 24  # of those that are that near, so many are compared with each picture
_INNER = 8  # pixels around the middle that is searched for: a crop may have taken as much
_SCALES = (0.88, 0.94, 1.0, 1.06, 1.13)  # of each axis: what a crop has changed, as seen in pictures of one size
_BETWEEN = (0.97, 0.985, 1.0, 1.015, 1.03)  # around the best of them
_HOPEFUL = 0.7  # the correlation from which on a better scale is looked for
_ALIKE = 0.93  # the correlation from which on they are one picture: like products before white reach 0.9
_CONTRAST = 3.0  # grey levels: less of it is compression's
_ROWS = 64  # hashes compared with all others at a time
_SET = np.array([number.bit_count() for number in range(256)], np.uint8)


@dataclass(frozen=True)
class Look:
    """What is kept of a picture to know it again.

    Attributes
    ----------
    sign, mirrored : int
        Perceptual hashes, 63 bits, of the picture and of its mirror image.
    small : bytes
        The picture in grey, 64 x 64.
    """

    sign: int
    mirrored: int
    small: bytes


class Duplicate(NamedTuple):
    """Two pictures that are nearly alike, by their places in the list, and how."""

    first: int
    second: int
    how: Literal["alike", "mirrored"]


def look_at(rgb: NDArray[np.uint8]) -> Look:
    """Return what is kept of a picture, (H, W, 3) uint8."""
    import cv2

    grey = cv2.cvtColor(cv2.resize(rgb, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    small = np.asarray(grey, np.uint8)
    return Look(_hash(small), _hash(small[:, ::-1]), small.tobytes())


def find_duplicates(looks: Sequence[Look], progress: Progress | None = None) -> tuple[Duplicate, ...]:
    """Return the pairs of pictures that are nearly alike, in the order of the list.

    Parameters
    ----------
    looks : sequence of Look
    progress : Progress, optional
        May raise to cancel.
    """
    steps = progress or Progress()
    signs = np.array([look.sign for look in looks], np.uint64)
    mirrors = np.array([look.mirrored for look in looks], np.uint64)
    found = []
    for start in range(0, len(looks), _ROWS):
        straight = _bits(signs[start : start + _ROWS, None] ^ signs[None])
        turned = _bits(signs[start : start + _ROWS, None] ^ mirrors[None])
        for row, (plain, mirrored) in enumerate(zip(straight, turned, strict=True), start):
            steps(row / len(looks), "Looking for pictures that are alike")
            distances = np.minimum(plain, mirrored)
            later = np.flatnonzero(distances[row + 1 :] <= _NEAR) + row + 1
            for other in later[np.argsort(distances[later], kind="stable")][:_MOST].tolist():
                if plain[other] <= _NEAR and _is_within(_picture(looks[row]), _picture(looks[other])):
                    found.append(Duplicate(row, other, "alike"))
                elif mirrored[other] <= _NEAR and _is_within(_picture(looks[row])[:, ::-1], _picture(looks[other])):
                    found.append(Duplicate(row, other, "mirrored"))
    steps(1.0)
    return tuple(found)


def _bits(numbers: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Return how many bits of each number are set, (N, M) to (N, M)."""
    each = _SET[numbers.view(np.uint8).reshape(*numbers.shape, 8)]
    return np.asarray(each.sum(axis=-1, dtype=np.uint8))


def _hash(small: NDArray[np.uint8]) -> int:
    import cv2

    low = np.asarray(cv2.dct(cv2.resize(small, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)))[:8, :8]
    values = low.ravel()[1:]  # the first is the mean brightness
    bits = values > np.median(values)
    return int("".join("1" if bit else "0" for bit in bits), 2)


@functools.lru_cache(maxsize=4096)
def _picture(look: Look) -> NDArray[np.float32]:
    """Return a small picture's detail, of one strength everywhere: products are more than their outlines."""
    import cv2

    grey = np.frombuffer(look.small, np.uint8).reshape(_SIDE, _SIDE).astype(np.float32)
    detail = np.asarray(cv2.GaussianBlur(grey, (0, 0), 0.8) - cv2.GaussianBlur(grey, (0, 0), 4), np.float32)
    strength = np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), 4))
    return np.asarray(detail / (strength + np.float32(_CONTRAST)), np.float32)


def _is_within(part: NDArray[np.float32], whole: NDArray[np.float32]) -> bool:
    """Tell whether the middle of a picture is found in another, a little larger or smaller."""
    middle = np.ascontiguousarray(part[_INNER:-_INNER, _INNER:-_INNER])
    if float(middle.std()) < 0.05:  # nothing to know it by
        return bool(np.abs(part - whole).max() < 0.05)
    best, scale = _best(middle, whole, _SCALES, (1.0, 1.0))
    if _HOPEFUL <= best < _ALIKE:
        best, _ = _best(middle, whole, _BETWEEN, scale)
    return best >= _ALIKE


def _best(
    middle: NDArray[np.float32], whole: NDArray[np.float32], scales: tuple[float, ...], around: tuple[float, float]
) -> tuple[float, tuple[float, float]]:
    """Return the best correlation of a part with a place in the whole, and by how much it was scaled there."""
    import cv2

    found = (-1.0, around)
    for across in scales:
        for down in scales:
            scale = across * around[0], down * around[1]
            size = round(middle.shape[1] * scale[0]), round(middle.shape[0] * scale[1])
            if max(size) <= _SIDE:
                searched = cv2.resize(middle, size, interpolation=cv2.INTER_LINEAR)
                match = float(cv2.matchTemplate(whole, searched, cv2.TM_CCOEFF_NORMED).max())
                found = max(found, (match, scale))
    return found
