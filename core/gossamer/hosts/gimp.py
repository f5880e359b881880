"""Puts the GIMP 3 plug-in where GIMP looks for it, says what is there, and takes it away again."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from gossamer import __version__
from gossamer.errors import InputError, OutputError, OutputExists
from gossamer.files import exchange, folder_lock
from gossamer.hosts.gimp_arguments import ADDED, added_models, plug_in_arguments
from gossamer.hosts.gimp_bundle import make_bundle
from gossamer.hosts.gimp_files import BUNDLE, FILES, NAME, RECORD, TRANSLATIONS, contents
from gossamer.hosts.gimp_python import check_can_work, worker_flags
from gossamer.paths import home_folder
from gossamer.platform import application_folders
from gossamer.worker.protocol import PROTOCOL

__all__ = [
    "GimpStatus",
    "Installed",
    "Removed",
    "config_folders",
    "install",
    "make_bundle",
    "plug_in_arguments",
    "status",
    "uninstall",
]

_MAKING, _FINISHED = f".{NAME}.new-", f".{NAME}.swap"
"""Beside the plug-in: a folder that is being made; one that is finished, then the one that it takes the place of."""

_FLATPAK = (
    "GIMP from Flatpak runs in a sandbox that may hide this Python. What should work there, but is not tested: type "
    "`flatpak override --user --filesystem=xdg-run/gossamer org.gimp.GIMP` once, and keep `gossamer worker --idle "
    "86400` running in a terminal while you use GIMP."
)
_BUNDLE_THERE = (
    "Make a bundle with `gossamer gimp bundle`, unzip it into that GIMP's folder plug-ins, and use Filters > Gossamer "
    "> Set-up… in it: it builds what it needs inside the sandbox."
)
_SNAP = "GIMP from Snap runs in a sandbox that hides the Python outside"


@dataclass(frozen=True)
class Installed:
    """What :func:`install` did in one GIMP folder.

    Attributes
    ----------
    folder : Path
        The plug-in's own folder.
    files : tuple of Path
        What was written.
    kept : tuple of Path
        Files of other people that were in the way or in the folder; none was deleted.
    notes : tuple of str
        What the user should know.
    """

    folder: Path
    files: tuple[Path, ...]
    kept: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return plain types, ready for JSON."""
        return _plain(asdict(self))


@dataclass(frozen=True)
class Removed:
    """What :func:`uninstall` did in one GIMP folder.

    Attributes
    ----------
    folder : Path
        The plug-in's own folder.
    files : tuple of Path
        What was removed.
    kept : tuple of Path
        Files in it that are not ours.
    """

    folder: Path
    files: tuple[Path, ...]
    kept: tuple[Path, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return plain types, ready for JSON."""
        return _plain(asdict(self))


@dataclass(frozen=True)
class GimpStatus:
    """What is in one GIMP folder.

    Attributes
    ----------
    config : Path
        GIMP's configuration folder.
    folder : Path
        The plug-in's own folder, there or not.
    state : {"absent", "installed", "outdated", "broken", "foreign"}
        ``outdated``: of another version of Gossamer or with changed files; ``broken``: its record, its run
        bit or its Python is gone; ``foreign``: something else has the plug-in's name.
    version, python : str
        What the record says; "" without one.
    notes : tuple of str
        What is wrong and what to do, and what else the user should know.
    """

    config: Path
    folder: Path
    state: str
    version: str = ""
    python: str = ""
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return plain types, ready for JSON."""
        return _plain(asdict(self))


def install(
    folder: Path | None = None, *, link: bool = False, force: bool = False, python: Path | None = None
) -> list[Installed]:
    """Install the plug-in into every GIMP 3 of this user.

    Parameters
    ----------
    folder : Path, optional
        One GIMP configuration folder (such as ``~/.config/GIMP/3.0``) instead of those that are found. Where
        none is found, the default one is made and a note says so.
    link : bool
        Link the plug-in's files instead of copying them (for developers).
    force : bool
        Put something foreign of the plug-in's name aside instead of refusing; nothing is deleted.
    python : Path, optional
        The Python that runs the worker; this one without it.

    Returns
    -------
    list of Installed

    Raises
    ------
    InputError
        The plug-in could not work there, or not through this Python; a GIMP of several where it cannot is left out.
    OutputExists
        Something foreign has the plug-in's name.
    OutputError
        A folder cannot be written.
    """
    python = python or Path(sys.executable)
    check_can_work(python)
    found = [folder] if folder is not None else config_folders()
    hopeless = {config: why for config in found if (why := _why_not(config, python))}
    found = [config for config in found if config not in hopeless]
    if hopeless and not found:
        raise InputError(f"{next(iter(hopeless.values()))}.", _BUNDLE_THERE)
    notes = tuple(f"Left out: {config}. {why}. {_BUNDLE_THERE}" for config, why in hopeless.items())
    if not found:
        found = [default_folder()]
        notes = (f"No GIMP 3 has run here yet: the plug-in waits for it in {found[0]}.",)
    try:
        return [_install(config.absolute(), link, force, python, notes) for config in found]
    except OSError as error:
        raise OutputError(
            f"The plug-in cannot be installed: {error.filename}: {error.strerror}.",
            "Check the folder's rights, or name another one.",
        ) from None


def status(folder: Path | None = None) -> list[GimpStatus]:
    """Say what is in every GIMP 3 of this user (or in `folder`): never raises for what it finds."""
    return [_status(config.absolute()) for config in ([folder] if folder is not None else config_folders())]


def uninstall(folder: Path | None = None) -> list[Removed]:
    """Remove what :func:`install` put into every GIMP 3 of this user (or into `folder`), and nothing else."""
    removed = []
    for config in [folder] if folder is not None else config_folders():
        place = _place(config.absolute())
        if not place.parent.is_dir():
            continue
        try:
            with folder_lock(place.parent):
                _recover(place)
                if not _is_ours(place):
                    continue
                ours = [path for path in (place / ADDED, *_own_files(place)) if os.path.lexists(path)]
                shutil.rmtree(place / "__pycache__", ignore_errors=True)
                for path in ours:  # the record, by which the folder is known as ours, last
                    path.unlink()
                folders = {above for path in ours for above in path.relative_to(place).parents} - {Path(".")}
                for below in sorted((place / name for name in folders), reverse=True):  # the inner ones first
                    if not below.is_dir():
                        continue
                    shutil.rmtree(below / "__pycache__", ignore_errors=True)
                    if not any(below.iterdir()):
                        below.rmdir()
                kept = tuple(sorted(place.iterdir()))
                if not kept:
                    place.rmdir()
        except OSError as error:
            raise OutputError(
                f"The plug-in cannot be removed: {error.filename}: {error.strerror}.",
                "Check the folder's rights.",
            ) from None
        removed.append(Removed(place, tuple(ours), kept))
    return removed


def config_folders() -> list[Path]:
    """Return the configuration folders of every GIMP 3.x that has run for this user.

    ``$GIMP3_DIRECTORY`` alone, where it is set (GIMP itself then looks nowhere else); else those of the
    distribution's packages and AppImages, Flatpak, Snap, macOS and Windows.
    """
    if chosen := os.environ.get("GIMP3_DIRECTORY"):
        return [home_folder() / chosen]  # GIMP, too, takes a relative one from the home folder
    return [path for base in _bases() for path in sorted(base.glob("3.*")) if path.is_dir()]


def default_folder() -> Path:
    """Return the configuration folder that GIMP 3.0 will make on this system."""
    return next(_bases()) / "3.0"


def _bases() -> Iterator[Path]:
    """Yield the folders that hold GIMP's ``3.0``, ``3.2`` ...: the system's own first."""
    return (folder / "GIMP" for folder in application_folders(home_folder()))


def _place(config: Path) -> Path:
    return config / "plug-ins" / NAME


def _own_files(place: Path) -> list[Path]:
    """Return what :func:`install` writes, and what a bundle brought."""
    brought = [place / name for name in ("LICENSE", BUNDLE) if os.path.lexists(place / BUNDLE)]
    wheels = list(place.glob("gossamer-*.whl")) if brought else []
    return [*(place / name for name in (*FILES, *TRANSLATIONS)), *wheels, *brought, place / RECORD]


def _is_foreign(place: Path) -> bool:
    """Whether something else has the plug-in's name; an empty folder is what a killed :func:`uninstall` left."""
    if not os.path.lexists(place) or _is_ours(place):
        return False
    try:
        return place.is_symlink() or any(
            path.is_symlink() or path.is_file() for path in place.rglob("*") if path.parent.name != "__pycache__"
        )
    except OSError:  # no folder, or not for our eyes
        return True


def _is_ours(place: Path) -> bool:
    """Whether the folder was made by :func:`install`, or is a bundle's: only these have a record in it."""
    records = any(os.path.lexists(place / name) for name in (RECORD, BUNDLE))
    return place.is_dir() and not place.is_symlink() and records


def _install(config: Path, link: bool, force: bool, python: Path, notes: tuple[str, ...]) -> Installed:
    place = _place(config)
    place.parent.mkdir(parents=True, exist_ok=True)
    with folder_lock(place.parent):
        kept = _recover(place)
        if _is_foreign(place) and not force:
            raise OutputExists(
                f"{place} is there already and not Gossamer's.", "Move it away, or put it aside with --force."
            )
        making = Path(tempfile.mkdtemp(prefix=_MAKING, dir=place.parent))
        try:
            making.chmod(0o755)
            _fill(making, link, python)
            finished = making.rename(_free_name(place.parent / _FINISHED))
        finally:
            shutil.rmtree(making, ignore_errors=True)
        _swap(finished, place)
        kept += _recover(place)
    return Installed(place, tuple(_own_files(place)), tuple(kept), (*notes, *_sandbox_notes(config)))


def _fill(making: Path, link: bool, python: Path) -> None:
    with resources.as_file(resources.files(NAME)) as package:
        for name, data in contents().items():
            (making / name).parent.mkdir(exist_ok=True, parents=True)
            if link and name in FILES:
                (making / name).symlink_to((package / name).absolute())
            else:
                (making / name).write_bytes(data)
    program = making / f"{NAME}.py"
    if not link or not os.access(program, os.X_OK):
        program.chmod(0o755)  # without the run bit GIMP passes it over in silence
    record = {"python": str(python), "flags": worker_flags(), "gossamer": __version__, "protocol": PROTOCOL}
    (making / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    if models := added_models():
        (making / ADDED).write_text(json.dumps(models, indent=2) + "\n", encoding="utf-8")


def _why_not(config: Path, python: Path) -> str:
    """Return why the plug-in cannot work in a GIMP through this Python; "" where it can, or might."""
    parts = config.absolute().parts
    if "snap" in parts:
        return _SNAP
    if _is_flatpak(parts) and Path(os.path.realpath(python)).is_relative_to("/usr"):
        return "GIMP from Flatpak runs in a sandbox that has a system of its own in /usr, without this Python"
    return ""


def _swap(finished: Path, place: Path) -> None:
    """Put the new folder in the old one's place, which gets the new one's name.

    In one step where the system can; elsewhere GIMP finds no plug-in for a moment, and what is killed in it is made
    good by :func:`_recover`.
    """
    if not os.path.lexists(place):
        finished.rename(place)
    elif not exchange(finished, place):
        old = _free_name(place.parent / _FINISHED)
        place.rename(old)
        try:
            finished.rename(place)
        except OSError:
            old.rename(place)
            raise


def _recover(place: Path) -> list[Path]:
    """Clear away what this installation or a killed one has left; return what of it is other people's, and kept."""
    kept: list[Path] = []
    for left in sorted(place.parent.glob(f"{_MAKING}*")):
        shutil.rmtree(left, ignore_errors=True)  # never finished: ours alone
    for left in sorted(place.parent.glob(f"{_FINISHED}-*")):
        if not _is_ours(left):
            aside = _free_name(place.parent / f"{NAME}.kept")
            left.rename(aside)
            kept.append(aside)
        elif not os.path.lexists(place):
            left.rename(place)
        else:
            own = {path.relative_to(left).parts[0] for path in _own_files(left)} | {ADDED, "__pycache__"}
            for path in sorted(left.iterdir()):
                if path.name not in own:
                    kept.append(path.rename(_free(place / path.name)))
            shutil.rmtree(left, ignore_errors=True)
    return kept


def _free(path: Path) -> Path:
    return _free_name(path) if os.path.lexists(path) else path


def _free_name(path: Path) -> Path:
    number = 1
    while os.path.lexists(candidate := path.with_name(f"{path.name}-{number}")):
        number += 1
    return candidate


def _status(config: Path) -> GimpStatus:
    place = _place(config)
    notes = _sandbox_notes(config)
    if not os.path.lexists(place) and any(place.parent.glob(f"{_FINISHED}-*")):
        cut = "An installation was cut short. Type: gossamer gimp install"
        return GimpStatus(config, place, "broken", notes=(cut, *notes))
    if not _is_foreign(place) and not _is_ours(place):
        absent = "To install it, type: gossamer gimp install"
        return GimpStatus(config, place, "absent", notes=(absent, *notes))
    if _is_foreign(place):
        return GimpStatus(config, place, "foreign", notes=("Something else has the plug-in's name.", *notes))
    if not os.path.lexists(place / RECORD):
        waits = (
            "It was unzipped and is not set up yet: use Filters > Gossamer > Set-up… in GIMP, or gossamer gimp install"
        )
        return GimpStatus(config, place, "broken", notes=(waits, *notes))
    try:
        record = json.loads((place / RECORD).read_text(encoding="utf-8"))
        version, python, protocol = str(record["gossamer"]), str(record["python"]), int(record["protocol"])
    except (OSError, ValueError, KeyError, TypeError):
        fault = "The record worker.json cannot be read. Type: gossamer gimp install"
        return GimpStatus(config, place, "broken", notes=(fault, *notes))
    state, faults = "installed", []
    if version != __version__ or protocol != PROTOCOL or _changed(place):
        state = "outdated"
        faults.append(f"It is not that of Gossamer {__version__}. Type: gossamer gimp install")
    if not (place / f"{NAME}.py").exists() or not os.access(place / f"{NAME}.py", os.X_OK):
        state = "broken"
        faults.append(f"{NAME}.py is missing or lacks its run bit. Type: gossamer gimp install")
    if not os.access(python, os.X_OK):
        state = "broken"
        faults.append(f"The Python that it uses is gone: {python}. Type: gossamer gimp install")
    return GimpStatus(config, place, state, version, python, (*faults, *notes))


def _changed(place: Path) -> bool:
    try:
        return any((place / name).read_bytes() != data for name, data in contents().items())
    except OSError:
        return True


def _sandbox_notes(config: Path) -> tuple[str, ...]:
    if _is_flatpak(config.parts):
        return (_FLATPAK,)
    return (f"{_SNAP}: use a GIMP 3 from elsewhere.",) if "snap" in config.parts else ()


def _is_flatpak(parts: tuple[str, ...]) -> bool:
    return ".var" in parts and "org.gimp.GIMP" in parts


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """Paths as text, tuples as lists."""
    return {
        name: [str(item) for item in value]
        if isinstance(value, tuple)
        else str(value)
        if isinstance(value, Path)
        else value
        for name, value in values.items()
    }


if __name__ == "__main__":  # for developers: writes the contents of parameters.json
    sys.stdout.write(json.dumps(plug_in_arguments(), indent=2) + "\n")
