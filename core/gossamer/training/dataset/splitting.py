"""Splits without leaks: what belongs together, or is nearly alike, is in one part."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gossamer.errors import InputError
from gossamer.progress import Progress, ProgressCallback
from gossamer.settings.dataset import Data
from gossamer.training.dataset.duplicates import find_duplicates, look_at
from gossamer.training.dataset.examples import Example

__all__ = ["Split", "families", "split"]


@dataclass(frozen=True)
class Split:
    """The parts of a set, each in the order of the set.

    Attributes
    ----------
    train, validation, test : tuple of Example
        The last is seen by nothing but the proof.
    """

    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    test: tuple[Example, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the names in each part, ready for JSON."""
        return {part.name: [one.name for one in getattr(self, part.name)] for part in dataclasses.fields(self)}


def families(
    examples: Sequence[Example], progress: Progress | ProgressCallback | None = None
) -> tuple[tuple[int, ...], ...]:
    """Return the places of examples that have to stay together: of one group, or nearly alike, or by way of others.

    Parameters
    ----------
    examples : sequence of Example
        Those without a look are read.
    progress : callable, optional
        May raise to cancel.
    """
    steps = Progress.of(progress)
    looks = []
    for number, one in enumerate(examples):
        steps(0.5 * number / max(len(examples), 1), "Looking at the pictures")
        looks.append(one.look or look_at(one.load()[0]))
    parents = list(range(len(examples)))

    def head(place: int) -> int:
        while parents[place] != place:
            parents[place] = parents[parents[place]]
            place = parents[place]
        return place

    firsts: dict[str, int] = {}
    for place, one in enumerate(examples):
        parents[head(place)] = head(firsts.setdefault(one.group, place))
    for pair in find_duplicates(looks, steps.part(0.5, 1.0)):
        parents[head(pair.second)] = head(pair.first)
    together: dict[int, list[int]] = {}
    for place in range(len(examples)):
        together.setdefault(head(place), []).append(place)
    return tuple(tuple(family) for family in together.values())


def split(
    examples: Sequence[Example],
    settings: Data | None = None,
    progress: Progress | ProgressCallback | None = None,
    *,
    what: str = "pictures",
    count: int | None = None,
) -> Split:
    """Split examples into training, validation and test.

    The same examples, settings and seed give the same split, in whatever order they come.

    Parameters
    ----------
    examples : sequence of Example
    settings : Data, optional
        Shares and seed.
    progress : callable, optional
        May raise to cancel.
    what : str
        What an error calls them.
    count : int, optional
        How many it says that there are, where an example is a part of one.

    Returns
    -------
    Split

    Raises
    ------
    InputError
        There are fewer families than parts.
    """
    chosen = settings or Data()
    ordered = sorted(examples, key=lambda one: one.name)
    shares = {"train": 100 - chosen.validation - chosen.test, "validation": chosen.validation, "test": chosen.test}
    wanted = {name: len(ordered) * share / 100 for name, share in shares.items() if share > 0}
    found = families(ordered, progress)
    if len(found) < len(wanted):
        there = len(ordered) if count is None else count
        groups = f"{len(found)} group{'s' * (len(found) != 1)}"
        raise InputError(
            f"{there} {what} make {groups} of what belongs together or is nearly alike: too few to be split "
            f"into {len(wanted)} parts.",
            f"Give more {what}, or another --group.",
        )

    def lot(family: tuple[int, ...]) -> bytes:
        first = min(ordered[place].name for place in family)
        return hashlib.sha256(f"{chosen.split_seed}\0{first}".encode("utf-8", "surrogateescape")).digest()

    # The large ones first, where there is still room for them anywhere; equals by lot.
    drawn = sorted(found, key=lambda family: (-len(family), lot(family)))
    parts: dict[str, list[int]] = {name: [] for name in shares}
    for number, family in enumerate(drawn):
        empty = [name for name in wanted if not parts[name]]
        # The last families are for those parts that would get none.
        choice = empty if len(drawn) - number <= len(empty) else list(wanted)
        best = max(choice, key=lambda name: (wanted[name] - len(parts[name])) / wanted[name])
        parts[best] += family
    return Split(**{name: tuple(ordered[place] for place in sorted(places)) for name, places in parts.items()})
