"""Leaving a method in its middle, and running each again and again in one process."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import gossamer
from gossamer.errors import Cancelled
from tests.matting.scenes import recipe, scene
from tests.matting.tiny_vitmatte import write_model

ROOT = Path(__file__).parents[2]
MATTING = ["closed_form", "from_mask", "guided", "knn", "learning_based"]
FOREGROUND = ["blur_fusion", "multilevel", "closed_form", "soft_band"]
JOBS = [("matting", method) for method in (*MATTING, "vitmatte")] + [("foreground", method) for method in FOREGROUND]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "tiny-vitmatte")


@pytest.mark.long
@pytest.mark.parametrize(("stage", "method"), JOBS)
@pytest.mark.parametrize("when", [0.3, 0.7])
def test_leaving_in_the_middle_leaves_nothing_running(stage: str, method: str, when: float, model: Path) -> None:
    picture, mask = scene(180, 240)
    choice = recipe(stage, method, model)
    gossamer.refine(picture, mask, choice)  # imports and loads, which is heard as well
    whole: list[float] = []
    gossamer.refine(picture, mask, choice, progress=lambda fraction, _: whole.append(fraction))
    steps = sorted(set(whole))
    limit = steps[int(when * len(steps))]  # not so many calls: how many there are is a matter of time

    def stop(fraction: float, message: str) -> None:
        if fraction >= limit:
            raise Cancelled

    before = threading.active_count()
    with pytest.raises(Cancelled):
        gossamer.refine(picture, mask, choice, progress=stop)
    end = time.monotonic() + 20  # a guard against a hang
    while threading.active_count() > before and time.monotonic() < end:
        time.sleep(0.02)
    assert threading.active_count() <= before
    assert np.isfinite(gossamer.refine(picture, mask, choice).alpha).all()


FIRST = """
import sys
import gossamer
from gossamer.errors import Cancelled
from tests.matting.scenes import recipe, scene
stage, method, model, after = sys.argv[1:]
picture, mask = scene(450, 600)
heard = 0
def stop(fraction, message):
    global heard
    heard += 1
    if fraction >= float(after):
        raise Cancelled
try:
    gossamer.refine(picture, mask, recipe(stage, method, model), progress=stop)
except Cancelled:
    print("left", *sorted({"numba", "pymatting"} & set(sys.modules)))
"""


@pytest.mark.long
@pytest.mark.parametrize("after", ["0.12", "0.55"])
@pytest.mark.parametrize(
    ("stage", "method"),
    [("matting", "guided"), ("matting", "knn"), ("foreground", "multilevel"), ("foreground", "closed_form")],
)
def test_the_first_use_can_be_left_and_compiles_nothing(stage: str, method: str, after: str, model: Path) -> None:
    """Compiling at the first use took 40 seconds that nobody could leave."""
    command = [sys.executable, "-c", FIRST, stage, method, str(model), after]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120, cwd=ROOT)
    assert done.stdout.strip() == "left"


RUN = """
import sys
import resource
import threading
import numpy as np
import gossamer
from gossamer.platform import return_memory
from tests.matting.scenes import recipe, scene
stage, method, model, where = sys.argv[1:]
picture, mask = scene(90, 120)
choice = recipe(stage, method, model)
def resident():
    return_memory()  # what the C library keeps although it is free is no leak
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()
def run(count):
    for _ in range(count):
        gossamer.refine(picture, mask, choice)
def run_in_threads(count):
    for _ in range(count // 5):
        threads = [threading.Thread(target=run, args=(1,)) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
again = run_in_threads if where == "threads" else run
again(10)
before = resident()
again(50)
print((resident() - before) / 2**20)
"""


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the system does not tell the resident memory so")
@pytest.mark.parametrize(
    ("stage", "method", "where"),
    [
        *((*job, "here") for job in [*JOBS, ("matting", "auto"), ("foreground", "auto")]),
        # What is made in one thread and freed in another is where the leak was.
        *(("matting", method, "threads") for method in ("from_mask", "closed_form", "auto")),
    ],
)
def test_fifty_runs_take_no_more_memory_than_ten(stage: str, method: str, where: str, model: Path) -> None:
    command = [sys.executable, "-c", RUN, stage, method, str(model), where]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert float(done.stdout) < 12, f"{done.stdout.strip()} MiB more"


@pytest.mark.parametrize("block", ["knn._points", "knn._features", "knn._tree", "knn._nearest", "knn._matrix"])
def test_no_block_of_knn_keeps_who_wants_to_leave(block: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 12 million pixels each of them takes seconds on a busy machine."""
    picture, mask = scene(90, 120)
    entered, left = threading.Event(), threading.Event()

    def endless(*_: object) -> None:
        entered.set()
        left.wait(20)  # a guard against a hang

    monkeypatch.setattr(f"gossamer.matting.{block}", endless)

    def stop(fraction: float, message: str) -> None:
        if entered.is_set():
            left.set()
            raise Cancelled

    with pytest.raises(Cancelled):
        gossamer.refine(picture, mask, recipe("matting", "knn", Path()), progress=stop)
