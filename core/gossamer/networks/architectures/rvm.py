"""Robust Video Matting with MobileNetV3 or ResNet50: a recurrent decoder keeps mattes steady over frames.

After S. Lin, L. Yang, I. Saleemi, S. Sengupta, "Robust High-Resolution Video Matting with Temporal Guidance",
WACV 2022, A. Howard et al., "Searching for MobileNetV3", ICCV 2019, and K. He, X. Zhang, S. Ren, J. Sun, "Deep Residual
Learning for Image Recognition", CVPR 2016.

Batch normalisation is part of the convolutions here, as it is in the graph that the authors export: each has a bias.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gossamer.networks.architectures.mobilenetv3 import BLOCKS, DEEPEST, MEAN, STD, TAPS, Block, squeezed

__all__ = ["BLOCKS_OF_CLIPS", "RobustVideoMatting", "rvm_mobilenetv3", "rvm_resnet50"]


def rvm_mobilenetv3() -> nn.Module:
    """Return the network with its MobileNetV3 encoder; weights are not set."""
    return RobustVideoMatting(_Encoder(), DEEPEST, (16, 24, 40, 128), (80, 40, 32, 16))


def rvm_resnet50() -> nn.Module:
    """Return the network with its ResNet50 encoder, larger and a little better; weights are not set."""
    return RobustVideoMatting(_ResNet50(), 2048, (64, 256, 512, 256), (128, 64, 32, 16))


class RobustVideoMatting(nn.Module):
    """Colours, alpha and memory of one frame, from the frame and the memory of those before.

    The modules are registered in the order in which they run, so that weights can be taken from a graph of it.

    Parameters
    ----------
    encoder : torch.nn.Module
    deepest : int
        Channels of its last output.
    features : four of int
        Channels of its other outputs, the largest first, and of what the pyramid makes of the last.
    channels : four of int
        Of the decoder, the smallest picture first.
    """

    def __init__(self, encoder: nn.Module, deepest: int, features: Sequence[int], channels: Sequence[int]) -> None:
        super().__init__()
        self.backbone = encoder
        self.aspp = _Pyramid(deepest, features[-1])
        self.decoder = _Decoder(features, channels)
        self.project_mat = nn.Conv2d(16, 4, 1)
        self.refiner = _Refiner()

    def forward(
        self, frame: Tensor, states: Sequence[Tensor | None], ratio: float
    ) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        """Matte frames.

        Parameters
        ----------
        frame : (N, 3, H, W)
            RGB in [0, 1].
        states : four of (N, C, h, w) or None
            What the frame before gave.
        ratio : float
            How small the encoder and decoder see the frame.

        Returns
        -------
        colours : (N, 3, H, W)
        alpha : (N, 1, H, W)
        states : four of (N, C, h, w)
        """
        # The factor that was given decides where pixels are taken, not the one that the rounded size has.
        small = frame if ratio == 1 else F.interpolate(frame, scale_factor=ratio, mode="bilinear", align_corners=False)
        first, second, third, fourth = self.backbone(small)
        hidden, after = self.decoder(small, first, second, third, self.aspp(fourth), states)
        residual, alpha = self.project_mat(hidden).split([3, 1], dim=1)
        # The authors' torch code leaves the refiner out at a ratio of 1, their graph does not: ours is as the graph.
        residual, alpha = self._refined(frame, small, residual, alpha, hidden)
        return (residual + frame).clamp(0, 1), alpha.clamp(0, 1), after

    def sequence(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Matte frames that follow each other, from nothing remembered on, seen as large as they are.

        What it gives is what the same frames give one by one at a ratio of 1. All but the recurrent decoder sees them
        at once, as in the authors' training.

        Parameters
        ----------
        frames : (N, T, 3, H, W)
            RGB in [0, 1].

        Returns
        -------
        colours : (N, T, 3, H, W)
        alpha : (N, T, 1, H, W)
        """
        shape = frames.shape[:2]
        flat = frames.flatten(0, 1)
        first, second, third, fourth = self.backbone(flat)
        found = [one.unflatten(0, shape) for one in (first, second, third, self.aspp(fourth))]
        states: Sequence[Tensor | None] = (None,) * 4
        seen = []
        for place in range(shape[1]):
            hidden, states = self.decoder(frames[:, place], *(one[:, place] for one in found), states)
            seen.append(hidden)
        every = torch.stack(seen, 1).flatten(0, 1)
        residual, alpha = self.project_mat(every).split([3, 1], dim=1)
        residual, alpha = self._refined(flat, flat, residual, alpha, every)
        colours = (residual + flat).clamp(0, 1)
        size = frames.shape[3:]
        return colours.reshape(*shape, 3, *size), alpha.clamp(0, 1).reshape(*shape, 1, *size)

    def _refined(self, *given: Tensor) -> tuple[Tensor, Tensor]:
        """Return residual and alpha, filtered in float32: variances are what nearly equal numbers differ by."""
        kind = given[0].device.type
        if not torch.is_autocast_enabled(kind):
            found: tuple[Tensor, Tensor] = self.refiner(*given)
            return found
        with torch.autocast(kind, enabled=False):
            found = self.refiner(*(one.float() for one in given))
        return found


class _Squeeze(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        fewer = squeezed(channels)
        self.fc1, self.fc2 = nn.Conv2d(channels, fewer, 1), nn.Conv2d(fewer, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        weight = F.relu(self.fc1(x.mean((2, 3), keepdim=True)))
        return x * F.hardsigmoid(self.fc2(weight))


class _Inverted(nn.Module):
    """An inverted residual block."""

    def __init__(self, into: int, told: Block) -> None:
        super().__init__()
        kernel, wide, out, squeeze, hard, stride, dilation = told
        layers: list[nn.Module] = []
        if wide != into:
            layers += [nn.Conv2d(into, wide, 1), _activation(hard)]
        # A dilated block keeps its size.
        padding = (kernel - 1) // 2 * dilation
        layers += [
            nn.Conv2d(wide, wide, kernel, stride if dilation == 1 else 1, padding, dilation, groups=wide),
            _activation(hard),
        ]
        if squeeze:
            layers.append(_Squeeze(wide))
        layers.append(nn.Conv2d(wide, out, 1))
        self.block = nn.Sequential(*layers)
        self.residual = stride == 1 and into == out

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.block(x)
        return x + y if self.residual else y


class _Encoder(nn.Module):
    """MobileNetV3-Large without its head, its last stage dilated."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.Hardswish())]
        into = 16
        for told in BLOCKS:
            layers.append(_Inverted(into, told))
            into = told.out
        layers.append(nn.Sequential(nn.Conv2d(into, DEEPEST, 1), nn.Hardswish()))
        self.features = nn.ModuleList(layers)
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> list[Tensor]:
        x = (x - self.mean) / self.std
        kept = []
        for number, layer in enumerate(self.features):
            x = layer(x)
            if number in TAPS:
                kept.append(x)
        return [*kept, x]


class _Bottleneck(nn.Module):
    """A residual block of ResNet50: narrow, 3 x 3, wide."""

    def __init__(self, into: int, narrow: int, stride: int, dilation: int) -> None:
        super().__init__()
        out = 4 * narrow
        self.conv1 = nn.Conv2d(into, narrow, 1)
        self.conv2 = nn.Conv2d(narrow, narrow, 3, stride, dilation, dilation)
        self.conv3 = nn.Conv2d(narrow, out, 1)
        self.downsample = nn.Conv2d(into, out, 1, stride) if into != out else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv3(F.relu(self.conv2(F.relu(self.conv1(x)))))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class _ResNet50(nn.Module):
    """ResNet50 without its head, its last stage dilated; the authors give it pictures as they are."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3)
        self.layer1 = _stage(64, 64, 3, 1, (1, 1))
        self.layer2 = _stage(256, 128, 4, 2, (1, 1))
        self.layer3 = _stage(512, 256, 6, 2, (1, 1))
        # As torchvision dilates: its first block keeps the dilation of the stage before.
        self.layer4 = _stage(1024, 512, 3, 1, (1, 2))

    def forward(self, x: Tensor) -> list[Tensor]:
        first = F.relu(self.conv1(x))
        second = self.layer1(F.max_pool2d(first, 3, 2, 1))
        third = self.layer2(second)
        return [first, second, third, self.layer4(self.layer3(third))]


def _stage(into: int, narrow: int, count: int, stride: int, dilations: tuple[int, int]) -> nn.Sequential:
    first, others = dilations
    blocks = [_Bottleneck(into, narrow, stride, first)]
    blocks += [_Bottleneck(4 * narrow, narrow, 1, others) for _ in range(count - 1)]
    return nn.Sequential(*blocks)


class _Pyramid(nn.Module):
    """LR-ASPP: what the encoder found, weighted by what it found on the whole."""

    def __init__(self, into: int, out: int) -> None:
        super().__init__()
        self.aspp1, self.aspp2 = nn.Conv2d(into, out, 1), nn.Conv2d(into, out, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.aspp1(x)) * torch.sigmoid(self.aspp2(x.mean((2, 3), keepdim=True)))


class _Gru(nn.Module):
    """A convolutional gated recurrent unit."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.ih = nn.Conv2d(2 * channels, 2 * channels, 3, padding=1)
        self.hh = nn.Conv2d(2 * channels, channels, 3, padding=1)

    def forward(self, x: Tensor, state: Tensor | None) -> Tensor:
        if state is None:
            state = torch.zeros_like(x)
        reset, update = torch.sigmoid(self.ih(torch.cat([x, state], 1))).chunk(2, 1)
        candidate = torch.tanh(self.hh(torch.cat([x, reset * state], 1)))
        return (1 - update) * state + update * candidate


class _Recurrent(nn.Module):
    """Half of the channels goes through the recurrent unit, the other half as it is."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gru = _Gru(channels // 2)

    def forward(self, x: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        own, shared = x.chunk(2, 1)
        after = self.gru(shared, state)
        return torch.cat([own, after], 1), after


class _Up(nn.Module):
    """Twice the size, with the encoder's features and the small frame of that size."""

    def __init__(self, into: int, beside: int, out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(into + beside + 3, out, 3, padding=1)
        self.recurrent = _Recurrent(out)

    def forward(self, x: Tensor, beside: Tensor, frame: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        x = F.relu(self.conv(torch.cat([_doubled(x, beside), beside, frame], 1)))
        result: tuple[Tensor, Tensor] = self.recurrent(x, state)
        return result


class _Output(nn.Module):
    def __init__(self, into: int, out: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(into + 3, out, 3, padding=1), nn.Conv2d(out, out, 3, padding=1)

    def forward(self, x: Tensor, frame: Tensor) -> Tensor:
        return F.relu(self.conv2(F.relu(self.conv1(torch.cat([_doubled(x, frame), frame], 1)))))


class _Decoder(nn.Module):
    def __init__(self, features: Sequence[int], channels: Sequence[int]) -> None:
        super().__init__()
        first, second, third, fourth = features
        self.decode4 = _Recurrent(fourth)
        self.decode3 = _Up(fourth, third, channels[0])
        self.decode2 = _Up(channels[0], second, channels[1])
        self.decode1 = _Up(channels[1], first, channels[2])
        self.decode0 = _Output(channels[2], channels[3])

    def forward(
        self,
        frame: Tensor,
        first: Tensor,
        second: Tensor,
        third: Tensor,
        fourth: Tensor,
        states: Sequence[Tensor | None],
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        halves = [frame]
        for _ in range(3):
            halves.append(F.avg_pool2d(halves[-1], 2, 2, ceil_mode=True, count_include_pad=False))
        x, r4 = self.decode4(fourth, states[3])
        x, r3 = self.decode3(x, third, halves[3], states[2])
        x, r2 = self.decode2(x, second, halves[2], states[1])
        x, r1 = self.decode1(x, first, halves[1], states[0])
        return self.decode0(x, frame), (r1, r2, r3, r4)


class _Refiner(nn.Module):
    """A deep guided filter: what is linear in the small frame is so in the large one.

    References
    ----------
    H. Wu, S. Zheng, J. Zhang, K. Huang, "Fast End-to-End Trainable Guided Filter", CVPR 2018.
    """

    def __init__(self) -> None:
        super().__init__()
        self.box_filter = nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False)
        self.conv = nn.Sequential(nn.Conv2d(24, 16, 1), nn.ReLU(), nn.Conv2d(16, 16, 1), nn.ReLU(), nn.Conv2d(16, 4, 1))

    def forward(
        self, frame: Tensor, small: Tensor, residual: Tensor, alpha: Tensor, hidden: Tensor
    ) -> tuple[Tensor, Tensor]:
        fine = torch.cat([frame, frame.mean(1, keepdim=True)], 1)
        coarse = torch.cat([small, small.mean(1, keepdim=True)], 1)
        known = torch.cat([residual, alpha], 1)
        mean, target = self.box_filter(coarse), self.box_filter(known)
        covariance = self.box_filter(coarse * known) - mean * target
        variance = self.box_filter(coarse * coarse) - mean * mean
        slope = self.conv(torch.cat([covariance, variance, hidden], 1))
        offset = target - slope * mean
        size = frame.shape[2:]
        slope, offset = (F.interpolate(one, size, mode="bilinear", align_corners=False) for one in (slope, offset))
        filtered = slope * fine + offset
        return filtered[:, :3], filtered[:, 3:]


def _doubled(x: Tensor, like: Tensor) -> Tensor:
    """Return something twice as large, cut to the size of another where that is odd."""
    x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    return x[:, :, : like.shape[2], : like.shape[3]]


def _activation(hard: bool) -> nn.Module:
    return nn.Hardswish() if hard else nn.ReLU()


BLOCKS_OF_CLIPS: tuple[type[nn.Module], ...] = (_Inverted, _Bottleneck, _Up, _Output)
"""What may be computed twice in training to save memory: nearly all of the network, in parts."""
