"""What the processor itself can do, read once: networks run in what it multiplies natively."""

from __future__ import annotations

import functools
import platform
import sys
from pathlib import Path

__all__ = ["has_bfloat16", "processor_flags", "processor_kind"]

_CPUINFO = Path("/proc/cpuinfo")
_PRODUCTS = frozenset(("amx_bf16", "avx512_bf16", "bf16"))
"""What Linux calls instructions that multiply bfloat16: Intel's tiles, Intel's and AMD's vectors, Arm's (FEAT_BF16)."""


def has_bfloat16() -> bool:
    """Return whether this processor multiplies bfloat16 itself, so that it is fast and never emulated.

    False also where the system does not tell, which is everywhere but on Linux. On macOS the answer would be of no use:
    torch's convolutions there have no fast path for it.
    """
    return not _PRODUCTS.isdisjoint(processor_flags())


def processor_kind() -> str:
    """Return what tells this processor from others for which code, or weights, are laid out otherwise."""
    if flags := processor_flags():
        return " ".join((platform.machine(), *sorted(flags)))
    return f"{platform.machine()} {platform.processor()}"


@functools.cache
def processor_flags() -> frozenset[str]:
    """Return the names of this processor's instruction sets, as Linux writes them; empty on other systems."""
    if sys.platform != "linux":
        return frozenset()
    try:
        with _CPUINFO.open(encoding="ascii", errors="replace") as lines:
            for line in lines:
                name, _, value = line.partition(":")
                if name.strip() in ("flags", "Features"):  # x86 and Arm
                    return frozenset(value.split())
    except OSError:
        pass
    return frozenset()
