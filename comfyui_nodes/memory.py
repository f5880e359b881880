# SPDX-License-Identifier: GPL-3.0-or-later
"""The networks that the library keeps, as one model of ComfyUI's: it may unload them whenever it needs memory."""

from __future__ import annotations

from typing import Any

import comfy.model_management
import comfy.model_patcher
import torch

__all__ = ["device", "make_room"]

_WORK = 2 << 30  # bytes that a picture takes beside the weights, as ViTMatte's largest tile does


class _Networks(comfy.model_patcher.ModelPatcher):
    """Stands in ComfyUI's list of loaded models for all that :data:`gossamer.warm.warm` keeps."""

    def model_size(self) -> int:
        """Return how much memory the networks hold."""
        from gossamer.warm import warm

        return warm.bytes

    def loaded_size(self) -> int:
        """Return the same: they are loaded, or gone."""
        return self.model_size()

    def partially_unload(self, device_to: Any, memory_to_free: int = 0, *args: Any, **options: Any) -> int:
        """Unload all of them, and return how much that freed."""
        freed = self.model_size()
        self._unload()
        return freed

    def detach(self, unpatch_all: bool = True) -> Any:
        """Unload all of them, unless this makes way for itself: they are loaded again when they are wanted."""
        if unpatch_all:
            self._unload()
        return super().detach(unpatch_all)

    def _unload(self) -> None:
        from gossamer.warm import warm

        warm.unload()


def device() -> str:
    """Return where networks run whose device no widget names: the processor where ComfyUI was told to use it."""
    return "cpu" if comfy.model_management.get_torch_device().type == "cpu" else "auto"


def make_room() -> None:
    """Let ComfyUI free memory for a run of the library's networks, and count them among its own."""
    comfy.model_management.load_models_gpu([_networks()], memory_required=_WORK)


_kept: list[_Networks] = []


def _networks() -> _Networks:
    if not _kept:
        here = comfy.model_management.get_torch_device()
        _kept.append(_Networks(torch.nn.Module(), load_device=here, offload_device=torch.device("cpu")))
    return _kept[0]
