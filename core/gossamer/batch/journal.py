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
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import chain
from pathlib import Path
from typing import Any, Literal, TypeVar

from gossamer.errors import Cancelled, GossamerError, InputError, OutputError
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

State = Literal["done", "failed", "set-aside", "skipped"]

_T = TypeVar("_T", "Run", "Record")


@dataclass(frozen=True)
class Failure:
    """Why a picture has no output.

    Attributes
    ----------
    message, remedy : str
        One sentence each.
    kind : str
        The error's class, such as ``"InputError"``.
    exit_code : int
        What ``gossamer remove`` would have ended with.
    """

    message: str
    remedy: str = ""
    kind: str = "InputError"
    exit_code: int = 2

    @classmethod
    def of(cls, error: GossamerError) -> Failure:
        """Return what an error says."""
        return cls(error.message, error.remedy, type(error).__name__, error.exit_code)


@dataclass(frozen=True)
class Record:
    """What became of one picture.

    Attributes
    ----------
    source : str
        Its name below the folder that was given, with ``/`` between folders on every system.
    source_path : str
        Its absolute path, or its address in a store. Names that are no UTF-8 hold lone surrogates, as
        :func:`os.fsdecode` makes them.
    target : str or None
        Where its output belongs, below OUT, with ``/``: what tells the records of one picture from those of others.
        None for what was never meant to have one.
    output : str or None
        Where its output is, below OUT, with ``/``: the target, or a place in the folder of what was set aside. None
        without one.
    state : {"done", "failed", "set-aside", "skipped"}
        Skipped is what is no picture and was not asked for by name.
    error : Failure or None
        Of what failed or was skipped.
    warnings : list of str
        What ``gossamer remove`` would have warned of.
    score : float or None
        Of the checks, 0 to 100; None where they were not run.
    flags : list of dict
        Of the checks: ``{"name", "reason", "severity", "remedy"}``, severity ``"fault"`` or ``"note"``.
    measures : dict
        Of the checks, by name.
    model : str
        Id of the model that found the subject, or "".
    recipe : str
        Hash of recipe and choice of a model (and prompt) that were asked for: see ``gossamer.batch.identity``.
    recipe_used : dict or None
        Where a retry won: ``{"settings": {...}, "model": id, "tried": [{"what", "score", "flags"}, ...]}``.
    seconds : dict of str to float
        Of each stage.
    width, height : int
        Of the output, in pixels; 0 without one.
    bytes : int
        Of the output's file.
    sha256 : str
        Of the output's file, or "".
    output_mtime : int
        When the output was last changed, in nanoseconds: what need not be hashed again.
    source_bytes, source_mtime : int
        Of the source when it was read, the latter in nanoseconds.
    finished : str
        When, ISO 8601 in UTC.
    source_tag : str
        What a store called this state of the source (its ETag); "" for a file.
    output_tag : str
        What a store called the output (its ETag): what need not be read again; "" for a file.
    """

    source: str
    source_path: str
    target: str | None
    output: str | None
    state: State
    error: Failure | None = None
    warnings: list[str] = field(default_factory=list)
    score: float | None = None
    flags: list[dict[str, Any]] = field(default_factory=list)
    measures: dict[str, Any] = field(default_factory=dict)
    model: str = ""
    recipe: str = ""
    recipe_used: dict[str, Any] | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    width: int = 0
    height: int = 0
    bytes: int = 0
    sha256: str = ""
    output_mtime: int = 0
    source_bytes: int = 0
    source_mtime: int = 0
    finished: str = ""
    source_tag: str = ""
    output_tag: str = ""

    @property
    def key(self) -> str:
        """What records of the same picture have in common."""
        return self.target if self.target is not None else f"\0{self.source_path}"

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Record:
        """Return the record that a line holds; raises TypeError or ValueError where it is none."""
        made = _built(cls, values)
        if made.state not in ("done", "failed", "set-aside", "skipped") or not isinstance(made.source, str):
            raise ValueError("no record")
        error: Any = made.error
        return made if error is None else _built(cls, {**values, "error": Failure(**error)})


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
                runs.append(_built(Run, found["run"]))
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


def _built(kind: type[_T], values: Mapping[str, Any]) -> _T:
    """Return a dataclass of what is known of values: a later version may have written more."""
    known = {each.name for each in fields(kind)}
    return kind(**{name: value for name, value in values.items() if name in known})
