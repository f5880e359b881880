"""U²-Net and its small version: nested U-structures that find the salient object.

Qin, Zhang, Huang, Dehghan, Zaiane, Jagersand: "U²-Net: Going Deeper with Nested U-Structure for Salient Object
Detection", Pattern Recognition 106, 2020. Published weights: https://github.com/xuebinqin/U-2-Net

Submodules are registered in the order in which they run: an ONNX graph, whose exporter folded batch normalisation
into the convolutions and lost their names, is brought over by that order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

__all__ = ["FULL_DECODER", "FULL_ENCODER", "NestedUNet", "ResidualUBlock", "Stage", "U2Net", "u2net", "u2netp"]


class ConvBlock(nn.Module):
    """3 x 3 convolution, batch normalisation, ReLU."""

    def __init__(self, inputs: int, outputs: int, dilation: int = 1) -> None:
        super().__init__()
        self.conv_s1 = nn.Conv2d(inputs, outputs, 3, padding=dilation, dilation=dilation)
        self.bn_s1: nn.Module = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, h, w) to (N, outputs, h, w)."""
        features: Tensor = self.bn_s1(self.conv_s1(x))
        return functional.relu(features, inplace=not torch.is_grad_enabled())

    def fold(self) -> None:
        """Fold the batch normalisation into the convolution: the same function in one pass over memory."""
        if isinstance(self.bn_s1, nn.BatchNorm2d):
            self.conv_s1 = fuse_conv_bn_eval(self.conv_s1, self.bn_s1)
            self.bn_s1 = nn.Identity()


class ResidualUBlock(nn.Module):
    """RSU-L of the paper (section 3.1): a small U-Net whose output is added to its first layer's.

    Parameters
    ----------
    height : int
        L: levels of the inner U, the dilated one at its bottom included.
    inputs, middle, outputs : int
        Channels.
    dilated : bool
        RSU-LF: dilation (1, 2, 4, 8...) takes the place of pooling, for maps that are small already.
    """

    def __init__(self, height: int, inputs: int, middle: int, outputs: int, dilated: bool = False) -> None:
        super().__init__()
        self.height = height
        self.dilated = dilated

        def dilation(level: int) -> int:
            if dilated:
                return 1 << (level - 1)
            return 2 if level == height else 1

        self.rebnconvin = ConvBlock(inputs, outputs)
        for level in range(1, height + 1):
            block = ConvBlock(outputs if level == 1 else middle, middle, dilation(level))
            self.add_module(f"rebnconv{level}", block)
        for level in range(height - 1, 0, -1):
            # Only RSU-LF dilates on the way up.
            block = ConvBlock(2 * middle, outputs if level == 1 else middle, dilation(level) if dilated else 1)
            self.add_module(f"rebnconv{level}d", block)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, h, w) to (N, outputs, h, w)."""
        first: Tensor = self.rebnconvin(x)
        skips: list[Tensor] = []
        x = first
        for level in range(1, self.height):
            # Levels 1 and 2 have a pooling between them, the two lowest do not: the last one is dilated.
            if level > 1 and not self.dilated:
                x = _halved(x)
            x = self.get_submodule(f"rebnconv{level}")(x)
            skips.append(x)
        x = self.get_submodule(f"rebnconv{self.height}")(x)
        for level in range(self.height - 1, 0, -1):
            skip = skips.pop()
            if level < self.height - 1 and not self.dilated:
                x = _enlarged(x, skip)
            x = self.get_submodule(f"rebnconv{level}d")(torch.cat((x, skip), 1))
        return x + first


class Stage(NamedTuple):
    """One block of the outer U."""

    height: int
    middle: int
    outputs: int
    dilated: bool = False


class NestedUNet(nn.Module):
    """The outer U that U²-Net and IS-Net share: six stages down, five up, a side output on each of six levels.

    Parameters
    ----------
    inputs : int
        Channels that stage 1 takes.
    down : sequence of 6 Stage
        The encoder, from the finest level.
    up : sequence of 5 Stage
        The decoder, from the coarsest level.
    stem : Module, optional
        What runs before stage 1, as ``conv_in``.
    """

    def __init__(self, inputs: int, down: Sequence[Stage], up: Sequence[Stage], stem: nn.Module | None = None) -> None:
        super().__init__()
        if stem is not None:
            self.conv_in = stem
        channels = inputs
        for level, stage in enumerate(down, start=1):
            self.add_module(f"stage{level}", _block(channels, stage))
            channels = stage.outputs
        for level, stage in zip(range(5, 0, -1), up, strict=True):
            self.add_module(f"stage{level}d", _block(channels + down[level - 1].outputs, stage))
            channels = stage.outputs
        widths = [stage.outputs for stage in reversed(up)] + [down[-1].outputs]
        for level, width in enumerate(widths, start=1):
            self.add_module(f"side{level}", nn.Conv2d(width, 1, 3, padding=1))

    def decoded(self, x: Tensor) -> list[Tensor]:
        """Return the features of the six levels, finest first."""
        skips: list[Tensor] = []
        for level in range(1, 6):
            x = self.get_submodule(f"stage{level}")(x)
            skips.append(x)
            x = _halved(x)
        x = self.get_submodule("stage6")(x)
        features = [x]
        for level in range(5, 0, -1):
            skip = skips.pop()
            x = self.get_submodule(f"stage{level}d")(torch.cat((_enlarged(x, skip), skip), 1))
            features.append(x)
        return features[::-1]

    def side(self, level: int, features: Tensor) -> Tensor:
        """Return the logits that one level predicts, (N, 1, h', w')."""
        logits: Tensor = self.get_submodule(f"side{level}")(features)
        return logits


class U2Net(NestedUNet):
    """U²-Net: the map that its authors use is the fusion of all six side outputs."""

    def __init__(self, down: Sequence[Stage], up: Sequence[Stage]) -> None:
        super().__init__(3, down, up)
        self.outconv = nn.Conv2d(6, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 3, h, w) to probabilities, (N, 1, h, w)."""
        sides = [self.side(level, features) for level, features in enumerate(self.decoded(x), start=1)]
        logits = self.outconv(torch.cat([sides[0]] + [_enlarged(side, sides[0]) for side in sides[1:]], 1))
        # In float32 also where the network runs in half precision, whose steps next to 1 would show.
        return torch.sigmoid(logits.float())


FULL_ENCODER = (
    Stage(7, 32, 64),
    Stage(6, 32, 128),
    Stage(5, 64, 256),
    Stage(4, 128, 512),
    Stage(4, 256, 512, dilated=True),
    Stage(4, 256, 512, dilated=True),
)
FULL_DECODER = (
    Stage(4, 256, 512, dilated=True),
    Stage(4, 128, 256),
    Stage(5, 64, 128),
    Stage(6, 32, 64),
    Stage(7, 16, 64),
)
"""The stages of the full U²-Net, which are those of IS-Net too."""


def u2net() -> U2Net:
    """Return the full U²-Net (44.0 million parameters), weights not set."""
    return U2Net(FULL_ENCODER, FULL_DECODER)


def u2netp() -> U2Net:
    """Return the small U²-Net (1.1 million parameters), weights not set."""
    heights = (7, 6, 5, 4)
    down = [Stage(height, 16, 64) for height in heights] + [Stage(4, 16, 64, dilated=True)] * 2
    up = [Stage(4, 16, 64, dilated=True)] + [Stage(height, 16, 64) for height in reversed(heights)]
    return U2Net(down, up)


def _block(inputs: int, stage: Stage) -> ResidualUBlock:
    return ResidualUBlock(stage.height, inputs, stage.middle, stage.outputs, stage.dilated)


def _halved(x: Tensor) -> Tensor:
    return functional.max_pool2d(x, 2, 2, ceil_mode=True)


def _enlarged(x: Tensor, like: Tensor) -> Tensor:
    """Bring `x` to the size of `like`, bilinearly."""
    return functional.interpolate(x, like.shape[2:], mode="bilinear", align_corners=False)
