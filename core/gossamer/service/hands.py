"""Hands: what does the work of the engine's threads, in this process or each in one of its own.

A worker process keeps its own networks warm and has its part of the cores. Queue, turns, rates and numbers are the
service's own, so that they hold over all of them, and one that dies costs the request that it had and no other.
"""

from __future__ import annotations

import logging
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

from gossamer.errors import GossamerError
from gossamer.networks.busy import SMALL, picture_after_picture
from gossamer.networks.together import Together
from gossamer.progress import Progress
from gossamer.service.frames import receive, send
from gossamer.service.work import Workshop
from gossamer.settings.service import Service

__all__ = ["Elsewhere", "Here", "Task"]

Task = Callable[[Workshop, Progress], Any]
"""What the hands take: done with a workshop. What goes to another process can be pickled."""

_TRIES = 2  # to find a process that begins
_TICK = 0.05  # seconds between two looks at whether somebody still waits
_PATIENCE = 5.0  # seconds that work which was left may take to stop, before its process is ended
_ENDING = 10.0  # seconds for an idle process to go by itself
_SHORT, _PAUSE = 10.0, 2.0  # seconds: after a life shorter than this the next one begins so much later
_log = logging.getLogger("gossamer.service")


class Here:
    """Works in this process, in whichever thread.

    Parameters
    ----------
    shop : Workshop
    counts : bool
        Whether it tells what the process holds: one of several does.
    together : Together, optional
        What puts its pictures through networks with those of others.
    """

    restarts = 0
    """How many processes took another's place: none."""

    def __init__(self, shop: Workshop, *, counts: bool = True, together: Together | None = None) -> None:
        self._shop, self._counts, self._together = shop, counts, together

    def __call__(self, work: Task, steps: Progress) -> Any:
        """Do the work."""
        with picture_after_picture(SMALL), self._together.here() if self._together else nullcontext():
            return work(self._shop, steps)

    @property
    def holds(self) -> tuple[int, int, int]:
        """How many networks are in memory, the bytes that they take, and the bytes of the process: 0, it is ours."""
        from gossamer.warm import warm

        return (len(warm.held()), warm.bytes, 0) if self._counts else (0, 0, 0)

    def close(self) -> None:
        """Do nothing: the process goes on."""


class Elsewhere:
    """Works in a process of its own, which is started at once, and again where it dies.

    Parameters
    ----------
    settings : Service
    number, count : int
        Which of how many it is: it has its part of the cores.

    Attributes
    ----------
    restarts : int
        How many processes took another's place.
    holds : tuple of int
        How many networks it has in memory, the bytes that they take, and the bytes of the process.
    """

    def __init__(self, settings: Service, number: int, count: int) -> None:
        self._told = (settings.model_dump(), number, count)
        self._worker: _Worker | None = None
        self._lock = threading.Lock()
        self._closing = False
        self.restarts = 0
        self.holds = (0, 0, 0)
        self._start()

    def __call__(self, work: Task, steps: Progress) -> Any:
        """Have the work done; raises what it raises, and GossamerError where its process has died."""
        for _ in range(_TRIES):
            worker = self._running()
            try:
                worker.send("work", work)
            except (OSError, ValueError):  # it died while nothing was asked of it
                self._replace(worker)
                continue
            try:
                return self._outcome(worker, steps)
            except _Died as died:
                if died.had_begun:
                    break
            self._replace(worker)  # it never began: another one does
        self._replace(worker)
        raise GossamerError(
            "The process that worked on this picture has ended.",
            "It may have run out of memory: send a smaller picture.",
        )

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._closing = True
            worker, self._worker = self._worker, None
        if worker is not None:
            worker.end()

    def _outcome(self, worker: _Worker, steps: Progress) -> Any:
        had_begun = False
        while True:
            try:
                kind, told = worker.news.get(timeout=_TICK)
            except queue.Empty:
                kind, told = "", None
            if kind == "done":
                return told
            if kind == "failed":
                raise told
            if kind == "died":
                raise _Died(had_begun)
            had_begun = had_begun or kind == "begun"
            try:
                if kind == "step":
                    steps(*told)
                else:
                    steps.tick()
            except BaseException:
                if not worker.stopped():
                    self._replace(worker)
                raise

    def _running(self) -> _Worker:
        worker = self._worker
        if worker is not None and worker.process.poll() is not None:
            self._replace(worker)
        else:
            self._start()
        worker = self._worker
        if worker is None:
            raise GossamerError("The service is about to end.", "Try again in 10 s.")
        return worker

    def _replace(self, worker: _Worker) -> None:
        """Put another process in the place of one that has died, or that does not stop."""
        with self._lock:
            if self._worker is not worker:
                return  # who listens to it was faster, or the end has come
            self._worker = None
        status = worker.kill()
        self.restarts += 1
        _log.warning("Worker %d has ended (%s); another takes its place", worker.process.pid, status)
        self._start()

    def _start(self) -> None:
        with self._lock:
            if self._closing or self._worker is not None:
                return
            worker = self._worker = _Worker()
        threading.Thread(target=self._listen, args=(worker,), daemon=True).start()
        with suppress(OSError, ValueError):  # it died at once: who listens to it sees that
            worker.send("settings", self._told)

    def _listen(self, worker: _Worker) -> None:
        """Pass on what the process tells, and start another where it dies with nothing to do."""
        busy, start = False, time.monotonic()
        while True:
            try:
                kind, told = worker.receive()
            except Exception:  # it died, in the midst of a word perhaps
                break
            if kind == "holds":
                self.holds = told
            else:
                busy = (busy or kind == "begun") and kind not in ("done", "failed")
                worker.news.put((kind, told))
        worker.news.put(("died", None))
        _pipe(worker.process.stdout).close()
        if not busy:
            if time.monotonic() - start < _SHORT:
                time.sleep(_PAUSE)  # one that cannot even start is not started in a whirl
            self._replace(worker)


class _Worker:
    """A process, and what it has told."""

    def __init__(self) -> None:
        # The library must be found where this process found it, and nothing (-P) of the current folder.
        home = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join(part for part in (home, os.environ.get("PYTHONPATH", "")) if part)
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "gossamer.service"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path, "GOSSAMER_OFFLINE": "1"},
        )
        self.news: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()

    def send(self, kind: str, told: Any) -> None:
        """Tell it something; raises OSError or ValueError where it has gone."""
        send(_pipe(self.process.stdin), (kind, told))

    def receive(self) -> Any:
        """Return the next that it tells; raises where it has gone."""
        return receive(_pipe(self.process.stdout))

    def stopped(self) -> bool:
        """Have its work stopped, which nobody waits for; return whether it is free for more."""
        end = time.monotonic() + _PATIENCE
        with suppress(OSError, ValueError):
            self.send("stop", None)
        while time.monotonic() < end:
            with suppress(queue.Empty):
                kind, _ = self.news.get(timeout=_TICK)
                if kind in ("done", "failed"):
                    return True
                if kind == "died":
                    return False
        return False

    def kill(self) -> int:
        """End it now; return its status."""
        self.process.kill()
        status = self.process.wait()
        with suppress(OSError, ValueError):
            _pipe(self.process.stdin).close()
        return status

    def end(self) -> None:
        """Let it end: it has nothing to do."""
        with suppress(OSError, ValueError):
            _pipe(self.process.stdin).close()  # which tells it that there is no more
        try:
            self.process.wait(_ENDING)
        except subprocess.TimeoutExpired:
            self.kill()


class _Died(Exception):
    """The process has gone."""

    def __init__(self, had_begun: bool) -> None:
        super().__init__()
        self.had_begun = had_begun


def _pipe(stream: Any) -> Any:
    assert stream is not None  # noqa: S101 - both are pipes
    return stream
