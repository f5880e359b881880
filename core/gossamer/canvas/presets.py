"""Presets: what a shop or an authority asks for, as settings of the recipe and rules for the file."""

from __future__ import annotations

import datetime
import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from gossamer.errors import InputError
from gossamer.lengths import read_aspect
from gossamer.settings.base import Settings, validated
from gossamer.settings.recipe import Recipe
from gossamer.spelling import did_you_mean

__all__ = ["Preset", "Rules", "load_presets", "parse_presets", "preset"]

_REMEDY = "Correct the file, or install Gossamer again."
_MARKETS = {"google": "google-merchant", "merchant": "google-merchant", "visa": "passport", "id": "passport"}
"""What people call them."""


class Rules(Settings):
    """What is checked in a file; 0, "" and nothing: anything goes."""

    formats: tuple[Literal["jpeg", "png", "webp", "tiff"], ...] = ()
    min_longest: Annotated[int, Field(ge=0, le=65_535)] = 0
    min_shortest: Annotated[int, Field(ge=0, le=65_535)] = 0
    max_longest: Annotated[int, Field(ge=0, le=65_535)] = 0
    advised_longest: Annotated[int, Field(ge=0, le=65_535)] = 0
    advised_shortest: Annotated[int, Field(ge=0, le=65_535)] = 0
    max_megapixels: Annotated[float, Field(ge=0, le=10_000)] = 0
    max_mb: Annotated[float, Field(ge=0, le=10_000)] = 0
    aspect: str = ""
    min_fill: Annotated[float, Field(ge=0, le=100)] = 0
    max_fill: Annotated[float, Field(ge=0, le=100)] = 0
    white: bool = False
    enlarging: bool = True

    @field_validator("aspect")
    @classmethod
    def _aspects_are_ratios(cls, value: str) -> str:
        try:
            read_aspect(value)
        except InputError as error:
            raise ValueError(error.remedy) from None
        return value


@dataclass(frozen=True)
class Preset:
    """What one shop asks for.

    Attributes
    ----------
    id, title : str
    source : str
        Where the shop has its rules.
    date : datetime.date
        As of when these hold.
    note : str
        What no program can check.
    settings : dict
        Of the recipe, stage by stage.
    rules : Rules
        What the file is checked against.
    """

    id: str
    title: str
    source: str
    date: datetime.date
    note: str
    settings: dict[str, dict[str, Any]]
    rules: Rules

    def recipe(self, over: Recipe | None = None) -> Recipe:
        """Return its recipe; what is set in `over` wins."""
        merged = {stage: dict(values) for stage, values in self.settings.items()}
        for stage, values in (over.model_dump(exclude_unset=True) if over is not None else {}).items():
            merged.setdefault(stage, {}).update(values)
        return Recipe.of(merged)


@functools.cache
def load_presets() -> Mapping[str, Preset]:
    """Return all presets, by id, in the order of ``presets.toml``."""
    text = resources.files("gossamer.canvas").joinpath("presets.toml").read_text("utf-8")
    return MappingProxyType(parse_presets(text))


def parse_presets(text: str, name: str = "presets.toml") -> dict[str, Preset]:
    """Return the presets of a TOML file.

    Raises
    ------
    InputError
        It is no TOML, or one of its settings or rules is unknown or impossible; the message names it.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"The presets {name} are not valid: {error}.", _REMEDY) from None
    return {key: _preset(key, table, name) for key, table in tables.items()}


def preset(id: str) -> Preset:
    """Return a preset; raises InputError where there is none of that id."""
    presets = load_presets()
    found = presets.get(id.strip().lower().replace("_", "-"))
    if found is None:
        close = did_you_mean(id.lower(), presets, _MARKETS)
        raise InputError(f"There is no preset {id!r}.", f"{close}Choose one of: {', '.join(presets)}.")
    return found


def _preset(id: str, table: Any, name: str) -> Preset:
    fields = {"title": str, "source": str, "date": datetime.date, "note": str, "settings": dict, "rules": dict}
    if not isinstance(table, dict) or set(table) != set(fields):
        raise InputError(f"The preset {id} in {name} has not the fields {', '.join(fields)}.", _REMEDY)
    for field, kind in fields.items():
        if not isinstance(table[field], kind):
            raise InputError(f"The {field} of the preset {id} in {name} is no {kind.__name__}.", _REMEDY)
    Recipe.of(table["settings"])
    table["rules"] = validated(Rules, table["rules"], f"the rules of {id}", _REMEDY)
    return Preset(id=id, **table)
