# SPDX-License-Identifier: GPL-3.0-or-later
"""What the client sends to the worker and gets from it: pictures and results. Standard library only, no gi."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Picture:
    """Pixels, row by row: `dtype` is u8, u16 or float32, in the machine's byte order."""

    width: int
    height: int
    channels: int
    dtype: str
    data: bytes


@dataclass(frozen=True)
class Result:
    """What the worker answered: planes of numbers, and its report."""

    alpha: memoryview
    foreground: memoryview | None
    report: dict
    background: memoryview | None = None


@dataclass(frozen=True)
class Finished:
    """A finished picture: RGB or RGBA, row by row, in the depth of the picture that it was made of."""

    width: int
    height: int
    channels: int
    data: bytearray
    report: dict
