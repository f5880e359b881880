# SPDX-License-Identifier: GPL-3.0-or-later
"""Run by test_memory.py in ComfyUI's own Python: batches through a network that says that it is on a graphics card.

There is no card: the network is made up. Its mask is the picture's red, and it has memory for two pictures at once.
"""

from __future__ import annotations

import os
import sys

import launch

root, pack = sys.argv[1:3]
os.chdir(root)
sys.path[:0] = [root, os.path.join(pack, "core"), pack]
sys.argv[1:] = ["--cpu"]
launch.declare_missing_operators()

import comfy.options  # noqa: E402

comfy.options.enable_args_parsing()

import torch  # noqa: E402

import gossamer  # noqa: E402
from comfyui_nodes.nodes import masks, one_step  # noqa: E402
from gossamer import Pipeline  # noqa: E402

asked = []


class Network:
    """A segmentation model as the nodes know one."""

    device, warnings, id, engine, resolution = "cuda", (), "red", "", 0

    def __init__(self, room):
        self.room = room

    def at(self, resolution):
        assert resolution in (0, 64)
        return self if resolution == 0 else Network(1)

    def predict(self, image, progress=None, *, flips=False, detail=False, clock=None):
        asked.append(1)
        return image[..., 0].copy()

    def predict_batch(self, images, progress=None, *, flips=False, batch_size=4):
        asked.append(len(images))
        if len(images) > self.room:
            raise gossamer.errors.DeviceError("CUDA error: out of memory", "Free some.")
        progress(1.0, "")
        return [image[..., 0].copy() for image in images]


pictures = torch.rand((7, 24, 32, 3), generator=torch.Generator().manual_seed(4))
edge = {"background": "transparent", "colour": "#ffffff", "matting": "none"}


def check(shown, calls):
    assert asked == calls, asked
    asked.clear()
    assert torch.equal(shown, pictures[..., 0])


found = masks.PredictMask.execute(model=Network(4), image=pictures)
check(found.args[0], [4, 3])
found = masks.PredictMask.execute(model=Network(2), image=pictures)
check(found.args[0], [4, 2, 2, 2, 1])  # half as many from then on
found = masks.PredictMask.execute(model=Network(1), image=pictures, segmentation_detail=True)
check(found.args[0], [1] * 7)
found = masks.PredictMask.execute(model=Network(7), image=pictures, segmentation_resolution=64)
check(found.args[0], [4, 2, *[1] * 7])  # of the network that sees them so, which has room for one
found = one_step.CutOut.execute(model=Network(4), image=pictures, **edge)
check(found.args[1], [4, 3])
assert torch.equal(found.args[0][..., 3], pictures[..., 0])

Pipeline.load = lambda self, progress=None, announce=None: Network(2)
one_step.usual_device = lambda: "auto"
found = one_step.RemoveBackground.execute(image=pictures, quality="fast", **edge)
check(found.args[1], [4, 2, 2, 2, 1])
behind = torch.ones((3, 24, 32, 3))
found = one_step.RemoveBackground.execute(image=pictures[:1], quality="fast", background_image=behind, **edge)
assert found.args[0].shape[0] == 3
print("all is well")
