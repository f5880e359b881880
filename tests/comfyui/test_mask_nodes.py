# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes for masks, mattes, crops and shadows, compared with the library's own results."""

from __future__ import annotations

import numpy as np
import pytest

import gossamer
from gossamer.canvas import crop_box, paste_back
from gossamer.foreground import despill, estimate_foreground
from gossamer.matting import closed_form_alpha, trimap_from_mask
from gossamer.refinement import refine_mask
from gossamer.settings import recipe_from_flat
from gossamer.sheets import Entry, contact_sheet
from gossamer.sheets.layout import LABEL
from tests.canvas.test_photographed import scene
from tests.comfyui.graphs import node
from tests.comfyui.server import Graph, Run, Server
from tests.comfyui.test_graphs import difference


def masks_of(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Two soft discs, (H, W) uint8."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return tuple(
        np.clip(255 * (radius - np.hypot(rows - 150, columns - centre)) / 12, 0, 255).astype(np.uint8)
        for radius, centre in ((100, 220), (80, 260))
    )


def begun(server: Server, picture: np.ndarray, **masks: np.ndarray) -> Graph:
    """Return a graph with a picture and masks."""
    graph: Graph = {"picture": node("LoadImage", image=server.upload("masks.png", picture))}
    for name, mask in masks.items():
        file = server.upload(f"{name}.png", np.dstack([mask] * 3))
        graph[name] = node("LoadImageMask", image=file, channel="red")
    return graph


def show(graph: Graph, name: str, link: list, mask: bool = False) -> None:
    """Add nodes that show an output under a name."""
    if mask:
        graph[f"{name} as image"] = node("MaskToImage", mask=link)
        link = [f"{name} as image", 0]
    graph[name] = node("PreviewImage", images=link)


def plane(server: Server, run: Run, name: str) -> np.ndarray:
    """Return a shown mask."""
    (picture,) = server.pictures(run, name)
    return picture[:, :, 0]


def test_masks_are_corrected_combined_and_compared(server: Server, cat: np.ndarray) -> None:
    one, two = masks_of(cat.shape)
    graph = begun(server, cat, one=one, two=two)
    controls = {"refinement_shift_edge": -3.5, "refinement_feather": 2.0, "refinement_contrast": 30.0}
    graph["refined"] = node("GossamerRefineMask", mask=["one", 0], **controls)
    show(graph, "refined shown", ["refined", 0], mask=True)
    for way in ("mean", "max", "min", "subtract", "vote"):
        graph[way] = node("GossamerCombineMasks", mask_1=["one", 0], mask_2=["two", 0], combine=way)
        show(graph, f"{way} shown", [way, 0], mask=True)
    show(graph, "apart", ["mean", 1], mask=True)
    graph["sheet"] = node(
        "GossamerCompare", image=["picture", 0], mask_1=["one", 0], mask_2=["two", 0], names="left", width=160
    )
    show(graph, "sheet shown", ["sheet", 0])
    run = server.run(graph)
    assert (run.status, run.message) == ("success", "")
    first, second = one / np.float32(255), two / np.float32(255)
    expected = refine_mask(first, recipe_from_flat(controls).refinement)
    assert difference(plane(server, run, "refined shown"), expected) <= 1
    for way in ("mean", "max", "min", "subtract", "vote"):
        combined = gossamer.combine_masks([first, second], way)
        assert difference(plane(server, run, f"{way} shown"), combined.mask) <= 1
    assert difference(plane(server, run, "apart"), combined.disagreement) <= 1
    entries = [
        Entry(name, estimate_foreground(cat, mask).foreground, mask)
        for name, mask in (("left", first), ("mask 2", second))
    ]
    (sheet,) = server.pictures(run, "sheet shown")
    expected = contact_sheet(entries, width=160)
    cells = np.ones(len(expected), bool)
    for top in (0, len(expected) // 2):
        cells[top : top + LABEL] = False  # letters are those of the server's own OpenCV
    assert sheet.shape == expected.shape
    assert difference(sheet[cells], expected[cells]) <= 2


def test_trimap_matting_and_colours_one_after_the_other(server: Server, cat: np.ndarray) -> None:
    one, _ = masks_of(cat.shape)
    graph = begun(server, cat, one=one)
    graph["trimap"] = node("GossamerMakeTrimap", mask=["one", 0], band=6)
    graph["matte"] = node("GossamerAlphaMatting", image=["picture", 0], matting="auto", trimap=["trimap", 0])
    graph["usual"] = node("GossamerAlphaMatting", image=["picture", 0], matting="auto", mask=["one", 0])
    graph["colours"] = node(
        "GossamerEstimateForeground",
        image=["picture", 0],
        mask=["matte", 0],
        foreground="auto",
        foreground_despill="green",
    )
    show(graph, "trimap shown", ["trimap", 1])
    for name in ("matte", "usual"):
        show(graph, f"{name} shown", [name, 0], mask=True)
    for output, name in enumerate(("front", "back", "rgba")):
        show(graph, name, ["colours", output])
    run = server.run(graph)
    assert (run.status, run.message) == ("success", "")
    mask = one / np.float32(255)
    trimap = trimap_from_mask(mask, band=6)
    assert set(np.unique(trimap)) == {0, 0.5, 1}
    assert difference(plane(server, run, "trimap shown"), trimap) <= 1
    alpha = closed_form_alpha(cat, trimap)
    assert difference(plane(server, run, "matte shown"), alpha) <= 1
    usual = gossamer.refine(cat, mask, recipe_from_flat({"foreground": "none"})).alpha
    assert difference(plane(server, run, "usual shown"), usual) <= 1
    layers = estimate_foreground(cat, alpha)
    front = despill(layers.foreground, alpha, "green", 1.0)
    assert difference(server.pictures(run, "front")[0], front) <= 1
    assert difference(server.pictures(run, "back")[0], layers.background) <= 1
    assert difference(server.pictures(run, "rgba")[0], np.dstack([front, alpha])) <= 1


def test_a_crop_comes_back_and_a_shadow_falls(server: Server, cat: np.ndarray) -> None:
    _, two = masks_of(cat.shape)
    graph = begun(server, cat, two=two)
    graph["crop"] = node("GossamerCropToSubject", image=["picture", 0], mask=["two", 0], margin=5.0, multiple=8)
    graph["changed"] = node("ImageInvert", image=["crop", 0])
    graph["back"] = node("GossamerPasteBack", image=["changed", 0], place=["crop", 2], onto=["picture", 0], feather=4)
    graph["shadow"] = node("GossamerShadow", foreground=["picture", 0], mask=["two", 0], shadow="drop")
    graph["unload"] = node("GossamerUnloadModels", anything=["shadow", 0])
    for name, link in (("crop", ["crop", 0]), ("back", ["back", 0]), ("shadow", ["unload", 0])):
        show(graph, f"{name} shown", link)
    run = server.run(graph)
    assert (run.status, run.message) == ("success", "")
    mask, picture = two / np.float32(255), cat / np.float32(255)
    box = crop_box([mask], margin=5, multiple=8)
    left, top, right, bottom = (int(side) for side in box)
    assert (right - left) % 8 == (bottom - top) % 8 == 0
    part = picture[top:bottom, left:right]
    assert difference(server.pictures(run, "crop shown")[0], part) <= 1
    assert difference(server.pictures(run, "back shown")[0], paste_back(picture, 1 - part, box, feather=4)) <= 1
    cutout = gossamer.finish_cutout(np.dstack([cat, two]), recipe_from_flat({"shadow": "drop"}))
    shadow = np.dstack([cutout.composite, cutout.composite_alpha])
    assert difference(server.pictures(run, "shadow shown")[0], shadow) <= 1
    assert shadow[..., 3].mean() > mask.mean()


@pytest.mark.parametrize(
    ("kind", "inputs", "message"),
    [
        ("GossamerAlphaMatting", {"matting": "auto"}, "Neither a mask nor a trimap is connected."),
        ("GossamerAlphaMatting", {"matting": "guided", "trimap": ["one", 0]}, "guided takes no trimap."),
        (
            "GossamerAlphaMatting",
            {"matting": "closed_form", "trimap": ["small", 0]},
            "The trimap is 90 x 80 pixels, but the image is 451 x 300.",
        ),
        (
            "GossamerCropToSubject",
            {"mask": ["nothing", 0], "margin": 0.0, "multiple": 1},
            "Nothing is in the matte, so that there is nothing to crop to. Give another mask.",
        ),
    ],
)
def test_bad_input_is_told_in_one_sentence(
    server: Server, cat: np.ndarray, kind: str, inputs: dict, message: str
) -> None:
    one, _ = masks_of(cat.shape)
    graph = begun(server, cat, one=one, small=np.ascontiguousarray(one[:80, :90]), nothing=0 * one)
    graph["node"] = node(kind, image=["picture", 0])
    graph["node"]["inputs"] |= inputs
    graph["shown"] = node("PreviewAny", source=["node", 0])
    run = server.run(graph)
    assert run.status == "error"
    assert message in run.message


def test_the_photographed_shadow_lies_between_a_new_background_and_the_cut_out(server: Server) -> None:
    pixels, alpha, colour, shadow = scene()
    picture, mask = (np.round(one * 255).astype(np.uint8) for one in (pixels, alpha))
    graph = begun(server, picture, mask=mask)
    graph["shadow"] = node("GossamerPhotographedShadow", image=["picture", 0], mask=["mask", 0])
    graph["below"] = node("GossamerComposite", foreground=["shadow", 0], mask=["shadow", 1], colour="#00b140")
    graph["all"] = node(
        "GossamerComposite", foreground=["picture", 0], mask=["mask", 0], colour="#ffffff", background=["below", 0]
    )
    for name in ("shadow", "all"):
        show(graph, f"{name} shown", [name, 0])
    run = server.run(graph)
    assert (run.status, run.message) == ("success", "")
    layer = server.pictures(run, "shadow shown")[0].astype(np.float32) / 255
    assert layer[..., :3].max() == 0
    assert np.abs(layer[..., 3] - shadow)[alpha == 0].mean() < 0.008
    green = np.float32([0, 0xB1, 0x40]) / 255
    truth = alpha[..., None] * colour + (1 - alpha[..., None]) * (1 - shadow[..., None]) * green
    assert np.abs(server.pictures(run, "all shown")[0] / np.float32(255) - truth).mean() < 2 / 255


def test_where_no_shadow_can_be_told_there_is_none(server: Server, cat: np.ndarray) -> None:
    graph = begun(server, cat, mask=masks_of(cat.shape)[0])
    graph["shadow"] = node("GossamerPhotographedShadow", image=["picture", 0], mask=["mask", 0])
    show(graph, "shadow shown", ["shadow", 1], mask=True)
    run = server.run(graph)
    assert (run.status, run.message) == ("success", "")
    assert plane(server, run, "shadow shown").max() == 0
