# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting the worker's process: standard library only, no gi."""

from __future__ import annotations

import os
import subprocess
import sys

if __package__:
    from . import system
    from .failure import WorkerFailure, with_remedy
    from .language import _
    from .log import Log
    from .record import Settings
else:  # GIMP runs the plug-in from a folder
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import system
    from failure import WorkerFailure, with_remedy
    from language import _
    from log import Log
    from record import Settings


def launch(settings: Settings, path: str, log: Log) -> tuple[subprocess.Popen, int]:
    """Start a worker, which outlives this process; return it, and how long its log was before.

    Parameters
    ----------
    settings : Settings
    path : str
        Where it is to be met; its folder is made.
    log : Log

    Raises
    ------
    WorkerFailure
        Its Python is gone, or cannot be run.
    """
    python = settings.python
    if not os.path.exists(python):
        why = _("The Python that Gossamer was installed in is gone: {python}.").format(python=python)
        if system.is_sandboxed():
            why += " " + _("GIMP runs in a sandbox that may hide it.")
        raise WorkerFailure(with_remedy(why))
    command = [python, *settings.flags, "-m", "gossamer", "worker", "--socket", path]
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with log.open() as said:
            before = said.seek(0, os.SEEK_END)
            started = subprocess.Popen(
                command,
                env=system.child_environment(),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                **system.detached(),
            )
    except OSError as error:
        why = _("The worker could not be started with {python}: {error}.").format(python=python, error=error)
        raise WorkerFailure(with_remedy(why)) from None
    return started, before
