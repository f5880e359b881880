"""Which files a command reads and writes, from the names that people give it; a pattern of theirs costs no picture."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable
from pathlib import Path

from gossamer.cli.parser import Parser
from gossamer.errors import InputError, OutputError, OutputExists
from gossamer.image import SOFTWARE, check_output, software_of
from gossamer.paths import check_readable, source_path, target_path
from gossamer.platform import has_posix_shell

__all__ = [
    "add_more",
    "add_out_flag",
    "check_apart",
    "check_result",
    "check_second",
    "check_source",
    "names_of",
    "positional_target",
    "several",
]


def add_out_flag(parser: Parser, what: str = "the file to write", metavar: str = "FILE") -> None:
    """Add ``--out``, which names what is written beyond doubt."""
    parser.add_argument("-o", "--out", metavar=metavar, help=f"{what}, instead of OUT; with --force it is replaced")


def check_source(given: str, what: str = "picture") -> str:
    """Return the name of something to read, checked before the work: a path as the system has it, or ``-``.

    Raises
    ------
    InputError
        There is no such file.
    """
    if given == "-":
        return given
    path = source_path(given, what)
    check_readable(path, what)
    return str(path)


def positional_target(
    given: str, arguments: argparse.Namespace, pictures: Iterable[str], software: str = SOFTWARE
) -> str:
    """Return an output that was given by its place alone, where it may be written.

    A shell puts every picture that a pattern means in a row, the last or first of which then stands where OUT belongs:
    so what exists there and is no earlier result of ours is never replaced, whatever ``--force`` says.

    Parameters
    ----------
    given : str
        The name.
    arguments : argparse.Namespace
    pictures : iterable of str
        All names that were given, for the remedy.
    software : str
        What the file must say of its origin to be replaced.

    Raises
    ------
    OutputExists
        It exists and is not ours.
    """
    if _may_be_replaced(given, software):
        return given
    force = "" if arguments.force else " --force"
    raise OutputExists(
        f"{given} exists and is no earlier result of this command, so it is not replaced.",
        f"If you mean it, name it with --out {_quoted(given)}{force}; {several(arguments.command, pictures)}",
    )


def check_second(option: str, given: str, force: bool, **others: str | None) -> None:
    """Refuse, before the work, a file to write beside OUT that cannot be, or that would cost somebody another one.

    Parameters
    ----------
    option : str
        What names it, as it is typed.
    given : str
        The name.
    force : bool
        Whether an earlier result is replaced. Nothing else is: what is named may be the photograph itself.
    **others : str or None
        The other outputs, by what messages call them.

    Raises
    ------
    OutputExists
        There is such a file already.
    OutputError
        It cannot be written, or is one of the others.
    """
    check_apart(**others, **{option: given})
    check_result(given, force, f"Give {option} another name.")


def check_result(given: str, force: bool, remedy: str) -> None:
    """Refuse a picture to write where one is, unless that is an earlier result and `force` replaces it.

    Raises
    ------
    OutputExists
        There is a picture already; of one that is not ours the message says so, and has the `remedy`.
    OutputError
        It cannot be written.
    """
    check_output(given, force=force)
    if not _may_be_replaced(given):
        raise OutputExists(f"{given} exists and is no earlier result of this command, so it is not replaced.", remedy)


def _may_be_replaced(given: str, software: str = SOFTWARE) -> bool:
    """Tell whether nothing is lost where a name is written to: there is nothing in it, or an earlier result."""
    path = target_path(given)
    try:
        # What is no file (a pipe, a folder) or empty (as mktemp leaves it) holds nothing to be lost.
        holds_something = path.is_file() and path.stat().st_size > 0
    except OSError:
        holds_something = False
    return not holds_something or software_of(path) == software


def add_more(parser: Parser, command: str) -> None:
    """Let a parser take more names than there is a use for, so that :func:`names_of` can say what is meant instead."""
    parser.set_defaults(command=command)
    parser.add_argument("more", nargs="*", default=[], help=argparse.SUPPRESS)


def names_of(arguments: argparse.Namespace, *inputs: str) -> list[str]:
    """Return all names that were given, having refused more than there is a use for.

    Parameters
    ----------
    arguments : argparse.Namespace
        Of a parser with `output`, `more` and ``--out``.
    *inputs : str
        Where the names before OUT are.

    Raises
    ------
    InputError
        There is a name more than IN and OUT, or than IN with ``--out``.
    """
    wanted = [getattr(arguments, name) for name in inputs]
    given = [*wanted, *([] if arguments.output is None else [arguments.output]), *arguments.more]
    if len(given) > len(wanted) + (arguments.out is None):
        if arguments.out is not None and len(given) == len(wanted) + 1:
            raise InputError(f"Both {given[-1]} and --out say what is to be written.", "Give one of them.")
        remedy = several(arguments.command, given)
        raise InputError(
            f"{len(given)} names were given, and gossamer {arguments.command} takes one picture at a time.",
            remedy[:1].upper() + remedy[1:],
        )
    return given


def check_apart(**outputs: str | None) -> None:
    """Refuse two outputs with the same name; the keywords are what messages call them.

    Raises
    ------
    OutputError
        The later one would replace the earlier.
    """
    seen: dict[str, str] = {}
    for what, given in outputs.items():
        if given and given != "-":
            place = os.path.realpath(target_path(given))
            if place in seen:
                raise OutputError(f"{seen[place]} and {what} are the same file, {given}.", "Give two names.")
            seen[place] = what


def several(command: str, names: Iterable[str]) -> str:
    """Return what to type for several pictures, with the folder and suffix of those that were given."""
    paths = [Path(name) for name in names]
    if command == "compare":
        return f"the sheet is named first: gossamer compare sheet.png {_pattern(paths)}"
    if not has_posix_shell():
        more = " MASK" if command == "refine" else ""
        line = f"Get-ChildItem {_pattern(paths)} | ForEach-Object {{ gossamer {command} $_.FullName{more} }}"
    else:
        base = "${picture%.*}"
        more = f' "{base}-mask.png" "{base}-cutout.png"' if command == "refine" else ""
        line = f'for picture in {_pattern(paths)}; do gossamer {command} "$picture"{more}; done'
    return f"for each of several pictures type: {line}"


def _pattern(paths: list[Path]) -> str:
    suffix = next((path.suffix for path in paths if path.suffix), ".jpg")
    folders = {path.parent for path in paths}
    folder = "" if len(folders) > 1 or folders == {Path()} else f"{_quoted(str(*folders))}{os.sep}"
    return f"{folder}*{suffix}"


def _quoted(name: str) -> str:
    import shlex

    return f'"{name}"' if not has_posix_shell() else shlex.quote(name)
