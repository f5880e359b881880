"""`gossamer compare`: a contact sheet of several recipes, or of finished cut-outs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gossamer.cli.console import Console
from gossamer.cli.modelling import add_model_flags, model_choice_of
from gossamer.cli.parser import Parser
from gossamer.errors import InputError
from gossamer.image import check_output, encode_image, format_of, read_image, write_bytes
from gossamer.pipeline import Pipeline
from gossamer.settings.model_choice import ModelChoice
from gossamer.settings.recipe import Recipe
from gossamer.sheets.contact_sheet import Entry, contact_sheet

__all__ = ["run"]


def run(argv: list[str]) -> int:
    """Run the command."""
    arguments = _parser().parse_intermixed_args(argv)
    check_output(arguments.output, force=arguments.force)
    with Console(arguments.quiet) as console:
        if arguments.recipe:
            entries = _by_recipe(arguments.inputs, arguments.recipe, model_choice_of(arguments), console)
        else:
            entries = [_finished(path) for path in arguments.inputs]
        sheet = contact_sheet(entries, width=arguments.width, crops=arguments.crops)
        write_bytes(arguments.output, encode_image(sheet, None, format_of(arguments.output)), force=arguments.force)
        console.say(f"Wrote {arguments.output} ({sheet.shape[1]} x {sheet.shape[0]})")
    return 0


def _parser() -> Parser:
    parser = Parser(
        "compare",
        description="Write a contact sheet: over black, white, grey and magenta, with edges at 400 %.",
    )
    parser.add_argument("output", metavar="OUT", help="the sheet: .png, .jpg, .webp or .tif")
    parser.add_argument("inputs", metavar="IN", nargs="+", help="cut-outs with alpha; with --recipe: one photograph")
    parser.add_argument(
        "--recipe", metavar="FILE", action="append", default=[], help="cut the photograph with this recipe (repeat it)"
    )
    add_model_flags(parser)
    parser.add_argument("--width", type=int, default=320, metavar="N", help="width of a cell in pixels (default: 320)")
    parser.add_argument("--crops", type=int, default=2, metavar="N", help="enlarged edges a row (default: 2)")
    parser.add_argument("--force", action="store_true", help="replace OUT where it exists")
    parser.add_argument("--quiet", action="store_true", help="say nothing unless it fails")
    return parser


def _by_recipe(inputs: list[str], recipes: list[str], choice: ModelChoice, console: Console) -> list[Entry]:
    if len(inputs) != 1:
        raise InputError("Several recipes are compared on one photograph.", "Give one IN together with --recipe.")
    settings = [(Path(path).stem, Recipe.load(path)) for path in recipes]
    picture = read_image(inputs[0])
    pipeline = Pipeline(choice=choice)
    entries = []
    for name, recipe in settings:
        cutout = pipeline.run(picture, console.progress, recipe=recipe, announce=console.say)
        entries.append(Entry(name, cutout.foreground, cutout.alpha))
    return entries


def _finished(path: str) -> Entry:
    picture = read_image(path)
    if picture.alpha is None:
        raise InputError(f"{path} has no alpha: it is no cut-out.", "Give cut-outs, or a photograph with --recipe.")
    return Entry(Path(path).name, np.asarray(picture.rgb), np.asarray(picture.alpha))
