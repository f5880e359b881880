"""`gossamer remove`: cut the subject of one picture out."""

from __future__ import annotations

from gossamer.cli.console import Console
from gossamer.cli.cutting import Target, add_output_flags, read_stdin
from gossamer.cli.parser import Parser, add_recipe_flags, recipe_of
from gossamer.image import read_image
from gossamer.pipeline import Pipeline
from gossamer.runtime.devices import DEVICES

__all__ = ["run"]


def run(argv: list[str]) -> int:
    """Run the command."""
    arguments = _parser().parse_intermixed_args(argv)
    recipe = recipe_of(arguments)
    target = Target(arguments.input, arguments, recipe)
    with Console(arguments.quiet) as console:
        picture = read_image(read_stdin() if arguments.input == "-" else arguments.input)
        pipeline = Pipeline(
            recipe,
            model=arguments.model,
            device=arguments.device,
            architecture=arguments.architecture,
            announce=console.say,
        )
        report = target.write(pipeline.run(picture, console.progress))
    target.tell(report)
    return 0


def _parser() -> Parser:
    parser = Parser("remove", description="Cut the subject of a picture out.")
    parser.add_argument("input", metavar="IN", help="JPEG, PNG, WebP, TIFF, BMP, AVIF or HEIC; - reads stdin")
    parser.add_argument(
        "output",
        metavar="OUT",
        nargs="?",
        help=".png, .webp, .tif, or .jpg with a background; - writes PNG to stdout (default: IN-cutout.png)",
    )
    parser.add_argument("--model", default="auto", metavar="ID|FILE", help="catalogue id or .onnx file (default: auto)")
    parser.add_argument("--architecture", metavar="NAME", help="architecture of an .onnx file, e.g. isnet")
    parser.add_argument("--device", default="auto", choices=DEVICES, help="where the model runs (default: auto)")
    add_output_flags(parser)
    add_recipe_flags(parser)
    return parser
