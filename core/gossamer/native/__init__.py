"""Kernels in C: each beside one plain statement of the same in NumPy, SciPy or OpenCV, which stands in where none is.

A wheel carries them for every common platform; elsewhere they are compiled while installing, or afterwards (see
:mod:`gossamer.native.building`).
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import platform
import sysconfig
from pathlib import Path
from typing import Any

__all__ = [
    "COUNT",
    "EXACT",
    "FOUND",
    "LIBRARY",
    "NUMBER",
    "PLACE",
    "carried",
    "digest",
    "function",
    "layer_function",
    "library",
    "places",
    "platform_name",
    "slowness",
    "variant",
    "widest",
]


class PLACE:
    """Type of arguments that are arrays: given is a C-contiguous NumPy array, bytes or None."""

    @classmethod
    def from_param(cls, value: Any) -> ctypes.c_void_p | ctypes.c_char_p:
        """Return what C gets; called by ctypes."""
        if value is None or isinstance(value, bytes):
            return ctypes.c_char_p(value)
        if not value.flags.c_contiguous:
            raise ValueError("kernels take C-contiguous arrays")
        return ctypes.c_void_p(value.__array_interface__["data"][0])


def places(*arrays: Any) -> tuple[ctypes.c_void_p | ctypes.c_char_p, ...]:
    """Return arguments of the type :data:`FOUND` for some arrays: a kernel that is called often costs less so.

    The caller keeps the arrays as long as these.
    """
    return tuple(PLACE.from_param(array) for array in arrays)


COUNT, NUMBER, EXACT = ctypes.c_int64, ctypes.c_float, ctypes.c_double
"""Types of arguments: a whole number, a real one, and one in double precision."""

FOUND = ctypes.c_void_p
"""Type of arguments that are arrays, of which :func:`places` is given."""

_FOLDER = Path(__file__).parent
_SYSTEMS = {"win": "windows", "macosx": "macos"}
LIBRARY = _FOLDER / "kernels.so"  # on every system: what loads it looks at the path, not at the suffix
"""What is compiled on this machine."""


def platform_name() -> str:
    """Return this platform's name: system and processor, as in ``linux-x86_64``, ``windows-x86_64``, ``macos-aarch64``.

    The processor is that which this Python was made for.
    """
    # This file is also run by itself, when the package is built: nothing of ours can be imported.
    made_for = sysconfig.get_platform()  # linux-x86_64, macosx-11.0-universal2, win-amd64
    system = next((name for head, name in _SYSTEMS.items() if made_for.startswith(head)), made_for.partition("-")[0])
    machine = made_for.rpartition("-")[2] if system == "windows" else platform.machine()
    return f"{system}-{ {'amd64': 'x86_64', 'arm64': 'aarch64'}.get(machine.lower(), machine.lower()) }"


def carried(name: str) -> Path:
    """Return where a wheel carries the library for the platform of this name, if it does."""
    return _FOLDER / f"kernels-{name}.so"


def digest() -> str:
    """Return what the sources hash to: a library made of others is not used."""
    state = hashlib.sha256()
    for path in sorted(_FOLDER.glob("*.[ch]")):
        state.update(path.read_bytes())
    return state.hexdigest()[:16]


@functools.cache
def library() -> ctypes.CDLL | None:
    """Return the compiled library, or None where there is none, or one made of other sources."""
    made_here = digest().encode()
    for path in (LIBRARY, carried(platform_name())):
        try:
            kernels = ctypes.CDLL(str(path))
            if ctypes.c_char_p.in_dll(kernels, "gossamer_sources").value == made_here:
                return kernels
        except (OSError, ValueError):
            continue
    return None


def slowness() -> tuple[str, ...]:
    """Return what a report says where the library is missing."""
    if library() is not None:
        return ()
    return ("The kernels in C are missing, and this takes long without. To have them, type: python -m gossamer.native",)


@functools.cache
def variant() -> str | None:
    """Return for which processors the kernels in use were compiled: "avx2" or "plain"; None without a library."""
    kernels = library()
    if kernels is None:
        return None
    return "avx2" if kernels.gossamer_has_avx2() else "plain"


@functools.cache
def widest() -> str | None:
    """Return as :func:`variant` for the layers of networks, of which there is "avx512" as well."""
    kernels = library()
    return "avx512" if kernels is not None and kernels.gossamer_has_avx512() else variant()


def layer_function(name: str, *arguments: Any) -> Any:
    """Return a function of layers.c, which there must be."""
    return _bound(name, widest(), arguments, None)


def function(name: str, *arguments: Any, result: Any = None) -> Any:
    """Return a function of the library, which runs without the GIL, or None without a library."""
    return _bound(name, variant(), arguments, result)


@functools.cache
def _bound(name: str, kind: str | None, arguments: tuple[Any, ...], result: Any) -> Any:
    kernels = library()
    if kernels is None:
        return None
    found = kernels[f"gossamer_{name}" if kind == "plain" else f"gossamer_{name}_{kind}"]
    found.argtypes, found.restype = arguments, result
    return found
