"""The worker process, as the plug-in's client and as rude strangers meet it."""

from __future__ import annotations

import functools
import http.server
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data

import gossamer
from gossamer.networks.transformers_loading import has_packages
from gossamer.settings.parameters import recipe_from_flat
from gossamer.worker import conversation
from gossamer.worker.protocol import (
    MAX_HEADER,
    PROTOCOL,
    ConnectionClosed,
    receive_exactly,
    receive_header,
    send_frame,
)
from gossamer.worker.server import default_socket, serve
from gossamer_gimp import planes, system
from gossamer_gimp.client import PROTOCOL as PLUG_IN_PROTOCOL
from gossamer_gimp.client import Client, WorkerFailure, socket_path
from tests.cached_weights import weights_home
from tests.worker.conftest import SLOW, Start, Worker, ask_slowly, cut_out, picture, settings


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
        result = cut_out(
            client,
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
        result = cut_out(client, picture(photograph), {}, model="u2netp")
    assert result.foreground is None
    assert len(result.alpha) == 256 * 256


@pytest.mark.long
def test_existing_alpha_multiplies_or_is_kept_bit_for_bit(shared: Worker, photograph: np.ndarray) -> None:
    own = np.tile(np.arange(256, dtype=np.uint8), (256, 1))
    with shared.client() as client:
        matte = np.frombuffer(cut_out(client, picture(photograph), {}, model="u2netp").alpha, np.uint8)
        rgba = picture(np.dstack([photograph, own]))
        multiplied = cut_out(client, rgba, {}, model="u2netp")
        kept = cut_out(client, rgba, {}, model="u2netp", foreground=True, existing_alpha="keep")
    product = matte.astype(float) * own.ravel() / 255
    assert np.abs(np.frombuffer(multiplied.alpha, np.uint8) - product).max() <= 1
    assert np.array_equal(np.frombuffer(kept.alpha, np.uint8), matte)
    assert np.array_equal(np.frombuffer(kept.foreground, np.uint8).reshape(-1, 4)[:, 3], own.ravel())


@pytest.mark.long
def test_highlights_above_white_survive(shared: Worker, photograph: np.ndarray) -> None:
    bright = (photograph / 255).astype(np.float32)
    bright[100:104, 100:104] = (3.0, 1.5, -0.25)
    with shared.client() as client:
        plain = cut_out(client, picture(bright.clip(0, 1)), {"foreground": "none"}, model="u2netp", foreground=True)
        result = cut_out(client, picture(bright), {"foreground": "none"}, model="u2netp", foreground=True)
    assert result.alpha == plain.alpha
    assert np.array_equal(np.frombuffer(result.foreground, np.float32).reshape(bright.shape), bright)


@pytest.mark.long
def test_weights_are_fetched_when_it_was_agreed_to_and_never_before(
    start: Start, tmp_path: Path, photograph: np.ndarray
) -> None:
    serve_files = functools.partial(http.server.SimpleHTTPRequestHandler, directory=weights_home() / "models")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve_files) as mirror:
        thread = threading.Thread(target=mirror.serve_forever)
        thread.start()
        address = f"http://127.0.0.1:{mirror.server_port}"
        empty = tmp_path / "home"
        nowhere = str(tmp_path / "nowhere")
        worker = start(
            GOSSAMER_HOME=str(empty), GOSSAMER_MIRROR=address, HF_HUB_CACHE=nowhere, U2NET_HOME=nowhere, NO_PROXY="*"
        ).wait_until_it_serves()
        heard: list[str] = []
        card = gossamer.load_catalogue()["u2netp"]
        with worker.client() as client:
            assert not any(model["installed"] for model in client.models()["models"])
            for wish in ({"model": "u2netp"}, {"model": "auto", "quality": "fast"}):
                number = client.open(picture(photograph))
                with pytest.raises(WorkerFailure, match=r"not on this machine \(5 MB, licence Apache-2\.0\)") as caught:
                    client.segment(number, **wish)
                assert caught.value.kind == "NotHere"
                assert caught.value.needs is not None
                assert caught.value.needs["id"] == "u2netp"
                assert caught.value.needs["bytes"] == card.weights[0].bytes
            assert not any(empty.rglob("*.onnx"))
            told = client.fetch("u2netp", progress=lambda _, text: heard.append(text))
            assert told["installed"] is True
            assert cut_out(client, picture(photograph)).report["coverage"] > 0.1
        mirror.shutdown()
        thread.join()
    assert any(text.startswith("Fetching") for text in heard)


def test_a_licence_is_accepted_by_a_wish_of_its_own(start: Start, tmp_path: Path) -> None:
    home, nowhere = tmp_path / "home", str(tmp_path / "nowhere")
    worker = start(GOSSAMER_HOME=str(home), HF_HUB_CACHE=nowhere, U2NET_HOME=nowhere, GOSSAMER_OFFLINE="1")
    with worker.wait_until_it_serves().client() as client:
        bound = next(model for model in client.models()["models"] if not model["commercial"])
        assert bound["accepted"] is False
        with pytest.raises(WorkerFailure):
            client.fetch(bound["id"])
        assert not (home / "licences.json").exists()
        with pytest.raises(WorkerFailure):  # offline: but the tick counts
            client.fetch(bound["id"], accept_licence=True)
        again = next(model for model in client.models()["models"] if model["id"] == bound["id"])
        assert again["accepted"] is True


def test_models_are_listed(shared: Worker) -> None:
    with shared.client() as client:
        told = client.models()
    models = {model["id"]: model for model in told["models"]}
    fetched = {card.id: card for card in gossamer.folder_cards() if card.is_pinned and not card.gated}
    there = fetched if has_packages() else {}  # they can be used nowhere else
    assert set(models) == {*gossamer.load_catalogue(), *there}
    for name, card in there.items():
        assert models[name]["bytes"] == models[name]["fewest"] == card.bytes
    assert models["u2netp"]["installed"] is True
    assert models["u2netp"]["licence"]
    assert models["u2netp"]["bytes"] == 4_574_861
    assert told["automatic"]["fast"] == "u2netp"
    assert set(told["automatic"]) == {"fast", "balanced", "best"}


# What an opened picture saves


def test_a_subject_is_found_once(shared: Worker, photograph: np.ndarray) -> None:
    heard: list[str] = []
    with shared.client() as client:
        number = client.open(picture(photograph))
        first = client.segment(number, model="u2netp", progress=lambda _, text: heard.append(text))
        assert heard
        heard.clear()
        again = client.segment(number, model="u2netp", progress=lambda _, text: heard.append(text))
        assert heard == []
        assert again == first
        plain = client.refine(number, {})
        soft = client.refine(number, {"refinement_feather": 3.0})
        assert bytes(client.refine(number, {}).alpha) == bytes(plain.alpha)
        assert bytes(soft.alpha) != bytes(plain.alpha)


def test_a_mask_of_the_client_s_own_is_refined(shared: Worker, photograph: np.ndarray) -> None:
    mask = np.zeros((256, 256), np.uint8)
    mask[60:, 60:200] = 255
    with shared.client() as client:
        number = client.open(picture(photograph))
        assert client.segment(number, source="mask", plane=mask.tobytes())["model"] == ""
        result = client.refine(number, {}, foreground=True)
    expected = gossamer.refine(photograph, mask / np.float32(255))
    alpha = np.frombuffer(result.alpha, np.uint8).reshape(256, 256)
    assert np.abs(alpha / 255 - expected.alpha).max() <= 0.51 / 255
    colours = np.frombuffer(result.foreground, np.uint8).reshape(256, 256, 3)
    assert np.abs(colours / 255 - expected.foreground).max() <= 0.51 / 255


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_a_picture_is_read_while_it_is_sent_and_colours_are_passed_on_as_they_come(
    shared: Worker, photograph: np.ndarray, dtype: str
) -> None:
    array = (photograph / 255 * (1.0 if dtype == "float32" else np.iinfo(dtype).max)).astype(dtype)
    sent, mask = picture(array), np.zeros((256, 256), np.uint8)
    mask[60:, 60:200] = 255
    came: list[str] = []

    def taking(name: str, size: int, take: Callable[[int], bytes]) -> bytes:
        came.append(name)
        parts = [take(min(70_001, size - done)) for done in range(0, size, 70_001)]
        return b"".join(parts)

    assert isinstance(sent.data, bytes)
    strips = (sent.data[start : start + 5000] for start in range(0, len(sent.data), 5000))
    with shared.client() as client:
        number = client.open(replace(sent, data=strips))
        client.segment(number, source="mask", plane=mask.tobytes())
        whole = client.refine(number, {}, foreground=True, background=True, rgba=True)
        passed = client.refine(number, {}, foreground=True, background=True, rgba=True, taking=taking)
        assert (passed.foreground, passed.background) == (bytes(whole.foreground), bytes(whole.background))
        assert passed.alpha == whole.alpha
        assert came == ["foreground", "background"]
        # Who does not take all of it would hear the rest as the next answer
        client.refine(number, {}, foreground=True, taking=lambda name, size, take: take(size // 2))
        assert client.is_closed


def test_a_part_that_cannot_be_made_ends_the_conversation(caplog: pytest.LogCaptureFixture) -> None:
    def parts() -> Iterator[bytes]:
        yield b"some"
        raise MemoryError

    near, far = socket.socketpair()
    with near, far:
        with pytest.raises(ConnectionClosed):
            send_frame(near, {"type": "result"}, parts(), 8)
        near.close()
        until = time.monotonic() + 5
        assert receive_header(far, until)[1] == 8
        assert bytes(receive_exactly(far, 4, until)) == b"some"
        with pytest.raises(ConnectionClosed):  # and no sentence about it, which would be taken for colours
            receive_exactly(far, 4, until)
    assert "An answer broke off" in caplog.text


@pytest.mark.parametrize(("dtype", "white"), [("uint8", 255), ("uint16", 65535), ("float32", 1.0)])
def test_colours_come_with_an_opaque_alpha_where_that_is_wished(
    shared: Worker, photograph: np.ndarray, dtype: str, white: float
) -> None:
    array = (photograph / 255 * white).astype(dtype)
    sent, mask = picture(array), np.zeros((256, 256), np.uint8)
    mask[60:, 60:200] = 255
    pieces = replace(sent, data=(sent.data[:1000], b"", sent.data[1000:]))  # as a client reads them, strip by strip
    with shared.client() as client:
        number = client.open(pieces)
        client.segment(number, source="mask", plane=mask.tobytes())
        three, four = (client.refine(number, {}, foreground=True, background=True, rgba=rgba) for rgba in (False, True))
    for less, more in ((three.foreground, four.foreground), (three.background, four.background)):
        colours = np.frombuffer(more, dtype).reshape(256, 256, 4)
        assert np.array_equal(colours[..., :3], np.frombuffer(less, dtype).reshape(256, 256, 3))
        assert (colours[..., 3] == white).all()
    assert bytes(three.alpha) == bytes(four.alpha)


def test_a_limit_is_nowhere_passed(shared: Worker, photograph: np.ndarray) -> None:
    limit = np.zeros((256, 256), np.uint8)
    limit[:, :128] = 255
    with shared.client() as client:
        number = client.open(picture(photograph))
        client.segment(number, model="u2netp", limit=True, plane=limit.tobytes())
        alpha = np.frombuffer(client.refine(number, {"matting": "none"}).alpha, np.uint8).reshape(256, 256)
        whole = np.frombuffer(cut_out(client, picture(photograph), {"matting": "none"}).alpha, np.uint8)
    whole = whole.reshape(256, 256)
    assert np.array_equal(alpha[:, :128], whole[:, :128])
    assert alpha[:, 128:].max() == 0
    assert whole[:, 128:].max() == 255


@pytest.mark.long
def test_a_box_says_which_subject(shared: Worker) -> None:
    scene = np.full((200, 300, 3), (40, 90, 160), np.uint8)
    scene += np.random.default_rng(0).integers(0, 12, scene.shape, dtype=np.uint8)
    scene[60:140, 40:110], scene[60:140, 190:260] = (220, 40, 30), (230, 220, 40)
    with shared.client() as client:
        number = client.open(picture(scene))
        client.segment(number, source="box", box=[180, 50, 270, 150])
        alpha = np.frombuffer(client.refine(number, {}).alpha, np.uint8).reshape(200, 300)
    assert alpha[70:130, 200:250].min() > 240
    assert alpha[:, :150].max() < 16


def test_the_subject_s_own_colours_have_little_of_the_old_background(shared: Worker) -> None:
    """Strands over a light wall, taken before a dark one: the mask alone shows the wall's light in each of them."""
    rows, columns = np.mgrid[0:240, 0:320].astype(np.float32)
    strands = np.clip(1.6 * np.sin(columns / 2.5 + 4 * np.sin(rows / 40)) - 0.6, 0, 1) * np.clip((rows - 30) / 60, 0, 1)
    alpha = np.maximum(strands, np.clip((rows - 150) / 4, 0, 1))[..., None]
    subject = np.float32([0.25, 0.13, 0.08]) * (1 + 0.1 * np.sin(columns / 30))[..., None]
    wall = np.float32([0.75, 0.85, 0.9]) + 0.05 * (rows / 240)[..., None]
    shot = np.round((subject * alpha + wall * (1 - alpha)) * 255).astype(np.uint8)
    rough = np.round(alpha[..., 0] * 255).astype(np.uint8)
    with shared.client() as client:
        number = client.open(picture(shot))
        client.segment(number, source="mask", plane=rough.tobytes())
        result = client.refine(number, {}, foreground=True)
    found = np.frombuffer(result.alpha, np.uint8).reshape(240, 320, 1) / 255
    colours = np.frombuffer(result.foreground, np.uint8).reshape(240, 320, 3) / 255
    before = np.float32([0.1, 0.1, 0.12])
    truth = subject * alpha + before * (1 - alpha)
    with_mask, with_layer = (np.abs(own * found + before * (1 - found) - truth).mean() for own in (shot / 255, colours))
    assert with_mask * 255 > 5
    assert with_layer <= 0.6 * with_mask


@pytest.mark.long
def test_a_preview_is_near_the_exact_answer(shared: Worker) -> None:
    large = skimage.data.astronaut().repeat(2, 0).repeat(2, 1)
    options = {"refinement_shift_edge": -4.0, "refinement_feather": 6.0}
    with shared.client() as client:
        number = client.open(picture(large))
        client.segment(number, model="u2netp")
        exact, near = (client.refine(number, options, foreground=True, scale=scale) for scale in (1.0, 0.5))
        part = client.refine(number, options, scale=0.5, region=[200, 100, 300, 400])
        plain = client.refine(number, {}, scale=0.5)
        moved = {**options, "refinement_smooth": 5.0}  # whose matte must be solved anew
        draft, settled = (client.refine(number, moved, scale=0.5, draft=draft) for draft in (True, False))
    shape = large.shape[:2]
    alphas = [np.frombuffer(one.alpha, np.uint8).reshape(shape).astype(int) for one in (exact, near, plain)]
    assert np.abs(alphas[0] - alphas[1]).mean() < 2
    assert np.abs(alphas[0] - alphas[1]).mean() < 0.3 * np.abs(alphas[0] - alphas[2]).mean()
    rough, better = (np.frombuffer(one.alpha, np.uint8).reshape(shape).astype(int) for one in (draft, settled))
    assert 0 < np.abs(rough - better).mean() < 4
    cut = np.frombuffer(part.alpha, np.uint8).reshape(400, 300)
    assert np.array_equal(cut, alphas[1][100:500, 200:500])
    colours = [np.frombuffer(one.foreground, np.uint8).reshape(large.shape).astype(int) for one in (exact, near)]
    seen = np.abs(colours[0] - colours[1])[alphas[0] > 128]
    assert seen.mean() < 4


def test_of_a_preview_only_what_changed_is_sent(shared: Worker) -> None:
    large = skimage.data.astronaut().repeat(2, 0).repeat(2, 1)
    plane, sizes = bytearray(), []
    with shared.client() as client:
        number = client.open(picture(large))
        client.segment(number, model="u2netp")
        for feather in (0.0, 6.0, 6.0, 2.0):
            options = {"matting": "none", "refinement_feather": feather}
            part = client.refine(number, options, scale=0.5, dtype="u8", changes=True)
            whole = client.refine(number, options, scale=0.5, dtype="u8")
            if part.boxes is None:
                plane = bytearray(part.alpha)
            else:
                planes.put_in(plane, 1024, part.boxes, part.alpha)
            assert plane == whole.alpha
            sizes.append(len(part.alpha))
    assert sizes[0] == 1024 * 1024
    assert 0 < sizes[1] < sizes[0]
    assert sizes[2] == 0


def test_a_region_is_that_part_of_the_whole(shared: Worker, photograph: np.ndarray) -> None:
    with shared.client() as client:
        number = client.open(picture(photograph))
        client.segment(number, model="u2netp")
        options = {"matting": "none", "refinement_feather": 3.0}
        whole = np.frombuffer(client.refine(number, options).alpha, np.uint8).reshape(256, 256)
        part = np.frombuffer(client.refine(number, options, region=[80, 90, 100, 70]).alpha, np.uint8)
        assert np.array_equal(part.reshape(70, 100), whole[90:160, 80:180])
        with pytest.raises(WorkerFailure, match="lies outside"):
            client.refine(number, options, region=[200, 0, 100, 70])
        assert client.ping()["type"] == "pong"


def test_what_is_in_work_can_be_cancelled_and_the_picture_stays(
    start: Start, slow_picture: np.ndarray, photograph: np.ndarray
) -> None:
    worker = start().wait_until_it_serves()
    with worker.client() as client:
        number = client.open(picture(slow_picture))
        client.segment(number, model="u2netp")
        began: list[float] = []

        def stop(_: float, text: str) -> None:
            if "Refining" in text and not began:
                began.append(time.monotonic())
                client.cancel()

        with pytest.raises(WorkerFailure) as caught:
            client.refine(number, SLOW, progress=stop)
        assert time.monotonic() - began[0] < 2
        assert caught.value.kind == "Cancelled"
        client.cancel()  # too late for anything: no answer
        assert client.refine(number, {"matting": "none"}).report["coverage"] > 0.1


@pytest.mark.long
def test_a_worker_that_is_killed_is_told_of_in_one_sentence(start: Start, slow_picture: np.ndarray) -> None:
    worker = start().wait_until_it_serves()
    with worker.client() as client:
        number = client.open(picture(slow_picture))
        client.segment(number, model="u2netp")
        with pytest.raises(WorkerFailure) as caught:
            client.refine(number, SLOW, progress=lambda *_: worker.process.kill())
        assert str(caught.value) == "The worker ended in the middle of the work. Try again: it starts anew."
        assert client.is_closed


def test_a_client_has_room_for_so_many_pictures_and_gets_it_back(shared: Worker, photograph: np.ndarray) -> None:
    with shared.client() as client:
        numbers = [client.open(picture(photograph)) for _ in range(4)]
        client.close(numbers[0])
        client.open(picture(photograph))
        with pytest.raises(WorkerFailure, match=r"4 pictures open.*Close one"):
            client.open(picture(photograph))
    with shared.client() as client:
        client.open(picture(photograph))


@pytest.mark.long
def test_nothing_is_reserved_on_a_client_s_word(start: Start) -> None:
    worker = start().wait_until_it_serves()
    line = worker.line()
    line.greet()
    line.say(opening(width=20_000, height=20_000, channels=4, dtype="float32", payload=6_400_000_000))
    line.socket.settimeout(3)
    try:  # refused where the machine has less, else waited for: in neither case is the memory taken
        line.hear()
    except TimeoutError:
        pass
    status = Path(f"/proc/{worker.process.pid}/status").read_text()
    (size,) = (int(row.split()[1]) for row in status.splitlines() if row.startswith("VmRSS"))
    assert size < 1_500_000


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
            cut_out(client, picture(photograph), options, model=model)
        assert cut_out(client, picture(photograph), {}, model="u2netp").report["coverage"] > 0.1


def test_numbers_that_are_none_are_refused(shared: Worker) -> None:
    array = np.full((8, 8, 3), np.nan, np.float32)
    with shared.client() as client, pytest.raises(WorkerFailure, match="not finite"):
        cut_out(client, picture(array), {}, model="u2netp")


# Bad frames


def opening(**changed: Any) -> dict[str, Any]:
    return {"request": "open", "width": 4, "height": 4, "channels": 3, "dtype": "u8", "payload": 48, **changed}


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
        opening(width=5),
        opening(width=-4, height=-4),
        opening(width=True),
        opening(width=1 << 20, height=1 << 20, payload=3 << 40),
        opening(channels=1, payload=16),
        opening(dtype="object"),
        opening(existing_alpha="eat"),
        {"request": "segment", "picture": 7},
        {"request": "segment", "picture": 1, "options": [1]},
        {"request": "segment", "picture": 1, "model": 7},
        {"request": "segment", "picture": 1, "source": "box", "box": [1, 2, 3]},
        {"request": "refine", "picture": 7},
        {"request": "refine", "picture": 1, "scale": 0},
        {"request": "refine", "picture": 1, "scale": 0.5, "rgba": True},
        {"request": "refine", "picture": 1, "scale": "half", "background": True},
        {"request": "refine", "picture": 1, "region": [0, 0, 1]},
        {"request": "fetch"},
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
    line.say(opening(), b"x" * 10)
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


@pytest.mark.long
def test_a_crowd_at_work_is_told_to_come_again(start: Start, slow_picture: np.ndarray, photograph: np.ndarray) -> None:
    worker = start().wait_until_it_serves()
    lines = [ask_slowly(worker, slow_picture.repeat(3, 0).repeat(3, 1))]  # until all the others wait
    for _ in range(15):
        lines.append(worker.line())
        lines[-1].greet()
        lines[-1].say({"request": "open", "width": 256, "height": 256}, photograph.tobytes())
        assert lines[-1].hear()["type"] == "opened"
        lines[-1].say({"request": "segment", "picture": 1, "model": "u2netp"})
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


@pytest.mark.long
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
    greeting = b'\0\0\0\x20{"gossamer": "0", "protocol": 2}'
    assert len(greeting) == 36
    request = json.dumps(opening(width=2000, height=2000, payload=12_000_000)).encode()
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


@pytest.mark.long
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
    assert "1024 x 1024: {" not in worker.log.read_text()  # the report of a picture that was done
    with worker.client() as client:
        assert cut_out(client, picture(photograph), {}, model="u2netp").report["coverage"] > 0.1


@pytest.mark.long
def test_a_second_picture_waits_its_turn_and_can_be_given_up(
    start: Start, slow_picture: np.ndarray, photograph: np.ndarray
) -> None:
    worker = start().wait_until_it_serves()
    first = ask_slowly(worker, slow_picture)
    second = worker.line()
    second.greet()
    second.say({"request": "open", "width": 256, "height": 256}, photograph.tobytes())
    assert second.hear()["type"] == "opened"
    second.say({"request": "segment", "picture": 1, "model": "u2netp"})
    assert second.hear()["message"] == "Waiting for another picture"
    first.close()
    answer = second.hear()
    while answer["type"] == "progress":
        answer = second.hear()
    assert answer["type"] == "segmented"
