"""Compiling with numba: on first use, remembered on disk where the disk allows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba
from numba import types

__all__ = ["IMAGE", "IMAGE_OUT", "INDICES", "PLANE", "compiled"]

F = TypeVar("F", bound=Callable[..., Any])

# Signatures are spelled out, so that no combination of arguments ever compiles a second time; inputs are
# declared read-only, which arrays that may be written satisfy as well.
IMAGE = types.Array(types.float32, 3, "C", readonly=True)
PLANE = types.Array(types.float32, 2, "C", readonly=True)
INDICES = types.Array(types.int32, 1, "C", readonly=True)
IMAGE_OUT = types.float32[:, :, ::1]


def compiled(*argument_types: Any) -> Callable[[F], F]:
    """Compile a kernel for these argument types when its module is imported; it runs without the GIL.

    Without argument types it is compiled as a part of the kernels that call it.
    """
    # contract alone: a fused multiply-add is as exact as what it replaces, and nothing is reordered.
    options: dict[str, Any] = {"nogil": True, "fastmath": {"contract"}, "error_model": "numpy"}
    options["no_cfunc_wrapper"] = True
    options["no_cpython_wrapper"] = not argument_types
    signatures = (argument_types,) if argument_types else ()

    def decorate(function: F) -> F:
        try:
            kernel: F = numba.njit(*signatures, cache=bool(signatures), **options)(function)
        except RuntimeError:  # neither the package's folder nor the user's cache can be written
            kernel = numba.njit(*signatures, **options)(function)
        return kernel

    return decorate
