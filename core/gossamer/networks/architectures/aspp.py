"""Atrous spatial pyramid pooling with deformable kernels in place of dilated ones.

Chen, Papandreou, Kokkinos, Murphy, Yuille: "DeepLab", TPAMI 2018 (the pyramid); Zheng et al.: "Bilateral Reference for
High-Resolution Dichotomous Image Segmentation", 2024 (its deformable form).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from gossamer.networks.architectures.deformable import DeformableConv2d

__all__ = ["ASPPDeformable"]

_WIDTH = 256
"""Channels of every branch."""


class ASPPDeformable(nn.Module):
    """Deformable kernels of sides 1, 1, 3 and 7 and the mean of the whole map, side by side, then mixed.

    Parameters
    ----------
    channels : int
        Of the input and of the output.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.aspp1 = _Branch(channels, 1)
        self.aspp_deforms = nn.ModuleList(_Branch(channels, kernel) for kernel in (1, 3, 7))
        self.global_avg_pool = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, _WIDTH, 1, bias=False), nn.BatchNorm2d(_WIDTH), nn.ReLU()
        )
        self.conv1 = nn.Conv2d(5 * _WIDTH, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C, H, W)."""
        # The mixing of the five, joined, is the sum of the mixing of each: none has to wait for the others.
        weights = self.conv1.weight.split(_WIDTH, 1)  # type: ignore[no-untyped-call]
        mixed = functional.conv2d(self.global_avg_pool(x), weights[4])
        for branch, weight in zip((self.aspp1, *self.aspp_deforms), weights, strict=False):
            mixed = mixed + functional.conv2d(branch(x), weight)
        return torch.relu(self.bn1(mixed))


class _Branch(nn.Module):
    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.atrous_conv = DeformableConv2d(channels, _WIDTH, kernel)
        self.bn = nn.BatchNorm2d(_WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        normal: Tensor = self.bn(self.atrous_conv(x))
        return normal.relu_()
