# SPDX-License-Identifier: GPL-3.0-or-later
"""Run by test_memory.py in ComfyUI's own Python: how it manages the library's networks on a graphics card.

There is no card: ComfyUI is told that it runs on one, and modules only note where they are sent.
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

import comfy.model_management as management  # noqa: E402
import comfy.model_patcher as patcher  # noqa: E402
import torch  # noqa: E402

from gossamer.progress import Progress  # noqa: E402
from gossamer.warm import Loadable, warm  # noqa: E402

card = torch.device("cuda")
management.get_torch_device = lambda: card
management.unet_offload_device = lambda: torch.device("cpu")
management.get_free_memory = lambda *args, **options: (1e12, 1e12) if options.get("torch_free_too") else 1e12
management.soft_empty_cache = lambda *args, **options: None

_make = patcher.ModelPatcher.__init__


def _make_as_before(self, *args, **options):
    """As servers of 0.3.64 do, which ask for the size meanwhile."""
    assert self.model_size() == 1000
    _make(self, *args, **options)


patcher.ModelPatcher.__init__ = _make_as_before

from comfyui_nodes import memory  # noqa: E402


class Network:
    """What the library would keep."""

    def __init__(self, device, modules):
        self.device, self.modules, self.bytes, self.unloaded = device, modules, 1000, False

    def unload(self):
        self.unloaded, self.modules = True, ()


noted = []
torch.nn.ModuleList.to = lambda self, device: noted.append(torch.device(device).type) or self

memory.attach()
on_card = Network("cuda", (torch.nn.Linear(3, 3),))
in_onnx = Network("cuda", ())


def lend(key, network):
    with warm.lent(Loadable(key, lambda progress: network), Progress()) as lent:
        assert lent is network
        assert management.current_loaded_models[0].model.model_size() == 1000


lend("card", on_card)
lend("onnx", in_onnx)
assert len(management.current_loaded_models) == 2
assert noted == []  # it was loaded onto the card already

# ComfyUI needs all of the memory: what is torch's goes to the offload device, what is not is freed.
management.free_memory(1e30, card)
assert management.current_loaded_models == []
assert noted == ["cpu"]
assert not on_card.unloaded
assert in_onnx.unloaded
assert warm.held() == ("card",)

# It is used again: back to the card, whole, also where ComfyUI would like to load a part.
management.vram_state = management.VRAMState.NO_VRAM
lend("card", on_card)
assert noted == ["cpu", "cuda"]
assert management.current_loaded_models[0].model_loaded_memory() == 1000

# What is in use is never moved under its run.
with warm.lent(Loadable("card", lambda progress: on_card), Progress()):
    management.free_memory(1e30, card)
    assert noted == ["cpu", "cuda"]
    assert not on_card.unloaded
assert on_card.unloaded

# What the library lets go of leaves ComfyUI's list.
other = Network("cuda", (torch.nn.Linear(3, 3),))
lend("other", other)
warm.unload()
lend("last", Network("cpu", ()))
assert [one.model.model_size() for one in management.current_loaded_models if one.model is not None] == [1000]

card = torch.device("cpu")
assert memory.device() == "cpu"
for kind in ("mps", "xpu", "cuda", "privateuseone"):
    card = torch.device(kind)
    assert memory.device() == "auto"
print("all is well")
