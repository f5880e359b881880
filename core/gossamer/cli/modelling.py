"""The options that say which model finds the subject, and what runs it."""

from __future__ import annotations

import argparse
from typing import Any

from gossamer.cli.parser import Parser
from gossamer.models.choice import QUALITIES, SUBJECTS
from gossamer.runtime.devices import DEVICES
from gossamer.segmentation.ensemble import COMBINATIONS
from gossamer.segmentation.loading import PRECISIONS, RUNTIMES

__all__ = ["add_model_flags", "model_options"]

_NAMES = (
    "model",
    "architecture",
    "device",
    "runtime",
    "precision",
    "compile",
    "quality",
    "subject",
    "combine",
    "accept_licence",
)


def add_model_flags(parser: Parser) -> None:
    """Add the options whose values :func:`model_options` returns."""
    group = parser.add_argument_group("model")
    group.add_argument(
        "--model",
        default="auto",
        metavar="ID|FILE",
        help="catalogue id or file of weights (.onnx, .safetensors, .pth); several with commas (default: auto)",
    )
    group.add_argument(
        "--architecture", metavar="NAME", help="what a file of weights is, e.g. isnet (default: what its keys tell)"
    )
    group.add_argument(
        "--quality",
        default="balanced",
        choices=QUALITIES,
        help="what auto may choose for this device (default: balanced)",
    )
    group.add_argument("--subject", choices=SUBJECTS, help="what auto chooses a model for")
    group.add_argument("--device", default="auto", choices=DEVICES, help="where the model runs (default: auto)")
    group.add_argument("--runtime", default="auto", choices=RUNTIMES, help="what runs the model (default: auto)")
    group.add_argument("--precision", default="auto", choices=PRECISIONS, help="for torch (default: auto)")
    group.add_argument("--compile", action="store_true", help="compile a torch model: a slow start, then faster")
    group.add_argument(
        "--combine", default="mean", choices=COMBINATIONS, help="how masks of several models become one (default: mean)"
    )
    group.add_argument(
        "--accept-licence",
        action="store_true",
        help="accept, once and for all, the licence of a model that does not allow commercial use",
    )


def model_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return keyword arguments for :class:`gossamer.Pipeline`."""
    return {name: getattr(arguments, name) for name in _NAMES}
