"""Settings, flattened: what command line, ComfyUI, GIMP and the worker generate their options from."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Le, MultipleOf
from pydantic.fields import FieldInfo

from gossamer.settings.base import Settings, required
from gossamer.settings.recipe import Recipe

__all__ = ["Parameter", "nested", "parameters", "recipe_from_flat"]


@dataclass(frozen=True)
class Parameter:
    """One setting, as a face shows it.

    Attributes
    ----------
    path : str
        Where it stands, e.g. ``matting.band`` in the Recipe, ``quality`` in ModelChoice.
    name : str
        Its flat name, e.g. ``matting_band``; a stage's main field takes the stage's bare name (``matting``). No two
        kinds of settings have one name for two things.
    kind : {"bool", "int", "float", "choice", "text", "texts"}
        What it holds.
    default : bool, int, float, str, tuple of str or None
        Its default; None for one that need not be given.
    minimum, maximum : float or None
        Inclusive limits of numbers.
    choices : tuple of str
        What a choice may be.
    unit, title, help : str
        For people.
    step : int or None
        What a number is a multiple of.
    """

    path: str
    name: str
    kind: Literal["bool", "int", "float", "choice", "text", "texts"]
    default: bool | int | float | str | tuple[str, ...] | None
    minimum: float | None
    maximum: float | None
    choices: tuple[str, ...]
    unit: str
    title: str
    help: str
    step: int | None = None

    @property
    def stage(self) -> str:
        """The Recipe's sub-model that it belongs to, e.g. ``matting``; "" where there are none."""
        return self.path.rpartition(".")[0]

    @property
    def flag(self) -> str:
        """The command-line flag, e.g. ``--matting-band``."""
        return "--" + self.name.replace("_", "-")


@functools.cache
def parameters(settings: type[Settings] = Recipe) -> tuple[Parameter, ...]:
    """Return every setting of a kind of settings in its order, flattened."""
    found = []
    for name, field in settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Settings):
            found += [_parameter(name, inner, one) for inner, one in field.annotation.model_fields.items()]
        else:
            found.append(_parameter("", name, field))
    return tuple(found)


def recipe_from_flat(values: Mapping[str, Any], base: Recipe | None = None) -> Recipe:
    """Build a Recipe from flat names, e.g. ``{"matting": "closed_form", "matting_band": 20}``.

    Parameters
    ----------
    values : mapping of str to value
        Flat names (underscores or dashes) or dotted paths; what is absent keeps its value in `base`.
    base : Recipe, optional
        Where absent values come from; the defaults without it.

    Raises
    ------
    InputError
        A name is unknown or a value impossible.
    """
    return Recipe.of(nested(Recipe, values, base or Recipe()))


def nested(kind: type[Settings], values: Mapping[str, Any], base: Settings) -> dict[str, Any]:
    """Return what a kind of settings is validated from: those of `base`, changed by flat names or dotted paths."""
    # What nobody set stays unset: whether a band was given decides what it counts.
    settings = base.model_dump(exclude_unset=True)
    paths = {parameter.name: parameter.path for parameter in parameters(kind)}
    for name, value in values.items():
        stage, _, field = paths.get(name.replace("-", "_"), name).partition(".")
        if stage in kind.model_fields and field:
            settings.setdefault(stage, {})[field] = value
        else:
            settings[stage if stage in kind.model_fields and not field else name] = value
    return settings


def _parameter(stage: str, name: str, field: FieldInfo) -> Parameter:
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    annotation, metadata = required(field.annotation, field.metadata)
    limits = {type(item): item for item in metadata}
    is_choice = get_origin(annotation) is Literal
    kinds: dict[Any, Any] = {bool: "bool", int: "int", float: "float", str: "text", tuple[str, ...]: "texts"}
    return Parameter(
        path=f"{stage}.{name}" if stage else name,
        name=str(extra.get("flat") or (stage if extra.get("main") else f"{stage}_{name}" if stage else name)),
        kind="choice" if is_choice else kinds[annotation],
        default=field.default,
        minimum=limits[Ge].ge if Ge in limits else None,
        maximum=limits[Le].le if Le in limits else None,
        choices=get_args(annotation) if is_choice else (),
        unit=str(extra.get("unit", "")),
        title=field.title or name,
        help=field.description or "",
        step=limits[MultipleOf].multiple_of if MultipleOf in limits else None,
    )
