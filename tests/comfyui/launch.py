# SPDX-License-Identifier: GPL-3.0-or-later
"""Start ComfyUI's main.py: ``python launch.py COMFYUI_FOLDER ARGUMENTS...``."""

from __future__ import annotations

import os
import runpy
import sys


def declare_missing_operators() -> None:
    """Let torchvision's CUDA build be imported beside a CPU torch.

    Its own library cannot be loaded there, so its operators are missing and its import fails on the two
    that it registers a meta function for: declaring them is enough.
    """
    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        import torch

        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        globals()["_library"] = library  # the operators go when it does


if __name__ == "__main__":
    root = os.path.abspath(sys.argv[1])
    os.chdir(root)
    sys.path[0] = root
    declare_missing_operators()
    sys.argv[:2] = [os.path.join(root, "main.py")]
    runpy.run_path(sys.argv[0], run_name="__main__")
