"""Which devices are there."""

from __future__ import annotations

from gossamer.errors import DeviceError, InputError

__all__ = ["DEVICES", "cuda_is_available", "resolve_device"]

DEVICES = ("auto", "cpu", "cuda")


def cuda_is_available() -> bool:
    """Return whether ONNX Runtime here was built with CUDA (whether it starts is seen when a model loads)."""
    import onnxruntime

    return "CUDAExecutionProvider" in onnxruntime.get_available_providers()


def resolve_device(device: str) -> str:
    """Return ``"cpu"`` or ``"cuda"`` for `device` (``"auto"`` takes CUDA where it is).

    Raises
    ------
    InputError
        No such device.
    DeviceError
        CUDA was asked for and this ONNX Runtime has none.
    """
    if device not in DEVICES:
        raise InputError(f"There is no device {device!r}.", f"Choose one of: {', '.join(DEVICES)}.")
    if device == "cpu":
        return "cpu"
    if cuda_is_available():
        return "cuda"
    if device == "cuda":
        raise DeviceError(
            "CUDA is not available: this ONNX Runtime was built for the CPU.",
            "Install onnxruntime-gpu in place of onnxruntime, or choose --device cpu.",
        )
    return "cpu"
