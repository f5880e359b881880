"""`gossamer finetune`: train a network on one's own pictures."""

from __future__ import annotations

import sys
import time

import gossamer
from gossamer.cli.console import Console
from gossamer.cli.parser import Parser, add_flags, given
from gossamer.cli.terminal import check_stdout, show_json, tell
from gossamer.errors import Cancelled, InputError
from gossamer.settings.dataset import Data
from gossamer.settings.training import Training

__all__ = ["run"]

_LINE = 30.0  # seconds between two lines of progress where there is no terminal


def run(argv: list[str]) -> int:
    """Run the command."""
    arguments = _parser().parse(argv)
    settings, reading = Training.of(**given(arguments, Training)), Data(**given(arguments, Data))
    if arguments.out is None:
        raise InputError("Nothing says where the training goes.", "Give a new folder as --out.")
    if arguments.json:
        check_stdout()
    from gossamer.training.loop import finetune

    with Console(arguments.quiet) as console:
        shown = _Shown(console, arguments.quiet)
        try:
            report = finetune(
                arguments.data,
                arguments.out,
                settings,
                model=arguments.model,
                architecture=arguments.architecture,
                dataset=reading,
                general=arguments.general_data,
                backgrounds=arguments.backgrounds,
                photographs=arguments.general_photographs,
                resume=arguments.resume,
                accept_licence=arguments.accept_licence,
                progress=shown.progress,
                announce=console.say,
            )
        except (Cancelled, KeyboardInterrupt):
            console.say(f"What was reached lies in {arguments.out}; add --resume to go on with it.")
            raise
    if not report.before:
        return 0  # one of several processes, and not the one that speaks
    if arguments.json:
        show_json({"gossamer": gossamer.__version__, **report.as_dict()})
    elif not arguments.quiet:
        made, key = (report.made, "iou") if report.made else (f"{report.out}/best.safetensors", "weighted_f")
        measure = "IoU" if report.made else "weighted F"
        before, after = report.before[key], report.after[key]
        if report.best_step:
            tell(
                f"Wrote {made}: {measure} {after:.3f} in validation, {before:.3f} "
                f"before ({report.steps} steps, the best after {report.best_step}{_way(report.share)})."
            )
        else:
            tell(
                f"Nothing became better than {report.base} itself ({measure} {before:.3f}): its weights lie in "
                f"{report.made or report.out}."
            )
    return 0


def _way(share: float) -> str:
    return "" if share == 1 else f", {share:.0%} of the way from the base: more would have forgotten too much"


class _Shown:
    """Shows progress: a bar on a terminal, a line every half minute elsewhere."""

    def __init__(self, console: Console, quiet: bool) -> None:
        self._console, self._quiet = console, quiet
        self._next = time.monotonic() + _LINE

    def progress(self, fraction: float, message: str) -> None:
        """Show how far it is."""
        self._console.progress(fraction, message)
        if not self._quiet and not sys.stderr.isatty() and message and time.monotonic() > self._next:
            self._next = time.monotonic() + _LINE
            self._console.say(message)


def _parser() -> Parser:
    parser = Parser(
        "finetune",
        description="Train a network on your own pictures. The folder then holds best.safetensors, the weights that "
        "did best on pictures that nothing learnt from, with curves, the worst masks and checkpoints: a run that was "
        "ended goes on with --resume.",
    )
    parser.add_argument(
        "data",
        metavar="DATA",
        help="pictures with masks, cut-outs, COCO or a table, as gossamer dataset check reads them; for "
        "rvm-mobilenetv3 clips, as gossamer dataset check --clips does",
    )
    parser.add_argument("-o", "--out", metavar="FOLDER", help="a new folder for the training")
    parser.add_argument(
        "--model", metavar="ID|FILE", default="u2netp", help="what to begin with (default: u2netp, the smallest)"
    )
    parser.add_argument("--architecture", metavar="NAME", default="auto", help="for a file: what feeds it")
    parser.add_argument(
        "--general-data", metavar="DATA", help="pictures of anything with masks, so that the network forgets nothing"
    )
    parser.add_argument(
        "--general-photographs",
        metavar="FOLDER",
        help="pictures of anything, without masks: what the base finds in them the network is to go on finding",
    )
    parser.add_argument("--backgrounds", metavar="FOLDER", help="pictures that cut-outs are laid over")
    parser.add_argument("--resume", action="store_true", help="go on with what an ended run left in OUT")
    parser.add_argument("--accept-licence", action="store_true", help="accept a licence without commercial use")
    parser.add_argument("--quiet", action="store_true", help="say nothing unless it fails")
    parser.add_argument("--json", action="store_true", help="print a report as JSON")
    add_flags(parser, Training, "training")
    add_flags(parser, Data, "data")
    return parser
