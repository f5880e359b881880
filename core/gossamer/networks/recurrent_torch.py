"""Recurrent video matting in torch: our own network with the weights of the graph that its authors export."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from gossamer.arrays import Array
from gossamer.errors import DeviceError, MissingExtra, ModelError
from gossamer.networks.batches import Exhausted
from gossamer.networks.devices import started_device
from gossamer.networks.graph_state_dict import graph_convolutions
from gossamer.networks.recurrence import Recurrence
from gossamer.networks.torch_module import TorchModule, placed
from gossamer.progress import Progress

__all__ = ["RecurrentTorch"]

_TITLE = "Robust Video Matting"


class RecurrentTorch:
    """RVM in torch; gives what :class:`~gossamer.networks.recurrent_onnx.RecurrentOnnx` gives, but for rounding.

    Parameters
    ----------
    path : Path
        The .onnx file of its authors.
    device : {"auto", "cpu", "cuda"}
        Where to run. ``"cuda"`` raises when CUDA does not start; ``"auto"`` falls back to the CPU and says so.

    Raises
    ------
    ModelError
        The file holds another network.
    DeviceError, MissingExtra
        The device cannot be had; torch or onnx is not installed.
    """

    def __init__(self, path: Path, device: str = "auto") -> None:
        self.device, self.warnings = started_device(device)
        try:
            import torch
        except ImportError:
            raise MissingExtra("Running a network in torch", "torch") from None
        from gossamer.networks.architectures.rvm import rvm_mobilenetv3

        module = rvm_mobilenetv3().eval().requires_grad_(False)
        layers = [layer for layer in module.modules() if isinstance(layer, torch.nn.Conv2d)]
        found = graph_convolutions(path)
        shapes = [tuple(layer.weight.shape) for layer in layers]
        if [weight.shape for weight, _ in found] != shapes:
            raise ModelError(f"{path.name} is not {_TITLE} with MobileNetV3.", "Run it with --runtime onnx.")
        for layer, (weight, bias) in zip(layers, found, strict=True):
            layer.weight.copy_(torch.from_numpy(weight))
            if layer.bias is not None and bias is not None:
                layer.bias.copy_(torch.from_numpy(bias))
        self._module = TorchModule(placed(module, _TITLE, self.device), _TITLE, self.device)

    @property
    def modules(self) -> tuple[Any, ...]:
        """Its torch module; none once it is unloaded."""
        return self._module.modules

    @property
    def bytes(self) -> int:
        """How much memory its weights take."""
        return self._module.bytes

    def run(
        self, frame: Array, remembered: Recurrence, ratio: float, progress: Progress
    ) -> tuple[Array, Array, Recurrence]:
        """Matte one frame; see :meth:`gossamer.networks.recurrent_onnx.RecurrentOnnx.run`."""
        import torch

        height, width = frame.shape[1:]
        states = remembered.fitting(height, width).states or (None,) * 4
        given = [None if one is None else torch.from_numpy(np.ascontiguousarray(one)).to(self.device) for one in states]
        batch = torch.from_numpy(np.ascontiguousarray(frame[None])).to(self.device)
        try:
            colours, alpha, after = self._module.run(lambda call: call(batch, given, ratio), progress)
        except Exhausted:
            raise DeviceError(
                f"There is not enough memory to run this model on frames of {width} x {height}.",
                "Give a smaller size or working ratio.",
            ) from None
        kept = tuple(one.float().cpu().numpy() for one in after)
        return colours[0].cpu().numpy(), alpha[0, 0].cpu().numpy(), Recurrence(kept, (height, width))

    def unload(self) -> None:
        """Free the memory that the network holds."""
        self._module.unload()
