"""Weights out of ONNX graphs, whose exporters renamed them and folded batch normalisation into them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gossamer.errors import ModelError, import_failure, is_lack_of_memory
from gossamer.networks.architectures.networks import NETWORKS, build

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["graph_convolutions", "graph_initialisers", "graph_network", "graph_state_dict"]

_TORCH_ONLY = "Give its weights as .safetensors or .pth, or run this file with --runtime onnx."


@dataclass(frozen=True)
class _Convolution:
    """A convolution of a graph, with the batch normalisation behind it where that was not folded."""

    name: str
    weight: NDArray[Any]
    bias: NDArray[Any] | None
    normalisation: tuple[NDArray[Any], ...] | None
    """Scale, bias, mean and variance."""
    epsilon: float


def graph_initialisers(path: Path) -> dict[str, NDArray[Any]]:
    """Return the initialisers of an ONNX graph by their names in it.

    Raises
    ------
    ModelError
        The file is no ONNX model.
    MissingExtra
        The package onnx is not installed.
    """
    return _initialisers(_graph(path), path)


def graph_convolutions(path: Path) -> list[tuple[NDArray[Any], NDArray[Any] | None]]:
    """Return weight and bias of the convolutions of an ONNX graph in its order, each once, however often it runs.

    Raises
    ------
    ModelError
        The file is no ONNX model, or its convolutions compute their weights or are followed by batch normalisation.
    MissingExtra
        The package onnx is not installed.
    """
    graph = _graph(path)
    names = [node.input[1] for node in graph.node if node.op_type == "Conv"]
    try:
        found = _convolutions(graph, path)
    except _NotPlain as error:
        raise ModelError(f"The weights in {path.name} cannot be told apart ({error}).", _TORCH_ONLY) from None
    if any(one.normalisation is not None for one in found):
        raise ModelError(f"The weights in {path.name} are not folded.", _TORCH_ONLY)
    first = {name: place for place, name in reversed(list(enumerate(names)))}
    return [(found[place].weight, found[place].bias) for place in sorted(first.values())]


def graph_network(path: Path) -> str | None:
    """Return which of the networks made of convolutions an ONNX graph is, by the shapes of all of them.

    Raises
    ------
    ModelError, MissingExtra
        See :func:`graph_initialisers`.
    """
    try:
        found = [convolution.weight.shape for convolution in _convolutions(_graph(path), path)]
    except _NotPlain:
        return None
    import torch

    for name, spec in NETWORKS.items():
        if not spec.convolutional:
            continue
        module = build(name)
        shapes = {
            key: tuple(layer.weight.shape)
            for key, layer in module.named_modules()
            if isinstance(layer, torch.nn.Conv2d)
        }
        if found in (list(shapes.values()), [shapes[key] for key in shapes if key not in _training_only(module)]):
            return name
    return None


def graph_state_dict(path: Path, module: nn.Module, network: str) -> dict[str, Tensor]:
    """Return the state dict that makes `module` compute what an ONNX graph computes.

    Initialisers that have the names of the state dict are taken by name. Otherwise the n-th convolution of the
    graph becomes the n-th of the module: exporters write nodes in the order in which they ran, and our modules
    register their layers in that order. Where batch normalisation was folded into a convolution, the module's is
    set to do nothing.

    Parameters
    ----------
    path : Path
        The .onnx file.
    module : torch.nn.Module
        The network that the weights are for.
    network : str
        Its key in :data:`~gossamer.networks.architectures.networks.NETWORKS`.

    Returns
    -------
    dict of str to Tensor
        float32.

    Raises
    ------
    ModelError
        The graph is not this network, or holds layers whose weights cannot be told apart.
    MissingExtra
        The package onnx is not installed.
    """
    import torch

    graph = _graph(path)
    expected = module.state_dict()
    named = _initialisers(graph, path)
    if all(key in named or key.endswith("num_batches_tracked") for key in expected):
        return {key: torch.from_numpy(named[key]).to(expected[key].dtype) for key in expected if key in named}
    layers = [(name, layer) for name, layer in module.named_modules() if not any(layer.children())]
    weighted = [(name, layer) for name, layer in layers if any(True for _ in layer.parameters(recurse=False))]
    if not all(isinstance(layer, torch.nn.Conv2d | torch.nn.BatchNorm2d) for _, layer in weighted):
        raise ModelError(
            f"The weights of {NETWORKS[network].title} cannot be taken from an ONNX file: exporters rearrange them.",
            _TORCH_ONLY,
        )
    try:
        convolutions = deque(_convolutions(graph, path))
    except _NotPlain as error:
        raise ModelError(f"The weights in {path.name} cannot be told apart ({error}).", _TORCH_ONLY) from None
    state: dict[str, Tensor] = {}
    wanted = sum(isinstance(layer, torch.nn.Conv2d) for _, layer in weighted)
    if len(convolutions) == wanted - len(_training_only(module)):
        absent = tuple(f"{name}." for name in _training_only(module))
        state = {key: torch.zeros_like(value) for key, value in expected.items() if key.startswith(absent)}
        weighted = [(name, layer) for name, layer in weighted if name not in _training_only(module)]
    elif len(convolutions) != wanted:
        raise ModelError(
            f"{path.name} is not {NETWORKS[network].title}: it has {len(convolutions)} convolutions, not {wanted}.",
            _TORCH_ONLY,
        )
    last: _Convolution | None = None
    for name, layer in weighted:
        if isinstance(layer, torch.nn.Conv2d):
            last = convolutions.popleft()
            _check_convolution(last, name, layer, path, network)
            bias = np.zeros(len(last.weight)) if last.bias is None else last.bias
            values = {"weight": last.weight, "bias": bias}
        elif isinstance(layer, torch.nn.BatchNorm2d) and last is not None:
            values = _normalisation(last, layer)
        plain = {key: np.ascontiguousarray(value, np.float32) for key, value in values.items()}
        state.update({f"{name}.{key}": torch.from_numpy(value) for key, value in plain.items()})
    return state


def _training_only(module: nn.Module) -> tuple[str, ...]:
    """Return the layers that a network holds, but does not run, so that exports of it may lack them."""
    names: tuple[str, ...] = getattr(module, "training_only", ())
    return names


class _NotPlain(Exception):
    """The graph's convolutions do not simply hold their weights."""


def _check_convolution(found: _Convolution, name: str, layer: nn.Conv2d, path: Path, network: str) -> None:
    shape = tuple(layer.weight.shape)
    # Newer exporters name nodes by module ("/stage1/rebnconv1/conv_s1/Conv"): where they do, the names must agree.
    place = found.name.strip("/").removesuffix("/Conv").replace("/", ".")
    if found.weight.shape != shape or ("/" in found.name and not place.endswith(name)):
        raise ModelError(
            f"{path.name} is not {NETWORKS[network].title}: where {name} {shape} belongs it has "
            f"{found.name or 'a convolution'} {found.weight.shape}.",
            _TORCH_ONLY,
        )


def _normalisation(convolution: _Convolution, layer: nn.BatchNorm2d) -> dict[str, NDArray[Any]]:
    ones, zeros = np.ones(layer.num_features), np.zeros(layer.num_features)
    if convolution.normalisation is None:
        # Dividing by sqrt(variance + eps) is to be dividing by 1.
        return {"weight": ones, "bias": zeros, "running_mean": zeros, "running_var": ones - layer.eps}
    scale, bias, mean, variance = convolution.normalisation
    variance = variance.astype(np.float64) + (convolution.epsilon - layer.eps)
    return {"weight": scale, "bias": bias, "running_mean": mean, "running_var": variance}


def _graph(path: Path) -> Any:
    try:
        import onnx
    except ImportError as error:
        raise import_failure(error, "Reading weights out of an .onnx file", "torch") from None
    try:
        graph = onnx.load(path).graph
    except Exception as error:  # protobuf's own, the checker's, or a system error
        raise _damaged(path, error) from None
    if not graph.node:
        raise ModelError(f"{path.name} is not a readable .onnx file (it holds no graph).", "Fetch it again.")
    return graph


def _initialisers(graph: Any, path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of a graph; raises ModelError where they are damaged."""
    try:
        return _arrays_of(graph)
    except Exception as error:  # of an unknown type, of another size than its shape says, in a file that is not there
        raise _damaged(path, error) from None


def _convolutions(graph: Any, path: Path) -> list[_Convolution]:
    """Return the convolutions of a graph in its order; raises ModelError where it is damaged, and _NotPlain."""
    try:
        return list(_convolutions_of(graph))
    except _NotPlain:
        raise
    except Exception as error:  # as above, or of nodes without inputs and outputs
        raise _damaged(path, error) from None


def _arrays_of(graph: Any) -> dict[str, NDArray[Any]]:
    from onnx import numpy_helper

    return {tensor.name: np.array(numpy_helper.to_array(tensor)) for tensor in graph.initializer}


def _convolutions_of(graph: Any) -> Iterator[_Convolution]:
    values = _arrays_of(graph)
    for node in graph.node:  # some exporters store equal arrays once and point to them
        if node.op_type == "Identity" and node.input[0] in values:
            values[node.output[0]] = values[node.input[0]]
    # The last node that reads a value; a convolution that batch normalisation follows has that reader only.
    readers = {name: node for node in graph.node for name in node.input}
    for node in graph.node:
        if node.op_type != "Conv":
            continue
        arrays = [values[name] for name in node.input[1:] if name in values]
        if len(arrays) != len(node.input) - 1:
            raise _NotPlain(f"{node.name or 'a convolution'} computes its weights, as quantised models do")
        bias = arrays[1] if len(arrays) > 1 else None
        reader = readers.get(node.output[0])
        normalisation, epsilon = None, 0.0
        if reader is not None and reader.op_type == "BatchNormalization":
            normalisation = tuple(values[name] for name in reader.input[1:5] if name in values)
            if len(normalisation) != 4:
                raise _NotPlain(f"{reader.name or 'a batch normalisation'} computes its weights")
            epsilon = next((a.f for a in reader.attribute if a.name == "epsilon"), 1e-5)
        yield _Convolution(node.name, arrays[0], bias, normalisation, epsilon)


def _damaged(path: Path, error: BaseException) -> ModelError | MemoryError:
    if is_lack_of_memory(error):
        return MemoryError(_brief(error))
    return ModelError(f"{path.name} is not a readable .onnx file ({_brief(error)}).", "Fetch it again.")


def _brief(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return text[0][:160] if text else type(error).__name__
