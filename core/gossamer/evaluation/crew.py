"""Many tasks on all cores: worker processes, progress, and a stop at once."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gossamer.errors import GossamerError, MissingExtra
from gossamer.evaluation.scoring import Score, Task, reason, score
from gossamer.parallel.threads import thread_count
from gossamer.progress import Progress

__all__ = ["Failure", "run_tasks"]

_FEW = 4
"""So many pairs are measured in this process: starting others takes a second or two."""

_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass(frozen=True)
class Failure:
    """Why a pair could not be measured, and what to do."""

    message: str
    remedy: str = ""


def run_tasks(tasks: Sequence[Task], workers: int | None, progress: Progress) -> Iterator[tuple[int, Score | Failure]]:
    """Measure every task; yields its index and the outcome in the order in which they are done.

    Raises
    ------
    MissingExtra
        If a package is missing: the same for all tasks, so the first one ends the work.
    """
    count = min(workers or thread_count(), thread_count(), len(tasks))
    if workers is None and len(tasks) <= _FEW:
        count = 1
    waiting: queue.SimpleQueue[tuple[int, Task]] = queue.SimpleQueue()
    for item in enumerate(tasks):
        waiting.put(item)
    done: queue.SimpleQueue[tuple[int, Score | Failure | MissingExtra]] = queue.SimpleQueue()
    stop = threading.Event()
    crew = [_Worker() for _ in range(count)] if count > 1 else []
    members: Sequence[_Worker | None] = crew or [None]
    threads = [threading.Thread(target=_drain, args=(waiting, done, stop, member), daemon=True) for member in members]
    try:
        for thread in threads:
            thread.start()
        for number in range(len(tasks)):
            index, outcome = _next(done, progress)
            if isinstance(outcome, MissingExtra):
                raise outcome
            progress((number + 1) / len(tasks), f"Measuring {number + 1} of {len(tasks)}")
            yield index, outcome
    finally:
        stop.set()
        for member in crew:
            member.end()
        for thread in threads:
            thread.join()  # one that is in OpenCV when Python ends would take the whole process down with it
        for member in crew:
            member.close()


def _next(done: queue.SimpleQueue[Any], progress: Progress) -> tuple[int, Score | Failure | MissingExtra]:
    while True:
        try:
            answer: tuple[int, Score | Failure | MissingExtra] = done.get(timeout=0.05)
            return answer
        except queue.Empty:
            progress.tick()


def _drain(
    waiting: queue.SimpleQueue[tuple[int, Task]],
    done: queue.SimpleQueue[tuple[int, Score | Failure | MissingExtra]],
    stop: threading.Event,
    member: _Worker | None,
) -> None:
    """Do tasks until there are none: in a worker process, or with None in this thread."""
    while not stop.is_set():
        try:
            index, task = waiting.get_nowait()
        except queue.Empty:
            return
        outcome: Score | Failure | MissingExtra
        try:
            outcome = score(task) if member is None else member.score(task)
        except MissingExtra as error:
            outcome = error
        except Exception as error:
            outcome = Failure(*reason(error, alone=member is None))
        done.put((index, outcome))


class _Worker:
    """A process that measures one task at a time; a new one takes its place where it dies."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self._ended = False

    def score(self, task: Task) -> Score:
        """Measure one task there; raises what `score` raises."""
        process = self._running()
        assert process.stdin is not None  # noqa: S101 - both are pipes
        assert process.stdout is not None  # noqa: S101
        line = ""
        with suppress(OSError, ValueError):  # it died, or was ended: the empty answer tells
            process.stdin.write(json.dumps(asdict(task)) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        if not line:
            self.close()
            raise GossamerError(
                f"The process that measured {task.prediction} ended early.", "It may have run out of memory."
            )
        answer = json.loads(line)
        if "score" in answer:
            return Score(**answer["score"])
        if answer["extra"]:
            raise MissingExtra(answer["error"][0].removesuffix(" needs an optional package."), answer["extra"])
        raise GossamerError(*answer["error"])

    def end(self) -> None:
        """Stop the process now, and for good; the thread that waits for its answer gets an empty one."""
        with self._lock:
            self._ended = True
            if self._process is not None:
                self._process.kill()

    def _running(self) -> subprocess.Popen[str]:
        with self._lock:
            if self._ended:
                raise GossamerError("The work was stopped.")
            if self._process is None:
                # The library must be found where this process found it, however that was, and nothing (-P) that
                # happens to lie in the current folder.
                home = str(Path(__file__).resolve().parents[2])
                path = os.pathsep.join(part for part in (home, os.environ.get("PYTHONPATH", "")) if part)
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "gossamer.evaluation"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    env={**os.environ, **_ONE_THREAD, "PYTHONPATH": path},
                    text=True,
                    encoding="utf-8",
                )
            return self._process

    def close(self) -> None:
        """Let go of the process; another takes its place with the next task."""
        with self._lock:
            process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with suppress(OSError):
                        pipe.close()
