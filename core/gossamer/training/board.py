"""Curves for TensorBoard, where it is installed."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from gossamer.errors import OutputError

__all__ = ["Board"]


class Board:
    """Writes numbers by step into a folder, from the first validation on.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer: Any = None

    def go_on(self, step: int) -> None:
        """Go on with `step`: what a run that was ended told from it on is forgotten; raises as :meth:`validation`."""
        self._open(step)

    def step(self, step: int, values: Mapping[str, float]) -> None:
        """Take what a step was."""
        if self._writer is not None:
            for name, value in values.items():
                if name != "step":
                    self._writer.add_scalar(f"train/{name}", value, step)

    def validation(self, step: int, values: Mapping[str, float]) -> None:
        """Take what a validation measured; raises OutputError where the folder cannot be written to."""
        if self._writer is None:
            self._open(step)
        for name, value in values.items():
            self._writer.add_scalar(f"validation/{name}", value, step)
        self._writer.flush()

    def close(self) -> None:
        """Write what is left."""
        with suppress(Exception):
            if self._writer is not None:
                self._writer.close()

    def _open(self, step: int) -> None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of packages that TensorBoard brings along
                from torch.utils.tensorboard import SummaryWriter

                self._writer = SummaryWriter(str(self._folder), purge_step=step)
        except ImportError:
            self._writer = _Silent()
        except OSError as error:
            raise OutputError(f"{self._folder} could not be written: {error}.", "Free the disk.") from None


class _Silent:
    """Stands in where TensorBoard is not installed: curves.png and metrics.jsonl hold the same."""

    def add_scalar(self, *told: Any) -> None:
        """Do nothing."""

    def flush(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""
