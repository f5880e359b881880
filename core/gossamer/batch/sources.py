"""What is in a batch: folders with all that is in them, patterns, single names; nothing is left out in silence."""

from __future__ import annotations

import glob
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from gossamer.batch.addresses import (
    Address,
    ObjectStatus,
    StoreUnreachable,
    Where,
    address_of,
    heads,
    is_address,
    statuses,
)
from gossamer.batch.journal import Failure
from gossamer.errors import GossamerError, InputError, MissingExtra
from gossamer.image.limits import READABLE, kind_of
from gossamer.paths import cannot_read, source_path

__all__ = ["Found", "Source", "Unusable", "find_sources", "is_passed_over", "looked_up"]

_SYSTEM = {
    "$recycle.bin",
    "@eadir",
    "__macosx",
    "desktop.ini",
    "ehthumbs.db",
    "ehthumbs_vista.db",
    "icon\r",
    "lost+found",
    "system volume information",
    "thumbs.db",
}
"""What Windows, macOS and storage boxes put into folders of pictures."""

_PICTURES = frozenset(
    ".jpg .jpeg .jpe .jfif .png .webp .tif .tiff .bmp .dib .gif .avif .heic .heif .hif .jxl .jp2 .j2k .psd .psb .exr "
    ".hdr .tga .ppm .pgm .pnm .pcx .ico .svg .cr2 .cr3 .crw .nef .nrw .arw .srf .sr2 .dng .orf .rw2 .raf .pef .srw "
    ".x3f .3fr .fff .iiq .raw .xcf .kra .ora".split()
)
"""Suffixes of pictures: what has one and cannot be read has failed, where other files are no concern of a batch."""

_WILD = re.compile(r"[*?\[]")
_HEAD = 64  # bytes by which a picture is known


@dataclass(frozen=True)
class Source:
    """One picture that is asked for.

    Attributes
    ----------
    path : Path or Address
        Absolute.
    name : str
        Its name below what was given, with ``/``.
    root : str
        The name of the folder that was given; "" for a single file.
    fields : mapping of str to str
        The columns of its row in a manifest.
    output : str or None
        What that row wants its output to be called.
    recipe : dict or None
        The settings that are laid over the run's for it.
    preset : str or None
        Whose rules are checked for it.
    prompt : str or None
        What is meant in it: a text, or a prompt in JSON.
    """

    path: Where
    name: str
    root: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    output: str | None = None
    recipe: Mapping[str, Any] | None = None
    preset: str | None = None
    prompt: str | None = None


@dataclass(frozen=True)
class Unusable:
    """Something that was found and is not done: no picture, or a folder that cannot be looked into.

    Attributes
    ----------
    path, name
        As for :class:`Source`.
    failure : Failure
        Why.
    is_skipped : bool
        It is no picture; else it may well be one, or hold some.
    """

    path: Where
    name: str
    failure: Failure
    is_skipped: bool


@dataclass
class Found:
    """What was found.

    Attributes
    ----------
    sources : list of Source
        In the order in which they were given; in folders by name, numbers in names counted.
    unusable : list of Unusable
    passed_over : int
        Hidden files and those of the system.
    """

    sources: list[Source] = field(default_factory=list)
    unusable: list[Unusable] = field(default_factory=list)
    passed_over: int = 0

    def add(self, more: Found) -> None:
        """Add what was found elsewhere."""
        self.sources += more.sources
        self.unusable += more.unusable
        self.passed_over += more.passed_over


def find_sources(given: Iterable[str], out: Where, is_known: Callable[[Path], bool] | None = None) -> Found:
    """Return all pictures that names mean.

    Parameters
    ----------
    given : iterable of str
        Folders, which are searched with all folders in them; files; patterns such as ``photos/**/*.jpg``.
    out : Path or Address
        Where outputs go: never searched.
    is_known : callable, optional
        Tells of a path whether it is left out without being looked at.

    Raises
    ------
    InputError
        A name or pattern means nothing.
    """
    found = Found()
    given = list(given)
    told = _told_by_stores([name for name in given if is_address(name)])
    for name in given:
        if name in told:
            found.add(_in_store(*told[name], out))
            continue
        path = source_path(name)
        if not os.path.lexists(path) and _WILD.search(name):
            found.add(_matching(path, out, is_known))
        elif os.path.isdir(path):  # False also of names that are too long, which are told below
            found.add(_in_folder(path, out, is_known))
        else:
            try:
                status = path.stat()
            except (OSError, ValueError) as error:
                raise cannot_read(path, error) from None
            if not stat.S_ISREG(status.st_mode):  # whoever waits for a pipe waits for all pictures, perhaps for ever
                raise InputError(f"{path} is a pipe or a device, not a file.", "Save it as a file first.")
            found.sources.append(Source(_absolute(path), path.name))
    seen: set[Where] = set()
    unique = [source for source in found.sources if not (source.path in seen or seen.add(source.path))]  # type: ignore[func-returns-value]
    found.sources = unique
    return found


def looked_up(sources: list[Source]) -> list[Source]:
    """Return sources with what stores tell of those objects that no list has told of, many asked about at once."""
    unknown = [each.path for each in sources if isinstance(each.path, Address) and each.path.status is None]
    known = {
        address: replace(address, status=status)
        for address, status in zip(unknown, statuses(unknown), strict=True)
        if not isinstance(status, GossamerError)
    }
    return [
        replace(each, path=known.get(each.path, each.path)) if isinstance(each.path, Address) else each
        for each in sources
    ]


def is_passed_over(name: str) -> bool:
    """Tell whether a file or folder of this name is hidden, or the system's own."""
    return name.startswith((".", "~$")) or name.lower() in _SYSTEM


def natural(name: str) -> list[Any]:
    """Return what names are sorted by: numbers in them by their size."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part.casefold()) for part in re.split(r"(\d+)", name)]


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))


def _in_folder(folder: Path, out: Where, is_known: Callable[[Path], bool] | None) -> Found:
    found = Found()
    root = _absolute(folder)
    label = root.name
    for path, error in _walk(root, out, found):
        if is_known is not None and error is None and is_known(path):
            continue
        name = path.relative_to(root).as_posix()
        _take(path, Source(path, name, label), found, error)
    return found


def _matching(pattern: Path, out: Where, is_known: Callable[[Path], bool] | None) -> Found:
    """Return what a pattern matches; the tree is mirrored from its last folder without one on."""
    parts = pattern.parts
    first = next(number for number, part in enumerate(parts) if _WILD.search(part))
    root = _absolute(Path(*parts[:first]) if first else Path())
    found = Found()
    matches = sorted(glob.glob(str(pattern), recursive=True, include_hidden=False), key=natural)
    for match in matches:
        path = _absolute(Path(match))
        if not (isinstance(out, Path) and path.is_relative_to(out)) and path.is_file():
            if is_known is not None and is_known(path):
                continue
            if is_passed_over(path.name):
                found.passed_over += 1
            else:
                _take(path, Source(path, path.relative_to(root).as_posix(), root.name), found)
    if not matches:
        raise InputError(f"Nothing matches {pattern}.", "Check the pattern; a folder alone means all that is in it.")
    return found


def _told_by_stores(given: list[str]) -> dict[str, tuple[Address, ObjectStatus | GossamerError]]:
    """Return what stores tell of addresses, asked about together."""
    addresses = [address_of(name) for name in given]
    return dict(zip(given, zip(addresses, statuses(addresses), strict=True), strict=True))


def _in_store(address: Address, status: ObjectStatus | GossamerError, out: Where) -> Found:
    """Return the object of an address, all below it, or all that it matches."""
    found = Found()
    wild = _WILD.search(address.key)
    if isinstance(status, GossamerError) and (isinstance(status, (StoreUnreachable, MissingExtra)) or not wild):
        raise status
    if not isinstance(status, GossamerError) and not status.is_folder:
        found.sources.append(Source(replace(address, status=status), address.name))
        return found
    if isinstance(status, GossamerError):
        root = replace(address, key=address.key[: wild.start()].rpartition("/")[0] if wild else "")
        objects = list(address.matching())
        if not objects:
            raise InputError(
                f"Nothing matches {address}.", "Check the pattern; a folder alone means all that is in it."
            )
    else:
        root, objects = address, list(address.below())
    if isinstance(out, Address) and out != root:
        objects = [each for each in objects if not each.is_below(out)]
    named = [(each.key[len(root.key) :].lstrip("/"), each) for each in objects]
    named.sort(key=lambda pair: _as_folders(pair[0]))
    unknown: list[Source] = []
    for name, each in named:
        source = Source(each, name, root.name)
        if any(map(is_passed_over, name.split("/"))):
            found.passed_over += 1
        elif any(part in ("", ".", "..") for part in name.split("/")) or each.key != root.joinpath(name).key:
            fault = InputError(f"{each} has a name that no folder can mirror.", "Name it in a table, with a name.")
            found.unusable.append(Unusable(each, name, Failure.of(fault), is_skipped=False))
        elif each.suffix.lower() in _PICTURES:
            found.sources.append(source)
        else:
            unknown.append(source)
    _take_by_heads(unknown, found)
    found.sources.sort(key=lambda source: _as_folders(source.name))
    return found


def _take_by_heads(sources: list[Source], found: Found) -> None:
    """Put objects whose names do not tell that they are pictures where they belong, by their first bytes."""
    objects = [source.path for source in sources if isinstance(source.path, Address)]
    for source, head in zip(sources, heads(objects, _HEAD), strict=True):
        if isinstance(head, GossamerError):
            found.unusable.append(Unusable(source.path, source.name, Failure.of(head), is_skipped=True))
        elif kind_of(head) is None:
            found.unusable.append(Unusable(source.path, source.name, _no_picture(source.path), is_skipped=True))
        else:
            found.sources.append(source)


def _as_folders(name: str) -> list[tuple[bool, list[Any]]]:
    """Return what names of objects are sorted by: as files in folders are, what is in a folder itself first."""
    *folders, last = name.split("/")
    return [*((True, natural(folder)) for folder in folders), (False, natural(last))]


def _no_picture(path: Where) -> Failure:
    return Failure.of(InputError(f"{path} is not a picture of a kind that Gossamer reads.", READABLE))


def _walk(root: Path, out: Where, found: Found) -> Iterator[tuple[Path, OSError | None]]:
    """Yield every file below a folder, and every folder that cannot be opened with the reason."""
    waiting, seen = [root], set()
    while waiting:
        folder = waiting.pop()
        try:
            status = folder.stat()
            identity = status.st_dev, status.st_ino
            if identity[1] and identity in seen:
                continue  # a link that leads back
            seen.add(identity)
            with os.scandir(folder) as scan:
                entries = sorted(scan, key=lambda entry: natural(entry.name))
        except OSError as error:
            yield folder, error
            continue
        folders = []
        for entry in entries:
            path = Path(entry.path)
            if is_passed_over(entry.name):
                found.passed_over += 1
            elif _is_folder(entry):
                if not isinstance(out, Path) or (path != out and not (out.exists() and path.samefile(out))):
                    folders.append(path)
            else:
                yield path, None
        waiting += reversed(folders)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads in a circle: reading it tells so
        return False


def _take(path: Path, source: Source, found: Found, error: OSError | None = None) -> None:
    """Put what was found in a folder where it belongs, by its first bytes or, failing these, by its suffix."""
    if error is None:
        looks_so = path.suffix.lower() in _PICTURES
        try:
            if not stat.S_ISREG(path.stat().st_mode):
                fault = InputError(f"{path} is no file.", READABLE)
                found.unusable.append(Unusable(path, source.name, Failure.of(fault), is_skipped=True))
                return
            with path.open("rb") as file:
                head = file.read(_HEAD)
        except OSError as problem:
            error, is_skipped = problem, not looks_so
        else:
            if looks_so or kind_of(head) is not None:
                found.sources.append(source)
            else:
                found.unusable.append(Unusable(path, source.name, _no_picture(path), is_skipped=True))
            return
        if looks_so:
            found.sources.append(source)  # reading it tells the reason
            return
    else:
        is_skipped = False
    reason: GossamerError = cannot_read(path, error)
    found.unusable.append(Unusable(path, PurePosixPath(source.name).as_posix(), Failure.of(reason), is_skipped))
