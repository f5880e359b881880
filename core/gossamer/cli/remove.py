"""`gossamer remove`: cut the subject of one picture out."""

from __future__ import annotations

import argparse

from gossamer.cli.console import Console
from gossamer.cli.cutting import Target, add_output_flags, read_picture
from gossamer.cli.modelling import add_model_flags, model_choice_of
from gossamer.cli.naming import add_more, check_second, check_source, names_of
from gossamer.cli.parser import Parser, add_recipe_flags, recipe_of
from gossamer.cli.prompting import add_prompt_flags, finding_of, prompt_of
from gossamer.cli.shadow_layer import add_shadow_flag, apart, finding_shadow, shadow_file
from gossamer.cutout import Cutout
from gossamer.errors import InputError
from gossamer.image import encode_image, format_of
from gossamer.pipeline import Pipeline
from gossamer.progress import Progress
from gossamer.session import Session

__all__ = ["run"]


def run(argv: list[str]) -> int:
    """Run the command."""
    arguments = _parser().parse(argv)
    arguments.names = names_of(arguments, "input")
    source = check_source(arguments.input)
    prompt = prompt_of(arguments)
    recipe = recipe_of(arguments)
    choice, finding = model_choice_of(arguments), finding_of(arguments)
    target = Target(arguments.input, arguments, recipe)
    recipe = finding_shadow(recipe, arguments, target.path)
    if arguments.disagreement:
        if prompt is not None or "," not in choice.model:
            raise InputError("One model disagrees with nobody.", "Name several with --model, with commas between.")
        others = {"OUT": target.path, "--shadow-layer": arguments.shadow_layer}
        check_second("--disagreement", arguments.disagreement, arguments.force, **others)
    with Console(arguments.quiet) as console:
        steps = Progress(console.progress)
        picture = read_picture(source, steps.part(0.0, 0.05))
        target.check(picture)
        part = steps.part(0.05, 0.9)
        if prompt is None:
            cutout = Pipeline(recipe, choice).run(picture, part, announce=console.say)
        else:
            session = Session(picture, finding=finding, choice=choice)
            cutout = session.cutout(prompt, recipe=recipe, progress=part, announce=console.say)
        part = steps.part(0.9, 1.0)
        report = target.write(apart(cutout, arguments), part, lambda part: _beside(cutout, arguments, part))
    target.tell(report)
    return 0


def _beside(cutout: Cutout, arguments: argparse.Namespace, steps: Progress) -> list[tuple[str, bytes]]:
    """Return the files beside the cut-out: its shadow's layer, and where several models disagree."""
    files = shadow_file(cutout, arguments, steps.part(0.0, 0.5))
    if arguments.disagreement and cutout.disagreement is not None:
        part = steps.part(0.5, 1.0)
        data = encode_image(None, cutout.disagreement, format_of(arguments.disagreement), progress=part)
        files.append((arguments.disagreement, data))
    return files


def _parser() -> Parser:
    parser = Parser("remove", description="Cut the subject of a picture out.")
    parser.add_argument("input", metavar="IN", help="JPEG, PNG, WebP, TIFF, BMP, AVIF or HEIC; - reads stdin")
    parser.add_argument(
        "output",
        metavar="OUT",
        nargs="?",
        help=".png, .webp, .tif, or .jpg with a background; - writes PNG to stdout (default: IN-cutout.png)",
    )
    add_more(parser, "remove")
    add_prompt_flags(parser)
    add_model_flags(parser)
    parser.add_argument("--disagreement", metavar="FILE", help="write where the masks of several models differ")
    add_shadow_flag(parser)
    add_output_flags(parser)
    add_recipe_flags(parser)
    return parser
