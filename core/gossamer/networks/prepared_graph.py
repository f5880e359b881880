"""Files of weights made ready for this machine once, so that later starts map what was made of them.

ONNX Runtime rewrites a graph when it opens its file: constants are widened to float32, layers are merged, and weights
are laid out as the processor likes them. For IS-Net that is nine tenths of a start, and always comes to the same.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from gossamer.errors import InputError
from gossamer.files import read_json, staging_folder
from gossamer.platform import processor_kind
from gossamer.weights.folders import home

__all__ = ["PreparedFile", "PreparedGraph", "forget_prepared", "prepared_folder"]

_WORTH_IT = 1 << 25  # bytes of a file below which it opens quickly enough
_GRAPH, _DATA, _SIZES, _SEEN = "graph.onnx", "graph.data", "sizes.json", ".seen"
_LEAST = 1024  # bytes of weights that lie beside the graph, where they can be mapped
_LAYOUT = 2  # of what is kept; another number where that changes


class PreparedFile:
    """What is made of a file of weights for this machine, kept for the next start.

    It is made when a file is opened for the second time: what is opened but once, as in a container that is thrown
    away, pays nothing for it. It counts for this file and this kind of processor.

    Parameters
    ----------
    path : Path
        The .onnx file.
    folder : Path or None
        Where it is kept, made where it is missing; None to keep nothing.
    made_by : str
        What makes it, with its version.
    output : int
        Which of the file's outputs is the mask: what is kept may serve no other.
    name : str
        Of the file that is kept, beside which others may lie.
    """

    def __init__(self, path: Path, folder: Path | None, made_by: str, output: int, name: str) -> None:
        status = path.stat()
        said = [path.name, status.st_size, status.st_mtime_ns, made_by, processor_kind(), _LAYOUT, output]
        self._folder = folder if status.st_size >= _WORTH_IT else None
        self._prefix = f"{_prefix(path)}{name}-"
        self._name = f"{self._prefix}{_digest(json.dumps(said))}"
        self._file = name

    def ready(self) -> Path | None:
        """Return it where it is there, and whole."""
        if self._folder is None:
            return None
        place = self._folder / self._name
        try:
            sizes = read_json(place / _SIZES)
            whole = self._file in sizes and all((place / name).stat().st_size == size for name, size in sizes.items())
        except (OSError, ValueError):
            return None
        return place / self._file if whole else None

    @contextmanager
    def made(self) -> Iterator[Path | None]:
        """Yield a folder to write it to, where that is wanted; what is there at the end is kept.

        Whatever goes wrong about keeping it costs nothing but the next start; what is raised within passes through.
        """
        if self._folder is None or not self._was_seen(self._folder):
            yield None
            return
        with staging_folder(self._folder) as staging:
            made = staging / self._name
            made.mkdir()
            yield made
            with suppress(OSError):
                self._keep(made, self._folder)

    def discard(self) -> None:
        """Remove it: it could not be opened."""
        if self._folder is not None:
            shutil.rmtree(self._folder / self._name, ignore_errors=True)

    def _was_seen(self, folder: Path) -> bool:
        """Return whether the file was opened before; note that it is now. False where nothing can be kept."""
        mark = folder / f"{self._name}{_SEEN}"
        try:
            if mark.exists():
                return os.access(folder, os.W_OK)
            folder.mkdir(parents=True, exist_ok=True)
            mark.touch()
        except OSError:
            pass
        return False

    def _keep(self, made: Path, folder: Path) -> None:
        """Bring it down to the disk and to its name, and remove what other versions have left of the same file."""
        sizes = {each.name: each.stat().st_size for each in made.iterdir()}
        (made / _SIZES).write_text(json.dumps(sizes), "utf-8")
        for each in made.iterdir():
            with each.open("rb+") as file:
                os.fsync(file.fileno())
        made.rename(folder / self._name)  # raises where another process was first
        _clear(folder, self._prefix, kept=self._name)


class PreparedGraph(PreparedFile):
    """What ONNX Runtime makes of a file on a CPU.

    Parameters
    ----------
    path, folder, output
        As for :class:`PreparedFile`.
    version : str
        ONNX Runtime's.
    """

    def __init__(self, path: Path, folder: Path | None, version: str, output: int = 0) -> None:
        super().__init__(path, folder, version, output, _GRAPH)

    @contextmanager
    def made_by(self, options: Any) -> Iterator[None]:
        """Let a session that is opened with these options leave its graph here, where that is wanted."""
        with self.made() as folder:
            if folder is not None:
                options.optimized_model_filepath = str(folder / _GRAPH)
                options.add_session_config_entry("session.optimized_model_external_initializers_file_name", _DATA)
                options.add_session_config_entry(
                    "session.optimized_model_external_initializers_min_size_in_bytes", str(_LEAST)
                )
            yield


def prepared_folder() -> Path | None:
    """Return where graphs are kept that were made ready, which need not exist yet; None for a user without a home."""
    try:
        return home() / "compiled"
    except InputError:
        return None


def forget_prepared(path: Path) -> None:
    """Remove what is kept of a file that was removed."""
    if (folder := prepared_folder()) is not None:
        _clear(folder, _prefix(path))


def _prefix(path: Path) -> str:
    """Return how all that is kept of a file begins: many models' files have one name."""
    return f"{path.stem}-{_digest(str(path.absolute()))}-"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _clear(folder: Path, prefix: str, kept: str | None = None) -> None:
    """Remove all that is kept of a file, but for one version of it."""
    for each in folder.glob(f"{glob.escape(prefix)}*"):
        if kept is not None and each.name.startswith(kept):
            continue
        if each.is_dir():
            shutil.rmtree(each, ignore_errors=True)
        else:
            with suppress(OSError):
                each.unlink()
