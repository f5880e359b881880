"""What tells whether an output was made as it is asked for now, of the very picture that lies there now."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from gossamer.batch.addresses import ObjectStatus
from gossamer.batch.journal import Record
from gossamer.batch.targets import place
from gossamer.errors import GossamerError
from gossamer.image import read_image
from gossamer.settings import Finding, ModelChoice, Recipe

__all__ = ["content_of", "is_of_this_source", "recipe_hash", "stamp_of", "state_of"]

_CHUNK = 1 << 20
_WHERE = {
    "device",
    "runtime",
    "folders",
    "compile",
    "accept_licence",
}  # of a ModelChoice: not what, but where and whence


def recipe_hash(
    recipe: Recipe,
    choice: ModelChoice,
    prompt: str | None = None,
    finding: Finding | None = None,
    *,
    shadow_layer: bool = False,
) -> str:
    """Return what is equal for equal settings: of recipe and choice of a model, and of a prompt where there is one.

    Parameters
    ----------
    recipe, choice, prompt, finding
    shadow_layer : bool
        The photograph's shadow is a file of its own.
    """
    data: dict[str, Any] = {
        "recipe": recipe.model_dump(exclude={"checks"}, mode="json"),
        "choice": choice.model_dump(exclude=_WHERE, mode="json"),
    }
    background = Path(recipe.background.fill)
    if background.is_file():
        data["background"] = content_of(background)
    if prompt is not None:
        data |= {"prompt": prompt, "finding": None if finding is None else finding.model_dump(mode="json")}
    if shadow_layer:
        data["shadow_layer"] = True
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]


def content_of(path: Path) -> str:
    """Return the SHA-256 of a file; raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def is_of_this_source(record: Record, status: os.stat_result | ObjectStatus) -> bool:
    """Tell whether a record is of a source as it is now, by its size and time of change or what a store calls it."""
    return (record.source_bytes, record.source_mtime, record.source_tag) == stamp_of(status)


def stamp_of(status: os.stat_result | ObjectStatus) -> tuple[int, int, str]:
    """Return what is the same as long as a file or object is: size, time of change in nanoseconds, a store's tag."""
    return status.st_size, status.st_mtime_ns, getattr(status, "tag", "")


def state_of(record: Record, out: Path) -> str:
    """Return what is the matter with the output that a record tells of.

    Returns
    -------
    {"whole", "missing", "broken", "other"}
        As it was written; not there; there, but no picture any more; a picture that somebody has changed since.
    """
    if record.output is None:
        return "missing"
    path = place(out, record.output)
    try:
        status = path.stat()
        if status.st_size == record.bytes:
            if status.st_mtime_ns == record.output_mtime or content_of(path) == record.sha256:
                return "whole"
    except OSError:
        return "missing"
    try:
        read_image(path)
    except GossamerError:
        return "broken"
    return "other"
