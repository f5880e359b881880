"""A worker of the service: ``python -m gossamer.service`` does what it reads from its parent, one thing at a time.

Not `multiprocessing`: it would run the caller's own script again in every worker, where that lacks its guard.
"""

from __future__ import annotations

import os
import pickle
import queue
import sys
import threading
import traceback
from typing import Any

from gossamer.errors import Cancelled, GossamerError
from gossamer.platform import ignore_interrupts, keep_to_cores, resident_memory, share_heaps
from gossamer.progress import Progress
from gossamer.service.frames import receive, send


class _Line:
    """The line to the parent: reads in a thread, so that work can be stopped."""

    def __init__(self) -> None:
        # What libraries print, in C too, must not come between the answers.
        self._answers = os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)
        self._sending = threading.Lock()
        self.stopped = threading.Event()
        self.tasks: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()

    def read(self) -> None:
        """Take what the parent says; once it has gone so does this process, whatever it is at."""
        try:
            while True:
                kind, told = receive(sys.stdin.buffer)
                if kind == "stop":
                    self.stopped.set()
                else:
                    self.stopped.clear()  # here, where the order is that of the parent
                    self.tasks.put((kind, told))
        except EOFError:
            os._exit(0)
        except BaseException:  # whoever sent it would wait for ever
            traceback.print_exc()
            os._exit(1)

    def tell(self, kind: str, told: Any) -> None:
        """Tell the parent something."""
        with self._sending:
            send(self._answers, (kind, told))

    def tick(self, fraction: float, message: str) -> None:
        """Tell how far the work is; raises Cancelled once it is to stop."""
        if self.stopped.is_set():
            raise Cancelled()
        self.tell("step", (fraction, message))


def _serve() -> None:
    share_heaps()
    ignore_interrupts()  # the parent ends us, when the last picture is done
    line = _Line()
    threading.Thread(target=line.read, daemon=True).start()
    _, (settings, number, count) = line.tasks.get()
    keep_to_cores(number, count)
    # Only now: what counts cores does so when it is imported.
    from gossamer.networks.busy import SMALL, picture_after_picture
    from gossamer.service.work import Workshop
    from gossamer.settings.service import Service
    from gossamer.warm import warm

    shop = Workshop.of(Service(**settings))
    try:
        shop.warm_up(settings["model"])
    except Exception as error:  # the first request tells what is wrong
        sys.stderr.write(f"worker {os.getpid()}: {type(error).__name__}: {error}\n")
    while True:
        line.tell("holds", (len(warm.held()), warm.bytes, resident_memory() or 0))
        _, work = line.tasks.get()
        line.tell("begun", None)
        try:
            with picture_after_picture(SMALL):
                outcome = "done", work(shop, Progress(line.tick))
        except BaseException as error:
            outcome = "failed", _portable(error)
        del work
        line.tell(*outcome)
        del outcome


def _portable(error: BaseException) -> BaseException:
    """Return an error that can go through the line; what nobody foresaw is told on stderr, with where it was."""
    if not isinstance(error, GossamerError):
        traceback.print_exception(error)
    error.__cause__ = error.__context__ = None
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - just made
    except Exception:
        if not isinstance(error, GossamerError):
            return RuntimeError(f"{type(error).__name__}: {error}")
        plain = GossamerError(error.message, error.remedy)
        plain.http_status = error.http_status
        return plain
    return error


if __name__ == "__main__":
    _serve()
