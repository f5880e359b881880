"""`gossamer check`: whether cut-outs of any tool are good, without knowing the truth."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

import gossamer
from gossamer.arrays import Array
from gossamer.cli.console import Console
from gossamer.cli.modelling import add_model_flags, model_choice_of
from gossamer.cli.naming import check_source
from gossamer.cli.parser import Parser, add_recipe_flags, given, recipe_of
from gossamer.cli.terminal import check_stdout, show, show_json, tell, warn
from gossamer.errors import InputError
from gossamer.evaluation import find_pairs
from gossamer.image import read_image
from gossamer.progress import Progress
from gossamer.quality import Check, check
from gossamer.segmentation.loading import load_models
from gossamer.settings import ModelChoice, Recipe

__all__ = ["run"]

FAULTY = 1  # the exit status where something is wrong with a cut-out


def run(argv: list[str]) -> int:
    """Run the command."""
    arguments = _parser().parse(argv)
    recipe = recipe_of(arguments)
    choice = model_choice_of(arguments) if given(arguments, ModelChoice) else None
    if choice is not None and arguments.against is None:
        raise InputError("A model has to see the photograph.", "Name it: --against PHOTO.")
    if arguments.json:
        check_stdout()
    rows: list[dict[str, Any]] = []
    status = 0
    with Console(arguments.quiet) as console:
        for number, path in enumerate(arguments.cutouts):
            part = Progress(console.progress).part(
                number / len(arguments.cutouts), (number + 1) / len(arguments.cutouts)
            )
            try:
                photo = _photo(arguments.against, path)
                found = _check(path, photo, arguments.mask, recipe, choice, part, console)
            except InputError as error:
                if len(arguments.cutouts) == 1:
                    raise
                status = InputError.exit_code
                rows.append({"cutout": path, "error": {"message": error.message, "remedy": error.remedy}})
                tell(f"gossamer: {error}")
                continue
            rows.append({"cutout": path, "photo": photo, **found.as_dict()})
            if found.faulty and status == 0:
                status = FAULTY
            if not arguments.quiet:
                for warning in found.warnings:
                    warn(warning)
            if not arguments.json:
                _show(path, found, arguments.quiet)
    if arguments.json:
        show_json({"gossamer": gossamer.__version__, "checks": rows})
    return status


def _parser() -> Parser:
    parser = Parser(
        "check",
        description="Check cut-outs of any tool without knowing the truth: a score from 0 to 100, and what is or may "
        "be wrong, in words. Exit status: 0 without a fault (notes do not count), 1 with one, 2 where something could "
        "not be read.",
    )
    parser.add_argument("cutouts", metavar="CUTOUT", nargs="+", help="pictures with alpha; with --against also masks")
    parser.add_argument(
        "--against",
        metavar="PHOTO",
        help="the photograph that they were cut from, or a folder of photographs of the same names; without it, halos, "
        "false holes and wrong subjects cannot be seen",
    )
    parser.add_argument("--mask", metavar="FILE", help="the mask that they were made of: what of it was lost?")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.add_argument("--quiet", action="store_true", help="scores alone, no progress and no warnings")
    add_recipe_flags(parser, only=("checks",))
    add_model_flags(parser, "a model's opinion of the photograph (only where one of these is given)")
    return parser


def _photo(against: str | None, cutout: str) -> str | None:
    """Return the photograph of a cut-out."""
    if against is None:
        return None
    if os.path.isdir(against):
        return str(find_pairs(check_source(cutout, "cut-out"), against).pairs[0].truth)
    return check_source(against, "photograph")


def _check(
    path: str,
    photo: str | None,
    mask: str | None,
    recipe: Recipe,
    choice: ModelChoice | None,
    steps: Progress,
    console: Console,
) -> Check:
    cutout = check_source(path, "cut-out")
    if choice is None or photo is None:
        return check(cutout, photo, mask, recipe, progress=steps)
    picture = read_image(photo, steps.part(0.0, 0.0))
    model = load_models(choice, progress=steps.part(0.0, 0.2), announce=console.say)
    opinion = model.predict(picture.pixels, steps.part(0.2, 0.5))
    turned = np.ascontiguousarray(picture.pixels[:, ::-1])
    mirror: Array = np.ascontiguousarray(model.predict(turned, steps.part(0.5, 0.7))[:, ::-1])
    return check(cutout, picture, mask, recipe, opinion=opinion, mirrored=mirror, progress=steps.part(0.7, 1.0))


def _show(path: str, found: Check, quiet: bool) -> None:
    show(f"{found.score:5.1f}  {path}")
    if not quiet:
        for flag in found.flags:
            show(f"       {flag.severity}, {flag.id}: {flag.reason} {flag.remedy}".rstrip())
