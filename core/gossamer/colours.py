"""Colours as people write them: ``white``, ``#fff``, ``ff8800``, ``255, 136, 0``, ``rgb(100% 50% 0% / 50%)``."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import NamedTuple

from gossamer.errors import InputError

__all__ = ["Colour", "colour_names", "read_colour", "screen_channel"]

_REMEDY = "Write it as #rrggbb (e.g. #ffffff), as 255,255,255 or as a name such as white."
_COLOURED = 0.1  # how far a channel stands out of a coloured screen's others
_HEX = re.compile(r"#([0-9a-fA-F]{3,4})|#?([0-9a-fA-F]{6}|[0-9a-fA-F]{8})")
_NUMBERS = re.compile(r"[\d.+-]+%?(\s*[,;\s]\s*[\d.+-]+%?){2,3}")
_FUNCTION = re.compile(r"(rgba?|hsla?|hsv|hsb)\s*\((.*)\)", re.IGNORECASE | re.DOTALL)


class Colour(NamedTuple):
    """An sRGB colour.

    Attributes
    ----------
    red, green, blue : float
        In [0, 1].
    alpha : float
        1 = opaque.
    """

    red: float
    green: float
    blue: float
    alpha: float = 1.0


def screen_channel(colour: Sequence[float]) -> int | None:
    """Return which channel a screen of a colour (red, green, blue), in [0, 1], is of: 1 for green, 2 for blue.

    None where no channel stands out, as of paper and walls.
    """
    _, middle, most = sorted(range(3), key=lambda channel: colour[channel])
    return most if colour[most] - colour[middle] > _COLOURED else None


def read_colour(text: str) -> Colour | None:
    """Return the colour that a text means, or None where it does not look like one.

    Parameters
    ----------
    text : str
        ``#rgb``, ``#rgba``, ``#rrggbb`` or ``#rrggbbaa`` (the long ones also without ``#``); three numbers from 0 to
        255, or four, the last one the opacity; ``rgb(...)``, ``rgba(...)`` and ``hsl(...)`` of CSS; or a name of CSS.

    Raises
    ------
    InputError
        It looks like a colour, but is none: too few digits, a number that is too large.
    """
    text = text.strip()
    if found := _HEX.fullmatch(text):
        digits = found[2] or "".join(2 * digit for digit in found[1])
        return Colour(*(byte / 255 for byte in bytes.fromhex(digits)))
    if text.startswith("#"):
        raise InputError(f"{text!r} is not a colour.", _REMEDY)
    if found := _FUNCTION.fullmatch(text):
        return _of_function(text, found[1].lower(), found[2])
    if _NUMBERS.fullmatch(text):
        return _of_numbers(text, re.split(r"[,;\s]+", text), 255)
    return colour_names().get(re.sub(r"[\s_-]+", "", text.lower()))


@functools.cache
def colour_names() -> dict[str, Colour]:
    """Return CSS's named colours."""
    from PIL import ImageColor

    return {name: Colour(*(part / 255 for part in ImageColor.getrgb(name)[:3])) for name in ImageColor.colormap}


def _of_numbers(text: str, parts: list[str], opaque: float) -> Colour:
    """Read three numbers of 255, or percents, and perhaps the opacity, a number of `opaque` or a percent."""
    try:
        values = [
            float(part[:-1]) / 100 if part.endswith("%") else float(part) / (opaque if number == 3 else 255)
            for number, part in enumerate(parts)
        ]
    except ValueError:
        raise InputError(f"{text!r} is not a colour.", _REMEDY) from None
    of_one = any("." in part for part in parts[:3]) and max(values[:3]) <= 1 / 255 and "%" not in "".join(parts[:3])
    if len(values) not in (3, 4) or of_one or not all(0 <= value <= 1 for value in values):
        raise InputError(f"{text!r} is not a colour: its numbers go from 0 to 255.", _REMEDY)
    return Colour(*values)


def _of_function(text: str, name: str, inside: str) -> Colour:
    parts = re.split(r"[,/\s]+", inside.strip())
    if name.startswith("rgb"):
        return _of_numbers(text, parts, 1)  # CSS gives opacity as a number of 1
    from PIL import ImageColor

    plain = name.removesuffix("a")
    try:
        red, green, blue = ImageColor.getrgb(f"{plain}({','.join(parts[:3])})")[:3]
        alpha = 1.0 if len(parts) < 4 else float(parts[3].rstrip("%")) / (100 if parts[3].endswith("%") else 1)
    except ValueError:
        raise InputError(f"{text!r} is not a colour.", _REMEDY) from None
    if len(parts) not in (3, 4) or not 0 <= alpha <= 1:
        raise InputError(f"{text!r} is not a colour.", _REMEDY)
    return Colour(red / 255, green / 255, blue / 255, alpha)
