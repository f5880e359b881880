"""ViTMatte kept in memory from picture to picture."""

from __future__ import annotations

from collections.abc import Callable

from gossamer.matting.vitmatte.network import VitMatte
from gossamer.progress import Progress

__all__ = ["WarmVitMatte"]


class WarmVitMatte:
    """Loads ViTMatte when it is first wanted and keeps it; one at a time in memory.

    Parameters
    ----------
    device : {"auto", "cpu", "cuda"}
        Where it runs.
    announce : callable, optional
        Told in one sentence what is fetched.
    """

    def __init__(self, device: str = "auto", announce: Callable[[str], object] | None = None) -> None:
        self._device, self._announce = device, announce
        self._kept: tuple[str, VitMatte] | None = None

    def __call__(self, model: str, progress: Progress) -> VitMatte:
        """Return the one that is wanted, loading it first where another one or none is kept.

        Parameters
        ----------
        model : str
            As for :meth:`VitMatte.load`.
        progress : Progress

        Raises
        ------
        GossamerError
            It cannot be had.
        """
        if self._kept is None or self._kept[0] != model:
            self._kept = None  # two would not fit where one just does
            self._kept = model, VitMatte.load(model, device=self._device, progress=progress, announce=self._announce)
        return self._kept[1]

    def unload(self) -> None:
        """Free its memory; it is loaded again when it is wanted."""
        self._kept = None
