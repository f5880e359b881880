"""Networks in 8-bit integers that were made on this machine: where they lie, and what was found of them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from gossamer.errors import ModelIntegrityError, ModelNotFound
from gossamer.files import make_folder, move_into_place, read_json, write_bytes
from gossamer.progress import Progress
from gossamer.weights.card import Integers, ModelCard, Sha256
from gossamer.weights.digests import checked_digest, remember
from gossamer.weights.fetch.transfer import remove_quietly, writing
from gossamer.weights.folders import models_folder

__all__ = [
    "Quantised",
    "add_quantised",
    "find_quantised",
    "quantised_record",
    "remove_quantised",
    "require_quantised",
]

_SUFFIXES = (".bin", ".xml")
"""OpenVINO's graph, and its weights, which lie beside it."""


@dataclass(frozen=True, kw_only=True)
class Quantised(Integers):
    """What is known of a network in 8-bit integers that was made here.

    Attributes
    ----------
    model : str
        Its id.
    graph, weights : str
        SHA-256 of the .xml and of the .bin file.
    convolutions : int
        How many of them work in integers.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    model: str
    graph: Sha256
    weights: Sha256
    convolutions: Annotated[int, Field(ge=1)]

    @property
    def path(self) -> Path:
        """Where its graph lies."""
        return models_folder() / f"{self.model}-int8.xml"


def find_quantised(card: ModelCard, progress: Progress | None = None) -> Quantised | None:
    """Return the network in 8-bit integers that was made of a model here; None where there is none of these weights.

    Raises
    ------
    ModelIntegrityError
        It is damaged.
    """
    record = quantised_record(card)
    try:
        told = read_json(record)
        if not told:
            return None
        found = TypeAdapter(Quantised).validate_python(told)
        if found.model != card.id:
            raise ValueError(f"it is about {found.model}")
        for suffix, digest in ((".xml", found.graph), (".bin", found.weights)):
            file = record.with_suffix(suffix)
            if checked_digest(file, progress or Progress(), f"Checking {file.name}") != digest:
                raise ValueError(f"{file.name} has another content")
    except (OSError, ValueError, ValidationError, ModelIntegrityError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise ModelIntegrityError(
            f"{record} does not describe the files beside it ({reason}).",
            f"Make them again: gossamer models quantise {card.id} --photos FOLDER --force",
        ) from None
    return found if found.source in {variant.sha256 for variant in card.weights} else None


def require_quantised(card: ModelCard, progress: Progress | None = None) -> Quantised:
    """Return :func:`find_quantised`, or raise ModelNotFound where that is None."""
    found = find_quantised(card, progress)
    if found is None:
        raise ModelNotFound(
            f"{card.title} is not here in int8: that is made on each machine.",
            f"Make it: gossamer models quantise {card.id} --photos FOLDER",
        )
    return found


def add_quantised(made: Quantised, graph: Path, *, force: bool) -> None:
    """Move a graph and the weights beside it to where they are found, and describe them there.

    Raises
    ------
    OutputError, OutputExists
        They cannot be written, or are there already and `force` is not set.
    """
    target = made.path
    writing(target.parent, make_folder, target.parent)
    record = target.with_suffix(".json")
    if force:
        remove_quietly(record)  # first: files without it are nothing yet
    for suffix, digest in zip(_SUFFIXES, (made.weights, made.graph), strict=True):
        file = target.with_suffix(suffix)
        # Without their description they are what a killed command left.
        writing(file, lambda: move_into_place(graph.with_suffix(suffix), file, force=True))  # noqa: B023
        remember(file, digest)
    write_bytes(record, json.dumps(asdict(made), indent=2).encode(), force=force)


def remove_quantised(card: ModelCard) -> Path | None:
    """Delete what was made of a model in 8-bit integers, its description first; return that one's path, if it was."""
    record = quantised_record(card)
    if not record.is_file():
        return None
    writing(record, record.unlink)
    for suffix in _SUFFIXES:
        remove_quietly(record.with_suffix(suffix))
    return record


def quantised_record(card: ModelCard) -> Path:
    """Return where it is described what was made of a model, if anything was."""
    return models_folder() / f"{card.id}-int8.json"
