"""What differs between systems (placeholder until the worker's branch brings it)."""

from __future__ import annotations

import os
from collections.abc import Callable

__all__ = ["after_fork", "usable_memory"]


def after_fork(call: Callable[[], object]) -> None:
    """Call something in each process that is forked from this one."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=call)


def usable_memory() -> int:
    """Return how many bytes of memory this process may use."""
    return int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
