"""The worker process, as the plug-in's client and as rude strangers meet it."""

from __future__ import annotations

import functools
import http.server
import json
import socket
import struct
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gossamer
from gossamer.settings.parameters import recipe_from_flat
from gossamer.worker import conversation
from gossamer.worker.protocol import MAX_HEADER, PROTOCOL
from gossamer.worker.server import default_socket, serve
from gossamer_gimp import system
from gossamer_gimp.client import PROTOCOL as PLUG_IN_PROTOCOL
from gossamer_gimp.client import Client, WorkerFailure, socket_path
from tests.cached_weights import weights_home
from tests.worker.conftest import Start, Worker, ask_slowly, picture, settings


def test_both_ends_speak_the_same_protocol_and_meet_at_the_same_place(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert PLUG_IN_PROTOCOL == PROTOCOL
    for runtime in (str(tmp_path), str(tmp_path / "gone"), "", "relative", "/proc/1"):
        monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
        assert socket_path() == str(default_socket())
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert default_socket() == tmp_path / "gossamer" / "worker.sock"


# What it answers


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> gossamer.Pipeline:
    monkeypatch.setenv("GOSSAMER_HOME", str(weights_home()))
    return gossamer.Pipeline(model="u2netp")


@pytest.mark.parametrize(("dtype", "white"), [("uint8", 255), ("uint16", 65535), ("float32", 1.0)])
def test_a_picture_comes_back_as_the_library_cuts_it_out(
    shared: Worker, library: gossamer.Pipeline, photograph: np.ndarray, dtype: str, white: float
) -> None:
    array = (photograph / 255 * white).astype(dtype) if dtype != "uint8" else photograph
    heard: list[tuple[float, str]] = []
    with shared.client() as client:
        result = client.remove(
            picture(array),
            {"foreground_radius": 40},
            model="u2netp",
            foreground=True,
            progress=lambda *news: heard.append(news),
        )
    expected = library.run(array, recipe=recipe_from_flat({"foreground_radius": 40}))
    alpha = np.frombuffer(result.alpha, dtype).reshape(256, 256)
    foreground = np.frombuffer(result.foreground, dtype).reshape(256, 256, 3)
    step = 0.5 / white + 1e-6
    assert np.abs(alpha / white - expected.alpha).max() <= step
    assert np.abs(foreground / white - expected.foreground).max() <= step
    assert 0.1 < expected.report.coverage < 0.9
    assert result.report["coverage"] == pytest.approx(expected.report.coverage, abs=1e-5)
    assert result.report["model"] == "u2netp"
    assert heard
    assert [fraction for fraction, _ in heard] == sorted(fraction for fraction, _ in heard)


def test_without_a_wish_for_colours_none_are_sent(shared: Worker, photograph: np.ndarray) -> None:
    with shared.client() as client:
        result = client.remove(picture(photograph), {}, model="u2netp")
    assert result.foreground is None
    assert len(result.alpha) == 256 * 256


def test_existing_alpha_multiplies_or_is_kept_bit_for_bit(shared: Worker, photograph: np.ndarray) -> None:
    own = np.tile(np.arange(256, dtype=np.uint8), (256, 1))
    with shared.client() as client:
        matte = np.frombuffer(client.remove(picture(photograph), {}, model="u2netp").alpha, np.uint8)
        rgba = picture(np.dstack([photograph, own]))
        multiplied = client.remove(rgba, {}, model="u2netp")
        kept = client.remove(rgba, {}, model="u2netp", foreground=True, existing_alpha="keep")
    product = matte.astype(float) * own.ravel() / 255
    assert np.abs(np.frombuffer(multiplied.alpha, np.uint8) - product).max() <= 1
    assert np.array_equal(np.frombuffer(kept.alpha, np.uint8), matte)
    assert np.array_equal(np.frombuffer(kept.foreground, np.uint8).reshape(-1, 4)[:, 3], own.ravel())


def test_highlights_above_white_survive(shared: Worker, photograph: np.ndarray) -> None:
    bright = (photograph / 255).astype(np.float32)
    bright[100:104, 100:104] = (3.0, 1.5, -0.25)
    with shared.client() as client:
        plain = client.remove(picture(bright.clip(0, 1)), {"foreground": "none"}, model="u2netp", foreground=True)
        result = client.remove(picture(bright), {"foreground": "none"}, model="u2netp", foreground=True)
    assert result.alpha == plain.alpha
    assert np.array_equal(np.frombuffer(result.foreground, np.float32).reshape(bright.shape), bright)


def test_weights_that_are_fetched_for_a_picture_are_told_of_once(
    start: Start, tmp_path: Path, photograph: np.ndarray
) -> None:
    serve_files = functools.partial(http.server.SimpleHTTPRequestHandler, directory=weights_home() / "models")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve_files) as mirror:
        thread = threading.Thread(target=mirror.serve_forever)
        thread.start()
        address = f"http://127.0.0.1:{mirror.server_port}"
        empty = str(tmp_path / "home")
        nowhere = str(tmp_path / "nowhere")
        worker = start(
            GOSSAMER_HOME=empty, GOSSAMER_MIRROR=address, HF_HUB_CACHE=nowhere, U2NET_HOME=nowhere, NO_PROXY="*"
        ).wait_until_it_serves()
        heard: list[str] = []
        with worker.client() as client:
            assert not any(model["installed"] for model in client.models())
            first, second = (
                client.remove(picture(photograph), {}, model="u2netp", progress=lambda _, text: heard.append(text))
                for _ in range(2)
            )
        mirror.shutdown()
        thread.join()
    card = gossamer.load_catalogue()["u2netp"]
    told = {"title": card.title, "licence": card.licence, "bytes": card.weights[0].bytes}
    assert first.report["fetched"] == told
    assert second.report["fetched"] is None
    assert any(text.startswith("Fetching") for text in heard)


def test_models_are_listed(shared: Worker) -> None:
    with shared.client() as client:
        models = {model["id"]: model for model in client.models()}
    assert set(models) == set(gossamer.load_catalogue())
    assert models["u2netp"]["installed"] is True
    assert models["u2netp"]["licence"]


@pytest.mark.parametrize(
    ("options", "model", "words"),
    [
        ({"matting_band": 0}, "u2netp", "matting.band cannot be 0"),
        ({"no_such_setting": 1}, "u2netp", "no setting no_such_setting"),
        ({}, "no-such-model", "no model 'no-such-model'"),
    ],
)
def test_a_wrong_wish_gets_an_answer_and_the_next_is_served(
    shared: Worker, photograph: np.ndarray, options: dict[str, Any], model: str, words: str
) -> None:
    with shared.client() as client:
        with pytest.raises(WorkerFailure, match=words):
            client.remove(picture(photograph), options, model=model)
        assert client.remove(picture(photograph), {}, model="u2netp").report["coverage"] > 0.1


def test_numbers_that_are_none_are_refused(shared: Worker) -> None:
    array = np.full((8, 8, 3), np.nan, np.float32)
    with shared.client() as client, pytest.raises(WorkerFailure, match="not finite"):
        client.remove(picture(array), {}, model="u2netp")


# Bad frames


def remove(**changed: Any) -> dict[str, Any]:
    return {"request": "remove", "width": 4, "height": 4, "channels": 3, "dtype": "u8", "payload": 48, **changed}


@pytest.mark.parametrize(
    "frame",
    [
        b"\xff\xff\xff\xff" + b"x" * 100,
        (MAX_HEADER + 1).to_bytes(4, "big"),
        b"\0\0\0\0",
        b"\0\0\0\4{{{{",
        b"\0\0\0\4\xff\xfe\xfd\xfc",
        b"\0\0\0\2[]",
        (100_000).to_bytes(4, "big") + b"[" * 100_000,
        {"request": "ping", "payload": -1},
        {"request": "ping", "payload": "many"},
        {"request": "ping", "payload": 1 << 60},
        {"request": "format the disk"},
        {},
        remove(width=5),
        remove(width=-4, height=-4),
        remove(width=True),
        remove(width=1 << 20, height=1 << 20, payload=3 << 40),
        remove(channels=1, payload=16),
        remove(dtype="object"),
        remove(options=[1]),
        remove(model=7),
        remove(existing_alpha="eat"),
    ],
    ids=lambda frame: str(frame)[:40],
)
def test_a_bad_frame_ends_the_conversation_and_nothing_else(shared: Worker, frame: bytes | dict[str, Any]) -> None:
    line = shared.line()
    assert line.greet()["type"] == "hello"
    if isinstance(frame, bytes):
        line.socket.sendall(frame)
    else:
        line.say(frame)
    answer = line.hear()
    assert answer["type"] == "error"
    assert answer["fatal"] is True
    assert answer["message"]
    assert line.is_closed()
    shared.hang_up()
    with shared.client() as client:
        assert client.ping()["type"] == "pong"


@pytest.mark.parametrize("greeting", [b"GET / HTTP/1.1\r\n\r\n", b"", b"\0\0"], ids=["http", "nothing", "half"])
def test_a_stranger_who_does_not_greet_harms_nobody(shared: Worker, greeting: bytes) -> None:
    line = shared.line()
    line.socket.sendall(greeting)
    line.socket.shutdown(socket.SHUT_WR)
    with shared.client() as client:
        assert client.ping()["type"] == "pong"
    line.close()


def test_a_picture_that_breaks_off_harms_nobody(shared: Worker) -> None:
    line = shared.line()
    line.greet()
    line.say(remove(), b"x" * 10)
    line.close()
    with shared.client() as client:
        assert client.ping()["type"] == "pong"


def test_idle_lines_lock_nobody_out(start: Start) -> None:
    worker = start().wait_until_it_serves()
    lines = [worker.line() for _ in range(16)]
    for line in lines[4:]:
        assert line.greet()["type"] == "hello"
    lines[0].socket.sendall(b"\0")  # a header that never comes
    for _ in range(20):
        with worker.client() as client:
            assert client.ping()["type"] == "pong"
    assert lines[0].is_closed()  # those that have been silent the longest made way
    assert "made way" in worker.log.read_text()
    with worker.client() as client:  # and what one asks now and then for stays
        for _ in range(20):
            assert worker.line().greet()["type"] == "hello"
            assert client.ping()["type"] == "pong"


def test_a_crowd_at_work_is_told_to_come_again(start: Start, slow_picture: np.ndarray, photograph: np.ndarray) -> None:
    worker = start().wait_until_it_serves()
    lines = [ask_slowly(worker, slow_picture)]
    for _ in range(15):
        lines.append(worker.line())
        lines[-1].greet()
        lines[-1].say({"request": "remove", "width": 256, "height": 256, "model": "u2netp"}, photograph.tobytes())
        assert lines[-1].hear()["message"] == "Waiting for another picture"
    with pytest.raises(WorkerFailure, match=r"Too many programs.*Try again"):
        worker.client()
    worker.hang_up()
    until = time.monotonic() + 30
    while True:
        try:
            with worker.client() as client:
                assert client.ping()["type"] == "pong"
            return
        except WorkerFailure:
            assert time.monotonic() < until


@pytest.mark.parametrize("stage", ["silent", "greeting", "idle", "header", "payload"])
def test_who_takes_too_long_is_parted_with(
    tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    for limit in ("_PATIENCE", "_IDLE"):
        monkeypatch.setattr(conversation, limit, 1.0)
    path = tmp_path / "private" / "w.sock"
    thread = threading.Thread(target=serve, args=(path,))
    thread.start()
    until = time.monotonic() + 30
    while (line := system.connect(str(path), 10) if path.exists() else None) is None:
        assert time.monotonic() < until
    greeting = b'\0\0\0\x20{"gossamer": "0", "protocol": 1}'
    assert len(greeting) == 36
    request = json.dumps(remove(width=2000, height=2000, payload=12_000_000)).encode()
    if stage in ("idle", "header", "payload"):
        line.sendall(greeting)
        (length,) = struct.unpack(">I", line.recv(4))
        assert b"hello" in line.recv(length)
    before, slowly = {
        "silent": (b"", b""),
        "greeting": (b"", greeting),
        "idle": (b"", b""),
        "header": (b"", len(request).to_bytes(4, "big") + request),
        "payload": (len(request).to_bytes(4, "big") + request, bytes(100)),
    }[stage]
    line.sendall(before)
    line.settimeout(0.2)
    closed = False
    with line:
        for byte in slowly + bytes(100):  # a byte now and then: none of them begins a new patience
            try:
                if slowly:
                    line.sendall(bytes([byte]))
                closed = line.recv(1 << 12) == b""
            except TimeoutError:
                continue
            except OSError:
                closed = True
            if closed:
                break
            assert time.monotonic() < until
    assert closed
    with Client(settings(), str(path)) as client:
        client.shutdown()
    thread.join(30)
    assert not thread.is_alive()


# Versions


def test_another_protocol_may_only_ask_for_the_end(start: Start) -> None:
    worker = start().wait_until_it_serves()
    line = worker.line()
    answer = line.greet(protocol=99)
    assert answer["type"] == "error"
    assert answer["protocol"] == PROTOCOL
    assert answer["gossamer"] == gossamer.__version__
    assert "99" in answer["message"]
    assert "gossamer gimp install" in answer["remedy"]
    assert line.say({"request": "ping"}).hear()["fatal"] is True
    line = worker.line()
    line.greet(protocol=99)
    assert line.say({"request": "shutdown"}).hear()["type"] == "bye"
    assert line.is_closed()
    assert worker.process.wait(10) == 0


def test_a_client_of_a_newer_gossamer_replaces_the_worker(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOSSAMER_HOME", str(weights_home()))
    old = start().wait_until_it_serves()
    told: list[str] = []
    client = Client(settings(gossamer="99.0"), str(old.path), status=told.append)
    with client:
        assert old.process.wait(10) == 0
        pid = client.ping()["pid"]
        assert pid != old.process.pid
        assert told == ["Ending an older worker", "Starting the worker"]
        client.shutdown()
    assert client.started is not None
    assert client.started.wait(10) == 0


# Several at once, and cancelling


def busy(worker: Worker) -> bool:
    with worker.client() as client:
        return bool(client.ping()["busy"])


def wait_until_busy(worker: Worker, wanted: bool, seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while busy(worker) is not wanted:
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_client_that_goes_away_cancels_its_picture(
    start: Start, slow_picture: np.ndarray, photograph: np.ndarray
) -> None:
    worker = start().wait_until_it_serves()
    line = ask_slowly(worker, slow_picture)
    assert busy(worker)  # and it is answered at once, while the work goes on
    line.close()
    left = time.monotonic()
    wait_until_busy(worker, False)
    assert time.monotonic() - left < 1.5
    assert "given up" in worker.log.read_text()
    assert "1024 x 1024" not in worker.log.read_text()
    with worker.client() as client:
        assert client.remove(picture(photograph), {}, model="u2netp").report["coverage"] > 0.1


def test_a_second_picture_waits_its_turn_and_can_be_given_up(
    start: Start, slow_picture: np.ndarray, photograph: np.ndarray
) -> None:
    worker = start().wait_until_it_serves()
    first = ask_slowly(worker, slow_picture)
    second = worker.line()
    second.greet()
    second.say({"request": "remove", "width": 256, "height": 256, "model": "u2netp"}, photograph.tobytes())
    assert second.hear()["message"] == "Waiting for another picture"
    first.close()
    answer = second.hear()
    while answer["type"] == "progress":
        answer = second.hear()
    assert answer["type"] == "result"
