"""The options that say which model finds the subject, and what runs it."""

from __future__ import annotations

import argparse
import inspect
from typing import Any

from gossamer.cli.parser import Parser
from gossamer.networks.devices import DEVICES
from gossamer.pipeline import Pipeline
from gossamer.segmentation.ensemble import COMBINATIONS
from gossamer.segmentation.loading import PRECISIONS, RUNTIMES
from gossamer.weights.choice import QUALITIES, SUBJECTS

__all__ = ["add_model_flags", "model_options"]

# Pipeline's own defaults: they stand nowhere else.
_DEFAULTS = {
    name: parameter.default
    for name, parameter in inspect.signature(Pipeline).parameters.items()
    if name not in ("recipe", "announce")
}


def add_model_flags(parser: Parser) -> None:
    """Add the options whose values :func:`model_options` returns."""
    group = parser.add_argument_group("model")
    group.add_argument(
        "--model",
        metavar="ID|FILE",
        help="catalogue id or file of weights (.onnx, .safetensors, .pth); several with commas (default: %(default)s)",
    )
    group.add_argument(
        "--architecture", metavar="NAME", help="what a file of weights is, e.g. isnet (default: what its keys tell)"
    )
    group.add_argument(
        "--quality",
        choices=QUALITIES,
        help="what auto may choose for this device (default: %(default)s)",
    )
    group.add_argument("--subject", choices=SUBJECTS, help="what auto chooses a model for")
    group.add_argument("--device", choices=DEVICES, help="where the model runs (default: %(default)s)")
    group.add_argument("--runtime", choices=RUNTIMES, help="what runs the model (default: %(default)s)")
    group.add_argument("--precision", choices=PRECISIONS, help="for torch (default: %(default)s)")
    group.add_argument("--compile", action="store_true", help="compile a torch model: a slow start, then faster")
    group.add_argument(
        "--combine", choices=COMBINATIONS, help="how masks of several models become one (default: %(default)s)"
    )
    group.add_argument(
        "--accept-licence",
        action="store_true",
        help="accept, once and for all, the licence of a model that does not allow commercial use",
    )
    parser.set_defaults(**_DEFAULTS)


def model_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return keyword arguments for :class:`gossamer.Pipeline`."""
    return {name: getattr(arguments, name) for name in _DEFAULTS}
