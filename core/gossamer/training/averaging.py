"""The average of a network's weights over the steps of its training, which forgets slowly and wavers less."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

__all__ = ["Average", "changing"]


class Average:
    """An exponential moving average of what a network learns.

    Parameters
    ----------
    network : torch.nn.Module
    decay : float
        How much of it stays in each step, in [0, 1); 0 follows the network at once. Early steps count more: in step n
        no more than (1 + n) / (10 + n) stays, so that what the network began with does not.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._network, self._decay = network, decay
        self.tensors: dict[str, Tensor] = {name: value.detach().clone() for name, value in changing(network).items()}

    @torch.no_grad()
    def follow(self, step: int) -> None:
        """Take in what the network is after a step, counted from 0."""
        stays = min(self._decay, (1 + step) / (10 + step))
        for name, value in changing(self._network).items():
            self.tensors[name].lerp_(value, 1 - stays)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Let the network be its average meanwhile."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    @torch.no_grad()
    def _exchange(self) -> None:
        for name, value in changing(self._network).items():
            kept = value.clone()
            value.copy_(self.tensors[name])
            self.tensors[name] = kept


def changing(network: nn.Module) -> dict[str, Tensor]:
    """Return what changes in training: what learns, and the means of batch normalisation that follows batches."""
    found: dict[str, Tensor] = {name: one for name, one in network.named_parameters() if one.requires_grad}
    for place, layer in network.named_modules():
        if isinstance(layer, nn.BatchNorm2d) and layer.training:
            found |= {f"{place}.{name}": one for name, one in layer.named_buffers() if one.is_floating_point()}
    return found
