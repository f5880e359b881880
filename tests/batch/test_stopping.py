"""Ctrl-Z and fg: a batch that is stopped does nothing, and goes on as if nothing had happened."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from gossamer.batch.journal import journal_path
from tests.batch.conftest import KEYED, photograph

COUNT = 30
STOPPED = 2.5  # seconds: the engine takes less for a busy machine


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def wait_until(condition: object) -> None:
    end = time.monotonic() + 60
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="what a process is at is read from /proc")
def test_ctrl_z_stops_it_and_fg_lets_it_go_on(tmp_path: Path) -> None:
    for number in range(COUNT):
        photograph(tmp_path / "in" / f"p{number:02d}.png", number)
    out = tmp_path / "out"
    command = [sys.executable, "-m", "gossamer", "batch", str(tmp_path / "in"), "--out", str(out), "--json", *KEYED]
    # In a group of its own, as a shell starts it: the signal of Ctrl-Z is for such only.
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, process_group=0, text=True)
    try:
        wait_until(lambda: len(list(out.glob("*.png"))) >= 3)
        process.send_signal(signal.SIGTSTP)
        wait_until(lambda: state_of(process.pid) == "T")
        before = journal_path(out).read_bytes(), len(list(out.iterdir()))
        time.sleep(STOPPED)
        assert (journal_path(out).read_bytes(), len(list(out.iterdir()))) == before
        assert before[1] < COUNT
        process.send_signal(signal.SIGCONT)
        told, said = process.communicate(timeout=120)
    finally:
        process.kill()
    summary = json.loads(told)
    assert (process.returncode, summary["done"], summary["failed"]) == (0, COUNT, 0), said
    assert summary["seconds"] < time.monotonic() - start - STOPPED  # what it was stopped for does not count
    lines = [json.loads(line) for line in journal_path(out).read_text().splitlines()]
    done = Counter(line["target"] for line in lines if line.get("state") == "done" and line["finished"])
    assert len(done) == COUNT
    assert not list(out.rglob(".gossamer-*"))
