"""A batch on two machines that see each other by a network alone: namespaces of this one, where it may make such."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from gossamer.batch.journal import FOLDER, journal_path, part_paths
from tests.batch.conftest import KEYED, photograph

pytestmark = pytest.mark.filterwarnings("ignore")  # of what Ray itself imports
ROOT = Path(__file__).parent.parent.parent
HEAD, OTHER = "10.213.7.1", "10.213.7.2"
PORT = 6391
COUNT = 24


def can_make_machines() -> bool:
    """Tell whether namespaces can be made here."""
    if sys.platform != "linux" or shutil.which("ip") is None:
        return False
    name = f"gossamer-{os.getpid()}-try"
    if subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode:
        return False
    inside = ["ip", "netns", "exec", name, "ip", "link", "set", "lo", "up"]
    works = subprocess.run(inside, capture_output=True, check=False).returncode == 0
    subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
    return works


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def on(machine: str, *command: str) -> list[str]:
    return ["ip", "netns", "exec", machine, *command]


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Yield two machines with an address each and a cable between them; each is one of a cluster."""
    pytest.importorskip("ray", reason="not installed here: tests/test_overlays.py runs these")
    if not can_make_machines():
        pytest.skip("no network namespaces can be made here")
    names = tuple(f"gossamer-{os.getpid()}-{which}" for which in "ab")
    ends = tuple(f"gs{os.getpid() % 100000}{which}" for which in "ab")
    started: list[subprocess.Popen[bytes]] = []
    try:
        for name in names:
            ip("netns", "add", name)
        ip("link", "add", ends[0], "type", "veth", "peer", "name", ends[1])
        for name, end, address in zip(names, ends, (HEAD, OTHER), strict=True):
            ip("link", "set", end, "netns", name)
            for words in (f"addr add {address}/24 dev {end}", f"link set {end} up", "link set lo up"):
                ip("-n", name, *words.split())
        common = ("--num-cpus=1", "--object-store-memory=80000000", "--disable-usage-stats", "--block")
        ray = (sys.executable, "-m", "ray.scripts.scripts", "start")
        store = "--temp-dir=/tmp/" + ends[0]  # short: paths of sockets are
        kinds = (
            ("--head", f"--node-ip-address={HEAD}", f"--port={PORT}", "--include-dashboard=false", store),
            (f"--address={HEAD}:{PORT}", f"--node-ip-address={OTHER}"),
        )
        with (tmp_path / "ray.log").open("wb") as log:
            for name, kind in zip(names, kinds, strict=True):
                started.append(
                    subprocess.Popen(on(name, *ray, *kind, *common), stdout=log, stderr=log, start_new_session=True)
                )
                if len(started) == 1:
                    wait_for_head(names[1], started[0], tmp_path / "ray.log")
        yield names[0], names[1]
    finally:
        for process in reversed(started):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        for process in started:
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
        for name in names:
            # Whatever is left there: nothing of ours outlives the test.
            left = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True, check=False)
            for pid in left.stdout.split():
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
        for process in started:
            process.wait(20)
        shutil.rmtree("/tmp/" + ends[0], ignore_errors=True)


def wait_for_head(machine: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the other machine reaches the head."""
    knock = f"import socket; socket.create_connection(({HEAD!r}, {PORT}), 2)"
    end = time.monotonic() + 120
    while subprocess.run(on(machine, sys.executable, "-c", knock), capture_output=True, check=False).returncode:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.3)


def outputs(out: Path) -> dict[str, bytes]:
    paths = [path for path in out.rglob("*") if path.is_file() and FOLDER not in path.parts]
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in sorted(paths)}


def test_both_machines_work_and_the_result_is_that_of_one(machines: tuple[str, str], tmp_path: Path) -> None:
    for number in range(COUNT):
        photograph(tmp_path / "in" / f"p{number:02d}.png", number)
    batch = (sys.executable, "-m", "gossamer", "batch", str(tmp_path / "in"), *KEYED)
    subprocess.run([*batch, "--out", str(tmp_path / "local"), "--quiet"], cwd=ROOT, check=True, timeout=120)
    cluster = ("--engine", "ray", "--address", f"{HEAD}:{PORT}", "--worker-cpus", "1", "--json")
    process = subprocess.Popen(
        on(machines[0], *batch, "--out", str(tmp_path / "out"), *cluster),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    told, said = process.communicate(timeout=300)
    assert process.returncode == 0, said + (tmp_path / "ray.log").read_text()[-3000:]
    assert json.loads(told)["done"] == COUNT
    assert "2 machines" in said
    assert outputs(tmp_path / "out") == outputs(tmp_path / "local")
    lines = [json.loads(line) for line in journal_path(tmp_path / "out").read_text().splitlines()]
    assert len([line for line in lines if "target" in line]) == COUNT
    assert not part_paths(tmp_path / "out")
