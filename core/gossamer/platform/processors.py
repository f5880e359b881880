"""What the system says of the processor, read once."""

from __future__ import annotations

import ctypes
import functools
import platform
import sys
from pathlib import Path

__all__ = ["processor_flags", "processor_kind"]

_CPUINFO = Path("/proc/cpuinfo")

_APPLE = {"bf16": "FEAT_BF16", "i8mm": "FEAT_I8MM", "asimddp": "FEAT_DotProd"}
"""Linux's names, and what sysctl calls the same."""

_WINDOWS = {"bf16": 68, "i8mm": 66, "asimddp": 43}
"""Linux's names, and PF_ARM_V86_BF16, PF_ARM_V82_I8MM and PF_ARM_V82_DP_INSTRUCTIONS_AVAILABLE of winnt.h."""


def processor_kind() -> str:
    """Return what tells this processor from others for which code, or weights, are laid out otherwise."""
    if flags := processor_flags():
        return " ".join((platform.machine(), *sorted(flags)))
    return f"{platform.machine()} {platform.processor()}"


@functools.cache
def processor_flags() -> frozenset[str] | None:
    """Return the names of this processor's instruction sets, as Linux writes them; None where the system does not tell.

    Linux lists all. macOS and Windows are asked, on Arm alone, for those that multiply bfloat16 and bytes.
    """
    if sys.platform == "linux":
        return _of_linux()
    if platform.machine().lower() not in ("arm64", "aarch64"):
        return None  # also a program for x86 on Apple's own processor, which has what it is told by CPUID
    if sys.platform == "darwin":
        return frozenset(name for name, told in _APPLE.items() if _sysctl(f"hw.optional.arm.{told}"))
    if sys.platform == "win32":
        ask = ctypes.windll.kernel32.IsProcessorFeaturePresent
        return frozenset(name for name, number in _WINDOWS.items() if ask(number))
    return None


def _of_linux() -> frozenset[str] | None:
    try:
        with _CPUINFO.open(encoding="ascii", errors="replace") as lines:
            for line in lines:
                name, _, value = line.partition(":")
                if name.strip() in ("flags", "Features"):  # x86 and Arm
                    return frozenset(value.split())
    except OSError:
        pass
    return None


def _sysctl(name: str) -> int:
    """Return a number that macOS keeps under a name; 0 where it has none."""
    value, size = ctypes.c_int(0), ctypes.c_size_t(ctypes.sizeof(ctypes.c_int))
    failed = ctypes.CDLL(None).sysctlbyname(name.encode(), ctypes.byref(value), ctypes.byref(size), None, 0)
    return 0 if failed else value.value
