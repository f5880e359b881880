"""A network's costly convolutions in 8-bit integers: made on this machine from its float file, run by OpenVINO.

Photographs tell the range of each channel of what a convolution takes. Most of the difference between channels goes
into the weights, which have one range an output channel, so that one step serves all channels (Xiao et al.:
"SmoothQuant", ICML 2023, here for convolutions). A channel reaches as far as its largest values do on average, not as
far as the largest of all: what is rarer is cut off, and the steps are finer.

Only what comes after the smallest maps is quantised: a network of U²-Net's kind finds the subject on the way down to
them, where an error moves whole regions, and draws it on the way up, where one stays at an edge. Where there is little
work there is little to win: small convolutions and the last one stay in floating point, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gossamer.arrays import Array
from gossamer.errors import ModelError, OutputError
from gossamer.native.processor import has_bfloat16
from gossamer.networks.batches import watched
from gossamer.parallel.patience import patiently
from gossamer.parallel.threads import thread_count
from gossamer.progress import Progress
from gossamer.telemetry import openvino

__all__ = ["quantise_graph"]

_SHARE = 0.005
"""Of a network's work: a convolution with less stays in floating point."""

_NOTED = 0.001
"""Of a network's work: what has less does not tell where the maps are smallest."""

_QUIET = 1e-3
"""Of the loudest channel: what stayed below it is taken to reach it, lest a picture unlike all others be cut off."""

_SHIFTED = 0.75
"""How much of the differences between an activation's channels goes into the weights; what 1 would move is all."""

_ZERO = 1e-3
"""A tensor that goes no further below it is one of values above 0, after a ReLU and an interpolation."""


def quantise_graph(
    path: Path, output: int, pictures: Iterable[Array], count: int, made: Path, progress: Progress
) -> int:
    """Write a network with its costly convolutions in 8-bit integers.

    Parameters
    ----------
    path : Path
        An .onnx file, in float32 or float16.
    output : int
        Which of its outputs is the mask; the others are left out.
    pictures : iterable of (1, 3, h, w) float32
        What it sees of photographs, fed as its authors do.
    count : int
        How many these are.
    made : Path
        The .xml file to write; a .bin file beside it holds the weights. Both must not exist.
    progress : Progress
        Called for each picture; what it raises passes through, and nothing is written.

    Returns
    -------
    int
        How many convolutions were quantised.

    Raises
    ------
    ModelError
        The file is no ONNX model, takes no one size of pictures, or has no convolution that is worth it.
    """
    package = openvino()
    model = patiently(lambda: _float_model(package, path, output), progress)
    chosen = _costly(model)
    if not chosen:
        raise ModelError(f"{path.name} has no convolutions to quantise.", "Run it in float32 or bfloat16.")
    tensors = {_name(leaf): leaf for each in chosen for leaf in _leaves(each.input_value(0))}
    spreads = _spreads(package, model, tensors, pictures, count, progress.part(0.0, 0.95))
    _put_in(package, chosen, spreads)
    model.validate_nodes_and_infer_types()
    progress(0.95, "Writing the quantised model")
    try:
        patiently(lambda: package.save_model(model, str(made), compress_to_fp16=False), progress)
    except RuntimeError:
        raise OutputError(f"{made.name} could not be written.", "Free some space, and make it again.") from None
    return len(chosen)


def _float_model(package: Any, path: Path, output: int) -> Any:
    """Return the graph with one output, in float32 throughout: casts from and to half precision are taken out."""
    ops = package.opset13
    try:
        model = package.Core().read_model(str(path))
    except RuntimeError as error:
        raise ModelError(
            f"{path.name} is not a model that OpenVINO can load ({str(error).strip().splitlines()[-1][:200]}).",
            "Fetch it again with: gossamer models get ID --force",
        ) from None
    halves = ("f16", "f32")
    for node in model.get_ordered_ops():
        kind = node.get_type_name()
        if kind == "Constant" and node.get_element_type() == package.Type.f16:
            _replace(node.output(0), ops.constant(node.data.astype(np.float32)).output(0))
        elif kind == "Convert" and node.get_attributes().get("destination_type") in halves:
            if str(node.input_value(0).get_element_type()).strip("<>").endswith(("float16'", "float32'")):
                _replace(node.output(0), node.input_value(0))
    only = package.Model([model.output(output).node], model.get_parameters(), path.stem)
    only.validate_nodes_and_infer_types()
    return only


def _replace(old: Any, new: Any) -> None:
    for target in list(old.get_target_inputs()):
        target.replace_source_output(new)


def _costly(model: Any) -> list[Any]:
    """Return the convolutions with much work after the smallest maps, in order, but for the last."""
    every = [node for node in model.get_ordered_ops() if node.get_type_name() == "Convolution"]
    if any(node.output(0).get_partial_shape().is_dynamic for node in every):
        raise ModelError("The model takes pictures of any size.", "Give a file that was exported for one size.")
    work = [float(np.prod(node.output(0).get_shape()) * np.prod(list(node.input(1).get_shape())[1:])) for node in every]
    noted = [min(node.output(0).get_shape()[2:]) for node in every]
    sides = [side if done >= _NOTED * sum(work) else max(noted) for side, done in zip(noted, work, strict=True)]
    turn = max((number for number, side in enumerate(sides) if side == min(sides)), default=0)
    last = {node.friendly_name for node in _before(model.get_results())}
    return [
        node
        for number, (node, done) in enumerate(zip(every, work, strict=True))
        if number > turn
        and done >= _SHARE * sum(work)
        and node.friendly_name not in last
        and node.input_value(1).get_node().get_type_name() == "Constant"
    ]


def _before(nodes: Sequence[Any]) -> list[Any]:
    """Return the convolutions from which something comes to these nodes without another between."""
    found: list[Any] = []
    seen: set[str] = set()
    left = list(nodes)
    while left:
        node = left.pop()
        for value in node.input_values():
            source = value.get_node()
            if source.friendly_name in seen:
                continue
            seen.add(source.friendly_name)
            if source.get_type_name() == "Convolution":
                found.append(source)
            else:
                left.append(source)
    return found


def _leaves(value: Any) -> list[Any]:
    """Return the tensors that a convolution takes, before they are joined, in the order of its channels."""
    node = value.get_node()
    return [leaf for each in node.input_values() for leaf in _leaves(each)] if _joins(node) else [value]


def _joins(node: Any) -> bool:
    return bool(node.get_type_name() == "Concat")


class _Spread(NamedTuple):
    """What photographs show of a tensor's channels, (C,) each."""

    low: Array
    """The smallest value of all."""
    high: Array
    """The mean, over the photographs, of the largest value by size."""


def _spreads(
    package: Any,
    model: Any,
    tensors: dict[str, Any],
    pictures: Iterable[Array],
    count: int,
    progress: Progress,
) -> dict[str, _Spread]:
    """Look at all photographs, and return what each tensor's channels held."""
    ops = package.opset13
    over = ops.constant(np.array([0, 2, 3], np.int64))
    ends = [end(each, over, False) for each in tensors.values() for end in (ops.reduce_min, ops.reduce_max)]
    watching = package.Model([end.output(0) for end in ends], model.get_parameters(), "ranges")
    # What bfloat16 rounds is far less than the steps of a byte.
    hint = "bf16" if has_bfloat16() else "f32"
    settings = {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": thread_count()}
    compiled = patiently(lambda: package.Core().compile_model(watching, "CPU", settings), progress)
    request = compiled.create_infer_request()
    seen: dict[str, list[tuple[Array, Array]]] = {name: [] for name in tensors}
    for number, picture in enumerate(pictures):
        part = progress.part(number / count, (number + 1) / count)
        message = f"Looking at photograph {number + 1} of {count}"
        part(0.0, message)
        fed = np.ascontiguousarray(picture)
        watched(partial(request.infer, [fed]), part, request.cancel)
        for place, name in enumerate(tensors):
            low, high = (np.array(request.get_output_tensor(2 * place + side).data, np.float32) for side in (0, 1))
            seen[name].append((low, high))
    return {name: _spread(np.array(each)) for name, each in seen.items()}


def _spread(ends: Array) -> _Spread:
    """Return the spread of a tensor whose ends were (N, 2, C)."""
    return _Spread(ends[:, 0].min(axis=0), np.maximum(ends[:, 1], -ends[:, 0]).mean(axis=0))


def _put_in(package: Any, chosen: Sequence[Any], spreads: dict[str, _Spread]) -> None:
    """Let convolutions take 8-bit integers, times 8-bit weights."""
    ops = package.opset13
    for node in chosen:
        value, weights = node.input_value(0), node.input_value(1).get_node().data
        seen = [spreads[_name(leaf)] for leaf in _leaves(value)]
        signed = any(bool(spread.low.min() < -_ZERO) for spread in seen)
        far = np.concatenate([spread.high for spread in seen])
        far = np.maximum(far, max(float(far.max()), 1e-6) * _QUIET)
        strong = np.abs(weights).max(axis=(0, 2, 3))
        strong = np.maximum(strong, max(float(strong.max()), 1e-6) * _QUIET)
        scales = far**_SHIFTED / strong ** (1 - _SHIFTED)
        scales = (scales / np.exp(np.log(scales).mean())).astype(np.float32)
        reach = float((far / scales).max())
        low, high = (-reach, reach * 127 / 128) if signed else (0.0, reach)
        left = iter(np.split(scales, np.cumsum([len(spread.high) for spread in seen])[:-1]))

        def eight_bit(value: Any, low: float, high: float, left: Iterator[Array]) -> Any:
            if _joins(source := value.get_node()):
                parts = [eight_bit(each, low, high, left) for each in source.input_values()]
                return ops.concat(parts, source.get_attributes()["axis"]).output(0)
            own = next(left).reshape(1, -1, 1, 1)
            ends = (low * own, high * own, np.full((1, 1, 1, 1), low), np.full((1, 1, 1, 1), high))
            constants = [ops.constant(end.astype(np.float32)) for end in ends]
            return ops.fake_quantize(value, *constants, 256).output(0)

        weights = weights * scales.reshape(1, -1, 1, 1)
        step = np.maximum(np.abs(weights).max(axis=(1, 2, 3), keepdims=True), 1e-12) / 127
        whole = ops.constant(np.rint(weights / step).astype(np.int8))
        again = ops.multiply(ops.convert(whole, "f32"), ops.constant(step.astype(np.float32)))
        node.input(0).replace_source_output(eight_bit(value, low, high, left))
        node.input(1).replace_source_output(again.output(0))


def _name(value: Any) -> str:
    """Return what a tensor is called here: a node can have several."""
    return f"{value.get_node().friendly_name}:{value.get_index()}"
