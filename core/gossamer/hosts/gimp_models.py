"""Tells the GIMP plug-ins that are installed which models were added: they cannot ask before they are shown."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

from gossamer.errors import OutputError
from gossamer.files import write_bytes
from gossamer.hosts.gimp import status
from gossamer.hosts.gimp_arguments import ADDED, added_models
from gossamer.hosts.gimp_files import NAME

__all__ = ["refresh_models"]


def refresh_models(folder: Path | None = None) -> list[Path]:
    """Write the list of added models beside every plug-in that is installed, and return their folders.

    GIMP remembers what a plug-in offers until its program changes, so that is made to look new.

    Parameters
    ----------
    folder : Path, optional
        One GIMP configuration folder instead of those that are found.

    Raises
    ------
    OutputError
        A plug-in's folder cannot be written.
    """
    models = added_models()
    places = [one.folder for one in status(folder) if one.state not in ("absent", "foreign")]
    for place in places:
        try:
            if models:
                write_bytes(place / ADDED, f"{json.dumps(models, indent=2)}\n".encode(), force=True)
            else:
                (place / ADDED).unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(
                f"GIMP's list of models cannot be written: {error.filename}: {error.strerror}.",
                "Check the folder's rights.",
            ) from None
        with suppress(OSError):  # a link to what is not this user's
            os.utime(place / f"{NAME}.py")
    return places
