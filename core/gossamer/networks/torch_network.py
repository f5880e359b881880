"""Networks in torch: weights loaded strictly, on CPU or CUDA, in the precision that was asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gossamer.arrays import Array
from gossamer.errors import DeviceError, InputError, ModelError
from gossamer.networks.architectures.networks import NETWORKS
from gossamer.networks.batches import POLL, BatchSize, Exhausted, watched
from gossamer.networks.devices import release, started_device
from gossamer.networks.memory import module_bytes
from gossamer.networks.state_dict import load_network
from gossamer.parallel.threads import thread_count
from gossamer.progress import Progress
from gossamer.settings.model_choice import PRECISIONS

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["TorchNetwork"]

# One run at a time in a process: each uses every core or the whole card anyway, and what a run sets for its time
# (threads, cuDNN) belongs to the process, so that two at once could leave it changed.
_RUNNING = threading.Lock()


class TorchNetwork:
    """A network in torch.

    Parameters
    ----------
    path : Path
        Its weights: .safetensors, .pth, .pt, .ckpt or .onnx.
    network : str
        A key of :data:`~gossamer.networks.architectures.networks.NETWORKS`.
    device : {"auto", "cpu", "cuda"}
        Where to run. ``"cuda"`` raises when CUDA does not start; ``"auto"`` falls back to the CPU and says so.
    precision : {"auto", "float32", "float16", "bfloat16"}
        ``"auto"``: float32 on the CPU, whatever the file's precision, and float16 on CUDA. float16 is refused
        on the CPU, which has no fast arithmetic for it.
    rename : sequence of (str, str)
        Regular expression and replacement for the file's state-dict keys; see
        :func:`~gossamer.networks.state_dict.load_network`.
    compile : bool
        Compile the network: the first run of every picture size takes a minute or more and cannot be cancelled,
        later ones are faster.

    Attributes
    ----------
    device : str
        ``"cpu"`` or ``"cuda"``.
    precision : str
        ``"float32"``, ``"float16"`` or ``"bfloat16"``.
    warnings : tuple of str
        What its user should know.

    Raises
    ------
    ModelError
        The weights do not fit the network; the message names them.
    DeviceError
        The device or the precision cannot be had.
    InputError, ModelNotFound, MissingExtra
        Impossible arguments, no such file, no torch.
    """

    def __init__(
        self,
        path: Path,
        network: str,
        *,
        device: str = "auto",
        precision: str = "auto",
        rename: Sequence[tuple[str, str]] = (),
        compile: bool = False,
    ) -> None:
        if precision not in PRECISIONS:
            raise InputError(f"There is no precision {precision!r}.", f"Choose one of: {', '.join(PRECISIONS)}.")
        self.device, self._warnings = started_device(device)
        module = load_network(path, network, rename)
        self._warnings += _order_warnings(module, network, path)
        self.precision = _resolved_precision(precision, self.device, NETWORKS[network].half)
        for layer in module.modules():
            fold = getattr(layer, "fold", None)
            if callable(fold):  # before the weights are rounded to a lower precision
                fold()
        self._module: nn.Module | None = _placed(module, self.device, self.precision)
        self._network = network
        self._batches = BatchSize()
        self._stop = threading.Event()
        self._layers, self._passed = 1, 0
        self._compiled = compile
        if compile:
            # Without mypy's knowledge of overloads: the compiled module is called like the module.
            self._forward: Callable[[Any], Any] = _compiled(self._module)
        else:
            self._watch(self._module)
            self._forward = self._module

    @property
    def warnings(self) -> tuple[str, ...]:
        """What its user should know."""
        return (*self._warnings, *self._batches.warnings)

    @property
    def bytes(self) -> int:
        """How much memory its weights take."""
        return 0 if self._module is None else module_bytes(self._module)

    def run(self, batch: Array, progress: Progress) -> Array:
        """Map a batch to the network's mask, all at once, or in smaller parts where memory runs out.

        Parameters
        ----------
        batch : (N, 3, h, w) float32
            Normalised as the network's authors do.
        progress : Progress
            Called while the network runs; what it raises stops the run and passes through.

        Returns
        -------
        (N, h', w') float32

        Raises
        ------
        DeviceError
            Memory does not hold even one picture.
        ModelError
            The network could not be run on this size, its result is not finite, or it was unloaded.
        """
        if self._module is None:
            raise ModelError("The model was unloaded.", "Load it again.")
        while not _RUNNING.acquire(timeout=POLL):
            progress.tick()
        try:
            maps = self._batches.run(batch, progress, self._run_part)
        finally:
            _RUNNING.release()
        if not np.isfinite(maps).all():
            raise ModelError(
                f"The model's prediction in {self.precision} is not a number.",
                "Fetch its weights again." if self.precision == "float32" else "Choose --precision float32.",
            )
        return maps

    def unload(self) -> None:
        """Free the memory that the network holds; it cannot be run any more."""
        self._module = None
        self._forward = _unloaded
        release(self.device)

    def _run_part(self, part: Array, progress: Progress) -> Array:
        self._stop = threading.Event()
        self._passed = 0

        def fraction() -> float:
            return min(1.0, self._passed / self._layers)

        # A compiled network does not count its layers.
        return watched(lambda: self._predict(part), progress, self._stop.set, None if self._compiled else fraction)

    def _predict(self, part: Array) -> Array:
        """Run the network on this thread."""
        import torch

        dtype: torch.dtype = getattr(torch, self.precision)
        try:
            with _settings(self.device):
                pixels = torch.from_numpy(np.require(part, np.float32, ["C", "W"]))
                pixels = pixels.to(self.device, dtype).contiguous(memory_format=torch.channels_last)
                maps: Array = self._forward(pixels).float().cpu().numpy()
        except _Stopped:
            raise
        except (RuntimeError, MemoryError) as error:
            failure = error
        else:
            if maps.ndim != 4 or maps.shape[:2] != (len(part), 1):
                raise ModelError(f"The model's output has the shape {maps.shape}.", "Check its architecture.")
            self._layers = max(self._layers, self._passed)
            return maps[:, 0]
        if not _is_exhausted(failure):
            raise ModelError(
                f"{NETWORKS[self._network].title} could not be run on pictures of {part.shape[3]} x {part.shape[2]} "
                f"({_first_line(failure)}).",
                "Leave --compile out." if self._compiled else "Try --device cpu --precision float32.",
            ) from None
        del failure  # its traceback holds the tensors that filled the memory
        if self.device == "cuda":
            torch.cuda.empty_cache()
        raise Exhausted from None

    def _watch(self, module: nn.Module) -> None:
        """Count layers as they run, and stop between two of them when asked to."""

        def before(layer: nn.Module, inputs: Any) -> None:
            if self._stop.is_set():
                raise _Stopped
            self._passed += 1

        for layer in module.modules():
            if not any(layer.children()):
                layer.register_forward_pre_hook(before)


class _Stopped(Exception):
    """The run was asked to stop."""


def _order_warnings(module: nn.Module, network: str, path: Path) -> tuple[str, ...]:
    """Say where weights showed that they were trained with patches in another order than their network's."""
    spec = NETWORKS[network]
    if spec.module != "birefnet":
        return ()
    shown, named = module.get_submodule("decoder").patches, spec.arguments[1]
    if shown == named:
        return ()
    return (
        f"The weights in {path.name} show that they were trained with the picture's patches in {shown}, not in "
        f"{named} as the network {network} has them: they run in {shown}.",
    )


def _unloaded(pixels: Any) -> Any:
    raise ModelError("The model was unloaded.", "Load it again.")


def _resolved_precision(precision: str, device: str, half: bool) -> str:
    if precision == "auto":
        return "float16" if device == "cuda" and half else "float32"
    if precision == "float16" and device == "cpu":
        raise DeviceError(
            "float16 does not run on the CPU.",
            "Choose --precision auto or float32 (weights stored in half precision are fine), or --device cuda.",
        )
    if precision == "float16" and not half:
        raise DeviceError("This model was never proved in float16.", "Choose --precision bfloat16 or float32.")
    if precision == "bfloat16" and device == "cuda":
        import torch

        if not torch.cuda.is_bf16_supported():
            raise DeviceError("This graphics card has no bfloat16.", "Choose --precision float16 or float32.")
    return precision


def _placed(module: nn.Module, device: str, precision: str) -> nn.Module:
    """Move a network to where and in what it runs; channels last is what fast convolutions read."""
    import torch

    try:
        # Not in torch's stubs: the keyword memory_format.
        placed: nn.Module = module.to(device=device, dtype=getattr(torch, precision)).to(
            memory_format=torch.channels_last  # type: ignore[call-overload]
        )
    except (RuntimeError, MemoryError) as error:
        if not _is_exhausted(error):
            raise
        raise DeviceError(
            "There is not enough memory to load this model.",
            "Free memory, choose a smaller model, or choose --device cpu where a graphics card is full.",
        ) from None
    return placed


def _compiled(module: nn.Module) -> Callable[[Any], Any]:
    import torch

    compiled: Callable[[Any], Any] = torch.compile(module)
    return compiled


@contextmanager
def _settings(device: str) -> Iterator[None]:
    """Set torch for one run on this thread, and what belongs to the process back afterwards."""
    import torch

    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode())
        threads = torch.get_num_threads()
        if thread_count() < threads:  # torch does not see a cgroup's quota; a lower number is its host's choice
            torch.set_num_threads(thread_count())
            stack.callback(torch.set_num_threads, threads)
        if device == "cuda":
            # The same picture gives the same mask, and float32 means float32, not TF32's 10 bits.
            stack.enter_context(
                torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
            )
        yield


def _is_exhausted(error: BaseException) -> bool:
    import torch

    if isinstance(error, MemoryError | torch.cuda.OutOfMemoryError):
        return True
    text = str(error).lower()
    return any(
        phrase in text for phrase in ("out of memory", "can't allocate memory", "not enough memory", "alloc_failed")
    )


def _first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return text[0][:200] if text else type(error).__name__
