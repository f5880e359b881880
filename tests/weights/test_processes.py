"""Several processes, killed processes, and a disk that fills up while writing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gossamer.weights import store
from tests.weights.cards import content, url_card
from tests.weights.server import Site, wait_until

SIZE = 4_000_000
SCRIPT = Path(__file__).parent / "fetch_process.py"


def start(site: Site, *more: object) -> subprocess.Popen[str]:
    command = [sys.executable, SCRIPT, f"{site.url}/tiny.onnx", SIZE, *more]
    return subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True)


@pytest.mark.long
def test_of_two_processes_one_fetches_and_both_have_it(site: Site, home: Path) -> None:
    site.files["/tiny.onnx"] = content(SIZE)
    site.pause = 0.1
    first = start(site)
    wait_until(lambda: site.sent > 0)
    second = start(site)
    said = sorted(process.communicate(timeout=60)[0].split() for process in (first, second))
    file = str(home / "models" / "tiny.onnx")
    assert said == [[file], [file, "waited"]]
    assert len(site.requests) == 1
    assert site.sent == SIZE


def test_a_killed_download_is_taken_up_again(site: Site, home: Path) -> None:
    site.files["/tiny.onnx"] = content(SIZE)
    site.pause = 0.05
    part = home / "models" / "tiny.onnx.part"
    process = start(site)
    wait_until(lambda: part.exists() and part.stat().st_size > 500_000)
    process.kill()
    process.communicate(timeout=20)
    assert [path.name for path in part.parent.iterdir() if not path.name.startswith(".")] == [part.name]
    have = part.stat().st_size
    site.pause = 0
    weights = store.fetch(url_card(content(SIZE), f"{site.url}/tiny.onnx"))
    assert weights.path.read_bytes() == content(SIZE)
    assert site.requests[-1][1] == f"bytes={have}-"
    assert not part.exists()


@pytest.mark.long
def test_a_write_that_fails_midway_is_an_output_error_and_leaves_nothing(site: Site, home: Path) -> None:
    site.files["/tiny.onnx"] = content(SIZE)
    process = start(site, 1_000_000)
    said = process.communicate(timeout=60)[0]
    assert said.startswith("OutputError")
    assert "File too large" in said
    assert "GOSSAMER_HOME" in said
    assert [path.name for path in (home / "models").iterdir() if not path.name.startswith(".")] == []
