"""Where a setting belongs: what is answered where it is given to something else."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from gossamer.arguments import shown
from gossamer.errors import InputError
from gossamer.settings.finding import Finding
from gossamer.settings.model_choice import ModelChoice
from gossamer.settings.parameters import parameters
from gossamer.settings.recipe import Recipe
from gossamer.spelling import did_you_mean

__all__ = ["knows_its_arguments", "where_it_belongs"]

_P = ParamSpec("_P")
_T = TypeVar("_T")


def knows_its_arguments(function: Callable[_P, _T]) -> Callable[_P, _T]:
    """Make a function raise InputError for an argument that it does not have, which says where a setting belongs."""
    known = [name for name in inspect.signature(function).parameters if name != "self"]

    @functools.wraps(function)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        for name, value in kwargs.items():
            if name not in known:
                close = did_you_mean(name, known)
                remedy = where_it_belongs(name, value) or f"{close}Its arguments are: {', '.join(known)}."
                raise InputError(f"{function.__qualname__.removesuffix('.__init__')} has no argument {name}.", remedy)
        return function(*args, **kwargs)

    return call


def where_it_belongs(name: str, value: Any) -> str:
    """Return what to write for a setting of another kind than was asked, in a sentence; "" where there is none."""
    if name in ModelChoice.model_fields:
        return f"It belongs to the choice of a model: see gossamer.Pipeline({name}=…) and gossamer.ModelChoice."
    if name in Finding.model_fields:
        return f"It belongs to how prompts find subjects: see gossamer.open(…, {name}=…) and gossamer.Finding."
    settings = _in_recipe(name, value)
    if settings is None:
        return ""
    return f"It belongs to the recipe: recipe=gossamer.Recipe.of({shown(settings).replace('Ellipsis', '…')})."


def _in_recipe(name: str, value: Any) -> dict[str, Any] | None:
    """Return the settings of a recipe that say the same, or None."""
    if name in Recipe.model_fields and isinstance(value, dict):
        return {name: value}
    if not isinstance(value, (str, int, float, tuple, list)):
        value = ...
    every = parameters(Recipe)
    found = [one for one in every if name in (one.name, one.path)]
    found = found or [one for one in every if one.path.endswith(f".{name}")]
    if len(found) == 1:
        stage, _, field = found[0].path.partition(".")
        return {stage: {field: value}}
    return {name: ...} if name in Recipe.model_fields else None
