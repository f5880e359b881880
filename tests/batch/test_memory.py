"""Memory stays flat: what is in hand is bounded, and nothing of a picture stays when it is done. Counted, not timed."""

from __future__ import annotations

import gc
import itertools
import json
import subprocess
import sys
from pathlib import Path

import pytest

from gossamer.batch.job import Job
from gossamer.batch.plan import Asked
from gossamer.batch.run import planned, run_batch
from gossamer.cutout import Cutout
from gossamer.image import Image
from gossamer.parallel.threads import thread_count
from gossamer.pipeline import Pipeline
from gossamer.settings import ModelChoice, Recipe
from tests.batch.conftest import photograph

PICTURES = 120
_EVERY = 15  # pictures: counting takes longer than cutting out


def measured(source: Path, out: Path) -> list[tuple[int, int, int]]:
    """Run a batch; return how much memory, how many jobs and how many pictures there were now and then."""
    recipe, choice = Recipe.of({"matting": {"method": "key"}}), ModelChoice(model="none")
    asked = Asked(out, recipe=recipe, choice=choice)
    seen: list[tuple[int, int, int]] = []

    told_of = itertools.count(1)

    def told(*_: object) -> None:
        if next(told_of) % _EVERY:
            return
        gc.collect()
        kinds = [type(each) for each in gc.get_objects()]
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        seen.append((pages * 4096, kinds.count(Job), kinds.count(Image) + kinds.count(Cutout)))

    run_batch(
        planned([str(source)], [], asked),
        asked,
        Pipeline(recipe, choice),
        arguments=[],
        announce=print,
        told=told,
        seen=lambda *_: None,
    )
    return seen


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_memory_is_the_same_after_many_pictures(tmp_path: Path) -> None:
    """In a process of its own: this one's memory is that of all tests before."""
    for number in range(PICTURES):
        photograph(tmp_path / "in" / f"p{number}.png", number, (90, 120 + number % 13))
    command = [sys.executable, "-m", "tests.batch.test_memory", str(tmp_path / "in"), str(tmp_path / "out")]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr.decode()
    seen = json.loads(done.stdout)
    assert len(seen) == PICTURES // _EVERY
    hands = min(thread_count(), 4) + 3
    assert max(jobs for _, jobs, _ in seen) <= hands + 2  # one that waits, and the one that is told of
    assert max(pictures for _, _, pictures in seen) <= 2 * hands
    assert max(memory for memory, _, _ in seen[-2:]) < 1.1 * seen[2][0]


if __name__ == "__main__":
    print(json.dumps(measured(Path(sys.argv[1]), Path(sys.argv[2]))))
