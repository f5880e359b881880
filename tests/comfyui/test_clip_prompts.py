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
from gossamer.video import TimedPrompt, Video, cut_video, open_source
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


def of_the_library(
    server: Server, clip: str, folder: Path, out: Path, prompts: list[TimedPrompt], settings: Video | None = None
) -> np.ndarray:
    choice = ModelChoice.of(model=str(folder), device="cpu")
    recipe = Recipe.of({"matting": {"method": "none"}})
    cut_video(server.base / "input" / clip, out, settings, recipe, choice, prompts=prompts)
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


FRAMES = {"model": "auto", "quality": "balanced", "background": "transparent", "colour": "#ffffff", "hold": "none"}


def graph_of_frames(clip: str, folder: Path, chunks: list[tuple[int, int]], fps: float = 25.0) -> Graph:
    """Return a graph that cuts chunks of a clip's frames, one after the other, with a box on the fourth frame."""
    graph: Graph = {
        "clip": node("LoadVideo", file=clip),
        "parts": node("GetVideoComponents", video=["clip", 0]),
        "model": node("GossamerLoadPromptModels", prompt_model="auto", device="cpu", other_model=str(folder)),
        "said": node("GossamerClipPrompt", **{**SAID, "at": "0.12", "box": "10, 8, 60, 56"}),
        "later": node("GossamerClipPrompt", **{**SAID, "at": "0.72", "not_points": "80, 10"}, prompts=["said", 0]),
    }
    for place, (first, count) in enumerate(chunks):
        graph[f"frames{place}"] = node("ImageFromBatch", image=["parts", 0], batch_index=first, length=count)
        graph[f"cut{place}"] = node(
            "GossamerCutOutFrames",
            image=[f"frames{place}", 0],
            **FRAMES,
            matting="none",
            prompts=["later", 0],
            prompt_model=["model", 0],
            fps=fps,
        )
        if place:
            graph[f"cut{place}"]["inputs"]["remembered"] = [f"cut{place - 1}", 2]
        graph[f"written{place}"] = node("WriteTensor", tensor=[f"cut{place}", 1], name=f"followed{place}")
    return graph


def masks(server: Server, count: int) -> np.ndarray:
    return np.concatenate([np.load(server.base / "output" / f"followed{place}.npy") for place in range(count)])


@pytest.fixture(scope="module")
def longer(server: Server) -> str:
    make_clip(server.base / "input" / "followed-long.mkv", 24, WIDTH, HEIGHT)
    return "followed-long.mkv"


@pytest.mark.parametrize("chunks", [[(0, 24)], [(0, 16), (16, 4), (20, 4)]])
def test_frames_are_followed_as_the_clip_in_one_batch_and_in_chunks(
    server: Server, longer: str, folder: Path, tmp_path: Path, chunks: list[tuple[int, int]]
) -> None:
    run = server.run(graph_of_frames(longer, folder, chunks))
    assert (run.status, run.message) == ("success", "")
    prompts = [TimedPrompt(AT, Prompt(boxes=(BOX,))), TimedPrompt(Fraction(18, 25), Prompt(not_points=((80.0, 10.0),)))]
    wanted = of_the_library(server, longer, folder, tmp_path / "out.mkv", prompts, Video(hold="none"))
    found = masks(server, len(chunks))
    assert found.shape == wanted.shape == (24, HEIGHT, WIDTH)
    assert np.ptp(wanted) > 0.1
    assert np.abs(found - wanted).mean() < 0.01
    if len(chunks) > 1:  # the correction waits for its chunk
        assert "The prompt at 0.72 s is for a frame after these, which end at 0.64 s." in server.log_tail(400)


def test_a_chunk_goes_on_without_prompts(server: Server, longer: str, folder: Path) -> None:
    graph = graph_of_frames(longer, folder, [(0, 16), (16, 8)])
    del graph["cut1"]["inputs"]["prompts"], graph["cut1"]["inputs"]["prompt_model"]
    graph["cut0"]["inputs"]["prompts"] = ["said", 0]
    graph["cut1"]["inputs"]["prompt_model"] = ["model", 0]
    assert server.run(graph).status == "success"
    found = masks(server, 2)
    whole = graph_of_frames(longer, folder, [(0, 24)])
    whole["cut0"]["inputs"]["prompts"] = ["said", 0]
    assert server.run(whole).status == "success"
    assert np.abs(found - masks(server, 1)).max() < 0.01


def test_the_example_of_frames(server: Server, folder: Path, tmp_path: Path) -> None:
    make_clip(server.base / "input" / "example.mkv", 12, 320, 240)
    graph: Graph = json.loads((EXAMPLES / "api" / "gossamer_17_frames_prompt.json").read_text(encoding="utf-8"))
    graph["1"]["inputs"]["file"] = "example.mkv"
    graph["5"]["inputs"] |= {"device": "cpu", "other_model": str(folder)}
    graph["6"]["inputs"] |= {"matting": "none"}
    graph["7"]["inputs"] |= {"format": "ffv1", "filename_prefix": "clips/framesexample"}
    run = server.run(graph)
    assert (run.status, run.message) == ("success", "")
    prompts = [TimedPrompt(Fraction(6, 25), Prompt(boxes=((40.0, 55.0, 170.0, 185.0),)))]
    wanted = of_the_library(server, "example.mkv", folder, tmp_path / "out.mkv", prompts)
    assert np.abs(made(server, "framesexample") - wanted).mean() < 0.01


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (
            {"said": {"at": "20"}},
            "no frame at 0.72 s: what is cut out goes from 0 s to 0.16 s. Give a time of it.",
        ),
        ({"cut0": {"model": "u2netp"}}, "Choose the model auto, or take the prompts away"),
        (
            {"cut0": {"prompts": None}},
            "and nothing is remembered to be followed. Give prompts with the first chunk already",
        ),
        (
            {"new": node("GossamerClipPrompt", **SAID | {"at": "0.04", "points": "5, 5"}), "cut1": {"prompts": "new"}},
            "no frame at 0.04 s: what is cut out goes from 0.16 s to 0.32 s. Give a prompt with the",
        ),
        ({"cut1": {"prompts": None, "model": "u2netp"}}, "is followed on, and the model u2netp looks for a subject"),
    ],
)
def test_what_cannot_be_in_chunks_is_one_sentence(
    server: Server, longer: str, folder: Path, changed: dict[str, Any], told: str
) -> None:
    graph = graph_of_frames(longer, folder, [(0, 4), (4, 4)])
    for name, inputs in changed.items():
        if "class_type" in inputs:
            graph[name] = inputs
            continue
        for key, value in inputs.items():
            if value is None:
                del graph[name]["inputs"][key]
            else:
                graph[name]["inputs"][key] = [value, 0] if key == "prompts" else value
    if "prompts" not in graph["cut0"]["inputs"]:  # any other model, that is here
        graph["cut0"]["inputs"] |= {"model": "none", "matting": "key"}
    run = server.run(graph)
    assert run.status == "error"
    assert told in run.message
