"""Gradients as people write them: ``gradient:#ffffff,#dddddd`` from top to bottom, ``radial:white,silver`` outwards."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gossamer.colours import Colour, read_colour
from gossamer.errors import InputError

__all__ = ["Gradient", "is_gradient", "read_gradient"]

_REMEDY = "Write gradient:TOP,BOTTOM or radial:CENTRE,EDGE with colours such as #ffffff,#dddddd."
_GRADIENT = re.compile(r"\s*(gradient|radial)\s*:(.*)", re.IGNORECASE | re.DOTALL)
_MOST = 16  # colours


class Gradient(NamedTuple):
    """Colours that run into each other.

    Attributes
    ----------
    kind : {"gradient", "radial"}
        From top to bottom, or from the centre to the corners.
    colours : tuple of Colour
        At equal distances; opaque.
    """

    kind: Literal["gradient", "radial"]
    colours: tuple[Colour, ...]

    def painted(self, height: int, width: int) -> NDArray[np.float32]:
        """Return it in sRGB, (height, width, 3) float32 in [0, 1]; the first and the last colour are met exactly."""
        stops = np.linspace(0, 1, len(self.colours))
        rows = np.linspace(-1, 1, height, dtype=np.float32) if height > 1 else np.zeros(1, np.float32)
        if self.kind == "gradient":
            place = ((rows + 1) / 2)[:, None]
        else:
            columns = np.linspace(-1, 1, width, dtype=np.float32) if width > 1 else np.zeros(1, np.float32)
            place = np.hypot(rows[:, None], columns[None, :]) / np.float32(np.sqrt(2))
        planes = [np.interp(place, stops, [one[channel] for one in self.colours]) for channel in range(3)]
        whole = np.broadcast_to(np.stack(planes, axis=-1).astype(np.float32), (height, width, 3))
        return np.ascontiguousarray(whole)


def is_gradient(text: str) -> bool:
    """Return whether a text begins as a gradient does."""
    return _GRADIENT.fullmatch(text) is not None


def read_gradient(text: str) -> Gradient | None:
    """Return the gradient that a text means, or None where it does not begin as one.

    Raises
    ------
    InputError
        It begins as one, but its colours are none, transparent in part, fewer than two or more than 16.
    """
    found = _GRADIENT.fullmatch(text)
    if found is None:
        return None
    # A comma inside parentheses belongs to one colour: rgb(255, 0, 0).
    parts = [part.strip() for part in re.split(r",(?![^()]*\))", found[2])]
    colours = [read_colour(part) for part in parts]
    if not 2 <= len(colours) <= _MOST or any(one is None or one.alpha < 1 for one in colours):
        raise InputError(f"{text!r} is no gradient.", _REMEDY)
    kind: Literal["gradient", "radial"] = "radial" if found[1].lower() == "radial" else "gradient"
    return Gradient(kind, tuple(one for one in colours if one is not None))
