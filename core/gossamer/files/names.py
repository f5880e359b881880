"""Names of files: where they lead, and how a finished file gets one in a single step."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from gossamer.errors import OutputError
from gossamer.files.drafts import note
from gossamer.platform import BINARY, inherit, is_planted, links_are_followed_for_others, rename_new, settle_names

__all__ = ["followed", "move", "move_into_place"]

_LINKS = 40  # as many as Linux follows


def followed(path: Path) -> Path:
    """Return where a name leads, link after link, but never along one that somebody else planted.

    Linux itself refuses those unless it is told not to; it is not asked when links are resolved beforehand.

    Raises
    ------
    OutputError
        For a link of another user in a folder that everyone may write to.
    """
    if not links_are_followed_for_others():
        return Path(os.path.realpath(path))
    here = Path(path.anchor) if path.anchor else Path(os.getcwd())
    rest, links = [part for part in path.parts if part != path.anchor], 0
    while rest:
        name = rest.pop(0)
        step = here.parent if name == ".." else here / name
        if name == ".." or not step.is_symlink():
            here = step
            continue
        links += 1
        if links > _LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
        if is_planted(step, here):
            raise OutputError(
                f"{step} is a link that somebody else has put into a folder that everyone may write to.",
                "Give another name, or that of what it leads to.",
            )
        leads = Path(os.readlink(step))
        here = Path(leads.anchor) if leads.anchor else here
        rest[:0] = [part for part in leads.parts if part != leads.anchor]
    return here


def move_into_place(source: Path, target: Path, *, force: bool) -> None:
    """Move a finished file to its name, so that after a power failure it is there whole or not at all.

    With `force` it may replace one, whose permissions it gets.

    Raises
    ------
    OSError
        If that fails; FileExistsError if there is something of that name and `force` is not set.
    """
    with source.open("rb+") as file:
        if force and target.is_file():
            inherit(file.fileno(), target, target.stat())
        os.fsync(file.fileno())
    move(source, target, force)


def move(source: Path, target: Path, force: bool) -> None:
    """Move a file that is on the disk to its name in one step; raises as :func:`move_into_place`."""
    if force:
        source.replace(target)
    elif not rename_new(source, target):
        try:
            os.link(source, target)
            source.unlink()
        except FileExistsError:
            raise
        except OSError:  # neither that nor hard links: some network file systems
            _claim(source, target)
    settle_names(target.parent)


def _claim(source: Path, target: Path) -> None:
    """Take a name with an empty file, then replace that."""
    with note(target):
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | BINARY, 0o600))
        try:
            source.replace(target)
        except BaseException:
            target.unlink(missing_ok=True)
            raise
