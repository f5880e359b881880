"""A folder that is there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gossamer.errors import OutputError, OutputExists
from gossamer.files import check_folder, staging_folder
from gossamer.paths import remedy_of, target_path

__all__ = ["check_new_folder", "new_folder"]


def check_new_folder(out: str | os.PathLike[str]) -> Path:
    """Return where a new folder goes, refusing before the work what exists already.

    Raises
    ------
    OutputExists
        There is something of that name, and it is no empty folder.
    OutputError
        It could not be made there.
    """
    path = Path(os.path.abspath(target_path(out)))
    check_folder(path)
    if os.path.lexists(path) and not (path.is_dir() and not path.is_symlink() and not any(path.iterdir())):
        raise OutputExists(f"{path} exists already.", "Give the name of a new folder.")
    return path


@contextmanager
def new_folder(out: str | os.PathLike[str]) -> Iterator[Path]:
    """Lend a folder to fill, which gets the name `out` in one step at the end; where the work fails there is none.

    Raises
    ------
    OutputExists, OutputError
        As :func:`check_new_folder`, and where the disk is full.
    """
    path = check_new_folder(out)
    try:
        with staging_folder(path.parent) as staging:
            making = staging / path.name
            making.mkdir()
            yield making
            with suppress(FileNotFoundError):
                path.rmdir()  # an empty one: Windows renames onto nothing
            making.rename(path)
    except OSError as error:
        remedy = remedy_of(error, "Check the disk and the folder's permissions.")
        raise OutputError(f"{path} could not be written: {error.strerror or error}.", remedy) from None
