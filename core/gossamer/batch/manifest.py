"""Tables that say what is in a batch: a picture a row, with what is meant in it, how it is cut and what it is called.

The columns `source`, `name`, `recipe` (a file, or settings in JSON), `preset` and `prompt` (a text, or a prompt in
JSON) are known; every other one can stand in the name of outputs. Relative paths count from the table's own folder;
a source may be an address in a store.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from gossamer.batch.addresses import Where, address_of, is_address
from gossamer.batch.sources import Source
from gossamer.errors import InputError
from gossamer.paths import read_text, source_path
from gossamer.settings.recipe import Recipe

__all__ = ["REMEDIES", "is_manifest", "listed", "read_decisions", "read_manifest", "table_rows"]

_SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet")
_SOURCE = ("source", "source_path", "path", "file", "filename", "image", "picture", "input", "photo")
_LONGEST_PATH = 255  # a name may have no more; a path that is longer is some other cell's text
_KNOWN = ("name", "recipe", "preset", "prompt")
_AGAIN = ("reject", "rejected", "redo")
_LEFT = ("accept", "accepted", "keep", "")
_HELP = "Give a table with the column source, as CSV or as JSON lines."
REMEDIES = {
    "manifest": _HELP,
    "review": "Give what the report's page has exported.",
    "table": "Give a table with the columns picture and mask, as CSV or as JSON lines.",
}
"""What is to be given where a table of some kind cannot be read."""


def is_manifest(given: str) -> bool:
    """Tell whether a name is that of a table rather than of a picture."""
    return given.lower().endswith(_SUFFIXES)


def listed(data: bytes) -> list[str]:
    """Return the names in a list: one a line, or between NUL bytes where there are any (``find -print0``)."""
    separator = b"\0" if b"\0" in data else b"\n"
    names = (line if separator == b"\0" else line.rstrip(b"\r") for line in data.split(separator))
    return [os.fsdecode(name) for name in names if name.strip()]


def read_manifest(given: str) -> list[Source]:
    """Return the pictures of a table.

    Raises
    ------
    InputError
        It cannot be read (Parquet: without pyarrow), has no column of sources, or a row of it makes no sense.
    """
    path = source_path(given, "manifest")
    rows = table_rows(path, "manifest")
    column = _column(rows, path)
    found = []
    for number, row in enumerate(rows, 1):
        given_source = str(row.get(column) or "").strip()
        if not given_source:
            raise InputError(f"Row {number} of {path} names no {column}.", _HELP)
        picture: Where
        if is_address(given_source):
            picture = address_of(given_source)
        else:
            picture = Path(os.path.abspath(path.parent / source_path(given_source)))
        found.append(
            Source(
                picture,
                picture.name,
                fields={
                    name: _text(value)
                    for name, value in row.items()
                    if name not in (column, *_KNOWN) and name.isidentifier()
                },
                output=_text(row.get("name")) or None,
                recipe=_recipe(row, number, path),
                preset=_text(row.get("preset")) or None,
                prompt=_text(row.get("prompt")) or None,
            )
        )
    if not found:
        raise InputError(f"{path} has no rows.", _HELP)
    return found


def read_decisions(given: str) -> set[str]:
    """Return the sources that a review wants to be done again: those it rejects, and those that are to be redone.

    Parameters
    ----------
    given : str
        CSV or JSON with `source` and `decision` (accept, reject or redo) a row, as the report's page writes it.

    Raises
    ------
    InputError
        It cannot be read, or holds none of them.
    """
    path = source_path(given, "review")
    rows = table_rows(path, "review")
    if rows and not any("source" in row and "decision" in row for row in rows):
        raise InputError(f"{path} has no columns source and decision.", "Give what the report's page has exported.")
    again = set()
    for number, row in enumerate(rows, 1):
        decision = _text(row.get("decision")).strip().lower()
        if decision not in (*_AGAIN, *_LEFT):
            raise InputError(f"Row {number} of {path} has the decision {decision!r}.", "Give accept, reject or redo.")
        if decision in _AGAIN:
            again.add(_text(row["source"]))
    if not again:
        raise InputError(f"{path} rejects nothing and asks for nothing to be redone.", "Then there is nothing to do.")
    return again


def table_rows(path: Path, what: Literal["manifest", "review", "table"]) -> list[dict[str, Any]]:
    """Return the rows of a table by their columns; raises InputError where it cannot be read.

    Parameters
    ----------
    path : Path
    what : {"manifest", "review", "table"}
        What it is to be: of a batch, of what was decided about one, or of a data set.
    """
    suffix, remedy = path.suffix.lower(), REMEDIES[what]
    if suffix == ".parquet":
        return _parquet(path, what)
    text = read_text(path, what, remedy)
    if suffix in (".csv", ".tsv"):
        return _csv(text, path, remedy)
    if suffix != ".json":
        return [_line(line, f"Line {number} of the {what} {path}", remedy) for number, line in _lines(text)]
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"The {what} {path} is no valid JSON: {error}.", remedy) from None
    if isinstance(data, dict):
        data = next((value for value in data.values() if isinstance(value, list)), [data])
    if not isinstance(data, list) or not all(isinstance(row, dict) for row in data):
        raise InputError(f"The {what} {path} is no list of rows.", remedy)
    return data


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines that hold something, by their numbers as an editor counts them."""
    return ((number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip())


def _line(line: str, which: str, remedy: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{which} is no valid JSON: {error}.", remedy) from None
    if not isinstance(row, dict):
        raise InputError(f"{which} is no row: it has no names of columns.", remedy)
    return row


def _csv(text: str, path: Path, remedy: str) -> list[dict[str, Any]]:
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count)  # a spreadsheet writes ; where , stands in numbers
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        rows = [dict(row) for row in reader]
    except csv.Error as error:
        line = min(reader.line_num + 1, text.count("\n") + 1)  # it counts the lines that it is done with
        raise InputError(f"{path} is no valid CSV: line {line}: {error}.", remedy) from None
    for number, row in enumerate(rows, 1):
        if None in row or None in row.values():
            raise InputError(f"Row {number} of {path} has not as many cells as there are columns.", remedy)
    return [{name.strip(): value for name, value in row.items()} for row in rows]


def _parquet(path: Path, what: str) -> list[dict[str, Any]]:
    try:
        import pyarrow.parquet  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError:
        raise InputError(
            f"The {what} {path} is Parquet, and the package pyarrow is not installed.",
            "Type: pip install pyarrow, or give CSV or JSON lines.",
        ) from None
    try:
        rows: list[dict[str, Any]] = pyarrow.parquet.read_table(path).to_pylist()
    except (OSError, ValueError) as error:
        raise InputError(f"The {what} {path} cannot be read as Parquet: {error}.", REMEDIES[what]) from None
    return [{name: _told(value) for name, value in row.items()} for row in rows]


def _told(value: Any) -> Any:
    """Return a cell without what its column's type has and its row leaves out: in Parquet every row has every field."""
    if isinstance(value, Mapping):
        return {name: _told(each) for name, each in value.items() if each is not None}
    return [_told(each) for each in value] if isinstance(value, list) else value


def _column(rows: Sequence[Mapping[str, Any]], path: Path) -> str:
    names = rows[0] if rows else {}
    column = next((name for name in _SOURCE if name in names), None)
    if rows and column is None:
        raise InputError(f"{path} has no column source.", _HELP)
    return column or "source"


def _recipe(row: Mapping[str, Any], number: int, path: Path) -> dict[str, Any] | None:
    """Return the settings that a row asks for, checked."""
    given, wanted = row.get("recipe"), _text(row.get("preset"))
    if not given and not wanted:
        return None
    try:
        base: Recipe | None = None
        if isinstance(given, Mapping):
            base = Recipe.of(dict(given))
        elif text := _text(given).strip():
            inline = text.startswith("{")
            if not inline and len(text) > _LONGEST_PATH:
                raise InputError("A recipe's path cannot be that long.", _HELP)
            base = Recipe.of(json.loads(text)) if inline else Recipe.load(path.parent / source_path(text, "recipe"))
        if wanted:
            from gossamer.canvas.presets import preset

            base = preset(wanted).recipe(base)
    except (ValueError, RecursionError) as error:
        raise InputError(f"The recipe in row {number} of {path} is no valid JSON: {error}.", _HELP) from None
    except InputError as error:
        raise InputError(f"Row {number} of {path}: {error.message}", error.remedy) from None
    return None if base is None else base.model_dump(exclude_unset=True)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return value if isinstance(value, str) else json.dumps(value) if isinstance(value, Iterable) else str(value)
