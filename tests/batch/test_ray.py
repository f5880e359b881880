"""The same batch on a cluster of several processes. To run these, type: pip install 'ray[data]'."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from gossamer.batch.journal import FOLDER, journal_path, part_paths, read_journal
from tests.batch.conftest import KEYED, photograph

pytest.importorskip("ray", reason="not installed here: tests/test_overlays.py runs these")

pytestmark = pytest.mark.filterwarnings("ignore")  # of what Ray itself imports
ROOT = Path(__file__).parent.parent.parent
COUNT = 32
SIZE = (300, 400)  # so that what is stopped after a few has some left


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "gossamer", "batch", *map(str, arguments), *KEYED]


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)


def start(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(command(*arguments), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def outputs(out: Path) -> dict[str, bytes]:
    paths = [path for path in out.rglob("*") if path.is_file() and FOLDER not in path.parts]
    found = {}
    for path in sorted(paths):
        with suppress(FileNotFoundError):  # one in the midst of its writing, which has its own name by now
            found[path.relative_to(out).as_posix()] = path.read_bytes()
    return found


def records(out: Path) -> list[dict[str, Any]]:
    """Return the lines of a journal that tell what became of a picture."""
    lines = [json.loads(line) for line in journal_path(out).read_text().splitlines()]
    return [line for line in lines if "target" in line]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(COUNT):
        photograph(folder / f"shelf{number % 3}" / f"p{number:02d}.png", number, SIZE)
    whole = (folder / "shelf0" / "p00.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    return folder


@pytest.fixture(scope="module")
def local(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return what this process makes of them."""
    out = tmp_path_factory.mktemp("local") / "out"
    assert run(pictures, "--out", out).returncode == 1
    return out


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Yield a cluster of two machines that are none, of one core each."""
    from gossamer import telemetry

    telemetry.ray()
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    made.add_node(num_cpus=1)
    yield made
    made.shutdown()


def workers(address: str) -> list[int]:
    """Return the processes that do the blocks of a batch on a cluster; others may be at work on this machine."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if b"MapWorker" in (folder / "cmdline").read_bytes():
                (line,) = (line for line in (folder / "status").read_text().splitlines() if line.startswith("PPid:"))
                if address.encode() in Path(f"/proc/{line.split()[1]}/cmdline").read_bytes():  # of the machine's own
                    found.append(int(folder.name))
    return found


def wait_for_outputs(out: Path, count: int) -> None:
    end = time.monotonic() + 240
    while sum(not name.endswith(".tmp") for name in outputs(out)) < count:  # not one in the midst of its writing
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_cluster_makes_what_one_process_makes(pictures: Path, local: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run(pictures, "--out", out, "--engine", "ray", "--worker-cpus", 1, "--json")
    summary = json.loads(done.stdout)
    assert done.returncode == summary["exit_status"] == 1
    assert (summary["done"], summary["failed"], summary["left"]) == (COUNT, 1, 0)
    assert outputs(out) == outputs(local)
    mine, theirs = read_journal(out).records, read_journal(local).records
    for name, record in theirs.items():
        other = mine[name]
        assert (other.state, other.sha256, other.score, other.flags, other.recipe, other.error) == (
            *(record.state, record.sha256, record.score, record.flags, record.recipe, record.error),
        )
    assert len(records(out)) == COUNT + 1
    assert not part_paths(out)
    again = run(pictures, "--out", out, "--resume", "--json")  # either engine goes on where the other ended
    assert json.loads(again.stdout)["already"] == COUNT


def test_nothing_is_lost_or_done_twice_where_a_worker_and_a_machine_are_killed(
    pictures: Path, local: Path, tmp_path: Path, cluster: Any
) -> None:
    out = tmp_path / "out"
    lost = cluster.add_node(num_cpus=1)
    process = start(pictures, "--out", out, "--engine", "ray", "--address", cluster.address, "--json")
    wait_for_outputs(out, 3)
    os.kill(workers(cluster.address)[0], signal.SIGKILL)
    wait_for_outputs(out, 8)
    cluster.remove_node(lost, allow_graceful=False)
    stdout, stderr = process.communicate(timeout=300)
    assert json.loads(stdout)["done"] == COUNT, stderr
    assert process.returncode == 1
    assert outputs(out) == outputs(local)
    assert len(records(out)) == len({record["target"] for record in records(out)}) == COUNT + 1


def test_a_worker_may_have_a_part_of_a_gpu(pictures: Path, local: Path, tmp_path: Path, cluster: Any) -> None:
    """Ray takes a machine's word for its GPUs: this one's is worth nothing, and its workers run on the processor.

    Their parts of the cores are counted in test_cluster.py; how many come is Ray's to decide, by how long it takes.
    """
    out = tmp_path / "out"
    machine = cluster.add_node(num_cpus=2, num_gpus=1)
    try:
        asked = ("--engine", "ray", "--address", cluster.address, "--worker-gpus", 0.5, "--device", "cpu", "--json")
        done = run(pictures, "--out", out, *asked)
        assert json.loads(done.stdout)["done"] == COUNT, done.stderr
        assert outputs(out) == outputs(local)
    finally:
        cluster.remove_node(machine)


def test_gpus_that_this_machine_has_not_are_not_waited_for(pictures: Path, tmp_path: Path) -> None:
    done = run(pictures, "--out", tmp_path / "out", "--engine", "ray", "--worker-gpus", 64)
    assert "no 64 GPU on this machine" in done.stderr
    assert "--worker-gpus" in done.stderr
    assert "Traceback" not in done.stderr
    assert not outputs(tmp_path / "out")


def test_a_kill_of_the_one_who_asked_is_gone_on_from(pictures: Path, local: Path, tmp_path: Path, cluster: Any) -> None:
    out = tmp_path / "out"
    flags = ("--engine", "ray", "--address", cluster.address)
    process = start(pictures, "--out", out, *flags)
    wait_for_outputs(out, 3)
    process.kill()
    process.communicate()
    time.sleep(3)  # the cluster notices
    whole = [name for name in outputs(out) if not name.endswith(".tmp")]  # one in the midst of its writing may be there
    before = {name: (out / name).stat().st_mtime_ns for name in whole}
    assert part_paths(out)
    resumed = run(pictures, "--out", out, *flags, "--resume", "--json")
    summary = json.loads(resumed.stdout)
    assert (summary["already"] + summary["done"], summary["failed"]) == (COUNT, 1)
    assert summary["already"] >= 3
    assert outputs(out) == outputs(local)
    assert all((out / name).stat().st_mtime_ns == changed for name, changed in before.items())
    assert not part_paths(out)


def test_ctrl_c_ends_after_the_pictures_in_hand(pictures: Path, local: Path, tmp_path: Path, cluster: Any) -> None:
    out = tmp_path / "out"
    flags = ("--engine", "ray", "--address", cluster.address)
    process = start(pictures, "--out", out, *flags)
    wait_for_outputs(out, 2)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 130, stderr
    assert "Go on with --resume" in stderr
    made = outputs(out)
    assert made.items() <= outputs(local).items()
    assert len(made) < COUNT
    assert {record["target"] for record in records(out) if record["state"] == "done"} == set(made)


def test_a_cluster_that_is_not_there(pictures: Path, tmp_path: Path) -> None:
    done = run(pictures, "--out", tmp_path / "out", "--engine", "ray", "--address", "127.0.0.1:1")
    assert done.returncode == 5
    assert "The cluster 127.0.0.1:1 cannot be reached: Connection refused." in done.stderr
    assert "Traceback" not in done.stderr
