"""No telemetry: what packages would tell their makers of their own accord is switched off before they are imported.

ONNX Runtime's packages, on Windows for long and since 1.29 on Linux and macOS too, write an identifier of the machine
into the user's cache when they are imported, and send it together with what process and machine they run on and which
models they load. Importing OpenVINO sends an event to Google's counters through its package openvino-telemetry, unless
somebody has declined in a file in their home. What each package does stands in docs/reliability.md.
"""

from __future__ import annotations

import os
import sys
from typing import Any

__all__ = ["onnxruntime", "openvino", "ray", "switch_off"]

_SWITCHES = {
    "ORT_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",  # what transformers and huggingface_hub add to their requests
    "RAY_USAGE_STATS_ENABLED": "0",  # what a cluster that Ray starts reports every hour
}


def switch_off() -> None:
    """Set what makes packages that are imported from now on, here and in processes started from here, keep silent."""
    os.environ.update(_SWITCHES)


def onnxruntime() -> Any:
    """Return the package onnxruntime, imported in silence: nothing else of Gossamer imports it.

    Where the host, such as a node pack of ComfyUI's, has imported it earlier, the switch comes too late for what an
    import tells; it is then asked to tell nothing more, as it also must be on Windows.

    Raises
    ------
    ImportError
        It is not installed, or cannot be loaded.
    """
    switch_off()
    import onnxruntime as package

    package.disable_telemetry_events()
    return package


def openvino() -> Any:
    """Return the package openvino, imported in silence: nothing else of Gossamer imports it.

    Its import does without openvino-telemetry where that is not installed, and so it does here: the package cannot be
    imported meanwhile. Nothing is written into the user's home, and whoever imports it afterwards finds it.

    Raises
    ------
    ImportError
        It is not installed, or cannot be loaded.
    """
    switch_off()
    name = "openvino_telemetry"
    before = sys.modules.get(name)
    if "openvino" not in sys.modules:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        import openvino as package
    finally:
        if before is not None:
            sys.modules[name] = before
        elif name in sys.modules and sys.modules[name] is None:
            del sys.modules[name]
    return package


def ray() -> Any:
    """Return the package ray, imported in silence: nothing else of Gossamer imports it.

    Raises
    ------
    ImportError
        It is not installed, or cannot be loaded.
    """
    switch_off()
    import ray as package

    return package
