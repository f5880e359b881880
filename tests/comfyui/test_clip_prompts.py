# SPDX-License-Identifier: GPL-3.0-or-later
"""Prompts on a clip's frames: what ComfyUI makes of them is what the library makes of the same."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gossamer import ModelChoice, Prompt, Recipe
from gossamer.video import TimedPrompt, cut_video, open_source
from tests.comfyui.graphs import EXAMPLES, node
from tests.comfyui.server import Graph, Server
from tests.prompting.tiny_models import save_sam2_tracking
from tests.video.clips import make_clip

COUNT, WIDTH, HEIGHT = 8, 96, 64
BOX, AT, LATER = (10.0, 8.0, 60.0, 56.0), Fraction(3, 25), Fraction(1, 5)
SAID = {"at": "", "text": "", "points": "", "not_points": "", "box": ""}
CUT = {"model": "auto", "quality": "balanced", "background": "transparent", "colour": "#ffffff", "format": "ffv1"}


@pytest.fixture(scope="module")
def clip(server: Server) -> str:
    make_clip(server.base / "input" / "followed.mkv", COUNT, WIDTH, HEIGHT)
    return "followed.mkv"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("transformers")
    from safetensors.torch import load_file, save_file

    folder = save_sam2_tracking(tmp_path_factory.mktemp("sam2") / "video")
    weights = load_file(folder / "model.safetensors")
    weights["mask_decoder.pred_obj_score_head.proj_out.bias"] += 10  # or seeded weights say that nothing is there
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return folder


def graph_of(clip: str, folder: Path, name: str, **said: Any) -> Graph:
    return {
        "clip": node("LoadVideo", file=clip),
        "model": node("GossamerLoadPromptModels", prompt_model="auto", device="cpu", other_model=str(folder)),
        "said": node("GossamerClipPrompt", **{**SAID, **said}),
        "cut": node(
            "GossamerCutOutVideo",
            video=["clip", 0],
            **CUT,
            matting="none",
            filename_prefix=f"clips/{name}",
            prompts=["said", 0],
            prompt_model=["model", 0],
        ),
    }


def alphas(path: Path) -> np.ndarray:
    with open_source(path) as source:
        return np.stack([one.alpha / np.iinfo(one.alpha.dtype).max for one in source.frames()])


def made(server: Server, name: str) -> np.ndarray:
    (path,) = (server.base / "output" / "clips").glob(f"{name}_*.mkv")
    return alphas(path)


def of_the_library(server: Server, clip: str, folder: Path, out: Path, prompts: list[TimedPrompt]) -> np.ndarray:
    choice = ModelChoice.of(model=str(folder), device="cpu")
    recipe = Recipe.of({"matting": {"method": "none"}})
    cut_video(server.base / "input" / clip, out, None, recipe, choice, prompts=prompts)
    return alphas(out)


def test_a_box_is_followed_and_corrected_later_as_by_the_library(
    server: Server, clip: str, folder: Path, tmp_path: Path
) -> None:
    graph = graph_of(clip, folder, "followed", at="0.12", box="10, 8, 60, 56")
    graph["later"] = node("GossamerClipPrompt", **{**SAID, "at": "0:00.2", "not_points": "80, 10"}, prompts=["said", 0])
    graph["cut"]["inputs"]["prompts"] = ["later", 0]
    run = server.run(graph)
    assert (run.status, run.message) == ("success", "")
    prompts = [TimedPrompt(AT, Prompt(boxes=(BOX,))), TimedPrompt(LATER, Prompt(not_points=((80.0, 10.0),)))]
    wanted = of_the_library(server, clip, folder, tmp_path / "out.mkv", prompts)
    found = made(server, "followed")
    assert found.shape == wanted.shape == (COUNT, HEIGHT, WIDTH)
    assert np.ptp(wanted) > 0.1
    assert np.abs(found - wanted).mean() < 0.01


def test_a_mask_of_a_frame_is_followed_in_a_clip_that_was_made_of_pictures(
    server: Server, clip: str, folder: Path, tmp_path: Path
) -> None:
    """The mask comes from a node of ours for pictures, as it would be clicked together."""
    graph = graph_of(clip, folder, "masked", at="0.12")
    graph["parts"] = node("GetVideoComponents", video=["clip", 0])
    graph["made"] = node("CreateVideo", images=["parts", 0], fps=25.0)
    graph["frame"] = node("ImageFromBatch", image=["parts", 0], batch_index=3, length=1)
    graph["grabcut"] = node("GossamerLoadPromptModels", prompt_model="grabcut", device="cpu")
    clicked = {"points": "", "not_points": "", "box": "12, 8, 52, 56", "background": "transparent", "colour": "#ffffff"}
    graph["clicked"] = node("GossamerCutOutByPoints", image=["frame", 0], **clicked, prompt_model=["grabcut", 0])
    graph["mask"] = node("WriteTensor", tensor=["clicked", 1], name="clip-mask")
    graph["said"]["inputs"] |= {"mask": ["clicked", 1], "image": ["frame", 0]}
    graph["cut"]["inputs"]["video"] = ["made", 0]
    run = server.run(graph)
    assert (run.status, run.message) == ("success", "")
    mask = np.load(server.base / "output" / "clip-mask.npy")[0]
    assert 0.05 < mask.mean() < 0.6
    wanted = of_the_library(server, clip, folder, tmp_path / "out.mkv", [TimedPrompt(AT, Prompt(mask=mask))])
    assert np.ptp(wanted) > 0.1
    assert np.abs(made(server, "masked") - wanted).mean() < 0.01
    (seen,) = run.outputs["said"]["gossamer_source"]  # the picture to click in
    assert (seen["width"], seen["height"]) == (WIDTH, HEIGHT)


def test_the_example(server: Server, folder: Path, tmp_path: Path) -> None:
    make_clip(server.base / "input" / "example.mkv", 12, 320, 240)
    graph: Graph = json.loads((EXAMPLES / "api" / "gossamer_16_video_prompt.json").read_text(encoding="utf-8"))
    for one in graph.values():
        if one["class_type"] == "LoadVideo":
            one["inputs"]["file"] = "example.mkv"
        if one["class_type"] == "GossamerLoadPromptModels":
            one["inputs"] |= {"device": "cpu", "other_model": str(folder)}
        if one["class_type"] == "GossamerCutOutVideo":
            one["inputs"] |= {"format": "ffv1", "matting": "none", "filename_prefix": "clips/example"}
    run = server.run(graph)
    assert (run.status, run.message) == ("success", "")
    prompts = [TimedPrompt(Fraction(6, 25), Prompt(boxes=((40.0, 55.0, 170.0, 185.0),)))]
    wanted = of_the_library(server, "example.mkv", folder, tmp_path / "out.mkv", prompts)
    assert np.ptp(wanted) > 0.1
    assert np.abs(made(server, "example") - wanted).mean() < 0.01


@pytest.mark.parametrize(
    ("said", "changed", "told"),
    [
        ({}, {}, "Nothing says what is meant on the frame. Give a point, a box, a mask or words."),
        ({"at": "soon", "box": "1, 2, 30, 40"}, {}, "'soon' is no time. Give seconds"),
        ({"at": "20", "box": "1, 2, 30, 40"}, {}, "There is no frame at 20 s"),
        ({"box": "1, 2, 30, 40"}, {"cut": {"model": "u2netp"}}, "Choose the model auto, or take the prompts away"),
        (
            {"box": "1, 2, 30, 40"},
            {"model": {"prompt_model": "grabcut", "other_model": ""}},
            "GrabCut follows nothing through a clip. Choose auto, sam2 or sam3 in Load Prompt Models.",
        ),
    ],
)
def test_what_cannot_be_is_one_sentence(
    server: Server, clip: str, folder: Path, said: dict[str, str], changed: dict[str, dict[str, str]], told: str
) -> None:
    graph = graph_of(clip, folder, "wrong", **said)
    for name, inputs in changed.items():
        graph[name]["inputs"] |= inputs
    run = server.run(graph)
    assert run.status == "error"
    assert told in run.message
    assert not list((server.base / "output" / "clips").glob("wrong_*"))


def test_a_time_beyond_pictures_is_told(server: Server, clip: str, folder: Path) -> None:
    graph = graph_of(clip, folder, "wrong", at="3", box="1, 2, 30, 40")
    graph["parts"] = node("GetVideoComponents", video=["clip", 0])
    graph["made"] = node("CreateVideo", images=["parts", 0], fps=25.0)
    graph["cut"]["inputs"]["video"] = ["made", 0]
    run = server.run(graph)
    assert run.status == "error"
    assert "There is no frame at 3 s: what is cut out goes from 0 s to 0.32 s. Give a time of it" in run.message
