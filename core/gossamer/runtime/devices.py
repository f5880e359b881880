"""Which devices are there, for each runtime."""

from __future__ import annotations

from typing import Literal, TypeAlias

from gossamer.errors import DeviceError, InputError, MissingExtra

__all__ = ["DEVICES", "Runtime", "cuda_is_available", "resolve_device"]

DEVICES = ("auto", "cpu", "cuda")

Runtime: TypeAlias = Literal["onnx", "torch"]


def cuda_is_available(runtime: Runtime = "onnx") -> bool:
    """Return whether `runtime` can use CUDA here.

    For ONNX Runtime: whether it was built with CUDA (whether it starts is seen when a model loads). For torch:
    whether it was built with CUDA and sees a graphics card.
    """
    if runtime == "torch":
        import torch

        return torch.cuda.is_available()
    import onnxruntime

    return "CUDAExecutionProvider" in onnxruntime.get_available_providers()


def resolve_device(device: str, runtime: Runtime = "onnx") -> str:
    """Return ``"cpu"`` or ``"cuda"`` for `device` (``"auto"`` takes CUDA where `runtime` has it).

    Raises
    ------
    InputError
        No such device.
    DeviceError
        CUDA was asked for and this ONNX Runtime or torch has none.
    MissingExtra
        torch was asked for and is not installed.
    """
    if device not in DEVICES:
        raise InputError(f"There is no device {device!r}.", f"Choose one of: {', '.join(DEVICES)}.")
    try:
        available = device != "cpu" and cuda_is_available(runtime)
    except ImportError:
        raise MissingExtra("Running a network in torch", "torch") from None
    if device == "cuda" and not available:
        raise _without_cuda(runtime)
    return "cuda" if available else "cpu"


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
