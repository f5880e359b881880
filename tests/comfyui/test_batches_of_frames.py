# SPDX-License-Identifier: GPL-3.0-or-later
"""A batch that is a clip's frames is cut as such by nodes for pictures; one of different pictures is not."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from gossamer.matting import auto_alpha
from tests.comfyui.graphs import join, node
from tests.comfyui.server import Graph, Server
from tests.matting.auto.test_auto import HEIGHT, WIDTH, drawn
from tests.matting.auto.test_doubt import figure, half_seen, pictured

SAID = "The batch is taken for the frames of a clip"
PLAIN = {"background": "transparent", "colour": "#ffffff"}


def moved(plane: np.ndarray, by: int) -> np.ndarray:
    where = np.float32([[1, 0, by], [0, 1, 0]])
    return cv2.warpAffine(plane, where, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT)


def eight_bit(plane: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(plane, 0, 1) * 255).astype(np.uint8)


def batch(server: Server, name: str, planes: list[np.ndarray], graph: Graph) -> list[Any]:
    """Put pictures or masks into a graph as a batch; returns its link."""
    whole = [eight_bit(one if one.ndim == 3 else np.dstack([one] * 3)) for one in planes]
    own: Graph = {}
    link = join(own, [server.upload(f"{name}{n}.png", one) for n, one in enumerate(whole)])
    for key, one in own.items():
        inputs = {k: [name + v[0], v[1]] if isinstance(v, list) else v for k, v in one["inputs"].items()}
        graph[name + key] = node(one["class_type"], **inputs)
    return [name + link[0], link[1]]


@pytest.fixture(scope="module")
def seen() -> tuple[np.ndarray, np.ndarray]:
    """A picture, and a mask that half saw the lower part of the subject."""
    truth = drawn(figure)
    return pictured(truth), half_seen(truth, 0.4)


@pytest.mark.parametrize(("kind", "output"), [("GossamerRefine", 1), ("GossamerAlphaMatting", 0)])
def test_what_was_half_seen_stays_so_in_frames_alone(
    server: Server, seen: tuple[np.ndarray, np.ndarray], kind: str, output: int
) -> None:
    image, mask = seen
    frames = [(moved(image, by), moved(mask, by)) for by in (0, 4, 8)]
    others = [(image, mask), (image[:, ::-1, ::-1], mask[:, ::-1]), (1 - image, mask)]
    graph: Graph = {}
    for name, pairs in (("frames", frames), ("others", others)):
        graph[f"{name} mask"] = node(
            "ImageToMask", image=batch(server, f"{kind}{name}mask", [one for _, one in pairs], graph), channel="red"
        )
        pictures = batch(server, f"{kind}{name}", [one for one, _ in pairs], graph)
        graph[name] = node(kind, image=pictures, mask=[f"{name} mask", 0], matting="auto")
        graph[f"{name} written"] = node("WriteTensor", tensor=[name, output], name=f"half-{name}")
    if kind == "GossamerRefine":
        for name in ("frames", "others"):
            graph[name]["inputs"] |= {
                **{"matting_band": 15, "foreground": "none"},
                **{"foreground_radius": 90, "foreground_fine_radius": 6},
            }
    run = server.run(graph)
    assert (run.status, run.message) == ("success", "")
    found = {name: np.load(server.base / "output" / f"half-{name}.npy") for name in ("frames", "others")}
    for name, pairs in (("frames", frames), ("others", others)):
        for alpha, (one, hint) in zip(found[name], pairs, strict=True):
            wanted = auto_alpha(eight_bit(one), eight_bit(hint), of_clip=name == "frames")
            assert np.abs(alpha - wanted).max() < 0.01
    inside = np.s_[:, 200:, 140:260]
    assert found["frames"][inside].min(axis=(1, 2)).max() < 0.7
    assert found["others"][inside].min() > 0.9


@pytest.mark.parametrize(
    ("kind", "inputs"),
    [
        ("GossamerRemoveBackground", {"quality": "fast", "model": "u2netp"}),
        ("GossamerCutOut", {"model": ["load", 0]}),
        (
            "GossamerCutOutByPoints",
            {"points": "", "not_points": "", "box": "90, 20, 310, 290", "prompt_model": ["prompts", 0]},
        ),
    ],
)
def test_every_node_that_cuts_out_tells_frames(
    server: Server, seen: tuple[np.ndarray, np.ndarray], kind: str, inputs: dict[str, Any]
) -> None:
    image, _ = seen
    for pictures, is_clip in (
        ([moved(image, by) for by in (0, 4)], True),
        ([image, 1 - image[:, ::-1]], False),
    ):
        graph: Graph = {
            "load": node("GossamerLoadModel", model="u2netp", device="cpu", precision="auto", architecture="auto"),
            "prompts": node("GossamerLoadPromptModels", prompt_model="grabcut", device="cpu"),
        }
        name = f"{kind}{is_clip}"
        graph["cut"] = node(kind, image=batch(server, name, pictures, graph), **PLAIN, **inputs)
        graph["shown"] = node("PreviewImage", images=["cut", 0])
        before = server.log_tail(100_000).count(SAID)
        run = server.run(graph)
        assert (run.status, run.message) == ("success", "")
        assert server.log_tail(100_000).count(SAID) - before == is_clip
