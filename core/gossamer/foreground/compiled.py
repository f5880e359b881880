"""Compiling with numba: on first use, remembered on disk where the disk allows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["compiled"]

F = TypeVar("F", bound=Callable[..., Any])

# Signatures are spelled out, so that no combination of arguments ever compiles a second time; inputs are
# declared read-only, which arrays that may be written satisfy as well.




def compiled(*argument_types: Any) -> Callable[[F], F]:
    """Compile a kernel for these argument types when its module is imported; it runs without the GIL.

    Without argument types the kernel is compiled as part of the kernels that call it.
    """
    import numba

    types = numba.types
    names = {"image": types.Array(types.float32, 3, "C", readonly=True),
             "plane": types.Array(types.float32, 2, "C", readonly=True)}
    signature = tuple(names.get(t, t) for t in argument_types) if argument_types else None
    # contract alone: fused multiply-adds are as exact as what they replace; nothing is reordered.
    options: dict[str, Any] = {"nogil": True, "fastmath": {"contract"}, "error_model": "numpy"}

    def decorate(function: F) -> F:
        arguments = () if signature is None else (signature,)
        try:
            return numba.njit(*arguments, cache=True, **options)(function)  # type: ignore[no-any-return]
        except RuntimeError:  # neither the package's folder nor the user's cache can be written
            return numba.njit(*arguments, **options)(function)  # type: ignore[no-any-return]

    return decorate
