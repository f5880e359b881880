"""A port with a secret in place of a socket: who does not know the secret learns nothing and is told nothing."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path

import pytest

from gossamer.errors import WorkerError
from gossamer.worker.meeting import MARK, Listener
from gossamer.worker.server import private_folder
from gossamer_gimp import system
from gossamer_gimp.client import Client, WorkerFailure
from tests.worker.conftest import Start, settings


def record(path: Path) -> dict[str, object]:
    mark, _, rest = path.read_text().partition("\n")
    assert mark == MARK
    found: dict[str, object] = json.loads(rest)
    return found


def change(path: Path, **values: object) -> None:
    path.write_text(f"{MARK}\n{json.dumps({**record(path), **values})}\n")


def test_a_system_without_local_sockets_meets_at_a_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "AF_UNIX")
    monkeypatch.delenv("GOSSAMER_SOCKET", raising=False)
    path = private_folder(tmp_path / "private") / "w.sock"
    with Listener(path) as listener:
        assert path.stat().st_mode & 0o777 == 0o600
        listener.socket.setblocking(True)
        admitted: list[bool] = []

        def accept() -> None:
            connection, _ = listener.socket.accept()
            with connection:
                admitted.append(listener.admits(connection, 10))

        thread = threading.Thread(target=accept)
        thread.start()
        line = system.connect(str(path), 10)
        thread.join()
        assert line is not None
        line.close()
        assert admitted == [True]
        with pytest.raises(WorkerError, match="no Unix sockets"):
            Listener(path.with_name("other"), "unix")
    assert not path.exists()
    assert system.connect(str(path), 1) is None


def test_who_does_not_know_the_secret_is_turned_away(start: Start, way: str) -> None:
    if way == "unix":
        pytest.skip("a socket in a private folder needs no secret")
    worker = start().wait_until_it_serves()
    with socket.create_connection(("127.0.0.1", int(str(record(worker.path)["port"])))) as line:
        line.settimeout(30)
        assert len(line.recv(32)) == 32
        line.sendall(bytes(64))
        answer = b""
        while part := line.recv(4096):
            answer += part
    assert b"hello" not in answer
    assert str(record(worker.path)["secret"]).encode() not in answer
    change(worker.path, secret="00" * 32)
    assert system.connect(str(worker.path), 10) is None


def test_who_sits_at_the_port_without_the_secret_gets_no_picture(tmp_path: Path) -> None:
    path = private_folder(tmp_path / "private") / "w.sock"
    listener = Listener(path, "tcp")
    listener.socket.close()  # it died, and left its file behind
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as impostor:
        change(path, port=impostor.getsockname()[1])

        def answer() -> None:
            line, _ = impostor.accept()
            with line:
                line.sendall(bytes(32))
                heard.append(line.recv(64))
                line.sendall(bytes(32))
                while part := line.recv(4096):
                    heard.append(part)

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(WorkerFailure, match="is gone: /nowhere/python"):  # it would start a worker of its own
            Client(settings(python="/nowhere/python"), str(path))
        thread.join()
    assert [len(part) for part in heard] == [64]


@pytest.mark.parametrize(
    "text", ["", "gossamer worker", "gossamer worker\n{", 'gossamer worker\n{"port": 1}', "x" * 9999]
)
def test_a_damaged_file_is_no_worker(tmp_path: Path, text: str) -> None:
    path = private_folder(tmp_path / "private") / "w.sock"
    path.write_text(text)
    with pytest.raises(WorkerFailure, match=r"is gone: /nowhere/python|cannot be reached"):
        Client(settings(python="/nowhere/python"), str(path))
