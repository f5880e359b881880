"""`gossamer refine`: finish a mask from anywhere."""

from __future__ import annotations

from gossamer.cli.console import Console
from gossamer.cli.cutting import Target, add_output_flags, read_stdin
from gossamer.cli.parser import Parser, add_recipe_flags, recipe_of
from gossamer.image import read_image
from gossamer.pipeline import refine
from gossamer.settings.recipe import FINISHING

__all__ = ["run"]


def run(argv: list[str]) -> int:
    """Run the command."""
    parser = Parser("refine", description="Finish a mask from anywhere: matting, foreground colours, background.")
    parser.add_argument("input", metavar="IMAGE", help="the picture; - reads stdin")
    parser.add_argument(
        "mask", metavar="MASK", help="a grey picture of its size, white = foreground, or one with alpha"
    )
    parser.add_argument("output", metavar="OUT", help=".png, .webp, .tif, or .jpg with a background; - is stdout")
    add_output_flags(parser)
    add_recipe_flags(parser, FINISHING)
    arguments = parser.parse_intermixed_args(argv)
    recipe = recipe_of(arguments, FINISHING)
    target = Target(arguments.input, arguments, recipe)
    with Console(arguments.quiet) as console:
        picture = read_image(read_stdin() if arguments.input == "-" else arguments.input)
        report = target.write(refine(picture, arguments.mask, recipe, progress=console.progress))
    target.tell(report)
    return 0
