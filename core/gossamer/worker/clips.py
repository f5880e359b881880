"""A client's frames, such as the layers of an animation: cut out one after the other, their mattes held still."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gossamer.progress import ProgressCallback
from gossamer.worker.pictures import DTYPES
from gossamer.worker.requests import ClipRequest, OpenRequest

if TYPE_CHECKING:
    from gossamer.settings import ModelChoice

__all__ = ["OpenedClip"]

_log = logging.getLogger("gossamer.worker")

_WAITING = 12  # frames that are here at a time, at most: those that wait for others, and what is made of one


class OpenedClip:
    """Frames of one client, in work.

    Parameters
    ----------
    request : ClipRequest
    choice : ModelChoice
        Of models that are here.
    progress : callable
        Of loading the model; what it raises stops it.

    Raises
    ------
    InputError
        A setting is unknown or impossible.
    ModelError
        The model cannot be loaded.
    """

    def __init__(self, request: ClipRequest, choice: ModelChoice, progress: ProgressCallback) -> None:
        from gossamer.settings.parameters import recipe_from_flat
        from gossamer.settings.video import Video
        from gossamer.video.frames import FrameCutter

        self.request = request
        recipe = recipe_from_flat({"background": "transparent"}, recipe_from_flat(request.options)).unfinished()
        self._cutter = FrameCutter(
            request.height, request.width, Video(), recipe, choice, progress=progress, announce=_log.info
        )
        self._number = 0

    @staticmethod
    def room(request: ClipRequest) -> OpenRequest:
        """Return the picture that takes as much memory as the frames that are here at a time."""
        return OpenRequest(request.width, request.height * _WAITING, 4, request.dtype, "keep")

    @property
    def warnings(self) -> tuple[str, ...]:
        """What its user should know, so far."""
        return self._cutter.warnings

    def add(self, data: NDArray[np.uint8], progress: ProgressCallback) -> Iterator[NDArray[Any]]:
        """Take the next frame, RGBA row by row; yield those that are cut out, (H, W, 4) with straight alpha."""
        from gossamer.video.clip import Frame

        height, width, dtype = self.request.height, self.request.width, DTYPES[self.request.dtype]
        pixels = np.frombuffer(data, dtype).reshape(height, width, 4)
        own = np.ascontiguousarray(pixels[..., 3])
        frame = Frame(
            self._number,
            Fraction(self._number, 25),
            np.ascontiguousarray(pixels[..., :3]),
            None if own.min() == np.iinfo(dtype).max else own,
        )
        self._number += 1
        yield from map(self._packed, self._cutter.add(frame, progress))

    def rest(self, progress: ProgressCallback) -> Iterator[NDArray[Any]]:
        """Yield the frames that still wait."""
        yield from map(self._packed, self._cutter.rest(progress))

    def close(self) -> None:
        """Let go of it."""
        self._cutter.__exit__()

    def _packed(self, cutout: Any) -> NDArray[Any]:
        from gossamer.worker.finishing import as_dtype

        alpha = np.ones(cutout.matte.shape, np.float32) if cutout.alpha is None else cutout.alpha
        planes = as_dtype(cutout.rgb, self.request.dtype), as_dtype(alpha, self.request.dtype)
        return np.ascontiguousarray(np.dstack(planes))
