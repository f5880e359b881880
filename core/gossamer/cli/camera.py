"""`gossamer camera`: put something else behind whoever is before a camera, as it happens."""

from __future__ import annotations

import dataclasses

import gossamer
from gossamer.cli.console import Console
from gossamer.cli.modelling import add_model_flags
from gossamer.cli.parser import Parser, add_flags, add_recipe_flags, given, recipe_of
from gossamer.cli.terminal import check_stdout, show_json, tell, warn
from gossamer.errors import InputError
from gossamer.platform import usual_camera
from gossamer.settings.model_choice import ModelChoice
from gossamer.settings.video import Live

__all__ = ["run"]

_MODEL = "rvm-mobilenetv3"  # made for people, and fast: its licence is accepted once, as for clips


def run(argv: list[str]) -> int:
    """Run the command."""
    arguments = _parser().parse(argv)
    source = arguments.input or usual_camera()
    if not source:
        raise InputError("Nothing says which camera.", 'Give its name: gossamer camera "video=Integrated Camera"')
    if arguments.output == "-":
        if arguments.json:
            raise InputError(
                "Pictures and the report would both go to standard output.", "Leave --json out, or give a pipe for OUT."
            )
        check_stdout()
    elif arguments.json:
        check_stdout()
    settings, recipe = Live.of(**given(arguments, Live)), recipe_of(arguments)
    wanted = given(arguments, ModelChoice)
    named = {"model", "quality", "subject"} & set(wanted)
    choice = ModelChoice.of(**wanted) if named else ModelChoice.of(**{**wanted, "model": _MODEL})
    from gossamer.video.live import cut_live

    with Console(arguments.quiet) as console:
        report = cut_live(
            source,
            arguments.output,
            settings,
            recipe,
            choice,
            progress=console.progress,
            announce=console.say,
        )
    if not arguments.quiet:
        for warning in report.warnings:
            warn(warning)
    if arguments.json:
        show_json({"gossamer": gossamer.__version__, "input": source, **dataclasses.asdict(report)})
    elif not arguments.quiet:
        frames = f"{report.shown} frame{'s' * (report.shown != 1)}"
        tell(
            f"Showed {frames} of {report.width} x {report.height} ({report.fps:.3g} of {report.rate:.3g} "
            f"frames/s, {report.dropped} left out, {report.latency_ms:.0f} ms behind, seen at "
            f"{100 * report.mean_scale:.0f} % on average, {report.model or 'no model'} on {report.device})"
        )
    return 0


def _parser() -> Parser:
    parser = Parser(
        "camera",
        description="Put a blur, a colour, a picture or a clip behind whoever is before a camera, as it happens. The "
        "newest picture is taken; where the machine is too slow for the rate, the model looks at smaller ones. "
        "Ctrl-C ends it.",
    )
    parser.add_argument(
        "input",
        metavar="IN",
        nargs="?",
        help="a camera (/dev/video0 or 0; on macOS 0, on Windows video=NAME), - or a pipe, or a clip, played at its "
        f"own rate (default: {usual_camera() or 'none'})",
    )
    parser.add_argument(
        "output",
        metavar="OUT",
        nargs="?",
        default="window",
        help="window, which Esc closes, - or a pipe (H.264 in Matroska, see --write), or a device of v4l2loopback "
        "(default: window)",
    )
    parser.add_argument("--quiet", action="store_true", help="say nothing unless it fails")
    parser.add_argument("--json", action="store_true", help="print a report as JSON, at the end")
    add_flags(parser, Live, "camera")
    add_model_flags(parser)
    add_recipe_flags(parser, hidden=("canvas", "shadow", "output"))
    return parser
