"""The plug-in as one zip file, for people who have no terminal: it sets itself up, in Filters > Gossamer > Set-up…."""

from __future__ import annotations

import io
import json
import os
import zipfile
from email.parser import HeaderParser
from importlib import resources
from pathlib import Path

from gossamer import __version__
from gossamer.errors import InputError
from gossamer.files import check_place, write_bytes
from gossamer.hosts.gimp_files import BUNDLE, NAME, contents
from gossamer.paths import source_path, target_path
from gossamer.worker.protocol import PROTOCOL

__all__ = ["make_bundle"]

_DATE = (1980, 1, 1, 0, 0, 0)  # the same files make the same zip


def make_bundle(
    file: str | os.PathLike[str], *, wheel: str | os.PathLike[str] | None = None, force: bool = False
) -> tuple[str, ...]:
    """Write the plug-in's folder as a zip file, to be unzipped into GIMP's folder ``plug-ins``.

    Parameters
    ----------
    file : path
        What to write; its name ends in .zip.
    wheel : path, optional
        A wheel of this version of Gossamer, which the plug-in's Set-up… installs instead of asking the package index
        for it. What it needs comes from the index all the same.
    force : bool
        Replace a file that is there.

    Returns
    -------
    tuple of str
        What is in it.

    Raises
    ------
    InputError
        The wheel is none of this version, or the name is not that of a zip file.
    OutputExists, OutputError
        The file is there already, or cannot be written.
    """
    target = target_path(file)
    if target.suffix.lower() != ".zip":
        raise InputError(f"{file} is no zip file.", "Give a name that ends in .zip")
    check_place(target, force)
    beside = None if wheel is None else _checked(source_path(wheel, "wheel"))
    held = contents()
    held["LICENSE"] = _licence()
    record = {"gossamer": __version__, "protocol": PROTOCOL, "wheel": beside.name if beside else None}
    held[BUNDLE] = (json.dumps(record, indent=2) + "\n").encode()
    if beside is not None:
        held[beside.name] = beside.read_bytes()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in sorted(held.items()):
            about = zipfile.ZipInfo(f"{NAME}/{name}", _DATE)
            about.compress_type = zipfile.ZIP_STORED if name.endswith(".whl") else zipfile.ZIP_DEFLATED
            about.create_system = 3  # of Unix, which the run bit is read of
            about.external_attr = (0o100755 if name == f"{NAME}.py" else 0o100644) << 16
            archive.writestr(about, data)
    write_bytes(target, packed.getvalue(), force=force)
    return tuple(sorted(held))


def _checked(wheel: Path) -> Path:
    """Return the wheel's path, if it is one of this version."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
            about = HeaderParser().parsestr(archive.read(name).decode("utf-8"))
    except (OSError, ValueError, zipfile.BadZipFile):
        about = None
    if about is None or wheel.suffix != ".whl":
        raise InputError(f"{wheel} is no wheel.", "Build one with tools/build_wheel.py, or leave it out.")
    if (about["Name"], about["Version"]) != ("gossamer", __version__):
        raise InputError(
            f"{wheel} is of {about['Name']} {about['Version']}, but the plug-in is of Gossamer {__version__}.",
            "Give the wheel of the same version.",
        )
    return wheel


def _licence() -> bytes:
    """Return the plug-in's licence: beside it in the source tree, among the wheel's licences where it is installed."""
    from importlib import metadata

    beside = Path(str(resources.files(NAME))).parent / "LICENSE"
    if beside.is_file():
        return beside.read_bytes()
    for file in metadata.files("gossamer") or ():
        if file.as_posix().endswith("licenses/gimp_plugin/LICENSE"):
            return Path(str(file.locate())).read_bytes()
    return b"GPL-3.0-or-later\n"
