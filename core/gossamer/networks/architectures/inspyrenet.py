"""InSPyReNet: a saliency map at an eighth of the size, and three Laplacian images that sharpen it to full size.

Kim, Kim, Lee, Cho, Kim: "Revisiting Image Pyramid Structure for High Resolution Salient Object Detection", ACCV 2022.
Published weights: https://github.com/plemeria/transparent-background (base and fast; both with Swin-B).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from gossamer.networks.architectures.swin import SWINS, SwinTransformer

__all__ = ["InSPyReNet", "inspyrenet"]

_WIDTH = 64
"""Channels of the decoder."""


class ConvNorm(nn.Module):
    """A convolution that keeps the size, batch normalisation and, if asked, a ReLU."""

    def __init__(
        self, channels: int, out_channels: int, kernel: tuple[int, int], dilation: int = 1, relu: bool = False
    ) -> None:
        super().__init__()
        padding = (kernel[0] // 2 * dilation, kernel[1] // 2 * dilation)
        self.conv = nn.Conv2d(channels, out_channels, kernel, padding=padding, dilation=dilation, bias=False)
        self.bn = nn.BatchNorm2d(out_channels)
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C', H, W)."""
        normal: Tensor = self.bn(self.conv(x))
        return torch.relu(normal) if self.relu else normal


class LastConv(nn.Module):
    """A convolution with nothing after it, named as `ConvNorm` names its own."""

    def __init__(self, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(_WIDTH, 1, kernel, padding=kernel // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, 1, H, W)."""
        return self.conv(x)  # type: ignore[no-any-return]


class SelfAttention(nn.Module):
    """Attention along one axis of a map, over whatever lies at one place of it.

    Parameters
    ----------
    vertical : bool
        Whether the axis has the length of the height. It is trained as a run of that many neighbours in a row of
        the map's memory, which is a column only in name; on square maps both directions see rows.
    """

    def __init__(self, vertical: bool) -> None:
        super().__init__()
        self.vertical = vertical
        self.query_conv = ConvNorm(_WIDTH, _WIDTH // 8, (1, 1))
        self.key_conv = ConvNorm(_WIDTH, _WIDTH // 8, (1, 1))
        self.value_conv = ConvNorm(_WIDTH, _WIDTH, (1, 1))
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C, H, W)."""
        shape = (x.shape[0], -1, x.shape[2] if self.vertical else x.shape[3])
        query, key, value = (conv(x).reshape(shape) for conv in (self.query_conv, self.key_conv, self.value_conv))
        # Sums over a whole axis times channels: beyond what half precision holds.
        weights = (query.float().transpose(1, 2) @ key.float()).softmax(-1).to(x.dtype)
        seen: Tensor = value @ weights.transpose(1, 2)
        return self.gamma * seen.reshape(x.shape) + x


class Axial(nn.Module):
    """One branch of the encoder: a kernel in two strokes, attention along both axes, a dilated convolution."""

    def __init__(self, channels: int, reach: int) -> None:
        super().__init__()
        self.conv0 = ConvNorm(channels, _WIDTH, (1, 1))
        self.conv1 = ConvNorm(_WIDTH, _WIDTH, (1, reach))
        self.conv2 = ConvNorm(_WIDTH, _WIDTH, (reach, 1))
        self.conv3 = ConvNorm(_WIDTH, _WIDTH, (3, 3), reach)
        self.Hattn = SelfAttention(vertical=True)
        self.Wattn = SelfAttention(vertical=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, 64, H, W)."""
        x = self.conv2(self.conv1(self.conv0(x)))
        return self.conv3(self.Hattn(x) + self.Wattn(x))  # type: ignore[no-any-return]


class AxialEncoder(nn.Module):
    """Parallel axial attention over one map of the backbone."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch0 = ConvNorm(channels, _WIDTH, (1, 1))
        for i, reach in ((1, 3), (2, 5), (3, 7)):
            self.add_module(f"branch{i}", Axial(channels, reach))
        self.conv_cat = ConvNorm(4 * _WIDTH, _WIDTH, (3, 3))
        self.conv_res = ConvNorm(channels, _WIDTH, (1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, 64, H, W)."""
        branches = [self.get_submodule(f"branch{i}")(x) for i in range(4)]
        return torch.relu(self.conv_cat(torch.cat(branches, 1)) + self.conv_res(x))


class AxialDecoder(nn.Module):
    """The three coarsest maps together, and the coarsest saliency from them."""

    def __init__(self) -> None:
        super().__init__()
        for i in (1, 2, 3, 4):
            self.add_module(f"conv{i}", ConvNorm(3 * _WIDTH if i == 1 else _WIDTH, _WIDTH, (3, 3)))
        self.conv5 = LastConv(3)
        self.Hattn = SelfAttention(vertical=True)
        self.Wattn = SelfAttention(vertical=False)

    def forward(self, maps: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Map three maps, finest first, to features and saliency at the size of the finest."""
        finest, *coarser = maps
        larger = [functional.interpolate(x, finest.shape[2:], mode="bilinear", align_corners=True) for x in coarser]
        x = self.get_submodule("conv1")(torch.cat((*reversed(larger), finest), 1))
        x = self.Hattn(x) + self.Wattn(x)
        for i in (2, 3, 4):
            x = self.get_submodule(f"conv{i}")(x)
        return x, self.conv5(x)


class SICA(nn.Module):
    """Scale-invariant context attention: a Laplacian image from features and from the saliency known so far.

    Parameters
    ----------
    channels : int
        Of the features.
    laplacian : bool
        Whether it is told the Laplacian image of the step before as well.
    """

    def __init__(self, channels: int, laplacian: bool) -> None:
        super().__init__()
        for name, side in (("query", 3), ("key", 1), ("value", 1)):
            convs = (
                ConvNorm(channels, _WIDTH, (side, side), relu=True),
                ConvNorm(_WIDTH, _WIDTH, (side, side), relu=True),
            )
            self.add_module(f"conv_{name}", nn.Sequential(*convs))
        self.conv_out1 = ConvNorm(_WIDTH, _WIDTH, (3, 3), relu=True)
        self.conv_out2 = ConvNorm(channels + _WIDTH, _WIDTH, (3, 3), relu=True)
        self.conv_out3 = ConvNorm(_WIDTH, _WIDTH, (3, 3), relu=True)
        self.conv_out4 = ConvNorm(_WIDTH, 1, (1, 1))
        self.threshold = nn.Parameter(torch.tensor([0.5]))
        if laplacian:
            self.lthreshold = nn.Parameter(torch.tensor([0.5]))

    def forward(
        self, x: Tensor, saliency: Tensor, laplacian: Tensor | None, base: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        """Map features (N, C, H, W) and maps (N, 1, H', W') to features (N, 64, H, W) and a Laplacian (N, 1, H, W).

        `base` is the size at which the context is summed.
        """
        n, channels = x.shape[:2]
        sure = torch.sigmoid(_resized(saliency, x.shape[2:])) - self.threshold
        parts = [sure.clip(0, 1), (-sure).clip(0, 1), self.threshold - sure.abs()]
        if laplacian is not None:
            edge = torch.sigmoid(_resized(laplacian, x.shape[2:])) - self.lthreshold
            parts += [edge.clip(0, 1), (-edge).clip(0, 1)]
        weights = _resized(torch.cat(parts, 1), base).flatten(2)
        # As trained: the memory of the channels is read as if it were that of the places. In float32 also where the
        # network runs in half precision: these are sums over the whole picture.
        places = _resized(x, base).reshape(n, -1, channels)
        context = (weights.float() @ places.float()).transpose(1, 2)[..., None]
        key, value, query = (
            self.get_submodule(f"conv_{name}")(of).flatten(2).transpose(1, 2)
            for name, of in (("key", context.to(x.dtype)), ("value", context.to(x.dtype)), ("query", x))
        )
        seen = functional.scaled_dot_product_attention(query, key, value)
        seen = self.conv_out1(seen.transpose(1, 2).reshape(n, _WIDTH, *x.shape[2:]))
        x = self.conv_out3(self.conv_out2(torch.cat((x, seen), 1)))
        return x, self.conv_out4(x)


class InSPyReNet(nn.Module):
    """The network.

    Parameters
    ----------
    base : tuple of int or None
        Height and width that it was trained at, to which the context of other sizes is brought; None: whatever size
        it is given was that.
    """

    def __init__(self, base: tuple[int, int] | None = None) -> None:
        super().__init__()
        self.base = base
        self.backbone = SwinTransformer(SWINS["swin_b"])
        for i, channels in enumerate((128, 128, 256, 512, 1024)):
            self.add_module(f"context{i + 1}", AxialEncoder(channels))
        self.decoder = AxialDecoder()
        self.attention0 = SICA(_WIDTH, laplacian=True)
        self.attention1 = SICA(2 * _WIDTH, laplacian=True)
        self.attention2 = SICA(2 * _WIDTH, laplacian=False)

    def forward(self, x: Tensor) -> Tensor:
        """Segment normalised pictures.

        Parameters
        ----------
        x : Tensor, (N, 3, h, w)
            h and w multiples of 32; trained at 1024 (base) or 384 (fast).

        Returns
        -------
        Tensor, (N, 1, h, w)
            Logits: the mask is their sigmoid.

        Raises
        ------
        ValueError
            The size is not a multiple of 32.
        """
        height, width = x.shape[2:]
        if height % 32 or width % 32:
            raise ValueError(f"InSPyReNet takes sides that are multiples of 32, not {height} x {width}.")
        base = self.base or (height, width)
        sizes = [(base[0] // by, base[1] // by) for by in (1, 2, 4)]
        maps = [self.get_submodule(f"context{i + 1}")(one) for i, one in enumerate(self.backbone(x))]
        features, d3 = self.decoder(maps[2:])
        features = torch.cat((maps[1], _resized(features, (height // 4, width // 4))), 1)
        features, p2 = self.attention2(features, d3, None, sizes[2])
        d2 = _sharpened(d3, p2)
        half = (height // 2, width // 2)
        features = torch.cat((_resized(maps[0], half), _resized(features, half)), 1)
        features, p1 = self.attention1(features, d2, p2, sizes[1])
        d1 = _sharpened(d2, p1)
        _, p0 = self.attention0(_resized(features, (height, width)), d1, p1, sizes[0])
        return _sharpened(d1, p0)


def inspyrenet(base: tuple[int, int] | None = None) -> InSPyReNet:
    """Return InSPyReNet with Swin-B (90.7 million parameters), weights not set.

    Parameters
    ----------
    base : tuple of int or None
        See `InSPyReNet`.
    """
    return InSPyReNet(base)


def _resized(x: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
    return functional.interpolate(x, size, mode="bilinear", align_corners=False)


def _sharpened(x: Tensor, laplacian: Tensor) -> Tensor:
    """Return (N, 1, H, W) at twice its size, as an image pyramid expands it, plus a Laplacian image of that size."""
    places = torch.arange(-3, 4, device=x.device).float()
    line = torch.exp(-(places**2) / 2)
    line = line / line.sum()
    kernel = (4 * line[:, None] * line).to(x.dtype)[None, None]
    empty = torch.zeros_like(x)
    larger = functional.pixel_shuffle(torch.cat((x, empty, empty, empty), 1), 2)
    return functional.conv2d(functional.pad(larger, (3, 3, 3, 3), mode="reflect"), kernel) + laplacian
