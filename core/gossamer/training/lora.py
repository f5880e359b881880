"""LoRA: beside each matrix of a transformer, which stays, a product of two small ones learns.

Hu, Shen, Wallis, Allen-Zhu, Li, Wang, Wang, Chen: "LoRA: Low-Rank Adaptation of Large Language Models", ICLR 2022.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from gossamer.networks.architectures.swin import SwinTransformer

__all__ = ["LowRank", "add_low_rank", "has_matrices", "merged"]


class LowRank(nn.Module):
    """What is added to a matrix: B A, twice the weight of its inverse rank."""

    def __init__(self, rows: int, columns: int, rank: int, generator: torch.Generator) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.empty(rank, columns).uniform_(-1, 1, generator=generator) * math.sqrt(3 / columns))
        self.b = nn.Parameter(torch.zeros(rows, rank))  # so that the network is at first what it was
        self.scale = 2.0

    def forward(self, weight: Tensor) -> Tensor:
        """Map a matrix to what is used in its place."""
        return weight + self.scale * (self.b @ self.a)


def add_low_rank(network: nn.Module, rank: int, seed: int) -> int:
    """Let the encoder learn by small matrices alone; returns how many were added.

    Parameters
    ----------
    network : torch.nn.Module
    rank : int
        Of each.
    seed : int
        What they are drawn from.
    """
    generator = torch.Generator().manual_seed(seed)
    added = 0
    for encoder in (module for module in network.modules() if isinstance(module, SwinTransformer)):
        encoder.requires_grad_(False)
        for layer in [module for module in encoder.modules() if isinstance(module, nn.Linear)]:
            parametrize.register_parametrization(
                layer, "weight", LowRank(layer.out_features, layer.in_features, rank, generator)
            )
            added += 1
    return added


def has_matrices(network: nn.Module) -> bool:
    """Tell whether a network has an encoder that can be taught so."""
    return any(isinstance(module, SwinTransformer) for module in network.modules())


def merged(network: nn.Module) -> dict[str, Tensor]:
    """Return the state dict that the network's plain class loads: nothing is beside its matrices, or in other units."""
    state = {}
    with torch.no_grad():
        for key, kept in network.state_dict().items():
            place, found, rest = key.rpartition(".parametrizations.")
            if not found:
                state[key] = kept.detach()
            elif rest.endswith(".original"):
                name = rest.removesuffix(".original")
                value: Tensor = getattr(network.get_submodule(place), name)
                state[f"{place}.{name}"] = value.detach()
    return state
