"""One step of training: forward, loss, gradients, weights; in as many parts as memory asks for."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gossamer.errors import Cancelled, DeviceError, ModelError, is_lack_of_memory, memory_remedy
from gossamer.networks.devices import empty_cache
from gossamer.settings.training import LossWeights, Teaching, Training
from gossamer.training.feeding import Batch
from gossamer.training.losses import TERMS, loss_of, loss_of_change
from gossamer.training.parts import learning, recompute
from gossamer.training.supervision import Outputs, outputs_of

__all__ = ["Step", "Stepper", "optimiser_of"]


@dataclass(frozen=True)
class Step:
    """What one step was.

    Attributes
    ----------
    loss : float
    terms : dict of str to float
        What it is the sum of.
    norm : float
        Of the gradient, before it was shortened.
    """

    loss: float
    terms: dict[str, float]
    norm: float


class Stepper:
    """Teaches a network batch by batch.

    Parameters
    ----------
    network : torch.nn.Module
        Prepared, on its device.
    optimiser : torch.optim.Optimizer
    settings : Training
    device, precision : str
        Where and in what is computed.
    announce : callable
        Told in one sentence when memory asks for smaller parts.
    summed : callable, optional
        Sums tensors up over all processes, in place; and the number of these.
    recalled : callable, optional
        Gives what the base gives for pictures; without it those that are held against it are by their alpha.
    """

    def __init__(
        self,
        network: nn.Module,
        optimiser: torch.optim.Optimizer,
        settings: Training,
        *,
        device: str = "cpu",
        precision: str = "float32",
        announce: Callable[[str], object] = lambda sentence: None,
        summed: Callable[[Tensor], None] | None = None,
        together: Callable[[bool], bool] = lambda failed: failed,
        recalled: Callable[[Tensor], Outputs] | None = None,
    ) -> None:
        self.network, self.optimiser = network, optimiser
        self.parts = settings.parts
        self.recomputes = settings.recompute
        """Whether less is kept of each forward run, as where memory asked for it; see :meth:`recompute`."""
        self.stop = threading.Event()
        """Set, it ends the step between two layers: :class:`Cancelled` is raised."""
        self._settings, self._device, self._precision = settings, device, precision
        self._announce, self._summed, self._together = announce, summed, together
        self._recalled = recalled
        self.scaler = torch.amp.GradScaler(device, enabled=precision == "float16")
        for layer in network.modules():
            if not any(layer.children()):
                layer.register_forward_pre_hook(self._ask)

    def step(self, number: int, batch: Batch, rate: float, weights: LossWeights) -> Step:
        """Let the network learn from a batch.

        Parameters
        ----------
        number : int
            Of the step, for messages.
        batch : Batch
            This process's part of it.
        rate : float
            Learning rate.
        weights : LossWeights

        Raises
        ------
        ModelError
            Loss or gradient is not a number; the message says what was seen.
        DeviceError
            Memory does not hold even one picture, or clip.
        Cancelled
            `stop` was set.
        """
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        loss, terms = self._with_parts(batch, weights)
        if self._summed is not None:
            loss, terms = self._over_processes(loss, terms)
        if not math.isfinite(loss):
            raise self._diverged(number, f"the loss is {loss}", terms, batch, rate)
        norm = self._gradient_norm()
        if not math.isfinite(norm) and not self.scaler.is_enabled():
            raise self._diverged(number, f"the gradient of {self._first_broken()} is {norm}", terms, batch, rate)
        self.scaler.step(self.optimiser)  # leaves out a step whose gradients do not fit half precision
        self.scaler.update()
        return Step(loss, terms, norm)

    def recompute(self) -> None:
        """Keep less of each forward run from now on, and compute it again for the gradients."""
        recompute(self.network)
        self.recomputes = True

    def _with_parts(self, batch: Batch, weights: LossWeights) -> tuple[float, dict[str, float]]:
        """Return loss and terms of a batch whose gradients are set; parts are halved until memory holds them."""
        while True:
            failed = False
            try:
                loss, terms = self._gradients(batch, weights)
            except (RuntimeError, MemoryError) as error:
                if not is_lack_of_memory(error):
                    raise
                failed = True
            if not self._together(failed):
                return loss, terms
            self.optimiser.zero_grad(set_to_none=True)
            empty_cache(self._device)
            if self.parts >= self._settings.batch:
                if self.recomputes:
                    raise _lacks_memory(batch)
                self.recompute()
                self._announce(
                    f"Memory does not hold what one {_one_of(batch)} leaves behind: from now on that is computed twice "
                    "instead of kept, as with --recompute, which changes the time and not the result."
                )
                continue
            self.parts = min(2 * self.parts, self._settings.batch)
            self._announce(
                f"Memory ran out: the batch of {self._settings.batch} is now taken in {self.parts} parts, which "
                "changes the time and not the result."
            )

    def _gradients(self, batch: Batch, weights: LossWeights) -> tuple[float, dict[str, float]]:
        self.optimiser.zero_grad(set_to_none=True)
        total = 0.0
        terms: dict[str, float] = {}
        size = math.ceil(max(1, len(batch.names)) / self.parts)
        for first in range(0, len(batch.names), size):
            pictures, truths = (
                torch.from_numpy(array[first : first + size]).to(self._device)
                for array in (batch.pictures, batch.truths)
            )
            own = min(len(pictures), max(0, len(batch.names) - batch.held - first))
            before = None
            if self._recalled is not None and own < len(pictures):
                with self._low():
                    before = self._recalled(pictures[own:])
            # Of its own: within one, the network would run on with the base's weights, which autocast keeps cast.
            with self._low():
                outputs = outputs_of(self.network, pictures)
            loss, found = self._loss(outputs, truths, weights, own, before)
            self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
            for name, value in found.items():
                terms[name] = terms.get(name, 0.0) + value
        return total, terms

    def _low(self) -> AbstractContextManager[object]:
        """Let what is computed meanwhile be in the precision that was asked for."""
        if self._precision == "float32":
            return nullcontext()
        return torch.autocast(self._device, dtype=getattr(torch, self._precision))

    def _loss(
        self, outputs: Outputs, truths: Tensor, weights: LossWeights, own: int, before: Outputs | None
    ) -> tuple[Tensor, dict[str, float]]:
        """Return loss and terms of some pictures, of which the `own` first are held against their alpha."""
        whole = self._settings.batch
        if before is None:
            return loss_of(outputs, truths, weights, len(truths) / whole)
        learnt, kept = outputs.parted(own)
        loss, found = loss_of_change(kept, before, self._settings.keep * (len(truths) - own) / whole)
        if own:
            more, terms = loss_of(learnt, truths[:own], weights, own / whole)
            loss, found = loss + more, {**terms, **found}
        return loss, found

    def _gradient_norm(self) -> float:
        self.scaler.unscale_(self.optimiser)
        parameters = [one for one in self.network.parameters() if one.grad is not None]
        limit = self._settings.clip or math.inf
        return float(nn.utils.clip_grad_norm_(parameters, limit))

    def _over_processes(self, loss: float, terms: dict[str, float]) -> tuple[float, dict[str, float]]:
        """Sum gradients, loss and terms up over all processes."""
        assert self._summed is not None  # noqa: S101 - for the type checker
        learnt = learning(self.network)
        for one in learnt.values():
            if one.grad is None:
                one.grad = torch.zeros_like(one)
            self._summed(one.grad)
        # Not every process has met every term: one has general pictures, another one has none.
        values = torch.tensor(
            [loss, *(terms.get(name, 0.0) for name in TERMS), *(float(name in terms) for name in TERMS)],
            dtype=torch.float64,
        )
        self._summed(values)
        whole, *rest = values.tolist()
        found = zip(TERMS, rest[: len(TERMS)], rest[len(TERMS) :], strict=True)
        return whole, {name: value for name, value, met in found if met}

    def _first_broken(self) -> str:
        for name, one in self.network.named_parameters():
            if one.grad is not None and not bool(torch.isfinite(one.grad).all()):
                return name
        return "a weight"

    def _diverged(self, number: int, what: str, terms: dict[str, float], batch: Batch, rate: float) -> ModelError:
        largest = max((float(one.detach().abs().max()) for one in self.network.parameters()), default=0.0)
        told = ", ".join(f"{name} {value:.4g}" for name, value in terms.items())
        remedy = "Give a smaller --rate"
        remedy += "." if self._precision == "float32" else ", or --precision float32."
        return ModelError(
            f"In step {number + 1} {what} (terms: {told or 'none'}; learning rate {rate:.3g}, precision "
            f"{self._precision}, largest weight {largest:.3g}; pictures: {', '.join(batch.names)}).",
            remedy,
        )

    def _ask(self, layer: nn.Module, inputs: Any) -> None:
        if self.stop.is_set():
            raise Cancelled


def _lacks_memory(batch: Batch) -> DeviceError:
    """Return what is raised where memory does not hold even one of a batch, with all that could save some done."""
    smaller = "--length or --side" if batch.pictures.ndim == 5 else "--side"
    return DeviceError(
        f"There is not enough memory to train on even one {_one_of(batch)}.",
        memory_remedy(f"Give a smaller {smaller}, choose a smaller model, or free memory."),
    )


def _one_of(batch: Batch) -> str:
    height, width = batch.pictures.shape[-2:]
    size = f"{width} x {height} pixels"
    return f"clip of {batch.pictures.shape[1]} frames of {size}" if batch.pictures.ndim == 5 else f"picture of {size}"


def optimiser_of(network: nn.Module, settings: Training, teaching: Teaching) -> torch.optim.Optimizer:
    """Return the optimiser of what learns in a network."""
    name = teaching.optimiser if settings.optimiser == "auto" else settings.optimiser
    decay = teaching.decay if settings.decay < 0 else settings.decay
    kind = torch.optim.AdamW if name == "adamw" else torch.optim.Adam
    return kind(learning(network).values(), lr=0.0, weight_decay=decay)
