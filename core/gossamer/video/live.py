"""A camera's pictures, cut out as they come: the newest one is taken, none waits behind it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal

import numpy as np

from gossamer.arguments import check_call
from gossamer.errors import Cancelled, InputError
from gossamer.pipeline import checked_recipe
from gossamer.progress import Progress, ProgressCallback
from gossamer.settings import ModelChoice, Recipe
from gossamer.settings.video import Live
from gossamer.video.budget import Budget
from gossamer.video.clip import Clip, Frame
from gossamer.video.feeds import Feed, open_feed
from gossamer.video.outlets import WINDOW, Outlet, check_outlet, open_outlet
from gossamer.video.shrunk import ShrunkCutter, live_recipe

__all__ = ["Arrived", "LiveReport", "Newest", "cut_live"]

_POLL = 0.05  # seconds between two chances to cancel
_LEAVING = 0.3  # seconds that a reader has to end
_RECENT = 30  # frames that the rate shown is of
_KEPT = 2000  # latencies, for the percentile
_FASTER = 1.05  # than asked for: sources whose pictures are too many


@dataclass(frozen=True)
class LiveReport:
    """What came of it.

    Attributes
    ----------
    output : str
    width, height : int
    received, shown, dropped : int
        Frames that were read; that were shown; that were left out, as newer ones were there.
    seconds : float
        From the first frame to the last.
    fps : float
        Frames shown a second.
    rate : float
        What was asked for.
    latency_ms : float
        From a frame's arrival until it was handed on, on average.
    latency_ms_95 : float
        What 95 % of the last 2,000 frames stayed below.
    scale, mean_scale : float
        Of a side, at which the model saw the last frame, and all on average.
    model, device : str
    ended : str
        ``source``: it was at its end; ``seconds``: the time was over; ``reader``: nobody takes pictures any more.
    warnings : tuple of str
    """

    output: str
    width: int
    height: int
    received: int
    shown: int
    dropped: int
    seconds: float
    fps: float
    rate: float
    latency_ms: float
    latency_ms_95: float
    scale: float
    mean_scale: float
    model: str
    device: str
    ended: Literal["source", "seconds", "reader"]
    warnings: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Arrived:
    """A frame, and when it came, by the clock."""

    frame: Frame
    at: float


class Newest:
    """Reads frames in a thread of its own and keeps the newest one alone; used in a ``with``.

    Parameters
    ----------
    opened : callable
        Called in that thread with an event that is set when somebody left: returns the feed, and whether its frames
        tell themselves when they are to come.
    every : bool
        Keep all: the reader waits until a frame is taken, and for no time.
    clock : callable
        Seconds.

    Attributes
    ----------
    received, dropped : int
        How many frames came; how many of them nobody had time for.
    """

    def __init__(
        self,
        opened: Callable[[threading.Event], tuple[Feed, bool]],
        *,
        every: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._opened, self._every, self._clock = opened, every, clock
        self._changed = threading.Condition()
        self._left, self._begun = threading.Event(), threading.Event()
        self._feed: Feed | None = None
        self._latest: Arrived | None = None
        self._ended = False
        self._failed: BaseException | None = None
        self.timed = False
        self.received = self.dropped = 0
        self._thread = threading.Thread(target=self._work, name="gossamer-camera", daemon=True)

    def __enter__(self) -> Newest:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()
        self._begun.set()
        with self._changed:
            self._changed.notify_all()
        self._thread.join(_LEAVING)  # a camera that sends nothing holds its reader: it ends with the process

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was guessed or left out in reading, so far."""
        return tuple(self._feed.warnings) if self._feed else ()

    def clip(self, progress: Progress) -> Clip:
        """Wait for the source, which may be a pipe that nobody writes to yet; raises what opening it raises."""
        with self._changed:
            while self._feed is None and self._failed is None:
                self._changed.wait(_POLL)
                progress.tick()
            if self._failed is not None:
                raise self._failed
        assert self._feed is not None  # noqa: S101 - or it would wait
        return self._feed.clip

    def begin(self) -> None:
        """Begin to read: what came before somebody was ready would be old."""
        self._begun.set()

    def take(
        self,
        progress: Progress,
        until: float | None = None,
        after: float | None = None,
        attended: Callable[[], bool] = lambda: True,
    ) -> Arrived | None:
        """Wait for a frame and take it; None at the end, or when it is `until` by the clock, or later.

        Parameters
        ----------
        progress : Progress
            May raise to cancel.
        until : float, optional
        after : float, optional
            None is taken before it is so late: of those that come until then, the newest one is.
        attended : callable
            Asked while it waits: False where nobody wants a frame any more, which is an end as well.
        """
        with self._changed:
            while True:
                now = self._clock()
                if until is not None and now >= until:
                    return None
                early = max(0.0, after - now) if after is not None else 0.0
                if self._latest is not None and (not early or self._ended):
                    taken, self._latest = self._latest, None
                    self._changed.notify_all()
                    return taken
                if self._latest is None and self._ended:
                    if self._failed is not None:
                        raise self._failed
                    return None
                if not attended():
                    return None
                self._changed.wait(min(early, _POLL) if self._latest is not None else _POLL)
                progress.tick()

    def _work(self) -> None:
        feed: Feed | None = None
        try:
            feed, self.timed = self._opened(self._left)
            with self._changed:
                self._feed = feed
                self._changed.notify_all()
            self._begun.wait()
            self._read(feed)
        except BaseException as error:
            with self._changed:
                self._failed = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()
            if feed is not None:
                feed.close()

    def _read(self, feed: Feed) -> None:
        begin = self._clock()
        for frame in feed.frames():
            if self.timed and not self._every and (early := begin + float(frame.time) - self._clock()) > 0:
                self._left.wait(early)
            with self._changed:
                while self._every and self._latest is not None and not self._left.is_set():
                    self._changed.wait(_POLL)
                if self._left.is_set():
                    return
                self.received += 1
                self.dropped += self._latest is not None
                self._latest = Arrived(frame, self._clock())
                self._changed.notify_all()


def cut_live(
    input: str,
    output: str = WINDOW,
    settings: Live | None = None,
    recipe: Recipe | None = None,
    choice: ModelChoice | str | None = None,
    *,
    progress: ProgressCallback | Progress | None = None,
    announce: Callable[[str], object] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> LiveReport:
    """Put something else behind whoever is before a camera, as it happens.

    Parameters
    ----------
    input : str
        A camera (``/dev/video0`` or ``0``; on macOS ``0``, on Windows ``video=NAME``), ``-`` for the standard input,
        the path of a pipe, or of a clip, which is played at its own rate.
    output : str
        ``window``, ``-`` for the standard output, the path of a pipe, or a device of v4l2loopback.
    settings : Live, optional
    recipe : Recipe, optional
        What is done with each frame. Where no background is named, what is behind is blurred; where no matting is,
        there is none.
    choice : ModelChoice or str, optional
    progress : callable, optional
        Told the rate as well. Raising :class:`gossamer.Cancelled` in it ends the work.
    announce : callable, optional
        Called with sentences to show.
    clock : callable
        Seconds, from anywhere.

    Returns
    -------
    LiveReport

    Raises
    ------
    InputError
        There is no such camera or clip, settings do not go together, or a window cannot be had.
    OutputError
        It cannot be written.
    ModelError
        The model cannot be found, fetched or loaded.
    MissingExtra
        PyAV is not installed.
    """
    check_call(announce, "announce", "announce(sentence)")
    settings, recipe = settings or Live(), live_recipe(checked_recipe(recipe) or Recipe())
    choice, steps = ModelChoice.of(choice), Progress.of(progress)
    check_outlet(output, settings)
    every = settings.pace == "all"
    with Newest(lambda left: open_feed(input, settings, left), every=every, clock=clock) as newest:
        clip = newest.clip(steps)
        with ShrunkCutter(clip, settings, recipe, choice, steps, announce) as cutter:
            if not every:
                cutter.warm(steps)
            outlet = open_outlet(output, settings, clip)
            try:
                found = _Session(newest, cutter, outlet, clip, settings, clock).run(steps)
            except BaseException:
                outlet.abandon()
                raise
            outlet.end()
            if not found.shown and found.ended != "reader":
                raise InputError(f"{input} gave not a single picture in time.", "Give it more time, or another source.")
            return found.report(output, cutter)


class _Left(Cancelled):
    """Nobody wants the frame any more that is in work."""


@dataclass(eq=False)
class _Session:
    newest: Newest
    cutter: ShrunkCutter
    outlet: Outlet
    clip: Clip
    settings: Live
    clock: Callable[[], float]
    shown: int = 0
    ended: Literal["source", "seconds", "reader"] = "source"
    scales: float = 0.0
    scale: float = 1.0
    first: float = 0.0
    last: float = 0.0
    late: float = 0.0
    lates: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT))

    def run(self, progress: Progress) -> _Session:
        settings, clock = self.settings, self.clock
        every, span = settings.pace == "all", settings.seconds
        budget = Budget(float("inf") if every else 1 / self.rate, settings.smallest)
        gap = 1 / self.rate if self.clip.rate > _FASTER * self.rate and not every else None
        self.newest.begin()
        begin = self.first = self.last = clock()
        until = begin + span if span and not every else None
        due: float | None = None
        recent: deque[float] = deque(maxlen=_RECENT)
        while True:
            arrived = self.newest.take(progress, until, due, self.outlet.attended)
            if arrived is None:
                if not self.outlet.attended():
                    self.ended = "reader"
                elif until is not None and clock() >= until:
                    self.ended = "seconds"
                return self
            if every and span and float(arrived.frame.time) >= span:
                self.ended = "seconds"
                return self
            started = clock()
            if gap is not None:
                due = max((due if due is not None else started) + gap, started)
            if not self.shown:
                self.first = started
            self.scale = budget.scale
            try:
                rgb = self.cutter.cut(arrived.frame, self.scale, Progress(lambda *_: self._attend(progress)))
            except _Left:
                self.ended = "reader"
                return self
            told = self.newest.timed or every  # else by when they came: raw pictures have no times
            at = arrived.frame.time if told else Fraction(max(0.0, arrived.at - begin)).limit_denominator(90000)
            data = self.outlet.encoded(rgb, at)
            budget.spent(clock() - started)
            if not self.outlet.send(data):
                self.ended = "reader"
                return self
            self._count(clock(), arrived)
            recent.append(self.last)
            self._tell(progress, recent, self.last - begin)

    def _attend(self, progress: Progress) -> None:
        """Look up from a frame, whose model may be a slow one: whoever asks for the end does not wait for it."""
        progress.tick()
        if not self.outlet.attended():
            raise _Left

    @property
    def rate(self) -> float:
        """Frames a second that are wanted: more than a clip has are not to be had."""
        own = float(self.clip.rate) or 30.0
        return min(self.settings.rate, own) if self.settings.rate else own

    def _count(self, now: float, arrived: Arrived) -> None:
        self.shown, self.scales, self.last = self.shown + 1, self.scales + self.scale, now
        self.late += now - arrived.at
        self.lates.append(now - arrived.at)

    def _tell(self, progress: Progress, recent: deque[float], passed: float) -> None:
        span = recent[-1] - recent[0]
        fps = (len(recent) - 1) / span if span > 0 else 0.0
        whole = self.settings.seconds or self.clip.seconds or 0.0
        progress(
            min(passed / whole, 1.0) if whole else 0.0,
            f"{fps:.1f} frames/s, {1000 * self.lates[-1]:.0f} ms behind, seen at {100 * self.scale:.0f} %, "
            f"{self.newest.dropped} left out",
        )

    def report(self, output: str, cutter: ShrunkCutter) -> LiveReport:
        seconds, shown = self.last - self.first, max(self.shown, 1)
        return LiveReport(
            output=output,
            width=self.clip.width,
            height=self.clip.height,
            received=self.newest.received,
            shown=self.shown,
            dropped=self.newest.dropped,
            seconds=round(seconds, 3),
            fps=round(self.shown / seconds, 2) if seconds > 0 else 0.0,
            rate=round(self.rate, 3),
            latency_ms=round(1000 * self.late / shown, 1),
            latency_ms_95=round(1000 * float(np.percentile(self.lates or [0.0], 95)), 1),
            scale=self.scale,
            mean_scale=round(self.scales / shown, 3) or self.scale,
            model=cutter.model,
            device=cutter.device,
            ended=self.ended,
            warnings=(*self.newest.warnings, *cutter.warnings),
        )
