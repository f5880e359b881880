"""Writing under a name that somebody gave: whole or not at all, and for the eyes that it was for before."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

from gossamer.errors import OutputError, OutputExists
from gossamer.files.drafts import draft
from gossamer.files.names import followed, move
from gossamer.paths import remedy_of, target_path
from gossamer.platform import inherit
from gossamer.progress import Progress, ProgressCallback

__all__ = ["check_folder", "check_place", "write_bytes", "write_together"]

_PIECE = 1 << 22  # bytes between two chances to cancel


def check_place(path: str | os.PathLike[str], force: bool = False) -> None:
    """Refuse, before the work, a name that could not be written to after it.

    Raises
    ------
    OutputExists
        If `path` exists and `force` is not set.
    OutputError
        If it is a folder, or its folder is missing or not writable, or a link that somebody else planted.
    """
    path = target_path(path)
    with _in_words(path):
        with suppress(FileNotFoundError):
            path.stat()  # also asks whether links lead anywhere
        if path.is_dir():
            raise OutputError(f"{path} is a folder.", "Give the name of a file in it.")
        exists = os.path.lexists(path)
        check_folder(path)
        if exists and not force:
            raise OutputExists(f"{path} exists already.", "Give another name or add --force.")
        target = followed(path) if force else path
        if target != path:
            check_folder(target)  # what is replaced is what the link leads to


def check_folder(path: Path) -> None:
    """Refuse, before the work, a name for which there is no folder that may be written to, or that is too long.

    Raises
    ------
    OutputError
        Nothing can be written under this name.
    """
    folder = path.parent
    with _in_words(path):
        if not folder.is_dir():
            raise _no_folder(folder)
        with suppress(FileNotFoundError):
            path.lstat()  # asks the system whether it takes such a name
        if not os.access(folder, os.W_OK | os.X_OK):
            raise OutputError(f"The folder {folder} may not be written to.", "Give another, or change its permissions.")


def write_bytes(
    path: str | os.PathLike[str],
    data: bytes | Iterable[bytes],
    *,
    force: bool = False,
    progress: ProgressCallback | Progress | None = None,
) -> None:
    """Write a file that is there whole or not at all.

    Parameters
    ----------
    path : str or Path
        Without `force` it must not exist. With it an existing file is replaced in one step and keeps its
        permissions; at no moment may more people read the new one than the old. A symbolic link stays and its
        target is replaced, unless somebody else has put it into a folder that everyone may write to.
    data : bytes, or iterable of bytes
        What it shall hold; a long file comes in pieces, which are asked for one after the other. Where that raises,
        nothing is written.
    progress : callable, optional
        Told how much of bytes is written; where it raises, nothing is.

    Raises
    ------
    OutputExists
        If `path` exists and `force` is not set, also if it came into being a moment ago.
    OutputError
        If it cannot be written: folder missing or not writable, disk full, and so on.
    """
    write_together([(path, data)], force=force, progress=progress)


def write_together(
    files: Sequence[tuple[str | os.PathLike[str], bytes | Iterable[bytes]]],
    *,
    force: bool = False,
    progress: ProgressCallback | Progress | None = None,
) -> None:
    """Write files that belong together: all their bytes are on the disk before the first of them gets its name.

    So none is there where one has no room. They get their names in the order given, each as by :func:`write_bytes`.

    Parameters
    ----------
    files : sequence of (path, data)
        As for :func:`write_bytes`.
    force : bool
        Whether what has their names is replaced.
    progress : callable, optional
        Told how much of bytes is written; where it raises, nothing is.

    Raises
    ------
    OutputExists
        If one of them exists and `force` is not set.
    OutputError
        If one cannot be written.
    """
    steps = None if progress is None else Progress.of(progress)
    with ExitStack() as drafts:
        namings = []
        for number, (given, data) in enumerate(files):
            path = target_path(given)
            if steps is not None and isinstance(data, bytes):
                data = _pieces(data, steps.part(number / len(files), (number + 1) / len(files)))
            with _in_words(path):
                namings.append((path, _drafted(path, data, force, drafts)))
        for path, name in namings:
            with _in_words(path):
                name()


def _drafted(path: Path, data: bytes | Iterable[bytes], force: bool, drafts: ExitStack) -> Callable[[], None]:
    """Write down what a file shall hold, and return what gives it its name; `drafts` removes what gets none."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not force and os.path.lexists(path):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    if force and path.exists() and not path.is_file():
        return partial(_pour, path, data)
    target = followed(path) if force else path
    old = target.stat() if force and target.exists() else None
    made = drafts.enter_context(draft(target.parent, 0o666 if old is None else 0o600))
    made.fill(data)
    if old is not None:
        inherit(made.descriptor, target, old)
    return lambda: move(made.ready(), target, force)


def _pour(path: Path, data: bytes | Iterable[bytes]) -> None:
    """Write into what is no file (/dev/stdout, a pipe): there is nothing to replace."""
    with path.open("wb") as device:
        device.writelines((data,) if isinstance(data, bytes) else data)


def _pieces(data: bytes, steps: Progress) -> Iterator[bytes]:
    """Yield bytes piece by piece, with a chance to cancel before each and after the last."""
    view = memoryview(data)
    for start in range(0, len(data), _PIECE):
        steps(start / len(data), "Writing the picture")
        yield view[start : start + _PIECE]  # type: ignore[misc]
    steps(1.0)


@contextmanager
def _in_words(path: Path) -> Iterator[None]:
    """Turn what the system says into an error that says what to do."""
    try:
        yield
    except FileExistsError:
        raise OutputExists(f"{path} exists already.", "Give another name or add --force.") from None
    except IsADirectoryError:
        raise OutputError(f"{path} is a folder.", "Give the name of a file in it.") from None
    except ValueError:  # letters that the system has no bytes for
        raise OutputError(f"{str(path)!r} is not a possible file name.", "Give another name.") from None
    except OSError as error:
        if not _is_folder(path.parent):
            raise _no_folder(path.parent) from None
        remedy = remedy_of(error, "Give another folder, or change its permissions.")
        raise OutputError(f"{path} could not be written: {error.strerror or error}.", remedy) from error


def _no_folder(folder: Path) -> OutputError:
    """Return what tells people why a folder is none: some of its path may be a file."""
    for one in (folder, *folder.parents):
        if os.path.isfile(one):
            return OutputError(f"{one} is a file, not a folder.", "Give another folder.")
    return OutputError(f"The folder {folder} does not exist.", "Make it first, or give another.")


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a name that is too long, or in a folder that may not be entered
        return True
