"""What the service's own addresses answer."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
import pytest

import gossamer
from gossamer.networks.together import Together
from tests.service.conftest import KEYED, Client, pixels, png


@pytest.mark.long
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


def test_a_bare_picture_is_one_whatever_curl_calls_it(client: Client, screen: np.ndarray) -> None:
    """``curl --data-binary @photo.jpg`` says of its own that it is a form."""
    service = client()
    known = service.post("/v1/masks", files={"image": png(screen)}, data=KEYED)
    for kind in ("application/x-www-form-urlencoded", "application/octet-stream", "image/png", ""):
        made = service.post("/v1/masks", params=KEYED, content=png(screen), headers={"content-type": kind})
        assert made.status_code == 200, made.text
        assert np.array_equal(pixels(made.content), pixels(known.content))
    form = {"image": base64.b64encode(png(screen)).decode(), **KEYED}
    assert np.array_equal(pixels(service.post("/v1/masks", data=form).content), pixels(known.content))


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


@pytest.mark.long
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
    assert [service.head(each).status_code for each in ("/healthz", "/readyz")] == [200, 200]
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
    assert fields["segmentation_resolution"]["multipleOf"] == 32
    assert {"model", "quality", "prompt_model", "box", "format"} <= set(fields)
    assert not {"folders", "accept_licence", "architecture"} & set(fields)
    assert body["application/json"]["examples"]


def test_a_mask_is_found_once_where_it_is_to_be_kept(
    client: Client, screen: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[int] = []

    def find(_: Any, source: Any, *__: Any, **___: Any) -> tuple[np.ndarray, gossamer.cutout.Origin]:
        found.append(1)
        return (source.rgb[..., 0] > source.rgb[..., 1]).astype(np.float32), gossamer.cutout.Origin("u2netp")

    monkeypatch.setattr(gossamer.Pipeline, "find", find)
    service = client()

    def ask(picture: np.ndarray = screen, **fields: str) -> np.ndarray:
        plain = {"matting": "none", "foreground": "none"}
        answered = service.post("/v1/cutouts", files={"image": png(picture)}, data={**plain, **fields})
        assert answered.status_code == 200
        return pixels(answered.content)

    assert np.array_equal(ask(), ask())
    assert len(found) == 2  # nobody asked for it to be kept
    first, inverted, again = ask(keep_mask="true"), ask(keep_mask="true", refinement_invert="true"), ask(keep_mask="1")
    assert len(found) == 3
    assert np.array_equal(first, again)  # and what was done to it stays with whom it was done for
    assert np.array_equal(inverted[..., 3], 255 - first[..., 3])
    ask(keep_mask="true", segmentation_flips="true")
    ask(np.ascontiguousarray(screen[:90]), keep_mask="true")
    assert len(found) == 5


def test_progress_comes_as_lines_and_the_last_is_the_picture(client: Client, screen: np.ndarray) -> None:
    service, accept = client(), {"accept": "application/x-ndjson"}
    answered = service.post("/v1/cutouts", files={"image": png(screen)}, data=KEYED, headers=accept)
    assert answered.headers["content-type"] == "application/x-ndjson"
    *steps, last = [json.loads(line) for line in answered.text.splitlines()]
    assert all(0 <= step["progress"] <= 1 and step["message"] for step in steps)
    assert (last["width"], last["height"]) == (128, 96)
    whole = service.post("/v1/cutouts", files={"image": png(screen)}, data=KEYED)
    assert np.array_equal(pixels(base64.b64decode(last["image"])), pixels(whole.content))
    broken = png(screen)[:200]
    answered = service.post("/v1/cutouts", files={"image": broken}, data=KEYED, headers=accept)
    assert json.loads(answered.text.splitlines()[-1])["error"]["status"] == 422
    refused = service.post("/v1/cutouts", files={"image": png(screen)}, data={"model": "none-such"}, headers=accept)
    assert refused.status_code == 404


def test_pictures_that_wait_go_through_the_network_together(
    client: Client, photograph: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four clients at once: each has what it would have alone, but for the rounding of sums."""
    pictures = [png(np.roll(photograph, 40 * turn, 1)) for turn in range(4)]
    alone = client()
    known = [pixels(alone.post("/v1/masks", files={"image": each}).content) for each in pictures]
    sizes: list[int] = []
    lead = Together._lead

    def counted(together: Any, key: Any, group: list[Any], *more: Any) -> None:
        sizes.append(len(group))
        lead(together, key, group, *more)

    monkeypatch.setattr(Together, "_lead", counted)
    service = client(batch=4)
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            answered = list(pool.map(lambda each: service.post("/v1/masks", files={"image": each}), pictures))
            for made, one in zip(answered, known, strict=True):
                assert np.abs(pixels(made.content).astype(int) - one).max() <= 1
    assert sum(sizes) == 12
    assert max(sizes) > 1


def product() -> np.ndarray:
    """Return a red square before a green screen with a soft shadow beside it: (120, 160, 3) uint8."""
    shadow = np.zeros((120, 160), np.float32)
    shadow[70:90, 40:120] = 0.5
    shadow = cv2.GaussianBlur(shadow, (0, 0), 4)
    picture = (1 - shadow[..., None]) * np.float32([40, 180, 60])
    picture[30:80, 40:88] = (200, 30, 40)
    return picture.astype(np.uint8)


def test_the_photograph_s_shadow_comes_alone_or_beside_the_cut_out(client: Client) -> None:
    data = png(product())
    recipe = gossamer.Recipe.of({"matting": {"method": "key"}, "foreground": {"shadow": "keep"}})
    known = gossamer.remove_background(data, recipe, model="none")
    wanted, alone = pixels(known.encode_shadow("png")), pixels(known.apart().encode("png"))
    assert wanted[80, 105, 3] > 90
    service, files = client(), {"image": data}
    layer = service.post("/v1/shadows", files=files, data=KEYED)
    assert (layer.status_code, layer.headers["content-type"]) == (200, "image/png"), layer.text
    assert np.array_equal(pixels(layer.content), wanted)
    both = {**KEYED, "shadow_layer": "true"}
    told = service.post("/v1/cutouts", files=files, data={**both, "format": "json"}).json()
    assert np.array_equal(pixels(base64.b64decode(told["shadow"])), wanted)
    assert np.array_equal(pixels(base64.b64decode(told["image"])), alone)
    packed = service.post("/v1/cutouts", files=files, data={**both, "format": "zip"})
    with zipfile.ZipFile(io.BytesIO(packed.content)) as archive:
        assert sorted(archive.namelist()) == ["alpha.png", "color.png", "shadow.png"]
        assert np.array_equal(pixels(archive.read("shadow.png")), wanted)
        assert np.array_equal(pixels(archive.read("alpha.png")), alone[..., 3])


def test_a_shadow_that_cannot_be_given_is_one_sentence(client: Client) -> None:
    service, files = client(), {"image": png(product())}
    for path, fields, sentence in (
        ("/v1/shadows", {"background": "#ffffff"}, "goes beneath a cut-out that stands on nothing"),
        ("/v1/shadows", {"shadow": "drop"}, "goes beneath a cut-out that stands on nothing"),
        ("/v1/shadows", {"format": "jpeg"}, "JPEG cannot hold a shadow's alpha"),
        ("/v1/shadows", {"format": "zip"}, "A shadow is one picture"),
        ("/v1/shadows", {"shadow_layer": "true"}, "a picture beside the cut-out"),
        ("/v1/cutouts", {"shadow_layer": "true"}, "a picture beside the cut-out"),
        ("/v1/cutouts", {"shadow_layer": "true", "format": "json", "background": "blur"}, "stands on nothing"),
        ("/v1/masks", {"shadow_layer": "true", "format": "json"}, "a picture beside the cut-out"),
        ("/v1/masks", {"format": "zip"}, "A mask is one picture"),
    ):
        refused = service.post(path, files=files, data={**KEYED, **fields})
        assert refused.status_code == 422, (path, fields)
        assert sentence in refused.json()["error"]["message"]
    noise = np.random.default_rng(0).normal(0, 25, (120, 160, 3))
    files = {"image": png(np.clip(product() + noise, 0, 255).astype(np.uint8))}
    refused = service.post("/v1/shadows", files=files, data=KEYED)
    assert refused.status_code == 422
    assert "The background is not plain" in refused.json()["error"]["message"]
    told = service.post("/v1/cutouts", files=files, data={**KEYED, "shadow_layer": "true", "format": "json"}).json()
    assert told["shadow"] is None
    assert any("shadow was not kept" in warning for warning in told["report"]["warnings"])
