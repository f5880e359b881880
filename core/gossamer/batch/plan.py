"""What a run is going to do, decided as a whole before anything is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from gossamer.batch.addresses import Where, where_of
from gossamer.batch.identity import is_of_this_source, recipe_hash
from gossamer.batch.journal import Journal, Record
from gossamer.batch.results import Results, is_whole, results_of
from gossamer.batch.sources import Found, Source, Unusable, looked_up
from gossamer.batch.targets import check_targets, names_of, target_of
from gossamer.canvas.photographed import with_shadow_apart
from gossamer.errors import InputError, OutputExists
from gossamer.progress import Progress
from gossamer.prompting.prompt import Prompt
from gossamer.settings import Finding, ModelChoice, Recipe
from gossamer.settings.batch import Batch, Cluster

__all__ = ["Asked", "Item", "Plan", "Planner", "make_plan", "only_these"]

_SHOWN = 3


@dataclass(frozen=True)
class Asked:
    """What a run is asked for.

    Attributes
    ----------
    out : Path or Address
        Absolute.
    settings : Batch
    recipe, choice, finding
        Of all pictures.
    prompt : Prompt or None
        Of those without a prompt of their own.
    preset : str or None
        Whose rules are checked.
    model : str or None
        The id of the model that finds subjects, where that is known already: what another one made is not done.
    resume : bool
        Leave what is done.
    reprocess : bool
        Do again what is done.
    force : bool
        Replace whatever has the name of an output.
    cluster : Cluster
        Who does the work.
    """

    out: Where
    settings: Batch = field(default_factory=Batch)
    recipe: Recipe = field(default_factory=Recipe)
    choice: ModelChoice = field(default_factory=ModelChoice)
    finding: Finding = field(default_factory=Finding)
    prompt: Prompt | None = None
    preset: str | None = None
    model: str | None = None
    resume: bool = False
    reprocess: bool = False
    force: bool = False
    cluster: Cluster = field(default_factory=Cluster)


@dataclass(frozen=True)
class Item:
    """One picture to be done.

    Attributes
    ----------
    source : Source
    target : str
        Below OUT, with ``/``.
    recipe : Recipe
    hash : str
        Of recipe, choice and prompt: see :mod:`gossamer.batch.identity`.
    prompt : Prompt or None
        The run's; a row's own is made of its source when it is needed.
    preset : str or None
    replaces : bool
        An output of that name is ours, or may be replaced; so is the layer beside it.
    earlier : tuple of str
        Where files of an earlier run lie that this one makes obsolete, below OUT.
    """

    source: Source
    target: str
    recipe: Recipe
    hash: str
    prompt: Prompt | None = None
    preset: str | None = None
    replaces: bool = False
    earlier: tuple[str, ...] = ()

    def meant(self) -> Prompt | None:
        """Return what is meant in this picture, None where its subject is found by itself; raises InputError."""
        text = self.source.prompt
        if text is None:
            return self.prompt
        if not text.lstrip().startswith("{"):
            return Prompt((text,))
        source = self.source.path
        return Prompt.from_json(text, folder=source.parent if isinstance(source, Path) else None)


@dataclass
class Plan:
    """What a run is going to do.

    Attributes
    ----------
    items : list of Item
    unusable : list of Unusable
    passed_over : int
        Hidden files and those of the system.
    already : int
        Pictures that are done.
    adopted : list of Record
        Of outputs that are whole but whose record was lost with the process.
    changed : list of str
        Outputs that somebody has changed since, and that are left alone.
    """

    items: list[Item] = field(default_factory=list)
    unusable: list[Unusable] = field(default_factory=list)
    passed_over: int = 0
    already: int = 0
    adopted: list[Record] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)


def make_plan(found: Found, asked: Asked, journal: Journal, results: Results, steps: Progress) -> Plan:
    """Decide what is done with everything that was found.

    Raises
    ------
    OutputError
        Two outputs have one name, or one is a source.
    OutputExists
        Outputs are there, and nobody asked for them to be left or replaced.
    InputError
        A name, recipe or prompt is impossible.
    """
    plan = Plan(unusable=found.unusable, passed_over=found.passed_over)
    planner = Planner(asked, journal, results)
    sources = looked_up(found.sources) if asked.resume else found.sources
    pairs = [(planner.target(source, number), source) for number, source in enumerate(sources, 1)]
    check_targets([(name, source) for target, source in pairs for name in planner.names(target)], asked.out)
    journal = planner.look([target for target, _ in pairs], steps)
    taken: list[str] = []
    for number, (target, source) in enumerate(pairs):
        steps(number / len(pairs), "Looking at what is there")
        taken += filter(None, [planner.decide(source, target, plan)])
    if taken:
        more = f", and {len(taken) - _SHOWN} more" if len(taken) > _SHOWN else ""
        ours = any(target in journal.records or target in journal.intents for target in taken)
        raise OutputExists(
            f"In {asked.out} there are {', '.join(taken[:_SHOWN])}{more} already.",
            "Add --resume to leave what is done, or --reprocess to do it again."
            if ours and not (asked.resume or asked.reprocess)
            else "Give another folder or names, or add --force to replace them.",
        )
    return plan


def only_these(found: Found, wanted: set[str], journal: Journal, given: bool) -> Found:
    """Return what a review wants again of what was found, or where no input was given, of what the journal knows.

    Raises
    ------
    InputError
        None of it is there.
    """
    if given:
        sources = [source for source in found.sources if source.name in wanted or str(source.path) in wanted]
    else:
        sources = [
            Source(
                where_of(record.source_path), record.source, output=str(PurePosixPath(record.target).with_suffix(""))
            )
            for record in journal.records.values()
            if record.target is not None and (record.source in wanted or record.source_path in wanted)
        ]
    if not sources:
        raise InputError("Nothing that the review rejects is known here.", "Give the IN and --out that it is about.")
    return Found(sources)


class Planner:
    """Decides picture by picture; made once a run.

    Parameters
    ----------
    asked : Asked
    journal : Journal
        Of earlier runs.
    results : Results, optional
        Where outputs go, if that is known already.
    """

    def __init__(self, asked: Asked, journal: Journal, results: Results | None = None) -> None:
        self._asked = asked
        self._journal = journal
        self._results = results or results_of(asked.out)
        self._kept: dict[str, tuple[Recipe, str]] = {}

    def target(self, source: Source, number: int) -> str:
        """Return the name of its output below OUT; raises InputError."""
        return target_of(source, number, self._asked.settings)

    def names(self, target: str) -> tuple[str, ...]:
        """Return the names of all that may be written for it."""
        return names_of(target, self._asked.settings)

    def look(self, targets: list[str], steps: Progress) -> Journal:
        """Find out what is there; return all that is known by then. Raises InputError."""
        self._journal = self._results.look(self._journal, targets, steps)
        return self._journal

    def decide(self, source: Source, target: str, plan: Plan) -> str | None:
        """Put a picture where it belongs in a plan; return the name of what is there and forbids it."""
        asked, results = self._asked, self._results
        recipe, hash = self._recipe(source)
        item = Item(source, target, recipe, hash, asked.prompt, source.preset or asked.preset)
        item.meant()  # what is impossible is told now
        intent, record = self._journal.intents.get(target), self._journal.records.get(target)
        there = [name for name in self.names(target) if results.exists(name)]
        again = asked.resume or asked.reprocess
        ours = self._ours(intent)
        if intent is not None and is_whole(results, intent):
            record = replace(results.settled(intent), source=source.name, source_path=str(source.path))
            if asked.resume and self._fits(record, item):
                plan.adopted.append(record)
                plan.already += 1
                return None
        if record is None or record.output is None:
            foreign = [name for name in there if name not in ours or not again]
            if foreign and not asked.force:
                return foreign[0]
            plan.items.append(replace(item, replaces=asked.force or bool(there)))
            return None
        states = {each.output: results.state_of(each) for each in record.files() if each.output is not None}
        if asked.resume and set(states.values()) == {"whole"} and self._fits(record, item):
            plan.already += 1
            return None
        changed = [name for name, state in states.items() if state == "other" and name not in ours]
        changed += [name for name in there if name not in states and name not in ours]
        if changed and not asked.force:
            name = target if changed[0] == record.output else changed[0]
            if again:
                plan.changed.append(name)
                return None
            return name
        if there and not (again or asked.force):
            return there[0]
        earlier = tuple(name for name, state in states.items() if state != "missing")
        plan.items.append(replace(item, replaces=True, earlier=earlier))
        return None

    def _ours(self, intent: Record | None) -> set[str]:
        """Return which files are there as they were meant before the process that meant them ended."""
        files = [] if intent is None else intent.files()
        return {str(each.output) for each in files if self._results.state_of(each) == "whole"}

    def _fits(self, record: Record, item: Item) -> bool:
        try:
            source = item.source.path
            status = source.stat() if isinstance(source, Path) else source.status or source.stat()
        except OSError:
            return True  # what is gone cannot be done again
        by_another = (
            self._asked.model not in (None, record.model) and record.recipe_used is None and item.meant() is None
        )
        return record.recipe == item.hash and is_of_this_source(record, status) and not by_another

    def _recipe(self, source: Source) -> tuple[Recipe, str]:
        """Return the recipe of a picture, and its hash; the same for those that ask for the same."""
        asked = self._asked
        key = repr((source.recipe, source.prompt))
        if key not in self._kept:
            recipe = asked.recipe
            if source.recipe is not None:
                recipe = Recipe.of(_over(recipe.model_dump(exclude_unset=True), source.recipe))
            apart = asked.settings.shadow_layer
            if apart:
                try:
                    recipe = with_shadow_apart(recipe, asked.settings.format, "--shadow-layer")
                except InputError as error:
                    raise InputError(f"{source.name}: {error.message}", error.remedy) from None
            prompt = source.prompt or (None if asked.prompt is None else asked.prompt.to_json())
            hash = recipe_hash(recipe, asked.choice, prompt, asked.finding, shadow_layer=apart)
            self._kept[key] = recipe, hash
        return self._kept[key]


def _over(base: dict[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with others laid over them, stage by stage."""
    both = dict(base)
    for stage, values in more.items():
        both[stage] = {**both.get(stage, {}), **values} if isinstance(values, Mapping) else values
    return both
