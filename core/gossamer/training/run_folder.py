"""The folder of a training: what it was asked, what it measured, what it has come to."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from gossamer.arrays import Array
from gossamer.errors import InputError, OutputError, OutputExists
from gossamer.files import lock_alone, make_folder, write_bytes
from gossamer.paths import remedy_of, target_path

__all__ = ["RunFolder"]


class RunFolder:
    """Where a training writes.

    Parameters
    ----------
    path : str or Path
        The folder: ``run.json`` (what was asked, and the result), ``metrics.jsonl``, ``curves.png``, ``worst/``,
        ``checkpoints/``, ``tensorboard/`` and ``best.safetensors``.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = target_path(path)
        self.run = self.path / "run.json"
        self.metrics = self.path / "metrics.jsonl"
        self.best = self.path / "best.safetensors"
        self.checkpoints = self.path / "checkpoints"
        self.worst = self.path / "worst"
        self.tensorboard = self.path / "tensorboard"

    def check(self, resume: bool) -> None:
        """Raise, before any work, where nothing can begin or go on here."""
        if resume:
            if not self.run.is_file():
                raise InputError(
                    f"{self.path} holds no training to go on with.", "Leave --resume out, or correct --out."
                )
            return
        with suppress(FileNotFoundError):
            try:
                filled = any(entry.name != ".lock" for entry in self.path.iterdir())
            except NotADirectoryError:
                raise OutputError(f"{self.path} is a file.", "Give a folder.") from None
            if filled:
                raise OutputExists(
                    f"{self.path} is not empty.", "Give another folder, or add --resume to go on with what is in it."
                )

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Work in it while nobody else does; raises OutputError where somebody does."""
        try:
            for folder in (self.path, self.checkpoints, self.worst):
                make_folder(folder)
            busy = f"Another process trains in {self.path}."
            lock = lock_alone(self.path / ".lock", busy, "Wait for it, or give another folder.")
        except OSError as error:
            remedy = remedy_of(error, "Give another folder, or change its permissions.")
            raise OutputError(f"{self.path} could not be made: {error.strerror or error}.", remedy) from None
        try:
            yield
        except InputError:
            self._forget_unbegun()
            raise
        finally:
            lock.release()

    def _forget_unbegun(self) -> None:
        """Take away what was made for a training that could not begin: corrected, it may have the same folder."""
        with suppress(OSError):
            self.checkpoints.rmdir()  # only where it is empty
            self.worst.rmdir()
            self.run.unlink()

    def asked(self) -> dict[str, Any]:
        """Return what the training in it was asked; raises InputError where that cannot be read."""
        try:
            told = json.loads(self.run.read_text("utf-8"))
            return dict(told)
        except (OSError, ValueError, TypeError):
            raise InputError(f"{self.run} cannot be read.", "Begin anew in another folder.") from None

    def write_run(self, told: Mapping[str, Any]) -> None:
        """Write what was asked, and what came of it."""
        write_bytes(self.run, (json.dumps(told, indent=1) + "\n").encode(), force=True)

    def rows(self, until: int) -> list[dict[str, float]]:
        """Return what was measured up to a step; lines that a kill cut off are left out."""
        found = []
        with suppress(OSError):
            for line in self.metrics.read_text("utf-8").splitlines():
                with suppress(ValueError):
                    row = json.loads(line)
                    if isinstance(row, dict) and row.get("step", until + 1) <= until:
                        found.append(row)
        return found

    def write_rows(self, rows: Sequence[Mapping[str, float]]) -> None:
        """Write all that was measured, whole or not at all."""
        write_bytes(self.metrics, "".join(json.dumps(row) + "\n" for row in rows).encode(), force=True)

    def write_picture(self, path: Path, picture: Array) -> None:
        """Write an (h, w, 3) float32 picture as PNG."""
        import cv2
        import numpy as np

        pixels = np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)[..., ::-1]
        write_bytes(path, cv2.imencode(".png", pixels)[1].tobytes(), force=True)
