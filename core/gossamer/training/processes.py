"""Several processes that train one network together: what they share, by accelerate; alone, nothing.

``accelerate launch --num_processes 2 -m gossamer finetune …`` (``--cpu`` without graphics cards) starts them; each
takes its part of every batch, gradients are summed up, and the first one validates, writes and speaks.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from gossamer.errors import import_failure

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Processes"]


class Processes:
    """Those that train together, this one among them.

    Parameters
    ----------
    device : str
        Where it trains: ``"cpu"`` or ``"cuda"``.
    """

    def __init__(self, device: str = "cpu") -> None:
        self.count, self.number = int(os.environ.get("WORLD_SIZE") or 1), 0
        self._accelerator: Any = None
        if self.count > 1:
            try:
                from accelerate import Accelerator
            except ImportError as error:
                raise import_failure(error, "Training in several processes", "train") from None
            self._accelerator = Accelerator(cpu=device == "cpu")
            self.count, self.number = self._accelerator.num_processes, self._accelerator.process_index

    @property
    def is_first(self) -> bool:
        """Whether this one writes and speaks."""
        return self.number == 0

    @property
    def device(self) -> str | None:
        """Which device is this process's own, where several have been handed out."""
        return None if self._accelerator is None else str(self._accelerator.device)

    def sum(self, tensor: Tensor) -> None:
        """Sum a tensor up over all, in place."""
        if self._accelerator is not None:
            tensor.copy_(self._accelerator.reduce(tensor, "sum"))

    def any(self, flag: bool) -> bool:
        """Tell whether any of them says so."""
        if self._accelerator is None:
            return flag
        import torch

        told = torch.tensor([float(flag)], device=self._accelerator.device)
        return bool(self._accelerator.reduce(told, "sum").item() > 0)

    def wait(self) -> None:
        """Wait for all."""
        if self._accelerator is not None:
            self._accelerator.wait_for_everyone()

    def end(self) -> None:
        """Take leave of the others."""
        if self._accelerator is not None:
            self._accelerator.end_training()
            import torch

            if torch.distributed.is_initialized():
                torch.distributed.destroy_process_group()
