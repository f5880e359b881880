"""Trained weights of Robust Video Matting written into the graph that its authors export, checked over frames.

The graph stays what it is, node by node: so whatever runs the published one runs this one, our kernels too, which know
it by everything but its weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gossamer.errors import ModelError, import_failure
from gossamer.files import move_into_place, staging_folder
from gossamer.networks.export import TOLERANCE, Exported
from gossamer.networks.recurrence import Recurrence
from gossamer.networks.recurrent_onnx import RecurrentOnnx
from gossamer.progress import Progress

if TYPE_CHECKING:
    from torch import nn

__all__ = ["export_recurrent"]

_CHECKED = ((96, 128, 1.0), (147, 181, 0.5), (120, 200, 0.375))  # height, width and how small it is seen
_FRAMES = 6  # of each: what is remembered has to agree as well


def export_recurrent(module: nn.Module, graph: Path, output: Path, *, progress: Progress | None = None) -> Exported:
    """Write a network as ONNX, run the file beside torch over several frames, and keep it only where both agree.

    Parameters
    ----------
    module : torch.nn.Module
        From :func:`gossamer.networks.recurrent_torch.load_recurrent`: float32, on the CPU.
    graph : Path
        The published graph of the same network.
    output : Path
        The new .onnx file.
    progress : Progress, optional
        May raise to stop the work.

    Returns
    -------
    Exported

    Raises
    ------
    ModelError
        The graph is another network's, or the file does not reproduce this one.
    MissingExtra
        The package onnx is not installed.
    OutputError
        It cannot be written.
    """
    try:
        import onnx
    except ImportError as error:
        raise import_failure(error, "Export to ONNX", "torch") from None
    steps = progress or Progress()
    steps(0.0, "Writing the weights into the graph")
    model = onnx.load(graph)
    _set_weights(model, module, graph)
    with staging_folder(output.parent) as folder:
        made = folder / output.name
        onnx.save(model, made)
        worst = _difference(module, made, steps)
        if not worst <= TOLERANCE:
            raise ModelError(
                f"The exported file does not reproduce the network: its mattes differ by {worst:.4f}.",
                "Nothing was written. Train again.",
            )
        move_into_place(made, output, force=False)
    steps(1.0)
    return Exported(output, worst, tuple((_FRAMES, height, width) for height, width, _ in _CHECKED))


def _set_weights(model: Any, module: nn.Module, graph: Path) -> None:
    """Set the weights of a graph's convolutions, in its order, each once however often it runs."""
    import torch
    from onnx import numpy_helper

    layers = iter([layer for layer in module.modules() if isinstance(layer, torch.nn.Conv2d)])
    values = {tensor.name: tensor for tensor in model.graph.initializer}
    known: dict[str, nn.Module] = {}
    written: set[str] = set()
    wrong = ModelError(f"{graph.name} is not the graph of this network.", "Begin with the model of the catalogue.")
    for node in (node for node in model.graph.node if node.op_type == "Conv"):
        first = node.input[1]
        layer: Any = known.get(first) or next(layers, None)
        if layer is None:
            raise wrong
        known[first] = layer
        for place, value in enumerate((layer.weight, layer.bias), start=1):
            if (value is None) != (len(node.input) <= place):
                raise wrong
            if value is None:
                continue
            name = node.input[place]
            if name not in values or list(values[name].dims) != list(value.shape):
                raise wrong
            array = np.ascontiguousarray(value.detach().numpy(), np.float32)
            if name in written and not np.array_equal(numpy_helper.to_array(values[name]), array):
                # The exporter had stored what was equal once: it is not any more.
                name = node.input[place] = f"{name}/{node.output[0]}"
                values[name] = model.graph.initializer.add()
            values[name].CopyFrom(numpy_helper.from_array(array, name))
            written.add(name)
    if next(layers, None) is not None:
        raise wrong


def _difference(module: nn.Module, file: Path, steps: Progress) -> float:
    """Return the largest difference between an alpha of the file and of torch, over frames and ratios."""
    import torch

    network, worst = RecurrentOnnx(file, "cpu"), 0.0
    for number, (height, width, ratio) in enumerate(_CHECKED):
        part = steps.part((number + 1) / (len(_CHECKED) + 1), (number + 2) / (len(_CHECKED) + 1))
        states: Sequence[torch.Tensor | None] = (None,) * 4
        remembered = Recurrence()
        for frame in _frames(height, width):
            found, remembered = network.run(frame, remembered, ratio, part)
            with torch.inference_mode():
                planes = torch.from_numpy(np.ascontiguousarray(frame.transpose(2, 0, 1)[None]))
                _, alpha, states = module(planes, states, ratio)
            worst = max(worst, float(np.abs(alpha[0, 0].numpy() - found).max()))
    network.unload()
    return worst


def _frames(height: int, width: int) -> Iterator[np.ndarray[Any, np.dtype[np.float32]]]:
    """Yield frames, (H, W, 3) float32: something bright that moves before smooth noise, the same each time."""
    import cv2

    lots = np.random.default_rng(0)
    coarse = lots.uniform(0, 1, (6, 8, 3)).astype(np.float32)
    behind = np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
    for place in range(_FRAMES):
        frame = behind.copy()
        centre = (width // 3 + 4 * place, height // 2 + 2 * place)
        cv2.ellipse(frame, centre, (width // 6, height // 4), 10.0 * place, 0, 360, (0.9, 0.8, 0.6), -1, cv2.LINE_AA)
        yield frame
