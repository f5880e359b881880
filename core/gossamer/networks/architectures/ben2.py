"""BEN2: a network that sees the picture whole and in four quarters at once.

PramaLLC: "BEN: Using Confidence-Guided Matting for Dichotomous Image Segmentation", 2025; its base is MVANet (Yu, Zhao,
Pang, Zhang, Lu: "Multi-view Aggregation Network for Dichotomous Image Segmentation", CVPR 2024). Published weights:
https://huggingface.co/PramaLLC/BEN2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from gossamer.networks.architectures.swin import SWINS, SwinTransformer

__all__ = ["BEN2", "ben2"]

_WIDTH = 128
"""Channels of the decoder."""


class MCLM(nn.Module):
    """Multi-view complementary localisation: the whole asks the quarters, then every quarter asks the whole."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.ModuleList(_attention() for _ in range(5))
        self.linear1 = nn.Linear(_WIDTH, 2 * _WIDTH)
        self.linear2 = nn.Linear(2 * _WIDTH, _WIDTH)
        self.linear3 = nn.Linear(_WIDTH, 2 * _WIDTH)
        self.linear4 = nn.Linear(2 * _WIDTH, _WIDTH)
        self.norm1 = nn.LayerNorm(_WIDTH)
        self.norm2 = nn.LayerNorm(_WIDTH)

    def forward(self, quarters: Tensor, whole: Tensor) -> tuple[Tensor, Tensor]:
        """Map (4N, C, h, w) and (N, C, h, w) to the same."""
        h, w = whole.shape[2:]
        pools = _pooled(_joined(quarters), h, w, (1, 4, 8))
        seen = torch.cat([_tokens(pool) for pool in pools], 1)
        places = torch.cat([_positions(pool) for pool in pools], 1)
        glob = _tokens(whole)
        glob = self.norm1(glob + _ask(self.attention[0], glob + _positions(whole), seen + places, seen))
        glob = self.norm2(glob + self.linear2(functional.gelu(self.linear1(glob))))
        parts = _tokens(_quartered(glob.transpose(1, 2).reshape(whole.shape))).chunk(4)
        local = _tokens(quarters)
        asked = [
            _ask(self.attention[i + 1], one, part, part)
            for i, (one, part) in enumerate(zip(local.chunk(4), parts, strict=True))
        ]
        local = self.norm1(local + torch.cat(asked))
        local = self.norm2(local + self.linear4(functional.gelu(self.linear3(local))))
        return local.transpose(1, 2).reshape(quarters.shape), glob.transpose(1, 2).reshape(whole.shape)


class MCRM(nn.Module):
    """Multi-view complementary refinement: quarters weighted by the whole, and refined from what it sees there."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.ModuleList(_attention() for _ in range(4))
        self.linear3 = nn.Linear(_WIDTH, 2 * _WIDTH)
        self.linear4 = nn.Linear(2 * _WIDTH, _WIDTH)
        self.norm1 = nn.LayerNorm(_WIDTH)
        self.norm2 = nn.LayerNorm(_WIDTH)
        self.sal_conv = nn.Conv2d(_WIDTH, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map quarters and whole, (4N + N, C, h, w), to the same."""
        count, (h, w) = x.shape[0] // 5, x.shape[2:]
        quarters, whole = x[: 4 * count], x[4 * count :]
        salient = torch.sigmoid(self.sal_conv(whole))
        quarters = quarters * _quartered(functional.interpolate(salient, (2 * h, 2 * w), mode="nearest"))
        pools = _pooled(_quartered(whole), h, w, (2, 4, 8))
        seen = torch.cat([_tokens(pool) for pool in pools], 1).chunk(4)
        local = _tokens(quarters)
        asked = [_ask(self.attention[i], one, seen[i], seen[i]) for i, one in enumerate(local.chunk(4))]
        local = self.norm1(local + torch.cat(asked))
        local = self.norm2(local + self.linear4(functional.gelu(self.linear3(local))))
        quarters = local.transpose(1, 2).reshape(quarters.shape)
        whole = whole + functional.interpolate(_joined(quarters), (h, w), mode="nearest")
        return torch.cat((quarters, whole))


class BEN2(nn.Module):
    """The network (its base model)."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = SwinTransformer(SWINS["swin_b"])
        for level, channels in zip((5, 4, 3, 2, 1), (1024, 512, 256, 128, 128), strict=True):
            self.add_module(f"output{level}", _conv(channels))
            self.add_module(f"sideout{level}", nn.Sequential(nn.Conv2d(_WIDTH, 1, 3, padding=1)))  # for training
        self.multifieldcrossatt = MCLM()
        for level in (1, 2, 3, 4):
            self.add_module(f"conv{level}", _conv(_WIDTH))
            self.add_module(f"dec_blk{level}", MCRM())
        self.insmask_head = nn.Sequential(*_conv(_WIDTH, 384), *_conv(384, 384), nn.Conv2d(384, _WIDTH, 3, padding=1))
        self.shallow = nn.Sequential(nn.Conv2d(3, _WIDTH, 3, padding=1))
        self.upsample1 = _conv(_WIDTH)
        self.upsample2 = _conv(_WIDTH)
        self.output = nn.Sequential(nn.Conv2d(_WIDTH, 1, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        """Segment normalised pictures.

        Parameters
        ----------
        x : Tensor, (N, 3, h, w)
            h and w multiples of 128; trained at 1024.

        Returns
        -------
        Tensor, (N, 1, h, w)
            The mask, in [0, 1].

        Raises
        ------
        ValueError
            The size is not a multiple of 128.
        """
        n, _, height, width = x.shape
        if height % 128 or width % 128:
            raise ValueError(f"BEN2 takes sides that are multiples of 128, not {height} x {width}.")
        whole = functional.interpolate(x, scale_factor=0.5, mode="bilinear")
        maps = self.backbone(torch.cat((_quartered(x), whole)))
        coarse = self.get_submodule("output5")(maps[4])
        coarse = torch.cat(self.multifieldcrossatt(coarse[: 4 * n], coarse[4 * n :]))
        for level in (4, 3, 2, 1):
            fine = self.get_submodule(f"output{level}")(maps[level - 1])
            fine = self.get_submodule(f"dec_blk{level}")(fine + _like(coarse, fine))
            coarse = self.get_submodule(f"conv{level}")(fine)
        joined = _joined(coarse[: 4 * n])
        out = self.insmask_head(joined + _like(coarse[4 * n :], joined))
        out = self.upsample1(_doubled(out + self._shallow(x, 4)))
        out = self.upsample2(_doubled(out + self._shallow(x, 2)))
        # In float32 also where the network runs in half precision, whose steps next to 1 would show.
        return torch.sigmoid(self.output(out).float())

    def _shallow(self, x: Tensor, step: int) -> Tensor:
        """Return the shallow features of the picture, halved (`step` 2) or quartered (4).

        Reducing is bilinear: of every 2 x 2 or 4 x 4 values it takes the mean of the middle 2 x 2. So a convolution
        of side 4 gives them at once, where 128 channels at full size would take half a gigabyte at 1024 x 1024.
        """
        conv = self.shallow[0]
        assert isinstance(conv, nn.Conv2d)  # noqa: S101  (for the type checker)
        weight = functional.conv2d(
            functional.pad(conv.weight.float().flatten(0, 1)[:, None], (1, 1, 1, 1)),
            x.new_full((1, 1, 2, 2), 0.25).float(),
        )
        weight = weight.reshape(*conv.weight.shape[:2], 4, 4).to(x.dtype)
        return functional.conv2d(x, weight, conv.bias, stride=step, padding=1 if step == 2 else 0)


def ben2() -> BEN2:
    """Return BEN2's base model (94.1 million parameters), weights not set."""
    return BEN2()


def _conv(channels: int, out_channels: int = _WIDTH) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, out_channels, 3, padding=1), nn.InstanceNorm2d(out_channels), nn.GELU())


def _attention() -> nn.MultiheadAttention:
    return nn.MultiheadAttention(_WIDTH, 1, batch_first=True)


def _ask(attention: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return attention(query, key, value, need_weights=False)[0]  # type: ignore[no-any-return]


def _tokens(x: Tensor) -> Tensor:
    """Turn (N, C, h, w) into (N, h * w, C)."""
    return x.flatten(2).transpose(1, 2)


def _quartered(x: Tensor) -> Tensor:
    """Cut (N, C, 2h, 2w) into quarters, (4N, C, h, w): all the top left ones, top right, bottom left, bottom right."""
    n, c, h, w = x.shape
    parts = x.reshape(n, c, 2, h // 2, 2, w // 2).permute(2, 4, 0, 1, 3, 5)
    return parts.reshape(4 * n, c, h // 2, w // 2)


def _joined(x: Tensor) -> Tensor:
    """Undo `_quartered`."""
    n, c, h, w = x.shape
    return x.reshape(2, 2, n // 4, c, h, w).permute(2, 3, 0, 4, 1, 5).reshape(n // 4, c, 2 * h, 2 * w)


def _pooled(x: Tensor, height: int, width: int, ratios: Sequence[int]) -> list[Tensor]:
    """Return means of (N, C, H, W) of about height / ratio x width / ratio places for every ratio."""
    # Constants of a traced graph, which is for one size; and pooling by whole steps is what ONNX has.
    sides, sizes = (int(x.shape[2]), int(x.shape[3])), (int(height), int(width))
    pools = []
    for by in ratios:
        rows, columns = (round(size / by) for size in sizes)
        if rows and columns and sides[0] % rows == 0 and sides[1] % columns == 0:
            pools.append(functional.avg_pool2d(x, (sides[0] // rows, sides[1] // columns)))
        else:
            pools.append(functional.adaptive_avg_pool2d(x, (rows, columns)))
    return pools


def _like(x: Tensor, other: Tensor) -> Tensor:
    return functional.interpolate(x, other.shape[2:], mode="bilinear")


def _doubled(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2, mode="nearest")


def _positions(x: Tensor) -> Tensor:
    """Return sines and cosines of the places of a map's tokens, (1, h * w, C): rows in the first half of C."""
    h, w = x.shape[2:]
    frequencies = 10000 ** (torch.arange(0, _WIDTH // 2, 2, device=x.device).float() / (_WIDTH // 2))

    def waves(count: int) -> Tensor:
        places = (torch.arange(count, device=x.device).float() + 0.5) / (count + 1e-6) * (2 * math.pi)
        angles = places[:, None] / frequencies
        return torch.stack((angles.sin(), angles.cos()), -1).flatten(1)

    rows = waves(h)[:, None].expand(-1, w, -1)
    columns = waves(w)[None].expand(h, -1, -1)
    return torch.cat((rows, columns), -1).reshape(1, h * w, _WIDTH).to(x.dtype)
