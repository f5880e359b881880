"""ONNX Runtime without anything of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gossamer.telemetry import onnxruntime

__all__ = ["bare_session"]


def bare_session(path: Path) -> Any:
    """Return a session whose threads do not spin between two pieces of work: other tests need the cores."""
    options = onnxruntime().SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime().InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
