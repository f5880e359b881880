# SPDX-License-Identifier: GPL-3.0-or-later
"""Graphs on real photographs, compared with the library's own results."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import gossamer
from gossamer.compositing import cover, over
from gossamer.settings.parameters import recipe_from_flat
from tests.cached_weights import weights_home
from tests.comfyui import graphs
from tests.comfyui.graphs import COMPOSITE, LOAD, MODEL, PREDICT, PREVIEW, REFINE, SAVE, node
from tests.comfyui.server import Graph, Server
from tests.matting.tiny_vitmatte import write_model


@pytest.fixture(scope="module")
def pipeline() -> Iterator[gossamer.Pipeline]:
    """The library itself, with the same model."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GOSSAMER_HOME", str(weights_home()))
        yield gossamer.Pipeline(model="u2netp", device="cpu")


def shown(array: np.ndarray) -> np.ndarray:
    """Return a result of the library as ComfyUI's PNG holds it: 8 bits, cut off."""
    return np.clip(255 * array, 0, 255).astype(np.uint8)


def difference(picture: np.ndarray, array: np.ndarray) -> int:
    """Return the largest difference in steps of 8 bits."""
    expected = shown(array)
    assert picture.shape == expected.shape
    return int(np.abs(picture.astype(int) - expected).max())


def mask_of(graph: Graph, link: list) -> str:
    """Add nodes that show a mask as a picture; returns the last one's name."""
    graph["as image"] = node("MaskToImage", mask=link)
    graph["mask shown"] = node("PreviewImage", images=["as image", 0])
    return "mask shown"


@pytest.mark.parametrize(
    "refine",
    [{}, {"matting": "closed_form", "matting_band": 6, "foreground_radius": 40}],
    ids=["plain", "matting"],
)
def test_the_example_gives_the_library_s_pixels(
    server: Server, pipeline: gossamer.Pipeline, astronaut: np.ndarray, refine: dict
) -> None:
    run = server.run(graphs.example(server.upload("astronaut.png", astronaut), **refine))
    assert (run.status, run.message) == ("success", "")
    cutout = pipeline.run(astronaut, recipe=recipe_from_flat(refine))
    assert 0.2 < cutout.alpha.mean() < 0.8  # a person before a background
    (saved,) = server.pictures(run, SAVE)
    assert difference(saved, np.dstack([cutout.foreground, cutout.alpha])) <= 1
    (preview,) = server.pictures(run, PREVIEW)
    assert difference(preview, over(cutout.foreground, cutout.alpha, np.ones(3))) <= 1
    bars = [data for kind, data in run.events if kind == "progress" and data["node"] == REFINE]
    assert bars[-1]["value"] == bars[-1]["max"]


def test_the_model_stays_warm(server: Server, astronaut: np.ndarray, cat: np.ndarray) -> None:
    graph = graphs.example(server.upload("first.png", astronaut))
    assert server.run(graph).status == "success"
    again = server.run(graph)
    assert set(graph) - again.cached() <= {SAVE, PREVIEW}
    graph[LOAD]["inputs"]["image"] = server.upload("other.png", cat)
    other = server.run(graph)
    assert other.status == "success"
    assert MODEL in other.cached()
    assert PREDICT not in other.cached()


def test_three_pictures_share_one_mask(server: Server, pipeline: gossamer.Pipeline, astronaut: np.ndarray) -> None:
    pictures = [astronaut, astronaut[:, ::-1], 255 - astronaut]
    graph = graphs.example("")
    del graph[LOAD]
    batch = graphs.join(graph, [server.upload(f"batch{i}.png", p) for i, p in enumerate(pictures)])
    graph[PREDICT]["inputs"]["image"] = ["load0", 0]
    graph[REFINE]["inputs"]["image"] = batch
    run = server.run(graph)
    assert (run.status, run.message) == ("success", "")
    mask = pipeline.load().predict(astronaut)
    saved = server.pictures(run, SAVE)
    assert len(saved) == 3
    for picture, result in zip(pictures, saved, strict=True):
        cutout = gossamer.refine(picture, mask, gossamer.Recipe())
        assert difference(result, np.dstack([cutout.foreground, cutout.alpha])) <= 1


def test_a_batch_of_pictures_has_a_mask_each(
    server: Server, pipeline: gossamer.Pipeline, astronaut: np.ndarray
) -> None:
    pictures = [astronaut, astronaut[:, ::-1]]
    graph = graphs.example("")
    del graph[LOAD], graph[COMPOSITE], graph[SAVE], graph[PREVIEW]
    batch = graphs.join(graph, [server.upload(f"pair{i}.png", p) for i, p in enumerate(pictures)])
    graph[PREDICT]["inputs"]["image"] = batch
    # one picture, two masks
    graph[REFINE]["inputs"].update(image=["load0", 0], matting="none", foreground="none")
    graph["foregrounds"] = node("PreviewImage", images=[REFINE, 0])
    masks = mask_of(graph, [REFINE, 1])
    run = server.run(graph)
    for picture, result in zip(pictures, server.pictures(run, masks), strict=True):
        assert difference(result[:, :, 0], pipeline.load().predict(picture)) <= 1
    for result in server.pictures(run, "foregrounds"):
        assert (result == astronaut).all()


def test_the_alpha_of_an_rgba_picture_multiplies_the_mask(
    server: Server, pipeline: gossamer.Pipeline, cat: np.ndarray
) -> None:
    ramp = np.broadcast_to(np.linspace(0, 255, cat.shape[1]).astype(np.uint8), cat.shape[:2])
    rgba = np.dstack([cat, ramp])
    graph = graphs.example(server.upload("rgba.png", rgba))
    graph["rgba"] = node("JoinImageWithAlpha", image=[LOAD, 0], alpha=[LOAD, 1])
    graph[PREDICT]["inputs"]["image"] = graph[REFINE]["inputs"]["image"] = ["rgba", 0]
    mask = mask_of(graph, [REFINE, 1])
    run = server.run(graph)
    cutout = pipeline.run(rgba)
    assert cutout.alpha.max() > 0.5
    assert (cutout.alpha <= ramp / 255 + 1e-6).all()
    assert difference(server.pictures(run, mask)[0][:, :, 0], cutout.alpha) <= 1
    (saved,), (preview,) = server.pictures(run, SAVE), server.pictures(run, PREVIEW)
    assert difference(saved[:, :, 3], cutout.alpha) <= 1
    assert difference(preview, over(cutout.foreground, cutout.alpha, np.ones(3))) <= 1


def test_a_foreign_mask_gives_what_the_library_gives(server: Server, cat: np.ndarray) -> None:
    """The same mask, by hand: an existing alpha multiplies it once, and the edge is solved alike."""
    height, width = cat.shape[:2]
    ramp = np.broadcast_to(np.linspace(0, 255, width).astype(np.uint8), (height, width))
    rough = np.zeros((height, width), np.uint8)
    rough[60:250, 120:330], rough[60:250, 330:380] = 255, 128
    graph: Graph = {
        "cat": node("LoadImage", image=server.upload("foreign.png", np.dstack([cat, 255 - ramp]))),
        "rgba": node("JoinImageWithAlpha", image=["cat", 0], alpha=["ramp", 0]),
        "ramp": node("LoadImageMask", image=server.upload("ramp.png", np.dstack([ramp] * 3)), channel="red"),
        "rough": node("LoadImageMask", image=server.upload("rough.png", np.dstack([rough] * 3)), channel="red"),
    }
    widgets = server.get("/object_info/GossamerRefine")["GossamerRefine"]["input"]
    defaults = {name: spec[1]["default"] for name, spec in widgets["required"].items() if name not in ("image", "mask")}
    graph["refine"] = node("GossamerRefine", image=["rgba", 0], mask=["rough", 0], **defaults)
    graph["as image"] = node("MaskToImage", mask=["refine", 1])
    graph["shown"] = node("PreviewImage", images=["as image", 0])
    run = server.run(graph)
    assert (run.status, run.message) == ("success", "")
    # JoinImageWithAlpha takes 1 - alpha
    cutout = gossamer.refine(np.dstack([cat, 255 - ramp]), rough)
    assert difference(server.pictures(run, "shown")[0][:, :, 0], cutout.alpha) <= 1


def test_vitmatte_is_loaded_once(server: Server, cat: np.ndarray, tmp_path: Path) -> None:
    folder = write_model(tmp_path / "tiny")
    graph = graphs.example(server.upload("cat.png", cat), matting="vitmatte", matting_model=str(folder))
    graph["two"] = node("RepeatImageBatch", image=[LOAD, 0], amount=2)
    graph[PREDICT]["inputs"]["image"] = graph[REFINE]["inputs"]["image"] = ["two", 0]
    assert server.run(graph).status == "success"
    for file in folder.glob("*.safetensors"):
        file.unlink()  # what is loaded anew would fail
    graph[REFINE]["inputs"]["matting_band"] = 12
    again = server.run(graph)
    assert (again.status, again.message) == ("success", "")
    assert server.post("/free", {"unload_models": True})[0] == 200
    assert server.run(graph).status == "success"  # nothing is computed anew; ComfyUI frees after a prompt at the latest
    graph[REFINE]["inputs"]["matting_band"] = 14
    assert server.run(graph).status == "error"  # it was unloaded with ComfyUI's own networks


def test_a_background_of_another_size_covers(
    server: Server, pipeline: gossamer.Pipeline, astronaut: np.ndarray, cat: np.ndarray
) -> None:
    graph = graphs.example(server.upload("subject.png", astronaut))
    graph["behind"] = node("LoadImage", image=server.upload("behind.png", cat))
    graph[COMPOSITE]["inputs"]["background"] = ["behind", 0]
    (preview,) = server.pictures(server.run(graph), PREVIEW)
    cutout = pipeline.run(astronaut)
    behind = cover(cat.astype(np.float32) / 255, *astronaut.shape[:2])
    assert difference(preview, over(cutout.foreground, cutout.alpha, behind)) <= 1
    edge = cutout.alpha < 1e-3
    assert edge.any()
    assert np.abs(preview[edge].astype(int) - shown(behind)[edge]).max() <= 1


def test_a_colour_of_the_user_s(server: Server, astronaut: np.ndarray) -> None:
    graph = graphs.example(server.upload("subject.png", astronaut))
    graph["nothing"] = node("SolidMask", value=0.0, width=512, height=512)
    graph[COMPOSITE]["inputs"].update(colour="#3366cc", mask=["nothing", 0])
    run = server.run(graph)
    (preview,) = server.pictures(run, PREVIEW)
    assert (preview == (0x33, 0x66, 0xCC)).all()
    (saved,) = server.pictures(run, SAVE)
    assert (saved[:, :, 3] == 0).all()


def test_files_in_model_folders(server: Server, pipeline: gossamer.Pipeline, cat: np.ndarray) -> None:
    graph = graphs.example(server.upload("cat.png", cat))
    for key in (REFINE, COMPOSITE, SAVE, PREVIEW):
        del graph[key]
    shown_mask = mask_of(graph, [PREDICT, 0])
    expected = pipeline.load().predict(cat)
    for model, architecture in (("gossamer/of-my-own.onnx", "u2net"), ("rembg/u2netp.onnx", "auto")):
        graph[MODEL]["inputs"].update(model=model, architecture=architecture)
        run = server.run(graph)
        assert (run.status, run.message) == ("success", "")
        assert difference(server.pictures(run, shown_mask)[0][:, :, 0], expected) <= 1
        assert MODEL in server.run(graph).cached()
    file = server.base / "other_models" / "rembg" / "u2netp.onnx"
    status = file.stat()
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + 10**9))
    assert MODEL not in server.run(graph).cached()  # a changed file is loaded anew


def finish_graph(server: Server, picture: np.ndarray, mask: np.ndarray, **finish: object) -> Graph:
    """Return a graph that finishes a picture by a mask that is given."""
    graph: Graph = {
        "picture": node("LoadImage", image=server.upload("finish.png", picture)),
        "grey": node("LoadImage", image=server.upload("finish-mask.png", np.dstack([mask] * 3))),
        "mask": node("ImageToMask", image=["grey", 0], channel="red"),
        "finish": node("GossamerFinish", foreground=["picture", 0], mask=["mask", 0], preset="none", colour="#ffffff"),
    }
    graph["finish"]["inputs"].update(finish)
    for output, name in enumerate(("image", "rgba")):
        graph[name] = node("PreviewImage", images=["finish", output])
    return graph


def test_finishing_gives_the_library_s_canvas(server: Server, cat: np.ndarray) -> None:
    rows, columns = np.mgrid[: cat.shape[0], : cat.shape[1]]
    mask = np.clip(255 * (100 - np.hypot(rows - 150, columns - 220)) / 8, 0, 255).astype(np.uint8)
    chosen = {"canvas_size": "180x220", "canvas_margin": "10%", "shadow": "contact"}
    graph = finish_graph(server, cat, mask, **chosen)
    alone = mask_of(graph, ["finish", 2])
    run = server.run(graph)
    assert (run.status, run.message) == ("success", "")
    cutout = gossamer.finish_cutout(np.dstack([cat, mask]), recipe_from_flat(chosen))
    (rgba,), (image,), (subject,) = (server.pictures(run, name) for name in ("rgba", "image", alone))
    assert rgba.shape == (220, 180, 4)
    assert difference(rgba, np.dstack([cutout.composite, cutout.composite_alpha])) <= 1
    assert difference(subject[:, :, 0], cutout.alpha) <= 1
    assert difference(image, over(cutout.composite, cutout.composite_alpha, np.ones(3))) <= 1


def test_a_preset_and_widgets_that_win(server: Server, cat: np.ndarray) -> None:
    mask = np.zeros(cat.shape[:2], np.uint8)
    mask[50:250, 100:300] = 255
    run = server.run(finish_graph(server, cat, mask, preset="amazon", canvas_fill=50.0, colour="#ff0000"))
    assert (run.status, run.message) == ("success", "")
    (image,) = server.pictures(run, "image")
    assert image.shape == (400, 400, 3)  # 200 pixels are half of it, and none is enlarged
    assert image[5, 5].tolist() == [255, 0, 0]
    assert difference(image[101:299, 101:299], cat[51:249, 101:299] / np.float32(255)) <= 1


def test_a_batch_that_comes_to_several_sizes_is_told_what_to_give(server: Server, cat: np.ndarray) -> None:
    masks = np.zeros((2, *cat.shape[:2]), np.uint8)
    masks[0, 50:250, 100:300], masks[1, 50:150, 100:300] = 255, 255
    graph = finish_graph(server, cat, masks[0], canvas_margin="5px")
    graph["grey2"] = node("LoadImage", image=server.upload("finish-mask2.png", np.dstack([masks[1]] * 3)))
    graph["both"] = node("ImageBatch", image1=["grey", 0], image2=["grey2", 0])
    graph["mask"]["inputs"]["image"] = ["both", 0]
    run = server.run(graph)
    assert run.status == "error"
    assert "Picture 2 comes to 210 x 110 pixels, but the first one to 210 x 210" in run.message
    assert "canvas_size" in run.message
    graph["finish"]["inputs"]["canvas_size"] = "300x300"
    assert [picture.shape for picture in server.pictures(server.run(graph), "image")] == [(300, 300, 3)] * 2


def test_a_check_gives_the_library_s_score(server: Server, cat: np.ndarray) -> None:
    rows, columns = np.mgrid[: cat.shape[0], : cat.shape[1]]
    mask = np.clip(255 * (100 - np.hypot(rows - 150, columns - 220)) / 3, 0, 255).astype(np.uint8)
    graph: Graph = {
        "picture": node("LoadImage", image=server.upload("check.png", cat)),
        "grey": node("LoadImage", image=server.upload("check-mask.png", np.dstack([mask] * 3))),
        "mask": node("ImageToMask", image=["grey", 0], channel="red"),
        "check": node("GossamerCheck", foreground=["picture", 0], mask=["mask", 0], photo=["picture", 0]),
        "report": node("PreviewAny", source=["check", 2]),
        "good": node("PreviewAny", source=["check", 1]),
    }
    run = server.run(graph)
    assert (run.status, run.message) == ("success", "")
    expected = gossamer.check(np.dstack([cat, mask]), cat)
    (report,) = json.loads(run.outputs["report"]["text"][0])
    assert report["score"] == pytest.approx(expected.score, abs=0.5)
    assert [flag["id"] for flag in report["flags"]] == [flag.id for flag in expected.flags]
    assert run.outputs["good"]["text"][0].lower() == str(not expected.faulty).lower()
