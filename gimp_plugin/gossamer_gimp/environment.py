# SPDX-License-Identifier: GPL-3.0-or-later
"""The environment in which the worker runs: is there one, and what on this computer could make one.

Standard library only, no gi.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass

if __package__:
    from . import system
    from .failure import WorkerFailure
    from .language import _
    from .record import PROTOCOL, RECORD, Settings
else:  # GIMP runs the plug-in from a folder
    import system
    from failure import WorkerFailure
    from language import _
    from record import PROTOCOL, RECORD, Settings

BUNDLE = "bundle.json"
OLDEST = (3, 11)

_LOOK = 20.0  # seconds that a Python gets to say what it is
_PROBE = """
import importlib.util, json, struct, sys, sysconfig
print(json.dumps({
    "version": sys.version_info[:3],
    "executable": sys.executable,
    "venv": all(importlib.util.find_spec(name) is not None for name in ("venv", "ensurepip")),
    "bits": 8 * struct.calcsize("P"),
    "platform": sysconfig.get_platform(),
}))
"""


@dataclass(frozen=True)
class Interpreter:
    """A Python on this computer.

    Attributes
    ----------
    path : str
    version : tuple of int
    venv : bool
        Whether it can make virtual environments with pip in them.
    foreign : bool
        Whether it is one for which nobody publishes packages: of MSYS2, as GIMP's own is on Windows, or of 32 bits.
    """

    path: str
    version: tuple[int, ...]
    venv: bool
    foreign: bool = False

    @property
    def fits(self) -> bool:
        """Whether Gossamer could run in it."""
        return self.version >= OLDEST and not self.foreign


@dataclass(frozen=True)
class Edition:
    """Which Gossamer the plug-in is of, and the wheel that lies beside it, if one does."""

    gossamer: str
    wheel: str | None


def is_set_up(folder: str) -> bool:
    """Whether the plug-in in `folder` knows a Python that is there."""
    try:
        return os.path.exists(Settings.read(folder).python)
    except WorkerFailure:
        return False


def edition(folder: str) -> Edition:
    """Return what the plug-in in `folder` is of: what its bundle says, else what it was installed from."""
    for name in (BUNDLE, RECORD):
        try:
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                said = json.load(file)
            version, wheel = str(said["gossamer"]), said.get("wheel")
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
        path = os.path.join(folder, os.path.basename(wheel)) if isinstance(wheel, str) and wheel else None
        return Edition(version, path if path and os.path.isfile(path) else None)
    return Edition("", None)


def look(path: str) -> Interpreter | None:
    """Ask a Python what it is; None where it does not answer."""
    try:
        done = subprocess.run(
            [path, "-I", "-c", _PROBE],
            env=system.child_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_LOOK,
            check=True,
            **system.in_group(),
        )
        said = json.loads(done.stdout)
        foreign = said["platform"].startswith(("mingw", "msys", "cygwin")) or said["bits"] != 64
        return Interpreter(said["executable"] or path, tuple(said["version"]), said["venv"], foreign)
    except (OSError, ValueError, KeyError, TypeError, subprocess.SubprocessError):
        return None


def found(paths=None) -> list[Interpreter]:
    """Return the Pythons of this computer, or at `paths`; the first that can make an environment ends the search."""
    seen: dict[str, Interpreter] = {}
    for path in system.python_commands() if paths is None else paths:
        one = look(path)
        if one is not None:
            seen.setdefault(one.path, one)
            if one.fits and one.venv:
                break
    return list(seen.values())


def uv() -> str | None:
    """Return where uv is, which makes environments too, and fetches a Python where none is there."""
    home = os.path.expanduser("~")
    places = [
        os.environ.get("PATH", os.defpath),
        os.path.join(home, ".local", "bin"),
        os.path.join(home, ".cargo", "bin"),
    ]
    return shutil.which("uv", path=os.pathsep.join(places))


def why_none(pythons: list[Interpreter]) -> str:
    """Return a sentence for people: why none of these Pythons can make an environment, and what helps."""
    fitting = next((one for one in pythons if one.fits), None)
    if fitting is not None:
        why = _("{python} cannot make environments: its modules venv and ensurepip are missing.")
        return f"{why.format(python=fitting.path)} {system.venv_advice()}"
    old = next((one for one in pythons if one.version < OLDEST), None)
    if old is not None:
        why = _("Gossamer needs Python 3.11 or newer, and here is {version} ({python}).")
        version = ".".join(map(str, old.version))
        return f"{why.format(version=version, python=old.path)} {system.python_advice()}"
    if pythons:
        why = _("There are no packages for the Python that is here ({python}).").format(python=pythons[0].path)
        return f"{why} {system.python_advice()}"
    return (
        f"{_('There is no Python on this computer, of which Gossamer needs 3.11 or newer.')} {system.python_advice()}"
    )


def fits(said: dict) -> bool:
    """Whether what an installed Gossamer says of itself fits the plug-in."""
    return said.get("protocol") == PROTOCOL
