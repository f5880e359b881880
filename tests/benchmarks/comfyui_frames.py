"""Run by ``tests.benchmarks.comfyui frames`` in ComfyUI's own Python: the memory that Remove Background takes."""

from __future__ import annotations

import os
import sys
import time

import launch

root, pack, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
os.chdir(root)
sys.path[:0] = [root, os.path.join(pack, "core"), pack]
sys.argv[1:] = ["--cpu"]
launch.declare_missing_operators()

import comfy.options  # noqa: E402

comfy.options.enable_args_parsing()

import torch  # noqa: E402

from comfyui_nodes.nodes.one_step import RemoveBackground  # noqa: E402


def held(of: str) -> float:
    """Return the memory that this process holds, or held at most, in GB."""
    with open("/proc/self/status", encoding="ascii") as status:
        (line,) = (line for line in status if line.startswith(f"{of}:"))
    return int(line.split()[1]) * 1024 / 1e9


rows, columns = torch.meshgrid(torch.arange(720), torch.arange(1280), indexing="ij")
disc = ((rows - 380) ** 2 + (columns - 640) ** 2 < 260**2).float()[..., None]
grain = torch.rand((720, 1280, 3), generator=torch.Generator().manual_seed(2)) * 0.1
frame = (disc * torch.tensor([0.8, 0.3, 0.2]) + (1 - disc) * torch.tensor([0.2, 0.4, 0.5]) + grain - 0.05)[None]
frame = frame.clamp(0, 1)
options = {"quality": "fast", "background": "transparent", "colour": "#ffffff", "model": "u2netp"}
RemoveBackground.execute(image=frame, **options)  # what is imported and loaded at the first use
frames = frame.repeat(count, 1, 1, 1)
with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
    file.write("5")
before, used = held("VmRSS"), time.process_time()
done = RemoveBackground.execute(image=frames, **options)
image, mask, _ = done.args
outputs = (image.numel() + mask.numel()) * 4 / 1e9
grown = held("VmHWM") - before
print(
    f"{count} frames of 1280 x 720: memory grew by {grown:.3f} GB at most, {grown / outputs:.3f} times the outputs "
    f"({outputs:.3f} GB); {time.process_time() - used:.0f} s of processor time"
)
