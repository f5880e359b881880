"""A clip at another rate: for each moment the frame that is shown then."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

from gossamer.video.clip import Frame

__all__ = ["at_rate"]


def at_rate(frames: Iterator[Frame], rate: Fraction, last: Fraction) -> Iterator[Frame]:
    """Yield frames at even times, each with the pixels that are shown then.

    Parameters
    ----------
    frames : iterator of Frame
        In order, at any times.
    rate : Fraction
        Frames a second.
    last : Fraction
        How long the last frame is shown, in seconds.
    """
    shown: Frame | None = None
    number = 0
    half = 1 / rate / 2  # a frame that comes a moment late is still the one that is meant
    for frame in frames:
        if shown is not None:
            while number / rate + half <= frame.time:
                yield replace(shown, number=number, time=number / rate)
                number += 1
        shown = frame
    if shown is not None:
        ended = shown.time + last
        while number / rate < ended:
            yield replace(shown, number=number, time=number / rate)
            number += 1
