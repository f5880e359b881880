"""What a settings model is: immutable, without unknown names, and refusing in one sentence."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from annotated_types import Ge, Le, MultipleOf
from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator
from pydantic.fields import FieldInfo

from gossamer.arguments import check_choice, check_flag, check_text, described, shown
from gossamer.errors import InputError
from gossamer.spelling import did_you_mean, the_taker

__all__ = ["Settings", "required", "validated"]

_S = TypeVar("_S", bound="Settings")


class Settings(BaseModel):
    """Settings as data: frozen, hashable, picklable."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def __init__(self, **settings: Any) -> None:
        try:
            super().__init__(**settings)
        except ValidationError as error:
            names = ", ".join(type(self).model_fields)
            raise _refusal(type(self), error, "the settings", f"Its settings are: {names}.") from None

    # As BaseModel's own: what is built of a dict, stage by stage, is told as a whole, with the stage's name.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    @field_validator("*", mode="before")
    @classmethod
    def _yes_and_no_are_no_numbers(cls, value: Any, info: ValidationInfo) -> Any:
        field = cls.model_fields[str(info.field_name)]
        kind, _ = required(field.annotation, field.metadata)
        as_flag = isinstance(value, bool)
        if (kind in (int, float) and as_flag) or (kind is bool and isinstance(value, (int, float)) and not as_flag):
            raise ValueError(_wanted(field))
        if kind is str and isinstance(value, (bytes, bytearray)):
            raise ValueError(_wanted(field))
        return value


def required(annotation: Any, metadata: list[Any]) -> tuple[Any, list[Any]]:
    """Return the type of a setting where it is given, and its limits."""
    if type(None) in get_args(annotation):
        annotation = next(one for one in get_args(annotation) if one is not type(None))
    if get_origin(annotation) is Annotated:
        annotation, *more = get_args(annotation)
        metadata = [*metadata, *(limit for one in more for limit in getattr(one, "metadata", [one]))]
    return annotation, metadata


def _wanted(field: FieldInfo) -> str:
    """Return what can be given for a setting: "give ..."."""
    kind, metadata = required(field.annotation, field.metadata)
    if isinstance(field.json_schema_extra, dict) and (remedy := str(field.json_schema_extra.get("remedy", ""))):
        return f"{remedy[:1].lower()}{remedy[1:].rstrip('.')}"
    if isinstance(kind, type) and issubclass(kind, Settings):
        name, inner = next(iter(kind.model_fields.items()))
        return f"give a table of settings, e.g. {json.dumps({name: inner.default})}"
    if get_origin(kind) is Literal:
        return f"choose one of: {', '.join(get_args(kind))}"
    limits = {type(item): item for item in metadata}
    span = f" from {limits[Ge].ge:g} to {limits[Le].le:g}" if {Ge, Le} <= set(limits) else ""
    steps = f", in steps of {limits[MultipleOf].multiple_of:g}" if MultipleOf in limits else ""
    words = {bool: "True or False", int: f"a whole number{span}{steps}", float: f"a number{span}", str: "a text"}
    return f"give {words.get(kind, 'a list of texts')}"


def _field_at(kind: type[Settings], place: tuple[int | str, ...]) -> FieldInfo | None:
    """Return the setting that an error is about, or None where there is none."""
    field = None
    for name in place:
        if not (isinstance(kind, type) and issubclass(kind, Settings)) or name not in kind.model_fields:
            break
        field = kind.model_fields[str(name)]
        kind = field.annotation  # type: ignore[assignment]
    return field


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


def _taker(kind: type[Settings], where: str, value: object) -> str:
    """Return which setting takes a choice that another one does not, as `foreground.shadow` takes keep."""
    takers = [
        name
        for name in _names(kind)
        if (field := _field_at(kind, tuple(name.split(".")))) is not None
        and get_origin(field.annotation) is Literal
        and value in get_args(field.annotation)
    ]
    found = the_taker(where, takers)
    return f"Did you mean {found}? " if found else ""


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


_LONGEST_NAME = 80  # as of values that are shown: of what no setting is called, that is enough


def _refusal(kind: type[Settings], error: ValidationError, what: str, where_to_look: str) -> InputError:
    """Return what is wrong with settings of a kind, in our words."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"]) or what
    if len(where) > _LONGEST_NAME:
        where = f"{where[: _LONGEST_NAME - 3]}..."
    if first["type"] == "extra_forbidden":
        close = did_you_mean(where, _names(kind))
        if len(first["loc"]) == 1 and not close:
            from gossamer.settings.belonging import where_it_belongs

            where_to_look = where_it_belongs(where, first["input"]) or where_to_look
        return InputError(f"There is no setting {where}.", f"{close}{where_to_look}")
    if first["type"] == "invalid_key":
        return InputError(f"The name of a setting is {described(first['input'])}.", where_to_look)
    if len(first["loc"]) == 1:
        try:
            _check_alone(kind, where, first["input"])
        except InputError as told:
            return told
    field = _field_at(kind, first["loc"])
    reason = str(first["msg"]).removeprefix("Value error, ")
    if first["type"] != "value_error" and field is not None:
        reason = _wanted(field)
    if first["type"] == "multiple_of":
        step = first["ctx"]["multiple_of"]
        reason += f": the nearest is {step * round(float(first['input']) / step):g}"
    meant = _taker(kind, where, first["input"]) if first["type"] == "literal_error" else ""
    remedy = f"{meant}{reason[:1].upper()}{reason[1:]}."
    if not first["loc"] and first["type"] == "value_error":  # each by itself can be, not all together
        return InputError(f"{what[:1].upper()}{what[1:]} do not go together.", remedy)
    return InputError(f"The setting {where} cannot be {shown(first['input'])}.", remedy)


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
        raise _refusal(kind, error, what, where_to_look) from None
