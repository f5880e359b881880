# SPDX-License-Identifier: GPL-3.0-or-later
"""What ComfyUI finds in a git clone of this repository."""

from __future__ import annotations

import json
import os
import subprocess

import numpy as np
import pytest
from PIL import Image

from gossamer import ModelChoice, load_catalogue
from gossamer.settings.parameters import parameters
from tests.comfyui import examples, graphs, help_pages, translations
from tests.comfyui.install import REPOSITORY, comfyui
from tests.comfyui.server import Server

# Saved workflows hold widget values by position and links by name: append to these, never change them.
INPUTS = {
    "GossamerLoadModel": [*("model", "device", "precision", "architecture"), *("quality", "runtime", "accept_licence")],
    "GossamerPredictMask": [
        "model",
        "image",
        *("segmentation_detail", "segmentation_flips", "segmentation_resolution"),
    ],
    "GossamerRefine": [
        *("image", "mask", "matting", "matting_band"),
        *("foreground", "foreground_radius", "foreground_fine_radius"),
        *("refinement_unit", "refinement_invert", "refinement_threshold", "refinement_fill_holes"),
        *("refinement_remove_specks", "refinement_keep_largest", "refinement_smooth", "refinement_black_point"),
        *("refinement_white_point", "refinement_shift_edge", "refinement_feather", "refinement_contrast"),
        *("matting_model", "foreground_despill", "foreground_despill_strength", "matting_unit", "matting_screen"),
        *("foreground_shadow", "invert_mask", "foreground_decontaminate"),
    ],
    "GossamerComposite": ["foreground", "mask", "colour", "background", "background_linear_light", "invert_mask"],
    "GossamerFinish": [
        *("foreground", "mask", "preset", "colour", "background"),
        *("canvas_crop", "canvas_margin", "canvas_aspect", "canvas_size", "canvas_fill", "canvas_align"),
        *("canvas_too_small", "canvas_sharpen", "canvas_head"),
        *("shadow", "shadow_opacity", "shadow_softness", "shadow_distance", "shadow_angle", "shadow_tilt"),
        *("shadow_reach", "shadow_colour", "canvas_haze", "invert_mask"),
    ],
    "GossamerCheck": ["foreground", "mask", "photo", "made_of", "invert_mask"],
    "GossamerRemoveBackground": [
        *("image", "quality", "background", "colour", "background_image", "model", "second_colour"),
        *("matting", "refinement_shift_edge", "refinement_feather", "segmentation_resolution"),
    ],
    "GossamerCutOut": [
        *("model", "image", "background", "colour", "background_image", "second_colour"),
        *("matting", "refinement_shift_edge", "refinement_feather", "segmentation_detail"),
        "segmentation_resolution",
    ],
    "GossamerLoadPromptModels": ["prompt_model", "device", "other_model"],
    "GossamerCutOutByText": [
        *("image", "text", "background", "colour", "prompt_model", "background_image", "on_empty", "prompt_combine"),
        *("every", "box_threshold", "text_threshold", "matting", "refinement_shift_edge", "second_colour"),
    ],
    "GossamerCutOutByPoints": [
        *("image", "points", "not_points", "box", "background", "colour", "prompt_model", "background_image"),
        *("on_empty", "prompt_combine", "matting", "refinement_shift_edge", "second_colour", "boxes"),
    ],
    "GossamerCutOutByRough": [
        *("image", "mask", "kind", "background", "colour", "prompt_model", "background_image", "on_empty"),
        *("prompt_combine", "matting", "refinement_shift_edge", "second_colour", "not_subject"),
    ],
    "GossamerRefineMask": [
        *("mask", "refinement_fill_holes", "refinement_remove_specks", "refinement_keep_largest", "refinement_smooth"),
        *("refinement_shift_edge", "refinement_feather", "refinement_contrast", "refinement_unit"),
        *("refinement_invert", "refinement_threshold", "refinement_black_point", "refinement_white_point"),
    ],
    "GossamerMakeTrimap": ["mask", "image", "band", "foreground_threshold", "background_threshold"],
    "GossamerAlphaMatting": [
        *("image", "matting", "mask", "trimap", "matting_band", "matting_unit", "matting_model", "matting_screen"),
    ],
    "GossamerEstimateForeground": [
        *("image", "mask", "foreground", "foreground_despill", "foreground_despill_strength"),
        *("foreground_radius", "foreground_fine_radius"),
    ],
    "GossamerCombineMasks": ["mask_1", "mask_2", "combine", "mask_3", "mask_4"],
    "GossamerCompare": ["image", "mask_1", "names", "mask_2", "mask_3", "mask_4", "own_colours", "width", "zoom"],
    "GossamerCropToSubject": ["image", "mask", "margin", "multiple"],
    "GossamerPasteBack": ["image", "place", "onto", "feather", "mask"],
    "GossamerShadow": [
        *("foreground", "mask", "shadow", "shadow_opacity", "shadow_softness", "shadow_distance", "shadow_angle"),
        *("shadow_tilt", "shadow_reach", "shadow_colour"),
    ],
    "GossamerPhotographedShadow": ["image", "mask"],
    "GossamerUnloadModels": ["anything"],
    "GossamerCutOutVideo": [
        *("video", "model", "quality", "format", "background", "colour", "filename_prefix", "hold", "hold_strength"),
        *("ratio", "second_colour", "matting", "start", "end", "sound", "crf", "accept_licence"),
        *("prompts", "prompt_model"),
    ],
    "GossamerClipPrompt": [*("at", "text", "points", "not_points", "box"), *("boxes", "mask", "prompts", "image")],
    "GossamerCutOutFrames": [
        *("image", "model", "quality", "background", "colour", "hold", "hold_strength", "ratio", "remembered"),
        *("second_colour", "matting", "accept_licence", "prompts", "prompt_model", "fps"),
    ],
    "GossamerSaveVideo": ["images", "format", "fps", "filename_prefix", "mask", "audio", "crf", "invert_mask"],
    "GossamerTemporalSmooth": ["image", "mask", "hold_strength", "invert_mask"],
    "GossamerLoadFolder": ["folder", "subfolders", "first", "count"],
    "GossamerSaveFolder": ["image", "name", "folder", "format", "overwrite"],
}
OUTPUTS = {
    "GossamerLoadModel": ["GOSSAMER_MODEL"],
    "GossamerPredictMask": ["MASK"],
    "GossamerRefine": ["IMAGE", "MASK"],
    "GossamerComposite": ["IMAGE", "IMAGE", "MASK"],
    "GossamerFinish": ["IMAGE", "IMAGE", "MASK"],
    "GossamerCheck": ["FLOAT", "BOOLEAN", "STRING"],
    "GossamerRemoveBackground": ["IMAGE", "MASK", "IMAGE"],
    "GossamerCutOut": ["IMAGE", "MASK", "IMAGE"],
    "GossamerLoadPromptModels": ["GOSSAMER_PROMPT_MODEL"],
    "GossamerCutOutByText": ["IMAGE", "MASK", "IMAGE"],
    "GossamerCutOutByPoints": ["IMAGE", "MASK", "IMAGE"],
    "GossamerCutOutByRough": ["IMAGE", "MASK", "IMAGE"],
    "GossamerRefineMask": ["MASK"],
    "GossamerMakeTrimap": ["MASK", "IMAGE"],
    "GossamerAlphaMatting": ["MASK"],
    "GossamerEstimateForeground": ["IMAGE", "IMAGE", "IMAGE"],
    "GossamerCombineMasks": ["MASK", "MASK"],
    "GossamerCompare": ["IMAGE"],
    "GossamerCropToSubject": ["IMAGE", "MASK", "GOSSAMER_PLACE"],
    "GossamerPasteBack": ["IMAGE"],
    "GossamerShadow": ["IMAGE", "MASK"],
    "GossamerPhotographedShadow": ["IMAGE", "MASK"],
    "GossamerUnloadModels": ["*"],
    "GossamerClipPrompt": ["GOSSAMER_CLIP_PROMPTS"],
    "GossamerCutOutVideo": ["VIDEO", "STRING"],
    "GossamerCutOutFrames": ["IMAGE", "MASK", "GOSSAMER_REMEMBERED"],
    "GossamerSaveVideo": ["VIDEO", "STRING"],
    "GossamerTemporalSmooth": ["MASK"],
    "GossamerLoadFolder": ["IMAGE", "STRING"],
    "GossamerSaveFolder": ["STRING"],
}


def test_the_nodes_are_there_with_their_permanent_inputs(server: Server) -> None:
    info = server.get("/object_info")
    ours = {name: node for name, node in info.items() if node["category"] == "Gossamer"}
    assert {name: [*node["input_order"]["required"], *node["input_order"].get("optional", [])]
            for name, node in ours.items()} == INPUTS  # fmt: skip
    assert {name: node["output"] for name, node in ours.items()} == OUTPUTS
    for name, node in ours.items():
        assert all([node["description"], *node["output_tooltips"]]), name
        for key, spec in node["input"]["required"].items():
            assert spec[1]["tooltip"], (name, key)
            if spec[0] == "MASK":
                assert "1 (white) = foreground" in spec[1]["tooltip"]
        for key, spec in {**node["input"]["required"], **node["input"].get("optional", {})}.items():
            assert "_" not in spec[1].get("display_name", key), (name, key)  # words, not an id


@pytest.mark.parametrize(
    ("node", "stages", "others"),
    [
        ("GossamerRefine", ("refinement", "matting", "foreground"), {"image", "mask", "invert_mask"}),
        (
            "GossamerFinish",
            ("canvas", "shadow"),
            {"foreground", "mask", "preset", "colour", "background", "invert_mask"},
        ),
    ],
)
def test_widgets_are_the_library_s_parameters(
    server: Server, node: str, stages: tuple[str, ...], others: set[str]
) -> None:
    inputs = server.get(f"/object_info/{node}")[node]["input"]
    widgets = {**inputs["required"], **inputs["optional"]}
    wanted = [item for item in parameters() if item.stage in stages and item.name != "canvas_dpi"]
    kinds = {"int": "INT", "float": "FLOAT"}
    assert {item.name for item in wanted} == set(widgets) - others
    for item in wanted:
        kind, spec = widgets[item.name]
        assert spec["default"] == item.default
        if item.kind == "choice":
            assert (kind, tuple(spec["options"])) == ("COMBO", item.choices)
        elif item.kind in ("bool", "text"):
            assert kind == {"bool": "BOOLEAN", "text": "STRING"}[item.kind]
        else:
            assert (kind, spec["min"], spec["max"]) == (kinds[item.kind], item.minimum, item.maximum)
            assert item.kind == "float" or spec["step"] == (item.step or 1)


def test_the_model_s_widgets_are_those_of_its_choice(server: Server) -> None:
    inputs = server.get("/object_info/GossamerLoadModel")["GossamerLoadModel"]["input"]
    widgets = {**inputs["required"], **inputs["optional"]}
    known = {item.name: item for item in parameters(ModelChoice)}
    assert set(widgets) <= set(known)
    for name, (kind, spec) in widgets.items():
        assert spec["default"] == known[name].default
        assert kind == ("BOOLEAN" if known[name].kind == "bool" else "COMBO")
        if known[name].kind == "choice":
            assert tuple(spec["options"]) == known[name].choices


def test_it_needs_nothing_but_its_requirements(server: Server) -> None:
    installation = comfyui()
    if "COMFYUI_PATH" not in os.environ:  # what is in an environment of the user's own is their business
        look = "import importlib.util; print(importlib.util.find_spec('gossamer'))"
        found = subprocess.run([installation.python, "-I", "-c", look], capture_output=True, text=True, check=True)
        assert found.stdout.strip() == "None"
    assert "GossamerRefine" in server.get("/object_info")


def test_models_are_the_catalogue_s_and_those_in_all_model_folders(server: Server) -> None:
    spec = server.get("/object_info/GossamerLoadModel")["GossamerLoadModel"]["input"]["required"]["model"][1]
    assert spec["options"] == ["auto", *load_catalogue(), "gossamer/of-my-own.onnx", "rembg/u2netp.onnx"]


def test_help_pages_templates_and_texts_are_served(server: Server) -> None:
    for name in INPUTS:
        status, page = server.fetch(f"/extensions/gossamer/docs/{name}.md")
        assert status == 200
        for key in INPUTS[name]:
            assert f"**{key}**" in page.decode(), (name, key)
        assert f"]({name}.jpg)" in page.decode()
        with Image.open(help_pages.DOCS / f"{name}.jpg") as picture:
            assert np.asarray(picture).std() > 10, name
    assert set(server.get("/workflow_templates")["gossamer"]) == {graphs.NAME, *examples.GRAPHS}
    for suffix in (".json", ".jpg"):
        assert server.fetch(f"/api/workflow_templates/gossamer/{graphs.NAME}{suffix}")[0] == 200
    texts = translations.definitions(server.get("/object_info"))
    assert json.loads(translations.FILE.read_text(encoding="utf-8")) == texts, f"Type: {translations.COMMAND}"
    assert server.get("/i18n")["en"]["nodeDefs"] == texts
    for file, text in help_pages.pages().items():
        assert file.read_text(encoding="utf-8") == text, f"Type: {help_pages.COMMAND}"


def test_no_v1_mappings() -> None:
    # with them ComfyUI would silently take the pack for one of the old kind
    files = [REPOSITORY / "__init__.py", *sorted((REPOSITORY / "comfyui_nodes").rglob("*.py"))]
    assert not [file for file in files if "NODE_CLASS_MAPPINGS" in file.read_text(encoding="utf-8")]


def test_both_forms_of_the_example_are_the_same_graph() -> None:
    drawn = json.loads((graphs.EXAMPLES / f"{graphs.NAME}.json").read_text(encoding="utf-8"))
    script = json.loads((graphs.EXAMPLES / "api" / f"{graphs.NAME}.json").read_text(encoding="utf-8"))
    nodes = {str(node["id"]): node for node in drawn["nodes"] if node["type"] != "MarkdownNote"}
    assert {key: node["type"] for key, node in nodes.items()} == {
        key: node["class_type"] for key, node in script.items()
    }
    links = {
        (str(to), nodes[str(to)]["inputs"][slot]["name"]): [str(start), output]
        for _, start, output, to, slot, _ in drawn["links"]
    }
    assert links == {
        (key, name): value
        for key, node in script.items()
        for name, value in node["inputs"].items()
        if isinstance(value, list)
    }
    for key, node in script.items():
        values = [value for value in node["inputs"].values() if not isinstance(value, list)]
        assert nodes[key]["widgets_values"][: len(values)] == values


def test_the_preview_is_a_picture() -> None:
    with Image.open(graphs.EXAMPLES / f"{graphs.NAME}.jpg") as picture:
        assert np.asarray(picture).std() > 20
