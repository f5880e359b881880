"""Where the results of a batch go: a folder, or a store. What differs between the two is here alone."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from gossamer.batch.addresses import Where
from gossamer.batch.identity import content_of, state_of
from gossamer.batch.journal import FOLDER, Journal, JournalWriter, Record, read_journal
from gossamer.batch.targets import place
from gossamer.errors import OutputError, OutputExists
from gossamer.files import check_folder, lock_alone, make_folder, write_bytes
from gossamer.paths import remedy_of
from gossamer.progress import Progress

__all__ = ["FolderResults", "Results", "is_whole", "locked", "results_of"]

_HALT = "halt"  # the file that tells the workers of a cluster to begin no more


class Results(Protocol):
    """Where results go.

    Attributes
    ----------
    out : Path or Address
        As it was asked for.
    home : Path
        The folder of this machine in which the journal lies, and the lock: OUT itself, if that is a folder.
    """

    @property
    def out(self) -> Where:
        """See above."""

    @property
    def home(self) -> Path:
        """See above."""

    def check(self) -> None:
        """Refuse what cannot be written to, before anything is done; raises InputError, OutputError, MissingExtra."""

    def alone(self) -> AbstractContextManager[None]:
        """Keep other runs out, meanwhile; raises OutputError."""

    def keeping(self, announce: Callable[[str], object]) -> AbstractContextManager[None]:
        """Keep the journal where results are, too, from now on and to its end; raises OutputError."""

    def look(self, journal: Journal, targets: Sequence[str], steps: Progress) -> Journal:
        """Find out what is there; return the journal with what that tells, too. Raises InputError."""

    def exists(self, name: str) -> bool:
        """Tell whether there is anything of a name, when it was looked."""

    def state_of(self, record: Record) -> str:
        """Return what is the matter with an output, the layer beside it aside: see ``batch.identity.state_of``."""

    def settled(self, record: Record) -> Record:
        """Return a record with how its files, which are whole, are known again."""

    def put(self, record: Record, data: bytes, *, replaces: bool, steps: Progress) -> Record:
        """Write the output that a record tells of, the layer beside it aside, whole or not at all; return it settled.

        Raises
        ------
        OutputExists
            Something is there, and `replaces` is not set.
        OutputError
            It cannot be written.
        """

    def remove(self, name: str, steps: Progress) -> None:
        """Remove an output, if it is there and that can be done."""

    def is_there(self, steps: Progress) -> bool:
        """Tell whether results can still be written here, after one could not be."""

    def free(self) -> int | None:
        """Return how many bytes there is room for, None where nobody knows."""

    def part(self, id: str) -> JournalWriter | None:
        """Return what a worker of a cluster writes its lines into; None where the outputs tell the same."""

    def made(self, targets: Sequence[str]) -> dict[str, Record]:
        """Return the records of whole outputs that are there by now, for a worker which another's block is given to."""

    def halt(self) -> None:
        """Tell the workers of a cluster to begin no more."""

    def is_halted(self) -> bool:
        """Tell a worker whether it is to begin no more."""

    def forget_halt(self) -> None:
        """Take back what :meth:`halt` has told."""


class FolderResults:
    """A folder, on this machine or shared.

    Parameters
    ----------
    out : Path
        Absolute.
    """

    def __init__(self, out: Path) -> None:
        self.out = self.home = out
        self._flag = out / FOLDER / _HALT

    def check(self) -> None:
        """Refuse a name that is no folder and cannot become one; raises OutputError."""
        out = self.out
        try:
            if not stat.S_ISDIR(out.stat().st_mode):
                raise OutputError(f"{out} is a file, not a folder.", "Give the folder for the outputs with --out.")
        except FileNotFoundError:
            if os.path.lexists(out):
                remedy = "Remove it, or give another folder."
                raise OutputError(f"{out} is a link that leads nowhere.", remedy) from None
        except OSError as error:
            remedy = remedy_of(error, "Give another folder, or change its permissions.")
            raise OutputError(f"The folder {out} cannot be used: {error.strerror or error}.", remedy) from error

    def alone(self) -> AbstractContextManager[None]:
        """Keep other runs out, meanwhile; raises OutputError."""
        return locked(self.out)

    def keeping(self, announce: Callable[[str], object]) -> AbstractContextManager[None]:
        """Do nothing: the journal lies here."""
        return nullcontext()

    def look(self, journal: Journal, targets: Sequence[str], steps: Progress) -> Journal:
        """Return the journal: files are looked at when they are asked about."""
        return journal

    def exists(self, name: str) -> bool:
        """Tell whether there is anything of a name."""
        return os.path.lexists(place(self.out, name))

    def state_of(self, record: Record) -> str:
        """Return what is the matter with an output."""
        return state_of(record, self.out)

    def settled(self, record: Record) -> Record:
        """Return a record with the times of its files' last changes, as far as they can be had."""
        files = [self._timed(each) for each in record.files()]
        return record.with_files(files[0], files[1] if len(files) > 1 else None)

    def put(self, record: Record, data: bytes, *, replaces: bool, steps: Progress) -> Record:
        """Write an output; raises OutputError."""
        path = self._place(record)
        if not self.out.is_dir():
            raise OutputError(f"The folder {self.out} is gone.", "Bring it back, then go on with --resume.")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"The folder {path.parent} could not be made: {error.strerror or error}.",
                "Check what has its name, its permissions and the disk.",
            ) from error
        try:
            write_bytes(path, data, force=replaces)
        except OutputExists:
            if not _holds(path, record.sha256):  # else what a worker has made that died before its picture was done
                raise
        return self._timed(record)

    def remove(self, name: str, steps: Progress) -> None:
        """Remove an output, if it is there and that can be done."""
        with suppress(OSError):
            place(self.out, name).unlink()

    def is_there(self, steps: Progress) -> bool:
        """Tell whether the folder is there."""
        return self.out.is_dir()

    def free(self) -> int | None:
        """Return how many bytes the disk has room for."""
        folder = next(each for each in (self.out, *self.out.parents) if each.exists())
        return shutil.disk_usage(folder).free

    def part(self, id: str) -> JournalWriter | None:
        """Return what a worker of a cluster writes its lines into; raises OutputError."""
        return JournalWriter(self.out, id)

    def made(self, targets: Sequence[str]) -> dict[str, Record]:
        """Return the records of whole outputs that are there by now; raises InputError."""
        there = [target for target in targets if self.exists(target)]
        journal = read_journal(self.out) if there else Journal([], {}, {})
        known = {target: journal.intents.get(target) or journal.records.get(target) for target in there}
        return {
            target: self.settled(record)
            for target, record in known.items()
            if record is not None and is_whole(self, record)
        }

    def halt(self) -> None:
        """Tell the workers of a cluster to begin no more."""
        with suppress(OSError):
            self._flag.touch()

    def is_halted(self) -> bool:
        """Tell a worker whether it is to begin no more."""
        return self._flag.exists()

    def forget_halt(self) -> None:
        """Take back what was told."""
        with suppress(OSError):
            self._flag.unlink()

    def _timed(self, record: Record) -> Record:
        with suppress(OSError):
            return replace(record, output_mtime=self._place(record).stat().st_mtime_ns)
        return record

    def _place(self, record: Record) -> Path:
        assert record.output is not None  # noqa: S101 - nobody asks about what was never made
        return place(self.out, record.output)


def is_whole(results: Results, record: Record) -> bool:
    """Tell whether all files that a record tells of are there as they were written."""
    files = record.files()
    return bool(files) and all(results.state_of(each) == "whole" for each in files)


def results_of(out: Where) -> Results:
    """Return where results go."""
    if isinstance(out, Path):
        return FolderResults(out)
    from gossamer.batch.stored import StoreResults

    return StoreResults(out)


def _holds(path: Path, sha256: str) -> bool:
    """Tell whether a file has a content."""
    try:
        return content_of(path) == sha256
    except OSError:
        return False


@contextmanager
def locked(folder: Path, name: str = "") -> Iterator[None]:
    """Make a folder where there is none, and keep other runs out of it.

    Parameters
    ----------
    folder : Path
    name : str
        What messages call it, if not by its path.

    Raises
    ------
    OutputError
        It cannot be made, or another run is in it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        check_folder(folder / FOLDER)
        make_folder(folder / FOLDER)
        busy = f"Another batch is writing into {name or folder}."
        lock = lock_alone(folder / FOLDER / "lock", busy, "Wait for its end, or give another folder.")
    except OSError as error:
        remedy = remedy_of(error, "Give another folder, or change its permissions.")
        raise OutputError(f"The folder {folder} cannot be used: {error.strerror or error}.", remedy) from error
    try:
        yield
    finally:
        lock.release()
