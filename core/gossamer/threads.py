"""How many threads this process may use."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["thread_count"]


def thread_count() -> int:
    """Return how many cores this process may use: affinity and the cgroup's quota are respected."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        if quota != "max":
            cores = min(cores, max(1, round(int(quota) / int(period))))
    except (OSError, ValueError):
        pass  # not Linux, or cgroup v1: the affinity is what is known
    return max(1, cores)
