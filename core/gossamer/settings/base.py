"""What a settings model is: immutable, without unknown names, and refusing in one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from gossamer.errors import InputError

__all__ = ["Settings", "validated"]

_S = TypeVar("_S", bound="Settings")


class Settings(BaseModel):
    """Settings as data: frozen, hashable, picklable."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


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
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or what
        reason = str(first["msg"]).removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            raise InputError(f"There is no setting {where}.", where_to_look) from None
        raise InputError(f"The setting {where} cannot be {first['input']!r}: {reason}.") from None
