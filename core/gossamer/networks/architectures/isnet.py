"""IS-Net: the segmentation part of the highly accurate dichotomous image segmentation baseline.

Qin, Dai, Hu, Fan, Shao, Van Gool: "Highly Accurate Dichotomous Image Segmentation", ECCV 2022. Published weights:
https://github.com/xuebinqin/DIS (general use), https://github.com/SkyTNT/anime-segmentation (anime; its training
checkpoints hold this network under ``net.``), RMBG-1.4 of BRIA AI (the same layers and names).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from gossamer.networks.architectures.u2net import FULL_DECODER, FULL_ENCODER, NestedUNet

__all__ = ["ISNet", "isnet"]


class ISNet(NestedUNet):
    """A U²-Net behind a strided convolution, so that it sees 1024 x 1024 at the cost of 512 x 512.

    Only the finest side output is its mask: the other five serve training. Their weights are kept, because
    checkpoints hold them, and never run.
    """

    training_only = ("side2", "side3", "side4", "side5", "side6")
    """Layers that an export leaves out."""

    def __init__(self) -> None:
        super().__init__(64, FULL_ENCODER, FULL_DECODER, stem=nn.Conv2d(3, 64, 3, stride=2, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 3, h, w) to probabilities, (N, 1, h, w)."""
        logits = self.side(1, self.decoded(self.conv_in(x))[0])
        logits = functional.interpolate(logits, x.shape[2:], mode="bilinear", align_corners=False)
        # In float32 also where the network runs in half precision, whose steps next to 1 would show.
        return torch.sigmoid(logits.float())


def isnet() -> ISNet:
    """Return IS-Net (44.0 million parameters), weights not set."""
    return ISNet()
