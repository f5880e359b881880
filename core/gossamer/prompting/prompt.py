"""What a person means: text, boxes, points, a rough mask, scribbles, in any combination."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from gossamer.arguments import shown
from gossamer.arrays import Array, check_size
from gossamer.errors import InputError
from gossamer.image import read_mask
from gossamer.prompting.planes import plane_from_json, plane_to_json
from gossamer.settings.belonging import knows_its_arguments

__all__ = ["Box", "Point", "Prompt", "Unit"]

Box: TypeAlias = tuple[float, float, float, float]
"""Left, top, right and bottom edge: x0, y0, x1, y1; a box of the whole picture is 0, 0, width, height."""
Point: TypeAlias = tuple[float, float]
"""x, y; the middle of the first pixel is 0.5, 0.5, and every point within a pixel means that pixel."""
Unit: TypeAlias = Literal["px", "fraction"]

_FIELDS = ("text", "boxes", "points", "not_points", "mask", "scribbles", "unit")
_EXAMPLE = 'Give e.g. {"text": "the lamp"}.'
_SINGULAR = {"box": "boxes", "point": "points", "not_point": "not_points"}
# Coordinates that people type are rounded: so far outside (of the picture's sides) they mean its border.
_SLIP = 0.02


@dataclass(frozen=True, eq=False)
class Prompt:
    """What is to be cut out; every part of it is optional, but one there must be.

    Parameters
    ----------
    text : str or sequence of str
        Phrases, each naming a kind of thing: ``"the lamp"``.
    boxes : sequence of (x0, y0, x1, y1)
        One around each subject.
    points, not_points : sequence of (x, y)
        On the subject, and on what does not belong to it.
    mask : (H, W) array, path or picture, optional
        A rough mask of the subject, 1 = foreground: whatever :func:`gossamer.image.read_mask` takes.
    scribbles : (H, W) array, path or picture, optional
        1 where somebody marked foreground, 0 where background, 0.5 where nothing: a trimap is one too. What is
        marked stays so in the cut-out.
    unit : {"px", "fraction"}
        What the coordinates count: pixels of the picture as it is shown (its orientation applied), or fractions
        of its width and height.
    warnings : tuple of str
        What was guessed in reading mask and scribbles is added to these; :meth:`in_pixels` returns it.

    Raises
    ------
    InputError
        Empty text, coordinates that are no finite numbers or too few, or planes that are no masks. What depends on
        the picture's size is checked by :meth:`in_pixels`.
    """

    text: tuple[str, ...] = ()
    boxes: tuple[Box, ...] = ()
    points: tuple[Point, ...] = ()
    not_points: tuple[Point, ...] = ()
    mask: Array | None = field(default=None, repr=False)
    scribbles: Array | None = field(default=None, repr=False)
    unit: Unit = "px"
    warnings: tuple[str, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        """Bring what was given into its one form."""
        if self.unit not in get_args(Unit):
            raise InputError(f"There is no unit {self.unit!r} of coordinates.", "Choose px or fraction.")
        own: dict[str, Any] = {
            "text": _phrases(self.text),
            "boxes": _coordinates(self.boxes, 4, "box", "x0, y0, x1, y1"),
            "points": _coordinates(self.points, 2, "point", "x, y"),
            "not_points": _coordinates(self.not_points, 2, "point", "x, y"),
        }
        warnings = list(self.warnings)
        for name in ("mask", "scribbles"):
            own[name] = _plane(getattr(self, name), name, warnings)
        own["warnings"] = tuple(dict.fromkeys(warnings))
        for name, value in own.items():
            object.__setattr__(self, name, value)

    @property
    def is_empty(self) -> bool:
        """Whether it asks for nothing at all."""
        return not (self.text or self.is_spatial)

    @property
    def is_spatial(self) -> bool:
        """Whether any part of it is a place in the picture rather than a name."""
        planes = self.mask is not None or self.scribbles is not None
        return bool(self.boxes or self.points or self.not_points) or planes

    @classmethod
    def from_json(cls, source: str | bytes | Mapping[str, Any], *, folder: str | Path | None = None) -> Prompt:
        """Make a prompt of its JSON form.

        Parameters
        ----------
        source : str, bytes or mapping
            An object with the fields' names; ``text`` may be one string, and ``box``, ``point`` and ``not_point``
            give one each. ``mask`` and ``scribbles`` are ``data:image/png;base64,...`` as :meth:`to_json` writes
            them, or the path of a picture.
        folder : path, optional
            Where paths begin. Without it they are refused: a prompt may come from a stranger.

        Raises
        ------
        InputError
            It is no JSON object, a field is unknown, or the prompt is impossible.
        """
        data: Any = source
        if not isinstance(source, Mapping):
            try:
                # Bytes may begin with a byte order mark, and so may a text that was read by somebody else.
                data = json.loads(source.removeprefix("\ufeff") if isinstance(source, str) else source)
            except RecursionError:
                raise InputError("The prompt is not valid JSON: it is nested too deeply.", _EXAMPLE) from None
            except (ValueError, TypeError) as error:
                raise InputError(f"The prompt is not valid JSON: {error}.", _EXAMPLE) from None
        if not isinstance(data, Mapping):
            raise InputError("The prompt is no JSON object.", _EXAMPLE)
        fields: dict[str, Any] = {}
        for name, value in data.items():
            if name not in _FIELDS and name not in _SINGULAR:
                raise InputError(f"A prompt has no field {shown(name)}.", f"Choose from: {', '.join(_FIELDS)}.")
            own = str(_SINGULAR.get(name, name))
            if own in fields:
                raise InputError(f"The prompt gives {own} twice.", "Give it once.")
            if value is not None:
                fields[own] = [value] if name in _SINGULAR else value
        for name in ("mask", "scribbles"):
            if name in fields:
                fields[name] = plane_from_json(fields[name], name, None if folder is None else Path(folder))
        return cls(**fields)

    def to_json(self, *, indent: int | None = None) -> str:
        """Return its JSON form; masks are PNG pictures of 16 bits inside it."""
        data: dict[str, Any] = {}
        for name in _FIELDS:
            value = getattr(self, name)
            if name in ("mask", "scribbles"):
                value = None if value is None else plane_to_json(value)
            if value is not None and len(value):
                data[name] = value
        return json.dumps(data, indent=indent)

    def in_pixels(self, width: int, height: int) -> tuple[Prompt, tuple[str, ...]]:
        """Return the prompt for a picture of this size, and what had to be put right on the way.

        Parameters
        ----------
        width, height : int
            Of the picture, its orientation applied.

        Returns
        -------
        prompt : Prompt
            In pixels: boxes lie within the picture and hold a pixel, points lie in pixels of it, planes have its size.
        warnings : tuple of str
            One sentence for everything that was guessed, clipped, turned round or left out.

        Raises
        ------
        InputError
            The prompt is empty or says only what is not meant, a box or point lies outside the picture, a box has no
            area, points or scribbles contradict each other, or a plane has another size than the picture.
        """
        if self.is_empty:
            raise InputError("The prompt is empty.", "Give a text, a box, a point, a mask or scribbles.")
        warnings = list(self.warnings)
        scale = (width, height) if self.unit == "fraction" else (1, 1)
        boxes = tuple(dict.fromkeys(_box_inside(box, scale, width, height, warnings) for box in self.boxes))
        points, not_points = (
            tuple(dict.fromkeys(_point_inside(point, scale, width, height, warnings) for point in group))
            for group in (self.points, self.not_points)
        )
        for name in ("mask", "scribbles"):
            plane = getattr(self, name)
            if plane is not None:
                check_size(plane.shape, (height, width), f"prompt's {name}")
        prompt = replace(self, boxes=boxes, points=points, not_points=not_points, unit="px")
        _check_sense(prompt, warnings)
        return prompt, tuple(dict.fromkeys(warnings))


def _phrases(text: Any) -> tuple[str, ...]:
    if text is None:
        return ()
    given = [text] if isinstance(text, str) or not isinstance(text, Iterable) else list(text)
    if not all(isinstance(phrase, str) for phrase in given):
        raise InputError("The prompt's text is no text.", 'Give a phrase or several: "the lamp".')
    phrases = [" ".join(phrase.split()) for phrase in given]
    if not all(phrase.strip(" .,;:!?") for phrase in phrases):
        raise InputError("The prompt's text is empty.", 'Name what is to be cut out: "the lamp".')
    return tuple(dict.fromkeys(phrases))


def _plane(given: Any, name: str, warnings: list[str]) -> Array | None:
    if given is None:
        return None
    found = read_mask(given, name=f"prompt's {name}", scribbles=name == "scribbles")
    shape = getattr(given, "shape", ())
    if len(shape) > 2 and not found.plane.any():
        raise InputError(f"The prompt's {name} has the shape {shape} and marks nothing.", "Give (height, width).")
    warnings += found.warnings
    return found.plane


def _coordinates(given: Any, count: int, name: str, form: str) -> tuple[tuple[float, ...], ...]:
    if given is None:
        return ()
    remedy = f"Give {form}."
    try:
        rows = [tuple(float(value) for value in row) for row in given]
    except (TypeError, ValueError, OverflowError):
        every = f"Give a list of all of them: [({form})]."
        raise InputError(f"A {name} of the prompt is not made of numbers.", every) from None
    for row in rows:
        if len(row) != count:
            raise InputError(f"A {name} of the prompt has {len(row)} numbers, not {count}.", remedy)
        if not np.isfinite(row).all():
            raise InputError(f"A {name} of the prompt is not finite: {_show(row)}.", remedy)
    return tuple(rows)


def _box_inside(box: Box, scale: tuple[int, int], width: int, height: int, warnings: list[str]) -> Box:
    x0, y0, x1, y1 = (value * scale[i % 2] for i, value in enumerate(box))
    if x0 > x1 or y0 > y1:
        x0, x1, y0, y1 = min(x0, x1), max(x0, x1), min(y0, y1), max(y0, y1)
        warnings.append(f"The box {_show(box)} was turned round: its corners are the wrong way.")
    if x1 <= 0 or y1 <= 0 or x0 >= width or y0 >= height:
        raise InputError(
            f"The box {_show(box)} lies outside the picture of {width} x {height} pixels.",
            "Give x0, y0, x1, y1 in pixels of the picture as it is shown, or fractions.",
        )
    left, top, right, bottom = max(x0, 0.0), max(y0, 0.0), min(x1, float(width)), min(y1, float(height))
    if right - left < 1 or bottom - top < 1:
        raise InputError(
            f"The box {_show(box)} holds no whole pixel of the picture of {width} x {height}.",
            "Draw it around the subject; fractions need their unit (or a % sign).",
        )
    if (left, top, right, bottom) != (x0, y0, x1, y1):
        warnings.append(f"The box {_show(box)} reaches out of the picture and was cut off at its border.")
    return left, top, right, bottom


def _point_inside(point: Point, scale: tuple[int, int], width: int, height: int, warnings: list[str]) -> Point:
    x, y = point[0] * scale[0], point[1] * scale[1]
    slip_x, slip_y = max(1.0, _SLIP * width), max(1.0, _SLIP * height)
    if not (-slip_x <= x <= width + slip_x and -slip_y <= y <= height + slip_y):
        raise InputError(
            f"The point {_show(point)} lies outside the picture of {width} x {height} pixels.",
            "Give x, y in pixels of the picture as it is shown, or fractions.",
        )
    # The right and lower border belong to the last pixels.
    inside = (min(max(x, 0.0), width - 0.5), min(max(y, 0.0), height - 0.5))
    if not (0 <= x < width and 0 <= y < height):
        warnings.append(f"The point {_show(point)} is on the border of the picture or beyond and was moved inside.")
        return inside
    return x, y


def _check_sense(prompt: Prompt, warnings: list[str]) -> None:
    """Refuse what contradicts itself; `prompt` is in pixels."""
    wanted, unwanted = ({(int(x), int(y)) for x, y in group} for group in (prompt.points, prompt.not_points))
    if both := wanted & unwanted:
        raise InputError(
            f"The point {_show(min(both))} is given both as the subject and as not the subject.",
            "Take one of them away.",
        )
    marks = prompt.scribbles
    if marks is not None:
        if any(marks[y, x] <= 0.1 for x, y in wanted) or any(marks[y, x] >= 0.9 for x, y in unwanted):
            raise InputError("A point contradicts the scribble under it.", "Take one of them away.")
        if not ((marks >= 0.9) | (marks <= 0.1)).any():
            raise InputError("The scribbles mark nothing.", "Mark foreground with 1 and background with 0.")
    if prompt.mask is not None and not (prompt.mask > 0.5).any():
        raise InputError("The prompt's mask marks nothing: no pixel is above one half.", "Mark the subject with 1.")
    says = prompt.text or prompt.boxes or prompt.points or prompt.mask is not None
    if not says and not (marks is not None and (marks >= 0.9).any()):
        raise InputError("The prompt only says what is not meant.", "Say also what is: a box, a point or a text.")
    for x, y in prompt.points:
        if prompt.boxes and not any(x0 <= x <= x1 and y0 <= y <= y1 for x0, y0, x1, y1 in prompt.boxes):
            warnings.append(f"The point {_show((x, y))} lies outside every box.")


Prompt.__init__ = knows_its_arguments(Prompt.__init__)  # type: ignore[method-assign]


def _show(numbers: Sequence[float]) -> str:
    return "(" + ", ".join(f"{number:g}" for number in numbers) + ")"
