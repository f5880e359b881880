# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said in ComfyUI's log, in ComfyUI's words."""

from __future__ import annotations

import logging

from .wording import spoken

__all__ = ["announce", "warn"]

_log = logging.getLogger("gossamer")


def announce(sentence: str) -> None:
    """Say what is happening, e.g. what is fetched."""
    _log.info(spoken(sentence))


def warn(warnings: tuple[str, ...]) -> None:
    """Say what went otherwise than asked for."""
    for warning in warnings:
        _log.warning(spoken(warning))
