"""Channels that learn in steps of how much each varies, and those that half precision would lose.

Published weights have channels of very different kinds. U²-Net small has one that is 228 everywhere but for 0.2, and
the layer behind it takes a multiple of it off again: a thousandth more of it and the mask is another, where of most
others a thousandth more is not seen. One rate does for both only where each is counted in its own unit; and bfloat16,
which has steps of 1 at 228, loses what the 0.2 tell: a hundredth of a photograph's mask was on the other side of 0.5.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.utils.hooks import RemovableHandle

from gossamer.networks.architectures.u2net import ConvBlock

__all__ = ["in_own_units", "is_folded", "keep_precise", "kernels_in_own_units"]

_LEAST = 0.01  # of what channels of a layer vary by
_SHORTEST = 1e-4  # of a step
_WRONG = 0.3
"""Of how much a channel varies: bfloat16 alone rounds away a hundredth of that."""


class InUnits(nn.Module):
    """A number for each channel, counted in that channel's unit."""

    unit: Tensor

    def __init__(self, unit: Tensor) -> None:
        super().__init__()
        self.register_buffer("unit", unit)

    def forward(self, value: Tensor) -> Tensor:
        """Map what learns to what is used."""
        return value * self.unit

    def right_inverse(self, value: Tensor) -> Tensor:
        """Map what is used to what learns."""
        return value / self.unit


@torch.no_grad()
def in_own_units(network: nn.Module, pictures: Tensor) -> None:
    """Let scale and shift of each channel be learnt in steps of how much it varies: the function stays.

    Parameters
    ----------
    network : torch.nn.Module
        On the CPU, in float32, its normalisation in evaluation mode.
    pictures : Tensor, (N, 3, h, w)
        Some of those that it will see, by which it is known how much each varies.
    """
    layers = [block.bn_s1 for block in _blocks(network)]
    seen: list[tuple[nn.BatchNorm2d, Tensor, Tensor]] = []

    def look(layer: nn.BatchNorm2d, inputs: tuple[Tensor, ...], found: Tensor) -> None:
        seen.append((layer, found.std((0, 2, 3)), found.square().mean((0, 2, 3)).sqrt()))

    hooks = [layer.register_forward_hook(look) for layer in layers if isinstance(layer, nn.BatchNorm2d)]
    _run(network, pictures, hooks)
    for layer, spread, size in seen:
        spread = spread.clamp_min(_LEAST * float(spread.median()) + 1e-6)  # what is never there may come to be
        units = {"weight": layer.weight.detach().abs() * spread / size.clamp_min(spread), "bias": spread}
        for name, unit in units.items():
            learns = getattr(layer, name).requires_grad
            parametrize.register_parametrization(layer, name, InUnits(unit.clamp_min(1e-6)))
            layer.get_parameter(f"parametrizations.{name}.original").requires_grad_(learns)
    for block in _blocks(network):
        if block.conv_s1.bias is not None and isinstance(block.bn_s1, nn.BatchNorm2d):
            block.conv_s1.bias.requires_grad_(False)  # the shift does the same


@torch.no_grad()
def kernels_in_own_units(network: nn.Module, pictures: Tensor) -> None:
    """Let kernels be learnt in steps that are as small as the channel that they take is constant: the function stays.

    What a step of a weight changes is the weight's input times that step: of a channel that is 228 but for 0.2, a
    thousand times what a step at its neighbours does, and the same everywhere in the picture.

    Parameters
    ----------
    network : torch.nn.Module
        On the CPU, in float32, its normalisation in evaluation mode.
    pictures : Tensor, (N, 3, h, w)
        Some of those that it will see.
    """
    seen: list[tuple[nn.Conv2d, Tensor]] = []

    def look(convolution: nn.Conv2d, inputs: tuple[Tensor, ...]) -> None:
        spread, size = inputs[0].std((0, 2, 3)), inputs[0].square().mean((0, 2, 3)).sqrt()
        seen.append((convolution, (spread / size.clamp_min(1e-6)).clamp(_SHORTEST, 1)))

    learning = [block.conv_s1 for block in _blocks(network) if block.conv_s1.weight.requires_grad]
    hooks = [convolution.register_forward_pre_hook(look) for convolution in learning]
    _run(network, pictures, hooks)
    for convolution, unit in seen:
        parametrize.register_parametrization(convolution, "weight", InUnits(unit[None, :, None, None].clone()))


@torch.no_grad()
def keep_precise(network: nn.Module, pictures: Tensor, precision: str) -> tuple[str, ...]:
    """Let those blocks run in float32 that half precision loses a channel of.

    Parameters
    ----------
    network : torch.nn.Module
        On its device, in float32.
    pictures : Tensor, (N, 3, h, w)
        On the same.
    precision : str
        Of the others.

    Returns
    -------
    tuple of str
        The names of the blocks.
    """
    kept = []

    def compare(name: str) -> Callable[..., None]:
        def look(block: nn.Module, inputs: tuple[Tensor, ...], found: Tensor) -> None:
            dtype = getattr(torch, precision)
            with torch.autocast(inputs[0].device.type, dtype=dtype), _unwatched(block):
                low = block(inputs[0].to(dtype)).float()
            wrong, spread = (low - found).square().mean((0, 2, 3)).sqrt(), found.std((0, 2, 3))
            if bool((wrong > _WRONG * spread.clamp_min(1e-3)).any()):
                kept.append(name)

        return look

    hooks = [
        block.register_forward_hook(compare(name))
        for name, block in network.named_modules()
        if isinstance(block, ConvBlock)
    ]
    _run(network, pictures, hooks)
    for name in kept:
        _in_float32(network.get_submodule(name))
    return tuple(kept)


def is_folded(layer: nn.Module) -> bool:
    """Tell whether a layer is a normalisation that does nothing, as where an exporter folded it."""
    if not isinstance(layer, nn.BatchNorm2d):
        return False
    mean, variance = layer.running_mean, layer.running_var
    assert mean is not None  # noqa: S101 - none of ours is without
    assert variance is not None  # noqa: S101
    return not mean.any() and bool(torch.isclose(variance, torch.tensor(1 - layer.eps), rtol=0, atol=1e-6).all())


def _blocks(network: nn.Module) -> list[ConvBlock]:
    return [module for module in network.modules() if isinstance(module, ConvBlock)]


def _run(network: nn.Module, pictures: Tensor, hooks: Sequence[RemovableHandle]) -> None:
    """Let a network see pictures, where somebody looks, and nobody look any more."""
    try:
        if hooks:
            network(pictures)
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def _unwatched(block: nn.Module) -> Iterator[None]:
    """Let a block run without its hooks meanwhile."""
    hooks, block._forward_hooks = block._forward_hooks, type(block._forward_hooks)()
    try:
        yield
    finally:
        block._forward_hooks = hooks


def _in_float32(block: nn.Module) -> None:
    forward = block.forward

    def run(x: Any) -> Any:
        with torch.autocast(x.device.type, enabled=False):
            return forward(x.float())

    setattr(block, "forward", run)  # noqa: B010 - a method, for the type checker
