# SPDX-License-Identifier: GPL-3.0-or-later
"""Models are ComfyUI's own, and no node holds more than it hands out."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch

from gossamer.networks.state_dict import load_network
from tests.cached_weights import weights_home
from tests.comfyui.graphs import node
from tests.comfyui.install import REPOSITORY, comfyui
from tests.comfyui.server import Graph, Server

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")


def memory(server: Server, of: str = "VmRSS") -> int:
    """Return how many bytes of memory the server holds, or (VmHWM) held at most since :func:`forget_peak`."""
    status = Path(f"/proc/{server.process}/status").read_text(encoding="ascii")
    (line,) = [line for line in status.splitlines() if line.startswith(f"{of}:")]
    return 1024 * int(line.split()[1])


def forget_peak(server: Server) -> None:
    Path(f"/proc/{server.process}/clear_refs").write_text("5", encoding="ascii")


def unload(server: Server) -> None:
    """Do what the button "Unload Models" does, and wait for it."""
    assert server.post("/free", {"unload_models": True})[0] == 200
    time.sleep(1.5)  # the queue's thread looks once a second


def predict(server: Server, picture: str, seed: int, **model: str) -> Graph:
    """Return a graph that finds a subject with a model, anew for every `seed`."""
    inputs = {"device": "auto", "precision": "auto", "architecture": "auto", **model}
    return {
        "picture": node("LoadImage", image=picture),
        "size": node(
            "ImageScale", image=["picture", 0], upscale_method="bilinear", width=300 + seed, height=200, crop="disabled"
        ),
        "model": node("GossamerLoadModel", **inputs),
        "predict": node("GossamerPredictMask", model=["model", 0], image=["size", 0]),
        "loaded": node("LoadedModels", after=["predict", 0]),
    }


@pytest.fixture
def in_torch(server: Server) -> Iterator[str]:
    """U²-Net's weights for torch, in ComfyUI's model folder."""
    file = server.base / "models" / "gossamer" / "large.safetensors"
    module = load_network(weights_home() / "models" / "u2net.onnx", "u2net")
    safetensors.torch.save_file(module.state_dict(), file)
    yield f"gossamer/{file.name}"
    file.unlink()


@pytest.mark.parametrize("runtime", ["onnx", "torch"])
def test_unload_models_gives_the_weights_back(
    server: Server, cat: np.ndarray, runtime: str, request: pytest.FixtureRequest
) -> None:
    picture = server.upload("memory.png", cat)
    weights = (weights_home() / "models" / "u2net.onnx").stat().st_size
    model = {"model": "u2net"}
    if runtime == "torch":
        model = {"model": request.getfixturevalue("in_torch"), "architecture": "u2net"}
    for seed in (1, 2):  # at the first time libraries are loaded as well
        unload(server)
        before = memory(server)
        run = server.run(predict(server, picture, seed, **model, runtime=runtime))
        assert (run.status, run.message) == ("success", "")
        assert max(run.outputs["loaded"]["sizes"]) > 0.9 * weights
        during = memory(server)
    unload(server)
    after = memory(server)
    assert during - before > 0.8 * weights, (before, during, after)
    assert during - after > 0.9 * weights, (before, during, after)
    again = server.run(predict(server, picture, 3, **model, runtime=runtime))
    assert again.status == "success"  # loaded again where it is wanted


def test_two_models_are_two_of_comfyui_s(server: Server, cat: np.ndarray) -> None:
    unload(server)
    picture = server.upload("memory.png", cat)
    for seed, model in enumerate(("u2netp", "rembg/u2netp.onnx", "gossamer/of-my-own.onnx"), 10):
        run = server.run(
            predict(server, picture, seed, model=model, architecture="u2net" if "own" in model else "auto")
        )
        assert (run.status, run.message) == ("success", "")
    sizes = run.outputs["loaded"]["sizes"]
    assert len(sizes) == 2  # the first two are one file of the catalogue, which is loaded once
    assert all(size > 4_000_000 for size in sizes)
    unload(server)
    empty = {"any": node("EmptyImage", width=64, height=64, batch_size=1, color=0)}
    told = server.run({**empty, "loaded": node("LoadedModels", after=["any", 0])})
    assert told.outputs["loaded"].get("sizes", []) == []


@pytest.mark.parametrize("kind", ["GossamerRefine", "GossamerComposite", "GossamerFinish", "GossamerRemoveBackground"])
def test_a_batch_takes_what_it_hands_out(server: Server, kind: str) -> None:
    count, width, height = 60, 640, 360
    channels = 4 if kind == "GossamerRefine" else 8
    outputs = count * width * height * channels * 4
    inputs = {"mask": ["mask", 0], "image" if kind == "GossamerRefine" else "foreground": ["many", 0]}
    if kind == "GossamerRefine":
        inputs |= {"matting": "none", "matting_band": 10, "foreground": "none"}
        inputs |= {"foreground_radius": 90, "foreground_fine_radius": 6}
    elif kind == "GossamerRemoveBackground":
        inputs = {"image": ["many", 0], "quality": "fast", "model": "u2netp"}
        inputs |= {"background": "transparent", "colour": "#ffffff"}
    else:
        inputs |= {"colour": "#ffffff"} | ({"preset": "none"} if kind == "GossamerFinish" else {})

    def run(count: int) -> int:
        graph = {
            "many": node("ManyPictures", count=count, width=width, height=height),
            "mask": node("SolidMask", value=0.5, width=width, height=height),
            "it": node(kind, **inputs),
            "end": node("LoadedModels", after=["it", 0]),
        }
        forget_peak(server)
        before = memory(server)
        done = server.run(graph)
        assert (done.status, done.message) == ("success", "")
        return memory(server, "VmHWM") - before

    first = run(2)  # what is imported at the first use
    assert run(count) - max(0, first) < 1.1 * outputs


@pytest.mark.parametrize("script", ["moved_modules.py", "grouped.py"])
def test_on_a_graphics_card(script: str) -> None:
    """A card that is made up: modules are moved away and back by ComfyUI's own list; batches are looked at together."""
    installation = comfyui()
    command = [installation.python, Path(__file__).with_name(script), installation.root, REPOSITORY]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout.strip().splitlines()[-1:]) == (0, ["all is well"]), done.stderr[-3000:]
