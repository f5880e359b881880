"""The Recipe, flattened: what command line, ComfyUI and GIMP generate their options from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Le

from gossamer.settings.recipe import Recipe

__all__ = ["Parameter", "parameters", "recipe_from_flat"]


@dataclass(frozen=True)
class Parameter:
    """One setting, as a face shows it.

    Attributes
    ----------
    path : str
        Where it stands in the Recipe, e.g. ``matting.band``.
    name : str
        Its flat name, e.g. ``matting_band``; a stage's main field takes the stage's bare name (``matting``).
    kind : {"bool", "int", "float", "choice", "text"}
        What it holds.
    default : bool, int, float or str
        Its default.
    minimum, maximum : float or None
        Inclusive limits of numbers.
    choices : tuple of str
        What a choice may be.
    unit, title, help : str
        For people.
    """

    path: str
    name: str
    kind: Literal["bool", "int", "float", "choice", "text"]
    default: bool | int | float | str
    minimum: float | None
    maximum: float | None
    choices: tuple[str, ...]
    unit: str
    title: str
    help: str

    @property
    def stage(self) -> str:
        """The Recipe's sub-model that it belongs to, e.g. ``matting``."""
        return self.path.partition(".")[0]

    @property
    def flag(self) -> str:
        """The command-line flag, e.g. ``--matting-band``."""
        return "--" + self.name.replace("_", "-")


def parameters(recipe: type[Recipe] = Recipe) -> tuple[Parameter, ...]:
    """Return every setting of the Recipe in its order, flattened."""
    return tuple(
        _parameter(stage, name, field)
        for stage, outer in recipe.model_fields.items()
        for name, field in _fields(outer.annotation)
    )


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
    settings = (base or Recipe()).model_dump()
    paths = {parameter.name: parameter.path for parameter in parameters()}
    for name, value in values.items():
        stage, _, field = paths.get(name.replace("-", "_"), name).partition(".")
        if isinstance(settings.get(stage), dict) and field:
            settings[stage][field] = value
        else:
            settings[name] = value
    return Recipe.of(settings)


def _fields(annotation: Any) -> list[tuple[str, Any]]:
    fields: dict[str, Any] = annotation.model_fields
    return list(fields.items())


def _parameter(stage: str, name: str, field: Any) -> Parameter:
    extra = field.json_schema_extra or {}
    limits = {type(item): item for item in field.metadata}
    is_choice = get_origin(field.annotation) is Literal
    kinds: dict[Any, Any] = {bool: "bool", int: "int", float: "float", str: "text"}
    return Parameter(
        path=f"{stage}.{name}",
        name=stage if extra.get("main") else f"{stage}_{name}",
        kind="choice" if is_choice else kinds[field.annotation],
        default=field.default,
        minimum=limits[Ge].ge if Ge in limits else None,
        maximum=limits[Le].le if Le in limits else None,
        choices=get_args(field.annotation) if is_choice else (),
        unit=extra.get("unit", ""),
        title=field.title or name,
        help=field.description or "",
    )
