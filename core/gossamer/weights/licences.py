"""Licences that do not allow commercial use, or ask for more than a name: accepted once, and written down."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

from gossamer.errors import LicenceError, OutputError
from gossamer.files import change_json, read_json
from gossamer.weights.catalogue import ModelCard
from gossamer.weights.fetch.transfer import writing
from gossamer.weights.folders import home, table_fault

__all__ = ["accept", "is_accepted", "require"]

_PATIENCE = 20.0  # seconds; others hold the file for a moment


def is_accepted(card: ModelCard) -> bool:
    """Return whether a model's licence needs no acceptance, or has it, in the words that it has now."""
    if card.commercial and not card.terms:
        return True
    try:
        return _is_in(read_json(_file()), card)
    except (OSError, ValueError):
        return False


def accept(card: ModelCard) -> None:
    """Write down in ``licences.json`` that the user accepts a model's licence.

    Raises
    ------
    OutputError
        If that cannot be written, or what is there cannot be read: it is never written over.
    """
    if is_accepted(card):
        return
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    entry = {"licence": card.licence, "url": card.licence_url, "accepted": now}
    file = _file()
    writing(file, file.parent.mkdir, parents=True, exist_ok=True)
    if problem := table_fault(file):
        raise OutputError(f"The licence was not accepted: {problem[0]}", problem[1])
    try:
        writing(file, change_json, file, lambda accepted: {**accepted, card.id: entry}, _PATIENCE)
    except ValueError as error:
        raise OutputError(f"The licence was not accepted: {file} is damaged: {error}.", "Move it away.") from error


def require(card: ModelCard) -> None:
    """Raise LicenceError where a model's licence was not accepted."""
    if is_accepted(card):
        return
    if problem := table_fault(_file()):
        raise LicenceError(f"Whether the licence of {card.title} was accepted is not known: {problem[0]}", problem[1])
    if card.commercial:
        raise LicenceError(
            f"{card.title} has the licence {card.licence}: {card.terms}.",
            f"Read {card.licence_url} and, to accept it once, type: gossamer models get {card.id} --accept-licence "
            "(in Python: accept_licence=True)",
        )
    what = "gives no clear licence" if card.licence == "unclear" else f"has the licence {card.licence}"
    raise LicenceError(
        f"{card.title} {what}, so its weights are not for commercial use.",
        f"Read {card.licence_url} and, to accept it once, type: gossamer models get {card.id} --accept-licence "
        "(in Python: accept_licence=True)",
    )


def _file() -> Path:
    return home() / "licences.json"


def _is_in(accepted: dict[str, Any], card: ModelCard) -> bool:
    entry = accepted.get(card.id)
    return isinstance(entry, dict) and entry.get("licence") == card.licence
