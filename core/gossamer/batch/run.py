"""A whole run: the lock on its folder, the journal, the plan, the engine, and what is told at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import gossamer
from gossamer.batch.addresses import Where
from gossamer.batch.engine import Engine, Outcome
from gossamer.batch.job import Job, Shop, now
from gossamer.batch.journal import Failure, JournalWriter, Record, Run, read_journal, take_parts
from gossamer.batch.manifest import is_manifest, read_manifest
from gossamer.batch.plan import Asked, Item, Plan, Planner, make_plan, only_these
from gossamer.batch.ray_engine import RayEngine
from gossamer.batch.results import Results, results_of
from gossamer.batch.sources import Found, Unusable, find_sources
from gossamer.batch.watch import watched
from gossamer.compositing import read_backdrop
from gossamer.errors import Cancelled, GossamerError, InputError, OutputError
from gossamer.matting.preparing import prepare_matting
from gossamer.pipeline import Pipeline
from gossamer.platform import catch_ends
from gossamer.progress import Progress, ProgressCallback
from gossamer.prompting.choice import load_prompt_model
from gossamer.prompting.lent import LentModel

__all__ = ["Estimate", "Summary", "estimate", "planned", "run_batch"]

_SAMPLES = 3
_REMEMBERED = 1000  # failures that are told at the end; the journal has all


@dataclass
class Summary:
    """What a run has come to.

    Attributes
    ----------
    outcome : Outcome
    skipped, already, passed_over : int
        No pictures; done by an earlier run; hidden or the system's.
    failures : list of tuple
        Source and reason of the first thousand.
    changed : list of str
        Outputs that somebody has changed since an earlier run, and that were left alone.
    stopped : bool
        Somebody asked for the end before all was done.
    left : int
        Pictures that were planned and not begun or given up.
    unopened : int
        Folders that could not be looked into, and what could not be taken in a watched one.
    endless : bool
        Folders were watched.
    """

    outcome: Outcome = field(default_factory=Outcome)
    skipped: int = 0
    already: int = 0
    passed_over: int = 0
    failures: list[tuple[str, Failure]] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    stopped: bool = False
    left: int = 0
    unopened: int = 0
    endless: bool = False

    @property
    def failed(self) -> int:
        """How many failed, with what could not even be begun."""
        return self.outcome.failed + self.unopened

    @property
    def found_nothing(self) -> bool:
        """Whether there was no picture at all."""
        return self.exit_status == 2 and not (self.failed or self.left or self.changed)

    @property
    def exit_status(self) -> int:
        """0 where all is done, 1 where some failed or are left, 2 where nothing was done, 130 where it was stopped."""
        if self.stopped:
            return Cancelled.exit_code
        good = self.outcome.done + self.outcome.set_aside + self.already
        bad = self.failed + self.left + len(self.changed)
        if not bad and (good or self.endless):
            return 0
        return 1 if good else 2


def planned(
    given: list[str],
    listed: list[str],
    asked: Asked,
    *,
    only: set[str] | None = None,
    first: int | None = None,
    progress: ProgressCallback | Progress | None = None,
) -> Plan:
    """Find what is in a batch, and decide what is done with it.

    Parameters
    ----------
    given : list of str
        Folders, files, patterns, manifests.
    listed : list of str
        Names from a list.
    asked : Asked
    only : set of str, optional
        The sources that a review wants again.
    first : int, optional
        No more pictures than these.
    progress : callable, optional
        ``progress(fraction, message)`` while what is there is looked at.

    Raises
    ------
    InputError
        Something is not there or impossible.
    OutputError
        Outputs clash.
    """
    results = results_of(asked.out)
    results.check()
    journal = read_journal(results.home, whole=False)
    found = Found()
    for name in given:
        if is_manifest(name):
            found.sources += read_manifest(name)
    found.add(find_sources([*(name for name in given if not is_manifest(name)), *listed], asked.out))
    _check_apart(found, asked.out)
    if only is not None:
        found = only_these(found, only, journal, bool(given or listed))
    elif not found.sources and not found.unusable and not given and not listed:
        raise InputError("There is nothing in the list.", "Give a name a line.")
    if first is not None:
        found.sources = found.sources[:first]
        found.unusable = []
    return make_plan(found, asked, journal, results, Progress.of(progress))


def run_batch(
    plan: Plan,
    asked: Asked,
    pipeline: Pipeline,
    *,
    arguments: list[str],
    announce: Callable[[str], object],
    told: Callable[[Record, Summary], object],
    seen: Callable[[Summary, int], object],
    watch: list[str] | None = None,
) -> Summary:
    """Do what was planned.

    Parameters
    ----------
    plan : Plan
    asked : Asked
    pipeline : Pipeline
    arguments : list of str
        As they were typed, for the journal.
    announce : callable
        Told what is fetched, and that the end was asked for.
    told : callable
        Called with every record.
    seen : callable
        Called twenty times a second with the summary so far and the number of pictures that are planned.
    watch : list of str, optional
        Folders in which more will come.

    Raises
    ------
    GossamerError
        It cannot begin: no model, no folder, another run in the same folder.
    KeyboardInterrupt
        The end was asked for twice, or by the system: nothing half-written is left.
    """
    announce = _once(announce)
    _prepare(asked, pipeline, Progress(), announce)
    model = None if pipeline.choice.model == "none" else pipeline.load(announce=announce)
    if model is not None and asked.cluster.engine == "ray":
        pipeline.unload()  # fetched and known to be sound; the workers load their own
    summary = Summary(already=plan.already, passed_over=plan.passed_over, changed=list(plan.changed))
    results = results_of(asked.out)
    with results.alone():
        earlier = read_journal(results.home, whole=False)
        writer = JournalWriter(results.home)
        try:
            take_parts(results.home, writer)
            writer.begin(
                Run(
                    gossamer.__version__,
                    now(),
                    arguments,
                    asked.recipe.model_dump(exclude_defaults=True, mode="json"),
                    asked.choice.model_dump(exclude_defaults=True, mode="json"),
                    "" if model is None else model.id,
                    len(plan.items),
                )
            )
            for record in plan.adopted:
                writer.append(record)

            def refuse(unusable: Unusable) -> None:
                record = _unusable(unusable)
                if earlier.records.get(record.key) is None or not unusable.is_skipped:
                    writer.append(record)
                _count(record, summary)
                told(record, summary)

            def remember(record: Record, summary: Summary) -> None:
                earlier.records[record.key] = replace(record, measures={}, flags=[], warnings=[])
                told(record, summary)

            with results.keeping(announce):
                if watch is None:
                    for unusable in plan.unusable:
                        refuse(unusable)
                    items: Iterator[Item | None] = iter(plan.items)
                    _work(
                        items, summary, asked, results, pipeline, writer, announce, told, seen, len(plan.items), False
                    )
                else:
                    # What is there already may still be growing: it is taken in the same way as what comes.
                    planner = Planner(replace(asked, resume=True), earlier, results)
                    items = watched(watch, results.home, planner, refuse)
                    _work(items, summary, asked, results, pipeline, writer, announce, remember, seen, 0, True)
        finally:
            writer.close()
    return summary


def _work(
    items: Iterator[Item | None],
    summary: Summary,
    asked: Asked,
    results: Results,
    pipeline: Pipeline,
    writer: JournalWriter,
    announce: Callable[[str], object],
    told: Callable[[Record, Summary], object],
    seen: Callable[[Summary, int], object],
    planned: int,
    endless: bool,
) -> None:
    begun, is_told = 0, False

    def counted() -> Iterator[Item | None]:
        nonlocal begun
        for item in items:
            begun += item is not None
            yield item

    def ended(record: Record, outcome: Outcome) -> None:
        summary.outcome = outcome
        _count(record, summary)
        told(record, summary)

    def look(outcome: Outcome) -> None:
        nonlocal is_told
        if engine.was_stopped and not is_told:  # not by the signal itself, which may come in the middle of a line
            is_told = True
            announce("Ending after the pictures in hand; Ctrl-C once more ends at once.")
        summary.outcome = outcome
        seen(summary, max(planned, begun))

    engine: Engine | RayEngine
    if asked.cluster.engine == "ray":
        engine = RayEngine(asked, results, announce, writer.append, ended, look)
    else:
        steps = Progress(lambda *_: local.tick())
        shop = Shop(asked, results, pipeline, steps, announce, writer.intend, writer.append)
        engine = local = Engine(shop, ended, look)

    def stop() -> None:
        if engine.is_halted:
            engine.abort()
        else:
            engine.halt()

    restore = catch_ends(stop)
    try:
        summary.outcome = outcome = engine.run(counted())
    finally:
        restore()
    finished = outcome.done + outcome.set_aside + outcome.failed
    summary.left, summary.endless = 0 if endless else max(planned - finished, 0), endless
    if engine.is_aborted:
        raise KeyboardInterrupt
    summary.stopped = engine.was_stopped and summary.left > 0 and outcome.ended_by is None


@dataclass(frozen=True)
class Estimate:
    """What a run would take.

    Attributes
    ----------
    seconds, bytes : float or None
        Of all pictures; None where nothing could be measured.
    samples : int
        Pictures that were measured.
    """

    seconds: float | None
    bytes: float | None
    samples: int


def estimate(
    plan: Plan, asked: Asked, pipeline: Pipeline, announce: Callable[[str], object], progress: ProgressCallback
) -> Estimate:
    """Make some of the pictures, spread over the batch, without writing them, and tell what all would take.

    Raises
    ------
    GossamerError
        The model cannot be had.
    """
    _prepare(asked, pipeline, Progress(progress), announce)
    items = plan.items
    spread = [items[(2 * number + 1) * len(items) // (2 * _SAMPLES)] for number in range(_SAMPLES)]
    chosen = spread if len(items) > _SAMPLES else items
    sizes: list[tuple[float, int]] = []
    results = results_of(asked.out)
    for number, item in enumerate(chosen):
        steps = Progress(progress).part(number / len(chosen), (number + 1) / len(chosen))
        shop = Shop(asked, results, pipeline, steps, announce, lambda _: None, lambda _: None)
        job = Job(item)
        with suppress(GossamerError):
            job.read(shop)
            job.find(shop)
            job.finish(shop)
            size = job.encoded_size(shop)
            job.seconds.pop("load", None)
            sizes.append((sum(job.seconds.values()), size))
    if not sizes:
        return Estimate(None, None, 0)
    seconds = sum(each[0] for each in sizes) / len(sizes) * len(items)
    return Estimate(seconds, sum(each[1] for each in sizes) / len(sizes) * len(items), len(sizes))


def _once(announce: Callable[[str], object]) -> Callable[[str], object]:
    """Return what passes each sentence on once: every picture is announced the same model."""
    told: set[str] = set()

    def say(sentence: str) -> None:
        if sentence not in told:
            told.add(sentence)
            announce(sentence)

    return say


def _prepare(asked: Asked, pipeline: Pipeline, steps: Progress, announce: Callable[[str], object]) -> None:
    """Have at hand what is asked for all pictures, or refuse: each of them would fail of it."""
    read_backdrop(asked.recipe.background)
    prepare_matting(asked.recipe.matting, progress=steps, device=pipeline.choice.device, announce=announce)
    if asked.prompt is not None:
        name, choice = asked.finding.prompt_model, pipeline.choice
        model = load_prompt_model(name, asked.prompt, choice=choice, progress=steps, announce=announce)
        if asked.cluster.engine == "ray" and isinstance(model, LentModel):
            model.unload()  # the workers load their own


def _check_apart(found: Found, out: Where) -> None:
    for source in found.sources:
        if source.root and source.path == out.joinpath(source.name):
            raise OutputError(
                f"{out} is both where pictures are and where outputs go.", "Give another folder with --out."
            )


def _unusable(found: Unusable) -> Record:
    state: Any = "skipped" if found.is_skipped else "failed"
    return Record(found.name, str(found.path), None, None, state, found.failure, finished=now())


def _count(record: Record, summary: Summary) -> None:
    if record.state == "skipped":
        summary.skipped += 1
    elif record.state == "failed":
        summary.unopened += record.target is None
        if len(summary.failures) < _REMEMBERED and record.error is not None:
            summary.failures.append((record.source, record.error))
