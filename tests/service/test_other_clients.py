"""Clients of remove.bg and of rembg, pointed here: their own fields, headers, words."""

from __future__ import annotations

import base64
import importlib
import io
import json
import shutil
import socket
import subprocess
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock

import gossamer
from gossamer.service.keys import line_of
from tests.cached_weights import cache_folder
from tests.service.conftest import Client, Server, pixels, png

KEY = "0123456789abcdef0123"


@pytest.fixture
def keyed(tmp_path: Path) -> str:
    file = tmp_path / "keys"
    file.write_text(line_of("shop", KEY) + "\n")
    return str(file)


@pytest.fixture(autouse=True)
def _square(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Let the model find what is red: its opinion of drawings is its own, and where things land is ours."""
    if "real" in request.node.name:
        return

    def find(_: Any, source: Any, *__: Any, **___: Any) -> tuple[np.ndarray, gossamer.cutout.Origin]:
        red = source.rgb[..., 0] > source.rgb[..., 1]
        return red.astype(np.float32), gossamer.cutout.Origin("u2netp")

    monkeypatch.setattr(gossamer.Pipeline, "find", find)


def ask(service: Any, screen: np.ndarray, accept: str = "*/*", **fields: str) -> Any:
    files = {"image_file": png(screen)}
    return service.post("/v1.0/removebg", files=files, data=fields, headers={"accept": accept})


def test_removebg_answers_in_its_own_words(client: Client, screen: np.ndarray, keyed: str) -> None:
    service = client(keys=keyed, rate=100)
    service.headers["X-Api-Key"] = KEY
    answered = ask(service, screen)
    assert answered.status_code == 200
    assert answered.headers["content-type"] == "image/png"
    for name, value in {"X-Type": "other", "X-Width": "128", "X-Height": "96", "X-Credits-Charged": "0"}.items():
        assert answered.headers[name] == value
    assert answered.headers["X-RateLimit-Limit"] == "100"
    assert answered.headers["X-RateLimit-Remaining"] == "99"
    assert 0 < int(answered.headers["X-RateLimit-Reset"]) - time.time() <= 62  # the moment, in their words
    cut = pixels(answered.content)
    assert (cut[30:66, 46:82, 3] == 255).all()
    assert (cut[:18, :, 3] == 0).all()
    told = ask(service, screen, "application/json").json()["data"]
    assert np.array_equal(pixels(base64.b64decode(told["result_b64"])), cut)
    assert abs(told["foreground_top"] - 24) <= 1
    assert abs(told["foreground_width"] - 48) <= 2
    body = {"image_file_b64": base64.b64encode(png(screen)).decode(), "size": "auto"}
    assert np.array_equal(pixels(service.post("/v1.0/removebg", json=body).content), cut)
    assert np.array_equal(pixels(service.post("/v1.0/removebg", data=body).content), cut)
    assert service.get("/v1.0/account").json()["data"]["attributes"]["credits"]["total"] > 0


def test_removebg_formats_channels_and_backgrounds(client: Client, screen: np.ndarray) -> None:
    service = client()
    for colour, known in (("81d4fa", (129, 212, 250)), ("fff", (255, 255, 255)), ("green", (0, 128, 0))):
        answered = ask(service, screen, bg_color=colour)
        assert answered.headers["content-type"] == "image/jpeg"  # auto: nothing is transparent
        assert np.abs(pixels(answered.content)[:15].astype(int) - known).max() < 4
    assert ask(service, screen, bg_color="81d4fa77").headers["content-type"] == "image/png"
    assert pixels(ask(service, screen, channels="alpha").content).shape == (96, 128)
    assert (pixels(ask(service, screen, format="jpg").content)[:15] > 250).all()
    behind = {"image_file": png(screen), "bg_image_file": png(np.full((96, 128, 3), (9, 8, 200), np.uint8))}
    flat = pixels(service.post("/v1.0/removebg", files=behind).content)
    assert np.abs(flat[:15].astype(int) - (9, 8, 200)).max() < 5
    with zipfile.ZipFile(io.BytesIO(ask(service, screen, format="zip").content)) as archive:
        assert sorted(archive.namelist()) == ["alpha.png", "color.jpg"]
        assert (pixels(archive.read("alpha.png"))[30:66, 46:82] == 255).all()
    # Whoever puts the two together finds both, also where nothing is transparent.
    with zipfile.ZipFile(io.BytesIO(ask(service, screen, format="zip", bg_color="81d4fa").content)) as archive:
        assert np.abs(pixels(archive.read("color.jpg"))[:15].astype(int) - (129, 212, 250)).max() < 5
        assert (pixels(archive.read("alpha.png")) == 255).all()
        assert pixels(archive.read("alpha.png")).shape == (96, 128)


@pytest.mark.long
def test_removebg_sizes_crops_and_places(client: Client, screen: np.ndarray) -> None:
    service = client()
    large = np.ascontiguousarray(screen.repeat(8, 0).repeat(8, 1))  # 768 x 1024
    small = ask(service, large, size="preview")
    width, height = int(small.headers["X-Width"]), int(small.headers["X-Height"])
    assert 240_000 < width * height <= 250_000
    assert width / height == pytest.approx(4 / 3, abs=0.01)
    assert ask(service, large, size="full").headers["X-Width"] == "1024"
    cropped = pixels(ask(service, large, size="full", crop="true").content)
    assert abs(cropped.shape[0] - 384) <= 4
    margins = pixels(ask(service, large, size="full", crop="true", crop_margin="10% 25%").content)
    assert margins.shape[0] == pytest.approx(cropped.shape[0] * 1.2, abs=3)
    assert margins.shape[1] == pytest.approx(cropped.shape[1] * 1.5, abs=3)
    edge = pixels(ask(service, large, size="full", crop="true", crop_margin="30px").content)
    assert edge.shape[0] == pytest.approx(cropped.shape[0] + 60, abs=3)
    placed = pixels(ask(service, large, size="full", scale="80%").content)
    assert placed.shape[:2] == (768, 1024)
    rows = np.flatnonzero((placed[..., 3] > 128).any(1))
    assert rows[-1] - rows[0] + 1 == pytest.approx(0.8 * 768, abs=6)
    assert (rows[-1] + rows[0]) / 2 == pytest.approx(768 / 2, abs=4)


@pytest.mark.long
@pytest.mark.parametrize(
    ("fields", "across", "down", "fill"),
    [
        ({"position": "100% 0%"}, 1.0, 0.0, 0.5),
        ({"position": "25%"}, 0.25, 0.25, 0.5),
        ({"position": "0% 75%", "scale": "80%", "bg_color": "fff"}, 0.0, 0.75, 0.8),
        ({"position": "center", "scale": "80%", "bg_color": "fff"}, 0.5, 0.5, 0.8),
    ],
)
def test_removebg_places_the_subject_in_the_room_beside_it(
    client: Client, screen: np.ndarray, fields: dict[str, str], across: float, down: float, fill: float
) -> None:
    """The box takes half of the screen's height, where it keeps its size; what is told is a share of what it leaves."""
    large = np.ascontiguousarray(screen.repeat(4, 0).repeat(4, 1))  # 384 x 512
    placed = pixels(ask(client(), large, size="full", format="png", **fields).content)
    assert placed.shape[:2] == (384, 512)
    box = placed[..., 3] > 128 if placed.shape[2] == 4 else (placed < 240).any(2)
    rows, columns = np.flatnonzero(box.any(1)), np.flatnonzero(box.any(0))
    height, width = rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
    assert height == pytest.approx(fill * 384, abs=5)
    assert columns[0] == pytest.approx(across * (512 - width), abs=3)
    assert rows[0] == pytest.approx(down * (384 - height), abs=3)


BOX = {"left": 60, "top": 48, "width": 60, "height": 48}  # of the subject in `cornered`, where it is whole


def cornered(left: int, top: int) -> np.ndarray:
    """Return a green screen of 240 x 192 with a red box of 60 x 48, its corner at a place that may be the frame's."""
    picture = np.empty((192, 240, 3), np.uint8)
    picture[:] = (0, 177, 64)
    picture[top : top + 48, left : left + 60] = (200, 30, 40)
    return picture


def box_of(rgba: np.ndarray) -> dict[str, int]:
    rows, columns = (np.flatnonzero((rgba[..., 3] > 128).any(axis)) for axis in (1, 0))
    sizes = {"width": columns[-1] - columns[0] + 1, "height": rows[-1] - rows[0] + 1}
    return {"left": int(columns[0]), "top": int(rows[0]), **{name: int(size) for name, size in sizes.items()}}


@pytest.mark.parametrize(
    ("margin", "sides"),
    [
        ("10px", (10, 10, 10, 10)),
        ("10% 20px", (5, 20, 5, 20)),
        ("10px 20px 30px 40px", (10, 20, 30, 40)),
        ("10px 20% 25% 6px", (10, 12, 12, 6)),
        ("80%", (24, 30, 24, 30)),  # half of the subject at most
        ("900px 0", (500, 0, 500, 0)),  # and 500 pixels
    ],
)
@pytest.mark.parametrize("corner", [(60, 48), (0, 0), (180, 144)])
def test_removebg_margins_are_the_subjects_on_every_side(
    client: Client, corner: tuple[int, int], margin: str, sides: tuple[int, ...]
) -> None:
    """Also where the photograph's edge cuts the subject off: theirs are promised without a condition."""
    answered = ask(client(), cornered(*corner), size="full", crop="true", crop_margin=margin)
    cut = pixels(answered.content)
    top, right, bottom, left = sides
    assert cut.shape[0] == pytest.approx(48 + top + bottom, abs=3)
    assert cut.shape[1] == pytest.approx(60 + left + right, abs=3)
    found = box_of(cut)
    assert found["left"] == pytest.approx(left, abs=2)
    assert found["top"] == pytest.approx(top, abs=2)


@pytest.mark.parametrize(
    "fields", [{}, {"crop": "true"}, {"scale": "80%"}, {"position": "100%"}, {"crop": "true", "crop_margin": "9px"}]
)
def test_removebg_tells_where_the_subject_was(client: Client, fields: dict[str, str]) -> None:
    """In the picture, so that who had it cropped can put it back to its place."""
    answered = ask(client(), cornered(60, 48), "application/json", size="full", **fields)
    told = answered.json()["data"]
    for name, value in BOX.items():
        assert told[f"foreground_{name}"] == pytest.approx(value, abs=2)
        assert answered.headers[f"X-Foreground-{name}"] == str(told[f"foreground_{name}"])


def test_removebg_scales_in_place_where_the_position_is_the_original_one(client: Client) -> None:
    scaled = ask(client(), cornered(60, 48), size="full", scale="50%", position="original")
    found = box_of(pixels(scaled.content))
    assert found["width"] == pytest.approx(120, abs=3)
    assert found["left"] + found["width"] / 2 == pytest.approx(90, abs=2)
    assert found["top"] + found["height"] / 2 == pytest.approx(72, abs=2)
    # No further than the edge.
    found = box_of(pixels(ask(client(), cornered(0, 144), size="full", scale="50%", position="original").content))
    assert found["left"] == 0
    assert found["top"] + found["height"] == 192


def test_removebg_looks_only_within_its_roi(client: Client) -> None:
    two = np.empty((96, 200, 3), np.uint8)
    two[:] = (0, 177, 64)
    two[24:72, 20:60] = two[24:72, 140:180] = (200, 30, 40)
    for roi in ("100 0 200 96", "50% 0% 100% 100%", "100px 0px 200px 96px"):
        alpha = pixels(ask(client(), two, roi=roi, channels="alpha").content)
        assert alpha[30:66, 146:174].min() > 250, roi
        assert alpha[:, :90].max() == 0


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"size": "huge"}, "invalid_size"),
        ({"bg_color": "/etc/passwd"}, "invalid_bg_color"),
        ({"bg_color": "#zz"}, "invalid_bg_color"),
        ({"roi": "1 2 3"}, "invalid_roi"),
        ({"add_shadow": "true", "shadow_opacity": "300"}, "invalid_shadow_opacity"),
        ({"roi": "500 500 600 600"}, "invalid_roi"),
        ({"crop": "true", "crop_margin": "1 2 3"}, "invalid_crop_margin"),
        ({"scale": "900%"}, "invalid_scale"),
        ({"position": "10% 190%"}, "invalid_position"),
        ({"position": "20px"}, "invalid_position"),
        ({"position": "1% 2% 3%"}, "invalid_position"),
        ({"image_file_b64": "AAAA"}, "multiple_sources"),
        ({"bg_image_url": "http://127.0.0.1/a.png"}, "invalid_image_url"),
    ],
)
def test_removebg_errors(client: Client, screen: np.ndarray, fields: dict[str, str], code: str) -> None:
    answered = ask(client(), screen, **fields)
    assert answered.status_code == 400
    (error,) = answered.json()["errors"]
    assert error["code"] == code
    assert error["title"]


def test_removebg_statuses(client: Client, screen: np.ndarray, keyed: str) -> None:
    service = client(keys=keyed, rate=1)
    answered = ask(service, screen)
    assert answered.status_code == 403
    assert answered.json() == {
        "errors": [{"title": "API Key invalid", "code": "auth_failed", "detail": "Send it in the header X-Api-Key."}]
    }
    assert service.get("/v1.0/account").status_code == 403
    service.headers["X-Api-Key"] = KEY
    assert service.post("/v1.0/removebg").json()["errors"][0]["code"] == "missing_source"
    rubbish = service.post("/v1.0/removebg", files={"image_file": b"rubbish"})
    assert rubbish.status_code == 400
    answered = ask(service, screen)
    assert answered.status_code == 429
    assert answered.json()["errors"][0]["code"] == "rate_limit_exceeded"
    assert int(answered.headers["retry-after"]) >= 1
    told = {name: answered.headers[f"X-RateLimit-{name}"] for name in ("Limit", "Remaining", "Reset")}
    assert (told["Limit"], told["Remaining"]) == ("1", "0")
    assert 0 < int(told["Reset"]) - time.time() <= 62
    large = client(max_mb=1).post("/v1.0/removebg", files={"image_file": bytes(2_000_000)})
    assert large.status_code == 400
    assert large.json()["errors"][0]["code"] == "file_too_large"
    wrong = client().get("/v1.0/removebg")
    assert wrong.status_code == 405
    assert wrong.json()["errors"][0]["title"] == "This address does not take GET"
    green = np.full((40, 40, 3), (0, 177, 64), np.uint8)
    nothing = ask(client(), green)
    assert nothing.status_code == 400
    assert nothing.json()["errors"][0]["code"] == "unknown_foreground"


def test_openapi_tells_of_their_fields(client: Client, screen: np.ndarray) -> None:
    """Each choice that it names is taken, in the letters in which it is named."""
    service = client()
    paths = service.get("/openapi.json").json()["paths"]
    told = paths["/v1.0/removebg"]["post"]
    fields = told["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]
    assert {"image_file", "image_file_b64", "image_url", "roi", "crop_margin", "bg_image_file"} <= set(fields)
    assert {"X-Type", "X-RateLimit-Reset", "X-Foreground-Top"} <= set(told["responses"]["200"]["headers"])
    assert {"200", "400", "403", "429"} <= set(told["responses"])
    chosen = {name: field["enum"] for name, field in fields.items() if "enum" in field}
    assert {"50MP", "auto", "4k"} <= set(chosen["size"])
    for turn in range(max(map(len, chosen.values()))):
        answered = ask(service, screen, **{name: each[turn % len(each)] for name, each in chosen.items()})
        assert answered.status_code == 200, answered.text
    form = paths["/api/remove"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    asked = {each["name"] for each in paths["/api/remove"]["get"]["parameters"]}
    assert asked - {"url"} == set(form["properties"]) - {"file"} == {*"model a af ab ae om ppm bgc extras".split()}


def test_rembg_switches(client: Client, screen: np.ndarray) -> None:
    service, files = client(), {"file": png(screen)}
    cut = pixels(service.post("/api/remove", files=files).content)
    assert cut.shape == (96, 128, 4)
    assert (cut[30:66, 46:82, 3] == 255).all()
    assert (cut[:15, :, 3] == 0).all()
    mask = pixels(service.post("/api/remove", files=files, data={"om": "true"}).content)
    assert np.array_equal(mask, cut[..., 3])
    white = pixels(service.post("/api/remove", files=files, params={"bgc": "255,255,255,255"}).content)
    assert white.shape == (96, 128, 3)
    assert (white[:15] == 255).all()
    known = {"a": "true", "af": "240", "ab": "10", "ae": "10", "ppm": "true", "model": "u2netp"}
    assert service.post("/api/remove", files=files, data=known).status_code == 200
    assert service.post("/api/remove", files=files, data={"model": "none-such"}).status_code == 404
    assert service.post("/api/remove", files=files, data={"a": "1", "ae": "3000"}).status_code == 200  # no limit there
    for colour in ("/etc/passwd", "1,2", "(1,2,3,4)", "300,0,0,0"):
        assert service.post("/api/remove", files=files, data={"bgc": colour}).status_code == 422
    assert service.post("/api/remove", files=files, data={"ae": "many"}).status_code == 422
    assert service.post("/api/remove", files=files, data={"model": "sam"}).status_code == 422
    assert service.post("/api/remove").status_code == 400
    assert service.get("/api/remove", params={"url": "http://127.0.0.1/a.png"}).status_code == 403


@pytest.mark.long
def test_real_clients_need_another_address_alone(
    serve: Callable[..., Server], photograph: np.ndarray, keyed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve("--keys", keyed)
    file = tmp_path / "photo.png"
    file.write_bytes(png(photograph))
    known = pixels(gossamer_cut(monkeypatch, file.read_bytes()))
    curl = shutil.which("curl")
    if curl is not None:
        out = tmp_path / "no-bg.png"
        line = ["-H", f"X-Api-Key: {KEY}", "-F", f"image_file=@{file}", "-F", "size=auto", "-f", "-s", "-o", str(out)]
        subprocess.run([curl, *line, f"{server.url}/v1.0/removebg"], check=True, timeout=120)
        assert np.array_equal(pixels(out.read_bytes()), known)
        line = ["-s", "-f", "-H", f"X-Api-Key: {KEY}", "-F", f"file=@{file}", "-o", str(out)]
        subprocess.run([curl, *line, f"{server.url}/api/remove"], check=True, timeout=120)
        assert np.array_equal(pixels(out.read_bytes()), known)
        # What else its documentation shows.
        head = ["-s", "-H", f"X-Api-Key: {KEY}"]

        def said(*line: str) -> bytes:
            return subprocess.run([curl, *head, *line], check=True, capture_output=True, timeout=120).stdout

        place = f"{server.url}/v1.0/removebg"
        account = json.loads(said("-H", "Accept: application/json", f"{server.url}/v1.0/account"))
        assert account["data"]["attributes"]["credits"]["total"] > 0
        encoded = base64.b64encode(file.read_bytes()).decode()
        (tmp_path / "body.json").write_text(json.dumps({"image_file_b64": encoded, "size": "preview"}))
        told = said(
            "-H",
            "Content-Type: application/json",
            "-H",
            "Accept: application/json",
            "-d",
            f"@{tmp_path / 'body.json'}",
            place,
        )
        assert np.array_equal(pixels(base64.b64decode(json.loads(told)["data"]["result_b64"])), known)
        elsewhere = json.loads(said("-F", "image_url=https://www.remove.bg/example.jpg", "-F", "size=auto", place))
        assert elsewhere["errors"][0]["code"] == "invalid_image_url"  # off, as long as nobody switches it on
        assert b"403" in said("-i", f"{server.url}/api/remove?url=http://input.png").splitlines()[0]
    theirs = importlib.import_module("removebg.removebg")
    monkeypatch.setattr(theirs, "API_ENDPOINT", f"{server.url}/v1.0/removebg")
    client = theirs.RemoveBg(KEY, str(tmp_path / "errors.log"))
    client.remove_background_from_img_file(str(file))
    assert np.array_equal(pixels((tmp_path / "photo.png_no_bg.png").read_bytes()), known)
    out = tmp_path / "b64.png"
    data = base64.b64encode(file.read_bytes())
    client.remove_background_from_base64_img(data, new_file_name=str(out), bg_color="81d4fa")
    assert np.abs(pixels(out.read_bytes())[:4, :4].astype(int) - (129, 212, 250)).max() < 6


def gossamer_cut(monkeypatch: pytest.MonkeyPatch, data: bytes) -> bytes:
    from tests.cached_weights import weights_home

    monkeypatch.setenv("GOSSAMER_HOME", str(weights_home()))
    made: bytes = gossamer.remove_background(data, model="u2netp").encode("png")
    return made


_NODE = """
const client = require("remove.bg"), fs = require("fs"), [file, out, apiKey] = process.argv.slice(2);
(async () => {
  const whole = await client.removeBackgroundFromImageFile({ path: file, apiKey, size: "auto",
    outputFile: out + "file.png" });
  await client.removeBackgroundFromImageBase64({ base64img: fs.readFileSync(file, "base64"), apiKey, bg_color: "81d4fa",
    outputFile: out + "flat.png" });
  let errors;
  try { await client.removeBackgroundFromImageFile({ path: file, apiKey: "wrong" }); } catch (found) { errors = found; }
  console.log(JSON.stringify({ ...whole, base64img: null, errors }));
})();
"""


@pytest.mark.host
@pytest.mark.skipif(shutil.which("npm") is None, reason="there is no Node here")
def test_real_client_of_npm_needs_another_address_alone(
    serve: Callable[..., Server], photograph: np.ndarray, keyed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = cache_folder() / "remove.bg-1.3.0"
    with FileLock(f"{kept}.lock"):
        if not (kept / "node_modules/remove.bg").is_dir():
            kept.mkdir(parents=True, exist_ok=True)
            install = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "remove.bg@1.3.0"]
            subprocess.run(install, cwd=kept, check=True, timeout=300)
    shutil.copytree(kept / "node_modules", tmp_path / "node_modules")
    server = serve("--keys", keyed, "--rate", "60")
    code = tmp_path / "node_modules/remove.bg/dist/index.js"
    theirs = code.read_text()
    assert "https://api.remove.bg" in theirs
    code.write_text(theirs.replace("https://api.remove.bg", server.url))
    (tmp_path / "photo.png").write_bytes(png(photograph))
    (tmp_path / "ask.js").write_text(_NODE)
    line = ["node", "ask.js", "photo.png", "out-", KEY]
    done = subprocess.run(line, cwd=tmp_path, check=True, capture_output=True, text=True, timeout=200)
    told = json.loads(done.stdout)
    assert (told["resultWidth"], told["resultHeight"], told["creditsCharged"]) == ("256", "256", "0")
    assert (told["rateLimit"], told["rateLimitRemaining"]) == ("60", "59")
    assert told["errors"][0]["code"] == "auth_failed"
    known = pixels(gossamer_cut(monkeypatch, png(photograph)))
    assert np.array_equal(pixels((tmp_path / "out-file.png").read_bytes()), known)
    assert np.abs(pixels((tmp_path / "out-flat.png").read_bytes())[:4, -4:].astype(int) - (129, 212, 250)).max() < 6


@pytest.mark.long
def test_who_is_refused_while_sending_hears_why(serve: Callable[..., Server], keyed: str) -> None:
    """The connection was closed before the picture had come: the client was told that it broke."""
    server = serve("--keys", keyed)
    host, port = server.url.removeprefix("http://").split(":")
    for _ in range(5):
        with socket.create_connection((host, int(port)), 30) as line:
            head = "POST /v1.0/removebg HTTP/1.1\r\nHost: x\r\nX-Api-Key: wrong\r\nContent-Type: image/png\r\n"
            line.sendall(f"{head}Content-Length: {4 << 20}\r\n\r\n".encode())
            for _ in range(4):
                line.sendall(bytes(1 << 20))
                time.sleep(0.02)
            answer = b""
            while more := line.recv(1 << 16):
                answer += more
        assert answer.startswith(b"HTTP/1.1 403 ")
        assert b"auth_failed" in answer
