# SPDX-License-Identifier: GPL-3.0-or-later
"""What other nodes may hand over: each is taken as it is meant, or refused in one sentence of ComfyUI's words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gossamer.compositing import over
from tests.comfyui.graphs import node
from tests.comfyui.server import Graph, Run, Server


@pytest.fixture(scope="module")
def graph(server: Server, cat: np.ndarray) -> Graph:
    """A picture, a mask of it that is white in the middle, and a Composite of both over blue."""
    mask = np.zeros((*cat.shape[:2], 3), np.uint8)
    mask[60:250, 120:380] = 255
    mask[60:250, 300:380] = 128
    return {
        "picture": node("LoadImage", image=server.upload("odd.png", cat)),
        "grey": node("LoadImage", image=server.upload("odd-mask.png", mask)),
        "mask": node("ImageToMask", image=["grey", 0], channel="red"),
        "composite": node("GossamerComposite", foreground=["picture", 0], mask=["mask", 0], colour="#0000ff"),
    }


def written(server: Server, graph: Graph, link: list[Any]) -> np.ndarray:
    """Return a tensor of a graph as it is."""
    run = server.run({**graph, "written": node("WriteTensor", tensor=link, name="odd")})
    assert (run.status, run.message) == ("success", "")
    return np.load(server.base / "output" / "odd.npy")


def composed(server: Server, graph: Graph, output: int = 0, **inputs: Any) -> np.ndarray:
    """Return what Composite hands out with other inputs."""
    inputs = {**graph["composite"]["inputs"], **inputs}
    return written(server, {**graph, "composite": node("GossamerComposite", **inputs)}, ["composite", output])


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("none", "The foreground is an empty batch of the shape (0, 300, 451, 3). Look at the node before it"),
        ("text", "The foreground is no picture but of the type str. Connect an IMAGE, e.g. Load Image's output."),
        ("mask", "The foreground is a MASK of the shape (1, 300, 451). Put Convert Mask to Image before it."),
        ("bytes", "The foreground has values up to 231, not 1. Divide 8-bit values by 255."),
        ("nan", "The foreground holds NaN or infinity (number 1 of the batch). Look at the node before it"),
        ("inf", "The foreground holds NaN or infinity (number 1 of the batch)."),
    ],
)
def test_what_is_no_image(server: Server, graph: Graph, kind: str, said: str) -> None:
    odd = node("OddImage", how=kind, image=["picture", 0])
    inputs = {**graph["composite"]["inputs"], "foreground": ["odd", 0]}
    run = _run(server, {**graph, "odd": odd, "composite": node("GossamerComposite", **inputs)})
    assert run.message.startswith(said)
    assert run.error["node_id"] == "composite"


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("none", "The mask is an empty batch of the shape (0, 300, 451). Look at the node before it"),
        ("list", "The mask is no picture but of the type list. Connect a MASK, e.g. Predict Mask (Gossamer)'s output."),
        ("image", "The mask is an IMAGE of the shape (1, 300, 451, 3). Put Convert Image to Mask before it."),
        ("nan", "The mask holds NaN or infinity (number 1 of the batch). Look at the node before it"),
        ("-inf", "The mask holds NaN or infinity (number 1 of the batch)."),
        ("9", "The mask has values from 0 to 9."),
    ],
)
def test_what_is_no_mask(server: Server, graph: Graph, kind: str, said: str) -> None:
    odd = node("OddMask", how=kind, image=["grey", 0])
    inputs = {**graph["composite"]["inputs"], "mask": ["odd", 0]}
    run = _run(server, {**graph, "odd": odd, "composite": node("GossamerComposite", **inputs)})
    assert run.message.startswith(said)
    assert run.error["node_id"] == "composite"


def _run(server: Server, graph: Graph) -> Run:
    run = server.run({**graph, "shown": node("PreviewImage", images=["composite", 0])})
    assert run.status == "error"
    assert "\n" not in run.message
    return run


@pytest.mark.parametrize("kind", ["BHW1", "B1HW", "HW"])
def test_masks_of_other_shapes_are_masks(server: Server, graph: Graph, kind: str) -> None:
    odd = {**graph, "odd": node("OddMask", how=kind, image=["grey", 0])}
    np.testing.assert_array_equal(composed(server, odd, mask=["odd", 0]), composed(server, graph))


def test_load_image_s_empty_mask_is_told(server: Server, graph: Graph) -> None:
    inputs = {**graph["composite"]["inputs"], "mask": ["picture", 1]}
    run = _run(server, {**graph, "composite": node("GossamerComposite", **inputs)})
    assert run.message == (
        "The mask is Load Image's empty one: its file is opaque, and nothing is painted on it. "
        "Paint it in the mask editor, or connect a mask from another node, e.g. Predict Mask (Gossamer)."
    )


def test_a_mask_that_is_painted_and_one_of_transparency(server: Server, graph: Graph, cat: np.ndarray) -> None:
    """The mask editor writes 255 - paint into the file's alpha, and Load Image's mask is 1 where that is 0."""
    painted = np.zeros(cat.shape[:2], np.uint8)
    painted[60:250, 120:380] = 255
    for alpha, inverted in ((255 - painted, False), (painted, True)):
        file = server.upload("painted.png", np.dstack([cat, alpha]))
        odd = {**graph, "painted": node("LoadImage", image=file)}
        mask = composed(server, odd, 2, mask=["painted", 1], invert_mask=inverted)
        np.testing.assert_array_equal(mask[0], painted / np.float32(255))


def test_inverting_is_the_same_in_every_node(server: Server, graph: Graph) -> None:
    turned = {**graph, "turned": node("InvertMask", mask=["mask", 0])}
    for kind, output, first in (
        ("GossamerRefine", 1, "image"),
        ("GossamerFinish", 2, "foreground"),
        ("GossamerCheck", 0, "foreground"),
    ):
        inputs: dict[str, Any] = {first: ["picture", 0]}
        if kind == "GossamerRefine":
            inputs |= {"matting": "none", "matting_band": 10, "foreground": "none"}
            inputs |= {"foreground_radius": 90, "foreground_fine_radius": 6}
        if kind == "GossamerFinish":
            inputs |= {"preset": "none", "colour": "#ffffff"}
        found = [
            written(
                server, {**turned, "it": node(kind, **inputs, mask=[mask, 0], invert_mask=inverted)}, ["it", output]
            )
            for mask, inverted in (("mask", False), ("turned", True))
        ]
        np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("colour", ["#36c", "#3366cc", "#3366ccff", "rgb(51, 102, 204)"])
def test_opaque_colours(server: Server, graph: Graph, colour: str) -> None:
    image = composed(server, graph, colour=colour)
    assert image.shape[3] == 3
    np.testing.assert_allclose(image[0, 0, 0], np.array([0x33, 0x66, 0xCC]) / 255, atol=1e-6)


@pytest.mark.parametrize("kind", ["GossamerComposite", "GossamerFinish"])
def test_a_colour_that_is_transparent_in_part(server: Server, graph: Graph, cat: np.ndarray, kind: str) -> None:
    """Seen over white, it is what the subject is over that colour over white."""
    inputs = {**graph["composite"]["inputs"], "colour": "#3366cc80"}
    if kind == "GossamerFinish":
        inputs["preset"] = "none"
    (image,) = written(server, {**graph, "composite": node(kind, **inputs)}, ["composite", 0])
    assert image.shape[2] == 4
    (mask,) = composed(server, graph, 2)
    colour = np.array([0x33, 0x66, 0xCC], np.float32) / 255
    opacity = 0x80 / 255
    behind = colour * opacity + (1 - opacity)
    np.testing.assert_allclose(
        over(image[:, :, :3], image[:, :, 3], np.ones(3)), over(cat, mask, behind.astype(np.float32)), atol=1e-5
    )
    assert image[0, 0, 3] == pytest.approx(opacity)


def test_highlights_above_1_survive(server: Server, graph: Graph, cat: np.ndarray) -> None:
    bright = {**graph, "bright": node("OddImage", how="bright", image=["picture", 0])}
    everything = node("SolidMask", value=1.0, width=cat.shape[1], height=cat.shape[0])
    bright["everything"] = everything
    for linear in (False, True):
        image = composed(
            server, bright, foreground=["bright", 0], mask=["everything", 0], background_linear_light=linear
        )
        assert (image[0, :20, :, 0] == 6.5).all()
    nothing = {**bright, "nothing": node("SolidMask", value=0.0, width=cat.shape[1], height=cat.shape[0])}
    image = composed(server, nothing, background=["bright", 0], mask=["nothing", 0])
    assert (image[0, :20, :, 0] == 6.5).all()
    refine = {"matting": "auto", "matting_band": 10, "foreground": "auto"}
    refine |= {"foreground_radius": 90, "foreground_fine_radius": 6}
    bright["refine"] = node("GossamerRefine", image=["bright", 0], mask=["everything", 0], **refine)
    colours = written(server, bright, ["refine", 0])
    np.testing.assert_allclose(colours[0, :20, :, 0], 6.5, atol=1e-5)


def test_comfyui_s_own_model_is_one(server: Server, graph: Graph, cat: np.ndarray) -> None:
    """A BACKGROUND_REMOVAL goes where GOSSAMER_MODEL goes: its masks, kept within 0 and 1."""
    red = cat[..., 0] / np.float32(255)
    across = np.linspace(0, 0.2, cat.shape[1], dtype=np.float32)
    seen, mirrored = np.clip(red + across, 0, 1), np.clip(red + across[::-1], 0, 1)
    own = {**graph, "own": node("OwnRemover")}
    own["many"] = node("RepeatImageBatch", image=["picture", 0], amount=2)
    for flips, expected in ((False, seen), (True, (seen + mirrored) / 2)):
        own["it"] = node("GossamerPredictMask", model=["own", 0], image=["many", 0], segmentation_flips=flips)
        masks = written(server, own, ["it", 0])
        assert masks.shape == (2, *cat.shape[:2])
        np.testing.assert_allclose(masks, [expected] * 2, atol=1e-6)
    own["it"] = node("GossamerCutOut", model=["own", 0], image=["picture", 0], background="transparent")
    own["it"]["inputs"] |= {"colour": "#ffffff", "matting": "none"}
    np.testing.assert_allclose(written(server, own, ["it", 1])[0], seen, atol=1e-6)
    own["it"]["inputs"]["segmentation_detail"] = True
    before = server.log.read_text(encoding="utf-8", errors="replace")
    written(server, own, ["it", 1])
    said = server.log.read_text(encoding="utf-8", errors="replace")[len(before) :]
    assert said.count("ComfyUI's own model does not look closer") == 1
