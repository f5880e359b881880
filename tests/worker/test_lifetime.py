"""When a worker starts, ends and makes way, and who may come near it."""

from __future__ import annotations

import os
import signal
import stat
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from gossamer.errors import WorkerError
from gossamer.platform import local_socket
from gossamer.worker.meeting import Listener
from gossamer.worker.server import private_folder, serve
from gossamer_gimp.client import Client, WorkerFailure
from tests.worker.conftest import SLOW, Start, Worker, ask_slowly, settings


@pytest.mark.long
def test_it_ends_when_nobody_asks(start: Start) -> None:
    worker = start("--idle", "1").wait_until_it_serves()
    line = worker.line()
    line.greet()  # a connection alone does not keep it
    began = time.monotonic()
    assert worker.process.wait(10) == 0
    assert time.monotonic() - began < 5
    assert not worker.path.exists()
    assert line.is_closed()


@pytest.mark.long
def test_a_stop_in_the_middle_of_the_work_is_clean(start: Start, slow_picture: np.ndarray) -> None:
    worker = start().wait_until_it_serves()
    line = ask_slowly(worker, slow_picture)
    worker.process.send_signal(signal.SIGTERM)
    answer = line.hear()
    while answer["type"] == "progress":
        answer = line.hear()
    assert answer["kind"] == "Cancelled"
    assert worker.process.wait(10) == 0
    assert not worker.path.exists()


@pytest.mark.long
def test_a_shutdown_lets_the_work_finish(start: Start, photograph: np.ndarray) -> None:
    worker = start().wait_until_it_serves()
    line = worker.line()
    line.greet()
    line.ask(256, 256, photograph.tobytes(), SLOW)
    assert line.hear()["type"] == "progress"
    ender = worker.client()
    thread = threading.Thread(target=ender.shutdown)
    thread.start()
    answer = line.hear()
    while answer["type"] == "progress":
        answer = line.hear()
    assert answer["type"] == "result"
    thread.join(10)
    assert not thread.is_alive()
    assert worker.process.wait(10) == 0


def test_a_stale_socket_is_replaced(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "private" / "w.sock"
    private_folder(path.parent)
    with local_socket() as left_behind:
        left_behind.bind(str(path))
    worker = start(path=path).wait_until_it_serves()
    with worker.client() as client:
        assert client.ping()["pid"] == worker.process.pid


def test_a_port_left_behind_is_replaced(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "private" / "w.sock"
    private_folder(path.parent)
    Listener(path, "tcp").socket.close()
    assert path.exists()
    worker = start(path=path).wait_until_it_serves()
    with worker.client() as client:
        assert client.ping()["pid"] == worker.process.pid


def test_of_two_starters_one_serves(start: Start) -> None:
    workers = [start(), start()]
    until = time.monotonic() + 30
    while all(worker.process.poll() is None for worker in workers):
        assert time.monotonic() < until
        time.sleep(0.05)
    loser, winner = sorted(workers, key=lambda worker: worker.process.poll() is None)
    assert loser.process.returncode == 0
    assert "Another worker serves" in loser.log.read_text()
    with winner.wait_until_it_serves().client() as client:
        assert client.ping()["pid"] == winner.process.pid


def test_socket_and_folder_are_private(shared: Worker) -> None:
    assert stat.S_IMODE(shared.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(shared.path.parent.stat().st_mode) == 0o700


def test_a_folder_that_others_may_enter_is_refused_by_both_ends(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o755)
    with pytest.raises(WorkerError, match="Others may enter"):
        serve(folder / "w.sock")
    with pytest.raises(WorkerFailure, match="not private"):
        Client(settings(), str(folder / "w.sock"))
    assert list(folder.iterdir()) == []


def test_a_link_instead_of_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(WorkerError, match="not a folder of yours"):
        serve(tmp_path / "link" / "w.sock")


def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    folder = Path("/usr")  # root's
    if os.geteuid() == 0:
        folder = tmp_path / "theirs"
        folder.mkdir(mode=0o700)
        os.chown(folder, 12345, 12345)
    with pytest.raises(WorkerError, match="not a folder of yours"):
        serve(folder / "w.sock")
    with pytest.raises(WorkerFailure, match="not private"):
        Client(settings(), str(folder / "w.sock"))


def test_what_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = private_folder(tmp_path / "private") / "w.sock"
    path.write_text("a diary")
    with pytest.raises(WorkerError, match="is no socket"):
        serve(path)
    assert path.read_text() == "a diary"


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
def test_an_impossible_idle_time_is_refused(tmp_path: Path, seconds: float) -> None:
    with pytest.raises(WorkerError, match="cannot wait"):
        serve(tmp_path / "private" / "w.sock", idle_seconds=seconds)


def test_a_path_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match="too long"):
        serve(tmp_path / ("x" * 120) / "w.sock", way="unix")


def test_an_unknown_way_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match="no way 'pigeon'"):
        serve(tmp_path / "private" / "w.sock", way="pigeon")
