"""Giving memory that is free back to the system."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from typing import Any

__all__ = ["module_bytes", "return_memory"]


def return_memory() -> None:
    """Return the C library's free memory to the system, where the library is one that keeps it (glibc).

    What a network frees lies between what it keeps, so glibc holds on to all of it: 220 MB after U²-Net small, while
    the stages that come next ask the system for more.
    """
    if (trim := _trim()) is not None:
        trim(0)


def module_bytes(module: Any) -> int:
    """Return how many bytes a torch module's parameters and buffers take."""
    return sum(one.numel() * one.element_size() for group in (module.parameters(), module.buffers()) for one in group)


@functools.cache
def _trim() -> Callable[[int], int] | None:
    try:
        function: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (OSError, TypeError, AttributeError):  # no glibc; on Windows CDLL(None) is a TypeError
        return None
    return function
