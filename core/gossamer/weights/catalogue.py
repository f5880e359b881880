"""The catalogue: what is known of each model, read from ``catalogue.toml`` and checked."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from gossamer.errors import InputError, ModelError, ModelNotFound
from gossamer.spelling import did_you_mean
from gossamer.weights.card import (
    Architecture,
    HuggingFaceSource,
    InputSpec,
    ModelCard,
    NpmSource,
    OutputSpec,
    PipSource,
    Source,
    UrlSource,
    Variant,
)
from gossamer.weights.folder_card import FolderCard

__all__ = [
    "Architecture",
    "Catalogue",
    "HuggingFaceSource",
    "InputSpec",
    "ModelCard",
    "NpmSource",
    "OutputSpec",
    "PipSource",
    "Source",
    "UrlSource",
    "Variant",
    "any_card",
    "architecture",
    "architecture_of",
    "folder_cards",
    "load_catalogue",
    "model_card",
    "parse_card",
    "parse_catalogue",
    "published_ids",
    "published_models",
    "video_cards",
]

_T = TypeVar("_T")
_REMEDY = "Correct the file, or install Gossamer again."


@dataclass(frozen=True)
class Catalogue:
    """Everything in a catalogue file.

    Attributes
    ----------
    models : Mapping of str to ModelCard
        By id, in the order of the file.
    folders : Mapping of str to FolderCard
        Models that are folders, by id, within a family the best first.
    architectures : Mapping of str to Architecture
        By id, in the order of the file.
    videos : Mapping of str to ModelCard
        Models for clips, which remember the frames before, by id.
    """

    models: Mapping[str, ModelCard]
    folders: Mapping[str, FolderCard]
    architectures: Mapping[str, Architecture]
    videos: Mapping[str, ModelCard]


_ARCHITECTURE = TypeAdapter(Architecture)
_CARD = TypeAdapter(ModelCard)
_FOLDER = TypeAdapter(FolderCard)


def parse_catalogue(text: str, name: str = "catalogue.toml") -> Catalogue:
    """Read a catalogue and check every key and value of it.

    Parameters
    ----------
    text : str
        TOML, see ``catalogue.toml`` in this folder.
    name : str
        What to call the file in errors.

    Returns
    -------
    Catalogue

    Raises
    ------
    ModelError
        For a key that is unknown, missing, given twice or of a wrong value; it says which.
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ModelError(f"{name} is not valid TOML: {error}.", _REMEDY) from error
    if unknown := set(raw) - {"architecture", "model", "folder", "video"}:
        raise ModelError(f"{name} has unknown tables: {', '.join(sorted(unknown))}.", _REMEDY)
    architectures: dict[str, Architecture] = {}
    for key, table in raw.get("architecture", {}).items():
        table.get("input", {}).setdefault("size", None)
        architectures[key] = _checked(_ARCHITECTURE, {**table, "id": key}, f"{name}, architecture {key!r}")
    models: dict[str, ModelCard] = {}
    videos: dict[str, ModelCard] = {}
    tables = [("model", models, one) for one in raw.get("model", [])]
    tables += [("video", videos, one) for one in raw.get("video", [])]
    for number, (kind, found, table) in enumerate(tables, start=1):
        where = f"{name}, {kind} {table.get('id', number)!r}"
        card = _card_of(table, architectures, where)
        if card.id in models or card.id in videos:
            raise ModelError(f"{where}: the id is given twice.", _REMEDY)
        found[card.id] = card
    folders: dict[str, FolderCard] = {}
    for number, table in enumerate(raw.get("folder", []), start=1):
        folder = _checked(_FOLDER, table, f"{name}, folder {table.get('id', number)!r}")
        if folder.id in models or folder.id in videos or folder.id in folders:
            raise ModelError(f"{name}, folder {folder.id!r}: the id is given twice.", _REMEDY)
        folders[folder.id] = folder
    return Catalogue(
        MappingProxyType(models),
        MappingProxyType(folders),
        MappingProxyType(architectures),
        MappingProxyType(videos),
    )


def parse_card(table: Mapping[str, Any], where: str) -> ModelCard:
    """Build the card of a model that is not in the catalogue, of what a ``[[model]]`` there would say.

    Parameters
    ----------
    table : mapping
    where : str
        What to call it in errors.

    Raises
    ------
    ModelError
        For a key that is unknown, missing or of a wrong value; it says which.
    """
    return _card_of(dict(table), _own().architectures, where)


def _card_of(table: dict[str, Any], architectures: Mapping[str, Architecture], where: str) -> ModelCard:
    base = architectures.get(table.get("architecture", ""))
    if base is None:
        raise ModelError(f"{where}: 'architecture' is none of {', '.join(architectures)}.", _REMEDY)
    spec = {}
    for side in ("input", "output"):
        own = table.get(side, {})
        if not isinstance(own, Mapping):
            raise ModelError(f"{where}: {side} is no table.", _REMEDY)
        spec[side] = vars(getattr(base, side)) | dict(own)
    if "multiple" in table.get("input", {}):
        spec["input"]["size"] = None  # TOML has no word for nothing
    return _checked(_CARD, {**table, **spec}, where)


def _checked(adapter: TypeAdapter[_T], table: dict[str, Any], where: str) -> _T:
    """Build the adapter's type from `table`; errors become one line that names the key."""
    try:
        return adapter.validate_python(table)
    except ValidationError as error:
        faults = (
            (".".join(str(part) for part in fault["loc"]), fault["msg"].removeprefix("Value error, "))
            for fault in error.errors()
        )
        said = "; ".join(f"{place}: {fault}" if place else fault for place, fault in faults)
        raise ModelError(f"{where}: {said}.", _REMEDY) from error


@functools.cache
def _own() -> Catalogue:
    return parse_catalogue((resources.files(__package__) / "catalogue.toml").read_text("utf-8"))


def load_catalogue() -> Mapping[str, ModelCard]:
    """Return the models that Gossamer knows, with those that were added on this machine.

    Returns
    -------
    Mapping of str to ModelCard
        By id, read-only, the best first; those that were added come last.

    Raises
    ------
    ModelError
        When the catalogue file is damaged.
    """
    return MappingProxyType({**_own().models, **_added(clips=False)})


def _added(*, clips: bool) -> dict[str, ModelCard]:
    """Return the models that were added on this machine, those for clips or the others."""
    from gossamer.weights.added import added_cards

    added = added_cards()
    others = published_ids() if added else ()
    kinds = {card.architecture for card in _own().videos.values()}
    return {name: card for name, card in added.items() if name not in others and (card.architecture in kinds) is clips}


def published_models() -> Mapping[str, ModelCard]:
    """Return the models of the catalogue alone, the same on every machine; as :func:`load_catalogue`."""
    return _own().models


def published_ids() -> frozenset[str]:
    """Return the ids of everything in the catalogue, of any kind."""
    own = _own()
    return frozenset((*own.models, *own.folders, *own.videos))


def video_cards() -> Mapping[str, ModelCard]:
    """Return the models for clips, by id, read-only, those that were added last; raises as :func:`load_catalogue`."""
    return MappingProxyType({**_own().videos, **_added(clips=True)})


def folder_cards(family: str | None = None) -> tuple[FolderCard, ...]:
    """Return the models that are folders, all or those of a family, the best first; raises as :func:`load_catalogue`.

    Parameters
    ----------
    family : {"grounding-dino", "sam2", "sam3", "vitmatte"}, optional
    """
    return tuple(folder for folder in _own().folders.values() if family in (None, folder.family))


def any_card(model: str) -> ModelCard | FolderCard:
    """Return the card of one model of any kind; raises ModelNotFound as :func:`model_card`."""
    folders = _own().folders
    return folders[model] if model in folders else model_card(model)


def model_card(model: str) -> ModelCard:
    """Return the card of one model.

    Parameters
    ----------
    model : str
        An id of the catalogue.

    Returns
    -------
    ModelCard

    Raises
    ------
    ModelNotFound
        When no model has this id; it names ids that are spelled alike.
    """
    models = {**load_catalogue(), **video_cards()}
    if model in models:
        return models[model]
    hint = did_you_mean(model, models)
    raise ModelNotFound(f"There is no model {model!r}.", f"{hint}To see all models, type: gossamer models list")


def architecture(name: str) -> Architecture:
    """Return the pre- and post-processing of an architecture, for weights that are not in the catalogue.

    Parameters
    ----------
    name : str
        Such as ``"isnet"``.

    Returns
    -------
    Architecture

    Raises
    ------
    InputError
        When the name is unknown; it names those that are known.
    """
    known = _own().architectures
    if name not in known:
        raise InputError(f"There is no architecture {name!r}.", f"Use one of: {', '.join(known)}.")
    return known[name]


def architecture_of(network: str) -> Architecture:
    """Return the pre- and post-processing that goes with a network of the torch runtime.

    Parameters
    ----------
    network : str
        Such as ``"birefnet_swin_l"``, as it is recognised from the keys of a file of weights.

    Returns
    -------
    Architecture

    Raises
    ------
    InputError
        When no architecture has this network; it names those that are known.
    """
    known = {name: family for family in _own().architectures.values() for name in family.networks}
    if network not in known:
        raise InputError(f"There is no network {network!r}.", f"Use one of: {', '.join(known)}.")
    return known[network]
