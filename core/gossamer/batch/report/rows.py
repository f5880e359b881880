"""What is told of each picture: its record in the journal, and what has become of its files since."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote

from gossamer.batch.addresses import Address, ObjectStatus, Where, address_of, is_address
from gossamer.batch.journal import Journal, Record, journal_path, read_journal
from gossamer.batch.results import results_of
from gossamer.errors import InputError, OutputError
from gossamer.paths import cannot_read, source_path

__all__ = ["Row", "is_trouble", "read_rows", "worst_first"]

Status: TypeAlias = os.stat_result | ObjectStatus

_SLACK = 2_000_000_000  # nanoseconds: file systems that count whole seconds, or two


@dataclass(frozen=True)
class Row:
    """One picture of a batch.

    Attributes
    ----------
    record : Record
        Its last one.
    source, output : Path, Address or None
        Its files, where they are there; a photograph in a store is not asked for.
    state : str
        That of the record, or ``"pending"`` where a run ended before it was told.
    flags : tuple of dict
        Texts ``name``, ``reason``, ``remedy`` and ``severity`` of each.
    notes : tuple of str
        What has changed since, one sentence each.
    shadow : Path, Address or None
        The layer beside the output that holds the photograph's shadow, where it is there.
    """

    record: Record
    source: Path | None
    output: Where | None
    state: str
    flags: tuple[dict[str, str], ...] = ()
    notes: tuple[str, ...] = field(default=())
    shadow: Where | None = None

    @property
    def score(self) -> float | None:
        """What the checks gave it, None where they were not run."""
        return _number(self.record.score)

    def as_dict(self, beside: Where) -> dict[str, Any]:
        """Return what a page in the folder `beside` tells of it, as plain types of which no value is surprising."""
        record, error = self.record, self.record.error
        return {
            "source": _text(record.source),
            "output": None if record.output is None else _text(record.output),
            "state": self.state,
            "error": None if error is None else {"message": self._said(error.message), "remedy": _text(error.remedy)},
            "flags": list(self.flags),
            "warnings": [self._said(warning) for warning in _listed(record.warnings)],
            "notes": list(self.notes),
            "changed": bool(self.notes),
            "score": self.score,
            "measures": {_text(name): _number(value) for name, value in _table(record.measures).items()},
            "model": _text(record.model),
            "used": _used(record.recipe_used),
            "seconds": sum(_number(value) or 0.0 for value in _table(record.seconds).values()),
            "width": int(_number(record.width) or 0),
            "height": int(_number(record.height) or 0),
            "finished": _text(record.finished),
            "outputLink": _link(self.output, beside),
            "shadowLink": _link(self.shadow, beside),
            "sourceLink": _link(self.source, beside),
        }

    def _said(self, text: object) -> str:
        """Return a text in which the picture is called by its own name, without all the folders that it is in."""
        path = self.record.source_path
        return _text(text).replace(path, os.path.basename(path)) if path and isinstance(path, str) else _text(text)


def read_rows(out: str | os.PathLike[str] | Address) -> tuple[Where, Journal, list[Row]]:
    """Read the journal of a batch.

    Parameters
    ----------
    out : str, Path or Address
        The folder that the batch wrote to, or its address in a store.

    Returns
    -------
    (Path or Address, Journal, list of Row)
        The folder, absolute, or the address; its journal; one row a picture, in the order in which they came.

    Raises
    ------
    InputError
        There is no such folder, no journal in it, or nothing in that; or the store does not answer.
    """
    if isinstance(out, Address) or is_address(os.fspath(out)):
        return _in_store(out if isinstance(out, Address) else address_of(os.fspath(out)))
    folder = source_path(out, "folder")
    try:
        is_folder = stat.S_ISDIR(folder.stat().st_mode)
    except FileNotFoundError:
        raise InputError(f"{folder} does not exist.", "Give the folder that gossamer batch wrote to.") from None
    except (OSError, ValueError) as error:
        raise cannot_read(folder, error) from None
    if not is_folder:
        raise InputError(f"{folder} is no folder.", "Give the folder that gossamer batch wrote to.")
    folder = Path(os.path.abspath(folder))
    try:
        has_journal = journal_path(folder).exists()
    except OSError as error:
        raise cannot_read(journal_path(folder), error) from error
    if not has_journal:
        raise InputError(
            f"There is no journal of a batch in {folder}.", "Give the folder that followed --out of gossamer batch."
        )
    journal = read_journal(folder)
    return folder, journal, _rows(folder, journal, lambda name: _within(folder, name))


def _in_store(out: Address) -> tuple[Where, Journal, list[Row]]:
    """Return what :func:`read_rows` does for an address."""
    results = results_of(out)
    with suppress(OutputError):  # a batch is at it: its journal lies here
        results.check()
    if not journal_path(results.home).exists():
        raise InputError(
            f"There is no journal of a batch in {out}.", "Give the address that followed --out of gossamer batch."
        )
    journal, first = read_journal(results.home), len(out.key)
    there = {each.key[first:].lstrip("/"): each for each in out.below()}
    return out, journal, _rows(out, journal, lambda name: _found(there.get(str(name))))


def _rows(out: Where, journal: Journal, look: Callable[[object], tuple[Where | None, Status | None]]) -> list[Row]:
    rows = [_row(record, record.state, look) for record in journal.records.values()]
    # Killed between an output's name and its record: it is there, or it is not.
    rows += [_row(record, "pending", look) for record in journal.intents.values()]
    if not rows:
        raise InputError(f"The journal in {out} tells of no picture.", "Run gossamer batch to its end first.")
    return rows


def is_trouble(row: Row) -> bool:
    """Tell whether somebody should look at a picture."""
    return row.state != "done" or bool(row.flags or row.notes)


def worst_first(rows: list[Row]) -> list[int]:
    """Return the numbers of rows as they should be looked at: faults, then what else is told of, each by its score."""

    def order(number: int) -> tuple[bool, bool, float, int]:
        row = rows[number]
        fault = row.state != "done" or any(flag["severity"] != "note" for flag in row.flags)
        return not fault, not is_trouble(row), row.score or 0.0, number

    return sorted(range(len(rows)), key=order)


def _row(record: Record, state: str, look: Callable[[object], tuple[Where | None, Status | None]]) -> Row:
    """Return what is told of a picture, its files looked at now."""
    notes: list[str] = []
    status: Status | None
    source, status = _file(record.source_path)
    if is_address(str(record.source_path)):
        pass  # it lies in a store, which is not asked for so many pictures again
    elif status is None:
        notes.append("The photograph is not where it was any more.")
    elif (known := _number(record.source_mtime)) and (
        status.st_size != record.source_bytes or abs(status.st_mtime_ns - known) > _SLACK
    ):
        notes.append("The photograph was changed after it was cut out: resume the batch to make it again.")
    output: Where | None = None
    if record.output is not None:
        output, status = look(record.output)
        if status is None and state != "pending":
            notes.append("The cut-out is not there any more: resume the batch to make it again.")
        elif status is not None and _number(record.bytes) and status.st_size != record.bytes:
            notes.append("The cut-out was replaced after the batch made it: score and flags are of the earlier one.")
    shadow: Where | None = None
    if record.shadow is not None:
        shadow, status = look(record.shadow.output)
        if status is None and state != "pending":
            notes.append("Its shadow is not there any more: resume the batch to make both again.")
        elif status is not None and _number(record.shadow.bytes) and status.st_size != record.shadow.bytes:
            notes.append("Its shadow was replaced after the batch made it.")
    flags = tuple(_flag(one) for one in _listed(record.flags))
    return Row(record, source, output, state, flags, tuple(notes), shadow)


def _within(out: Path, name: object) -> tuple[Path | None, os.stat_result | None]:
    """Return a file below OUT, or nothing where there is none, or a journal names one that lies elsewhere."""
    parts = str(name).split("/")
    if ".." in parts or os.path.isabs(str(name)) or Path(*parts).drive:
        return None, None
    return _file(out.joinpath(*parts))


def _found(address: Address | None) -> tuple[Address | None, ObjectStatus | None]:
    return address, None if address is None else address.status


def _file(name: object) -> tuple[Path | None, os.stat_result | None]:
    """Return a path and what the system says of the file, or nothing where there is none."""
    with suppress(OSError, ValueError, TypeError):
        path = Path(name)  # type: ignore[arg-type]
        status = path.stat()
        if stat.S_ISREG(status.st_mode):
            return path, status
    return None, None


def _link(path: Where | None, beside: Where) -> str:
    """Return the address of a file as a page in a folder writes it: relative where both are moved together."""
    if isinstance(path, Address) and isinstance(beside, Address) and path.is_below(beside):
        return quote(path.key[len(beside.key) :].lstrip("/"))
    if not isinstance(path, Path):
        return ""
    if not isinstance(beside, Path):
        return path.absolute().as_uri()
    with suppress(ValueError):  # Windows: on another drive
        if os.path.commonpath([path, beside]) == str(beside):
            return quote(os.fsencode(os.path.relpath(path, beside).replace(os.sep, "/")))
    return path.absolute().as_uri()


def _flag(given: object) -> dict[str, str]:
    table = _table(given)
    severity = "note" if table.get("severity") == "note" else "fault"
    name = _text(table.get("name", table.get("id", "flag")))
    return {
        "name": name,
        "reason": _text(table.get("reason", "")),
        "remedy": _text(table.get("remedy", "")),
        "severity": severity,
    }


def _used(given: object) -> str:
    """Return in words by what a retry won."""
    table = _table(given)
    if not table:
        return ""
    tried = [_table(one) for one in _listed(table.get("tried", []))]
    what = ", ".join(_text(one.get("what", "")) for one in tried if one.get("what"))
    settings = ", ".join(f"{_text(name)} = {_text(value)}" for name, value in _flat(_table(table.get("settings"))))
    model = f" with {_text(table['model'])}" if table.get("model") else ""
    kept = f"Made again{model}{f' ({settings})' if settings else ''}: the checks liked that better."
    return f"{kept} Tried: {what}." if what else kept


def _flat(table: Mapping[str, Any], before: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in table.items():
        found += _flat(value, f"{before}{name}.") if isinstance(value, Mapping) else [(f"{before}{name}", value)]
    return found


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else str(value)


def _number(value: object) -> float | int | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
        return None
    return value if abs(value) < 1e300 else None
