"""What outputs are called: a template, made safe, and refused as a whole where two would have one name."""

from __future__ import annotations

import os
import re
import string
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TypeVar

from gossamer.batch.addresses import Address, Where
from gossamer.batch.journal import FOLDER
from gossamer.batch.record import shadow_name
from gossamer.batch.sources import Source
from gossamer.errors import InputError, OutputError
from gossamer.platform.names import has_drives_and_devices
from gossamer.settings.batch import SUFFIXES, Batch
from gossamer.spelling import did_you_mean

__all__ = ["SET_ASIDE", "check_targets", "names_of", "place", "same_name", "target_of"]

SET_ASIDE = "set-aside"
"""The folder in OUT of what the checks flagged."""

OutT = TypeVar("OutT", Path, Address)

_OWN = ("stem", "suffix", "kind", "root", "number")
_UNSAFE = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]')
_DEVICES = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\.|$)")
_SHOWN = 3


def target_of(source: Source, number: int, settings: Batch) -> str:
    """Return the name of a picture's output below OUT, with ``/``.

    Parameters
    ----------
    source : Source
    number : int
        Its place in the batch, from 1 on.
    settings : Batch

    Raises
    ------
    InputError
        The template names what there is not, or leads out of OUT.
    """
    suffix = SUFFIXES[settings.format]
    path = PurePosixPath(source.name)
    # A manifest's words may be anything; a file's own name is one that the system takes.
    values = {name: _harmless(value) for name, value in source.fields.items()}
    values |= {
        "stem": path.stem,
        "suffix": suffix,
        "kind": path.suffix[1:].lower(),
        "root": source.root or "files",
        "number": f"{number:05d}",
    }
    made = source.output if source.output is not None else _filled(settings.name, values)
    # What somebody wrote down for outputs has to do on every system, a picture's own name on this one.
    own = {} if has_drives_and_devices() else dict.fromkeys(("stem", "kind", "root"), "own")
    said = made if source.output is not None else _filled(settings.name, values | own)
    if settings.format == "jpeg":
        ends: tuple[str, ...] = (".jpg", ".jpeg")
    else:
        ends = (".tif", ".tiff") if settings.format == "tiff" else (suffix,)
    if not made.lower().endswith(ends):
        made += suffix
    folder = PurePosixPath() if settings.flat or source.output is not None else path.parent
    return _safe(folder / made, made, said, source)


def names_of(target: str, settings: Batch) -> tuple[str, ...]:
    """Return the names of all that may be written for a picture, its cut-out's first."""
    return (target, shadow_name(target)) if settings.shadow_layer else (target,)


def place(out: OutT, target: str) -> OutT:
    """Return where an output of a name lies, below a folder or an address."""
    return out.joinpath(*PurePosixPath(target).parts)


def check_targets(pairs: Sequence[tuple[str, Source]], out: Where) -> None:
    """Refuse a batch in which two outputs have one name, capitals or not, or one is a source.

    Parameters
    ----------
    pairs : sequence of (str, Source)
        Each name that may be written, below OUT, with whose it is.
    out : Path or Address

    Raises
    ------
    OutputError
        With the first of them.
    """
    seen: dict[str, Source] = {}
    clashes = []
    for target, source in pairs:
        key = same_name(target)
        if key in seen:
            clashes.append(f"{seen[key].name} and {source.name} ({target})")
        seen.setdefault(key, source)
    if clashes:
        more = f", and {len(clashes) - _SHOWN} more" if len(clashes) > _SHOWN else ""
        raise OutputError(
            f"Outputs would have the same name: {', '.join(clashes[:_SHOWN])}{more}.",
            'Tell them apart, e.g. with --name "{stem}-{kind}{suffix}" or "{root}/{stem}{suffix}"'
            ", or leave --flat out.",
        )
    base = _real(out)
    sources = {same_name(str(_real(source.path))): source for _, source in pairs}
    for target, _ in pairs:
        if (taken := sources.get(same_name(str(base.joinpath(*PurePosixPath(target).parts))))) is not None:
            raise OutputError(
                f"The output {target} would replace the picture {taken.path}.",
                'Give another folder with --out, or e.g. --name "{stem}-cutout{suffix}"',
            )


def _real(path: Where) -> Where:
    """Return where something lies, links followed."""
    return Path(os.path.realpath(path)) if isinstance(path, Path) else path


def _filled(template: str, values: Mapping[str, str]) -> str:
    made = ""
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError:
        raise InputError(f"The name {template!r} has a brace too many.", "Give e.g. {stem}-cutout{suffix}") from None
    for text, name, form, conversion in parts:
        made += text
        if name is None:
            continue
        if form or conversion or name not in values:
            close = did_you_mean(name, values)
            raise InputError(
                f"There is no {{{name}{':' + form if form else ''}}} for the name of outputs.",
                f"{close}There are: {', '.join(f'{{{each}}}' for each in values)}.",
            )
        made += values[name]
    return made


def _harmless(value: str) -> str:
    return _UNSAFE.sub("_", value).strip().rstrip(".") or "_"


def _safe(path: PurePosixPath, made: str, said: str, source: Source) -> str:
    parts = path.parts
    judged = parts if has_drives_and_devices() else PurePosixPath(said).parts
    flaw = (
        not made
        or "\0" in made
        or "\\" in said
        or path.is_absolute()
        or made.startswith("/")
        or re.match(r"[A-Za-z]:", said)
        or any(part in (".", "..") for part in parts)
        or any(_DEVICES.match(part) for part in judged)
        or parts[0].lower() in (FOLDER, SET_ASIDE)
        or PurePosixPath(made).name.startswith(".")
    )
    if flaw:
        raise InputError(
            f"The output of {source.name} cannot be called {made!r}.",
            "Give a name that stays within the output folder, with / between folders, and begins with no dot.",
        )
    return path.as_posix()


def same_name(name: str) -> str:
    """Return what is equal for names that some system takes for one."""
    return unicodedata.normalize("NFC", name).casefold()
