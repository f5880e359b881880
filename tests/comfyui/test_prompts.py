# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes that cut out what somebody means, compared with the library's own results."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import gossamer
from gossamer import Finding, Prompt
from tests.cached_weights import weights_home
from tests.comfyui.graphs import node
from tests.comfyui.server import Graph, Run, Server
from tests.comfyui.test_graphs import difference
from tests.prompting.tiny_models import save_grounding_dino, save_sam2

BOX = (120, 60, 380, 260)


@pytest.fixture(autouse=True)
def _own_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOSSAMER_HOME", str(weights_home()))


def graph_of(server: Server, picture: np.ndarray, node_id: str, **inputs: object) -> Graph:
    """Return a graph of one prompted node with GrabCut."""
    return {
        "picture": node("LoadImage", image=server.upload("prompted.png", picture)),
        "model": node("GossamerLoadPromptModels", prompt_model="grabcut", device="cpu"),
        "cut": node(
            node_id,
            image=["picture", 0],
            background="transparent",
            colour="#ffffff",
            prompt_model=["model", 0],
            **inputs,
        ),
        "image": node("PreviewImage", images=["cut", 0]),
        "mask": node("PreviewImage", images=["cut", 2]),
    }


def painted(server: Server, graph: Graph, name: str, mask: np.ndarray) -> list:
    """Add a mask that was painted in the mask editor to a graph; returns its link."""
    alpha = np.where(mask, 0, 255).astype(np.uint8)
    picture = np.dstack([np.zeros((*mask.shape, 3), np.uint8), alpha])
    graph[name] = node("LoadImage", image=server.upload(f"{name}.png", picture))
    return [name, 1]


def compare(server: Server, run: Run, picture: np.ndarray, prompt: Prompt, **settings: object) -> gossamer.Cutout:
    """Compare what a graph gave with what the library gives."""
    assert (run.status, run.message) == ("success", "")
    finding = Finding.of(prompt_model="grabcut", **settings)
    cutout = gossamer.open(picture, finding=finding, device="cpu").cutout(prompt)
    (image,), (mask,) = server.pictures(run, "image"), server.pictures(run, "mask")
    assert difference(image, np.dstack([cutout.foreground, cutout.alpha])) <= 1
    assert difference(mask, np.dstack([cutout.alpha] * 3)) <= 1
    return cutout


@pytest.mark.parametrize(
    ("inputs", "prompt"),
    [
        ({"points": "", "not_points": "", "box": "120, 60, 380, 260"}, {"boxes": [BOX]}),
        (
            {"points": '[{"x": 250, "y": 150}, {"x": 200, "y": 200}]', "not_points": "20, 20\n430 280", "box": ""},
            {"points": [(250, 150), (200, 200)], "not_points": [(20, 20), (430, 280)]},
        ),
    ],
    ids=["box", "points"],
)
def test_points_and_boxes(server: Server, cat: np.ndarray, inputs: dict, prompt: dict) -> None:
    run = server.run(graph_of(server, cat, "GossamerCutOutByPoints", **inputs))
    cutout = compare(server, run, cat, Prompt(**prompt))
    assert 0.05 < cutout.alpha.mean() < 0.9


def test_a_painted_blob(server: Server, astronaut: np.ndarray) -> None:
    blob = np.zeros(astronaut.shape[:2], bool)
    blob[60:480, 130:330] = True
    graph = graph_of(server, astronaut, "GossamerCutOutByRough")
    graph["cut"]["inputs"] |= {"kind": "rough mask", "mask": painted(server, graph, "blob", blob)}
    compare(server, server.run(graph), astronaut, Prompt(mask=blob.astype(np.float32)))


def test_scribbles(server: Server, cat: np.ndarray) -> None:
    on, off = (np.zeros(cat.shape[:2], bool) for _ in range(2))
    on[120:200, 200:300], off[:20], off[:, :20] = True, True, True
    graph = graph_of(server, cat, "GossamerCutOutByRough")
    graph["cut"]["inputs"] |= {"kind": "scribbles", "mask": painted(server, graph, "on", on)}
    graph["cut"]["inputs"]["not_subject"] = painted(server, graph, "off", off)
    marks = np.full(cat.shape[:2], 0.5, np.float32)
    marks[on], marks[off] = 1, 0
    cutout = compare(server, server.run(graph), cat, Prompt(scribbles=marks))
    assert cutout.alpha[on].min() == 1
    assert cutout.alpha[off].max() == 0


def test_nothing_painted_is_what_was_asked_for(server: Server, cat: np.ndarray) -> None:
    graph = graph_of(server, cat, "GossamerCutOutByRough")
    graph["cut"]["inputs"]["kind"] = "rough mask"
    graph["cut"]["inputs"]["mask"] = ["picture", 1]  # an opaque picture's mask: 64 x 64, and empty
    run = server.run(graph)
    assert run.status == "error"
    assert "Nothing is marked for picture 1. Mark the subject, or choose on_empty empty or full." in run.message
    for on_empty, value in (("empty", 0), ("full", 255)):
        graph["cut"]["inputs"]["on_empty"] = on_empty
        run = server.run(graph)
        assert (run.status, run.message) == ("success", "")
        assert (server.pictures(run, "mask")[0] == value).all()


def test_text_is_read_by_the_models_of_a_folder(server: Server, cat: np.ndarray, tmp_path: Path) -> None:
    dino, sam = save_grounding_dino(tmp_path / "dino"), save_sam2(tmp_path / "sam2")
    graph = graph_of(server, cat, "GossamerCutOutByText", text="cat\nthe lamp", box_threshold=0.01)
    graph["cut"]["inputs"] |= {"text_threshold": 0.01, "on_empty": "full"}
    graph["model"]["inputs"]["other_model"] = f"{dino},{sam}"
    run = server.run(graph)
    assert (run.status, run.message) == ("success", "")
    session = gossamer.open(cat, prompt_model=f"{dino},{sam}", device="cpu")
    cutout = session.cutout(Prompt(text=("cat", "the lamp")), box_threshold=0.01, text_threshold=0.01, on_empty="full")
    assert difference(server.pictures(run, "image")[0], np.dstack([cutout.foreground, cutout.alpha])) <= 1


@pytest.mark.parametrize(
    ("kind", "inputs", "message"),
    [
        ("GossamerCutOutByText", {"text": "the lamp"}, "GrabCut does not read text."),
        ("GossamerCutOutByText", {"text": " "}, "Nothing is marked for picture 1."),
        ("GossamerCutOutByPoints", {"points": "[{", "not_points": "", "box": ""}, "The points '[{' cannot be read."),
        ("GossamerCutOutByPoints", {"points": "1 2 3", "not_points": "", "box": ""}, "is not made of 2 numbers"),
        ("GossamerCutOutByPoints", {"points": "", "not_points": "", "box": "a, b"}, "is not made of 4 numbers"),
        ("GossamerCutOutByPoints", {"points": "900, 900", "not_points": "", "box": ""}, "lies outside the picture"),
    ],
)
def test_bad_prompts_are_told_in_one_sentence(
    server: Server, cat: np.ndarray, kind: str, inputs: dict, message: str
) -> None:
    run = server.run(graph_of(server, cat, kind, **inputs))
    assert run.status == "error"
    assert message in run.message
    assert "Traceback" not in run.message
    assert len(run.message) < 400, json.dumps(run.message)
