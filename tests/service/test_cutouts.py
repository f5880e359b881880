"""What the service's own addresses answer."""

from __future__ import annotations

import base64
import io
import json
import zipfile

import numpy as np
import pytest

import gossamer
from tests.service.conftest import KEYED, Client, pixels, png


def test_form_body_and_json_give_what_the_library_gives(client: Client, photograph: np.ndarray) -> None:
    data = png(photograph)
    recipe = gossamer.Recipe.of({"matting": {"method": "closed_form", "band": 6}})
    known = pixels(gossamer.remove_background(data, recipe, model="u2netp").encode("png"))
    service = client()
    fields = {"matting": "closed_form", "matting_band": "6"}
    form = service.post("/v1/cutouts", files={"image": data}, data=fields)
    raw = service.post("/v1/cutouts", content=data, params=fields, headers={"content-type": "image/png"})
    body = {"image": base64.b64encode(data).decode(), "recipe": recipe.model_dump(), "format": "json"}
    told = service.post("/v1/cutouts", json=body).json()
    for answered in (form, raw):
        assert answered.status_code == 200, answered.text
        assert answered.headers["content-type"] == "image/png"
        assert answered.headers["x-width"] == "256"
        assert answered.headers["x-model"] == "u2netp"
        assert np.array_equal(pixels(answered.content), known)
    assert np.array_equal(pixels(base64.b64decode(told["image"])), known)
    assert told["report"]["model"] == "u2netp"
    assert told["report"]["coverage"] == pytest.approx(known[..., 3].mean() / 255, abs=0.005)


def test_a_known_square_comes_back_in_every_format(client: Client, screen: np.ndarray) -> None:
    service, files = client(), {"image": png(screen)}
    for format in ("png", "webp"):
        cut = pixels(service.post("/v1/cutouts", files=files, data={**KEYED, "format": format}).content)
        assert (cut[30:66, 46:82, 3] > 250).all()
        assert (cut[:18, :, 3] < 5).all()
        assert np.abs(cut[30:66, 46:82, :3].astype(int) - (200, 30, 40)).max() < 6
    white = {**KEYED, "format": "jpg", "background": "#ffffff"}
    flat = pixels(service.post("/v1/cutouts", files=files, data=white).content)
    assert (flat[:18] > 250).all()
    assert np.abs(flat[30:66, 46:82].astype(int) - (200, 30, 40)).max() < 8
    packed = service.post("/v1/cutouts", files=files, data={**KEYED, "format": "zip"})
    with zipfile.ZipFile(io.BytesIO(packed.content)) as archive:
        assert sorted(archive.namelist()) == ["alpha.png", "color.png"]
        assert np.array_equal(pixels(archive.read("alpha.png")), cut[..., 3])
    mask = pixels(service.post("/v1/masks", files=files, data=KEYED).content)
    assert np.array_equal(mask, cut[..., 3])


def test_a_picture_may_be_the_background(client: Client, screen: np.ndarray) -> None:
    behind = np.full((96, 128, 3), (10, 20, 230), np.uint8)
    files = {"image": png(screen), "background_image": png(behind)}
    flat = pixels(client().post("/v1/cutouts", files=files, data=KEYED).content)
    assert np.abs(flat[:18].astype(int) - (10, 20, 230)).max() < 3
    assert np.abs(flat[30:66, 46:82].astype(int) - (200, 30, 40)).max() < 6


def test_a_box_is_a_prompt(client: Client, screen: np.ndarray) -> None:
    for fields in (
        {"box": "28%,20%,72%,80%"},
        {"box": "36,19,92,77"},
        {"prompt": json.dumps({"boxes": [[36, 19, 92, 77]]})},
    ):
        fields = {**fields, "prompt_model": "grabcut", "matting": "none"}
        mask = pixels(client().post("/v1/masks", files={"image": png(screen)}, data=fields).content)
        assert mask[30:66, 46:82].mean() > 250, fields
        assert mask[:18].max() < 5


def test_a_check_tells_what_is_wrong(client: Client, screen: np.ndarray) -> None:
    cut = np.dstack([screen, np.zeros(screen.shape[:2], np.uint8)])
    cut[24:72, 40:88, 3] = 255
    told = client().post("/v1/check", files={"image": png(cut), "photo": png(screen)}).json()
    known = gossamer.check(png(cut), png(screen)).as_dict()
    assert told["score"] == known["score"]
    assert [flag["id"] for flag in told["flags"]] == [flag["id"] for flag in known["flags"]]


def test_models_health_and_numbers(client: Client, screen: np.ndarray) -> None:
    service = client(models="u2netp")
    listed = service.get("/v1/models").json()
    assert [model["id"] for model in listed["models"]] == ["u2netp"]
    assert listed["models"][0]["licence"]
    assert "grabcut" in listed["prompt_models"]
    assert service.get("/healthz").json()["status"] == "ok"
    assert service.get("/readyz").status_code == 200
    service.post("/v1/cutouts", files={"image": png(screen)}, data=KEYED)
    numbers = service.get("/metrics").text
    assert 'gossamer_requests_total{path="/v1/cutouts",status="200"} 1.0' in numbers
    assert 'gossamer_cutouts_total{model="none"} 1.0' in numbers
    assert 'gossamer_stage_seconds_count{stage="matting"} 1.0' in numbers
    assert "process_resident_memory_bytes" in numbers
    assert "gossamer_queue_waiting 0.0" in numbers


def test_openapi_names_every_setting(client: Client) -> None:
    told = client().get("/openapi.json").json()
    body = told["paths"]["/v1/cutouts"]["post"]["requestBody"]["content"]
    fields = body["multipart/form-data"]["schema"]["properties"]
    for parameter in gossamer.settings.parameters():
        if parameter.stage != "checks":
            assert parameter.name in fields, parameter.name
    assert fields["matting_band"] | {"description": ""} == {
        "type": "integer",
        "title": "Matting band",
        "description": "",
        "default": 10,
        "minimum": 1,
        "maximum": 500,
    }
    assert {"model", "quality", "prompt_model", "box", "format"} <= set(fields)
    assert not {"folders", "accept_licence", "architecture"} & set(fields)
    assert body["application/json"]["examples"]
