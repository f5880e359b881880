"""What a matting needs besides the package: had before the work, or refused."""

from __future__ import annotations

from collections.abc import Callable

from gossamer.matting.vitmatte.lent import prepare_vitmatte
from gossamer.progress import Progress
from gossamer.settings.recipe import Matting

__all__ = ["prepare_matting"]


def prepare_matting(
    settings: Matting,
    *,
    progress: Progress,
    device: str = "auto",
    announce: Callable[[str], object] | None = None,
) -> None:
    """Have at hand what the method of the settings needs, so that nothing is refused after a model has run for it.

    Parameters
    ----------
    settings : Matting
    progress : Progress
        May raise to cancel.
    device, announce
        As for :func:`gossamer.matting.stage.matte`.

    Raises
    ------
    GossamerError
        A package, weights or the device are missing, and cannot be had.
    """
    if settings.method == "vitmatte":
        # What it says is enough: the bar belongs to the work that follows.
        prepare_vitmatte(settings.model, device, progress.part(0.0, 0.0), announce)
