"""BiMatting: Robust Video Matting of signs, one bit a weight.

After H. Qin, L. Ke, X. Ma, M. Danelljan, Y.-W. Tai, C.-K. Tang, X. Liu, F. Yu, "BiMatting: Efficient Video Matting via
Binarization", NeurIPS 2023.

What training needs is left out: weights are signs, and their scale, batch normalisation and the biases around it are
one factor and one summand a channel. ``bimatting_weights.py`` makes them of the authors' files.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gossamer.networks.binary_convolution import BinaryConvolution

__all__ = ["BiMatting", "Signs", "bimatting"]

# Channels of the encoder's blocks, and those whose first convolution halves the size.
_CHANNELS = (16, 32, 64, 32, 64, 128, 64, 64, 128, 64, 128, 256, 128, 128, 256, 128, 256, 1024)
_HALVING = (2, 5, 11)
# What goes into the first of two blocks is, averaged, added to what the second gives where their sizes differ.
_SHORTCUTS = {3: 1, 6: 4, 9: 7, 12: 10, 15: 13}
_TAPS = (0, 3, 9, 17)  # blocks whose output has 1/2, 1/4, 1/8 and 1/16 of the size
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_DIFFERS = 0.01  # of a mask of 0 and 1, halved and brought back: from here on it is an edge


def bimatting() -> nn.Module:
    """Return the network; weights are not set."""
    return BiMatting()


class Signs(nn.Module):
    """A convolution of signs by signs, and what follows it.

    Parameters
    ----------
    into, out : int
    side, stride : int
    bends : bool
        Whether what is negative is multiplied by a slope, and something is added then.
    """

    signs: Tensor
    before: Tensor
    gain: Tensor
    base: Tensor
    slope: Tensor | None
    after: Tensor | None

    def __init__(self, into: int, out: int, side: int = 3, stride: int = 1, bends: bool = False) -> None:
        super().__init__()
        self.stride, self.padding = stride, side // 2
        self.register_buffer("signs", torch.ones(out, into, side, side))
        self.register_buffer("before", torch.zeros(into))
        self.register_buffer("gain", torch.ones(out))
        self.register_buffer("base", torch.zeros(out))
        self.register_buffer("slope", torch.ones(out) if bends else None)
        self.register_buffer("after", torch.zeros(out) if bends else None)
        self._packed: BinaryConvolution | None = None

    def pack(self) -> None:
        """Compute with bits from now on, on the CPU, in float32; the weights must be set."""
        slope, after = (None if one is None else one.float().numpy() for one in (self.slope, self.after))
        self._packed = BinaryConvolution(
            self.signs.to(torch.int8).numpy(),
            self.before.float().numpy(),
            self.gain.float().numpy(),
            self.base.float().numpy(),
            slope,
            after,
            self.stride,
            self.padding,
        )

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """Return (N, out, h, w); `residual` is (N, R, h, w), its channels repeated."""
        if self._packed is not None:
            return self._by_bits(self._packed, x, residual)
        column = (1, -1, 1, 1)
        y = F.conv2d(torch.sign(x + self.before.view(column)), self.signs, None, self.stride, self.padding)
        y = y * self.gain.view(column) + self.base.view(column)
        if residual is not None:
            y = y + residual.repeat(1, y.shape[1] // residual.shape[1], 1, 1)
        if self.slope is None or self.after is None:
            return y
        return torch.where(y > 0, y, y * self.slope.view(column)) + self.after.view(column)

    def _by_bits(self, packed: BinaryConvolution, x: Tensor, residual: Tensor | None) -> Tensor:
        """Return the same of the first picture, of which there is one."""
        given: Any = None if residual is None else residual[0].contiguous().numpy()
        return torch.from_numpy(packed(x[0].contiguous().numpy(), given))[None]


class BiMatting(nn.Module):
    """Colours, alpha and memory of one frame, from the frame and the memory of those before."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = _Encoder()
        self.aspp = _Pyramid(1024, 128)
        self.decoder = _Decoder((16, 32, 64, 128), (80, 40, 32, 16))
        self.project_mat = nn.Conv2d(16, 4, 1)
        self.refiner = _Refiner()

    def pack(self) -> None:
        """Compute with bits where inputs and weights are signs."""
        for layer in self.modules():
            if isinstance(layer, Signs):
                layer.pack()

    def forward(
        self, frame: Tensor, states: Sequence[Tensor | None], ratio: float
    ) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        """Matte a frame.

        Parameters
        ----------
        frame : (1, 3, H, W)
            RGB in [0, 1].
        states : four of (1, C, h, w) or None
            What the frame before gave.
        ratio : float
            How small the encoder and decoder see the frame.

        Returns
        -------
        colours : (1, 3, H, W)
        alpha : (1, 1, H, W)
        states : four of (1, C, h, w)
        """
        small = frame if ratio == 1 else F.interpolate(frame, scale_factor=ratio, mode="bilinear", align_corners=False)
        first, second, third, fourth = self.backbone(small)
        hidden, after = self.decoder(small, (first, second, third, self.aspp(fourth)), states, self.project_mat)
        residual, alpha = self.project_mat(hidden).split([3, 1], dim=1)
        if ratio != 1:
            residual, alpha = self.refiner(frame, small, residual, alpha, hidden)
        return (residual + frame).clamp(0, 1), alpha.clamp(0, 1), after


class _Block(nn.Module):
    """Signs of 3 x 3, then signs of 1 x 1 whose input is what is added to them."""

    def __init__(self, into: int, out: int, stride: int) -> None:
        super().__init__()
        self.stride, self.halves = stride, out < into
        self.spatial = Signs(into, into, 3, stride, bends=True)
        self.pointwise = Signs(into, out, 1, bends=True)

    def forward(self, x: Tensor) -> Tensor:
        y = self.spatial(x, _pooled(x) if self.stride == 2 else x)
        if not self.halves:
            result: Tensor = self.pointwise(y, y)
            return result
        first, second = y.chunk(2, 1)
        result = self.pointwise(y, (first + second) / 2)
        return result


class _Encoder(nn.Module):
    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, _CHANNELS[0], 3, 2, 1)
        pairs = itertools.pairwise(_CHANNELS)
        self.blocks = nn.ModuleList(
            _Block(into, out, 2 if number in _HALVING else 1) for number, (into, out) in enumerate(pairs, start=1)
        )
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(_STD).view(1, 3, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> list[Tensor]:
        found = [self.first((x - self.mean) / self.std)]
        for number, block in enumerate(self.blocks, start=1):
            y = block(found[-1])
            start = found[_SHORTCUTS[number]] if number in _SHORTCUTS else y
            found.append(y + _pooled(start) if start.shape[2] != y.shape[2] else y)
        return [found[tap] for tap in _TAPS]


class _Pyramid(nn.Module):
    """LR-ASPP of signs."""

    def __init__(self, into: int, out: int) -> None:
        super().__init__()
        self.aspp1 = Signs(into, out, 1, bends=True)
        self.aspp2 = Signs(into, out, 1)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.aspp1(x) * torch.sigmoid(self.aspp2(x.mean((2, 3), keepdim=True)))
        return result


class _Gru(nn.Module):
    """A convolutional gated recurrent unit of signs; with a mask its 3 x 3 parts count at edges only."""

    def __init__(self, channels: int, sparse: bool) -> None:
        super().__init__()
        self.ih, self.hh = Signs(2 * channels, 2 * channels), Signs(2 * channels, channels)
        self.ih_1x1 = Signs(2 * channels, 2 * channels, 1) if sparse else None
        self.hh_1x1 = Signs(2 * channels, channels, 1) if sparse else None

    def forward(self, x: Tensor, state: Tensor | None, mask: Tensor | None = None) -> Tensor:
        if state is None:
            state = torch.zeros_like(x)
        joined = torch.cat([x, state], 1)
        gates = torch.sigmoid(self.ih(joined))
        if self.ih_1x1 is not None and mask is not None:
            gates = gates * mask + torch.sigmoid(self.ih_1x1(joined))
        reset, update = gates.chunk(2, 1)
        joined = torch.cat([x, reset * state], 1)
        candidate = torch.tanh(self.hh(joined))
        if self.hh_1x1 is not None and mask is not None:
            candidate = candidate * mask + torch.tanh(self.hh_1x1(joined))
        return (1 - update) * state + update * candidate


class _Up(nn.Module):
    """Twice the size, with the encoder's features and the small frame of that size."""

    def __init__(self, into: int, beside: int, out: int) -> None:
        super().__init__()
        self.conv = Signs(into + beside + 3, out, bends=True)
        self.conv_1x1 = Signs(into + beside + 3, out, 1, bends=True)
        self.gru = _Gru(out // 2, sparse=True)

    def forward(
        self, x: Tensor, beside: Tensor, frame: Tensor, state: Tensor | None, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        joined = torch.cat([_doubled(x, frame), beside, frame], 1)
        mask = _sized(mask, frame)
        own, shared = (self.conv(joined) * mask + self.conv_1x1(joined)).chunk(2, 1)
        after = self.gru(shared, state, mask)
        return torch.cat([own, after], 1), after


class _Output(nn.Module):
    def __init__(self, into: int, out: int) -> None:
        super().__init__()
        self.signs = Signs(into + 3, out, bends=True)
        self.conv = nn.Conv2d(out, out, 3, padding=1)
        self.signs_1x1 = Signs(into + 3, out, 1, bends=True)
        self.conv_1x1 = nn.Conv2d(out, out, 1)

    def forward(self, x: Tensor, frame: Tensor, mask: Tensor) -> Tensor:
        joined = torch.cat([_doubled(x, frame), frame], 1)
        edges = F.relu(self.conv(self.signs(joined)))
        return edges * _sized(mask, frame) + F.relu(self.conv_1x1(self.signs_1x1(joined)))


class _Decoder(nn.Module):
    def __init__(self, features: Sequence[int], channels: Sequence[int]) -> None:
        super().__init__()
        first, second, third, fourth = features
        self.gru = _Gru(fourth // 2, sparse=False)
        self.head = Signs(fourth, 16, bends=True)
        self.decode3 = _Up(fourth, third, channels[0])
        self.decode2 = _Up(channels[0], second, channels[1])
        self.decode1 = _Up(channels[1], first, channels[2])
        self.decode0 = _Output(channels[2], channels[3])

    def forward(
        self, frame: Tensor, features: Sequence[Tensor], states: Sequence[Tensor | None], project: nn.Module
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        first, second, third, fourth = features
        halves = [frame]
        for _ in range(3):
            halves.append(F.avg_pool2d(halves[-1], 2, 2, ceil_mode=True, count_include_pad=False))
        own, shared = fourth.chunk(2, 1)
        r4 = self.gru(shared, states[3])
        x = torch.cat([own, r4], 1)
        mask = _edges(project(self.head(x))[:, 3:])
        x, r3 = self.decode3(x, third, halves[3], states[2], mask)
        x, r2 = self.decode2(x, second, halves[2], states[1], mask)
        x, r1 = self.decode1(x, first, halves[1], states[0], mask)
        return self.decode0(x, frame, mask), (r1, r2, r3, r4)


class _Refiner(nn.Module):
    """A deep guided filter whose first two layers are of signs."""

    def __init__(self) -> None:
        super().__init__()
        self.box_filter = nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False)
        self.signs1, self.signs2 = Signs(24, 16, 1, bends=True), Signs(16, 16, 1, bends=True)
        self.conv = nn.Conv2d(16, 4, 1)

    def forward(
        self, frame: Tensor, small: Tensor, residual: Tensor, alpha: Tensor, hidden: Tensor
    ) -> tuple[Tensor, Tensor]:
        fine = torch.cat([frame, frame.mean(1, keepdim=True)], 1)
        coarse = torch.cat([small, small.mean(1, keepdim=True)], 1)
        known = torch.cat([residual, alpha], 1)
        mean, target = self.box_filter(coarse), self.box_filter(known)
        covariance = self.box_filter(coarse * known) - mean * target
        variance = self.box_filter(coarse * coarse) - mean * mean
        slope = self.conv(self.signs2(self.signs1(torch.cat([covariance, variance, hidden], 1))))
        offset = target - slope * mean
        slope, offset = (_sized(one, frame) for one in (slope, offset))
        filtered = slope * fine + offset
        return filtered[:, :3], filtered[:, 3:]


def _pooled(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 2, 2, ceil_mode=True)


def _doubled(x: Tensor, like: Tensor) -> Tensor:
    x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    return x[:, :, : like.shape[2], : like.shape[3]]


def _sized(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, like.shape[2:], mode="bilinear", align_corners=False)


def _edges(alpha: Tensor) -> Tensor:
    """Return 1 where a matte changes from nothing to something, which its half size tells, else 0."""
    mask = (alpha > 0).to(alpha.dtype)
    height, width = mask.shape[2:]
    half = F.interpolate(mask, (max(1, height // 2), max(1, width // 2)), mode="bilinear", align_corners=False)
    return ((mask - _sized(half, mask)).abs() >= _DIFFERS).to(mask.dtype)
