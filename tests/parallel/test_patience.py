"""Waiting for what cannot be interrupted, and leaving."""

from __future__ import annotations

import subprocess
import sys

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


def test_a_process_that_ends_while_opencv_works_on_is_not_aborted() -> None:
    """OpenCV's threads, cut off by the end of Python, ended it by abort(): status 134 and a line on stderr."""
    done = subprocess.run([sys.executable, "-c", LEFT], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "left", "")
