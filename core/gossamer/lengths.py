"""Lengths, sizes and ratios as people write them: ``5%``, ``20px``, ``35x45mm``, ``4:5``."""

from __future__ import annotations

import re
from typing import NamedTuple

from gossamer.errors import InputError

__all__ = ["MM_PER_INCH", "Length", "PrintSize", "Span", "read_aspect", "read_margin", "read_size", "read_span"]

MM_PER_INCH = 25.4

_LENGTH = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*(%|px)?", re.IGNORECASE)
_SIZE = re.compile(r"(\d+(?:\.\d*)?)\s*(?:[x×*]\s*(\d+(?:\.\d*)?))?\s*(px|mm)?", re.IGNORECASE)
_RATIO = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*(?:[:/x×]\s*(\d+(?:\.\d*)?|\.\d+))?")
_MOST = 50_000  # pixels each way
_NARROWEST = 0.02

_MARGIN_REMEDY = "Give one to four lengths, as in CSS (top, right, bottom, left), such as 5% or 20px 40px."
_SIZE_REMEDY = "Give width x height in pixels, such as 2000x2000, one number for a square, or 35x45mm."
_ASPECT_REMEDY = "Give width:height, such as 1:1 or 4:5."
_SPAN_REMEDY = "Give two heights from the top, such as 12% 58% or 240px 910px."


class Length(NamedTuple):
    """A length: pixels, and hundredths of a side; one of them is 0."""

    px: float = 0.0
    share: float = 0.0

    def of(self, side: float) -> float:
        """Return it in pixels, `side` being what percents are of."""
        return self.px + self.share * side


class PrintSize(NamedTuple):
    """A width and a height, in pixels or in millimetres."""

    width: float
    height: float
    in_mm: bool = False

    def in_pixels(self, dpi: float) -> tuple[int, int]:
        """Return both in whole pixels at so many dots an inch."""
        per = dpi / MM_PER_INCH if self.in_mm else 1.0
        return max(1, round(self.width * per)), max(1, round(self.height * per))


class Span(NamedTuple):
    """From where to where, from the top."""

    start: Length
    end: Length


def read_margin(text: str) -> tuple[Length, Length, Length, Length]:
    """Return the margins (top, right, bottom, left) that one to four lengths mean, as in CSS; "" is none.

    Raises
    ------
    InputError
        They are no lengths, or leave no room: 100 % or more between two sides.
    """
    parts = [_length(part, text, _MARGIN_REMEDY) for part in _parts(text)]
    if len(parts) > 4:
        raise InputError(f"{text!r} is no margin.", _MARGIN_REMEDY)
    if not parts:
        parts = [Length()]
    # As in CSS: what is not given is that of the opposite side.
    top = parts[0]
    right = parts[1] if len(parts) > 1 else top
    bottom = parts[2] if len(parts) > 2 else top
    left = parts[3] if len(parts) > 3 else right
    if top.share + bottom.share >= 1 or left.share + right.share >= 1:
        raise InputError(f"The margin {text!r} leaves no room for the subject.", "Give less than 50% a side.")
    return top, right, bottom, left


def read_size(text: str) -> PrintSize | None:
    """Return the size that a text means; None for "".

    Raises
    ------
    InputError
        It is no size, or one of nothing or of more than 50,000 pixels.
    """
    if not text.strip():
        return None
    found = _SIZE.fullmatch(text.strip())
    if not found:
        raise InputError(f"{text!r} is no size.", _SIZE_REMEDY)
    width, in_mm = float(found[1]), (found[3] or "").lower() == "mm"
    height = float(found[2] or found[1])
    whole = in_mm or (width.is_integer() and height.is_integer())
    if not whole or not (0 < min(width, height) and max(width, height) <= _MOST):
        raise InputError(f"{text!r} is no size.", _SIZE_REMEDY)
    return PrintSize(width, height, in_mm)


def read_aspect(text: str) -> float | None:
    """Return width / height of a ratio such as ``4:5`` or ``1.5``; None for "".

    Raises
    ------
    InputError
        It is no ratio, or one from beyond 1:50 to 50:1.
    """
    if not text.strip():
        return None
    found = _RATIO.fullmatch(text.strip())
    across, down = (float(found[1]), float(found[2] or 1)) if found else (0.0, 1.0)
    if not across or not down or not _NARROWEST <= across / down <= 1 / _NARROWEST:
        raise InputError(f"{text!r} is no ratio.", _ASPECT_REMEDY)
    return across / down


def read_span(text: str) -> Span | None:
    """Return the two heights that a text means; None for "".

    Raises
    ------
    InputError
        They are not two, or not one below the other.
    """
    if not text.strip():
        return None
    parts = [_length(part, text, _SPAN_REMEDY) for part in _parts(text)]
    if len(parts) != 2 or (parts[0].px >= parts[1].px and parts[0].share >= parts[1].share):
        raise InputError(f"{text!r} is not from where to where.", _SPAN_REMEDY)
    return Span(*parts)


def _parts(text: str) -> list[str]:
    return [part for part in re.split(r"[,;\s]+", text.strip()) if part]


def _length(part: str, text: str, remedy: str) -> Length:
    found = _LENGTH.fullmatch(part)
    if not found:
        raise InputError(f"{text!r} is no length.", remedy)
    number = float(found[1])
    if found[2] == "%":
        if number > 100:
            raise InputError(f"{text!r} is more than all.", remedy)
        return Length(share=number / 100)
    if number > _MOST:
        raise InputError(f"{text!r} is longer than any picture.", remedy)
    return Length(px=number)
