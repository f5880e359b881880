"""What a settings model is: immutable, without unknown names, and refusing in one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError

from gossamer.arguments import check_choice, check_flag, check_text, shown
from gossamer.errors import InputError
from gossamer.spelling import did_you_mean

__all__ = ["Settings", "validated"]

_S = TypeVar("_S", bound="Settings")


class Settings(BaseModel):
    """Settings as data: frozen, hashable, picklable."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _names(kind: type[Settings]) -> list[str]:
    """Return the names of all settings, and of all stages."""
    stages = {name: field.annotation for name, field in kind.model_fields.items()}
    inner = [
        f"{name}.{field}"
        for name, stage in stages.items()
        if isinstance(stage, type) and issubclass(stage, Settings)
        for field in stage.model_fields
    ]
    return [*stages, *inner]


def _check_alone(kind: type[Settings], name: str, value: Any) -> None:
    """Say in the words of :mod:`gossamer.arguments` what is wrong with a setting that stands by itself."""
    field = kind.model_fields.get(name)
    if field is None:
        return
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    noun = str(extra.get("noun", name.replace("_", " ")))
    if get_origin(field.annotation) is Literal:
        check_choice(value, get_args(field.annotation), noun)
    elif field.annotation is bool:
        check_flag(value, name)
    elif field.annotation is str:
        check_text(value, noun, str(extra.get("remedy", "Give a text.")))


def validated(kind: type[_S], values: Mapping[str, Any], what: str, where_to_look: str) -> _S:
    """Build settings of a kind.

    Parameters
    ----------
    kind : type of Settings
    values : mapping
        By the names of its fields.
    what : str
        What messages call the whole, e.g. ``"the recipe"``.
    where_to_look : str
        The remedy for a name that there is not.

    Raises
    ------
    InputError
        A setting is unknown or impossible; the message names it and says what is allowed.
    """
    if isinstance(values, kind):
        return values
    if not isinstance(values, Mapping):
        raise InputError(
            f"Settings are a dict, not of the type {type(values).__name__}.",
            'Give e.g. {"matting": {"band": 20}}, or Recipe.load(path).',
        )
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or what
        reason = str(first["msg"]).removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            close = did_you_mean(where, _names(kind))
            raise InputError(f"There is no setting {where}.", f"{close}{where_to_look}") from None
        if len(first["loc"]) == 1:
            _check_alone(kind, where, first["input"])
        raise InputError(f"The setting {where} cannot be {shown(first['input'])}: {reason}.") from None
