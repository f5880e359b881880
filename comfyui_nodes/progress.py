# SPDX-License-Identifier: GPL-3.0-or-later
"""The library's progress on ComfyUI's bar, and ComfyUI's interrupt in the library."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import comfy.model_management
import comfy.utils

if TYPE_CHECKING:
    import torch

__all__ = ["Bar"]

_STEPS = 100  # of each picture
_BETWEEN = 0.5  # seconds: how often a picture is sent to the page at most


class Bar:
    """A node's progress bar over a number of pictures."""

    def __init__(self, pictures: int = 1) -> None:
        self._bar = comfy.utils.ProgressBar(pictures * _STEPS)
        self._pictures, self._shown, self._sent = pictures, -1, 0.0

    def picture(self, index: int) -> Callable[[float, str], None]:
        """Return the library's callback for picture `index`; it raises where the user has interrupted."""
        return self.pictures(index, 1)

    def pictures(self, first: int, count: int) -> Callable[[float, str], None]:
        """Return the library's callback for `count` pictures from `first` on, which are worked on together."""

        def report(fraction: float, message: str = "") -> None:
            comfy.model_management.throw_exception_if_processing_interrupted()
            value = round((first + count * fraction) * _STEPS)
            if value > self._shown:  # the library calls far more often than a bar can move
                self._shown = value
                self._bar.update_absolute(value)

        return report

    def show(self, picture: torch.Tensor) -> None:
        """Show one result of several, (H, W, 3 or 4), on the node while it works; what is transparent is grey."""
        if self._pictures == 1 or time.monotonic() - self._sent < _BETWEEN:
            return
        from PIL import Image

        from .previews import small

        self._sent = time.monotonic()
        planes = small(picture).numpy()
        rgb = planes[..., :3]
        if planes.shape[2] == 4:
            rgb = rgb * planes[..., 3:] + 0.5 * (1 - planes[..., 3:])
        seen = Image.fromarray((rgb * 255 + 0.5).astype("uint8"))
        self._bar.update_absolute(max(self._shown, 0), preview=("JPEG", seen, max(seen.size)))
