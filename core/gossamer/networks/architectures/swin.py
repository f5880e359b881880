"""Swin Transformer: self-attention in windows that are shifted from block to block.

Liu, Lin, Cao, Hu, Wei, Zhang, Lin, Guo: "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows",
ICCV 2021. The backbone of BiRefNet, InSPyReNet and BEN2, with their state-dict names.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["SWINS", "SwinSize", "SwinTransformer", "traced_for_any_size"]


class SwinSize(NamedTuple):
    """One of the published sizes."""

    width: int
    """Channels of the first stage; every later stage doubles them."""
    depths: tuple[int, int, int, int]
    heads: tuple[int, int, int, int]
    window: int
    """Side of an attention window, in tokens."""

    @property
    def channels(self) -> tuple[int, int, int, int]:
        """Channels of the four stages, finest first."""
        return self.width, self.width * 2, self.width * 4, self.width * 8


SWINS = {
    "swin_t": SwinSize(96, (2, 2, 6, 2), (3, 6, 12, 24), 7),
    "swin_s": SwinSize(96, (2, 2, 18, 2), (3, 6, 12, 24), 7),
    "swin_b": SwinSize(128, (2, 2, 18, 2), (4, 8, 16, 32), 12),
    "swin_l": SwinSize(192, (2, 2, 18, 2), (6, 12, 24, 48), 12),
}


class Mlp(nn.Module):
    """The two-layer perceptron of a block."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, 4 * channels)
        self.fc2 = nn.Linear(4 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens (..., C) to (..., C)."""
        hidden: Tensor = self.fc1(x)
        return self.fc2(functional.gelu(hidden))  # type: ignore[no-any-return]


class WindowAttention(nn.Module):
    """Multi-head self-attention inside windows, with a learnt bias for every relative position.

    A shifted map is a rolled one, so the windows of its last row and column hold tokens from opposite sides of the
    picture, which must not see each other. Only those windows need a mask, and it is the same for a whole row or
    column: the map is attended in up to four parts, each with one small bias that broadcasts over its windows,
    in place of a mask for every window (at 1024 x 1024 hundreds of megabytes for the large model).
    """

    relative_position_index: Tensor
    any_size = False
    """Whether to mask every window all the same: the graph of a map of any size has no branches."""

    def __init__(self, channels: int, window: int, heads: int, shift: int) -> None:
        super().__init__()
        self.window, self.heads, self.shift = window, heads, shift
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        # Checkpoints hold this index; it is the same in all of them.
        self.register_buffer("relative_position_index", _relative_positions(window))
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Attend a map of tokens, (N, H, W, C) with H and W multiples of the window, already rolled."""
        size, window = self.window**2, self.window
        bias = self.relative_position_bias_table[self.relative_position_index.flatten()]
        bias = bias.view(size, size, self.heads).permute(2, 0, 1)[None].contiguous()
        qkv = self.qkv(x)
        if not self.shift:
            return self.proj(self._attend(qkv, bias))  # type: ignore[no-any-return]
        # The tokens of the last row of windows (and, transposed, of the last column) on either side of the seam.
        far = torch.arange(window, device=x.device) >= window - self.shift
        across = (far[:, None] ^ far[None, :]).repeat_interleave(window, 0).repeat_interleave(window, 1)
        aside = (far[:, None] ^ far[None, :]).repeat(window, window)
        edge_y, edge_x = x.shape[1] - window, x.shape[2] - window
        if self.any_size:
            last_row = torch.arange(x.shape[1], device=x.device)[::window] == edge_y
            last_column = torch.arange(x.shape[2], device=x.device)[::window] == edge_x
            apart = (last_row[:, None, None, None] & across) | (last_column[:, None, None] & aside)
            bias = bias.masked_fill(apart.flatten(0, 1)[:, None], -torch.inf)
            return self.proj(self._attend(qkv, bias))  # type: ignore[no-any-return]
        rows = []
        for part, bottom in ((qkv[:, :edge_y], False), (qkv[:, edge_y:], True)):
            if part.shape[1] == 0:
                continue
            row = bias.masked_fill(across, -torch.inf) if bottom else bias
            inner = [self._attend(part[:, :, :edge_x], row)] if edge_x else []
            rows.append(torch.cat([*inner, self._attend(part[:, :, edge_x:], row.masked_fill(aside, -torch.inf))], 2))
        return self.proj(torch.cat(rows, 1))  # type: ignore[no-any-return]

    def _attend(self, qkv: Tensor, bias: Tensor) -> Tensor:
        """Attend windows of (N, H, W, 3C) under a bias for all or for each, (1 or windows, heads, tokens, tokens)."""
        n, h, w, triple = qkv.shape
        window, heads = self.window, self.heads
        depth = triple // 3 // heads
        parts = qkv.reshape(n, h // window, window, w // window, window, 3, heads, depth)
        # A bias for each window needs pictures and windows apart; where they are one, faster kernels take them.
        batch = (n, -1) if self.any_size else (-1,)
        parts = parts.permute(5, 0, 1, 3, 6, 2, 4, 7).reshape(3, *batch, heads, window**2, depth)
        out = functional.scaled_dot_product_attention(parts[0], parts[1], parts[2], attn_mask=bias)
        out = out.reshape(n, h // window, w // window, heads, window, window, depth)
        return out.permute(0, 1, 4, 2, 5, 3, 6).reshape(n, h, w, heads * depth)


class Block(nn.Module):
    """Attention in windows and a perceptron, each normalised before and added to its input."""

    def __init__(self, channels: int, window: int, heads: int, shift: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.attn = WindowAttention(channels, window, heads, shift)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = Mlp(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens (N, H, W, C) to (N, H, W, C)."""
        h, w = x.shape[1:3]
        window, shift = self.attn.window, self.attn.shift
        y = functional.pad(self.norm1(x), (0, 0, 0, -w % window, 0, -h % window))
        if shift:
            y = self.attn(y.roll((-shift, -shift), (1, 2))).roll((shift, shift), (1, 2))
        else:
            y = self.attn(y)
        x = x + y[:, :h, :w]
        return x + self.mlp(self.norm2(x))  # type: ignore[no-any-return]


class PatchMerging(nn.Module):
    """Four neighbouring tokens become one of twice the channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduction = nn.Linear(4 * channels, 2 * channels, bias=False)
        self.norm = nn.LayerNorm(4 * channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, H, W, C) to (N, ceil(H / 2), ceil(W / 2), 2C)."""
        x = functional.pad(x, (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2))
        n, h, w, c = x.shape
        # The trained order of the four: down the first column, then down the second.
        x = x.reshape(n, h // 2, 2, w // 2, 2, c).permute(0, 1, 3, 4, 2, 5).reshape(n, h // 2, w // 2, 4 * c)
        return self.reduction(self.norm(x))  # type: ignore[no-any-return]


class Stage(nn.Module):
    """Blocks of one resolution, every second one shifted by half a window."""

    def __init__(self, channels: int, depth: int, heads: int, window: int, merge: bool) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(Block(channels, window, heads, i % 2 * (window // 2)) for i in range(depth)))
        self.downsample = PatchMerging(channels) if merge else None


class PatchEmbed(nn.Module):
    """Every 4 x 4 pixels become a token."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, channels, 4, 4)
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 3, h, w) to tokens, (N, ceil(h / 4), ceil(w / 4), C)."""
        x = functional.pad(x, (0, -x.shape[3] % 4, 0, -x.shape[2] % 4))
        tokens: Tensor = self.proj(x)
        return self.norm(tokens.permute(0, 2, 3, 1))  # type: ignore[no-any-return]


class SwinTransformer(nn.Module):
    """The backbone: four maps, at 1/4, 1/8, 1/16 and 1/32 of the picture.

    Parameters
    ----------
    size : SwinSize
        One of `SWINS`.
    """

    def __init__(self, size: SwinSize) -> None:
        super().__init__()
        self.patch_embed = PatchEmbed(size.width)
        last = len(size.depths) - 1
        self.layers = nn.ModuleList(
            Stage(channels, size.depths[i], size.heads[i], size.window, i < last)
            for i, channels in enumerate(size.channels)
        )
        for i, channels in enumerate(size.channels):
            self.add_module(f"norm{i}", nn.LayerNorm(channels))

    def forward(self, x: Tensor) -> list[Tensor]:
        """Map a normalised picture to maps.

        Parameters
        ----------
        x : Tensor, (N, 3, h, w)

        Returns
        -------
        list of Tensor
            Five maps (N, C, H, W), finest first and laid out channels last: the embedded patches, before any
            attention, then the four stages.
        """
        tokens = self.patch_embed(x)
        maps = [tokens.permute(0, 3, 1, 2)]
        for i, stage in enumerate(self.layers):
            assert isinstance(stage, Stage)  # noqa: S101  (tells the type checker what ModuleList forgets)
            tokens = stage.blocks(tokens)
            maps.append(self.get_submodule(f"norm{i}")(tokens).permute(0, 3, 1, 2))
            if stage.downsample is not None:
                tokens = stage.downsample(tokens)
        return maps


@contextmanager
def traced_for_any_size(network: nn.Module) -> Iterator[None]:
    """Make graphs that are traced meanwhile right for every size that the network takes, at some cost in memory.

    Parameters
    ----------
    network : torch.nn.Module
        A network on this backbone; any other is left as it is.
    """
    attentions = [module for module in network.modules() if isinstance(module, WindowAttention)]
    for attention in attentions:
        attention.any_size = True
    try:
        yield
    finally:
        for attention in attentions:
            del attention.any_size


def _relative_positions(window: int) -> Tensor:
    """Return, for every pair of tokens of a window, which entry of the bias table is theirs."""
    y, x = torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")
    y, x = y.flatten(), x.flatten()
    return (y[:, None] - y[None, :] + window - 1) * (2 * window - 1) + x[:, None] - x[None, :] + window - 1
