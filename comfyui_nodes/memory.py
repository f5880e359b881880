# SPDX-License-Identifier: GPL-3.0-or-later
"""The networks that the library keeps, as models of ComfyUI's own: it counts them, moves them and frees them.

A network in torch on ComfyUI's graphics device is moved to its offload device and back, whole, as its layers are not
of the kind that ComfyUI can move one by one. Any other one (ONNX Runtime's, or in the computer's memory) is freed where
ComfyUI unloads it, and loaded again when it is wanted.
"""

from __future__ import annotations

import gc
from collections.abc import Hashable
from typing import Any

import comfy.model_management
import comfy.model_patcher
import torch

__all__ = ["attach", "device", "make_room"]

_WORK = 2 << 30  # bytes that a picture takes beside the weights, as ViTMatte's largest tile does


def device() -> str:
    """Return where networks run whose device no widget names: where ComfyUI runs its own."""
    # The library's own choice takes a card where the runtime has one, as ComfyUI does: CUDA, XPU, MPS or DirectML.
    return "cpu" if comfy.model_management.get_torch_device().type == "cpu" else "auto"


def attach() -> None:
    """Put the library's networks under ComfyUI's management."""
    from gossamer.warm import warm

    warm.host = _HOST


def make_room() -> None:
    """Let ComfyUI free memory for what a picture takes beside the weights."""
    here = comfy.model_management.get_torch_device()
    if here.type != "cpu":
        comfy.model_management.free_memory(_WORK, here)


class _Host:
    """ComfyUI, as the library sees it: see :class:`gossamer.warm.Host`."""

    def __init__(self) -> None:
        self._patchers: dict[int, _Counted] = {}  # by the identity of networks, which they keep
        self._leaving: list[_Counted] = []

    def loading(self, about: int) -> None:
        """Let ComfyUI free memory for weights."""
        self._leaving.clear()
        here = comfy.model_management.get_torch_device()
        if here.type != "cpu":
            comfy.model_management.free_memory(about + _WORK, here)

    def lent(self, key: Hashable, network: Any) -> None:
        """Bring a network to its device, and make it ComfyUI's latest model."""
        self._leaving.clear()
        if id(network) not in self._patchers:
            here = comfy.model_management.get_torch_device()
            moves = here.type != "cpu" and network.device == here.type and network.modules
            self._patchers[id(network)] = (_Moved if moves else _Counted)(key, network)
        comfy.model_management.load_models_gpu([self._patchers[id(network)]], memory_required=_WORK)

    def gone(self, network: Any) -> None:
        """Let go of a network."""
        patcher = self._patchers.pop(id(network), None)
        if patcher is not None:
            patcher.empty()
            # ComfyUI takes a patcher off its list when that is collected: not while it walks through that list.
            self._leaving.append(patcher)


_HOST = _Host()


class _Counted(comfy.model_patcher.ModelPatcher):
    """A network that ComfyUI can only free."""

    def __init__(self, key: Hashable, network: Any, module: torch.nn.Module | None = None) -> None:
        self._key, self._network = key, network  # first: an older one (0.3.64) asks for the size while it is made
        super().__init__(
            module or torch.nn.Module(),
            load_device=comfy.model_management.get_torch_device(),
            offload_device=comfy.model_management.unet_offload_device(),
        )

    def empty(self) -> None:
        """Let go of the network, which is freed."""
        self._network = None

    def model_size(self) -> int:
        """Return how much memory the network takes."""
        return 0 if self._network is None else int(self._network.bytes)

    def loaded_size(self) -> int:
        """Return the same: it is loaded, or gone."""
        return self.model_size()

    def current_loaded_device(self) -> torch.device:
        """Return where ComfyUI counts it."""
        return self.load_device

    def partially_load(self, device_to: Any, extra_memory: float = 0, force_patch_weights: bool = False) -> int:
        """Do nothing: it is loaded, or gone."""
        return 0

    def partially_unload(self, device_to: Any, memory_to_free: float = 0, *args: Any, **options: Any) -> int:
        """Free it, and return how much that was."""
        freed = self.model_size()
        self._free()
        return freed

    def detach(self, unpatch_all: bool = True) -> Any:
        """Free it, unless this makes way for itself."""
        if unpatch_all:
            self._free()
        return self.model

    def _free(self) -> None:
        """Free it, or, where a run of it is under way, let it be freed after that."""
        from gossamer.warm import warm

        warm.unload(self._key)
        gc.collect()  # what modules refer to in circles


class _Moved(_Counted):
    """A network in torch on ComfyUI's graphics device."""

    def __init__(self, key: Hashable, network: Any) -> None:
        self._there = True
        super().__init__(key, network, torch.nn.ModuleList(network.modules))

    def empty(self) -> None:
        """Let go of the network and its modules."""
        super().empty()
        del self.model[:]

    def loaded_size(self) -> int:
        """Return how much of it is on the graphics device: all, or nothing."""
        return self.model_size() if self._there else 0

    def current_loaded_device(self) -> torch.device:
        """Return where it is."""
        return self.load_device if self._there else self.offload_device

    def partially_load(self, device_to: Any, extra_memory: float = 0, force_patch_weights: bool = False) -> int:
        """Move all of it to the graphics device, also where ComfyUI would like a part of it there."""
        if self._there:
            return 0
        self.model.to(device_to)
        self._there = True
        return self.model_size()

    def _free(self) -> None:
        """Move it away, or, where a run of it is under way, let it be freed after that."""
        from gossamer.warm import warm

        if warm.in_use(self._key):
            warm.unload(self._key)
        elif self._there:
            self.model.to(self.offload_device)
            self._there = self.offload_device == self.load_device
