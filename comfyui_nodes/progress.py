# SPDX-License-Identifier: GPL-3.0-or-later
"""The library's progress on ComfyUI's bar, and ComfyUI's interrupt in the library."""

from __future__ import annotations

from collections.abc import Callable

import comfy.model_management
import comfy.utils

__all__ = ["Bar"]

_STEPS = 100  # of each picture


class Bar:
    """A node's progress bar over a number of pictures."""

    def __init__(self, pictures: int = 1) -> None:
        self._bar = comfy.utils.ProgressBar(pictures * _STEPS)
        self._shown = -1

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
