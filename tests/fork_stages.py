"""Runs every stage, forks, and runs it again in the child: ``python -m tests.fork_stages GROUP FOLDER``.

Prints a line a stage: its name and ``equal``, ``different``, or how the child ended.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import skimage.data

import gossamer
from gossamer import foreground, matting
from gossamer.image import encode_image
from gossamer.progress import Progress

PATIENCE = 120  # seconds after which a child counts as hanging

PICTURE = np.ascontiguousarray(skimage.data.astronaut()[::4, ::4])
FLOATS = PICTURE / np.float32(255)
_Y, _X = np.mgrid[:128, :128]
MASK = np.clip((55 - np.hypot(_X - 64, _Y - 64)) / 15, 0, 1).astype(np.float32)
TRIMAP = np.where(MASK > 0.9, 1, np.where(MASK < 0.1, 0, 0.5)).astype(np.float32)

Stages = dict[str, Callable[[], Any]]


def networks(folder: Path) -> Stages:
    onnx = gossamer.Pipeline(model="u2netp", device="cpu", runtime="onnx")
    torch = gossamer.Pipeline(model="u2netp", device="cpu", runtime="torch")
    return {"onnx": lambda: onnx.run(PICTURE).alpha, "torch": lambda: torch.run(PICTURE).alpha}


def transformers(folder: Path) -> Stages:
    from gossamer.matting.vitmatte.network import VitMatte
    from gossamer.prompting.sam2 import load_sam2
    from tests.matting.tiny_vitmatte import write_model
    from tests.prompting.tiny_models import save_sam2

    vitmatte = VitMatte.load(write_model(folder / "tiny-vitmatte"), device="cpu")
    sam = load_sam2(save_sam2(folder / "sam2"), device="cpu")
    prompt = gossamer.Prompt(boxes=[(20, 20, 100, 100)])
    return {
        "vitmatte": lambda: vitmatte.predict(FLOATS, TRIMAP),
        "sam2": lambda: sam.predict(sam.embed(PICTURE), prompt)[0].mask,
    }


def solvers(folder: Path) -> Stages:
    return {
        "closed_form": lambda: matting.closed_form_alpha(FLOATS, TRIMAP),
        "from_mask": lambda: matting.matte_from_mask(FLOATS, MASK),
        "guided": lambda: matting.guided_alpha(FLOATS, MASK),
        "knn": lambda: matting.knn_alpha(FLOATS, TRIMAP),
        "learning_based": lambda: matting.learning_based_alpha(FLOATS, TRIMAP),
    }


def colours(folder: Path) -> Stages:
    def estimated(method: str) -> Callable[[], Any]:
        return lambda: foreground.estimate_foreground(FLOATS, MASK, method).foreground

    large = np.tile(FLOATS, (12, 12, 1))
    return {
        "soft_band": lambda: foreground.soft_band(FLOATS, MASK),
        "blur_fusion": lambda: foreground.blur_fusion(FLOATS, MASK),
        "multilevel": estimated("multilevel"),
        "closed_form": estimated("closed_form"),
        "png": lambda: np.frombuffer(encode_image(large, None, "png"), np.uint8),
        "jpeg": lambda: gossamer.read_image(encode_image(large, None, "jpeg")).rgb,
    }


def held(folder: Path) -> Stages:
    """Fork while another thread runs the networks and so has their locks."""
    stages = networks(folder)
    for work in stages.values():
        work()
    on = threading.Event()

    def keep_busy() -> None:
        while True:
            for pipeline in stages.values():
                on.set()
                pipeline()

    threading.Thread(target=keep_busy, daemon=True).start()
    on.wait()
    time.sleep(0.3)
    return stages


def a_second_fork(folder: Path) -> Stages:
    """Go on in a child: what it forks has none of its threads, either."""
    stages = networks(folder)
    for work in stages.values():
        work()
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        sys.exit(os.waitstatus_to_exitcode(status))
    return stages


def main(group: str, folder: Path) -> None:
    stages: Stages = globals()[group](folder)
    for name, work in stages.items():
        expected = work()
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            faulthandler.dump_traceback_later(PATIENCE, exit=True)
            again = [work(), work()]  # the second finds what the first has made
            same = all(np.array_equal(expected, one) for one in again)
            print(name, "equal" if same else "different", flush=True)
            raise SystemExit  # all of Python's own end, as a server's process has it: it must not hang, either
        _, status = os.waitpid(child, 0)
        if status:
            print(name, f"ended with {os.waitstatus_to_exitcode(status)}", flush=True)
        assert np.array_equal(work(), expected), "the parent is as it was"
    Progress()  # the library is still whole
    os._exit(0)  # a thread may be at work


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
