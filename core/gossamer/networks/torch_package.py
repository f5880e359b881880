"""The package torch, imported where it can be, and told about where it cannot."""

from __future__ import annotations

import sys
from typing import Any

from gossamer.errors import import_failure
from gossamer.networks.memory import require_addresses

__all__ = ["torch_package"]

_ADDRESSES = 520_000_000  # what its import takes beyond NumPy's: torch 2.13 for the processor, with two threads


def torch_package(what: str, extra: str = "torch") -> Any:
    """Return the package torch.

    Parameters
    ----------
    what : str
        What needs it, for messages: ``"Running a network in torch"``.
    extra : str
        The extra of ours that brings it, and whatever else is needed.

    Raises
    ------
    MissingExtra
        It is not installed.
    DeviceError, MemoryError
        This process has no room for it.
    ModelError
        It is installed, and cannot be loaded.
    """
    if "torch" not in sys.modules:
        require_addresses(_ADDRESSES, "Loading torch")
    try:
        import torch
    except ImportError as error:
        raise import_failure(error, what, extra) from None
    return torch
