"""ComfyUI under load: interrupts of every method at 12 megapixels, the memory that 300 frames take, its start.

``python -m tests.benchmarks.comfyui interrupts [METHOD ...]`` interrupts each method 1 and 4 seconds after its node has
begun, in a real server, and tells when the server is idle again, and what of processor and memory it takes two seconds
later. ``frames [COUNT]`` sends so many frames of 1280 x 720 through Remove Background and compares the memory that
that took at most with the outputs. ``import`` starts the server three times and tells how long the pack took.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import skimage.data

from tests.cached_weights import weights_home
from tests.comfyui import graphs
from tests.comfyui.graphs import node
from tests.comfyui.install import REPOSITORY, comfyui
from tests.comfyui.server import Graph, Server

_MATTING = ("closed_form", "knn", "learning_based", "guided", "from_mask", "auto")
_FOREGROUND = ("multilevel", "closed_form", "blur_fusion")
_AFTER = (1.0, 4.0)  # seconds
_TICKS = os.sysconf("SC_CLK_TCK")


def family(process: int) -> list[int]:
    """Return a process and all that it started."""
    found = [process]
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rsplit(")", 1)[1].split()[1])
        except (OSError, IndexError):
            continue
        if parent in found:
            found.append(int(path.parent.name))
    return found


def processor(process: int) -> float:
    """Return the processor time of a process and those it started, in seconds."""
    total = 0.0
    for one in family(process):
        try:
            numbers = Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        total += (int(numbers[11]) + int(numbers[12])) / _TICKS
    return total


def memory(process: int, of: str = "VmRSS") -> float:
    """Return the memory that a process and those it started hold, in GB."""
    total = 0
    for one in family(process):
        try:
            lines = Path(f"/proc/{one}/status").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith(f"{of}:"))
    return total * 1024 / 1e9


def graph_of(method: str) -> tuple[str, Graph]:
    """Return the node of a method, and a graph of it at 12 megapixels."""
    size = {"upscale_method": "bilinear", "width": 4000, "height": 3000, "crop": "disabled"}
    graph: Graph = {
        "picture": node("LoadImage", image="person.png"),
        "large": node("ImageScale", image=["picture", 0], **size),
        "grey": node("MaskToImage", mask=["picture", 1]),
        "wide": node("ImageScale", image=["grey", 0], **size),
        "mask": node("ImageToMask", image=["wide", 0], channel="red"),
    }
    kind, _, name = method.partition(":")
    if kind == "matting":
        graph["it"] = node("GossamerAlphaMatting", image=["large", 0], mask=["mask", 0], matting=name)
        graph["shown"] = node("MaskPreview", mask=["it", 0])
    else:
        graph["it"] = node("GossamerEstimateForeground", image=["large", 0], mask=["mask", 0], foreground=name)
        graph["shown"] = node("PreviewImage", images=["it", 0])
    return "it", graph


def _interrupting(server: Server, it: str, after: float, asked: list[float]) -> Callable[[str, dict[str, Any]], bool]:
    """Return what listens to events, and interrupts so many seconds after a node has begun."""

    def interrupt() -> None:
        asked.append(time.monotonic())
        server.post("/interrupt", {})

    def begun(kind: str, data: dict[str, Any]) -> bool:
        if kind == "executing" and data.get("node") == it:
            threading.Timer(after, interrupt).start()
        return False

    return begun


def interrupts(server: Server, methods: list[str]) -> None:
    """Interrupt each method, at its first use and later."""
    person = np.asarray(skimage.data.astronaut())
    rows, columns = np.mgrid[:512, :512]
    far = ((columns - 220) / 150) ** 2 + ((rows - 280) / 220) ** 2
    blob = np.clip((1.15 - far) / 0.3, 0, 1)
    server.upload("person.png", np.dstack([person, (255 - 255 * blob).astype(np.uint8)]))
    for method in methods:
        it, graph = graph_of(method)
        for turn, after in enumerate(_AFTER):
            asked: list[float] = []
            before = memory(server.process)
            run = server.run(graph, _interrupting(server, it, after, asked))
            ended = time.monotonic()
            if not asked:
                print(f"{method}: {run.status} {run.message} before {after:g} s", flush=True)
                time.sleep(after)
                continue
            time.sleep(2.0)
            used, at = processor(server.process), time.monotonic()
            time.sleep(0.5)
            busy = (processor(server.process) - used) / (time.monotonic() - at)
            now = memory(server.process)
            print(
                f"{method}, {'first' if turn == 0 else 'later'}, interrupted after {after:g} s: {run.status} "
                f"{run.message} in {ended - asked[0]:.2f} s; 2 s later {busy:.0%} of a processor, "
                f"{now:.2f} GB ({before:.2f} before)",
                flush=True,
            )


def frames(count: int) -> None:
    """Send frames through Remove Background, and compare memory with the outputs."""
    installation, script = comfyui(), Path(__file__).with_name("comfyui_frames.py")
    command = [installation.python, script, installation.root, REPOSITORY, str(count)]
    environment = {"GOSSAMER_HOME": str(weights_home()), "PYTHONPATH": str(Path(graphs.__file__).parent)}
    subprocess.run(command, env={**os.environ, **environment}, check=True)


def imports() -> None:
    """Start the server three times, and tell what it says of the pack's import."""
    for _ in range(3):
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            server = Server(comfyui(), Path(folder), weights_home())
            try:
                server.wait()
            finally:
                server.stop()
            (line,) = (one for one in server.log.read_text().splitlines() if one.endswith("custom_nodes/gossamer"))
            print(line.strip(), flush=True)


def main() -> None:
    """Measure, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("interrupts", "frames", "import"))
    parser.add_argument("more", nargs="*")
    options = parser.parse_args()
    if options.what == "import":
        imports()
        return
    if options.what == "frames":
        frames(int(options.more[0]) if options.more else 300)
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        server = Server(comfyui(), Path(folder), weights_home())
        try:
            server.wait()
            known = [f"matting:{name}" for name in _MATTING] + [f"foreground:{name}" for name in _FOREGROUND]
            interrupts(server, options.more or known)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
