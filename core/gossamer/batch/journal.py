"""The journal of a batch: what became of every picture, one whole line each, readable after any end of the process.

It lies in ``OUT/.gossamer/journal.jsonl``. A line is an object in JSON, in ASCII, of one of three kinds:

- ``{"run": {...}}``, a :class:`Run`: the head of a run, before anything is done in it. A folder may have had several.
- ``{"intent": {...}}``, a :class:`Record`: what its line will say when all goes well, on the disk before the output
  gets its name. What was killed between the two is known by it: size and hash tell whether the output is there whole.
- a :class:`Record` itself: what became of a picture, written after its output was in place.

Of several records of one picture the last counts. A last line that was cut off by a kill or a full disk is nothing.

The processes of a cluster each write such lines into a part of their own, ``OUT/.gossamer/journal-ID.jsonl``: what they
say counts after what the journal itself says. The next run takes the parts that an earlier one left into the journal.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

from gossamer.batch.record import Failure, Record, known
from gossamer.errors import Cancelled, InputError, OutputError
from gossamer.files import make_folder
from gossamer.paths import remedy_of
from gossamer.platform import BINARY

__all__ = [
    "FOLDER",
    "NAME",
    "Failure",
    "Journal",
    "JournalWriter",
    "Record",
    "Run",
    "journal_path",
    "part_paths",
    "read_journal",
    "take_parts",
]

FOLDER, NAME = ".gossamer", "journal.jsonl"


@dataclass(frozen=True)
class Run:
    """The head of a run.

    Attributes
    ----------
    version : str
        Of Gossamer.
    started : str
        ISO 8601 in UTC.
    arguments : list of str
        As they were typed.
    recipe, choice : dict
        Recipe and ModelChoice as data, without what is as usual.
    model : str
        The model's id as it was asked for.
    pictures : int
        How many were planned; 0 where nobody knew.
    """

    version: str
    started: str
    arguments: list[str] = field(default_factory=list)
    recipe: dict[str, Any] = field(default_factory=dict)
    choice: dict[str, Any] = field(default_factory=dict)
    model: str = ""
    pictures: int = 0


@dataclass(frozen=True)
class Journal:
    """What a journal holds.

    Attributes
    ----------
    runs : list of Run
        Oldest first.
    records : dict of str to Record
        The last one of every picture, by :attr:`Record.key`, in the order in which they first came.
    intents : dict of str to Record
        Of pictures whose output may or may not have got its name: there is no later record of them.
    broken : int
        Lines that could not be understood.
    """

    runs: list[Run]
    records: dict[str, Record]
    intents: dict[str, Record]
    broken: int = 0


def journal_path(out: Path) -> Path:
    """Return where the journal of an output folder lies."""
    return out / FOLDER / NAME


def part_paths(out: Path) -> list[Path]:
    """Return where the parts lie that the processes of a cluster have written, in a fixed order."""
    return sorted((out / FOLDER).glob("journal-*.jsonl"))


def take_parts(out: Path, writer: JournalWriter) -> None:
    """Take the parts of an earlier run into the journal, and remove them.

    Whoever calls it has the folder's lock. What a kill in the middle leaves is taken again: the last of several equal
    lines counts.

    Raises
    ------
    InputError
        A part cannot be read.
    OutputError
        The journal cannot be written.
    """
    for path in part_paths(out):
        writer.copy(_lines(path))
        with suppress(OSError):
            path.unlink()


def read_journal(out: Path, *, whole: bool = True) -> Journal:
    """Return what the journal of an output folder holds; nothing where there is none.

    Parameters
    ----------
    out : Path
    whole : bool
        Without it records lack their measures, flags and warnings, which is most of their memory.

    Raises
    ------
    InputError
        It is there and cannot be read.
    """
    runs: list[Run] = []
    records: dict[str, Record] = {}
    intents: dict[str, Record] = {}
    broken = 0
    for line in chain.from_iterable(map(_lines, (journal_path(out), *part_paths(out)))):
        try:
            found = json.loads(line)
            if "run" in found:
                runs.append(known(Run, found["run"]))
            elif "intent" in found:
                meant = Record.of(found["intent"])
                intents[meant.key] = meant
            else:
                record = Record.of(found)
                record = record if whole else replace(record, measures={}, flags=[], warnings=[])
                records[record.key] = record
                intents.pop(record.key, None)
        except (AttributeError, TypeError, ValueError, RecursionError):
            broken += 1
    return Journal(runs, records, intents, broken)


class JournalWriter:
    """Appends to a journal; each line goes to the system in one piece. Any thread may call it.

    Parameters
    ----------
    out : Path
        The output folder, which must exist.
    part : str, optional
        Write a part of this id rather than the journal itself.

    Raises
    ------
    OutputError
        It cannot be written.
    """

    def __init__(self, out: Path, part: str | None = None) -> None:
        self._path = journal_path(out) if part is None else out / FOLDER / f"journal-{part}.jsonl"
        self._lock, self._is_open = threading.Lock(), True
        try:
            make_folder(self._path.parent)
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | BINARY, 0o666)
            end = os.lseek(self._descriptor, 0, os.SEEK_END)
            if end:
                os.lseek(self._descriptor, end - 1, os.SEEK_SET)
                if os.read(self._descriptor, 1) != b"\n":
                    self._put(b"\n")  # ends the line in which an earlier run was cut off
        except OSError as error:
            raise self._failed(error) from error

    def begin(self, run: Run) -> None:
        """Append the head of a run, down to the disk; raises OutputError."""
        self._append({"run": asdict(run)}, settle=True)

    def intend(self, record: Record) -> None:
        """Append what is about to be so, down to the disk; raises OutputError."""
        self._append({"intent": asdict(record)}, settle=True)

    def append(self, record: Record) -> None:
        """Append what became of a picture; raises OutputError.

        It reaches the disk with the next intent, or when the journal is closed: until then the intent says the same.
        """
        self._append(asdict(record), settle=False)

    def copy(self, lines: Iterable[bytes]) -> None:
        """Append whole lines of another one, down to the disk; raises OutputError."""
        with self._lock:
            try:
                for line in lines:
                    self._put(line)
                os.fsync(self._descriptor)
            except OSError as error:
                raise self._failed(error) from error

    def close(self) -> None:
        """Close it, all on the disk; raises OutputError."""
        with self._lock:
            if not self._is_open:
                return
            self._is_open = False
            try:
                os.fsync(self._descriptor)
            except OSError as error:
                raise self._failed(error) from error
            finally:
                os.close(self._descriptor)

    def _append(self, value: dict[str, Any], *, settle: bool) -> None:
        data = json.dumps(value, separators=(",", ":")).encode("ascii") + b"\n"
        with self._lock:
            if not self._is_open:  # by now its number may be another file's
                raise Cancelled()
            try:
                self._put(data)
                if settle:
                    os.fsync(self._descriptor)
            except OSError as error:
                raise self._failed(error) from error

    def _put(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._descriptor, data) :]

    def _failed(self, error: OSError) -> OutputError:
        return OutputError(
            f"The journal {self._path} could not be written: {error.strerror or error}.",
            remedy_of(error, "Give another folder, or change its permissions."),
        )


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            yield from (line for line in file if line.strip() and line.endswith(b"\n"))
    except FileNotFoundError:
        return
    except OSError as error:
        raise InputError(
            f"The journal {path} could not be read: {error.strerror or error}.",
            remedy_of(error, "Check its permissions."),
        ) from error
