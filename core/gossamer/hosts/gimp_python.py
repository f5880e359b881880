"""The Python that GIMP's worker runs in: how it is started, and whether it could work at all."""

from __future__ import annotations

import os
import site
import subprocess
import sys
from functools import cache
from pathlib import Path

from gossamer.errors import InputError

__all__ = ["check_can_work", "worker_flags"]

_PASSING = ("archive-v0", "builds-v0", "environments-v2")  # folders of uv's cache: `uvx` makes and clears them
_PATIENCE = 60.0  # seconds that a Python gets to import what the worker needs


def worker_flags() -> list[str]:
    """Return how Python is started: alone (-I), unless gossamer itself is in the user's site-packages."""
    import gossamer

    own = Path(gossamer.__file__).resolve()
    if site.ENABLE_USER_SITE and own.is_relative_to(Path(site.getusersitepackages()).resolve()):
        return ["-E", "-P"]
    return ["-I"]


@cache
def check_can_work(python: Path) -> None:
    """Refuse a Python that the worker could not run in.

    Raises
    ------
    InputError
        It will be gone tomorrow, it does not start, or it finds no Gossamer by itself.
    """
    if any(part in _PASSING for part in python.absolute().parts):
        raise InputError(
            f"This Python is one that uv made for one call and will clear away: {python}.",
            "Type: uv tool install gossamer, and then: gossamer gimp install",
        )
    command = [str(python), *worker_flags(), "-c", "import gossamer.worker"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    try:
        done = subprocess.run(
            command, env=clean, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise InputError(f"{python} cannot be started: {error}.", "Name a Python that is there.") from None
    if done.returncode:
        told = "; it was found through PYTHONPATH or the current folder alone" if python == Path(sys.executable) else ""
        raise InputError(
            f"GIMP's worker would not find Gossamer with {python}{told}.",
            f"Install it there: {python} -m pip install gossamer",
        )
