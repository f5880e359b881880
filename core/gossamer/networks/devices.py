"""Which devices are there, for each runtime."""

from __future__ import annotations

import os
from typing import Literal, TypeAlias

from gossamer.errors import DeviceError, InputError, MissingExtra
from gossamer.settings.model_choice import DEVICES
from gossamer.telemetry import onnxruntime

__all__ = [
    "Runtime",
    "card_is_available",
    "cuda_is_available",
    "empty_cache",
    "require_own_process",
    "resolve_device",
    "started_device",
]

Runtime: TypeAlias = Literal["onnx", "torch"]

_CARDS = {"mps": "Apple graphics (MPS)", "xpu": "Intel graphics (XPU)"}


def cuda_is_available(runtime: Runtime = "onnx") -> bool:
    """Return whether `runtime` can use CUDA here.

    For ONNX Runtime: whether it was built with CUDA (whether it starts is seen when a model loads). For torch:
    whether it was built with CUDA and sees a graphics card.
    """
    if runtime == "torch":
        import torch

        return torch.cuda.is_available()
    return "CUDAExecutionProvider" in onnxruntime().get_available_providers()


def card_is_available(device: str) -> bool:
    """Return whether torch has Apple's (``"mps"``) or Intel's (``"xpu"``) graphics processors here."""
    import torch

    if device == "mps":
        return torch.backends.mps.is_available()
    return hasattr(torch, "xpu") and torch.xpu.is_available()


def resolve_device(device: str, runtime: Runtime = "onnx") -> str:
    """Return where `device` is for a runtime: ``"auto"`` takes CUDA where `runtime` has it, else the CPU.

    ``"mps"`` and ``"xpu"``, Apple's and Intel's, are torch's: for ONNX Runtime they are the CPU.

    Raises
    ------
    InputError
        No such device.
    DeviceError
        It was asked for and this ONNX Runtime or torch has none.
    MissingExtra
        torch was asked for and is not installed.
    """
    if device not in DEVICES:
        raise InputError(f"There is no device {device!r}.", f"Choose one of: {', '.join(DEVICES)}.")
    try:
        if device in _CARDS:
            if runtime == "onnx":
                return "cpu"
            if not card_is_available(device):
                raise DeviceError(f"This torch has no {_CARDS[device]}.", "Choose --device auto or --device cpu.")
            return device
        available = device != "cpu" and cuda_is_available(runtime)
    except ImportError:
        raise MissingExtra("Running a network in torch", "torch") from None
    if device == "cuda" and not available:
        raise _without_cuda(runtime)
    return "cuda" if available else "cpu"


def started_device(device: str) -> tuple[str, tuple[str, ...]]:
    """Return where torch will run, having made sure that it starts, and what the user should know of it.

    Raises
    ------
    InputError, DeviceError, MissingExtra
        As :func:`resolve_device`, and where CUDA was asked for and does not start.
    """
    where = resolve_device(device, "torch")
    if where == "cpu":
        return "cpu", ()
    import torch

    try:
        torch.zeros(1, device=where).cpu()
    except RuntimeError as error:
        text = str(error).strip().splitlines()
        if where in _CARDS:
            reason = text[0][:200] if text else type(error).__name__
            raise DeviceError(f"{_CARDS[where]} could not be started ({reason}).", "Choose --device cpu.") from None
        problem = f"CUDA could not be started ({text[0][:200] if text else type(error).__name__})"
        if device == "cuda":
            raise DeviceError(f"{problem}.", "Check the driver and the CUDA version with: gossamer doctor") from None
        return "cpu", (f"{problem}; the model runs on the CPU.",)
    return where, ()


def require_own_process(device: str, process: int) -> None:
    """Raise DeviceError where a network in torch is on a graphics card that the process `process` has opened.

    A process that was forked from it cannot use CUDA at all; on the processor torch serves it as well.
    """
    if device != "cpu" and process != os.getpid():
        raise DeviceError(
            "The model lies on the graphics card, which a forked process cannot use.",
            "Load the model after the fork, or start processes with the method spawn.",
        )


def empty_cache(device: str) -> None:
    """Give the memory of a graphics card back that nothing uses any more."""
    if device != "cpu":
        import gc

        import torch

        gc.collect()
        getattr(torch, device).empty_cache()


def _without_cuda(runtime: Runtime) -> DeviceError:
    if runtime == "onnx":
        return DeviceError(
            "CUDA is not available: this ONNX Runtime was built for the CPU.",
            "Install onnxruntime-gpu in place of onnxruntime, or choose --device cpu.",
        )
    import torch

    if torch.version.cuda:
        return DeviceError(
            "CUDA is not available: torch finds no graphics card that it can use.",
            "Check the driver with nvidia-smi and gossamer doctor, or choose --device cpu.",
        )
    return DeviceError(
        "CUDA is not available: this torch was built for the CPU.",
        "Install the CUDA build of torch (its installation page has the line to type), or choose --device cpu.",
    )
