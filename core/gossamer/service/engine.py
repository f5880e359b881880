"""The engine: a thread for each pair of hands, and a bounded queue before them in which everyone's turn comes.

Each pair of hands has one picture at a time. Hands of one process share its memory: what they hold together is bounded,
and a picture that is larger than that has the process to itself.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Protocol

from gossamer.errors import Cancelled
from gossamer.progress import Progress
from gossamer.service.refusals import Busy, TooSlow

__all__ = ["Engine", "Hands", "Job"]

_FIRST_GUESS = 2.0  # seconds that a request takes, as long as none has been seen
_WEIGHT = 0.2  # of the newest request in the running mean
_SHARE = 0.75  # of the queue that one key may take: another one finds a place


class Hands(Protocol):
    """Who does the work: this process, or one of its own."""

    def __call__(self, work: Any, steps: Progress) -> Any:
        """Do some work; its progress raises once nobody waits or the time is over."""

    def close(self) -> None:
        """Let go of what is held: there is no more work."""


class Job:
    """What one request asks for.

    Attributes
    ----------
    owner : str
        Whose turn it takes.
    pixels : int
        Of its pictures.
    future : Future
        The work's result, or what it raised.
    told : tuple of float and str
        How far the work is, from 0 to 1, and what is being done.
    """

    def __init__(self, owner: str, work: Any, pixels: int = 0) -> None:
        self.owner, self.pixels = owner, pixels
        self.future: Future[Any] = Future()
        self.future.set_running_or_notify_cancel()  # what is ended by `leave` alone is not ended by whoever waits
        self.told = (0.0, "Waiting")
        self._work = work
        self._left = threading.Event()
        self._end = math.inf
        self._seconds = 0.0

    def leave(self) -> None:
        """Stop the work, or never begin it: nobody waits for it any more."""
        self._left.set()

    @property
    def is_left(self) -> bool:
        """Whether nobody waits for it."""
        return self._left.is_set()

    def run(self, seconds: float, hands: Callable[[Any, Progress], Any]) -> None:
        """Have the work done, for so many seconds at most."""
        self._seconds, self._end = seconds, time.monotonic() + seconds
        try:
            self._tick(0.0, "")
            result = hands(self._work, Progress(self._tick))
        except BaseException as error:
            self.future.set_exception(error)
        else:
            self.future.set_result(result)

    def _tick(self, fraction: float, message: str) -> None:
        self.told = fraction, message or self.told[1]
        if self._left.is_set():
            raise Cancelled()
        if time.monotonic() > self._end:
            raise TooSlow(
                f"The work took longer than the {self._seconds:g} s that are allowed here.",
                "Send a smaller picture, or ask for a faster model or matting.",
            )


class _Own:
    """Hands of this process: the work is a function of its progress."""

    def __call__(self, work: Callable[[Progress], Any], steps: Progress) -> Any:
        return work(steps)

    def close(self) -> None:
        """Do nothing: nothing is held."""


class Engine:
    """Has jobs done, in turns between their owners.

    Parameters
    ----------
    places : int
        How many may wait.
    seconds : float
        How long each may take.
    hands : sequence of Hands, optional
        As many jobs are done at once; without it one, whose work is called with its progress.
    room : int, optional
        How many pixels may be in all hands together, unless there is only one picture in them; any number without it.
    """

    def __init__(self, places: int, seconds: float, hands: Sequence[Hands] = (), room: int | None = None) -> None:
        self._places, self._seconds, self._room = places, seconds, room
        self._in_hand: list[Job] = []
        self._own = max(1, math.ceil(_SHARE * places))
        self._waiting: OrderedDict[str, deque[Job]] = OrderedDict()
        self._changed = threading.Condition()
        self._closing = False
        self._mean = _FIRST_GUESS
        self._hands: Sequence[Hands] = hands or (_Own(),)
        self._threads: list[threading.Thread] = []

    @property
    def waiting(self) -> int:
        """How many jobs wait for their turn."""
        with self._changed:
            return sum(map(len, self._waiting.values()))

    @property
    def is_open(self) -> bool:
        """Whether jobs are taken."""
        return not self._closing

    def submit(self, owner: str, work: Any, pixels: int = 0) -> Job:
        """Put work into the queue.

        Parameters
        ----------
        owner : str
        work : object
            What the hands take.
        pixels : int
            Of its pictures, which counts where there is not room for any number.

        Raises
        ------
        Busy
            The queue is full, or this owner's part of it, or the service is about to end.
        """
        job = Job(owner, work, pixels)
        with self._changed:
            self._forget_left()
            count = sum(map(len, self._waiting.values()))
            own = len(self._waiting.get(owner, ()))
            if self._closing:
                raise Busy("The service is about to end.", 10)
            if count >= self._places or (own >= self._own and self._places > 1):
                what = "The queue is full" if count >= self._places else "This key has its part of the queue"
                seconds = self._mean * (count + 1) / len(self._hands)
                raise Busy(f"{what}: {count} requests wait.", max(1, math.ceil(seconds)))
            self._waiting.setdefault(owner, deque()).append(job)
            self._begin()
            self._changed.notify_all()
        return job

    def _begin(self) -> None:
        """Start the threads, the first time."""
        if not self._threads:
            for hands in self._hands:
                self._threads.append(
                    threading.Thread(target=self._run, args=(hands,), name="gossamer-service", daemon=True)
                )
            for thread in self._threads:
                thread.start()

    def close(self) -> None:
        """Take no more jobs, and return when those that wait are done."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        for hands in self._hands:
            hands.close()

    def _forget_left(self) -> None:
        """Free the places of those who have gone."""
        for owner in list(self._waiting):
            staying: deque[Job] = deque()
            for job in self._waiting[owner]:
                if job.is_left:
                    job.future.set_exception(Cancelled())
                else:
                    staying.append(job)
            if staying:
                self._waiting[owner] = staying
            else:
                del self._waiting[owner]

    def _run(self, hands: Hands) -> None:
        while (job := self._next()) is not None:
            start = time.monotonic()
            try:
                job.run(self._seconds, hands)
            except Exception:
                # The thread goes on: whoever waits would else wait for ever.
                logging.getLogger("gossamer.service").exception("A job ended unheard")
            with self._changed:
                self._in_hand.remove(job)
                if not job.is_left:
                    self._mean += _WEIGHT * (time.monotonic() - start - self._mean)
                self._changed.notify_all()
            del job  # or its picture is kept while the next one is waited for

    def _next(self) -> Job | None:
        """Return the next job: the first of the owner whose last turn is longest ago, once there is room for it."""
        with self._changed:
            while True:
                self._forget_left()
                if self._waiting:
                    owner = next(iter(self._waiting))
                    if self._fits(self._waiting[owner][0]):
                        break
                elif self._closing:
                    return None
                self._changed.wait()
            jobs = self._waiting.pop(owner)
            job = jobs.popleft()
            if jobs:
                self._waiting[owner] = jobs  # at the end: the others come first
            self._in_hand.append(job)
            return job

    def _fits(self, job: Job) -> bool:
        """Tell whether there is room for a job. None overtakes another: large ones would never come."""
        held = sum(each.pixels for each in self._in_hand)
        return self._room is None or not self._in_hand or held + job.pixels <= self._room
