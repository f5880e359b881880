"""MobileNetV3-Large as recurrent video matting has it, as data: without its head, its last stage dilated.

After A. Howard et al., "Searching for MobileNetV3", ICCV 2019.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["BLOCKS", "DEEPEST", "MEAN", "STD", "TAPS", "Block", "squeezed"]


class Block(NamedTuple):
    """An inverted residual block: channels are expanded, convolved each by itself, weighted, and brought together."""

    kernel: int
    wide: int
    out: int
    squeezes: bool
    hard: bool
    """Whether the activation is a hard swish, else a ReLU."""
    stride: int
    dilation: int
    """A dilated block keeps its size."""


BLOCKS = (
    Block(3, 16, 16, False, False, 1, 1),
    Block(3, 64, 24, False, False, 2, 1),
    Block(3, 72, 24, False, False, 1, 1),
    Block(5, 72, 40, True, False, 2, 1),
    Block(5, 120, 40, True, False, 1, 1),
    Block(5, 120, 40, True, False, 1, 1),
    Block(3, 240, 80, False, True, 2, 1),
    Block(3, 200, 80, False, True, 1, 1),
    Block(3, 184, 80, False, True, 1, 1),
    Block(3, 184, 80, False, True, 1, 1),
    Block(3, 480, 112, True, True, 1, 1),
    Block(3, 672, 112, True, True, 1, 1),
    Block(5, 672, 160, True, True, 1, 2),
    Block(5, 960, 160, True, True, 1, 2),
    Block(5, 960, 160, True, True, 1, 2),
)
DEEPEST = 960
"""Channels of the last convolution; before the first block there are 16."""

TAPS = (1, 3, 6)
"""Layers, the first convolution counted as 0, whose output has 1/2, 1/4 and 1/8 of the size."""

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def squeezed(channels: int) -> int:
    """Return how many numbers a block's channels are weighed by: a quarter, as a multiple of 8."""
    fewer = channels // 4
    near = max(8, (fewer + 4) // 8 * 8)
    return near + 8 if near < 0.9 * fewer else near
