"""`gossamer batch`: cut out all pictures of folders, lists and tables, with a journal, so that it can be trusted."""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import gossamer
from gossamer.batch.addresses import Where, address_of, is_address
from gossamer.batch.footage import footage
from gossamer.batch.journal import Failure, Record, journal_path
from gossamer.batch.manifest import is_manifest, listed, read_decisions
from gossamer.batch.plan import Asked, Plan
from gossamer.batch.results import results_of
from gossamer.batch.run import Estimate, Summary, estimate, planned, run_batch
from gossamer.canvas.photographed import with_shadow_apart
from gossamer.cli.console import Console
from gossamer.cli.modelling import add_model_flags, model_choice_of
from gossamer.cli.parser import Parser, add_flags, add_recipe_flags, given, recipe_of
from gossamer.cli.prompting import add_prompt_flags, finding_of, prompt_of
from gossamer.cli.report import check_report, report_after
from gossamer.cli.terminal import check_stdout, show, show_json, tell, warn
from gossamer.compositing import is_opaque
from gossamer.errors import InputError
from gossamer.paths import target_path
from gossamer.pipeline import NO_MODEL, Pipeline
from gossamer.settings import ModelChoice
from gossamer.settings.batch import Batch, Cluster

__all__ = ["run"]

_LINE = 30.0  # seconds between two lines of progress where there is no terminal
_NAMED = 20  # failures that are named at the end
_LONGEST = 1 << 28  # bytes of a list on standard input


def run(argv: list[str]) -> int:
    """Run the command."""
    arguments = _parser().parse(argv)
    if arguments.json:
        check_stdout()
    asked = _asked(arguments)
    if arguments.report is not None:
        check_report(arguments.report)
    if asked.choice.model == NO_MODEL and asked.recipe.matting.method != "key":
        raise InputError("Without a model only the matting key finds a subject.", "Choose it, or a model.")
    only = None if arguments.only is None else read_decisions(arguments.only)
    names, from_list = [name for name in arguments.inputs if name != "-"], _listed(arguments.inputs)
    if not arguments.inputs and only is None:
        raise InputError("Nothing says what is in the batch.", "Name folders, pictures or a manifest, or - for a list.")
    pipeline = Pipeline(asked.recipe, asked.choice)
    if asked.resume and asked.choice.model == "auto" and _has_model(asked.choice):
        asked = replace(asked, model=pipeline.load().id)  # which may be another one by now
    with Console(arguments.quiet) as console:
        plan = planned(names, from_list, asked, only=only, first=arguments.first, progress=console.progress)
    if arguments.watch and (not names or any(is_manifest(name) or is_address(name) for name in names)):
        raise InputError("Only folders and patterns can be watched.", "Name the folder into which pictures come.")
    with Console(arguments.quiet) as console:
        if not (arguments.quiet or arguments.watch) and (folder := footage(plan, console.progress)) is not None:
            console.say(
                f"{folder} looks like the frames of a clip, which may flicker picture by picture: "
                "gossamer video FOLDER OUT holds them still."
            )
        if arguments.dry_run:
            return _foretell(plan, asked, pipeline, console, arguments)
        view = _View(console, arguments.quiet)
        summary = run_batch(
            plan,
            asked,
            pipeline,
            arguments=["batch", *argv],
            announce=console.say,
            told=view.told,
            seen=view.seen,
            watch=names if arguments.watch else None,
        )
    status = _conclude(summary, asked, arguments)
    if arguments.report is None:
        return status
    if summary.stopped:
        tell(f"No report was made: gossamer report {asked.out} {arguments.report} shows what is done.")
        return status
    return report_after(asked.out, arguments.report, quiet=arguments.quiet) or status


def _parser() -> Parser:
    parser = Parser(
        "batch",
        description="Cut out every picture of folders (with all folders in them), patterns, lists and tables into OUT, "
        "with a journal in OUT/.gossamer/journal.jsonl. Exit status: 0 all done, 1 some failed, 2 nothing done.",
    )
    parser.add_argument(
        "inputs",
        metavar="IN",
        nargs="*",
        help="folders, pictures, patterns, addresses in stores (s3://bucket/folder, gs://, az://), tables (CSV, JSON "
        "lines, Parquet; columns source, name, recipe, preset, prompt); - reads a list of names from stdin",
    )
    parser.add_argument(
        "-o",
        "--out",
        metavar="OUT",
        required=True,
        help="the folder for the outputs, made if missing; or an address in a store (s3://bucket/folder, gs://, az://)",
    )
    parser.add_argument("--resume", action="store_true", help="leave what an earlier run has done, do the rest")
    parser.add_argument("--reprocess", action="store_true", help="do again what an earlier run has done")
    parser.add_argument("--only", metavar="FILE", help="do again what a review (CSV or JSON of the report) rejects")
    parser.add_argument(
        "--report",
        metavar="FILE",
        help="in the end write a page (.html) to look through and judge all, as gossamer report",
    )
    parser.add_argument("--first", metavar="N", type=int, help="no more than the first N pictures: a sample")
    parser.add_argument("--watch", action="store_true", help="go on with what comes into the folders, until Ctrl-C")
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="write nothing: say what would happen, how long it takes and how much disk",
    )
    parser.add_argument("--force", action="store_true", help="replace whatever has the name of an output")
    parser.add_argument("--quiet", action="store_true", help="say nothing but what fails")
    parser.add_argument("--json", action="store_true", help="print a summary as JSON")
    add_flags(parser, Batch, "batch")
    add_flags(parser, Cluster, "cluster")
    add_prompt_flags(parser)
    add_model_flags(parser)
    add_recipe_flags(parser)
    return parser


def _asked(arguments: argparse.Namespace) -> Asked:
    if arguments.first is not None and arguments.first < 1:
        raise InputError(f"--first {arguments.first} is no number of pictures.", "Give 1 or more.")
    if arguments.resume and arguments.reprocess:
        raise InputError("--resume leaves what is done, --reprocess does it again.", "Give one of them.")
    out: Where
    if is_address(arguments.out):
        out = address_of(arguments.out)
        if arguments.watch:
            raise InputError(
                "What comes into a watched folder goes into a folder, not into a store.", "Give a folder with --out."
            )
    else:
        out = Path(os.path.abspath(target_path(arguments.out)))
    settings = Batch(**given(arguments, Batch))
    recipe = recipe_of(arguments)
    if settings.shadow_layer:
        with_shadow_apart(recipe, settings.format, "--shadow-layer")  # what is wrong with it is told now
    if settings.format == "jpeg" and not is_opaque(recipe.background.fill):
        raise InputError(
            "JPEG cannot hold a transparent background.", "Choose another --format, or add --background #ffffff."
        )
    if settings.on_flag != "keep" and not settings.check:
        raise InputError(f"--on-flag {settings.on_flag} needs the checks.", "Leave --no-check out.")
    return Asked(
        out,
        settings,
        recipe,
        model_choice_of(arguments),
        finding_of(arguments),
        prompt_of(arguments, elsewhere=any(is_manifest(name) for name in arguments.inputs)),
        arguments.preset,
        resume=arguments.resume,
        reprocess=arguments.reprocess or arguments.only is not None,
        force=arguments.force,
        cluster=_cluster(arguments),
    )


def _cluster(arguments: argparse.Namespace) -> Cluster:
    """Return who does the work; raises InputError for what only a cluster has, and for what it has not."""
    flags = given(arguments, Cluster)
    cluster = Cluster(**flags)
    if cluster.engine == "ray":
        if arguments.watch:
            raise InputError("A cluster cannot watch folders.", "Leave --watch out, or --engine ray.")
    elif flags.keys() - {"engine"}:
        name = next(iter(flags.keys() - {"engine"})).replace("_", "-")
        raise InputError(f"--{name} is about a cluster.", "Add --engine ray, or leave it out.")
    return cluster


def _listed(inputs: list[str]) -> list[str]:
    if "-" not in inputs:
        return []
    if sys.stdin is None or sys.stdin.isatty():
        raise InputError(
            "There is no list on standard input.", "Pipe one: find photos -name '*.jpg' | gossamer batch -"
        )
    try:
        names = sys.stdin.buffer.read(_LONGEST + 1)
    except OSError as error:
        raise InputError(f"Standard input could not be read: {error.strerror or error}.", "Pipe a list.") from None
    if len(names) > _LONGEST:
        raise InputError("The list on standard input is too large.", "Give a folder, or the names in pieces.")
    return listed(names)


class _View:
    """Shows how far a run is."""

    def __init__(self, console: Console, quiet: bool) -> None:
        self._console, self._quiet = console, quiet
        self._next = time.monotonic() + _LINE

    def told(self, record: Record, summary: Summary) -> None:
        """Name what failed, and what was left out."""
        if record.state in ("failed", "skipped") and record.error is not None:
            line = _named(record.source, record.error, "failed" if record.state == "failed" else "left out")
            if record.state == "failed" and self._quiet:
                tell(line)
            else:
                self._console.say(line)
        elif record.state == "set-aside":
            flags = ", ".join(flag["name"] for flag in record.flags if flag.get("severity") == "fault")
            self._console.say(f"{record.source} set aside: {flags}.")

    def seen(self, summary: Summary, count: int) -> None:
        """Show the rate, the time left and the failures so far."""
        outcome = summary.outcome
        ended = outcome.done + outcome.set_aside + outcome.failed
        rate = ended / outcome.seconds if outcome.seconds else 0.0
        line = f"{ended} of {count}, {rate:.2f} a second"
        if rate and count > ended:
            line += f", {duration((count - ended) / rate)} left"
        if summary.failed:
            line += f", {summary.failed} failed"
        self._console.progress(ended / max(count, 1), line)
        if not sys.stderr.isatty() and time.monotonic() > self._next:
            self._next = time.monotonic() + _LINE
            self._console.say(line)


def duration(seconds: float) -> str:
    """Return a time in words."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def _size(number: float) -> str:
    for unit in ("kB", "MB", "GB"):
        number /= 1000
        if number < 1000:
            return f"{number:.1f} {unit}"
    return f"{number / 1000:.1f} TB"


def _foretell(plan: Plan, asked: Asked, pipeline: Pipeline, console: Console, arguments: argparse.Namespace) -> int:
    taken = Estimate(None, None, 0)
    note = ""
    if plan.items:
        if _has_model(asked.choice):
            console.say("Making some of the pictures, to tell how long all take; nothing is written.")
            taken = estimate(plan, asked, pipeline, console.say, console.progress)
        else:
            note = "The model would be fetched first: how long pictures take is not known before."
    free = results_of(asked.out).free()
    failed = sum(not unusable.is_skipped for unusable in plan.unusable)
    if arguments.json:
        show_json(
            {
                "gossamer": gossamer.__version__,
                "out": str(asked.out),
                "pictures": len(plan.items),
                "already": plan.already,
                "skipped": len(plan.unusable) - failed,
                "unreadable": failed,
                "passed_over": plan.passed_over,
                "changed": plan.changed,
                "seconds": None if taken.seconds is None else round(taken.seconds, 1),
                "bytes": None if taken.bytes is None else round(taken.bytes),
                "free": free,
                "measured": taken.samples,
                "outputs": [{"source": str(item.source.path), "output": item.target} for item in plan.items],
            }
        )
        return 0
    for item in plan.items[:_NAMED]:
        show(f"{item.source.name} -> {item.target}")
    if len(plan.items) > _NAMED:
        show(f"... and {len(plan.items) - _NAMED} more")
    for unusable in plan.unusable[:_NAMED]:
        show(f"{unusable.name} left out: {unusable.failure.message}")
    for name in plan.changed:
        warn(f"{name} was changed since it was made, and is left.")
    show(
        f"{len(plan.items)} pictures to do, {plan.already} done already, {len(plan.unusable)} left out, "
        f"{plan.passed_over} hidden or system files passed over."
    )
    if taken.seconds is not None and taken.bytes is not None:
        show(
            f"About {duration(taken.seconds)} and {_size(taken.bytes)} (measured on {taken.samples})"
            + ("." if free is None else f"; {_size(free)} are free.")
        )
        if free is not None and taken.bytes > free:
            warn("The disk has not enough room for that.")
    if note:
        show(note)
    return 0


def _has_model(choice: ModelChoice) -> bool:
    """Tell whether a model is here, so that asking how long it takes fetches nothing."""
    from gossamer.errors import ModelError
    from gossamer.weights import store
    from gossamer.weights.catalogue import load_catalogue
    from gossamer.weights.choice import ranking

    if choice.model == NO_MODEL:
        return True
    names = [name.strip() for name in choice.model.split(",")]
    cards = load_catalogue()
    extra = tuple(Path(folder) for folder in choice.folders)
    try:
        if names == ["auto"]:
            if choice.quality != "balanced" or choice.subject != "any":
                ranked = ranking(choice.quality, choice.subject).fitting[:1]
            else:
                ranked = ranking().fitting
            return any(store.find(card, extra_folders=extra) is not None for card in ranked)
        return all(name not in cards or store.find(cards[name], extra_folders=extra) is not None for name in names)
    except ModelError:
        return False


def _conclude(summary: Summary, asked: Asked, arguments: argparse.Namespace) -> int:
    outcome, ended_by = summary.outcome, summary.outcome.ended_by
    status = summary.exit_status
    if arguments.json:
        failures = [{"source": name, **failure.__dict__} for name, failure in summary.failures]
        show_json(
            {
                "gossamer": gossamer.__version__,
                "out": str(asked.out),
                "journal": str(journal_path(results_of(asked.out).home)),
                "done": outcome.done,
                "failed": summary.failed,
                "set_aside": outcome.set_aside,
                "flagged": outcome.flagged,
                "already": summary.already,
                "skipped": summary.skipped,
                "passed_over": summary.passed_over,
                "left": summary.left,
                "changed": summary.changed,
                "seconds": round(outcome.seconds, 2),
                "pictures_a_second": round(_rate(summary), 3),
                "bytes": outcome.bytes,
                "stopped": summary.stopped,
                "ended_by": None if ended_by is None else Failure.of(ended_by).__dict__,
                "failures": failures,
                "exit_status": status,
            }
        )
    if not arguments.quiet:
        for name in summary.changed:
            warn(f"{name} was changed since it was made, and is left; --force replaces it.")
        _list_failures(summary, asked)
        if summary.found_nothing:
            warn("There was no picture: name a folder that holds some, or pictures.")
        tell(_sentence(summary))
    if ended_by is not None:
        tell(f"gossamer: {ended_by} What is done is done: go on with --resume.")
    elif summary.stopped:
        tell(f"gossamer: Stopped before {summary.left} pictures. Go on with --resume.")
    return status


def _list_failures(summary: Summary, asked: Asked) -> None:
    if len(summary.failures) > 1:
        tell(f"{summary.failed} failed:")
        for name, failure in summary.failures[:_NAMED]:
            tell(f"  {_named(name, failure)}")
        if summary.failed > _NAMED:
            tell(f"  and {summary.failed - _NAMED} more, see {journal_path(results_of(asked.out).home)}")


def _named(source: str, failure: Failure, word: str = "") -> str:
    """Return a failure with its picture's name, once."""
    name = "" if source in failure.message else source
    lead = " ".join(filter(None, (name, word)))
    return f"{lead}{': ' * bool(lead)}{failure.message} {failure.remedy}".rstrip()


def _sentence(summary: Summary) -> str:
    outcome = summary.outcome
    parts = [f"{outcome.done} done", f"{summary.failed} failed"]
    counts: dict[str, Any] = {
        "set aside": outcome.set_aside,
        "with a fault by the checks": outcome.flagged - outcome.set_aside,
        "done before": summary.already,
        "no pictures": summary.skipped,
        "hidden or system files passed over": summary.passed_over,
        "left": summary.left,
    }
    parts += [f"{count} {name}" for name, count in counts.items() if count]
    return f"{', '.join(parts)}; {duration(outcome.seconds)}, {_rate(summary):.2f} pictures a second."


def _rate(summary: Summary) -> float:
    outcome = summary.outcome
    return (outcome.done + outcome.set_aside + outcome.failed) / outcome.seconds if outcome.seconds else 0.0
