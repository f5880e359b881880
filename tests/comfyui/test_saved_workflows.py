# SPDX-License-Identifier: GPL-3.0-or-later
"""Workflows go on working: our own, saved earlier, and those made with other packs."""

from __future__ import annotations

import copy
import importlib.util
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tests.comfyui import snapshot
from tests.comfyui.graphs import node
from tests.comfyui.install import REPOSITORY
from tests.comfyui.server import Graph, Server


def test_only_additions_at_the_end(server: Server) -> None:
    now = snapshot.of(server.get("/object_info"))
    assert snapshot.faults(snapshot.read(), now) == []
    assert snapshot.read() == now, f"Type: {snapshot.COMMAND}"


def test_what_would_break_workflows_is_seen() -> None:
    before = snapshot.read()
    for change, said in (
        (lambda now: now.pop("GossamerRefine"), "The node GossamerRefine is gone."),
        (lambda now: now["GossamerRefine"]["inputs"].insert(3, {"name": "new", "required": False}), "Input 4 of"),
        (lambda now: now["GossamerRefine"]["inputs"].reverse(), "Input 1 of GossamerRefine was image"),
        (lambda now: now["GossamerRefine"]["inputs"].pop(), "Input"),
        (lambda now: now["GossamerRefine"]["inputs"][2]["options"].remove("none"), "matting of GossamerRefine cannot"),
        (lambda now: now["GossamerRefine"]["inputs"][3].update(default=11), "Input 4 of GossamerRefine was matting_b"),
        (lambda now: now["GossamerPredictMask"]["inputs"][0].update(type="BACKGROUND_REMOVAL"), "Input 1 of Gossamer"),
        (
            lambda now: now["GossamerRefine"]["inputs"].append({"name": "new", "required": True}),
            "The new input new of GossamerRefine is required.",
        ),
        (lambda now: now["GossamerRefine"]["outputs"].reverse(), "The outputs of GossamerRefine were"),
    ):
        now = copy.deepcopy(before)
        change(now)
        assert snapshot.faults(before, now)[0].startswith(said)
    now = copy.deepcopy(before)
    now["GossamerNew"] = {"inputs": [], "outputs": []}
    now["GossamerRefine"]["inputs"].append({"name": "new", "required": False})
    now["GossamerRefine"]["outputs"].append("MASK")
    now["GossamerRefine"]["inputs"][0]["type"] += ",LATENT"
    assert snapshot.faults(before, now) == []


@pytest.fixture(scope="module")
def replacements() -> ModuleType:
    """The module, which needs ComfyUI only where it registers."""
    spec = importlib.util.spec_from_file_location("replacements", REPOSITORY / "comfyui_nodes" / "replacements.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["replacements"] = module
    spec.loader.exec_module(module)
    return module


def test_what_stands_in_is_valid(server: Server, replacements: ModuleType) -> None:
    """All that ours requires is given, nothing else is, and each value is one that can be chosen."""
    info = server.get("/object_info")
    known = {name: {one["name"]: one for one in taken["inputs"]} for name, taken in snapshot.of(info).items()}
    for one in replacements.read():
        inputs = known[one.new]
        given = {*one.inputs, *one.values}
        assert given <= set(inputs), one.old
        assert {name for name, entry in inputs.items() if entry["required"]} <= given, one.old
        for name, value in one.values.items():
            assert value in inputs[name].get("options", [value]), (one.old, name)
        for _, ours in one.outputs:
            assert ours < len(info[one.new]["output"]), one.old


def replaced(graph: Graph, rules: list[Any]) -> Graph:
    """Do what ComfyUI's mechanism does to a prompt, from 0.25 on, for servers before it."""
    graph = copy.deepcopy(graph)
    by_name = {one.old: one for one in rules}
    outputs: dict[str, dict[int, int]] = {}
    for key, old in graph.items():
        if rule := by_name.get(old["class_type"]):
            inputs = {}
            for entry in rule.input_mapping():
                # an input that is absent there is an error
                inputs[entry["new_id"]] = entry["set_value"] if "set_value" in entry else old["inputs"][entry["old_id"]]
            graph[key] = node(rule.new, **inputs)
            outputs[key] = {entry["old_idx"]: entry["new_idx"] for entry in rule.output_mapping()}
    for each in graph.values():
        for value in each["inputs"].values():
            if isinstance(value, list) and value[0] in outputs:
                value[1] = outputs[value[0]].get(value[1], value[1])
    return graph


def finished(graph: Graph, image: list[Any] | None, mask: list[Any] | None) -> Graph:
    """Add what shows the results."""
    if image:
        graph["image shown"] = node("PreviewImage", images=image)
    if mask:
        graph["mask"] = node("MaskToImage", mask=mask)
        graph["mask shown"] = node("PreviewImage", images=["mask", 0])
    return graph


PICTURE, IT = ["picture", 0], "it"
WORKFLOWS: dict[str, Graph] = {
    "RMBG, all that is optional missing": finished(
        {IT: node("RMBG", image=PICTURE, model="RMBG-2.0")}, [IT, 0], [IT, 1]
    ),
    "RMBG": finished(
        {IT: node("RMBG", image=PICTURE, model="RMBG-2.0", sensitivity=1.0, process_res=1024, background="Alpha")},
        [IT, 2],
        [IT, 1],
    ),
    "BiRefNetRMBG": finished({IT: node("BiRefNetRMBG", image=PICTURE, model="BiRefNet-HR")}, [IT, 0], [IT, 1]),
    "InspyrenetRembg": finished(
        {IT: node("InspyrenetRembgAdvanced", image=PICTURE, threshold=0.5, torchscript_jit="default")}, [IT, 0], [IT, 1]
    ),
    "rembg": finished({IT: node("Image Remove Background (rembg)", image=PICTURE)}, [IT, 0], None),
    "essentials": finished(
        {
            "session": node("RemBGSession+", model="u2net: general purpose", providers="CPU"),
            IT: node("ImageRemoveBackground+", rembg_session=["session", 0], image=PICTURE),
        },
        [IT, 0],
        [IT, 1],
    ),
    "BiRefNet_ll": finished(
        {
            "model": node("AutoDownloadBiRefNetModel", model_name="General", device="AUTO"),
            "found": node(
                "GetMaskByBiRefNet",
                model=["model", 0],
                images=PICTURE,
                width=1024,
                height=1024,
                upscale_method="bilinear",
                mask_threshold=0.0,
            ),
            IT: node(
                "BlurFusionForegroundEstimation",
                images=PICTURE,
                masks=["found", 0],
                blur_size=90,
                blur_size_two=6,
                fill_color=False,
                color=0,
            ),
        },
        [IT, 0],
        [IT, 1],
    ),
    "BiRefNet_ll in one": finished(
        {
            "model": node("LoadRembgByBiRefNetModel", model="General.safetensors", device="AUTO"),
            IT: node("RembgByBiRefNet", model=["model", 0], images=PICTURE),
        },
        [IT, 0],
        [IT, 1],
    ),
    "SET": finished(
        {
            "model": node("AutoDownloadU2NetModel_SET", model_name="Base", device="AUTO"),
            IT: node("RembgByBiRefNet_SET", model=["model", 0], images=PICTURE, batch_size=1),
            "found": node(
                "GetMaskByBiRefNet_SET",
                model=["model", 0],
                images=PICTURE,
                width=320,
                height=320,
                upscale_method="bilinear",
                mask_threshold=0.0,
                batch_size=1,
            ),
        },
        [IT, 0],
        ["found", 0],
    ),
}


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_of_another_pack_runs(server: Server, replacements: ModuleType, cat: np.ndarray, name: str) -> None:
    graph: Graph = {"picture": node("LoadImage", image=server.upload("cat.png", cat)), **WORKFLOWS[name]}
    if server.fetch("/node_replacements")[0] == 200:
        for each in graph.values():
            each["_meta"] = {"title": each["class_type"]}  # as in what ComfyUI exports; without it, it fails
    else:  # ComfyUI before it had the mechanism
        graph = replaced(graph, replacements.read())
    run = server.run(graph)
    assert (run.status, run.message) == ("success", "")
    for shown in ("image shown", "mask shown"):
        if shown in graph:
            (picture,) = server.pictures(run, shown)
            assert picture.shape[:2] == cat.shape[:2]
            assert picture.std() > 10


def test_workflows_with_a_text_become_valid_graphs(server: Server, replacements: ModuleType) -> None:
    """Their models are gigabytes: that all is there and fits is what can be seen without."""
    info = server.get("/object_info")
    graph: Graph = {
        "sam": node("SAMModelLoader (segment anything)", model_name="sam_hq_vit_h (2.57GB)"),
        "dino": node("GroundingDinoModelLoader (segment anything)", model_name="GroundingDINO_SwinT_OGC (694MB)"),
        "anything": node(
            "GroundingDinoSAMSegment (segment anything)",
            sam_model=["sam", 0],
            grounding_dino_model=["dino", 0],
            image=PICTURE,
            prompt="the cat",
            threshold=0.3,
        ),
        "one": node("Segment", image=PICTURE, prompt="the cat", sam_model="a", dino_model="b"),
        "two": node("SegmentV2", image=PICTURE, prompt="the cat", sam_model="a", dino_model="b"),
        "three": node("SAM2Segment", image=PICTURE, prompt="the cat", sam2_model="a", dino_model="b", device="Auto"),
        "four": node("SAM3Segment", image=PICTURE, prompt="the cat", output_mode="Merged", confidence_threshold=0.5),
    }
    for key, new in replaced(graph, replacements.read()).items():
        inputs = info[new["class_type"]]["input"]
        assert set(inputs["required"]) <= set(new["inputs"]), key
        if key not in ("sam", "dino"):
            assert new["class_type"] == "GossamerCutOutByText"
            assert new["inputs"]["text"] == "the cat"
            assert new["inputs"]["image"] == PICTURE
