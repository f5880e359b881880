"""Coordinates as people type them: numbers between commas, in pixels or percent."""

from __future__ import annotations

from gossamer.errors import InputError
from gossamer.prompting.prompt import Unit

__all__ = ["read_coordinates"]


def read_coordinates(text: str, count: int, flag: str, form: str) -> tuple[tuple[float, ...], Unit]:
    """Return the numbers between commas, and their unit.

    Parameters
    ----------
    text : str
        ``10,20,300,400`` in pixels, or ``10%,20%,50%,90%``.
    count : int
        How many there must be.
    flag, form : str
        What messages call it, and what they say is to be given.

    Returns
    -------
    numbers : tuple of float
    unit : {"px", "fraction"}

    Raises
    ------
    InputError
        Something else was typed.
    """
    parts = [part.strip() for part in text.split(",")]
    percent = [part.endswith("%") for part in parts]
    try:
        numbers = tuple(float(part.removesuffix("%")) for part in parts)
    except ValueError:
        raise InputError(f"{flag} {text} is not made of numbers.", f"Give {form}, e.g. with % signs.") from None
    if len(numbers) != count:
        raise InputError(f"{flag} {text} has {len(numbers)} numbers, not {count}.", f"Give {form}.")
    if any(percent) and not all(percent):
        raise InputError(f"{flag} {text} mixes pixels and percent.", "Give all with a % sign, or none.")
    if percent[0]:
        return tuple(number / 100 for number in numbers), "fraction"
    return numbers, "px"
