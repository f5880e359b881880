"""Whether the threads that the library keeps have anything in hand."""

from __future__ import annotations

import sys
import threading
import time

PATIENCE = 20  # seconds after which they count as hanging


def wait_for_own_threads() -> None:
    """Return when each of them waits for work; networks' and batches' threads have other names."""
    end = time.monotonic() + PATIENCE
    while not _idle():
        assert time.monotonic() < end
        time.sleep(0.01)


def _idle() -> bool:
    frames = sys._current_frames()
    own = [thread.ident for thread in threading.enumerate() if thread.name.startswith("gossamer-work")]
    return all(frames[each].f_code.co_name == "_worker" for each in own if each in frames)  # concurrent.futures' loop
