"""What strangers may not: one sentence, a status, and nothing of this machine in it."""

from __future__ import annotations

import asyncio
import io
import struct
import tempfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gossamer
from gossamer.errors import GossamerError, InputError
from gossamer.service import app
from gossamer.service.desk import refused
from gossamer.service.guard import Guard
from gossamer.service.keys import Keys, Rates, line_of, new_key
from gossamer.service.metrics import Metrics
from gossamer.service.refusals import Busy, without_paths
from gossamer.settings.service import Service
from tests.service.conftest import KEYED, Client, png


def refusal(answered: Any, status: int) -> str:
    assert answered.status_code == status, answered.text
    error = answered.json()["error"]
    assert error["status"] == status
    assert error["message"].endswith(".")
    assert error["request"] == answered.headers["x-request-id"]
    assert str(Path.home()) not in answered.text
    assert "Traceback" not in answered.text
    return f"{error['message']} {error['remedy']}"


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({"matting_band": "nine"}, 422, "matting.band"),
        ({"matting_band": "9000"}, 422, "1 to 500"),
        ({"matting_bund": "9"}, 422, "matting_band"),
        ({"background": "/etc/passwd"}, 403, "background_image"),
        ({"background": "photo.png"}, 403, "background_image"),
        ({"recipe": '{"background": {"fill": "/etc/passwd"}}'}, 403, "background_image"),
        ({"matting_model": "/srv/models/vitmatte"}, 403, "id"),
        ({"recipe": "/etc/recipe.toml"}, 422, "JSON"),
        ({"preset": "../../etc/passwd"}, 403, "preset"),
        ({"model": "/srv/models/mine.onnx"}, 404, "u2netp"),
        ({"model": "isnet-anime"}, 403, "not served"),
        ({"prompt_model": "/srv/sam"}, 403, "grabcut"),
        ({"text": "the lamp", "prompt_model": "grounded-sam2"}, 404, "grabcut"),
        ({"prompt": '{"mask": "/etc/passwd"}'}, 422, ""),
        ({"format": "tiff"}, 422, "webp"),
        ({"format": "jpeg"}, 422, "background"),
        ({"folders": "/srv"}, 422, "There is no field"),
        ({"accept_licence": "true"}, 422, "There is no field"),
        ({"box": "1,2,3"}, 422, "not 4"),
    ],
)
def test_fields_that_cannot_be(
    client: Client, screen: np.ndarray, fields: dict[str, str], status: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gossamer.prompting.choice.is_installed", lambda name: name in ("auto", "grabcut"))
    answered = client(models="u2netp,u2net").post("/v1/cutouts", files={"image": png(screen)}, data=fields)
    assert words in refusal(answered, status)


def test_bodies_that_are_none(client: Client, screen: np.ndarray) -> None:
    service = client()
    json_type = {"content-type": "application/json"}
    assert "no image" in refusal(service.post("/v1/cutouts"), 400)
    assert "JSON" in refusal(service.post("/v1/cutouts", content=b"{", headers=json_type), 400)
    assert "object" in refusal(service.post("/v1/cutouts", content=b"[1]", headers=json_type), 400)
    assert "base64" in refusal(service.post("/v1/cutouts", json={"image": "%%%"}), 400)
    assert "base64" in refusal(service.post("/v1/cutouts", json={"image": 3}), 400)
    broken = {"content-type": "multipart/form-data"}
    assert "form" in refusal(service.post("/v1/cutouts", content=b"rubbish", headers=broken), 400)
    refusal(service.post("/v1/cutouts", content=b"rubbish"), 422)
    refusal(service.post("/v1/cutouts", content=png(screen)[:200]), 422)
    refusal(service.get("/v1/cutouts"), 405)
    refusal(service.get("/nothing"), 404)


def test_limits_on_bytes_and_pixels(client: Client, screen: np.ndarray) -> None:
    service = client(max_mb=1, max_megapixels=1)
    large = b"\x89PNG" + bytes(1_100_000)
    assert "larger than 1,000,000 bytes" in refusal(service.post("/v1/cutouts", content=large), 413)

    def trickle() -> Any:
        for _ in range(20):
            yield bytes(100_000)

    refusal(service.post("/v1/cutouts", content=trickle()), 413)
    refusal(service.post("/v1/cutouts", files={"image": large}), 413)
    # A header that promises 40,000 x 40,000 pixels, in a file of a few bytes.
    header = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)
    made = io.BytesIO(b"")
    for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")):
        made.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))
    bomb = b"\x89PNG\r\n\x1a\n" + made.getvalue()
    said = refusal(service.post("/v1/cutouts", content=bomb), 422)
    assert "1,000,000 pixels" in said
    assert "GOSSAMER_MAX_PIXELS" not in said
    refusal(service.post("/v1/cutouts", files={"image": png(screen), "background_image": bomb}, data=KEYED), 422)


def test_no_picture_touches_the_disk(client: Client, screen: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    """What reads forms puts a file of more than a megabyte into a temporary one, unless it is told otherwise."""

    def fail(*_: Any, **__: Any) -> None:
        raise AssertionError("a file was made")

    for name in ("TemporaryFile", "NamedTemporaryFile", "mkstemp"):
        monkeypatch.setattr(tempfile, name, fail)
    noise = np.random.default_rng(1).integers(0, 256, (900, 1200, 3), np.uint8)
    data = png(np.concatenate([noise, screen.repeat(10, 0)[:900, :1].repeat(1200, 1)]))
    assert len(data) > 3_000_000
    assert client().post("/v1/cutouts", files={"image": data}, data=KEYED).status_code == 200


class Sending:
    """Requests to a guard whose application takes the whole of each, and answers when it is told to."""

    def __init__(self, most: int, seconds: float) -> None:
        self.go = asyncio.Event()
        self.guard = Guard(self, None, most, seconds, Metrics(lambda: 0, []), lambda *told: refused(*told[1:]), ())

    async def __call__(self, _: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        await self.go.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def send(self, *parts: bytes) -> int:
        """Send a request of these parts; the last one is the last, unless it is empty: then nothing comes any more."""
        left, statuses = list(parts), []

        async def receive() -> Any:
            if not left[0]:
                await asyncio.sleep(60)
            body = left.pop(0)
            return {"type": "http.request", "body": body, "more_body": bool(left)}

        async def told(message: Any) -> None:
            statuses.append(message.get("status"))

        scope = {"type": "http", "path": "/x", "method": "POST", "headers": [(b"host", b"localhost")]}
        await self.guard(scope, receive, told)
        return statuses[0]


def test_what_requests_hold_together_is_bounded() -> None:
    async def work() -> None:
        sending = Sending(1000, 60.0)
        first = [asyncio.ensure_future(sending.send(bytes(400), bytes(600))) for _ in range(16)]
        await asyncio.sleep(0.01)
        assert await sending.send(bytes(1000)) == 429  # all are as large as may be, and none is done
        sending.go.set()
        assert await asyncio.gather(*first) == [200] * 16
        assert await asyncio.gather(*(sending.send(bytes(1000)) for _ in range(16))) == [200] * 16

    asyncio.run(work())


def test_what_does_not_arrive_is_given_up() -> None:
    async def work() -> None:
        sending = Sending(1000, 0.2)
        sending.go.set()
        assert await sending.send(bytes(10), b"") == 408
        assert await sending.send(bytes(10)) == 200
        sending.go.clear()
        late = asyncio.ensure_future(sending.send(bytes(10)))
        await asyncio.sleep(0.4)  # how long the work takes is another matter
        sending.go.set()
        assert await late == 200

    asyncio.run(work())


def test_an_unforeseen_fault_stays_in_the_log(
    client: Client, screen: np.ndarray, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("secret of /srv/models/u2netp.onnx")

    monkeypatch.setattr(gossamer.Pipeline, "find", fail)
    answered = client().post("/v1/cutouts", files={"image": png(screen)})
    said = refusal(answered, 500)
    assert "secret" not in said
    assert answered.headers["x-request-id"] in said
    assert "secret" in caplog.text


def test_keys_stand_before_everything_but_health(client: Client, screen: np.ndarray, tmp_path: Path) -> None:
    key, plain = new_key(), "a plain key of somebody"
    file = tmp_path / "keys"
    file.write_text(f"# of the shop\n{line_of('shop', key)}\nold:{plain}\n")
    service = client(keys=str(file), host="0.0.0.0")
    for path in ("/v1/models", "/metrics", "/openapi.json", "/nothing"):
        assert "X-Api-Key" in refusal(service.get(path), 401)
    refusal(service.post("/v1/cutouts", content=png(screen), headers={"x-api-key": f"{key}x"}), 401)
    assert service.get("/healthz").status_code == 200
    for headers in ({"x-api-key": key}, {"authorization": f"Bearer {key}"}, {"x-api-key": plain}):
        assert service.get("/v1/models", headers=headers).status_code == 200


def test_without_keys_only_this_machine_is_answered(client: Client, screen: np.ndarray) -> None:
    for host in ("0.0.0.0", "192.0.2.1", "example.org"):
        with pytest.raises(InputError, match="no keys"):
            app(Service(host=host))
    service = client()
    refusal(service.get("/v1/models", headers={"host": "rebound.example:7860"}), 403)
    foreign = {"origin": "http://example.org"}
    refusal(service.post("/v1/cutouts", files={"image": png(screen)}, headers=foreign), 403)
    own = service.get("/v1/models", headers={"origin": "http://127.0.0.1"})
    assert own.status_code == 200
    assert "access-control-allow-origin" not in own.headers


@pytest.mark.parametrize(
    "text",
    ["", "# nothing\n", "shop\n", "shop:short\n", "a:0123456789abcdef\na:0123456789abcdef\n", "/x:0123456789abcdef"],
)
def test_files_of_keys_that_cannot_be(tmp_path: Path, text: str) -> None:
    file = tmp_path / "keys"
    file.write_text(text)
    with pytest.raises(GossamerError) as told:
        Keys.read(file)
    assert told.value.remedy


def test_each_key_has_its_rate() -> None:
    now = [0.0]
    rates = Rates(2, lambda: now[0])
    assert [rates.take("a")[0], rates.take("a")[0], rates.take("b")[0]] == [1, 0, 1]
    with pytest.raises(Busy) as told:
        rates.take("a")
    assert told.value.seconds == 60
    now[0] = 61.0
    assert rates.take("a")[0] == 1


def test_a_rate_is_told_with_when_to_come_again(client: Client, screen: np.ndarray) -> None:
    service = client(rate=1)
    assert service.post("/v1/cutouts", files={"image": png(screen)}, data=KEYED).status_code == 200
    answered = service.post("/v1/cutouts", files={"image": png(screen)}, data=KEYED)
    refusal(answered, 429)
    assert 1 <= int(answered.headers["retry-after"]) <= 60


def test_sentences_lose_the_paths_of_this_machine() -> None:
    assert without_paths("/home/a/b.onnx is no model.") == "(a file of the service) is no model."
    assert without_paths(r"See C:\models\a.onnx now") == "See (a file of the service) now"
    assert without_paths("It lies in /v1/models/a.onnx.") == "It lies in (a file of the service)."
    assert without_paths("Ask for it at /v1/shadows.") == "Ask for it at /v1/shadows."
    assert (
        without_paths("image/png or 1/2, see http://example.org/a/b") == "image/png or 1/2, see http://example.org/a/b"
    )
