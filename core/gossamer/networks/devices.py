"""Which devices are there, for each runtime: one table, in the order in which ``auto`` takes them."""

from __future__ import annotations

import importlib.util
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from gossamer.errors import DeviceError, InputError, ModelError, first_line, import_failure
from gossamer.networks.torch_package import torch_package
from gossamer.settings.model_choice import DEVICES
from gossamer.telemetry import onnxruntime, openvino

__all__ = [
    "DEVICE_TABLE",
    "DeviceKind",
    "Runtime",
    "available_runtimes",
    "candidates",
    "cuda_is_available",
    "device_kind",
    "empty_cache",
    "failed_run",
    "fallen_back",
    "is_installed",
    "providers_of",
    "require_own_process",
    "resolve_device",
    "runtimes_of",
    "started_device",
    "trial_in_torch",
]

Runtime: TypeAlias = Literal["onnx", "torch", "openvino"]

_SAID: list[str] = []
"""What torch said of CUDA when it was asked for cards, as of a driver that is too old: it says so once a process."""

_WHERE_IT_RUNS: dict[str, str] = {"onnx": "ONNX Runtime", "torch": "torch", "openvino": "OpenVINO"}


@dataclass(frozen=True)
class DeviceKind:
    """A kind of device.

    Attributes
    ----------
    name : str
        As the settings have it.
    title : str
        As messages have it.
    providers : mapping of str to mapping
        ONNX Runtime's names for it, the first that is there counts, with the options of each.
    torch, openvino : str
        What these call it; "" where they cannot use it.
    automatic : bool
        Whether ``auto`` takes it. What translates a graph for minutes, or in parts, is only for those who name it.
    missing : mapping of str to str
        What to do where a runtime does not have it, in a sentence.
    """

    name: str
    title: str
    providers: dict[str, dict[str, str]] = field(default_factory=dict)
    torch: str = ""
    openvino: str = ""
    automatic: bool = False
    missing: dict[str, str] = field(default_factory=dict)


DEVICE_TABLE: tuple[DeviceKind, ...] = (
    DeviceKind(
        "cuda",
        "CUDA",
        # torch calls AMD's cards cuda as well.
        {"CUDAExecutionProvider": {}, "MIGraphXExecutionProvider": {}, "ROCMExecutionProvider": {}},
        torch="cuda",
        automatic=True,
        missing={
            "onnx": "Install onnxruntime-gpu in place of onnxruntime: pip install onnxruntime-gpu",
            "torch": "Install the CUDA build of torch (the line to type is on https://pytorch.org/get-started)",
        },
    ),
    DeviceKind(
        "xpu",
        "XPU",
        torch="xpu",
        automatic=True,
        missing={"torch": "Install the XPU build of torch (the line to type is on https://pytorch.org/get-started)"},
    ),
    DeviceKind(
        "mps",
        "MPS",
        torch="mps",
        automatic=True,
        missing={"torch": "Use torch on a Mac with Apple's own processor and macOS 14 or later"},
    ),
    DeviceKind(
        "directml",
        "DirectML",
        {"DmlExecutionProvider": {}},
        automatic=True,
        missing={
            "onnx": "On Windows install onnxruntime-directml in place of onnxruntime: pip install onnxruntime-directml"
        },
    ),
    DeviceKind(
        "tensorrt",
        "TensorRT",
        {"TensorrtExecutionProvider": {}},
        missing={"onnx": "Install both in place of onnxruntime: pip install onnxruntime-gpu tensorrt"},
    ),
    DeviceKind(
        "coreml",
        "CoreML",
        {"CoreMLExecutionProvider": {}},
        missing={"onnx": "Use ONNX Runtime on a Mac: its usual package has CoreML"},
    ),
    DeviceKind(
        "openvino:GPU",
        "Intel's graphics through OpenVINO",
        {"OpenVINOExecutionProvider": {"device_type": "GPU"}},
        openvino="GPU",
        missing={"openvino": "Install Intel's graphics driver. Type: pip install 'gossamer[openvino]'"},
    ),
    DeviceKind(
        "openvino:NPU",
        "Intel's NPU through OpenVINO",
        {"OpenVINOExecutionProvider": {"device_type": "NPU"}},
        openvino="NPU",
        missing={"openvino": "Install Intel's NPU driver. Type: pip install 'gossamer[openvino]'"},
    ),
    DeviceKind("cpu", "the processor", {"CPUExecutionProvider": {}}, torch="cpu", openvino="CPU", automatic=True),
)


def device_kind(device: str) -> DeviceKind:
    """Return what the table has under a name; raises InputError for a name that it has not."""
    for kind in DEVICE_TABLE:
        if kind.name == device:
            return kind
    raise InputError(f"There is no device {device!r}.", f"Choose one of: {', '.join(DEVICES)}.")


def runtimes_of(kind: DeviceKind) -> tuple[Runtime, ...]:
    """Return the runtimes that can use a kind of device, where they have what it takes."""
    able: dict[Runtime, bool] = {
        "openvino": bool(kind.openvino),
        "onnx": bool(kind.providers),
        "torch": bool(kind.torch),
    }
    return tuple(runtime for runtime, can in able.items() if can)


def available_runtimes(kind: DeviceKind) -> tuple[Runtime, ...]:
    """Return the runtimes that are installed and have a kind of device here."""
    found = []
    for runtime in runtimes_of(kind):
        try:
            if is_installed(runtime) and _available(kind, runtime):
                found.append(runtime)
        except (ImportError, OSError, RuntimeError):  # a driver or a library that does not load
            continue
    return tuple(found)


def cuda_is_available(runtime: Runtime = "onnx") -> bool:
    """Return whether `runtime` can use CUDA here.

    For ONNX Runtime: whether it was built with CUDA (whether it starts is seen when a model loads). For torch:
    whether it was built with CUDA and sees a graphics card.
    """
    return _available(device_kind("cuda"), runtime)


def providers_of(kind: DeviceKind) -> tuple[tuple[str, dict[str, str]], ...]:
    """Return the providers through which this ONNX Runtime can use a device, the first to be tried first, and options.

    That it was built with one does not mean that its libraries are here, or that the driver is new enough.
    """
    offered = onnxruntime().get_available_providers()
    return tuple((name, options) for name, options in kind.providers.items() if name in offered)


def resolve_device(device: str, runtime: Runtime = "onnx") -> str:
    """Return the name of a device that `runtime` has here (``"auto"``: the first of the table's).

    Raises
    ------
    InputError, DeviceError, MissingExtra
        As :func:`candidates`.
    """
    return candidates(device, runtime)[0].name


def candidates(device: str, runtime: Runtime = "onnx") -> tuple[DeviceKind, ...]:
    """Return the devices to try, in order: the one that was asked for, or all that ``"auto"`` may take, the CPU last.

    Raises
    ------
    InputError
        No such device.
    DeviceError
        It was asked for and this runtime does not have it.
    MissingExtra
        torch or OpenVINO is not installed.
    """
    kind = device_kind("cpu" if device == "auto" else device)
    if device == "cpu":
        return (kind,)
    if device != "auto" and runtime not in runtimes_of(kind):
        others = " or ".join(_WHERE_IT_RUNS[each] for each in runtimes_of(kind))
        raise DeviceError(
            f"{_WHERE_IT_RUNS[runtime]} does not run on the device {device}, which is for {others}.",
            f"Choose the runtime auto, or one of the devices: {', '.join(_usual(runtime))}.",
        )
    try:
        if device == "auto":
            return tuple(each for each in DEVICE_TABLE if each.automatic and _may_start(each, runtime))
        try:
            there, problem = _available(kind, runtime), ""
        except (OSError, RuntimeError) as error:  # of a driver, or a library of it
            there, problem = False, first_line(error)
        if not there:
            raise _without(kind, runtime, problem)
        return (kind,)
    except ImportError as error:
        raise import_failure(error, f"Running a network in {_WHERE_IT_RUNS[runtime]}", runtime) from None


def started_device(device: str) -> tuple[str, tuple[str, ...]]:
    """Return where torch will run, having made sure that it computes rightly there, and what the user should know.

    Raises
    ------
    InputError, DeviceError, MissingExtra
        As :func:`candidates`, and where a device was asked for and does not start.
    """
    problems = []
    for kind in candidates(device, "torch"):
        problem = "" if kind.torch == "cpu" else trial_in_torch(kind.torch)
        if not problem:
            break
        problems.append(f"{kind.title} could not be started ({problem})")
        if device != "auto":
            raise DeviceError(f"{problems[0]}.", "Check the driver and its version with: gossamer doctor")
    if device == "auto" and kind.name != "cuda" and _SAID:
        problems.append(f"CUDA could not be started ({_SAID[0]})")
    return kind.torch, fallen_back(problems, kind)


def failed_run(reason: str, device: str, remedy: str) -> ModelError | DeviceError:
    """Return what to raise where a run has failed: on a card also its driver may have, or the card may be gone.

    `reason` is what the runtime says, `remedy` what helps where the processor ran it.
    """
    if device == "cpu":
        return ModelError(f"The model could not be run ({reason}).", remedy)
    return DeviceError(
        f"The model could not be run on {device_kind(device).title} ({reason}).",
        "Check the driver with its own tools and gossamer doctor, or choose --device cpu.",
    )


def fallen_back(problems: Sequence[str], kind: DeviceKind) -> tuple[str, ...]:
    """Return what a user should know of the devices that did not start, before this one did."""
    where = "the CPU" if kind.name == "cpu" else kind.title
    return tuple(f"{problem}; the model runs on {where}." for problem in problems)


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


def is_installed(runtime: Runtime) -> bool:
    """Return whether a runtime's package is installed, without loading it."""
    package = {"onnx": "onnxruntime"}.get(runtime, runtime)
    return importlib.util.find_spec(package) is not None


def _available(kind: DeviceKind, runtime: Runtime) -> bool:
    """Return whether a runtime has a device here; ImportError where the runtime is not installed."""
    if runtime not in runtimes_of(kind):
        return False
    if runtime == "onnx":
        return bool(providers_of(kind))
    if runtime == "openvino":
        # Its names are GPU, or GPU.0 and GPU.1.
        return kind.openvino in {name.partition(".")[0] for name in openvino().Core().available_devices}
    torch = torch_package("Running a network in torch")
    places: dict[str, Any] = {"cuda": torch.cuda, "mps": torch.backends.mps, "xpu": getattr(torch, "xpu", None)}
    place = places.get(kind.torch)
    if place is None:
        return kind.torch == "cpu"
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        there = bool(place.is_available())
    if kind.name == "cuda":
        _SAID.extend(str(each.message).partition("\n")[0].partition(" (Triggered")[0][:200] for each in said)
    return there


def _may_start(kind: DeviceKind, runtime: Runtime) -> bool:
    """Return whether to try a device: also where asking for it fails, since then its start says why."""
    try:
        return _available(kind, runtime)
    except (OSError, RuntimeError):
        return runtime == "torch" or kind.name == "cpu"


def trial_in_torch(device: str) -> str:
    """Return what is wrong with a device of torch's, "" where nothing is: a small sum of products shows it."""
    import torch

    numbers = torch.arange(48.0).reshape(1, 3, 4, 4) / 48
    weights = torch.ones(2, 3, 3, 3) / 27
    expected = torch.nn.functional.conv2d(numbers, weights)
    try:
        found = torch.nn.functional.conv2d(numbers.to(device), weights.to(device)).cpu()
    except (RuntimeError, AssertionError) as error:
        return first_line(error)
    if not torch.allclose(found, expected, atol=1e-2):
        return "it computes a convolution wrongly"
    return ""


def _usual(runtime: Runtime) -> list[str]:
    return ["auto", *(kind.name for kind in DEVICE_TABLE if runtime in runtimes_of(kind))]


def _without(kind: DeviceKind, runtime: Runtime, problem: str = "") -> DeviceError:
    """Say that a device is not there, and what to do; `problem` is what asking for it raised."""
    driver = "Check the driver with nvidia-smi and gossamer doctor, or choose --device cpu."
    if problem:
        other = "Check its driver with its own tools and gossamer doctor, or choose --device cpu."
        return DeviceError(f"{kind.title} is not available: {problem}.", driver if kind.name == "cuda" else other)
    if runtime == "onnx":
        problem = "this ONNX Runtime was built for the CPU" if kind.name == "cuda" else "this ONNX Runtime lacks it"
    elif runtime == "openvino":
        problem = "OpenVINO does not see it"
    else:
        import torch

        built = {"cuda": bool(torch.version.cuda or torch.version.hip), "mps": torch.backends.mps.is_built()}
        if kind.name == "cuda" and built["cuda"]:
            reason = f" ({_SAID[0]})" if _SAID else ""
            return DeviceError(f"CUDA is not available: torch finds no graphics card that it can use{reason}.", driver)
        problem = "torch finds none" if built.get(kind.name) else "this torch was built for the CPU"
    remedy = kind.missing.get(runtime) or next(iter(kind.missing.values()))
    return DeviceError(f"{kind.title} is not available: {problem}.", f"{remedy}, or choose --device cpu.")
