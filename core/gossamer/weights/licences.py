"""Licences that do not allow commercial use: accepted once, and written down."""

from __future__ import annotations

import datetime
import json
from typing import Any

from gossamer.errors import LicenceError
from gossamer.weights.catalogue import ModelCard
from gossamer.weights.digests import write_json
from gossamer.weights.fetch.transfer import writing
from gossamer.weights.folders import home

__all__ = ["accept", "is_accepted", "require"]


def is_accepted(card: ModelCard) -> bool:
    """Return whether a model's licence needs no acceptance, or has it, in the words that it has now."""
    entry = _accepted().get(card.id)
    return card.commercial or (isinstance(entry, dict) and entry.get("licence") == card.licence)


def accept(card: ModelCard) -> None:
    """Write down in ``licences.json`` that the user accepts a model's licence; raises OutputError."""
    if is_accepted(card):
        return
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    entry = {"licence": card.licence, "url": card.licence_url, "accepted": now}
    file = home() / "licences.json"
    writing(file, write_json, file, {**_accepted(), card.id: entry})


def require(card: ModelCard) -> None:
    """Raise LicenceError where a model's licence was not accepted."""
    if is_accepted(card):
        return
    what = "gives no clear licence" if card.licence == "unclear" else f"has the licence {card.licence}"
    raise LicenceError(
        f"{card.title} {what}, so its weights are not for commercial use.",
        f"Read {card.licence_url} and, to accept it once, type: gossamer models get {card.id} --accept-licence "
        "(in Python: accept_licence=True)",
    )


def _accepted() -> dict[str, Any]:
    try:
        raw = json.loads((home() / "licences.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return raw if isinstance(raw, dict) else {}
