"""BiRefNet: segmentation with an inward reference, the picture's own patches, and an outward one, its gradients.

Zheng, Gao, Fan, Liu, Laaksonen, Ouyang, Sebe: "Bilateral Reference for High-Resolution Dichotomous Image
Segmentation", CAAI Artificial Intelligence Research 2024. Published weights: https://github.com/ZhengPeng7/BiRefNet;
RMBG-2.0 of BRIA AI is the same network.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from gossamer.networks.architectures.aspp import ASPPDeformable
from gossamer.networks.architectures.swin import SWINS, SwinTransformer

__all__ = ["BiRefNet", "PatchOrder", "birefnet"]

PatchOrder = Literal["rows", "columns"]
"""How the tiles of the picture are laid out as channels.

``"rows"``: colour by colour, tiles in reading order (the authors' code since November 2024). ``"columns"``: tile by
tile, down the columns, each with its three colours (before; RMBG-2.0). No name or shape in a checkpoint says which it
is; see `gossamer.networks.architectures.patch_order`.
"""

_STEPS = (32, 16, 8, 4)  # pixels of the picture per pixel of the decoder's four maps, coarsest first


class BasicDecBlk(nn.Module):
    """Squeeze to 64 channels, look around with deformable kernels, expand."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(channels, 64, 3, padding=1)
        self.bn_in = nn.BatchNorm2d(64)
        self.dec_att = ASPPDeformable(64)
        self.conv_out = nn.Conv2d(64, out_channels, 3, padding=1)
        self.bn_out = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C', H, W)."""
        x = self.dec_att(torch.relu(self.bn_in(self.conv_in(x))))
        return self.bn_out(self.conv_out(x))  # type: ignore[no-any-return]


class SimpleConvs(nn.Module):
    """Two convolutions with nothing between them: what brings tiles of the picture into the decoder."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 64, 3, padding=1)
        self.conv_out = nn.Conv2d(64, out_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C', H, W)."""
        return self.conv_out(self.conv1(x))  # type: ignore[no-any-return]


class BasicLatBlk(nn.Module):
    """A 1 x 1 convolution from the encoder to the decoder."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C', H, W)."""
        return self.conv(x)  # type: ignore[no-any-return]


class Decoder(nn.Module):
    """From the encoder's maps and the picture to logits at the picture's size.

    Parameters
    ----------
    channels : tuple of int
        Channels of the encoder's maps, coarsest first.
    patches : PatchOrder
    """

    def __init__(self, channels: tuple[int, int, int, int], patches: PatchOrder) -> None:
        super().__init__()
        self.patches = patches
        inputs = [channels[i] // 8 for i in (0, 0, 1, 2, 3)]
        outputs = (*channels[1:], channels[3] // 2)
        for level, step, out in zip((5, 4, 3, 2, 1), (*_STEPS, 1), inputs, strict=True):
            self.add_module(f"ipt_blk{level}", SimpleConvs(3 * step**2, out))
        for i, level in enumerate((4, 3, 2, 1)):
            self.add_module(f"decoder_block{level}", BasicDecBlk(channels[i] + inputs[i], outputs[i]))
        self.conv_out1 = nn.Sequential(nn.Conv2d(outputs[3] + inputs[4], 1, 1))
        for i, level in enumerate((4, 3, 2)):
            self.add_module(f"lateral_block{level}", BasicLatBlk(channels[i + 1], outputs[i]))
            # Side outputs and gradient maps are supervised in training and never computed here.
            self.add_module(f"conv_ms_spvn_{level}", nn.Conv2d(outputs[i], 1, 1))
            gradient = nn.Sequential(nn.Conv2d(outputs[i], 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU())
            self.add_module(f"gdt_convs_{level}", gradient)
            self.add_module(f"gdt_convs_pred_{level}", nn.Sequential(nn.Conv2d(16, 1, 1)))
            self.add_module(f"gdt_convs_attn_{level}", nn.Sequential(nn.Conv2d(16, 1, 1)))

    def forward(self, picture: Tensor, maps: list[Tensor]) -> Tensor:
        """Map (N, 3, h, w) and the encoder's maps, coarsest first, to (N, 1, h, w)."""
        x = maps[0]
        for i, level in enumerate((4, 3, 2, 1)):
            tiles = _tiles(picture, _STEPS[i], self.patches)
            x = torch.cat((x, self.get_submodule(f"ipt_blk{level + 1}")(tiles)), 1)
            x = self.get_submodule(f"decoder_block{level}")(x)
            if level > 1:
                gradient = self.get_submodule(f"gdt_convs_{level}")(x)
                x = x * torch.sigmoid(self.get_submodule(f"gdt_convs_attn_{level}")(gradient))
                x = _resize(x, maps[i + 1]) + self.get_submodule(f"lateral_block{level}")(maps[i + 1])
        return self._finish(picture, x)

    def _finish(self, picture: Tensor, x: Tensor) -> Tensor:
        """Mix the finest map, enlarged, with the picture's own convolutions.

        Written as trained, this enlarges some hundred channels to full size and convolves 64 of the picture's to as
        many more, only to sum them all with one weight each. The sum comes first here, which is the same by
        linearity: one channel is enlarged, and two convolutions become one. Gigabytes less at 2048 x 2048.
        """
        final, block = self.conv_out1[0], self.get_submodule("ipt_blk1")
        assert isinstance(final, nn.Conv2d)  # noqa: S101  (these three are for the type checker)
        assert isinstance(block, SimpleConvs)  # noqa: S101
        channels, inner = x.shape[1], block.conv_out
        coarse = _resize(functional.conv2d(x, final.weight[:, :channels], final.bias), picture)
        mix = final.weight[:, channels:].flatten(1).float()
        weight = (mix @ inner.weight.flatten(1).float()).reshape(1, *inner.weight.shape[1:])
        assert inner.bias is not None  # noqa: S101
        bias = mix @ inner.bias.float()
        return coarse + functional.conv2d(block.conv1(picture), weight.to(x.dtype), bias.to(x.dtype), padding=1)


class BiRefNet(nn.Module):
    """The network.

    Parameters
    ----------
    backbone : str
        A key of `SWINS`.
    patches : PatchOrder
    """

    def __init__(self, backbone: str, patches: PatchOrder = "rows") -> None:
        super().__init__()
        self.bb = SwinTransformer(SWINS[backbone])
        # Maps of the picture and of the picture at half its size, side by side; coarsest first.
        x4, x3, x2, x1 = (2 * channels for channels in reversed(SWINS[backbone].channels))
        self.squeeze_module = nn.Sequential(BasicDecBlk(x1 + x2 + x3 + x4, x4))
        self.decoder = Decoder((x4, x3, x2, x1), patches)

    def forward(self, x: Tensor) -> Tensor:
        """Segment normalised pictures.

        Parameters
        ----------
        x : Tensor, (N, 3, h, w)
            h and w multiples of 32.

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
            raise ValueError(f"BiRefNet takes sides that are multiples of 32, not {height} x {width}.")
        half = functional.interpolate(x, (height // 2, width // 2), mode="bilinear", align_corners=True)
        pairs = zip(self.bb(x)[1:], self.bb(half)[1:], strict=True)
        x1, x2, x3, x4 = (torch.cat((full, _resize(small, full)), 1) for full, small in pairs)
        context = torch.cat((*(_resize(finer, x4) for finer in (x1, x2, x3)), x4), 1)
        return self.decoder(x, [self.squeeze_module(context), x3, x2, x1])  # type: ignore[no-any-return]


def birefnet(backbone: str, patches: PatchOrder = "rows") -> BiRefNet:
    """Return BiRefNet, weights not set.

    Parameters
    ----------
    backbone : {"swin_t", "swin_b", "swin_l"}
        Swin-T (44.3 million parameters with its decoder) for the lite models, Swin-L (220.2 million) for all others.
    patches : {"rows", "columns"}
        See `PatchOrder`.
    """
    return BiRefNet(backbone, patches)


def _resize(x: Tensor, like: Tensor) -> Tensor:
    return functional.interpolate(x, like.shape[2:], mode="bilinear", align_corners=True)


def _tiles(picture: Tensor, grid: int, order: PatchOrder) -> Tensor:
    """Cut (N, 3, h, w) into grid x grid tiles and stack them as channels, (N, 3 * grid², h / grid, w / grid)."""
    n, colours, height, width = picture.shape
    tiles = picture.reshape(n, colours, grid, height // grid, grid, width // grid)
    axes = (0, 1, 2, 4, 3, 5) if order == "rows" else (0, 4, 2, 1, 3, 5)
    return tiles.permute(axes).reshape(n, -1, height // grid, width // grid)
