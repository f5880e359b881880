"""`gossamer serve` as a process: clients that leave, a graceful end, one that is killed, and the commands' refusals."""

from __future__ import annotations

import functools
import itertools
import json
import re
import shlex
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import skimage.data

from gossamer.cli import main
from tests.service.conftest import KEYED, Server, png


def slow_picture() -> bytes:
    return png(np.ascontiguousarray(skimage.data.astronaut().repeat(3, 0).repeat(3, 1)))


def number(server: Server, name: str) -> float:
    found = re.search(rf"^{re.escape(name)} (\S+)$", httpx.get(f"{server.url}/metrics", timeout=60).text, re.M)
    return float(found[1]) if found else 0.0


def until(true: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def closed_form() -> dict[str, str]:
    return {"matting": "closed_form", "matting_band": "200", "model": "u2netp"}


def test_a_client_that_leaves_while_it_sends_is_no_fault_of_the_service(serve: Callable[..., Server]) -> None:
    """It was answered 500, with a traceback in the log for each."""
    server = serve()
    host, port = server.url.removeprefix("http://").split(":")
    kinds = ("multipart/form-data; boundary=x", "application/json", "image/png")
    addresses = ("/v1/cutouts", "/v1/check", "/v1.0/removebg", "/api/remove")
    for address, kind in itertools.product(addresses, kinds):
        before = number(server, "gossamer_clients_left_total")
        line = socket.create_connection((host, int(port)))
        head = f"POST {address} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: 9000\r\nContent-Type: {kind}\r\n\r\n"
        line.sendall(head.encode() + b"--x\r\n")
        line.close()
        until(functools.partial(_has_left, server, before + 1))
    assert server.end() == 0
    log = server.log.read_text()
    assert "Traceback" not in log
    assert '"status": 500' not in log


def _has_left(server: Server, count: float) -> bool:
    return number(server, "gossamer_clients_left_total") == count


@pytest.mark.long
def test_work_stops_when_the_client_leaves(serve: Callable[..., Server], screen: np.ndarray) -> None:
    server = serve()
    httpx.post(f"{server.url}/v1/cutouts", files={"image": png(screen)}, timeout=120).raise_for_status()
    data = slow_picture()
    boundary = "b0undary"
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in closed_form().items()
    ]
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'.encode()
    body = b"".join(parts) + head + data + f"\r\n--{boundary}--\r\n".encode()
    host, port = server.url.removeprefix("http://").split(":")
    line = socket.create_connection((host, int(port)))
    line.sendall(
        f"POST /v1/cutouts HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: {len(body)}\r\n"
        f"Content-Type: multipart/form-data; boundary={boundary}\r\n\r\n".encode()
        + body
    )
    time.sleep(1.5)  # it is in the midst of its work now
    assert number(server, "gossamer_clients_left_total") == 0
    line.close()
    until(lambda: number(server, "gossamer_clients_left_total") == 1)
    # The engine is free at once: a small request does not wait for what was left.
    answered = httpx.post(f"{server.url}/v1/cutouts", files={"image": png(screen)}, data=KEYED, timeout=60)
    assert answered.status_code == 200
    assert server.end() == 0


@pytest.mark.long
def test_the_end_finishes_what_was_begun_and_logs_no_picture(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve()
    answers: list[Any] = []

    def ask() -> None:
        files = {"image": png(np.ascontiguousarray(skimage.data.astronaut()))}
        answers.append(httpx.post(f"{server.url}/v1/cutouts", files=files, timeout=120))

    asking = [threading.Thread(target=ask) for _ in range(4)]  # two are worked on at once
    for each in asking:
        each.start()
    until(lambda: number(server, "gossamer_queue_waiting") >= 1)
    server.process.send_signal(signal.SIGTERM)
    for each in asking:
        each.join(120)
    assert [answered.status_code for answered in answers] == [200] * 4
    assert server.process.wait(60) == 0
    log = server.log.read_text()
    assert "Traceback" not in log
    assert "Ended." in log
    lines = [json.loads(found) for found in re.findall(r"\{.*\}", log)]
    cut = [line for line in lines if line["path"] == "/v1/cutouts"]
    assert len(cut) == 4
    assert set(cut[0]) == {"request", "method", "path", "status", "ms", "owner", "bytes"}


@pytest.mark.long
def test_killed_in_the_middle_the_next_start_is_clean(serve: Callable[..., Server], screen: np.ndarray) -> None:
    server = serve()
    failed: list[Exception] = []

    def ask() -> None:
        try:
            httpx.post(f"{server.url}/v1/cutouts", files={"image": slow_picture()}, data=closed_form(), timeout=120)
        except httpx.TransportError as error:
            failed.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    time.sleep(1.0)
    server.process.kill()
    asking.join(60)
    assert len(failed) == 1
    port = server.url.rsplit(":", 1)[1]
    again = serve("--port", port)
    assert again.url == server.url
    answered = httpx.post(f"{again.url}/v1/cutouts", files={"image": png(screen)}, data=KEYED, timeout=60)
    assert answered.status_code == 200


def test_keys_are_made_shown_once_and_kept_as_hashes(tmp_path: Path, capsys: Any) -> None:
    file = tmp_path / "keys"
    assert main(["keys", "new", "shop", "--keys", str(file)]) == 0
    key = capsys.readouterr().out.strip()
    assert key not in file.read_text()
    assert file.stat().st_mode & 0o077 == 0
    assert main(["keys", "new", "shop", "--keys", str(file)]) == 2
    assert "already" in capsys.readouterr().err
    assert main(["keys", "new", "other", "--keys", str(file)]) == 0
    assert [line.partition(":")[0] for line in file.read_text().splitlines()] == ["shop", "other"]
    assert main(["keys", "new", "a:b"]) == 2


def test_what_cannot_be_served_is_told_in_a_sentence(tmp_path: Path, capsys: Any) -> None:
    for arguments, words in (
        (["--host", "0.0.0.0"], "no keys"),
        (["--keys", str(tmp_path / "none")], "keys"),
        (["--models", "no-such-model"], "no-such-model"),
        (["--port", "99999"], "port"),
    ):
        assert main(["serve", *arguments]) != 0
        said = capsys.readouterr().err
        assert words in said
        assert "Traceback" not in said
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert main(["serve", "--port", str(taken.getsockname()[1])]) == 2
        assert "cannot be listened at" in capsys.readouterr().err


@pytest.mark.long
def test_a_small_load_loses_no_answer(serve: Callable[..., Server]) -> None:
    from tests.benchmarks import service_load

    server = serve("--queue", "4")
    tally = service_load.load(server, small=16, large=0, clients=6)  # more than may wait: some are told to come again
    assert tally.lost == []
    assert sum(tally.counts[name] for name in ("small", "rubbish", "left", "stayed after all")) == 16
    assert server.end() == 0
    assert "Traceback" not in server.log.read_text()


@pytest.mark.long
@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
def test_the_lines_of_the_documentation_work(serve: Callable[..., Server], tmp_path: Path) -> None:
    root, own = Path(__file__).parents[2], "http://127.0.0.1:7860"
    text = (root / "docs/service.md").read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("curl ") and own in line]
    assert len(lines) >= 4
    shutil.copy(root / "docs/before-after.jpg", tmp_path / "photo.jpg")
    url = serve().url
    for line in lines:
        asked = shlex.split(line.replace(own, url))
        done = subprocess.run([*asked, "-sS", "--fail-with-body"], cwd=tmp_path, capture_output=True, check=False)
        assert done.returncode == 0, (line, done.stdout[:300], done.stderr[:300])
