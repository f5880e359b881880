# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes that cut out in one step, compared with the library's own results."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import save_file

import gossamer
from gossamer.compositing import cover, over
from gossamer.networks.state_dict import load_network
from gossamer.settings import recipe_from_flat
from tests.cached_weights import weights_home
from tests.comfyui.graphs import join, node
from tests.comfyui.server import Graph, Server
from tests.comfyui.test_graphs import difference


@pytest.fixture(scope="module")
def pipeline() -> Iterator[gossamer.Pipeline]:
    """The library itself, with the same model."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GOSSAMER_HOME", str(weights_home()))
        yield gossamer.Pipeline(model="u2netp", device="cpu")


def graph_of(server: Server, picture: np.ndarray, kind: str = "GossamerRemoveBackground", **inputs: object) -> Graph:
    """Return a graph of one node in one step; its outputs are shown by nodes of their names."""
    graph: Graph = {
        "picture": node("LoadImage", image=server.upload("one-step.png", picture)),
        "cut": node(kind, image=["picture", 0], background="transparent", colour="#ffffff"),
    }
    if kind == "GossamerRemoveBackground":
        graph["cut"]["inputs"] |= {"quality": "fast", "model": "u2netp"}
    else:
        graph["load"] = node("GossamerLoadModel", model="u2netp", device="cpu", precision="auto", architecture="auto")
        graph["cut"]["inputs"]["model"] = ["load", 0]
    graph["cut"]["inputs"] |= inputs
    graph["image"] = node("PreviewImage", images=["cut", 0])
    graph["mask"] = node("PreviewImage", images=["cut", 2])
    return graph


@pytest.mark.parametrize("kind", ["GossamerRemoveBackground", "GossamerCutOut"])
def test_one_node_gives_the_library_s_cut_out(
    server: Server, pipeline: gossamer.Pipeline, astronaut: np.ndarray, kind: str
) -> None:
    run = server.run(graph_of(server, astronaut, kind))
    assert (run.status, run.message) == ("success", "")
    cutout = pipeline.run(astronaut)
    (image,), (mask,) = server.pictures(run, "image"), server.pictures(run, "mask")
    assert difference(image, np.dstack([cutout.foreground, cutout.alpha])) <= 1
    assert difference(mask, np.dstack([cutout.alpha] * 3)) <= 1


@pytest.fixture
def in_torch(server: Server) -> Iterator[Path]:
    """U²-Netp's weights for torch, in ComfyUI's model folder."""
    file = server.base / "models" / "gossamer" / "small.safetensors"
    save_file(load_network(weights_home() / "models" / "u2netp.onnx", "u2netp").state_dict(), file)
    yield file
    file.unlink()


def test_another_size_than_the_authors_is_seen_or_refused(server: Server, cat: np.ndarray, in_torch: Path) -> None:
    graph = graph_of(server, cat, "GossamerCutOut", matting="none", segmentation_resolution=512)
    graph["load"]["inputs"]["model"] = f"gossamer/{in_torch.name}"
    graph["predict"] = node("GossamerPredictMask", model=["load", 0], image=["picture", 0], segmentation_resolution=512)
    graph["as image"] = node("MaskToImage", mask=["predict", 0])
    graph["predicted"] = node("PreviewImage", images=["as image", 0])
    run = server.run(graph)
    assert (run.status, run.message) == ("success", "")
    expected = gossamer.load_model(str(in_torch), device="cpu").at(512).predict(cat)
    for name in ("mask", "predicted"):
        (shown,) = server.pictures(run, name)
        assert difference(shown, np.dstack([expected] * 3)) <= 1
    run = server.run(graph_of(server, cat, segmentation_resolution=512))
    assert run.message == (
        "The ONNX file of u2netp takes pictures of 320 x 320 pixels only, and not of 512 x 512. Leave the resolution "
        "at 0, or choose a model that runs in torch (the runtime torch): it takes others."
    )
    assert run.node == "cut"


@pytest.mark.parametrize(
    ("widgets", "flat"),
    [
        ({"background": "colour", "colour": "#3366cc"}, {"background": "#3366cc"}),
        ({"background": "blur"}, {"background": "blur"}),
        (
            {"background": "gradient", "colour": "#112233", "second_colour": "#ffeedd", "refinement_shift_edge": -2.5},
            {"background": "gradient:#112233,#ffeedd", "refinement_shift_edge": -2.5},
        ),
    ],
    ids=["colour", "blur", "gradient"],
)
def test_backgrounds_are_the_library_s(
    server: Server, pipeline: gossamer.Pipeline, cat: np.ndarray, widgets: dict, flat: dict
) -> None:
    run = server.run(graph_of(server, cat, **widgets))
    assert (run.status, run.message) == ("success", "")
    cutout = pipeline.run(cat, recipe=recipe_from_flat(flat))
    (image,) = server.pictures(run, "image")
    assert difference(image, cutout.composite) <= 1


def test_a_batch_before_a_picture(server: Server, pipeline: gossamer.Pipeline, cat: np.ndarray) -> None:
    pictures = [cat, cat[:, ::-1]]
    graph = graph_of(server, cat)
    batch = join(graph, [server.upload(f"batch{i}.png", picture) for i, picture in enumerate(pictures)])
    behind = 255 - cat[:200]
    graph["behind"] = node("LoadImage", image=server.upload("behind.png", behind))
    graph["cut"]["inputs"] |= {"image": batch, "background_image": ["behind", 0]}
    run = server.run(graph)
    for picture, image in zip(pictures, server.pictures(run, "image"), strict=True):
        cutout = pipeline.run(picture)
        covered = cover(behind / np.float32(255), *cat.shape[:2])
        assert difference(image, over(cutout.foreground, cutout.alpha, covered)) <= 1


def test_batches_that_do_not_fit_together_are_told(server: Server, cat: np.ndarray) -> None:
    graph = graph_of(server, cat)
    graph["two"] = node("RepeatImageBatch", image=["picture", 0], amount=2)
    graph["three"] = node("RepeatImageBatch", image=["picture", 0], amount=3)
    graph["cut"]["inputs"] |= {"image": ["two", 0], "background_image": ["three", 0]}
    run = server.run(graph)
    assert run.status == "error"
    assert "do not fit together: 2 in image, 3 in background_image" in run.message


def test_what_all_pictures_of_a_batch_lack_is_said_once_a_run(server: Server) -> None:
    blank = np.full((96, 128, 3), 230, np.uint8)
    graph = graph_of(server, blank)
    graph["many"] = node("RepeatImageBatch", image=["picture", 0], amount=3)
    graph["cut"]["inputs"]["image"] = ["many", 0]
    for colour in ("#010203", "#040506"):  # another one, as ComfyUI keeps the results of what it has done
        graph["cut"]["inputs"]["colour"] = colour
        graph["cut"]["inputs"]["background"] = "colour"
        before = server.log.read_text(encoding="utf-8", errors="replace")
        assert server.run(graph).status == "success"
        said = server.log.read_text(encoding="utf-8", errors="replace")[len(before) :]
        assert said.count("Almost nothing was found") == 1, said
