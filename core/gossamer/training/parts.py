"""Parts of a network: which of them learn, and which are computed twice to save memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from gossamer.errors import InputError
from gossamer.networks.architectures.birefnet import BasicDecBlk
from gossamer.networks.architectures.rvm import BLOCKS_OF_CLIPS
from gossamer.networks.architectures.swin import Block
from gossamer.networks.architectures.u2net import ConvBlock, ResidualUBlock
from gossamer.settings.training import Teaching, Training
from gossamer.training.channels import is_folded
from gossamer.training.lora import add_low_rank, has_matrices

__all__ = ["learning", "prepare", "recompute"]

_BLOCKS = (ResidualUBlock, BasicDecBlk, Block, *BLOCKS_OF_CLIPS)


def prepare(network: nn.Module, settings: Training, teaching: Teaching) -> None:
    """Make a network ready to be trained.

    Parameters
    ----------
    network : torch.nn.Module
        As :func:`gossamer.networks.state_dict.load_network` returns it; it is changed.
    settings : Training
    teaching : Teaching

    Raises
    ------
    InputError
        The settings do not go with this network.
    """
    network.requires_grad_(True)
    for name, parameter in network.named_parameters():
        if name.startswith(teaching.stays):
            parameter.requires_grad_(False)
        if settings.freeze == "encoder" and name.startswith(teaching.encoder):
            parameter.requires_grad_(False)
        if settings.freeze == "decoder" and not name.startswith((*teaching.encoder, *teaching.sides)):
            parameter.requires_grad_(False)
        if settings.freeze == "kernels" and parameter.dim() > 1:
            parameter.requires_grad_(False)
    if settings.lora:
        if not has_matrices(network):
            raise InputError("This network has no transformer for LoRA.", "Leave --lora out, or choose a BiRefNet.")
        if settings.freeze in ("encoder", "kernels"):
            raise InputError(
                f"LoRA teaches the encoder's matrices, which --freeze {settings.freeze} keeps.",
                "Leave one of --lora and --freeze out.",
            )
        add_low_rank(network, settings.lora, settings.seed)
    network.train()
    layers = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    if settings.normalisation == "frozen":
        for layer in layers:
            layer.eval()
    elif layers and all(is_folded(layer) for layer in layers):
        raise InputError(
            "In these weights batch normalisation is folded into the convolutions, and cannot be trained.",
            "Leave --normalisation out, or start from weights of PyTorch (.pth, .safetensors).",
        )
    if settings.freeze != "kernels":
        _unfold(network)
    if settings.recompute:
        recompute(network)


def recompute(network: nn.Module) -> None:
    """Let a network that is prepared keep less of each forward run, and compute it again for the gradients."""
    for block in (module for module in network.modules() if isinstance(module, _BLOCKS)):
        setattr(block, "forward", _computed_twice(block.forward))  # noqa: B010 - a method, for the type checker


@torch.no_grad()
def _unfold(network: nn.Module) -> None:
    """Give the channels of convolutions with folded normalisation a scale of their own again: the same function.

    An optimiser moves each weight by about its rate. Folded, the weights of a channel are as large as what its
    normalisation multiplied by, down to 1e-6 where the channel is not used: a step would make noise of it. With the
    scale taken out, and kept, they are as large as those of a new network, which authors' rates are for.
    """
    for block in (module for module in network.modules() if isinstance(module, ConvBlock)):
        convolution, layer = block.conv_s1, block.bn_s1
        if not isinstance(layer, nn.BatchNorm2d) or not is_folded(layer) or convolution.bias is None:
            continue
        layer.bias.add_(layer.weight * convolution.bias)
        convolution.bias.zero_()
        weight = convolution.weight
        found = weight.square().mean((1, 2, 3)).sqrt()
        usual = (2 / weight[0].numel()) ** 0.5  # He 2015
        scale = (found / usual).where(found > 0, torch.ones_like(found))
        weight.div_(scale[:, None, None, None])
        layer.weight.mul_(scale)
        convolution.bias.requires_grad_(False)
        layer.weight.requires_grad_(False)


def learning(network: nn.Module) -> dict[str, nn.Parameter]:
    """Return the weights that learn, by name."""
    return {name: one for name, one in network.named_parameters() if one.requires_grad}


def _computed_twice(forward: Callable[..., Any]) -> Callable[..., Any]:
    def run(*inputs: Any) -> Any:
        if not torch.is_grad_enabled():
            return forward(*inputs)
        return checkpoint(forward, *inputs, use_reentrant=False, preserve_rng_state=False)  # nothing draws in there

    return run
