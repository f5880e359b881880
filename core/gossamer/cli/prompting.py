"""The options that say what is meant: text, boxes, points, a rough mask, and which model looks for it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from gossamer.cli.parser import Parser, add_flags, given
from gossamer.errors import InputError
from gossamer.paths import read_text, source_path
from gossamer.prompting.coordinates import read_coordinates
from gossamer.prompting.prompt import Prompt
from gossamer.settings.finding import Finding
from gossamer.settings.parameters import nested

__all__ = ["add_prompt_flags", "finding_of", "prompt_of"]


def add_prompt_flags(parser: Parser) -> None:
    """Add the options that :func:`prompt_of` and the others read."""
    group = parser.add_argument_group("prompt")
    group.add_argument(
        "--text", action="append", default=[], metavar="PHRASE", help='what to cut out, e.g. "the lamp"; repeatable'
    )
    group.add_argument(
        "--box",
        action="append",
        default=[],
        metavar="X0,Y0,X1,Y1",
        help="a box around it, in pixels or with %% signs (10%%,20%%,50%%,90%%); repeatable",
    )
    group.add_argument("--point", action="append", default=[], metavar="X,Y", help="a point on it; repeatable")
    group.add_argument(
        "--not-point", action="append", default=[], metavar="X,Y", help="a point that does not belong to it; repeatable"
    )
    group.add_argument("--prompt-mask", metavar="FILE", help="a rough mask: a grey picture, white = the subject")
    group.add_argument(
        "--scribbles", metavar="FILE", help="a grey picture: white = subject, black = not, grey = undecided (a trimap)"
    )
    group.add_argument("--prompt", metavar="FILE", help="a prompt as JSON; the flags add to it")
    group = add_flags(
        parser,
        Finding,
        "finding",
        only=("prompt_model", "prompt_combine", "masks", "box_threshold", "text_threshold", "on_empty"),
    )
    group.add_argument(
        "--best-only",
        dest="Finding:every",
        action="store_false",
        default=argparse.SUPPRESS,
        help="of all that a phrase names only the best",
    )


def prompt_of(arguments: argparse.Namespace, *, elsewhere: bool = False) -> Prompt | None:
    """Return the prompt that the options make, or None where there is none; raises InputError.

    Parameters
    ----------
    arguments : argparse.Namespace
    elsewhere : bool
        There may be others, which the options for prompts are for then.
    """
    base = Prompt() if arguments.prompt is None else _load(source_path(arguments.prompt, "prompt"))
    coordinates = {
        "boxes": [read_coordinates(text, 4, "--box", "X0,Y0,X1,Y1") for text in arguments.box],
        "points": [read_coordinates(text, 2, "--point", "X,Y") for text in arguments.point],
        "not_points": [read_coordinates(text, 2, "--not-point", "X,Y") for text in arguments.not_point],
    }
    units = {unit for rows in coordinates.values() for _, unit in rows}
    if base.boxes or base.points or base.not_points:
        units.add(base.unit)
    if len(units) > 1:
        raise InputError("Some coordinates are pixels and some are percent.", "Give all with a % sign, or none.")
    fields: dict[str, Any] = {
        name: (*getattr(base, name), *(numbers for numbers, _ in rows)) for name, rows in coordinates.items()
    }
    planes = {"mask": arguments.prompt_mask, "scribbles": arguments.scribbles}
    fields |= {name: getattr(base, name) if path is None else Path(path) for name, path in planes.items()}
    fields["unit"] = units.pop() if units else "px"
    prompt = Prompt(text=(*base.text, *arguments.text), warnings=base.warnings, **fields)
    if prompt.is_empty and arguments.prompt is not None:
        raise InputError(f"The prompt {arguments.prompt} is empty.", "Give a text, a box, a point or a mask.")
    if not prompt.is_empty:
        return prompt
    if elsewhere:
        return None
    for name in given(arguments, Finding):
        name = "best-only" if name == "every" else name
        raise InputError(
            f"--{name.replace('_', '-')} is for prompts, and there is none.",
            "Give --text, --box, --point, --prompt-mask or --scribbles.",
        )
    return None


def finding_of(arguments: argparse.Namespace) -> Finding:
    """Return how the prompt's subjects are found, as the options say; raises InputError."""
    return Finding.of(**nested(Finding, given(arguments, Finding), Finding()))


def _load(path: Path) -> Prompt:
    return Prompt.from_json(read_text(path, "prompt", "Give a JSON file."), folder=path.parent)
