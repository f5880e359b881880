"""Errors and warnings in the words of GIMP: its user has a menu, a dialog and one command, and no flags.

The library's remedies are for the command line and for scripts. Where one names what is not in GIMP (a flag, another
command, a variable of the environment), the worker says what helps there.
"""

from __future__ import annotations

import re

from gossamer import errors
from gossamer.errors import GossamerError
from gossamer.worker.inventory import NotHere

__all__ = ["remedy_in_gimp", "warning_in_gimp"]

_ELSEWHERE = re.compile(
    r"(?<![\w-])--[a-z]"
    r"|\bgossamer (?!gimp install\b)[a-z]"
    r"|\bpip install\b|\bnvidia-smi\b|\bin Python\b"
    r"|(?<!\w)\$?[A-Z]+_[A-Z_]+"
    r"|\w=\w|\bID\b|\bPATH\b"
)
_DIALOG = "in the dialog of Filters > Gossamer > Remove Background"
_INSTALL = "Open a terminal and type: gossamer gimp install"
_FETCH = f"Start it {_DIALOG}, which asks before it fetches it, or give a script's call the argument fetch."
_REMEDIES = (  # the first that an error is one of
    (errors.LicenceError, f"Choose another model {_DIALOG}."),
    (errors.ModelIntegrityError, f"Delete that file, and it is fetched again, or choose another model {_DIALOG}."),
    (errors.DownloadError, f"Check the connection to the internet, or choose a model that is installed {_DIALOG}."),
    (errors.ModelError, f"Choose another model or method {_DIALOG}."),
    (errors.DeviceError, f"Close other programs, or choose a smaller model {_DIALOG}."),
    (errors.MissingExtra, f"Choose another model or method {_DIALOG}."),
    (errors.OutputError, "Free some space on the disk, and try again."),
    (errors.InputError, f"Choose other settings {_DIALOG}, or scale the picture down."),
    (errors.WorkerError, _INSTALL),
)


def remedy_in_gimp(error: GossamerError) -> str:
    """Return what a user of GIMP can do about an error: its own remedy, where that is not about something else."""
    if isinstance(error, NotHere):
        return _FETCH
    if not _ELSEWHERE.search(error.remedy):
        return error.remedy
    return next((remedy for kind, remedy in _REMEDIES if isinstance(error, kind)), _INSTALL)


def warning_in_gimp(text: str) -> str:
    """Return a warning without its sentences about what GIMP has not."""
    sentences = re.split(r"(?<=[.!?]) +", text)
    return " ".join(sentence for sentence in sentences if not _ELSEWHERE.search(sentence)) or sentences[0]
