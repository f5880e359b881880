# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said in ComfyUI's log, in ComfyUI's words."""

from __future__ import annotations

import logging
from typing import Any

from comfy_execution.utils import get_executing_context

from .wording import spoken

__all__ = ["announce", "warn"]

_log = logging.getLogger("gossamer")
_told: set[str] = set()
_place: Any = None  # the node's run that these were told in


def announce(sentence: str) -> None:
    """Say what is happening, e.g. what is fetched."""
    _log.info(spoken(sentence))


def warn(warnings: tuple[str, ...]) -> None:
    """Say what went otherwise than asked for; of a batch, what goes so with all of its pictures, once."""
    global _place
    place = get_executing_context()
    if place is None or place != _place:
        _told.clear()
        _place = place
    for warning in warnings:
        if warning not in _told:
            _told.add(warning)
            _log.warning(spoken(warning))
