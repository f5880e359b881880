# SPDX-License-Identifier: GPL-3.0-or-later
"""What the client sends to the worker and gets from it: pictures and results. Standard library only, no gi."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Picture:
    """Pixels, row by row: `dtype` is u8, u16 or float32, in the machine's byte order.

    `data` is in one piece, or in several, one after the other.
    """

    width: int
    height: int
    channels: int
    dtype: str
    data: bytes | tuple[bytes, ...]


@dataclass(frozen=True)
class Result:
    """What the worker answered: planes of numbers, and its report.

    Where there are boxes (left, top, width, height), `alpha` holds theirs alone, one after the other.
    """

    alpha: memoryview
    foreground: memoryview | None
    report: dict
    background: memoryview | None = None
    boxes: list | None = None


@dataclass(frozen=True)
class Finished:
    """A finished picture: RGB or RGBA, row by row, in the depth of the picture that it was made of."""

    width: int
    height: int
    channels: int
    data: bytearray
    report: dict


def result(answer: dict, payload: bytearray, width: int, height: int, size: int) -> Result | None:
    """Take an answer apart; None where its payload is not what it says.

    Parameters
    ----------
    answer : dict
    payload : bytearray
    width, height : int
        Of what was asked for.
    size : int
        Bytes of a number.
    """
    plane = width * height * size
    front, behind, boxes = answer["foreground"], answer.get("background", 0), answer.get("boxes")
    sent = plane
    if boxes is not None:
        for left, top, across, down in boxes:
            if not (0 <= left <= left + across <= width and 0 <= top <= top + down <= height):
                return None
        sent = sum(box[2] * box[3] for box in boxes) * size
    if len(payload) != sent + plane * (front + behind):
        return None
    view = memoryview(payload)
    alpha, view = view[:sent], view[sent:]
    colours, rest = view[: front * plane], view[front * plane :]
    return Result(alpha, colours if front else None, answer["report"], rest if behind else None, boxes)
