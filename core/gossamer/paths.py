"""The names of files as people give them, and the text in such files."""

from __future__ import annotations

import codecs
import errno
import os
import re
from pathlib import Path

from gossamer.errors import InputError, OutputError

__all__ = [
    "cannot_read",
    "check_readable",
    "expanded",
    "home_folder",
    "read_text",
    "remedy_of",
    "source_path",
    "target_path",
]

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/|data:", re.ASCII)  # C:/ is a drive
_FILE = re.compile(r"file:/", re.IGNORECASE)
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins as that of UTF-16 does
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LONGEST = 1 << 28  # bytes of a text file: a prompt may hold masks

_REMEDIES = {
    errno.ENAMETOOLONG: "Give a shorter name.",
    errno.ELOOP: "Links lead in a circle there: name the file itself.",
    errno.ENOTDIR: "A part of its path is a file, not a folder: check the path.",
    errno.EMFILE: "Close files or programs, or raise the limit (ulimit -n).",
    errno.ENFILE: "Close files or programs.",
    errno.ENOSPC: "Make room on the disk, or give another folder.",
    errno.EDQUOT: "Make room on the disk, or give another folder.",
    errno.EFBIG: "Give a folder on a disk that takes larger files.",
    errno.EROFS: "That disk may only be read: give another folder.",
}


def source_path(given: object, what: str = "picture") -> Path:
    """Return the path of something to read, from how people write it: ``~/a.jpg`` and ``file:///a.jpg`` too.

    Parameters
    ----------
    given : str or os.PathLike
    what : str
        What messages call it.

    Raises
    ------
    InputError
        It is no path, empty, holds a NUL, or is an address in the network.
    """
    fault = _fault(given, what)
    if fault is None:
        path = _path(str(_text(given)))
        if isinstance(path, Path):
            return path
        fault = f"{path} is an address, and Gossamer reads files.", "Download it first, then give the file's name."
    raise InputError(*fault)


def target_path(given: object) -> Path:
    """Return the path of something to write, as :func:`source_path`; raises OutputError."""
    fault = _fault(given, "file to write")
    if fault is None:
        path = _path(str(_text(given)))
        if isinstance(path, Path):
            return path
        fault = f"{path} is an address, and Gossamer writes files.", "Give the name of a file."
    raise OutputError(*fault)


def check_readable(path: Path, what: str = "picture") -> None:
    """Refuse a path where there is no file to read; a pipe or device passes, untouched.

    Raises
    ------
    InputError
        There is nothing, or a folder, or it may not be read.
    """
    try:
        is_folder = path.is_dir()
        if not is_folder:
            path.stat()
            allowed = os.access(path, os.R_OK)
    except (OSError, ValueError) as error:
        raise cannot_read(path, error) from None
    if is_folder:
        raise InputError(f"{path} is a folder, not a {what}.", f"Name one {what} file in it.")
    if not allowed:
        raise InputError(f"{path} may not be read.", "Check its permissions.")


def cannot_read(path: Path, error: OSError | ValueError) -> InputError:
    """Return what tells people why a file could not be read."""
    if isinstance(error, FileNotFoundError):
        return InputError(f"{path} does not exist.", "Check its name and folder.")
    if isinstance(error, PermissionError):
        return InputError(f"{path} may not be read.", "Check its permissions.")
    if not isinstance(error, OSError):  # a NUL in the name, or letters that the system has no bytes for
        return InputError(f"{str(path)!r} is not a possible file name.", "Check the name.")
    return InputError(f"{path} could not be read: {error.strerror or error}.", remedy_of(error, "Check the file."))


def remedy_of(error: OSError, usual: str) -> str:
    """Return what to do about an error of the system, `usual` where nothing better is known."""
    return _REMEDIES.get(error.errno or 0, usual)


def expanded(path: str | os.PathLike[str]) -> Path:
    """Return a path without ``~`` at its start; it stays where nobody knows the user's home, as in some containers."""
    return Path(os.path.expanduser(path))


def home_folder() -> Path:
    """Return the user's home; raises InputError where there is none."""
    home = expanded("~")
    if not home.is_absolute():
        raise InputError("This user has no home folder.", "Set the environment variable HOME to a folder.")
    return home


def read_text(path: Path, what: str, remedy: str) -> str:
    """Return the text of a file: UTF-8, or whatever its byte order mark says, as Windows' editors put one.

    Parameters
    ----------
    path : Path
    what, remedy : str
        What messages call it, and what they say is to be given.

    Raises
    ------
    InputError
        It cannot be read, is no text, or is larger than 256 MiB.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_LONGEST + 1)
    except IsADirectoryError:
        raise InputError(f"The {what} {path} is a folder.", remedy) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not a possible file name"
        if isinstance(error, PermissionError):  # another one would be no more readable
            raise InputError(f"The {what} {path} may not be read.", "Check its permissions, and its owner.") from None
        known = remedy_of(error, remedy) if isinstance(error, OSError) else remedy
        raise InputError(f"The {what} {path} cannot be read: {reason}.", known) from None
    if len(data) > _LONGEST:
        raise InputError(f"The {what} {path} is too large.", remedy)
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
        if "\0" in text:  # UTF-16 without its mark, or no text at all
            raise ValueError("a NUL")
        return text.replace("\r\n", "\n").replace("\r", "\n")
    except ValueError:
        reason = "it is no text in UTF-8"
        raise InputError(f"The {what} {path} cannot be read: {reason}.", f"Save it as UTF-8. {remedy}") from None


def _fault(given: object, what: str) -> tuple[str, str] | None:
    text = _text(given)
    if text is None:
        kind = "None" if given is None else f"of the type {type(given).__name__}"
        return f"The name of the {what} is {kind}, not a path.", "Give a str or a pathlib.Path."
    if not text:
        return f"The name of the {what} is empty.", "Give the name of a file."
    if "\0" in text:
        return f"{text!r} is not a possible file name.", "Check the name."
    return None


def _text(given: object) -> str | None:
    if not isinstance(given, (str, os.PathLike)):
        return None
    return os.fsdecode(given)


def _path(text: str) -> Path | str:
    """Return a local path, or the address (without passwords) that the text is; what exists is always a path."""
    if not text.startswith("~") and not _ADDRESS.match(text):
        return Path(text)
    if _exists(text):
        return Path(text)
    if text.startswith("~"):
        return expanded(text)  # a shell leaves it alone within quotes and after =
    if _FILE.match(text):
        return _from_file_address(text)
    return re.sub(r"//[^/@]*@", "//", text.partition("?")[0])


def _exists(text: str) -> bool:
    try:
        return os.path.lexists(text)
    except (OSError, ValueError):
        return False


def _from_file_address(text: str) -> Path | str:
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    parts = urlsplit(text)
    if parts.netloc not in ("", "localhost"):
        return text
    path = url2pathname(parts.path)
    return Path(path) if path and "\0" not in path else text
