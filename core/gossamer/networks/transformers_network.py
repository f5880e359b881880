"""Networks of the transformers package: where and in what precision they run, watched so that they can be stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from gossamer.arrays import as_rgb
from gossamer.errors import DeviceError, InputError, ModelError
from gossamer.networks.batches import watched
from gossamer.networks.devices import release, started_device
from gossamer.networks.memory import module_bytes
from gossamer.parallel.threads import thread_count
from gossamer.progress import Progress
from gossamer.resampling import Pixels
from gossamer.settings.model_choice import PRECISIONS

__all__ = ["TransformersModel", "TransformersNetwork", "checked_pixels"]

_T = TypeVar("_T")

# One run at a time in a process, as in gossamer.networks.torch_network: each uses every core or the whole card.
_RUNNING = threading.Lock()


class TransformersNetwork:
    """A loaded network, on its device.

    Parameters
    ----------
    module : torch.nn.Module
        In float32; it stays so. Lower precisions are those of torch's autocast, as the authors of SAM 2 run theirs:
        layers that need float32 keep it.
    title : str
        What messages call it.
    device : {"auto", "cpu", "cuda"}
    precision : {"auto", "float32", "float16", "bfloat16"}
    automatic : {"float32", "bfloat16"}
        What ``auto`` is on CUDA; on the CPU it is float32.

    Attributes
    ----------
    device : str
        ``"cpu"`` or ``"cuda"``: where it really runs.
    precision : str
    warnings : tuple of str
        What its user should know.

    Raises
    ------
    InputError
        There is no such device or precision.
    DeviceError
        They cannot be had here, or memory does not hold the network.
    """

    def __init__(
        self, module: Any, title: str, *, device: str = "auto", precision: str = "auto", automatic: str = "float32"
    ) -> None:
        if precision not in PRECISIONS:
            raise InputError(f"There is no precision {precision!r}.", f"Choose one of: {', '.join(PRECISIONS)}.")
        self.device, self.warnings = started_device(device)
        self.precision = _resolved(precision, self.device, automatic)
        self.title = title
        self._stop = threading.Event()
        with self._speaking("be loaded"):
            self.module: Any = module.to(self.device)
        for layer in self.module.modules():
            if not any(layer.children()):
                layer.register_forward_pre_hook(self._before)

    def run(self, work: Callable[[Any], _T], progress: Progress) -> _T:
        """Return ``work(module)``, run on a thread of its own.

        Parameters
        ----------
        work : callable
            It may run as many layers as it likes; nothing that it returns can be trained.
        progress : Progress
            Called ten times a second and more; what it raises stops the work between two layers and passes through.

        Raises
        ------
        DeviceError
            Memory does not hold it.
        ModelError
            The network could not be run.
        """
        if self.module is None:
            raise ModelError("The model was unloaded.", "Load it again.")

        def whole() -> _T:
            with self._settings(), self._speaking("be run"):
                return work(self.module)

        while not _RUNNING.acquire(timeout=0.05):
            progress.tick()
        try:
            self._stop = threading.Event()
            return watched(whole, progress, self._stop.set)
        finally:
            _RUNNING.release()

    @property
    def bytes(self) -> int:
        """How much memory its weights take."""
        return 0 if self.module is None else module_bytes(self.module)

    def unload(self) -> None:
        """Free the memory that the network holds; it cannot be run any more."""
        self.module = None
        release(self.device)

    def tensor(self, array: Any, dtype: Any = None) -> Any:
        """Return an array or nested list as a tensor on the network's device."""
        import torch

        return torch.as_tensor(array, dtype=dtype).to(self.device)

    def _before(self, layer: Any, inputs: Any) -> None:
        if self._stop.is_set():
            raise _Stopped

    @contextmanager
    def _settings(self) -> Iterator[None]:
        """Set torch for one run on this thread, and what belongs to the process back afterwards."""
        import torch

        with ExitStack() as stack:
            # Not inference_mode: an embedding outlives it and is read again in later runs.
            stack.enter_context(torch.no_grad())
            threads = torch.get_num_threads()
            if thread_count() < threads:  # torch does not see a cgroup's quota; a lower number is its host's choice
                torch.set_num_threads(thread_count())
                stack.callback(torch.set_num_threads, threads)
            if self.precision != "float32":
                stack.enter_context(torch.autocast(self.device, dtype=getattr(torch, self.precision)))
            if self.device == "cuda":
                stack.enter_context(
                    torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
                )
            yield

    @contextmanager
    def _speaking(self, doing: str) -> Iterator[None]:
        """Say in our words what torch cannot do."""
        import torch

        try:
            yield
        except (RuntimeError, MemoryError, IndexError, ValueError, TypeError) as error:
            text = str(error).lower()
            full = isinstance(error, MemoryError | torch.cuda.OutOfMemoryError)
            if full or any(words in text for words in ("out of memory", "can't allocate memory", "not enough memory")):
                raise DeviceError(
                    f"There is not enough memory for {self.title} to {doing}.",
                    "Free memory, choose a smaller model, or choose --device cpu where a graphics card is full.",
                ) from None
            raise ModelError(
                f"{self.title} could not {doing} ({_first_line(error)}).", "Try --device cpu --precision float32."
            ) from error


class TransformersModel:
    """What every model around such a network tells of itself.

    Parameters
    ----------
    network : TransformersNetwork
    id : str
        What it is called.

    Attributes
    ----------
    id, device, precision : str
    """

    def __init__(self, network: TransformersNetwork, id: str) -> None:
        self.id = id
        self.device, self.precision = network.device, network.precision
        self._network = network

    @property
    def warnings(self) -> tuple[str, ...]:
        """What its user should know."""
        return self._network.warnings

    @property
    def bytes(self) -> int:
        """How much memory its weights take."""
        return self._network.bytes

    def unload(self) -> None:
        """Free that memory; the model cannot be used any more."""
        self._network.unload()


def checked_pixels(image: ArrayLike) -> Pixels:
    """Return a checked picture, (H, W, 3); bytes stay bytes, a quarter of the memory.

    Raises
    ------
    InputError
        It has another shape or values outside [0, 1].
    """
    array = np.asarray(image)
    if array.dtype == np.uint8 and array.ndim == 3 and array.shape[2] == 3 and array.size:
        return array
    return as_rgb(image)


class _Stopped(Exception):
    """The run was asked to stop."""


def _resolved(precision: str, device: str, automatic: str) -> str:
    if precision == "auto":
        precision = automatic if device == "cuda" else "float32"
        if precision == "bfloat16" and not _has_bfloat16():
            return "float32"
        return precision
    if precision == "float16" and device == "cpu":
        raise DeviceError(
            "float16 does not run on the CPU.", "Choose --precision auto, float32 or bfloat16, or --device cuda."
        )
    if precision == "bfloat16" and device == "cuda" and not _has_bfloat16():
        raise DeviceError("This graphics card has no bfloat16.", "Choose --precision float16 or float32.")
    return precision


def _has_bfloat16() -> bool:
    import torch

    return bool(torch.cuda.is_bf16_supported())


def _first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return text[0][:200] if text else type(error).__name__
