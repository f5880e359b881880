"""`gossamer video`: cut the subject of a clip out."""

from __future__ import annotations

import argparse
import dataclasses
import os
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import gossamer
from gossamer.cli.console import Console
from gossamer.cli.modelling import add_model_flags, model_choice_of
from gossamer.cli.parser import Parser, add_flags, add_recipe_flags, given, recipe_of
from gossamer.cli.terminal import check_stdout, show_json, tell, warn
from gossamer.errors import Cancelled, InputError
from gossamer.prompting.coordinates import read_coordinates
from gossamer.prompting.prompt import Prompt
from gossamer.settings.video import Video, read_time

__all__ = ["run"]


def run(argv: list[str]) -> int:
    """Run the command."""
    arguments = _parser().parse(argv)
    output = arguments.out or arguments.output
    if output is None:
        raise InputError("Nothing says where the result goes.", "Give OUT, e.g. cutout.mov, or --out FILE.")
    if arguments.out and arguments.output:
        raise InputError(f"Both {arguments.output} and --out say what is to be written.", "Give one of them.")
    if "-" in (arguments.input, output):  # elsewhere a standard stream; here it would be a folder of that name
        raise InputError(
            "A clip is read from a file or a folder, and written into one, not from or to -.",
            "Give their names, or see gossamer camera, which takes and gives streams.",
        )
    settings, recipe = Video.of(**given(arguments, Video)), recipe_of(arguments)
    choice = model_choice_of(arguments)
    said = _prompts(arguments.said, settings)
    if arguments.json:
        check_stdout()
    from gossamer.video import TimedPrompt, cut_video

    prompts = [TimedPrompt(at, prompt) for at, prompt in said]
    with Console(arguments.quiet) as console:
        try:
            report = cut_video(
                arguments.input,
                output,
                settings,
                recipe,
                choice,
                prompts=prompts,
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
        frames = f"{report.frames} frame{'s' * (report.frames != 1)}"
        tell(
            f"Wrote {report.output} ({frames} of {report.width} x {report.height}, "
            f"{report.model or 'no model'} on {report.device}, {report.seconds['total']:.1f} s, "
            f"{report.fps:.3g} frames/s)"
        )
    return 0


def _parser() -> Parser:
    parser = Parser(
        "video",
        description="Cut the subject of a clip out, of any length. What is finished lies in OUT.parts until all is: "
        "a run that was ended goes on with --resume. --background takes a clip, too.",
    )
    parser.add_argument("input", metavar="IN", help="a clip that FFmpeg reads, or a folder of numbered pictures")
    parser.add_argument(
        "output",
        metavar="OUT",
        nargs="?",
        help=".mov (ProRes 4444), .webm (VP9), .mkv (FFV1), .mp4 with a background, .gif, .webp, .apng, or a new "
        "folder for pictures",
    )
    parser.add_argument("-o", "--out", metavar="FILE", help="the same, instead of OUT")
    parser.add_argument("--resume", action="store_true", help="go on with what an ended run left in OUT.parts")
    parser.add_argument("--force", action="store_true", help="replace OUT and OUT.parts")
    parser.add_argument("--quiet", action="store_true", help="say nothing unless it fails")
    parser.add_argument("--json", action="store_true", help="print a report as JSON")
    _add_prompts(parser)
    add_flags(parser, Video, "clip")
    add_model_flags(parser)
    add_recipe_flags(parser, hidden=("canvas", "shadow", "output"))
    return parser


_SAID = {"--box": (4, "X0,Y0,X1,Y1"), "--point": (2, "X,Y"), "--not-point": (2, "X,Y")}
_FIELDS = {"--box": "boxes", "--point": "points", "--not-point": "not_points"}


class _InOrder(argparse.Action):
    """Keeps what is said in its order: a time is that of all that follows it."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        namespace.said = [*namespace.said, (self.option_strings[0], values)]


def _add_prompts(parser: Parser) -> None:
    group = parser.add_argument_group(
        "prompt",
        "What is meant on one frame is followed by SAM 2.1, or by SAM 3 (--model sam3), through all of them, forth and "
        "back.",
    )
    group.add_argument(
        "--at",
        action=_InOrder,
        dest="said",
        default=[],
        metavar="TIME",
        help="when what follows is meant: seconds, or h:mm:ss, of the clip (default: at the in point)",
    )
    helps = {
        "--box": "a box around the subject, in pixels or with %% signs; several at one time: several subjects",
        "--point": "a point on it; alone, on a later frame: what was followed is corrected",
        "--not-point": "a point that does not belong to it",
    }
    for name, (_, form) in _SAID.items():
        group.add_argument(name, action=_InOrder, dest="said", default=[], metavar=form, help=helps[name])
    group.add_argument(
        "--text",
        action=_InOrder,
        dest="said",
        default=[],
        metavar="WORDS",
        help="words for it; again for another thing: looked for in that frame by SAM 3, or Grounding DINO with SAM 2.1",
    )


def _prompts(said: Sequence[tuple[str, str]], settings: Video) -> list[tuple[Fraction, Prompt]]:
    """Return what is meant at which times; raises InputError."""
    at, found = settings.span[0], dict[Fraction, dict[str, list[Any]]]()
    for option, text in said:
        if option == "--at":
            try:
                at = read_time(text)
            except ValueError:
                raise InputError(f"--at {text} is no time.", "Give seconds, e.g. 12.5, or 0:01:12.5.") from None
            continue
        if option == "--text":
            found.setdefault(at, {}).setdefault("text", []).append(text)
            continue
        count, form = _SAID[option]
        numbers, unit = read_coordinates(text, count, option, form)
        here = found.setdefault(at, {})
        if here.setdefault("unit", [unit]) != [unit]:
            raise InputError("Some coordinates are pixels and some are percent.", "Give all with a % sign, or none.")
        here.setdefault(_FIELDS[option], []).append(numbers)
    if said and not found:
        raise InputError("--at says when, and nothing says what.", "Add --box, --point or --text after it.")
    made = []
    for time, named in sorted(found.items()):
        fields: dict[str, Any] = {name: tuple(rows) for name, rows in named.items()}
        if "unit" in named:
            fields["unit"] = named["unit"][0]
        made.append((time, Prompt(**fields)))
    return made
