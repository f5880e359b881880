"""Unfinished work beside its goal: segments that are whole, and what it takes to go on after the last of them."""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gossamer.errors import InputError, OutputError, OutputExists
from gossamer.files import lock_alone, staging_folder, write_bytes
from gossamer.paths import remedy_of
from gossamer.video.libav import writing_to

if TYPE_CHECKING:
    from filelock import BaseFileLock

__all__ = ["Parts", "Piece"]

_JOB, _LOCK, _DELIVERED = "job.json", "lock", "delivered.json"


@dataclass(frozen=True)
class Piece:
    """A segment that is whole.

    Attributes
    ----------
    path : Path
        A film, or a folder of pictures.
    times : tuple of Fraction
        When each of its pictures is shown.
    """

    path: Path
    times: tuple[Fraction, ...]


class Parts:
    """The folder ``OUT.parts``; whoever is killed leaves it, and the next one goes on from there.

    Parameters
    ----------
    out : Path
        The goal.
    suffix : str
        Of its segments: empty for folders of pictures.
    job : mapping
        What decides the result: only work on the same is continued.
    resume, force : bool
        Go on with what is there; begin anew, whatever is there.

    Attributes
    ----------
    pieces : list of Piece
        All that is finished.
    state : dict of str to array
        What was written down with the last of them.

    Raises
    ------
    OutputExists
        There is unfinished work, and nobody said what to do with it.
    InputError
        It is to be continued, and was begun with other settings or another clip.
    OutputError
        The folder cannot be made, or another process is at work on it.
    """

    def __init__(self, out: Path, suffix: str, job: Mapping[str, Any], *, resume: bool, force: bool) -> None:
        self.folder = out.with_name(f"{out.name}.parts")
        self._suffix = suffix
        self.pieces: list[Piece] = []
        self.state: dict[str, NDArray[Any]] = {}
        wanted = json.loads(json.dumps(job))
        if self.folder.exists():
            self._found(out, wanted, resume, force)
        else:
            self._make(wanted)
            self._lock = self._held(out)
        if not (self.folder / _JOB).exists():
            write_bytes(self.folder / _JOB, json.dumps(wanted, indent=1).encode())

    def _make(self, job: Any) -> None:
        """Make the folder in one step: without its job it would not be known again after a kill."""
        try:
            with staging_folder(self.folder.parent) as staging:
                made = staging / "parts"
                made.mkdir()
                with (made / _JOB).open("wb") as file:
                    file.write(json.dumps(job, indent=1).encode())
                    file.flush()
                    os.fsync(file.fileno())
                made.rename(self.folder)
        except OSError as error:
            remedy = remedy_of(error, "Give another place for the output.")
            raise OutputError(f"The folder {self.folder} cannot be made: {error.strerror}.", remedy) from None

    def _held(self, out: Path) -> BaseFileLock:
        """Return a lock on the folder, which the system lets go of with the process."""
        busy = f"Another process is at work on {out.name}."
        return lock_alone(self.folder / _LOCK, busy, "Wait for its end, or name another OUT.")

    def _found(self, out: Path, wanted: Any, resume: bool, force: bool) -> None:
        begun = _table(self.folder / _JOB)
        if begun is None:  # of another's making: nothing of it is touched
            raise OutputExists(
                f"{self.folder} is there already and holds no work of this command.",
                "Move it away, or name another OUT.",
            )
        self._lock = self._held(out)
        if resume:
            if differing := sorted(key for key in {*begun, *wanted} if begun.get(key) != wanted.get(key)):
                raise InputError(
                    f"{self.folder} was begun otherwise ({', '.join(differing)}).",
                    "Give the same options as then, or --force to begin anew.",
                )
            self._read()
        elif force:
            # The job comes last: until then the folder is known again, whenever this ends.
            for path in sorted(self.folder.iterdir(), key=lambda path: path.name == _JOB):
                if path.name != _LOCK:
                    self._remove(path)
        else:
            raise OutputExists(
                f"Work on {out.name} was begun and not finished: {self.folder}.",
                "Add --resume to go on with it, or --force to begin anew.",
            )

    def _read(self) -> None:
        number = 0
        while (told := _table(self._named(number, ".json"))) is not None and self._piece(number).exists():
            self.pieces.append(Piece(self._piece(number), tuple(Fraction(time) for time in told["times"])))
            number += 1
        if number:
            try:
                with np.load(self._named(number - 1, ".npz"), allow_pickle=False) as kept:
                    self.state = dict(kept)
            except (OSError, ValueError, EOFError, KeyError):
                raise InputError(
                    f"{self.folder} is damaged.", "Begin anew with --force; its finished pieces can be played."
                ) from None
        counted = {piece.path.stem for piece in self.pieces}
        for path in self.folder.glob("segment-*"):
            if path.stem not in counted:  # begun only; a word that was left of it would make the next one whole
                self._remove(path)

    @property
    def frames(self) -> int:
        """How many pictures are finished."""
        return sum(len(piece.times) for piece in self.pieces)

    @property
    def next(self) -> Path:
        """Where the next segment is written."""
        path = self._piece(len(self.pieces))
        self._remove(path)
        return path

    def finish(self, times: tuple[Fraction, ...], state: Mapping[str, NDArray[Any]]) -> None:
        """Count the segment that was written as whole: it is on the disk, then what goes with it, then the word."""
        number = len(self.pieces)
        path = self._piece(number)
        with writing_to(path):
            for one in [path] if self._suffix else path.iterdir():
                with one.open("rb+") as file:
                    os.fsync(file.fileno())
        kept = io.BytesIO()
        np.savez(kept, allow_pickle=False, **dict(state))
        write_bytes(self._named(number, ".npz"), kept.getvalue(), force=True)
        told = {"times": [str(time) for time in times]}
        write_bytes(self._named(number, ".json"), json.dumps(told).encode(), force=True)
        self.pieces.append(Piece(path, times))
        with suppress(OSError):
            self._named(number - 1, ".npz").unlink()

    def deliver(self, made: Path, report: Mapping[str, Any]) -> None:
        """Write down that a finished result is about to get its name, and what is to be told of it."""
        told = {"file": _looks_of(made), "report": report}
        write_bytes(self.folder / _DELIVERED, json.dumps(told).encode(), force=True)

    @staticmethod
    def delivered(out: Path) -> dict[str, Any] | None:
        """Return the report of a result that is in its place, where its parts are still there: a kill came between."""
        told = _table(out.with_name(f"{out.name}.parts") / _DELIVERED)
        try:
            return told["report"] if told is not None and told["file"] == _looks_of(out) else None
        except (OSError, KeyError):
            return None

    def release(self) -> None:
        """Let others work on it."""
        self._lock.release()

    def remove(self) -> None:
        """Remove the folder: until its last moment a later run knows whose it is, and takes no rest for the whole."""
        for path in sorted(self.folder.glob("segment-*"), key=lambda path: path.suffix != ".json"):
            self._remove(path)
        try:
            with staging_folder(self.folder.parent) as staging:
                self.folder.rename(staging / "parts")
        except OSError:  # Windows moves no folder with an open file in it
            self.release()
            shutil.rmtree(self.folder, ignore_errors=True)
        self.release()

    def _piece(self, number: int) -> Path:
        return self.folder / f"segment-{number:05d}{self._suffix}"

    def _named(self, number: int, suffix: str) -> Path:
        return self.folder / f"segment-{number:05d}{suffix}"

    @staticmethod
    def _remove(path: Path) -> None:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _looks_of(path: Path) -> list[int]:
    """Return what stays the same of a file or folder when it is moved, and of no other one is."""
    status = path.stat()
    return [status.st_ino, status.st_size, status.st_mtime_ns]


def _table(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
