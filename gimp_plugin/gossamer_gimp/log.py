# SPDX-License-Identifier: GPL-3.0-or-later
"""The log of the worker that the client starts: standard library only, no gi."""

from __future__ import annotations

import os

if __package__:
    from . import system
    from .language import _
else:  # GIMP runs the plug-in from a folder
    import system
    from language import _

_LIMIT = 1 << 20  # bytes after which it begins anew


class Log:
    """What the worker writes.

    Parameters
    ----------
    path : str
    """

    def __init__(self, path: str) -> None:
        self._path = path

    def open(self):
        """Return it for a worker to write to."""
        log = system.open_log(self._path)
        if log.seek(0, os.SEEK_END) > _LIMIT:
            log.truncate(0)
        return log

    def size(self) -> int:
        """Return how many bytes it has by now."""
        try:
            return os.stat(self._path).st_size
        except OSError:
            return 0

    def said(self, start: int = 0) -> str:
        """Return its last lines, from a byte on, for an error's text."""
        try:
            with open(self._path, "rb") as log:
                log.seek(max(start, log.seek(0, os.SEEK_END) - 2000))
                lines = log.read().decode("utf-8", "replace").strip().splitlines()
        except OSError:
            lines = []
        return "\n\n" + _("The worker said:") + "\n" + "\n".join(lines[-6:]) if lines else ""
