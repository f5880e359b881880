"""How much memory work takes: asked for before it begins."""

from __future__ import annotations

from typing import Any

from gossamer.errors import DeviceError, memory_remedy
from gossamer.platform import addresses_left, available_memory

__all__ = ["card_memory", "module_bytes", "require_addresses", "require_memory", "require_memory_for"]


def require_memory(needed: int, what: str, remedy: str) -> None:
    """Refuse work that would not fit into memory, before it allocates anything large.

    Parameters
    ----------
    needed : int
        Bytes at the work's peak, over what is allocated already.
    what : str
        What needs them, e.g. ``"KNN matting of this picture"``.
    remedy : str
        One sentence that says what to do instead.

    Raises
    ------
    DeviceError
        The machine, or the container that the process is in, has less than that left.
    """
    available = available_memory()
    if available is not None and needed > available:
        raise DeviceError(
            f"{what} needs about {needed / 1e9:.1f} GB of memory, but {available / 1e9:.1f} GB are left.",
            memory_remedy(remedy),
        )


def require_memory_for(needed: int, height: int, width: int) -> None:
    """Refuse, as :func:`require_memory`, to run a network on pictures of a size."""
    remedy = "Free memory, or choose a smaller model or resolution."
    require_memory(needed, f"Running this model on {width} x {height} pixels", remedy)


def require_addresses(needed: int, what: str) -> None:
    """Refuse what the limit on this process's addresses leaves no room for, before it begins.

    Libraries that run into it while they are loaded mostly do not say so: OpenBLAS writes to standard error and
    interrupts the process, others end it.

    Parameters
    ----------
    needed : int
        Bytes of addresses, as measured; where there is no such limit, nothing is looked at.
    what : str
        What takes them, e.g. ``"Loading torch"``.

    Raises
    ------
    DeviceError
        Fewer are left.
    """
    left = addresses_left()
    if left is not None and needed > left:
        raise DeviceError(
            f"{what} needs about {needed / 1e9:.1f} GB of addresses, but the limit that is set for this process leaves "
            f"{left / 1e9:.1f} GB.",
            "Raise the limit (ulimit -v, ulimit -d, or that of the service manager).",
        )


def card_memory(device: str) -> int | None:
    """Return how many bytes a card of torch's has left, with what torch keeps of it; None where it does not tell."""
    import torch

    place = getattr(torch, device, None)
    try:
        free = int(place.mem_get_info()[0])  # type: ignore[union-attr]
        return free + int(place.memory_reserved()) - int(place.memory_allocated())  # type: ignore[union-attr]
    except (AttributeError, RuntimeError):
        return None


def module_bytes(module: Any) -> int:
    """Return how many bytes a torch module's parameters and buffers take."""
    return sum(one.numel() * one.element_size() for group in (module.parameters(), module.buffers()) for one in group)
