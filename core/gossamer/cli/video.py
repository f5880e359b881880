"""`gossamer video`: cut the subject of a clip out."""

from __future__ import annotations

import dataclasses
import os

import gossamer
from gossamer.cli.console import Console
from gossamer.cli.modelling import add_model_flags, model_choice_of
from gossamer.cli.parser import Parser, add_flags, add_recipe_flags, given, recipe_of
from gossamer.cli.terminal import check_stdout, show_json, tell, warn
from gossamer.errors import Cancelled, InputError
from gossamer.settings.video import Video

__all__ = ["run"]


def run(argv: list[str]) -> int:
    """Run the command."""
    arguments = _parser().parse(argv)
    output = arguments.out or arguments.output
    if output is None:
        raise InputError("Nothing says where the result goes.", "Give OUT, e.g. cutout.mov, or --out FILE.")
    if arguments.out and arguments.output:
        raise InputError(f"Both {arguments.output} and --out say what is to be written.", "Give one of them.")
    settings, recipe = Video.of(**given(arguments, Video)), recipe_of(arguments)
    choice = model_choice_of(arguments)
    if arguments.json:
        check_stdout()
    from gossamer.video import cut_video

    with Console(arguments.quiet) as console:
        try:
            report = cut_video(
                arguments.input,
                output,
                settings,
                recipe,
                choice,
                force=arguments.force,
                resume=arguments.resume,
                progress=console.progress,
                announce=console.say,
            )
        except (Cancelled, KeyboardInterrupt):
            if os.path.isdir(f"{output}.parts"):
                console.say(f"What is finished lies in {output}.parts; add --resume to go on with it.")
            raise
    if not arguments.quiet:
        for warning in report.warnings:
            warn(warning)
    if arguments.json:
        show_json({"gossamer": gossamer.__version__, "input": arguments.input, **dataclasses.asdict(report)})
    elif not arguments.quiet:
        tell(
            f"Wrote {report.output} ({report.frames} frames of {report.width} x {report.height}, "
            f"{report.model} on {report.device}, {report.seconds['total']:.1f} s, {report.fps:.3g} frames/s)"
        )
    return 0


def _parser() -> Parser:
    parser = Parser(
        "video",
        description="Cut the subject of a clip out, of any length. What is finished lies in OUT.parts until all is: "
        "a run that was ended goes on with --resume.",
    )
    parser.add_argument("input", metavar="IN", help="a clip that FFmpeg reads, or a folder of numbered pictures")
    parser.add_argument(
        "output",
        metavar="OUT",
        nargs="?",
        help=".mov (ProRes 4444), .webm (VP9), .mkv (FFV1), .mp4 with a background, or a new folder for pictures",
    )
    parser.add_argument("-o", "--out", metavar="FILE", help="the same, instead of OUT")
    parser.add_argument("--resume", action="store_true", help="go on with what an ended run left in OUT.parts")
    parser.add_argument("--force", action="store_true", help="replace OUT and OUT.parts")
    parser.add_argument("--quiet", action="store_true", help="say nothing unless it fails")
    parser.add_argument("--json", action="store_true", help="print a report as JSON")
    add_flags(parser, Video, "clip")
    add_model_flags(parser)
    add_recipe_flags(parser)
    return parser
