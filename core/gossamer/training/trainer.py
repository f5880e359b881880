"""The loop itself: steps, validations, checkpoints, on a thread of its own."""

from __future__ import annotations

import dataclasses
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.errors import Cancelled, DeviceError, InputError, ModelError
from gossamer.networks.convolutions import mend_convolutions
from gossamer.networks.torch_module import checked_bfloat16
from gossamer.parallel.threads import thread_count
from gossamer.settings.training import Training
from gossamer.training.averaging import Average
from gossamer.training.bases import Base
from gossamer.training.board import Board
from gossamer.training.channels import in_own_units, keep_precise, kernels_in_own_units
from gossamer.training.checkpoints import load_checkpoint, restore, save_checkpoint, save_tensors, tensors_of
from gossamer.training.curves import curves
from gossamer.training.feeding import Taught, general_count
from gossamer.training.interpolation import SHARES, Origin, chosen, evaluating
from gossamer.training.lessons import Lessons
from gossamer.training.lora import merged
from gossamer.training.parts import prepare
from gossamer.training.photographs import Recalled, recalled
from gossamer.training.processes import Processes
from gossamer.training.run_folder import RunFolder
from gossamer.training.schedules import base_rate, epoch_length, rate_at, weights_at
from gossamer.training.stepping import Stepper, optimiser_of
from gossamer.training.validation import Seen, mask_of

if TYPE_CHECKING:
    from torch import nn

    from gossamer.training.stepping import Step

__all__ = ["Trainer"]

_FORGIVEN = 0.99  # of what the base reaches on the general data: what promote allows, too
_PANELS = (
    ("loss", ("loss",)),
    ("validation", ("weighted_f", "iou", "general_weighted_f")),
    ("kept", ("kept_weighted_f", "kept_general_weighted_f", "kept_share")),
    ("error", ("mae", "general_mae")),
    ("flicker", ("dtssd", "general_dtssd")),
    ("rate", ("rate",)),
)


class Trainer:
    """One training.

    Parameters
    ----------
    base : Base
    lessons : Lessons
    settings : Training
    folder : RunFolder
        It is this process's own.
    processes : Processes
    announce : callable
        Told what people should know at once.

    Attributes
    ----------
    state : tuple of (float, str)
        How far it is, and in words; for another thread to read.
    ended : threading.Event
        Set when :meth:`run` has ended, however it did.
    """

    def __init__(
        self,
        base: Base,
        lessons: Lessons,
        settings: Training,
        folder: RunFolder,
        processes: Processes,
        announce: Callable[[str], object],
    ) -> None:
        self.folder, self.processes = folder, processes
        self.state: tuple[float, str] = (0.0, "Loading the network")
        self._base, self._lessons, self._settings, self._announce = base, lessons, settings, announce
        self._warnings: list[str] = []
        self.ended = threading.Event()
        self._stepper: Stepper | None = None
        self._stopped = False
        self._rows: list[dict[str, float]] = []
        self._before: dict[str, float] = {}
        self._best: dict[str, float] = {}
        self._best_step, self._idle = 0, 0
        self._share, self._walk = 1.0, list[dict[str, float]]()
        self._general_before: list[float] = []
        self._steady = -math.inf
        self._board = Board(folder.tensorboard)

    def stop(self) -> None:
        """End the work soon, between two layers: :class:`gossamer.Cancelled` is raised on its thread."""
        self._stopped = True
        if self._stepper is not None:
            self._stepper.stop.set()

    def run(self, resume: bool) -> dict[str, Any]:
        """Train, and return the fields of a report.

        Parameters
        ----------
        resume : bool
            Go on from the newest checkpoint, where there is one.
        """
        try:
            return self._run(resume)
        finally:
            self._board.close()
            self.ended.set()

    def _run(self, resume: bool) -> dict[str, Any]:
        device = self._device()
        if told := self._base.told_of(self._settings.side):
            self._warn(told)
        with _torch_settings():
            precision = self._precision(device)
            network = self._prepared(device, precision)
            self._network, self._where, self._in = network, device, precision
            optimiser = optimiser_of(network, self._settings, self._base.teaching)
            average = Average(network, self._settings.average)
            self._origin = Origin(network)
            self._stepper = Stepper(
                network,
                optimiser,
                self._settings,
                device=device.partition(":")[0],
                precision=precision,
                announce=self._warn,
                summed=self.processes.sum if self.processes.count > 1 else None,
                together=self.processes.any,
                recalled=self._origin.recalled,
            )
            if self._stopped:
                raise Cancelled
            if self.processes.is_first:
                self._recall()
            first = self._begin(optimiser, average, resume)
            done, early = self._steps(first, optimiser, average)
        return {
            "steps": done,
            "best_step": self._best_step,
            "before": self._before,
            "after": self._best,
            "share": self._share,
            "walk": tuple(self._walk),
            "resumed": first,
            "stopped_early": early,
            "warnings": tuple(self._warnings),
        }

    def _prepared(self, device: str, precision: str) -> nn.Module:
        """Return the base's network, ready to be trained where and in what it will be."""
        network, lessons, settings = self._base.load(), self._lessons, self._settings
        feed = self._base.medium.feed(lessons, settings, self._base.input)  # the same for all processes
        pictures = torch.from_numpy(feed.batch(0).pictures[[0, -1]])  # one of the domain, one general
        prepare(network, settings, self._base.teaching)
        count = in_own_units if settings.freeze == "kernels" else kernels_in_own_units
        with evaluating(network):
            count(network, pictures)
        network.to(device)
        if precision != "float32":
            # In half precision convolutions lie this way anyway: turned each time, they take twice as long.
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            if device == "cpu":
                mend_convolutions(network)
            with evaluating(network):
                keep_precise(network, pictures.to(device), precision)
        return network

    # -- beginning ------------------------------------------------------------------------------------------

    def _begin(self, optimiser: torch.optim.Optimizer, average: Average, resume: bool) -> int:
        """Set everything to what the newest checkpoint has; return how many steps that had done."""
        found = load_checkpoint(self.folder.checkpoints) if resume else None
        if found is None:
            if self.processes.is_first:
                self._validate(0, average)
                self._save(0, optimiser, average)
            self.processes.wait()
            return 0
        told, tensors = found
        restore(tensors, self._network, optimiser, average.tensors)
        self._before, self._best = told["before"], told["best"]
        self._best_step, self._idle, self._steady = told["best_step"], told["idle"], told["steady"]
        self._share, self._walk, self._general_before = told["share"], told["walk"], told["general_before"]
        assert self._stepper is not None  # noqa: S101 - set a moment ago
        self._stepper.parts = max(self._stepper.parts, told["parts"])
        if told.get("recomputes") and not self._stepper.recomputes:
            self._stepper.recompute()
        if told.get("scaler"):
            self._stepper.scaler.load_state_dict(told["scaler"])
        step: int = told["step"]
        if self.processes.is_first:
            self._rows = self.folder.rows(step)
            self.folder.write_rows(self._rows)
            self._board.go_on(step + 1)
            self._announce(f"Going on after step {step}.")
        self.processes.wait()
        return step

    # -- steps ----------------------------------------------------------------------------------------------

    def _steps(self, first: int, optimiser: torch.optim.Optimizer, average: Average) -> tuple[int, bool]:
        """Do the steps from `first` on; return how many are done, and whether it ended before the last."""
        settings, teaching = self._settings, self._base.teaching
        assert self._stepper is not None  # noqa: S101 - see _begin
        number, count = self.processes.number, self.processes.count
        feed = self._base.medium.feed(self._lessons, settings, self._base.input, number, count)
        epoch = epoch_length(settings, len(self._lessons.train), general_count(settings, len(self._lessons.general)))
        base = base_rate(settings, self._base.network, teaching)
        begun = time.monotonic()
        if self._is_idle():
            return first, True
        for step, batch in enumerate(feed.batches(first, settings.steps), start=first):
            if self._stopped:
                raise Cancelled
            rate = rate_at(step, settings, base)
            try:
                made = self._stepper.step(step, batch, rate, weights_at(step, settings, teaching, epoch))
            except ModelError:
                if self.processes.is_first:
                    self.folder.write_rows(self._rows)  # how it came to that
                raise
            average.follow(step)
            self._note(step + 1, made, rate, begun, first)
            if (step + 1) % settings.validate_every and step + 1 < settings.steps:
                continue
            if self.processes.is_first:
                self._validate(step + 1, average)
                self._save(step + 1, optimiser, average)
            if self.processes.any(self.processes.is_first and self._is_idle()):
                return step + 1, True
        return settings.steps, False

    def _is_idle(self) -> bool:
        return bool(self._settings.patience) and self._idle >= self._settings.patience

    def _note(self, step: int, made: Step, rate: float, begun: float, first: int) -> None:
        terms = {f"loss_{name}": value for name, value in made.terms.items()}  # iou and mae are measures, too
        self._rows.append({"step": step, "loss": made.loss, "norm": made.norm, "rate": rate, **terms})
        left = (time.monotonic() - begun) / (step - first) * (self._settings.steps - step)
        best = f", weighted F {self._best.get('weighted_f', 0):.3f} after {self._best_step}" if self._best else ""
        self.state = (
            step / self._settings.steps,
            f"Step {step} of {self._settings.steps}, loss {made.loss:.4g}{best}, {_duration(left)} left",
        )
        self._board.step(step, self._rows[-1])

    # -- validating -----------------------------------------------------------------------------------------

    def _validate(self, step: int, average: Average) -> None:
        """Measure, keep what is better than all before, and draw what came out worst."""
        done = step / self._settings.steps
        self.state = (done, f"Validating after step {step}")
        lessons = self._lessons
        with evaluating(self._network), average.shown():
            seen = self._seen(lessons.validation)
            found = _means(seen) | self._in_general()
            self._rows.append({"step": step, **found})
            if not self._before:
                self._before = found
            if self._settings.worst:
                self._draw_worst(step, seen, lessons.validation)
            self._keep(step, self._on_the_way(step, found))
        self.folder.write_rows(self._rows)
        self.folder.write_picture(self.folder.path / "curves.png", curves(self._rows, _PANELS))
        self._board.validation(step, found)

    def _on_the_way(self, step: int, found: dict[str, float]) -> dict[float, dict[str, float]]:
        """Measure what lies between the base and the network, of which `found` was measured, by the share of it."""
        shares = {1.0: found}
        if not step or not self._settings.interpolate or not self._lessons.general_validation:
            return shares
        best = found["weighted_f"] if found["general_kept"] >= self._floor() else -math.inf
        for share in reversed(SHARES[:-1]):
            with self._origin.mixed(share):
                shares[share] = self._in_general()
                if shares[share]["general_kept"] < self._floor():
                    continue  # however good it is in the domain
                shares[share] |= _means(self._seen(self._lessons.validation))
            if shares[share]["weighted_f"] < best:
                break  # nearer to the base it only becomes worse
            best = shares[share]["weighted_f"]
        return dict(sorted(shares.items()))

    def _in_general(self) -> dict[str, float]:
        """Measure the general data; ``general_kept``: what is left of the base's weighted F, gains not counted."""
        if not self._lessons.general_validation:
            return {}
        seen = self._seen(self._lessons.general_validation)
        values = [one.values["weighted_f"] for one in seen]
        self._general_before = self._general_before or values
        # Picture by picture: what the base failed at becoming better does not pay for what it could becoming worse.
        kept = math.fsum(map(min, values, self._general_before)) / len(values)
        return {**{f"general_{name}": value for name, value in _means(seen).items()}, "general_kept": kept}

    def _floor(self) -> float:
        return _FORGIVEN * self._before.get("general_weighted_f", 0.0)

    def _keep(self, step: int, shares: dict[float, dict[str, float]]) -> None:
        """Keep the weights where they are better in the domain and have not forgotten the general."""
        value = shares[1.0]["weighted_f"]
        self._idle = 0 if value > self._steady or not step else self._idle + 1
        self._steady = max(self._steady, value)
        share = chosen(shares, self._floor())
        if share is not None and (not self._best or shares[share]["weighted_f"] > self._best["weighted_f"]):
            self._best, self._best_step, self._share = shares[share], step, share
            self._walk = [{"share": one, **values} for one, values in shares.items()] if len(shares) > 1 else []
            told = {"step": str(step), "share": f"{share:g}", "base": self._base.id, "network": self._base.network}
            with self._origin.mixed(share):
                plain = {name: one.cpu().contiguous() for name, one in merged(self._network).items()}
                save_tensors(self.folder.best, plain, told)
        if len(shares) > 1:
            self._rows += [
                {"step": step, "share": one, **{f"share_{name}": each for name, each in values.items()}}
                for one, values in shares.items()
            ]
            kept = {f"kept_{name}": each for name, each in self._best.items()}
            self._rows.append({"step": step, "kept_step": self._best_step, "kept_share": self._share, **kept})

    def _recall(self) -> None:
        """Give the photographs that are validated what the base, which the network still is, finds in them."""

        def find(rgb: NDArray[np.uint8]) -> Array:
            if self._stopped:
                raise Cancelled
            return mask_of(self._network, rgb, **self._how())

        with evaluating(self._network):
            held = recalled(self._lessons.general_validation, find)
        self._lessons = dataclasses.replace(self._lessons, general_validation=held)

    def _seen(self, pictures: Sequence[Taught]) -> list[Seen]:
        found = []
        for number, picture in enumerate(pictures):
            if self._stopped:
                raise Cancelled
            one = picture if isinstance(picture, Recalled) else _Numbered(picture, number)
            found += self._base.medium.validated(self._network, [one], **self._how())
        return found

    def _draw_worst(self, step: int, seen: Sequence[Seen], pictures: Sequence[Taught]) -> None:
        numbered = [_Numbered(picture, number) for number, picture in enumerate(pictures)]
        sheet = self._base.medium.worst_of(seen, numbered, self._network, count=self._settings.worst, **self._how())
        self.folder.write_picture(self.folder.worst / f"step-{step:07d}.png", sheet)

    def _how(self) -> dict[str, Any]:
        base = self._base
        how: dict[str, Any] = {"spec": base.input, "output": base.output, "logits": base.logits, "device": self._where}
        return how | {"side": self._settings.side, "precision": self._in}

    # -- writing --------------------------------------------------------------------------------------------

    def _save(self, step: int, optimiser: torch.optim.Optimizer, average: Average) -> None:
        assert self._stepper is not None  # noqa: S101 - see _begin
        told = {
            "before": self._before,
            "best": self._best,
            "best_step": self._best_step,
            "share": self._share,
            "walk": self._walk,
            "general_before": self._general_before,
            "idle": self._idle,
            "steady": self._steady,
            "parts": self._stepper.parts,
            "recomputes": self._stepper.recomputes,
            "scaler": self._stepper.scaler.state_dict(),
        }
        save_checkpoint(self.folder.checkpoints, step, tensors_of(self._network, optimiser, average.tensors), told)

    def _warn(self, sentence: str) -> None:
        self._warnings.append(sentence)
        if self.processes.is_first:
            self._announce(sentence)

    # -- where and in what ----------------------------------------------------------------------------------

    def _device(self) -> str:
        if self.processes.device is not None:
            return self.processes.device
        if self._settings.device == "cpu":
            return "cpu"
        there = torch.cuda.is_available()
        if self._settings.device == "cuda" and not there:
            raise DeviceError("There is no graphics card that torch can use.", "Choose --device cpu.")
        return "cuda" if there else "cpu"

    def _precision(self, device: str) -> str:
        wanted, card = self._settings.precision, device.startswith("cuda")
        if wanted == "auto":
            return "bfloat16" if card and torch.cuda.is_bf16_supported() else "float32"
        if wanted == "float16" and not card:
            raise InputError("float16 does not run on the CPU.", "Choose --precision float32 or bfloat16.")
        if wanted == "bfloat16" and card:
            checked_bfloat16()
        return wanted


class _Numbered:
    """A picture to validate on: what is drawn for it is always the same."""

    drawn = False

    def __init__(self, picture: Taught, number: int) -> None:
        self._picture, self._number = picture, number
        self.name = picture.name

    def load(self, seed: int = 0) -> Any:
        """Return what its own number draws."""
        return self._picture.load(self._number)


def _means(seen: Sequence[Seen]) -> dict[str, float]:
    return {name: math.fsum(one.values[name] for one in seen) / len(seen) for name in seen[0].values}


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


@contextmanager
def _torch_settings() -> Iterator[None]:
    """Set torch for the time of a training, and back afterwards: the same seed is to give the same numbers."""
    threads, deterministic = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    if thread_count() < threads:
        torch.set_num_threads(thread_count())
    # use_deterministic_algorithms(True, warn_only=True) is the same, but imports torch's compiler: seconds for nothing.
    torch.set_deterministic_debug_mode("warn")
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
            yield
    finally:
        torch.set_deterministic_debug_mode(deterministic)
        torch.set_num_threads(threads)
