# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes for clips: files with alpha and sound, frames in chunks, masks that hold still; known answers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from gossamer.video import Steady, open_source
from tests.cached_weights import video_weights
from tests.comfyui.graphs import join, node
from tests.comfyui.server import Graph, Server
from tests.video.clips import RED, disc, frame_pixels, make_clip, sound_packets

COUNT, WIDTH, HEIGHT = 10, 96, 64
NO_MODEL = {"model": "none", "quality": "balanced", "background": "transparent", "colour": "#ffffff"}


@pytest.fixture(scope="module")
def clip(server: Server) -> str:
    """A red disc that moves over a green screen, with sound, in the input folder."""
    make_clip(server.base / "input" / "disc.mkv", COUNT, WIDTH, HEIGHT, sound="aac")
    return "disc.mkv"


def frames(path: Path) -> list[tuple[Fraction, np.ndarray, np.ndarray]]:
    """Return time, colours and alpha of each frame of a file."""
    with open_source(path) as source:
        return [(one.time, one.rgb, one.alpha / np.iinfo(one.alpha.dtype).max) for one in source.frames()]


def is_the_disc(path: Path) -> None:
    found = frames(path)
    assert [round(float(time), 2) for time, _, _ in found] == [number / 25 for number in range(COUNT)]
    for number, (_, rgb, alpha) in enumerate(found):
        truth = disc(number, WIDTH, HEIGHT)
        assert np.abs(alpha - truth).mean() < 0.012
        assert np.abs(rgb - RED)[truth > 0.9].mean() < 0.03


def files(server: Server, name: str) -> list[Path]:
    return sorted((server.base / "output" / "clips").glob(f"{name}_*"))


def test_a_file_becomes_prores_with_alpha_and_the_very_sound(server: Server, clip: str) -> None:
    graph: Graph = {
        "clip": node("LoadVideo", file=clip),
        "cut": node("GossamerCutOutVideo", video=["clip", 0], format="prores4444", filename_prefix="clips/file"),
        "again": node("GetVideoComponents", video=["cut", 0]),
        "shown": node("PreviewImage", images=["again", 0]),
    }
    graph["cut"]["inputs"] |= NO_MODEL
    run = server.run(graph)
    assert (run.status, run.message) == ("success", "")
    (made,) = files(server, "file")
    assert made.name == "file_00001_.mov"
    is_the_disc(made)
    with av.open(str(made)) as opened:
        assert (opened.streams.video[0].codec_context.name, opened.streams.video[0].format.name[:5]) == (
            "prores",
            "yuva4",
        )
    source = sound_packets(server.base / "input" / clip)
    assert [data for _, data in sound_packets(made)] == [data for time, data in source if time < Fraction(COUNT, 25)]
    assert len(run.outputs["shown"]["images"]) == COUNT  # the VIDEO that it hands out is that file
    assert run.outputs["cut"]["images"][0]["type"] == "temp"  # no browser plays ProRes: a still


def test_frames_go_through_a_model_and_into_a_file_with_their_sound(server: Server, clip: str) -> None:
    graph: Graph = {
        "clip": node("LoadVideo", file=clip),
        "parts": node("GetVideoComponents", video=["clip", 0]),
        "cut": node("GossamerCutOutFrames", image=["parts", 0], **NO_MODEL),
        "save": node(
            "GossamerSaveVideo",
            images=["cut", 0],
            audio=["parts", 1],
            fps=["parts", 2],
            format="vp9",
            filename_prefix="clips/frames",
        ),
    }
    run = server.run(graph)
    assert (run.status, run.message) == ("success", "")
    (made,) = files(server, "frames")
    is_the_disc(made)
    assert sound_packets(made)
    assert run.outputs["save"]["images"] == [{"filename": made.name, "subfolder": "clips", "type": "output"}]
    again = server.run({**graph, "save": node("GossamerSaveVideo", **{**graph["save"]["inputs"], "format": "ffv1"})})
    assert again.status == "success"
    assert [path.suffix for path in files(server, "frames")] == [".webm", ".mkv"]


def test_a_screen_is_held_as_by_the_command_line_where_nobody_changed_the_strength(server: Server) -> None:
    """With half a weight: the widget's own 0.9 is no wish."""
    random = np.random.default_rng(4)
    graph: Graph = {}
    noisy = [
        np.clip(frame_pixels(number, WIDTH, HEIGHT) + random.normal(0, 9, (HEIGHT, WIDTH, 3)), 0, 255).astype(np.uint8)
        for number in range(8)
    ]
    batch = join(graph, [server.upload(f"noisy{n}.png", picture) for n, picture in enumerate(noisy)])
    graph["clip"] = node("CreateVideo", images=batch, fps=25.0)
    for name, given in {"own": {}, "left": {"hold_strength": 0.9}, "half": {"hold_strength": 0.5}}.items():
        graph[name] = node("GossamerCutOutFrames", image=batch, **NO_MODEL, **given)
        graph[f"{name} written"] = node("WriteTensor", tensor=[name, 1], name=f"strength-{name}")
        made = {"format": "ffv1", "filename_prefix": f"clips/strength-{name}"}
        graph[f"{name} made"] = node("GossamerCutOutVideo", video=["clip", 0], **NO_MODEL, **given, **made)
    graph["much"] = node("GossamerCutOutFrames", image=batch, **NO_MODEL, hold_strength=0.89)
    graph["much written"] = node("WriteTensor", tensor=["much", 1], name="strength-much")
    run = server.run(graph)
    assert (run.status, run.message) == ("success", "")
    held = {one: np.load(server.base / "output" / f"strength-{one}.npy") for one in ("own", "left", "half", "much")}
    # The search for motion does not give the same to the last bit each time.
    told = np.abs(held["much"] - held["half"]).mean()
    assert told > 0.0005
    assert np.abs(held["own"] - held["half"]).mean() < 0.1 * told
    assert np.abs(held["left"] - held["half"]).mean() < 0.1 * told
    clips = {}
    for name in ("own", "left", "half"):
        (made,) = files(server, f"strength-{name}")
        clips[name] = np.stack([alpha for _, _, alpha in frames(made)])
    assert np.abs(clips["own"] - clips["half"]).mean() < 0.1 * told
    assert np.abs(clips["left"] - clips["half"]).mean() < 0.1 * told


def test_a_clip_of_tensors_is_cut_out_too(server: Server, clip: str) -> None:
    graph: Graph = {
        "clip": node("LoadVideo", file=clip),
        "parts": node("GetVideoComponents", video=["clip", 0]),
        "made": node("CreateVideo", images=["parts", 0], audio=["parts", 1], fps=25.0),
        "cut": node("GossamerCutOutVideo", video=["made", 0], format="ffv1", filename_prefix="clips/tensors"),
    }
    graph["cut"]["inputs"] |= NO_MODEL
    run = server.run(graph)
    assert (run.status, run.message) == ("success", "")
    (made,) = files(server, "tensors")
    is_the_disc(made)
    assert sound_packets(made)


def test_a_clip_of_tensors_has_in_and_out_points_too(server: Server, clip: str) -> None:
    """They were left out of account: frames 3 to 6 are meant."""
    graph: Graph = {
        "clip": node("LoadVideo", file=clip),
        "parts": node("GetVideoComponents", video=["clip", 0]),
        "made": node("CreateVideo", images=["parts", 0], audio=["parts", 1], fps=25.0),
        "cut": node("GossamerCutOutVideo", video=["made", 0], format="ffv1", filename_prefix="clips/between"),
    }
    graph["cut"]["inputs"] |= NO_MODEL | {"start": "0.12", "end": "0.28"}
    run = server.run(graph)
    assert (run.status, run.message) == ("success", "")
    (made,) = files(server, "between")
    found = frames(made)
    assert [round(float(time), 2) for time, _, _ in found] == [0, 0.04, 0.08, 0.12]
    for number, (_, _, alpha) in enumerate(found, 3):
        assert np.abs(alpha - disc(number, WIDTH, HEIGHT)).mean() < 0.012
    with av.open(str(made)) as opened:
        heard = sum(frame.samples / frame.sample_rate for frame in opened.decode(audio=0))
    assert abs(heard - 0.16) < 0.06
    graph["cut"]["inputs"] |= {"start": "", "end": "0.16", "filename_prefix": "clips/ended"}
    assert server.run(graph).status == "success"
    (made,) = files(server, "ended")
    assert len(frames(made)) == 4
    with av.open(str(made)) as opened:
        heard = sum(frame.samples / frame.sample_rate for frame in opened.decode(audio=0))
    assert abs(heard - 0.16) < 0.06
    graph["cut"]["inputs"] |= {"start": "3", "end": "4", "filename_prefix": "clips/beyond"}
    run = server.run(graph)
    assert "no frame between the in point and the out point. Give others in start and end." in run.message


@pytest.fixture
def remembering(server: Server) -> Iterator[str]:
    """Robust Video Matting's weights in ComfyUI's model folder."""
    file = server.base / "models" / "gossamer" / "rvm_mobilenetv3_fp32.onnx"
    shutil.copy(video_weights(), file)
    yield "rvm-mobilenetv3"
    file.unlink()


def test_what_is_remembered_goes_from_chunk_to_chunk(server: Server, astronaut: np.ndarray, remembering: str) -> None:
    graph: Graph = {}
    pictures = [np.ascontiguousarray(astronaut[:384:2, 8 * n : 8 * n + 384 : 2]) for n in range(4)]
    batch = join(graph, [server.upload(f"chunk{n}.png", picture) for n, picture in enumerate(pictures)])
    settings = {**NO_MODEL, "model": remembering}
    graph["first"] = node("ImageFromBatch", image=batch, batch_index=0, length=2)
    graph["second"] = node("ImageFromBatch", image=batch, batch_index=2, length=2)
    graph["whole"] = node("GossamerCutOutFrames", image=batch, **settings)
    graph["one"] = node("GossamerCutOutFrames", image=["first", 0], **settings)
    graph["two"] = node("GossamerCutOutFrames", image=["second", 0], remembered=["one", 2], **settings)
    graph["forgot"] = node("GossamerCutOutFrames", image=["second", 0], **settings)
    for name in ("whole", "one", "two", "forgot"):
        graph[f"{name} written"] = node("WriteTensor", tensor=[name, 1], name=f"chunk-{name}")
    run = server.run(graph)
    assert (run.status, run.message) == ("success", "")
    masks = {name: np.load(server.base / "output" / f"chunk-{name}.npy") for name in ("whole", "one", "two", "forgot")}
    assert masks["whole"].mean() > 0.2
    assert np.array_equal(masks["whole"], np.concatenate([masks["one"], masks["two"]]))
    assert np.abs(masks["two"] - masks["forgot"]).max() > 0.01


def test_masks_hold_still_as_the_library_s(server: Server) -> None:
    random = np.random.default_rng(1)
    pictures = [frame_pixels(number, WIDTH, HEIGHT) for number in range(9)]
    flickering = [
        np.rint(np.clip(disc(number, WIDTH, HEIGHT) + random.normal(0, 0.1), 0, 1) * 255).astype(np.uint8)
        for number in range(9)
    ]
    graph: Graph = {}
    batch = join(graph, [server.upload(f"still{n}.png", picture) for n, picture in enumerate(pictures)])
    masks: Graph = {}
    drawn = [server.upload(f"stillmask{n}.png", np.dstack([mask] * 3)) for n, mask in enumerate(flickering)]
    link = join(masks, drawn)
    graph |= {f"m{key}": node(one["class_type"], **_moved(one["inputs"])) for key, one in masks.items()}
    graph["masks"] = node("ImageToMask", image=[f"m{link[0]}", 0], channel="red")
    graph["still"] = node("GossamerTemporalSmooth", image=batch, mask=["masks", 0], hold_strength=0.9)
    graph["written"] = node("WriteTensor", tensor=["still", 0], name="still")
    run = server.run(graph)
    assert (run.status, run.message) == ("success", "")
    given = np.stack([mask.astype(np.float32) / np.float32(255) for mask in flickering])
    steady: Steady[int] = Steady(0.9)
    expected = [held.alpha for n in range(9) for held in steady.add(n, pictures[n], given[n])]
    expected += [held.alpha for held in steady.rest()]
    still = np.load(server.base / "output" / "still.npy")
    # The search for motion does not give the same to the last bit in two processes.
    assert np.abs(still - np.stack(expected)).mean() < 0.001

    def flicker(held: np.ndarray) -> float:
        truth = np.stack([disc(number, WIDTH, HEIGHT) for number in range(9)])
        return float(np.sqrt(np.mean((np.diff(held, axis=0) - np.diff(truth, axis=0)) ** 2)))

    assert flicker(still) < 0.6 * flicker(given)


def _moved(inputs: dict) -> dict:
    return {name: [f"m{value[0]}", value[1]] if isinstance(value, list) else value for name, value in inputs.items()}


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"format": "h264"}, "cannot hold a transparent background. Choose the format prores4444, vp9 or ffv1"),
        ({"filename_prefix": "../../elsewhere"}, "no name in ComfyUI's output folder"),
        ({"start": "soon"}, "Give seconds"),
        ({"start": "20"}, "no frame between the in point and the out point"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_leaves_nothing(
    server: Server, clip: str, inputs: dict[str, str], said: str
) -> None:
    graph: Graph = {
        "clip": node("LoadVideo", file=clip),
        "cut": node("GossamerCutOutVideo", video=["clip", 0], format="prores4444", filename_prefix="clips/wrong"),
    }
    graph["cut"]["inputs"] |= NO_MODEL | inputs
    run = server.run(graph)
    assert (run.status, run.node) == ("error", "cut")
    assert said in run.message
    assert "--" not in run.message
    assert not files(server, "wrong")


def test_an_interrupted_clip_leaves_nothing(server: Server) -> None:
    make_clip(server.base / "input" / "long.mkv", 150, 320, 240)
    graph: Graph = {
        "clip": node("LoadVideo", file="long.mkv"),
        "cut": node("GossamerCutOutVideo", video=["clip", 0], format="prores4444", filename_prefix="clips/left"),
    }
    graph["cut"]["inputs"] |= NO_MODEL
    run = server.run(graph, interrupt_when=lambda kind, data: kind == "progress" and data["value"] > 5)
    assert run.status == "interrupted"
    assert run.seconds_after_interrupt < 5
    assert not files(server, "left")
