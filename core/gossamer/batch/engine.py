"""The engine: stages that overlap, with as many pictures in hand as the machine has room for.

Reading, the network, matting with colours and checks, and encoding each have threads of their own and a queue before
them; the thread that called hands out pictures and shows how far they are. What is in hand is bounded, and so are the
queues: memory depends on the largest pictures, never on how many there are.
"""

from __future__ import annotations

import errno
import io
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gossamer.batch.addresses import OutUnreachable, StoreUnreachable
from gossamer.batch.job import Job, Shop, failure_of
from gossamer.batch.journal import Record
from gossamer.batch.plan import Item
from gossamer.errors import Cancelled, DeviceError, GossamerError, MissingExtra, ModelError, OutputError
from gossamer.image.limits import quiet
from gossamer.networks.busy import picture_after_picture
from gossamer.networks.runtimes import likely_device
from gossamer.networks.together import Together
from gossamer.parallel.threads import thread_count
from gossamer.pipeline import NO_MODEL
from gossamer.platform import available_memory
from gossamer.progress import Progress
from gossamer.settings import ModelChoice

__all__ = ["TICK", "Engine", "Outcome"]

TICK = 0.05  # seconds between two looks at what has happened
_STOPPED = 2.0  # seconds between two ticks that can only mean that the process was stopped (Ctrl-Z, a sleeping machine)
_PATIENCE = 0.4  # seconds for what is in hand to be left; what takes longer is left to the end of the process
_FINISHERS = 4  # at most: each runs on several cores itself
_ON_A_CARD = 8  # pictures go through a network at once there, where as many wait
_A_PIXEL = 64  # bytes that a picture takes at its peak, measured with photographs of 12 megapixels
_HEADER = 1 << 18  # bytes of an object in which its size in pixels stands, if not behind a long profile
_SHARE = 0.6  # of the memory that can be had at the start
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ENODEV, errno.ESTALE}
"""What happens to a disk rather than to a picture."""


@dataclass
class Outcome:
    """How a run went.

    Attributes
    ----------
    done, failed, set_aside : int
    flagged : int
        Cut-outs in which the checks found a fault, set aside or not.
    pixels, bytes : int
        Of the outputs.
    seconds : float
        Of work: what the process was stopped for does not count.
    ended_by : GossamerError or None
        What ended it before its time: a full disk, a folder that is gone.
    """

    done: int = 0
    failed: int = 0
    set_aside: int = 0
    flagged: int = 0
    pixels: int = 0
    bytes: int = 0
    seconds: float = 0.0
    ended_by: GossamerError | None = None

    def add(self, record: Record) -> None:
        """Count what became of a picture."""
        self.done += record.state == "done"
        self.failed += record.state == "failed"
        self.set_aside += record.state == "set-aside"
        self.flagged += any(flag.get("severity") == "fault" for flag in record.flags)
        self.pixels += record.width * record.height
        self.bytes += sum(each.bytes for each in record.files())


class Engine:
    """Runs pictures through the stages.

    Parameters
    ----------
    shop : Shop
        Its ``steps`` must raise once :meth:`abort` was called: see :meth:`tick`.
    told : callable
        Called in the calling thread with the record of every picture that has ended, and the outcome so far.
    seen : callable, optional
        Called there twenty times a second.
    write : bool
        Without it pictures are made and not written: for estimates.
    """

    def __init__(
        self,
        shop: Shop,
        told: Callable[[Record, Outcome], object],
        seen: Callable[[Outcome], object] | None = None,
        *,
        write: bool = True,
    ) -> None:
        self._shop = shop
        self._told, self._seen = told, seen or (lambda _: None)
        self._halted, self._aborted = threading.Event(), threading.Event()
        self._finishers = min(thread_count(), _FINISHERS)
        self._finders = _finders(shop.pipeline.choice)
        # Pictures of a folder mostly have one size: those that wait for the card go through the network together.
        self._together = Together(_ON_A_CARD, of_one_size=True) if self._finders > 1 else None
        stages: list[tuple[Callable[[Job, Shop], None], int]] = [
            (Job.read, 1),
            (Job.find, self._finders),
            (Job.finish, self._finishers),
        ]
        if write:
            stages.append((Job.place, 1))
        self._queues: list[queue.Queue[Job | None]] = [queue.Queue() for _ in stages]
        self._ended: queue.Queue[Job] = queue.Queue()
        self._threads = [
            threading.Thread(target=self._work, args=(number, stage), name=f"gossamer-batch-{number}", daemon=True)
            for number, (stage, count) in enumerate(stages)
            for _ in range(count)
        ]
        self._failed_hard: GossamerError | None = None
        self._found_one = self._stopped = False

    def halt(self) -> None:
        """Begin no more pictures; those in hand are finished."""
        self._stopped = True
        self._halted.set()

    def abort(self) -> None:
        """Leave everything at once: what is in hand is as if it had never been begun."""
        self._stopped = True
        self._halted.set()
        self._aborted.set()

    @property
    def is_halted(self) -> bool:
        """Whether no more pictures are begun."""
        return self._halted.is_set()

    @property
    def was_stopped(self) -> bool:
        """Whether somebody asked for the end."""
        return self._stopped

    @property
    def is_aborted(self) -> bool:
        """Whether somebody asked for the end at once."""
        return self._aborted.is_set()

    def tick(self, fraction: float = 0.0, message: str = "") -> None:
        """Raise Cancelled where the work is to be left at once: the callback of all stages' progress."""
        if self._aborted.is_set():
            raise Cancelled()

    def run(self, items: Iterator[Item | None]) -> Outcome:
        """Do all items; a None among them means that there is none at present.

        Returns
        -------
        Outcome
            Also of what was left early.
        """
        with picture_after_picture():
            return self._run(items)

    def _run(self, items: Iterator[Item | None]) -> Outcome:
        outcome = Outcome()
        memory = available_memory()
        room = None if memory is None else int(_SHARE * memory)
        waiting: Job | None = None
        in_hand: list[Job] = []
        is_empty = False
        last = time.monotonic()
        for thread in self._threads:
            thread.start()
        try:
            while True:
                if waiting is None and not is_empty and not self._halted.is_set() and self._has_place(in_hand):
                    try:
                        item = next(items)
                        waiting = None if item is None else Job(item, _weight(item, self._shop.steps))
                    except StopIteration:
                        is_empty = True
                if self._halted.is_set():
                    waiting, is_empty = None, True
                taken = sum(job.weight for job in in_hand)
                if waiting is not None and (not in_hand or room is None or taken + waiting.weight <= room):
                    in_hand.append(waiting)
                    self._queues[0].put(waiting)
                    waiting = None
                    continue
                if (is_empty and not in_hand) or self._aborted.is_set():
                    break
                self._collect(in_hand, outcome)
                now = time.monotonic()
                outcome.seconds += now - last if now - last < _STOPPED else TICK
                last = now
                self._seen(outcome)
        finally:
            self._halted.set()
            if in_hand:
                self._aborted.set()
            for each, stage in zip(self._queues, self._crews(), strict=True):
                for _ in stage:
                    each.put(None)
            end = time.monotonic() + _PATIENCE
            for thread in self._threads:
                thread.join(max(end - time.monotonic(), 0.0) if self._aborted.is_set() else None)
        outcome.ended_by = self._failed_hard
        return outcome

    def _crews(self) -> list[list[threading.Thread]]:
        numbers = [int(thread.name.rpartition("-")[2]) for thread in self._threads]
        return [
            [thread for thread, own in zip(self._threads, numbers, strict=True) if own == number]
            for number in range(len(self._queues))
        ]

    def _has_place(self, in_hand: list[Job]) -> bool:
        """Tell whether another picture may be begun: one in every pair of hands, and one before the next stage."""
        return len(in_hand) < self._finishers + self._finders + 2

    def _collect(self, in_hand: list[Job], outcome: Outcome) -> None:
        """Wait a moment for what has ended, and count it."""
        try:
            job = self._ended.get(timeout=TICK)
        except queue.Empty:
            return
        in_hand[:] = [other for other in in_hand if other is not job]
        record = job.record
        if record is not None:
            outcome.add(record)
            self._told(record, outcome)

    def _work(self, number: int, stage: Callable[[Job, Shop], None]) -> None:
        """Take jobs to the next stage until there are no more."""
        last = number == len(self._queues) - 1
        while (job := self._queues[number].get()) is not None:
            if self._aborted.is_set():
                continue
            if not job.is_left and (job.failure is None or last):
                self._do(job, number, stage)
            (self._ended if last else self._queues[number + 1]).put(job)
            del job  # or it is kept while the next one is waited for

    def _do(self, job: Job, number: int, stage: Callable[[Job, Shop], None]) -> None:
        try:
            with self._together.here() if number == 1 and self._together else nullcontext():
                stage(job, self._shop)
            self._found_one = self._found_one or number > 0
        except Cancelled:
            job.is_left = True
        except Exception as error:
            if self._ends_the_run(error, number):
                job.is_left = True
                self._end(error if isinstance(error, GossamerError) else OutputError(str(error)))
                return
            job.failure = failure_of(error)
            if number == len(self._queues) - 1:
                try:
                    stage(job, self._shop)  # which now only writes down that it failed
                except Exception as worse:
                    job.is_left = True
                    self._end(worse if isinstance(worse, GossamerError) else OutputError(str(worse)))

    def _ends_the_run(self, error: Exception, number: int) -> bool:
        """Tell whether every other picture would meet the same: the disk, OUT, the journal, or the model itself."""
        if isinstance(error, (StoreUnreachable, OutUnreachable)):
            return True
        if isinstance(error, OutputError):
            cause: Any = error.__cause__
            on_disk = isinstance(cause, OSError) and cause.errno in _DISK
            return on_disk or not self._shop.results.is_there(self._shop.steps)
        # A network that has never run will not run for the next picture either.
        return number == 1 and not self._found_one and isinstance(error, (ModelError, DeviceError, MissingExtra))

    def _end(self, error: GossamerError) -> None:
        self._failed_hard = self._failed_hard or error
        self._halted.set()


def _finders(choice: ModelChoice) -> int:
    """Return how many pictures may be before the network at once."""
    alone = choice.model == NO_MODEL or likely_device(choice.device, choice.runtime) == "cpu"
    return 1 if alone else _ON_A_CARD


def _weight(item: Item, steps: Progress) -> int:
    """Return about how many bytes a picture will take, from its header; nothing where that tells nothing."""
    import PIL.Image

    path = item.source.path
    try:
        # Of an object that no list has told of all is asked for: not more comes than there is.
        begin = path if isinstance(path, Path) else io.BytesIO(path.read(0, _HEADER, steps))
        with quiet(), PIL.Image.open(begin) as picture:
            width, height = picture.size
        return int(width * height * _A_PIXEL)
    except Exception:  # what is wrong with it is told when it is read
        if not isinstance(path, Path):
            return 0 if path.status is None else 100 * path.status.st_size
        try:
            return 20 * path.stat().st_size
        except (OSError, ValueError):
            return 0
