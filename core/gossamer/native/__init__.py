"""Kernels in C, compiled when the package is built where a compiler is found; numba's stand in for them elsewhere.

Numba takes 0.35 s of every start and 115 MB: more than all else that a small picture needs.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
from pathlib import Path
from typing import Any

__all__ = ["COUNT", "LIBRARY", "NUMBER", "PLACE", "digest", "function", "library", "place", "variant"]

PLACE, COUNT, NUMBER = ctypes.c_void_p, ctypes.c_int64, ctypes.c_float
"""Types of arguments: where an array lies, a whole number, a real one."""

_FOLDER = Path(__file__).parent
LIBRARY = _FOLDER / "kernels.so"  # on every system: what loads it looks at the path, not at the suffix


def digest() -> str:
    """Return what the sources hash to: a library made of others is not used."""
    state = hashlib.sha256()
    for path in sorted(_FOLDER.glob("*.[ch]")):
        state.update(path.read_bytes())
    return state.hexdigest()[:16]


@functools.cache
def library() -> ctypes.CDLL | None:
    """Return the compiled library, or None where there is none, or one made of other sources."""
    try:
        kernels = ctypes.CDLL(str(LIBRARY))
        made_of = ctypes.c_char_p.in_dll(kernels, "gossamer_sources").value
    except (OSError, ValueError):
        return None
    return kernels if made_of == digest().encode() else None


@functools.cache
def variant() -> str | None:
    """Return for which processors the kernels in use were compiled: "avx2" or "plain"; None without a library."""
    kernels = library()
    if kernels is None:
        return None
    return "avx2" if kernels.gossamer_has_avx2() else "plain"


def function(name: str, *arguments: Any, result: Any = None) -> Any:
    """Return a function of the library, which runs without the GIL, or None without a library."""
    return _bound(name, variant(), arguments, result)


@functools.cache
def _bound(name: str, kind: str | None, arguments: tuple[Any, ...], result: Any) -> Any:
    kernels = library()
    if kernels is None:
        return None
    found = kernels[f"gossamer_{name}_avx2" if kind == "avx2" else f"gossamer_{name}"]
    found.argtypes, found.restype = arguments, result
    return found


def place(array: Any) -> int:
    """Return the address of a numpy array's first number."""
    if not array.flags.c_contiguous:
        raise ValueError("kernels take C-contiguous arrays")
    return int(array.ctypes.data)
