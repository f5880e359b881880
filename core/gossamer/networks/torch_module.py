"""The one place that runs torch modules: thread quota, one run at a time, stopped between layers, errors in our words.

What is special to a kind of network (its pictures, its precision, what it does when memory runs out) is its own:
:mod:`gossamer.networks.torch_network`, :mod:`gossamer.networks.transformers_network` and ViTMatte's.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from gossamer.errors import DeviceError, ModelError, first_line, is_lack_of_memory, memory_remedy
from gossamer.networks.batches import POLL, Exhausted, one_thread, watched
from gossamer.networks.convolutions import mend_convolutions
from gossamer.networks.devices import empty_cache, failed_run, require_own_process
from gossamer.networks.memory import module_bytes
from gossamer.parallel.forks import Lock, PerProcess
from gossamer.parallel.threads import thread_count
from gossamer.platform import return_memory
from gossamer.progress import Progress

if TYPE_CHECKING:
    from torch import nn

__all__ = ["TorchModule", "checked_bfloat16", "placed"]

_T = TypeVar("_T")

# One run at a time in a process: each uses every core or the whole card anyway, and what a run sets for its time
# (threads, cuDNN) belongs to the process, so that two at once could leave it changed.
_RUNNING = Lock()
_THREAD = PerProcess(one_thread)


class TorchModule:
    """A torch module on its device.

    Parameters
    ----------
    module : torch.nn.Module
        On its device, in its precision, see :func:`placed`.
    title : str
        What messages call it.
    device : {"cpu", "cuda"}
    precision : {"float32", "float16", "bfloat16"}
        What it runs in.
    autocast : bool
        Whether that is by torch's autocast: layers that need float32 keep it.
    remembers : bool
        Whether what it computes is read again by later runs: then torch's inference mode does not serve.
    call : callable, optional
        What to call in the module's place: the module compiled. Its layers are then neither counted nor stopped.
    """

    def __init__(
        self,
        module: nn.Module,
        title: str,
        device: str,
        *,
        precision: str = "float32",
        autocast: bool = False,
        remembers: bool = False,
        call: Callable[..., Any] | None = None,
    ) -> None:
        self.title, self.device = title, device
        self._autocast = precision if autocast and precision != "float32" else None
        self._remembers = remembers
        if precision == "bfloat16" and device == "cpu":
            mend_convolutions(module)
        self._process = os.getpid()
        self._stop = threading.Event()
        self._layers, self._passed = 1, 0
        self._counts = call is None
        self._call: Callable[..., Any] | None = call or module
        self._module: nn.Module | None = module
        if self._counts:
            self._watch(module)

    @property
    def module(self) -> nn.Module:
        """The module itself; raises ModelError once it is unloaded."""
        if self._module is None:
            raise ModelError("The model was unloaded.", "Load it again.")
        return self._module

    @property
    def modules(self) -> tuple[nn.Module, ...]:
        """The module, for who moves it to another device and back; none once it is unloaded."""
        return () if self._module is None else (self._module,)

    @property
    def bytes(self) -> int:
        """How much memory its weights take."""
        return 0 if self._module is None else module_bytes(self._module)

    def unload(self) -> None:
        """Free the memory that it holds, once nothing runs on it; it cannot be run any more."""
        self._module = self._call = None
        empty_cache(self.device)
        return_memory()

    def run(self, work: Callable[[Any], _T], progress: Progress, on: str = "") -> _T:
        """Return ``work(module)``, run on a thread of its own.

        Parameters
        ----------
        work : callable
            It may run as many layers as it likes; nothing that it returns can be trained.
        progress : Progress
            Called ten times a second and more; what it raises stops the work between two layers and passes through.
        on : str
            What it is run on, for messages.

        Raises
        ------
        Exhausted
            Memory does not hold it; for who knows something smaller to do.
        ModelError
            It could not be run, or was unloaded.
        DeviceError
            It lies on a graphics card that this process cannot use.
        """
        call = self._call  # whatever is unloaded meanwhile, this run keeps what it began with
        if call is None:
            raise ModelError("The model was unloaded.", "Load it again.")
        require_own_process(self.device, self._process)
        threads = _threads()
        thread = _THREAD()
        while not _RUNNING.acquire(timeout=POLL):
            progress.tick()
        self._stop, self._passed = threading.Event(), 0
        fraction = self._fraction if self._counts else None
        # Given back when nothing runs any more, which after a stop may be a layer later.
        result = watched(
            lambda: self._run(call, work, threads, on), progress, self._stop.set, fraction, thread, _RUNNING.release
        )
        self._layers = max(self._layers, self._passed)
        return result

    def tensor(self, array: Any, dtype: Any = None) -> Any:
        """Return an array or nested list as a tensor on the module's device."""
        import torch

        return torch.as_tensor(array, dtype=dtype).to(self.device)

    def _fraction(self) -> float:
        return min(1.0, self._passed / self._layers)

    def _run(self, call: Callable[..., Any], work: Callable[[Any], _T], threads: int, on: str) -> _T:
        try:
            with self._settings(threads):
                return work(call)
        except _Stopped:
            raise
        except (RuntimeError, MemoryError, IndexError, ValueError, TypeError) as error:
            failure = error
        if not is_lack_of_memory(failure):
            if self.device != "cpu" and _is_of_the_device(failure):
                raise failed_run(first_line(failure), self.device, "") from failure
            raise ModelError(
                f"{self.title} could not be run{f' on {on}' if on else ''} ({first_line(failure)}).",
                "Try --device cpu --precision float32." if self._counts else "Leave --compile out.",
            ) from failure
        del failure  # its traceback holds the tensors that filled the memory
        empty_cache(self.device)
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

    @contextmanager
    def _settings(self, host: int) -> Iterator[None]:
        """Set torch for one run on this thread, and what belongs to the process back afterwards.

        `host` is how many threads torch uses where it was called from: each thread has its own number.
        """
        import torch

        with ExitStack() as stack:
            stack.enter_context(torch.no_grad() if self._remembers else torch.inference_mode())
            threads = min(thread_count(), host)  # torch sees no cgroup's quota; a lower number is its host's choice
            if torch.get_num_threads() != threads:
                torch.set_num_threads(threads)
            if threads != host:
                stack.callback(torch.set_num_threads, host)
            if self._autocast is not None:
                stack.enter_context(torch.autocast(self.device, dtype=getattr(torch, self._autocast)))
            if self.device == "cuda":
                # The same picture gives the same mask, and float32 means float32, not TF32's 10 bits.
                stack.enter_context(
                    torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
                )
            yield


def _threads() -> int:
    import torch

    return torch.get_num_threads()


def _is_of_the_device(error: BaseException) -> bool:
    """Tell whether a card, its driver or its library has failed, and not what was asked of it.

    torch has a class of its own for it since 2.8, which older releases and some backends do not raise.
    """
    named = type(error).__name__ == "AcceleratorError"
    return named or re.search(_OF_A_DEVICE, str(error)) is not None


_OF_A_DEVICE = (
    r"(?i)\b(CUDA|HIP|cuDNN|cuBLAS|MIOpen|XPU|Level.Zero|SYCL|MPS)[ \w]*\b(error|failed|failure|lost|status)\b"
)


class _Stopped(Exception):
    """The run was asked to stop."""


def placed(module: nn.Module, title: str, device: str, **how: Any) -> nn.Module:
    """Return a module moved to a device, and as else ``Module.to`` can; raises DeviceError where memory is short."""
    try:
        moved: nn.Module = module.to(device=device, **how)
    except (RuntimeError, MemoryError) as error:
        if not is_lack_of_memory(error):
            raise
        raise DeviceError(
            f"There is not enough memory to load {title}.",
            memory_remedy("Free memory, choose a smaller model, or choose --device cpu where a graphics card is full."),
        ) from None
    return moved


def checked_bfloat16() -> None:
    """Raise DeviceError where the graphics card has no bfloat16."""
    import torch

    if not torch.cuda.is_bf16_supported():
        raise DeviceError("This graphics card has no bfloat16.", "Choose --precision float16 or float32.")
