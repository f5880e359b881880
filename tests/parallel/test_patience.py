"""Work in a thread of its own: its result, its error, and leaving before either."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from gossamer import Cancelled
from gossamer.parallel.patience import Begun, patiently
from gossamer.progress import Progress

LEFT = """
import time
import cv2
import numpy as np
from gossamer.errors import Cancelled
from gossamer.parallel.patience import patiently
from gossamer.progress import Progress
end = time.monotonic() + 1.5
plane = np.zeros((500, 500, 3), np.float32)
def work():
    while time.monotonic() < end:
        cv2.GaussianBlur(plane, (0, 0), 2)
def stop(fraction, message):
    raise Cancelled
try:
    patiently(work, Progress(stop))
except Cancelled:
    print("left")
"""

ON = """
import threading
import time
import cv2
import numpy as np
from gossamer.errors import Cancelled
from gossamer.parallel.patience import patiently
from gossamer.progress import Progress
plane = np.zeros((64, 64, 3), np.float32)
def go_on():
    try:
        while True:
            patiently(lambda: cv2.GaussianBlur(plane, (0, 0), 2), Progress())
    except Cancelled:
        pass
for _ in range(3):
    threading.Thread(target=go_on, daemon=True).start()
time.sleep(0.3)
"""


def test_what_was_begun_together_goes_on_together() -> None:
    both = threading.Barrier(2, timeout=10)
    works = [Begun(lambda number=number: (both.wait(), number)[1]) for number in range(2)]  # alone neither would end
    assert [work.result(Progress()) for work in works] == [0, 1]


def test_its_error_is_that_of_whoever_waits() -> None:
    def fail() -> None:
        raise ValueError("as it was")

    with pytest.raises(ValueError, match="as it was"):
        patiently(fail, Progress())


def test_who_waits_may_leave_before_the_end() -> None:
    end = threading.Event()

    def leave(fraction: float, message: str) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        patiently(lambda: end.wait(10), Progress(leave))
    assert not end.is_set()
    end.set()


def test_a_process_that_ends_while_opencv_works_on_is_not_aborted() -> None:
    """OpenCV's threads, cut off by the end of Python, ended it by abort(): status 134 and a line on stderr."""
    done = subprocess.run([sys.executable, "-c", LEFT], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "left", "")


def test_what_daemons_begin_while_the_process_ends_is_cancelled() -> None:
    """As of a batch that was stopped: no picture has failed by it, and nothing is printed."""
    done = subprocess.run([sys.executable, "-c", ON], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
