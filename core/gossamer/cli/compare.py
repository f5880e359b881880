"""`gossamer compare`: a contact sheet of several recipes, or of finished cut-outs."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from gossamer.cli.console import Console
from gossamer.cli.modelling import add_model_flags, model_choice_of
from gossamer.cli.naming import add_out_flag, check_source, positional_target
from gossamer.cli.parser import Parser
from gossamer.compositing import read_backdrop
from gossamer.errors import InputError
from gossamer.image import SHEET, check_output, check_size_for, encode_image, format_of, read_image, write_bytes
from gossamer.image.limits import check_size
from gossamer.matting.preparing import prepare_matting
from gossamer.parallel.patience import patiently
from gossamer.paths import target_path
from gossamer.pipeline import Pipeline
from gossamer.progress import Progress
from gossamer.settings.recipe import Recipe
from gossamer.sheets.contact_sheet import Entry, contact_sheet, sheet_size

__all__ = ["run"]


def run(argv: list[str]) -> int:
    """Run the command."""
    arguments = _parser().parse(argv)
    output = _output(arguments)
    check_output(output, force=arguments.force)
    if arguments.width < 16 or arguments.crops < 0:
        raise InputError("So small a sheet cannot be drawn.", "Give 16 or more with --width, 0 or more with --crops.")
    inputs = [check_source(given, "cut-out") for given in arguments.inputs]
    with Console(arguments.quiet) as console:
        if arguments.recipe:
            entries = _by_recipe(inputs, arguments, output, console)
        else:
            steps = Progress(console.progress)
            count = len(inputs)
            entries = [_finished(path, steps.part(i / count, (i + 1) / count)) for i, path in enumerate(inputs)]
            _check_sheet(entries[0].alpha.shape, len(entries), arguments, output)
        steps = Progress(console.progress, 0.9)
        steps(0.0, "Drawing the sheet")
        sheet = patiently(lambda: contact_sheet(entries, width=arguments.width, crops=arguments.crops), steps)
        data = encode_image(sheet, None, format_of(output), software=SHEET, progress=steps)
        write_bytes(output, data, force=arguments.force)
        console.say(f"Wrote {output} ({sheet.shape[1]} x {sheet.shape[0]})")
    return 0


def _output(arguments: argparse.Namespace) -> str:
    """Return where the sheet goes: OUT, or what --out names; then all names are inputs, which are put right here."""
    given = [arguments.output, *arguments.inputs]
    arguments.inputs = given if arguments.out is not None else given[1:]
    if not arguments.inputs:
        raise InputError("The following arguments are required: IN.", "See: gossamer compare --help")
    if arguments.out is not None:
        return str(target_path(arguments.out))
    positional_target(arguments.output, arguments, given, SHEET)
    return str(target_path(arguments.output))


def _parser() -> Parser:
    parser = Parser(
        "compare",
        description="Write a contact sheet: over black, white, grey and magenta, with edges at 400 %.",
    )
    parser.add_argument("output", metavar="OUT", help="the sheet: .png, .jpg, .webp or .tif")
    parser.add_argument(
        "inputs",
        metavar="IN",
        nargs="*",
        default=[],
        help="cut-outs with alpha; with --recipe: one photograph",
    )
    parser.set_defaults(command="compare")
    add_out_flag(parser)
    parser.add_argument(
        "--recipe", metavar="FILE", action="append", default=[], help="cut the photograph with this recipe (repeat it)"
    )
    add_model_flags(parser)
    parser.add_argument("--width", type=int, default=320, metavar="N", help="width of a cell in pixels (default: 320)")
    parser.add_argument("--crops", type=int, default=2, metavar="N", help="enlarged edges a row (default: 2)")
    parser.add_argument("--force", action="store_true", help="replace an earlier sheet; what --out names in any case")
    parser.add_argument("--quiet", action="store_true", help="say nothing unless it fails")
    return parser


def _by_recipe(inputs: list[str], arguments: argparse.Namespace, output: str, console: Console) -> list[Entry]:
    if len(inputs) != 1:
        raise InputError("Several recipes are compared on one photograph.", "Give one IN together with --recipe.")
    # Edges are compared where they are in the photograph.
    settings = [(Path(path).stem, Recipe.load(path).unfinished()) for path in arguments.recipe]
    picture = read_image(inputs[0], console.progress)
    # What would make the work useless is found before it.
    _check_sheet((picture.height, picture.width), len(settings), arguments, output)
    pipeline = Pipeline(choice=model_choice_of(arguments))
    for _, recipe in settings:
        read_backdrop(recipe.background, picture.icc_profile)
        steps = Progress.of(console.progress)
        prepare_matting(recipe.matting, progress=steps, device=pipeline.choice.device, announce=console.say)
    entries = []
    for name, recipe in settings:
        cutout = pipeline.run(picture, console.progress, recipe=recipe, announce=console.say)
        entries.append(Entry(name, cutout.foreground, cutout.alpha))
    return entries


def _check_sheet(shape: tuple[int, ...], count: int, arguments: argparse.Namespace, output: str) -> None:
    """Refuse a sheet that would be too large for memory, or for its format."""
    height, width = sheet_size((shape[0], shape[1]), count, width=arguments.width, crops=arguments.crops)
    check_size(width, height, "The sheet")
    check_size_for(format_of(output), width, height)


def _finished(path: str, steps: Progress) -> Entry:
    picture = read_image(path, steps)
    if picture.alpha is None:
        raise InputError(f"{path} has no alpha: it is no cut-out.", "Give cut-outs, or a photograph with --recipe.")
    return Entry(Path(path).name, np.asarray(picture.rgb), np.asarray(picture.alpha))
