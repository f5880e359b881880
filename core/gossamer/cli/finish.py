"""`gossamer finish`: put a cut-out from anywhere on a canvas."""

from __future__ import annotations

from gossamer.canvas.finishing import COLOURS, finish_cutout
from gossamer.cli.console import Console
from gossamer.cli.cutting import Target, add_output_flags, read_picture
from gossamer.cli.naming import add_more, check_source, names_of
from gossamer.cli.parser import Parser, add_recipe_flags, recipe_of
from gossamer.progress import Progress

__all__ = ["run"]

_STAGES = ("background", "canvas", "shadow", "output")


def run(argv: list[str]) -> int:
    """Run the command."""
    parser = Parser(
        "finish", description="Put a cut-out on a canvas: crop, size, margins, background, shadow, a shop's preset."
    )
    parser.add_argument("input", metavar="CUTOUT", help="a picture with transparency; - reads stdin")
    parser.add_argument(
        "output", metavar="OUT", nargs="?", help=".png, .webp, .tif, or .jpg with a background; - is stdout"
    )
    parser.add_argument(
        "--colours",
        choices=COLOURS,
        default="auto",
        help="how they lie in CUTOUT: straight, or multiplied by its alpha; auto looks (default: auto)",
    )
    add_more(parser, "finish")
    add_output_flags(parser)
    add_recipe_flags(parser, only=_STAGES)
    arguments = parser.parse(argv)
    arguments.names = names_of(arguments, "input")
    if arguments.output is None and arguments.out is None:
        parser.error("the following arguments are required: OUT")
    source = check_source(arguments.input, "cut-out")
    recipe = recipe_of(arguments)
    target = Target(arguments.input, arguments, recipe)
    with Console(arguments.quiet) as console:
        steps = Progress(console.progress)
        picture = read_picture(source, steps.part(0.0, 0.1))
        cutout = finish_cutout(picture, recipe, colours=arguments.colours, progress=steps.part(0.1, 0.7))
        report = target.write(cutout, steps.part(0.7, 1.0))
    target.tell(report)
    return 0
