"""Several processes that train one network together, and what they share; alone, nothing.

``accelerate launch --num_processes 2 -m gossamer finetune …`` starts them on the graphics cards of one machine,
``torchrun --nproc-per-node 2 -m gossamer finetune … --device cpu`` on its processors (of these accelerate's own command
starts a single one, whatever number it is given). On many machines Ray Train calls
:func:`gossamer.training.loop.finetune` in each of its workers, as does whoever else has begun a process group of
torch's. Each takes its part of every batch, gradients are summed up, and the first one validates, writes and speaks.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from gossamer.errors import WorkerError, import_failure, is_lack_of_memory

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Processes"]


class _Together(Protocol):
    """What processes of one training do together."""

    count: int
    number: int
    device: str

    def sum(self, tensor: Tensor) -> None:
        """Sum a tensor up over all, in place."""

    def wait(self) -> None:
        """Wait for all."""

    def end(self) -> None:
        """Take leave of the others."""


class _Accelerated:
    """Processes that accelerate has started."""

    def __init__(self, device: str) -> None:
        try:
            from accelerate import Accelerator
        except ImportError as error:
            raise import_failure(error, "Training in several processes", "train") from None
        self._accelerator = Accelerator(cpu=device == "cpu")
        self.count, self.number = self._accelerator.num_processes, self._accelerator.process_index
        self.device = str(self._accelerator.device)

    def sum(self, tensor: Tensor) -> None:
        tensor.copy_(self._accelerator.reduce(tensor, "sum"))

    def wait(self) -> None:
        self._accelerator.wait_for_everyone()

    def end(self) -> None:
        self._accelerator.end_training()
        import torch

        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


class _Grouped:
    """Processes that somebody else has brought together, who also takes them apart."""

    def __init__(self, device: str) -> None:
        from torch import cuda, distributed

        self.count, self.number = distributed.get_world_size(), distributed.get_rank()
        own = int(os.environ.get("LOCAL_RANK") or 0)
        self.device = "cpu" if device == "cpu" else f"cuda:{own % max(cuda.device_count(), 1)}"

    def sum(self, tensor: Tensor) -> None:
        from torch import distributed

        there = tensor.to(self.device)  # what a group of graphics cards shares has to lie on them
        distributed.all_reduce(there)
        if there is not tensor:
            tensor.copy_(there)

    def wait(self) -> None:
        from torch import distributed

        distributed.barrier()

    def end(self) -> None:
        pass


class Processes:
    """Those that train together, this one among them.

    Parameters
    ----------
    device : str
        Where it trains: ``"cpu"`` or ``"cuda"``.

    Raises
    ------
    MissingExtra
        There are several, and nothing through which they could share anything.
    WorkerError
        From whatever they do together: one of the others has ended.
    """

    def __init__(self, device: str = "cpu") -> None:
        self._together: _Together | None = None
        if _is_grouped():
            self._together = _Grouped(device)
        elif int(os.environ.get("WORLD_SIZE") or 1) > 1:
            self._together = _Accelerated(device)
        self.count, self.number = 1, 0
        if self._together is not None:
            self.count, self.number = self._together.count, self._together.number

    @property
    def is_first(self) -> bool:
        """Whether this one writes and speaks."""
        return self.number == 0

    @property
    def device(self) -> str | None:
        """Which device is this process's own, where several have been handed out."""
        return None if self._together is None else self._together.device

    def sum(self, tensor: Tensor) -> None:
        """Sum a tensor up over all, in place."""
        if self._together is not None:
            with _in_reach():
                self._together.sum(tensor)

    def any(self, flag: bool) -> bool:
        """Tell whether any of them says so."""
        if self._together is None:
            return flag
        import torch

        told = torch.tensor([float(flag)], device=self._together.device)
        with _in_reach():
            self._together.sum(told)
        return bool(told.item() > 0)

    def wait(self) -> None:
        """Wait for all."""
        if self._together is not None:
            with _in_reach():
                self._together.wait()

    def end(self) -> None:
        """Take leave of the others."""
        if self._together is not None:
            self._together.end()


@contextmanager
def _in_reach() -> Iterator[None]:
    """Say what it means where the others cannot be reached any more: torch tells of sockets alone."""
    try:
        yield
    except RuntimeError as error:
        if is_lack_of_memory(error):
            raise
        lines = str(error).splitlines() or [type(error).__name__]
        said = re.sub(r"^\[[^\]]*\] *", "", lines[0]).partition(". ")[0].rstrip(".")
        raise WorkerError(
            f"Another process of this training has ended, or cannot be reached any more ({said}).",
            "See what that one said, and start all of them again with --resume.",
        ) from None


def _is_grouped() -> bool:
    from torch import distributed

    return bool(distributed.is_available() and distributed.is_initialized())
