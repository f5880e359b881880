"""ViTMatte kept in memory from picture to picture."""

from __future__ import annotations

import logging
from collections.abc import Callable

from gossamer.matting.vitmatte.network import VitMatte
from gossamer.parallel.forks import Lock
from gossamer.progress import Progress

__all__ = ["WarmVitMatte"]

_log = logging.getLogger("gossamer")


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
        self._loading = Lock()
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
        while not self._loading.acquire(timeout=0.05):
            progress.tick()
        try:
            kept = self._kept  # whatever is unloaded meanwhile
            if kept is None or kept[0] != model:
                from gossamer.matting.vitmatte.weights import find_folder, require_extra

                # Found, and fetched, before the one that is kept is let go of for a name that is no model's.
                require_extra()
                find_folder(model, progress=progress.part(0.0, 0.8), announce=self._announce or _log.warning)
                self._kept = kept = None  # two would not fit where one just does
                loaded = VitMatte.load(model, device=self._device, progress=progress.part(0.8, 1.0))
                self._kept = kept = model, loaded
            return kept[1]
        finally:
            self._loading.release()

    def unload(self) -> None:
        """Free its memory; it is loaded again when it is wanted."""
        self._kept = None
