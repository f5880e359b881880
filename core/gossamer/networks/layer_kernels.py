"""The kernels that run networks layer by layer: for which processors there are some, and what both sides must know."""

from __future__ import annotations

import numpy as np

from gossamer import native

__all__ = [
    "ACROSS",
    "AS_IT_IS",
    "BLOCK",
    "HARD_SIGMOID",
    "HARD_SWISH",
    "KINDS",
    "OPERATION",
    "RELU",
    "SIGMOID",
    "runs_layers",
    "unmeasured",
]

BLOCK = 16
"""Channels that lie together, see native/layers.h."""

ACROSS = 32
"""Outputs whose weights are transformed at once."""

KINDS = (
    *("tiles", "inputs", "outputs", "first", "narrow", "point", "pool", "resize", "plain resize", "sigmoid"),
    *("mixed", "channelwise", "average", "dense", "scaled", "doubled", "blocked", "plain", "halved", "shrunk"),
    *("reset", "renewed", "refined", "fine"),
)
"""Of operations, in the order of native/layers.c."""

AS_IT_IS, RELU, HARD_SWISH, HARD_SIGMOID, SIGMOID = range(5)
"""What becomes of a layer's results, see native/layers.h."""

OPERATION = np.dtype(
    [
        (name, np.int64)
        for name in (
            *("kind", "items", "from", "to", "added", "weights", "bias", "inputs", "outputs", "height", "width"),
            *("step", "relu", "high", "wide", "tiles", "size", "first", "across", "depth", "shared"),
        )
    ]
)
"""``operation`` of native/layers.h."""


def runs_layers() -> bool:
    """Return whether this processor has kernels for layers that are worth it: those with AVX2, and Arm's."""
    return native.widest() in ("avx2", "avx512") or (native.widest() == "plain" and unmeasured())


def unmeasured() -> bool:
    """Return whether nobody has measured yet if kernels for layers are faster here than ONNX Runtime: on Arm."""
    return native.platform_name().endswith("-aarch64")
