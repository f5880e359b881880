"""ViTMatte out of :data:`gossamer.warm.warm`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from gossamer.matting.vitmatte.network import VitMatte
from gossamer.progress import Progress
from gossamer.warm import Loadable, warm

__all__ = ["lent_vitmatte", "unload_vitmatte"]

_KIND = "vitmatte"


def lent_vitmatte(
    model: str, device: str, progress: Progress, announce: Callable[[str], object] | None = None
) -> AbstractContextManager[VitMatte]:
    """Lend a ViTMatte for the time of a ``with``, loading it first where it is not warm.

    Parameters
    ----------
    model, device
        As for :meth:`VitMatte.load`.
    progress : Progress
    announce : callable, optional
        Told in one sentence what is fetched.

    Raises
    ------
    GossamerError
        It cannot be had.
    """

    def load(steps: Progress) -> VitMatte:
        return VitMatte.load(model, device=device, progress=steps, announce=announce)

    return warm.lent(Loadable((_KIND, model, device), load), progress)


def unload_vitmatte() -> None:
    """Free the memory that every ViTMatte takes, once nobody uses it."""
    for key in warm.held():
        if isinstance(key, tuple) and key[0] == _KIND:
            warm.unload(key)
