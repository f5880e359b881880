"""Swin's windows, beside attention written out over the whole map."""

import pytest
import torch

from gossamer.networks.architectures.swin import (
    SWINS,
    PatchMerging,
    SwinTransformer,
    WindowAttention,
    traced_for_any_size,
)


def over_the_whole_map(attention, x):
    """Attend rolled tokens under one mask: same window, and neighbours before the roll."""
    n, height, width, channels = x.shape
    window, shift, heads = attention.window, attention.shift, attention.heads
    y, x_ = (grid.flatten() for grid in torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij"))
    same = (y[:, None] // window == y // window) & (x_[:, None] // window == x_ // window)
    down, right = y[:, None] - y, x_[:, None] - x_
    # The token at y came from (y + shift) % height: tokens of a window that the seam parts are far from each other.
    home_y, home_x = (y + shift) % height, (x_ + shift) % width
    together = same & (home_y[:, None] - home_y == down) & (home_x[:, None] - home_x == right)
    entry = (down + window - 1).clamp(0, 2 * window - 2) * (2 * window - 1) + (right + window - 1).clamp(
        0, 2 * window - 2
    )
    bias = attention.relative_position_bias_table[entry].permute(2, 0, 1)
    tokens = x.reshape(n, height * width, channels)
    query, key, value = attention.qkv(tokens).reshape(n, -1, 3, heads, channels // heads).permute(2, 0, 3, 1, 4)
    scores = query @ key.transpose(-1, -2) / (channels // heads) ** 0.5 + bias
    weights = scores.masked_fill(~together, -torch.inf).softmax(-1)
    return attention.proj((weights @ value).transpose(1, 2).reshape(n, height, width, channels))


@pytest.mark.parametrize("shift", [0, 2])
@pytest.mark.parametrize("size", [(4, 4), (4, 12), (8, 4), (12, 8)])
def test_windows(size, shift):
    torch.manual_seed(0)
    attention = WindowAttention(8, 4, 2, shift)
    torch.nn.init.normal_(attention.relative_position_bias_table)
    x = torch.randn(2, *size, 8)
    with torch.no_grad():
        expected = over_the_whole_map(attention, x)
        torch.testing.assert_close(attention(x), expected, atol=1e-5, rtol=0)
        with traced_for_any_size(attention):
            torch.testing.assert_close(attention(x), expected, atol=1e-5, rtol=0)


def test_merging_reads_down_then_right():
    merging = PatchMerging(1)
    merging.norm, merging.reduction = torch.nn.Identity(), torch.nn.Identity()
    tokens = torch.tensor([[0.0, 1, 2], [3, 4, 5]])[None, :, :, None]
    assert merging(tokens).tolist() == [[[[0, 3, 1, 4], [2, 5, 0, 0]]]]


def test_sizes_of_the_maps():
    with torch.device("meta"):
        maps = SwinTransformer(SWINS["swin_t"])(torch.empty(1, 3, 36, 50))
    assert [tuple(value.shape[1:]) for value in maps] == [
        (96, 9, 13),
        (96, 9, 13),
        (192, 5, 7),
        (384, 3, 4),
        (768, 2, 2),
    ]
