# SPDX-License-Identifier: GPL-3.0-or-later
"""Points and boxes as other nodes hand them over, and as people type them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

__all__ = ["Box", "Point", "boxes", "points"]

Point: TypeAlias = tuple[float, float]
Box: TypeAlias = tuple[float, float, float, float]

_POINTS = 'Write [{"x": 120, "y": 80}] as point editors do, or 120, 80 and one point a line.'
_BOXES = "Write left, top, right, bottom in pixels, one box a line, or connect a node that finds boxes."
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"


def points(text: str, name: str) -> tuple[tuple[Point, ...], tuple[Point, ...]]:
    """Return the points that a text means, and those on what is not meant where it holds such.

    Parameters
    ----------
    text : str
        ``[{"x": 1, "y": 2}]``, ``[[1, 2]]``, ``{"positive": [...], "negative": [...]}``, or ``1, 2`` and one a line.
    name : str
        What messages call it.

    Raises
    ------
    InputError
        It is none of these.
    """
    data = _read(text, name, _POINTS, 2)
    if isinstance(data, Mapping) and ("positive" in data or "negative" in data):
        return (
            tuple(_point(one, name) for one in data.get("positive") or ()),
            tuple(_point(one, name) for one in data.get("negative") or ()),
        )
    if isinstance(data, Mapping) or _is_numbers(data, 2):
        data = [data]
    return tuple(_point(one, name) for one in data), ()


def boxes(given: Any, text: str, count: int) -> list[tuple[Box, ...]]:
    """Return the boxes of each of `count` pictures: (left, top, right, bottom) in pixels.

    Parameters
    ----------
    given : dict, list, list of lists or None
        What a node handed over: ``{"x", "y", "width", "height"}``, ``(left, top, right, bottom)``, several of these, or
        a list of these for each picture.
    text : str
        Boxes that were typed, for every picture.
    count : int
        How many pictures there are.

    Raises
    ------
    InputError
        One is no box, or there are lists for another number of pictures.
    """
    from gossamer import InputError

    data = _read(text, "box", _BOXES, 4)
    typed = tuple(_flat([data] if _is_box(data) else data))
    if given is None:
        return [typed] * count
    if isinstance(given, Sequence) and not _is_box(given) and any(_is_list_of_boxes(one) for one in given):
        if len(given) not in (1, count):
            raise InputError(
                f"There are boxes for {len(given)} pictures, but {count} pictures.", "Give boxes for each, or for one."
            )
        each = [typed + tuple(_flat(one)) for one in given]
        return each if len(each) == count else each * count
    return [typed + tuple(_flat([given] if _is_box(given) else given))] * count


def _read(text: str, name: str, remedy: str, size: int) -> Any:
    """Return what a text holds: JSON, or rows of numbers."""
    from gossamer import InputError

    text = text.strip()
    if not text:
        return []
    if text[0] in "[{":
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            raise InputError(f"The {name} {text[:60]!r} cannot be read.", remedy) from None
    rows = []
    for line in filter(str.strip, re.split(r"[\n;]", text)):
        row = [float(number) for number in re.findall(_NUMBER, line)]
        if len(row) != size or re.sub(_NUMBER, "", line).strip(" ,\t()[]"):
            raise InputError(f"The {name} {line.strip()[:60]!r} is not made of {size} numbers.", remedy)
        rows.append(row)
    return rows


def _point(one: Any, name: str) -> Point:
    from gossamer import InputError

    try:
        return (float(one["x"]), float(one["y"])) if isinstance(one, Mapping) else (float(one[0]), float(one[1]))
    except (KeyError, IndexError, TypeError, ValueError):
        raise InputError(f"{str(one)[:60]!r} of {name} is no point.", _POINTS) from None


def _flat(given: Any) -> Iterator[Box]:
    """Yield every box, however deep it lies in lists."""
    from gossamer import InputError

    if _is_box(given):
        if isinstance(given, Mapping):
            x, y, width, height = (float(given[key]) for key in ("x", "y", "width", "height"))
            yield x, y, x + width, y + height
        else:
            left, top, right, bottom = (float(value) for value in given)
            yield left, top, right, bottom
    elif isinstance(given, Sequence) and not isinstance(given, str):
        for one in given:
            yield from _flat(one)
    else:
        raise InputError(f"{str(given)[:60]!r} is no box.", _BOXES)


def _is_box(given: Any) -> bool:
    if isinstance(given, Mapping):
        return all(_is_number(given.get(key)) for key in ("x", "y", "width", "height"))
    return _is_numbers(given, 4)


def _is_list_of_boxes(given: Any) -> bool:
    return isinstance(given, Sequence) and not _is_numbers(given, 4) and all(_is_box(one) for one in given)


def _is_numbers(given: Any, count: int) -> bool:
    if not isinstance(given, Sequence) or isinstance(given, str) or len(given) != count:
        return False
    return all(_is_number(value) for value in given)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
