"""Recurrent video matting in torch: our own networks, with the weights that their authors give."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.errors import DeviceError, ModelError, memory_remedy
from gossamer.networks.batches import Exhausted
from gossamer.networks.devices import started_device
from gossamer.networks.graph_state_dict import graph_convolutions
from gossamer.networks.recurrence import Recurrence, planes_of
from gossamer.networks.torch_module import TorchModule, placed
from gossamer.networks.torch_package import torch_package
from gossamer.progress import Progress

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["RECURRENT_NETWORKS", "RecurrentTorch", "load_recurrent", "recognise_recurrent"]

RECURRENT_NETWORKS = {
    "rvm_mobilenetv3": "Robust Video Matting with MobileNetV3",
    "rvm_resnet50": "Robust Video Matting with ResNet50",
    "bimatting": "BiMatting",
}
"""The networks that run here, by the name that the catalogue gives them, and what people call them."""


class RecurrentTorch:
    """A recurrent network in torch; gives what its ONNX graph gives in ONNX Runtime, but for rounding.

    Parameters
    ----------
    path : Path
        The .onnx file of its authors, or a .safetensors file of one trained here; of BiMatting their checkpoint, or a
        packed one.
    device : {"auto", "cpu", "cuda"}
        Where to run. ``"cuda"`` raises when CUDA does not start; ``"auto"`` falls back to the CPU and says so.
    network : str
        A key of :data:`RECURRENT_NETWORKS`.

    Raises
    ------
    ModelError
        The file holds another network.
    DeviceError, MissingExtra
        The device cannot be had; torch or onnx is not installed.
    """

    def __init__(self, path: Path, device: str = "auto", network: str = "rvm_mobilenetv3") -> None:
        self.device, self.warnings = started_device(device)
        torch_package("Running a network in torch")  # said here, whatever loads it first
        title = RECURRENT_NETWORKS[network]
        if network == "bimatting":
            from gossamer.networks.bimatting_weights import load_bimatting

            module: nn.Module = load_bimatting(path)
            if self.device == "cpu":
                module.pack()  # type: ignore[operator]
        else:
            module = load_recurrent(path, network)
        self._module = TorchModule(placed(module, title, self.device), title, self.device)

    @property
    def modules(self) -> tuple[Any, ...]:
        """Its torch module; none once it is unloaded."""
        return self._module.modules

    @property
    def bytes(self) -> int:
        """How much memory its weights take."""
        return self._module.bytes

    def run(
        self, frame: NDArray[np.generic], remembered: Recurrence, ratio: float, progress: Progress
    ) -> tuple[Array, Recurrence]:
        """Matte one frame; see :meth:`gossamer.networks.recurrent_onnx.RecurrentOnnx.run`."""
        import torch

        height, width = frame.shape[:2]
        states = remembered.fitting(height, width).states or (None,) * 4
        given = [None if one is None else torch.from_numpy(np.ascontiguousarray(one)).to(self.device) for one in states]
        batch = torch.from_numpy(planes_of(frame)).to(self.device)
        try:
            _, alpha, after = self._module.run(lambda call: call(batch, given, ratio), progress)
        except Exhausted:
            raise DeviceError(
                f"There is not enough memory to run this model on frames of {width} x {height}.",
                memory_remedy("Give a smaller size or working ratio."),
            ) from None
        kept = tuple(one.float().cpu().numpy() for one in after)
        return alpha[0, 0].cpu().numpy(), Recurrence(kept, (height, width))

    def unload(self) -> None:
        """Free the memory that the network holds."""
        self._module.unload()


def load_recurrent(path: Path, network: str) -> nn.Module:
    """Return Robust Video Matting with the weights of a file, float32, on the CPU, in evaluation mode.

    Parameters
    ----------
    path : Path
        The graph that its authors export, or a .safetensors file of one that was trained here.
    network : {"rvm_mobilenetv3", "rvm_resnet50"}

    Raises
    ------
    ModelError
        The file holds another network, or is damaged.
    ModelNotFound, MissingExtra
        There is no such file; torch or onnx is not installed.
    """
    from gossamer.networks.architectures import rvm

    module: nn.Module = getattr(rvm, network)().eval().requires_grad_(False)
    if path.suffix.lower() == ".safetensors":
        _set_by_name(module, path, network)
    else:
        _set_by_order(module, path, network)
    return module


def recognise_recurrent(path: Path) -> str | None:
    """Return which Robust Video Matting the weights in a file are of, by their shapes; None of anything else.

    Parameters
    ----------
    path : Path
        As for :func:`load_recurrent`.

    Raises
    ------
    ModelError, ModelNotFound, MissingExtra
        The file is damaged, or there is none; torch or onnx is not installed.
    """
    import torch

    from gossamer.networks.architectures import rvm
    from gossamer.networks.state_dict import read_state_dict

    suffix = path.suffix.lower()
    if suffix not in (".onnx", ".safetensors"):
        return None
    for network in ("rvm_mobilenetv3", "rvm_resnet50"):
        with torch.device("meta"):
            module: nn.Module = getattr(rvm, network)()
        if suffix == ".safetensors":
            found, expected = _shapes(read_state_dict(path)), _shapes(module.state_dict())
            if found == expected:
                return network
            continue
        layers = [layer for layer in module.modules() if isinstance(layer, torch.nn.Conv2d)]
        try:
            convolutions = graph_convolutions(path)
        except ModelError:  # another network's: none of these computes its weights, or has them normalised
            return None
        if [weight.shape for weight, _ in convolutions] == [tuple(layer.weight.shape) for layer in layers]:
            return network
    return None


def _shapes(entries: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in entries.items()}


def _set_by_name(module: nn.Module, path: Path, network: str) -> None:
    from gossamer.networks.state_dict import read_state_dict

    entries, expected = read_state_dict(path), module.state_dict()
    if _shapes(entries) != _shapes(expected):
        raise ModelError(
            f"{path.name} is not {RECURRENT_NETWORKS[network]}.", "Give weights that were trained from it."
        )
    for name, value in entries.items():
        if not bool(value.isfinite().all()):
            raise ModelError(f"The weights {name} in {path.name} are not finite.", "Train again, or copy it again.")
    module.load_state_dict(entries)


def _set_by_order(module: nn.Module, path: Path, network: str) -> None:
    import torch

    layers = [layer for layer in module.modules() if isinstance(layer, torch.nn.Conv2d)]
    found = graph_convolutions(path)
    shapes = [tuple(layer.weight.shape) for layer in layers]
    if [weight.shape for weight, _ in found] != shapes:
        raise ModelError(f"{path.name} is not {RECURRENT_NETWORKS[network]}.", "Run it with --runtime onnx.")
    for layer, (weight, bias) in zip(layers, found, strict=True):
        layer.weight.copy_(torch.from_numpy(weight))
        if layer.bias is not None and bias is not None:
            layer.bias.copy_(torch.from_numpy(bias))
