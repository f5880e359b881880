"""What the processor itself multiplies: networks run in what is native to it, never in what it emulates."""

from __future__ import annotations

from gossamer import native
from gossamer.platform import processor_flags

__all__ = ["has_bfloat16", "has_int8"]

_BFLOAT16 = frozenset(("amx_bf16", "avx512_bf16", "bf16"))
"""Intel's tiles, Intel's and AMD's vectors, Arm's (FEAT_BF16), by the names that Linux gives them."""

_INT8 = frozenset(("amx_int8", "avx512_vnni", "avx_vnni", "asimddp", "i8mm"))

_BITS = ("avx512_bf16", "amx_bf16", "avx512_vnni", "avx_vnni", "amx_int8")  # in the order of processor.c


def has_bfloat16() -> bool:
    """Return whether this processor multiplies bfloat16 itself, so that it is fast and never emulated.

    The system is asked (Linux, macOS, Windows on Arm), or else the processor. False where neither tells: on x86
    without compiled kernels and without Linux.
    """
    return not _BFLOAT16.isdisjoint(_flags())


def has_int8() -> bool:
    """Return whether this processor sums products of bytes in one instruction, so that int8 is faster than float32."""
    return not _INT8.isdisjoint(_flags())


def _flags() -> frozenset[str]:
    told = processor_flags()
    kernels = native.library() if told is None else None
    if kernels is None:
        return told or frozenset()
    found = kernels.gossamer_products()
    return frozenset(name for bit, name in enumerate(_BITS) if found >> bit & 1)
