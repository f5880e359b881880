"""The kernels that run networks layer by layer: for which processors there are some, and what both sides must know."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from gossamer import native

__all__ = ["ACROSS", "BLOCK", "KINDS", "OPERATION", "layer_kernel", "runs_layers"]

BLOCK = 16
"""Channels that lie together, see native/layers.h."""

ACROSS = 32
"""Outputs whose weights are transformed at once."""

KINDS = ("tiles", "inputs", "outputs", "first", "narrow", "point", "pool", "resize", "plain resize", "sigmoid")
"""Of operations, in the order of native/layers.c."""

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
    """Return whether this processor has kernels for layers: those with AVX2 have."""
    return _suffix() != ""


def layer_kernel(name: str, *arguments: Any) -> Any:
    """Return one of native/layers.c for the widest vectors of this processor, which has some."""
    return _bound(f"gossamer_{name}_{_suffix()}", arguments)


@functools.cache
def _suffix() -> str:
    kernels = native.library()
    if kernels is None:
        return ""
    if kernels.gossamer_has_avx512():
        return "avx512"
    return "avx2" if kernels.gossamer_has_avx2() else ""


@functools.cache
def _bound(name: str, arguments: tuple[Any, ...]) -> Any:
    found = getattr(native.library(), name)
    found.argtypes, found.restype = arguments, None
    return found
