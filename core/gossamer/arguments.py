"""What a caller gave where one of a few things can be: checked once, at the public edge."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from gossamer.errors import InputError
from gossamer.spelling import alike

__all__ = ["check_call", "check_choice", "check_flag", "check_kind", "check_text", "paths_of", "shown"]


def check_choice(value: object, known: Iterable[str], name: str) -> None:
    """Raise InputError where a value is none of those that are known; the message names the `name` and all of them."""
    names = tuple(known)
    if isinstance(value, str) and value in names:
        return
    remedy = f"Choose one of: {', '.join(names)}."
    close = alike(value, names) if isinstance(value, str) else []
    if len(close) == 1 and len(names) > 4:
        remedy = f"Did you mean {close[0]}? {remedy}"
    raise InputError(f"There is no {name} {shown(value)}.", remedy)


def check_text(value: object, name: str, remedy: str) -> None:
    """Raise InputError where a value is no text, or an empty one."""
    if not isinstance(value, str):
        raise InputError(f"The {name} is {described(value)}, not a text.", remedy)
    if not value.strip():
        raise InputError(f"The {name} is empty.", remedy)


def check_flag(value: object, name: str) -> None:
    """Raise InputError where a value is neither True nor False."""
    if not isinstance(value, bool):
        raise InputError(f"The option {name} is {described(value)}.", "Give True or False.")


def check_call(value: object, name: str, form: str) -> None:
    """Raise InputError where a value can neither be called nor is None; `form` shows how it will be called."""
    if value is not None and not callable(value):
        raise InputError(
            f"The argument {name} is {described(value)}, which cannot be called.", f"Give {form}, or None."
        )


def check_kind(value: object, kind: type, name: str, remedy: str) -> None:
    """Raise InputError where a value is not of a type."""
    if not isinstance(value, kind):
        raise InputError(f"The {name} is {described(value)}.", remedy)


def paths_of(value: object, name: str) -> tuple[Path, ...]:
    """Return a list of paths as one; raises InputError for a single one, whose letters would each be taken for one."""
    if isinstance(value, (str, bytes, os.PathLike)) or not isinstance(value, Iterable):
        raise InputError(f"The argument {name} is {described(value)}, not a list.", "Give a list of paths.")
    given = tuple(value)
    for one in given:
        if not isinstance(one, (str, os.PathLike)):
            raise InputError(f"In the argument {name} is something {described(one)}, not a path.", "Give paths.")
    return tuple(Path(os.fsdecode(one)) for one in given)


def described(value: object) -> str:
    """Return what a value is, for a message."""
    return "None" if value is None else f"of the type {type(value).__name__}"


def shown(value: object) -> str:
    """Return a value itself for a message, cut off where it is long."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
