"""Results in a store: each is put there in one piece, with a mark that tells who made it; the journal lies here.

A store cannot append, so the journal is a file in Gossamer's own folder on this machine, in a folder named after OUT. A
copy of it goes into ``OUT/.gossamer/journal.jsonl`` at the start, every so often and at the end: whoever goes on from
another machine takes it over from there. What was made since the last copy, or by workers of a cluster, is known by the
marks of the objects themselves (see :mod:`gossamer.batch.marks`).
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from gossamer.batch.addresses import (
    Address,
    ObjectStatus,
    StoreUnreachable,
    marks,
    statuses,
)
from gossamer.batch.journal import FOLDER, NAME, Journal, JournalWriter, Record, journal_path
from gossamer.batch.marks import mark_of, record_of
from gossamer.batch.record import Layer, shadow_name
from gossamer.batch.results import locked
from gossamer.batch.targets import SET_ASIDE, place
from gossamer.errors import Cancelled, GossamerError, InputError, OutputError, OutputExists
from gossamer.files import move_into_place, read_json, write_bytes
from gossamer.paths import remedy_of
from gossamer.progress import Progress
from gossamer.weights.folders import home

__all__ = ["StoreResults"]

_TRIES = 3
_PAUSE = 1.0  # seconds before the second try, twice as many before the third
_OFTEN = 60.0  # seconds between two copies of the journal
_SHARE = 30  # times as long as the last copy took, at least
_CHUNK = 1 << 20
_LOOK = 2.0  # seconds between two looks of a worker whether it is to go on
_HALT, _PROBE, _COPIED = "halt", "probe", "copied.json"


class StoreResults:
    """What is below an address.

    Parameters
    ----------
    out : Address
    """

    def __init__(self, out: Address) -> None:
        self.out = out
        self._home: Path | None = None
        self._own = out.joinpath(FOLDER)
        self._there: dict[str, ObjectStatus] = {}
        self._looked, self._halted = 0.0, False

    @property
    def home(self) -> Path:
        """The folder of this machine in which the journal lies; raises InputError where there is no home."""
        if self._home is None:
            name = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{self.out.bucket}-{self.out.key}")[:60].strip("-.")
            digest = hashlib.sha256(str(self.out).encode("utf-8", "surrogatepass")).hexdigest()[:12]
            self._home = home() / "batches" / f"{name}-{digest}"
        return self._home

    def check(self) -> None:
        """Take over the journal that the store has; raises InputError, OutputError, MissingExtra."""
        with self.alone():
            self.bring()

    def alone(self) -> AbstractContextManager[None]:
        """Keep other runs of this machine out, meanwhile; raises OutputError."""
        return locked(self.home, str(self.out))

    def bring(self) -> None:
        """Take over what the store's journal tells and the one here does not; whoever calls it has the lock.

        Raises
        ------
        InputError, MissingExtra
            The store does not answer.
        OutputError
            It cannot be written here.
        """
        copy, here = self._own.joinpath(NAME), journal_path(self.home)
        try:
            status = copy.stat()
        except FileNotFoundError:
            return
        if status.is_folder or (here.exists() and self._copied() == status.tag):
            return
        came, merged = here.with_name("came.tmp"), here.with_name("merged.tmp")
        try:
            copy.download(came)
            if not _begins_with(here, came):  # else killed between the copy and the note of it
                _merge(here, came, merged)
                move_into_place(merged, here, force=True)
            self._remember(status.tag)
        except OSError as error:
            remedy = remedy_of(error, "Make room there, or set GOSSAMER_HOME to another folder.")
            raise OutputError(f"The journal {here} could not be written: {error.strerror or error}.", remedy) from error
        finally:
            for path in (came, merged):
                path.unlink(missing_ok=True)

    @contextmanager
    def keeping(self, announce: Callable[[str], object]) -> Iterator[None]:
        """Copy the journal into the store now, every so often, and at the end; raises OutputError."""
        announce(
            f"Results go into {self.out}. The journal is {journal_path(self.home)}, and a copy of it "
            f"{self._own.joinpath(NAME)}."
        )
        ended = threading.Event()
        taken = self._copy(Progress())
        thread = threading.Thread(target=self._go_on_copying, args=(ended, taken), name="gossamer-journal", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
        try:  # not where the end at once was asked for
            self._copy(Progress())
        except OutputError as error:
            announce(
                f"The store has no copy of the journal's end: {error.message} All is in {journal_path(self.home)}."
            )

    def look(self, journal: Journal, targets: Sequence[str], steps: Progress) -> Journal:
        """List what is there, and ask the objects that the journal does not know for their marks.

        Raises
        ------
        InputError, MissingExtra
            The store does not tell.
        OutputError
            There is no such bucket.
        """
        first = len(self.out.key)
        try:
            found = list(self.out.below(steps))
        except InputError as error:
            if not isinstance(error.__cause__, FileNotFoundError):
                raise
            bucket = replace(self.out, key="")
            raise OutputError(f"There is no {bucket} to write into.", "Make it first, or give another.") from None
        self._there = {each.key[first:].lstrip("/"): each.status for each in found if each.status is not None}
        known = {file.output: file for record in journal.records.values() for file in record.files()}

        def unknown(pairs: Iterable[tuple[str, str]]) -> dict[str, Record]:
            asked = [
                (target, output)
                for target, output in pairs
                if output in self._there and (output not in known or self.state_of(known[output]) != "whole")
            ]
            return self._marked(asked, [self._there[output] for _, output in asked])

        marked = unknown((target, output) for target in targets for output in (target, f"{SET_ASIDE}/{target}"))
        intents = {**journal.intents}
        for target, record in marked.items():
            intent = intents.get(target)
            is_that = intent is not None and (intent.sha256, intent.output) == (record.sha256, record.output)
            # The journal's own line tells more.
            known_again = intent and replace(intent, output_tag=record.output_tag, shadow=record.shadow)
            intents[target] = known_again if known_again and is_that else record
        layers = unknown(
            (target, shadow_name(output)) for target in targets for output in (target, f"{SET_ASIDE}/{target}")
        )
        for target, layer in layers.items():
            intents[target] = _with_layer(intents.get(target), layer)
        return replace(journal, intents=intents)

    def exists(self, name: str) -> bool:
        """Tell whether there was anything of a name when it was looked."""
        return name in self._there

    def state_of(self, record: Record) -> str:
        """Return what is the matter with an output: ``"whole"``, ``"missing"`` or ``"other"``."""
        status = None if record.output is None else self._there.get(record.output)
        if status is None:
            return "missing"
        if status.st_size != record.bytes:
            return "other"
        if record.output_tag:
            return "whole" if record.output_tag == status.tag else "other"
        data = place(self.out, str(record.output)).read(0, status.st_size)
        return "whole" if hashlib.sha256(data).hexdigest() == record.sha256 else "other"

    def settled(self, record: Record) -> Record:
        """Return the record: how the store calls its output is known with its mark."""
        return record

    def put(self, record: Record, data: bytes, *, replaces: bool, steps: Progress) -> Record:
        """Put an output there, in a few tries; raises OutputError."""
        assert record.output is not None  # noqa: S101 - nobody puts what was never made
        address, mark = place(self.out, record.output), mark_of(record)
        for number in range(1, _TRIES + 1):
            try:
                address.write(data, mark, new=not replaces, steps=steps)
                break
            except OutputExists:
                if not self._is_that(record):
                    raise
                break
            except OutputError as error:
                if number == _TRIES or isinstance(error.__cause__, (FileNotFoundError, PermissionError)):
                    raise
            _rest(number * _PAUSE, steps)
        tag = ""
        with suppress(GossamerError, OSError):  # without it the mark is asked for next time
            tag = address.stat(steps).tag
        return replace(record, output_tag=tag)

    def remove(self, name: str, steps: Progress) -> None:
        """Remove an output, if it is there and that can be done."""
        with suppress(InputError, OutputError):
            place(self.out, name).remove(steps)

    def is_there(self, steps: Progress) -> bool:
        """Tell whether anything can be written there."""
        try:
            self._own.joinpath(_PROBE).write(b"", steps=steps)
        except GossamerError:
            return False
        return True

    def free(self) -> int | None:
        """Return None: nobody knows."""
        return None

    def part(self, id: str) -> JournalWriter | None:
        """Return None: the marks tell what a worker has made."""
        return None

    def made(self, targets: Sequence[str]) -> dict[str, Record]:
        """Return the records of outputs with a mark that are there by now; raises InputError."""
        pairs = [(target, output) for target in targets for output in (target, f"{SET_ASIDE}/{target}")]
        told = statuses([place(self.out, output) for _, output in pairs])
        away = next((each for each in told if isinstance(each, StoreUnreachable)), None)
        if away is not None:
            raise away
        there = [
            (pair, status)
            for pair, status in zip(pairs, told, strict=True)
            if isinstance(status, ObjectStatus) and not status.is_folder
        ]
        return self._marked([pair for pair, _ in there], [status for _, status in there])

    def halt(self) -> None:
        """Tell the workers of a cluster to begin no more."""
        with suppress(GossamerError):
            self._own.joinpath(_HALT).write(b"")

    def is_halted(self) -> bool:
        """Tell a worker whether it is to begin no more, as it was some seconds ago."""
        if not self._halted and time.monotonic() - self._looked > _LOOK:
            self._looked = time.monotonic()
            with suppress(GossamerError, OSError):
                self._halted = not self._own.joinpath(_HALT).stat().is_folder
        return self._halted

    def forget_halt(self) -> None:
        """Take back what was told."""
        self.remove(f"{FOLDER}/{_HALT}", Progress())

    def _marked(self, pairs: Sequence[tuple[str, str]], told: Sequence[ObjectStatus]) -> dict[str, Record]:
        """Return what the marks of objects tell, by targets; the later one of what was set aside and what was not."""
        found: dict[str, Record] = {}
        addresses = [place(self.out, output) for _, output in pairs]
        for (target, output), status, mark in zip(pairs, told, marks(addresses), strict=True):
            if isinstance(mark, StoreUnreachable):
                raise mark
            record = record_of(mark, target, output) if isinstance(mark, str) else None
            if record is None or record.bytes != status.st_size:
                continue
            if target not in found or found[target].finished < record.finished:
                found[target] = replace(record, output_tag=status.tag)
        return found

    def _is_that(self, record: Record) -> bool:
        """Tell whether what is there is the very output: an answer has got lost, or another machine does the same."""
        pair = str(record.target), str(record.output)
        found = record_of(str(marks([place(self.out, pair[1])])[0]), *pair)
        return found is not None and (found.sha256, found.recipe) == (record.sha256, record.recipe)

    def _copy(self, steps: Progress) -> float:
        """Copy the journal into the store; return the seconds that it took. Raises OutputError."""
        begun, copy = time.monotonic(), self._own.joinpath(NAME)
        shot = journal_path(self.home).with_name("copy.tmp")
        try:
            shutil.copyfile(journal_path(self.home), shot)  # of which more and more is written meanwhile
            copy.upload(shot, steps)
            self._remember(copy.stat(steps).tag)
        except OSError as error:
            raise OutputError(f"The journal could not be copied: {error.strerror or error}.") from error
        except OutputError:
            raise
        except GossamerError as error:
            raise OutputError(error.message, error.remedy) from error
        finally:
            shot.unlink(missing_ok=True)
        return time.monotonic() - begun

    def _go_on_copying(self, ended: threading.Event, taken: float) -> None:
        def go_on(*_: object) -> None:
            if ended.is_set():
                raise Cancelled()

        while not ended.wait(max(_OFTEN, _SHARE * taken)):
            with suppress(GossamerError):  # the next may go well, and the last is told of
                taken = self._copy(Progress(go_on))

    def _copied(self) -> str:
        """Return what the store calls the copy that was last made from here, or taken over."""
        with suppress(OSError, ValueError):
            return str(read_json(self.home / FOLDER / _COPIED).get("tag", ""))
        return ""

    def _remember(self, tag: str) -> None:
        with suppress(OutputError):
            write_bytes(self.home / FOLDER / _COPIED, json.dumps({"tag": tag}).encode(), force=True)


def _with_layer(intent: Record | None, layer: Record) -> Record:
    """Return what was meant for a picture, with a layer that is there: maybe all there is of it."""
    found = Layer(str(layer.output), layer.bytes, layer.sha256, tag=layer.output_tag)
    if intent is None:  # its cut-out was to come next
        return replace(layer, output=layer.target, bytes=0, sha256="", output_tag="", shadow=found)
    meant = intent.shadow
    is_that = meant is not None and (meant.output, meant.sha256) == (found.output, found.sha256)
    return replace(intent, shadow=found) if is_that else intent


def _begins_with(here: Path, came: Path) -> bool:
    """Tell whether one's own journal is the store's with more lines."""
    if not here.exists() or came.stat().st_size > here.stat().st_size:
        return False
    with here.open("rb") as mine, came.open("rb") as theirs:
        while piece := theirs.read(_CHUNK):
            if mine.read(len(piece)) != piece:
                return False
    return True


def _merge(here: Path, came: Path, merged: Path) -> None:
    """Write the lines that only one's own journal has, then those of the store's: what came last counts there."""
    with came.open("rb") as theirs:
        known = {hash(line) for line in theirs}
    with merged.open("wb") as file:
        with suppress(FileNotFoundError), here.open("rb") as mine:
            file.writelines(line for line in mine if line.endswith(b"\n") and hash(line) not in known)
        with came.open("rb") as theirs:
            shutil.copyfileobj(theirs, file)


def _rest(seconds: float, steps: Progress) -> None:
    """Wait, with a chance to leave twenty times a second."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        steps.tick()
        time.sleep(0.05)
