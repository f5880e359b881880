"""Which devices are there, and how many threads this process may use."""

from __future__ import annotations

import os
from pathlib import Path

from gossamer.errors import DeviceError, InputError

__all__ = ["DEVICES", "cuda_is_available", "resolve_device", "thread_count"]

DEVICES = ("auto", "cpu", "cuda")


def thread_count() -> int:
    """Return how many cores this process may use: affinity and the cgroup's quota are respected."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        if quota != "max":
            cores = min(cores, max(1, round(int(quota) / int(period))))
    except (OSError, ValueError):
        pass  # not Linux, or cgroup v1: the affinity is what is known
    return max(1, cores)


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
