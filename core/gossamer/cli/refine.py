"""`gossamer refine`: finish a mask from anywhere."""

from __future__ import annotations

from gossamer.cli.console import Console
from gossamer.cli.cutting import Target, add_output_flags, read_picture
from gossamer.cli.naming import add_more, check_source, names_of
from gossamer.cli.parser import Parser, add_recipe_flags, recipe_of
from gossamer.cli.shadow_layer import add_shadow_flag, apart, finding_shadow, shadow_file
from gossamer.pipeline import refine
from gossamer.progress import Progress

__all__ = ["run"]


def run(argv: list[str]) -> int:
    """Run the command."""
    parser = Parser("refine", description="Finish a mask from anywhere: matting, foreground colours, background.")
    parser.add_argument("input", metavar="IMAGE", help="the picture; - reads stdin")
    parser.add_argument(
        "mask", metavar="MASK", help="a grey picture of its size, white = foreground, or one with alpha"
    )
    parser.add_argument(
        "output", metavar="OUT", nargs="?", help=".png, .webp, .tif, or .jpg with a background; - is stdout"
    )
    add_more(parser, "refine")
    add_shadow_flag(parser)
    add_output_flags(parser)
    add_recipe_flags(parser)
    arguments = parser.parse(argv)
    arguments.names = names_of(arguments, "input", "mask")
    if arguments.output is None and arguments.out is None:
        parser.error("the following arguments are required: OUT")
    source, mask = check_source(arguments.input), check_source(arguments.mask, "mask")
    recipe = recipe_of(arguments)
    target = Target(arguments.input, arguments, recipe)
    recipe = finding_shadow(recipe, arguments, target.path)
    with Console(arguments.quiet) as console:
        steps = Progress(console.progress)
        picture = read_picture(source, steps.part(0.0, 0.05))
        target.check(picture)
        cutout = refine(picture, mask, recipe, progress=steps.part(0.05, 0.9), announce=console.say)
        report = target.write(
            apart(cutout, arguments),
            steps.part(0.9, 1.0),
            lambda part: shadow_file(cutout, arguments, part),
        )
    target.tell(report)
    return 0
