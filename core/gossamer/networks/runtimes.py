"""What runs a file of weights, where, and in which precision: negotiated in one place, before anything is loaded."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gossamer.errors import DeviceError, MissingExtra
from gossamer.native.processor import has_bfloat16
from gossamer.networks.devices import Runtime, cuda_is_available, device_kind, is_installed, resolve_device, runtimes_of
from gossamer.settings.model_choice import ModelChoice, RuntimeChoice

__all__ = ["FAITHFUL", "Plan", "likely_device", "openvino_may_serve", "planned", "runtime_for_files"]

FAITHFUL = 0.05
"""Of 255: how far masks in bfloat16 may be from float32's on average, so that ``auto`` takes it."""

_WITH_BFLOAT16: tuple[Runtime, ...] = ("openvino", "torch")


@dataclass(frozen=True)
class Plan:
    """How a file of weights is run.

    Attributes
    ----------
    runtime : {"onnx", "torch", "openvino"}
    device : str
        ``"auto"`` where a device may yet not start, and the processor then serves.
    precision : str
        As the runtime takes it.
    native : bool
        Whether our own kernels may run it in the runtime's place, where they know all that is in it.
    """

    runtime: Runtime
    device: str
    precision: str
    native: bool = False


def runtime_for_files(choice: ModelChoice) -> RuntimeChoice:
    """Return the runtime by which files of weights are chosen: that of the device, where it leaves no other."""
    if choice.runtime == "openvino":
        return "onnx"
    if choice.runtime == "auto" and choice.device not in ("auto", "cpu"):
        able = runtimes_of(device_kind(choice.device))
        if "torch" not in able:
            return "onnx"
        if "onnx" not in able:
            return "torch"
    return choice.runtime


def likely_device(device: str, runtime: str) -> str:
    """Return where a model that is not chosen yet would run."""
    if device != "auto":
        return device
    if runtime == "openvino":
        return "cpu"
    if runtime != "torch" and cuda_is_available("onnx"):
        return "cuda"
    # Importing torch takes seconds: only where there is a driver, so that there can be a use for it.
    driver = shutil.which("nvidia-smi") or Path("/proc/driver/nvidia/version").exists()
    if runtime == "onnx" or not driver or importlib.util.find_spec("torch") is None:
        return "cpu"
    return "cuda" if cuda_is_available("torch") else "cpu"


def planned(
    runtimes: Sequence[Runtime],
    choice: ModelChoice,
    difference: float | None = None,
) -> Plan:
    """Say what runs a file, where and in which precision.

    Parameters
    ----------
    runtimes : sequence of Runtime
        What can run the file, its usual one first.
    choice : ModelChoice
        What was asked for.
    difference : float, optional
        How far, of 255, this model's masks in bfloat16 are from float32's on average; None: nobody has measured it.

    Raises
    ------
    DeviceError, InputError, MissingExtra
        The device cannot be had, or nothing that runs this file can use it.
    """
    device, precision = choice.device, choice.precision
    if precision == "int8":
        return _in_bytes(runtimes, choice)
    runtime = _runtime(runtimes, choice)
    if runtime is None:
        runtime = runtimes[0]
        if resolve_device(device, runtime) == "cpu":
            # What loads torch for one picture of an ONNX file loses more time than it wins: torch serves where it is
            # loaded already, as it is in ComfyUI.
            able = [each for each in _WITH_BFLOAT16 if each in runtimes and (each == runtime or _is_ready(each))]
            if precision == "auto" and able and difference is not None and difference <= FAITHFUL and has_bfloat16():
                runtime, precision = able[0], "bfloat16"
    elif precision == "auto" and difference is not None and difference <= FAITHFUL and has_bfloat16():
        if runtime != "onnx" and resolve_device(device, runtime) == "cpu":
            precision = "bfloat16"
    resolved = resolve_device(device, runtime)
    native = (runtime, resolved, choice.runtime) == ("onnx", "cpu", "auto") and precision in ("auto", "float32")
    return Plan(runtime, "cpu" if resolved == "cpu" else device, precision, native)


def openvino_may_serve(plan: Plan, runtimes: Sequence[Runtime], choice: ModelChoice) -> bool:
    """Return whether nobody minds if OpenVINO takes the place of ONNX Runtime, where it is faster."""
    plain = (plan.runtime, plan.device, choice.runtime) == ("onnx", "cpu", "auto") and plan.precision != "bfloat16"
    return plain and "openvino" in runtimes and is_installed("openvino")


def _in_bytes(runtimes: Sequence[Runtime], choice: ModelChoice) -> Plan:
    """Return the plan for a network in 8-bit integers: OpenVINO's, on the processor."""
    if choice.runtime not in ("auto", "openvino") or choice.device not in ("auto", "cpu") or "openvino" not in runtimes:
        raise DeviceError(
            "int8 runs in OpenVINO on the processor only.",
            "Choose the runtime auto or openvino and the device auto or cpu, or another precision.",
        )
    if not is_installed("openvino"):
        raise MissingExtra("Running a model in int8", "openvino")
    return Plan("openvino", "cpu", "int8")


def _runtime(runtimes: Sequence[Runtime], choice: ModelChoice) -> Runtime | None:
    """Return the runtime that was asked for, or that the device or the precision leaves; None where it is open."""
    if choice.runtime != "auto":
        return choice.runtime
    if choice.device not in ("auto", "cpu"):
        able = [each for each in runtimes if each in runtimes_of(device_kind(choice.device))]
        if not able:
            raise DeviceError(
                f"Nothing that runs this file of weights runs on the device {choice.device}.",
                "Choose the device auto, or weights for another runtime.",
            )
        for each in able:
            if is_installed(each) and _has(choice.device, each):
                return each
        return next((each for each in able if is_installed(each)), able[0])
    if choice.precision == "bfloat16" and runtimes[0] == "onnx":
        for each in _WITH_BFLOAT16:
            if each in runtimes and is_installed(each):
                return each
    return None


def _has(device: str, runtime: Runtime) -> bool:
    try:
        return resolve_device(device, runtime) == device
    except DeviceError:
        return False


def _is_ready(runtime: Runtime) -> bool:
    return is_installed(runtime) and (runtime != "torch" or "torch" in sys.modules)
