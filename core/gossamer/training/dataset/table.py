"""Tables of pictures and masks, as CSV or JSON lines: a picture a row; further columns can be groups."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gossamer.batch.manifest import REMEDIES, table_rows
from gossamer.errors import InputError
from gossamer.paths import source_path
from gossamer.settings.dataset import Data
from gossamer.training.dataset.examples import Example
from gossamer.training.dataset.grouping import group_of

__all__ = ["PICTURE", "TABLE", "in_table"]

PICTURE = ("picture", "image", "source", "path", "file", "filename", "photo", "input")
_MASK = ("mask", "alpha", "matte", "truth", "label", "gt", "cutout", "target")
_HELP = REMEDIES["table"]

TABLE = "data.jsonl"
"""A folder with a table of this name is what the table says, as ``gossamer dataset from-batch`` leaves it."""


def in_table(path: Path, settings: Data) -> tuple[list[Example], list[tuple[str, str]]]:
    """Find the pictures of a table. Relative paths count from the table's folder, or `settings.photos`.

    A row without a mask is that of a cut-out. One with the column `draft` holds the SHA-256 of a mask that is known to
    be wrong: it is left out for as long as nobody has changed that.

    Returns
    -------
    list of Example, list of (str, str)
        The second: rows that are not to be used yet.

    Raises
    ------
    InputError
        It cannot be read, or has no column of pictures.
    """
    rows = table_rows(path, "table")
    columns = rows[0] if rows else {}
    picture_column = next((name for name in PICTURE if name in columns), None)
    if picture_column is None:
        raise InputError(f"{path} has no column picture.", _HELP)
    mask_column = next((name for name in _MASK if any(name in row for row in rows)), None)
    root = Path(os.path.abspath(os.path.expanduser(settings.photos) if settings.photos else path.parent))
    examples, passed_over = [], []
    named: set[str] = set()
    for number, row in enumerate(rows, 1):
        given = str(row.get(picture_column) or "").strip()
        if not given:
            raise InputError(f"Row {number} of {path} names no {picture_column}.", _HELP)
        picture = _below(root, given)
        name = str(row.get("name") or "").strip()
        name = name or (Path(given).with_suffix("").as_posix() if not os.path.isabs(given) else picture.stem)
        name = name if name not in named else f"{name} (row {number})"
        named.add(name)
        text = str(row.get(mask_column) or "").strip() if mask_column else ""
        mask = _below(root, text) if text else None
        if _is_draft(row, mask):
            passed_over.append((name, f"{mask} is still the mask that was rejected: correct it first."))
            continue
        group = group_of(settings.group, picture, root, name, row)
        inverted = settings.white == "background" and mask is not None
        examples.append(Example(name, group, picture, mask, "table", inverted=inverted))
    return examples, passed_over


def _below(root: Path, given: str) -> Path:
    return Path(os.path.abspath(root / source_path(given)))


def _is_draft(row: Mapping[str, Any], mask: Path | None) -> bool:
    draft = row.get("draft")
    if not draft or mask is None:
        return False
    try:
        return hashlib.sha256(mask.read_bytes()).hexdigest() == str(draft)
    except OSError:  # told when it is read
        return False
