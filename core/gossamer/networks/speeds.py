"""Which runtime runs a model faster on this machine: measured once, kept beside the weights."""

from __future__ import annotations

import importlib.metadata
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gossamer import native
from gossamer.files import change_json, read_json
from gossamer.networks.network import Network
from gossamer.parallel.patience import patiently
from gossamer.parallel.threads import thread_count
from gossamer.progress import Progress
from gossamer.weights.folders import home

__all__ = ["known_speeds", "measured_faster"]

_MARGIN = 0.95  # another runtime than the file's own has to win clearly
_PATIENCE = 1.0  # seconds to wait for another process that writes
_PACKAGES = ("onnxruntime", "openvino")


def measured_faster(
    path: Path, size: tuple[int, int], loaders: Mapping[str, Callable[[], Network]], progress: Progress
) -> str:
    """Return the name of what runs a model fastest here; the first one's where none wins clearly.

    What was measured is remembered for this file, these versions of the packages and this number of threads, in
    ``speeds.json`` in :func:`~gossamer.weights.folders.home`.

    Parameters
    ----------
    path : Path
        The weights.
    size : (int, int)
        Width and height that the network takes.
    loaders : mapping of str to callable
        Loads the model in a runtime; the file's usual one first.
    progress : Progress
        Called meanwhile; what it raises passes through, and nothing is remembered.
    """
    usual = next(iter(loaders))
    key = _key(path)
    seconds = known_speeds().get(key, {})
    if set(seconds) != set(loaders):
        batch = np.random.default_rng(0).standard_normal((1, 3, size[1], size[0]), dtype=np.float32)
        seconds = {}
        for number, (name, load) in enumerate(loaders.items()):
            progress(number / len(loaders), f"Measuring once which runtime is faster here: {name}")
            network = patiently(load, progress)
            network.run(batch, progress.part(number / len(loaders), (number + 0.5) / len(loaders)))
            start = time.perf_counter()
            network.run(batch, progress.part((number + 0.5) / len(loaders), (number + 1) / len(loaders)))
            seconds[name] = round(time.perf_counter() - start, 4)
            network.unload()
        _remember(key, seconds)
    best = min(loaders, key=lambda name: seconds[name])
    return best if seconds[best] < _MARGIN * seconds[usual] else usual


def known_speeds() -> dict[str, dict[str, float]]:
    """Return all that was measured: by file, versions and threads, the seconds of each runtime."""
    try:
        return _sound(read_json(_file()))
    except (OSError, ValueError):
        return {}


def _key(path: Path) -> str:
    status = path.stat()
    versions = ", ".join(f"{package} {_version(package)}" for package in _PACKAGES)
    return f"{path.name} ({status.st_size} bytes), {versions}, kernels {native.digest()[:6]}, {thread_count()} threads"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "-"


def _remember(key: str, seconds: dict[str, float]) -> None:
    try:  # a folder that cannot be written to costs another measurement
        home().mkdir(parents=True, exist_ok=True)
        change_json(_file(), lambda known: {**_sound(known), key: seconds}, _PATIENCE)
    except (OSError, ValueError):
        pass


def _sound(raw: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    return {
        key: value
        for key, value in raw.items()
        if isinstance(value, dict) and all(isinstance(one, float) and one > 0 for one in value.values()) and value
    }


def _file() -> Path:
    return home() / "speeds.json"
