"""ViTMatte out of :data:`gossamer.warm.warm`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from gossamer.matting.vitmatte.network import VitMatte
from gossamer.progress import Progress
from gossamer.warm import Loadable, warm

__all__ = ["lent_vitmatte", "prepare_vitmatte", "unload_vitmatte"]

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


def prepare_vitmatte(
    model: str, device: str, progress: Progress, announce: Callable[[str], object] | None = None
) -> None:
    """Have a ViTMatte at hand that is to be lent later: fetched where it is missing, and not loaded.

    Parameters and errors are those of :func:`lent_vitmatte`.
    """
    if (_KIND, model, device) not in warm.held():
        VitMatte.prepare(model, device=device, progress=progress, announce=announce)


def unload_vitmatte() -> None:
    """Free the memory that every ViTMatte takes, once nobody uses it."""
    for key in warm.held():
        if isinstance(key, tuple) and key[0] == _KIND:
            warm.unload(key)
