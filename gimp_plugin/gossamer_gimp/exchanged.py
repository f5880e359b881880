# SPDX-License-Identifier: GPL-3.0-or-later
"""What the client sends to the worker and gets from it: pictures and results. Standard library only, no gi."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

if __package__:
    from .frames import Payload
else:  # GIMP runs the plug-in from a folder
    from frames import Payload


@dataclass(frozen=True)
class Picture:
    """Pixels, row by row: `dtype` is u8, u16 or float32, in the machine's byte order.

    `data` is in one piece, or in several, one after the other, which may be read no sooner than they are sent.
    """

    width: int
    height: int
    channels: int
    dtype: str
    data: bytes | Iterable[bytes]

    def strips(self) -> Iterable[bytes]:
        """Return the pieces."""
        return [self.data] if isinstance(self.data, bytes) else self.data


@dataclass(frozen=True)
class Result:
    """What the worker answered: planes of numbers, and its report.

    Where there are boxes (left, top, width, height), `alpha` holds theirs alone, one after the other. Colours that were
    passed on as they came are what they were made into.
    """

    alpha: memoryview
    foreground: Any
    report: dict
    background: Any = None
    shadow: memoryview | None = None
    boxes: list | None = None


@dataclass(frozen=True)
class Finished:
    """A finished picture: RGB or RGBA, row by row, in the depth of the picture that it was made of."""

    width: int
    height: int
    channels: int
    data: memoryview
    report: dict


def result(answer: dict, payload: Payload, width: int, height: int, size: int, taking=None) -> Result | None:
    """Take an answer apart; None where its payload is not what it says.

    Parameters
    ----------
    answer : dict
    payload : Payload
    width, height : int
        Of what was asked for.
    size : int
        Bytes of a number.
    taking : callable, optional
        See :meth:`client.Client.refine`.
    """
    plane = width * height * size
    front, behind, boxes = answer["foreground"], answer.get("background", 0), answer.get("boxes")
    sent, cast = plane, plane * answer.get("shadow", 0)
    if boxes is not None:
        for left, top, across, down in boxes:
            if not (0 <= left <= left + across <= width and 0 <= top <= top + down <= height):
                return None
        sent = sum(box[2] * box[3] for box in boxes) * size
    if payload.left != sent + cast + plane * (front + behind):
        return None

    def colours(name: str, channels: int) -> Any:
        if not channels:
            return None
        return taking(name, channels * plane, payload.take) if taking else payload.keep(channels * plane)

    alpha = payload.keep(sent)
    shadow = payload.keep(cast) if cast else None
    front_made = colours("foreground", front)
    return Result(alpha, front_made, answer["report"], colours("background", behind), shadow, boxes)
