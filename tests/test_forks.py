"""A process that is forked after use (gunicorn with preload, Celery, multiprocessing) does what its parent did."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gossamer.parallel.forks import Lock, PerProcess
from tests.cached_weights import weights_home

ROOT = Path(__file__).parent.parent
STAGES = {
    "networks": ["onnx", "torch"],
    "transformers": ["vitmatte", "sam2"],
    "solvers": ["closed_form", "from_mask", "guided", "knn", "learning_based"],
    "colours": ["soft_band", "blur_fusion", "multilevel", "closed_form", "png", "jpeg"],
    "held": ["onnx", "torch"],
    "a_second_fork": ["onnx", "torch"],
}

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


@pytest.mark.long
@pytest.mark.parametrize("group", STAGES)
def test_every_stage_gives_the_same_in_a_forked_process(group: str, tmp_path: Path) -> None:
    # In a process of its own: this one has threads of whatever other tests have used.
    command = [sys.executable, "-W", "ignore", "-m", "tests.fork_stages", group, str(tmp_path)]
    environment = {**os.environ, "GOSSAMER_HOME": str(weights_home()), "GOSSAMER_OFFLINE": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.stdout.splitlines() == [f"{stage} equal" for stage in STAGES[group]], done.stderr[-4000:]
    assert done.returncode == 0, done.stderr[-4000:]


AFTER_OPENCV = """
import os
import signal
import cv2
import numpy as np
from gossamer.parallel.patience import patiently
from gossamer.parallel.strips import Strips
from gossamer.progress import Progress
plane = np.zeros((64, 64, 3), np.float32)
def shrink(first, last):
    cv2.resize(plane, (32, 32))
def alone():
    patiently(lambda: shrink(0, 1), Progress())
def together():
    with Strips(2) as strips:
        strips.each(shrink, 4, 1, Progress())
hung = 0
for work in (alone, together) * 700:
    work()
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        work()
        os._exit(0)
    hung += os.waitpid(child, 0)[1] != 0
print(hung)
"""


@pytest.mark.long
def test_a_fork_right_after_work_in_threads_never_finds_opencvs_lock_held() -> None:
    """Of threads that ended with their work one in 500 held it in the moment of the fork."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", AFTER_OPENCV], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "0"), done.stderr[-2000:]


def in_child(work: object) -> int:
    assert callable(work)
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if work() else 1)
        except BaseException:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # since 3.12, of forks in processes with threads
def test_a_lock_that_another_thread_holds_is_free_in_a_child() -> None:
    lock, end, taken = Lock(), threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            taken.set()
            end.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait()
    assert in_child(lambda: not lock.locked() and lock.acquire(timeout=1) and not lock.acquire(timeout=0.01)) == 0
    assert lock.locked()
    end.set()
    thread.join()
    assert not lock.locked()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_fork_by_the_thread_that_holds_a_lock_ends_its_with_in_both() -> None:
    lock = Lock()

    def both() -> bool:
        with lock:
            child = os.fork()
        if child == 0:
            os._exit(1 if lock.locked() else 0)
        return os.waitpid(child, 0)[1] == 0

    assert both()
    assert not lock.locked()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_a_process_made_is_made_anew_in_each_child_and_freed_in_none() -> None:
    class Thing:
        def __del__(self) -> None:
            freed.append(os.getpid())

    freed: list[int] = []
    made: list[int] = []

    def make() -> Thing:
        made.append(os.getpid())
        return Thing()

    thing = PerProcess(make)
    first = thing()
    assert thing() is first
    del first

    def anew() -> bool:
        here = os.getpid()
        assert thing() is thing()
        return made == [os.getppid(), here] and not freed

    assert in_child(anew) == 0
    assert made == [os.getpid()]
