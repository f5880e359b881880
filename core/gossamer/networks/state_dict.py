"""Weights from files: read without running code, named, and set in a network with nothing missing or left over."""

from __future__ import annotations

import pickle
import struct
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gossamer.errors import InputError, ModelError, ModelNotFound, import_failure, is_lack_of_memory
from gossamer.networks.architectures.networks import NETWORKS, build, plain_keys, recognise
from gossamer.networks.architectures.patch_order import patch_order
from gossamer.networks.graph_state_dict import graph_initialisers, graph_network, graph_state_dict
from gossamer.networks.torch_package import torch_package

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["SUFFIXES", "load_network", "read_state_dict", "recognise_file"]

SUFFIXES = (".safetensors", ".pth", ".pt", ".ckpt", ".onnx")
"""Endings of files that weights are read from."""

_PICKLES = (".pth", ".pt", ".ckpt")
_AGAIN = "Fetch it again: the file is damaged or was cut short."
# Where training programs put the weights in what they save beside them.
_WRAPPERS = ("state_dict", "model", "model_state_dict", "net", "params", "params_ema")
_MOST_UNPACKED = 4  # times the file: weights that somebody has compressed are hardly half
_NAMED = 3  # names that an error gives; the rest is counted


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a file of weights; no code that the file may hold is run.

    Parameters
    ----------
    path : Path
        .safetensors; .pth, .pt or .ckpt (read with ``weights_only=True``; a dict that holds the weights under
        ``state_dict``, ``model`` and the like is opened); or .onnx, whose initialisers are given by their names
        in the graph.

    Returns
    -------
    dict of str to Tensor
        On the CPU, in the precision of the file, named as in the file.

    Raises
    ------
    ModelNotFound
        There is no such file.
    ModelError
        The file is damaged, holds code, or holds no weights.
    InputError
        The file's name ends otherwise.
    MissingExtra
        torch, or onnx for an .onnx file, is not installed.
    """
    suffix = _checked_suffix(path)
    torch = _torch()
    if suffix == ".onnx":
        return {name: torch.from_numpy(array) for name, array in graph_initialisers(path).items()}
    if suffix == ".safetensors":
        return _read_safetensors(path)
    return _unwrapped(_read_pickle(path, "cpu"), path)


def recognise_file(path: Path) -> str | None:
    """Return which network the weights in a file belong to.

    Parameters
    ----------
    path : Path
        See :func:`read_state_dict`; an .onnx file is recognised by the shapes of its convolutions.

    Returns
    -------
    str or None
        A key of :data:`~gossamer.networks.architectures.networks.NETWORKS`, or None.

    Raises
    ------
    ModelNotFound, ModelError, InputError, MissingExtra
        See :func:`read_state_dict`.
    """
    suffix = _checked_suffix(path)
    if suffix == ".onnx":
        return graph_network(path)
    if suffix == ".safetensors":
        entries = _read_safetensors(path)
    else:
        entries = _unwrapped(_read_pickle(path, "meta"), path)
    return recognise({key: tuple(value.shape) for key, value in entries.items()})


def load_network(path: Path, network: str, rename: Sequence[tuple[str, str]] = ()) -> nn.Module:
    """Build a network and set its weights from a file, each of them and nothing else.

    Parameters
    ----------
    path : Path
        See :func:`read_state_dict`. From an .onnx file whose exporter renamed the weights or folded batch
        normalisation into them, they come over by the order of the graph.
    network : str
        A key of :data:`~gossamer.networks.architectures.networks.NETWORKS`.
    rename : sequence of (str, str)
        Regular expression and replacement, applied to the file's keys in order; an entry whose key becomes
        empty is left out.

    Returns
    -------
    torch.nn.Module
        float32, on the CPU, in evaluation mode. A BiRefNet takes the picture's patches in the order that its
        weights show, and in that of `network` where they do not show it.

    Raises
    ------
    ModelError
        Weights are missing, left over, of another shape or not finite; the message names them.
    ModelNotFound, InputError, MissingExtra
        See :func:`read_state_dict`.
    """
    module = build(network)
    if path.suffix.lower() == ".onnx":
        _checked_suffix(path)
        entries: Mapping[str, Tensor] = graph_state_dict(path, module, network)
    else:
        entries = plain_keys(read_state_dict(path), network, rename)
    _check(entries, module, network, path)
    module.load_state_dict(dict(entries), strict=False)  # _check was stricter, but for counters that nothing reads
    order = patch_order(entries) if NETWORKS[network].module == "birefnet" else None
    if order is not None:
        decoder: Any = module.get_submodule("decoder")
        decoder.patches = order
    return module


def _check(entries: Mapping[str, Tensor], module: nn.Module, network: str, path: Path) -> None:
    """Raise ModelError unless `entries` are just the weights of `module`."""
    import torch

    expected = module.state_dict()
    # Batch normalisation's counter of training steps: old files lack it and evaluation does not read it.
    missing = [key for key in expected if key not in entries and not key.endswith("num_batches_tracked")]
    unexpected = [key for key in entries if key not in expected]
    misshapen = [
        f"{key} {tuple(entries[key].shape)} instead of {tuple(expected[key].shape)}"
        for key in expected
        if key in entries and entries[key].shape != expected[key].shape
    ]
    if not (missing or unexpected or misshapen):
        for key, value in entries.items():
            # A sum is not finite where a value is not, and takes a tenth of the time that looking at each takes.
            if not value.is_floating_point() or bool(torch.isfinite(value.sum(dtype=torch.float32))):
                continue
            if not bool(torch.isfinite(value).all()):
                raise ModelError(f"The weights {key} in {path.name} are not finite.", _AGAIN)
        return
    title = NETWORKS[network].title
    likeness = recognise({key: tuple(value.shape) for key, value in entries.items()})
    if likeness not in (None, network):
        raise ModelError(
            f"{path.name} holds weights of {NETWORKS[likeness or ''].title}, not of {title}.",
            f"Name the architecture {likeness}, or leave it out.",
        )
    faults = [
        f"{len(keys)} {what} ({', '.join(keys[:_NAMED])}{', ...' if len(keys) > _NAMED else ''})"
        for keys, what in ((missing, "missing"), (unexpected, "unexpected"), (misshapen, "of another shape"))
        if keys
    ]
    raise ModelError(
        f"{path.name} does not fit {title}, which has {len(expected)} weights: {', '.join(faults)}.",
        "Give weights of that architecture, or name the one that these are of.",
    )


def _checked_suffix(path: Path) -> str:
    if not path.is_file():
        raise ModelNotFound(f"There is no model file {path}.", "Check the path.")
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"{path.name} is not a file of weights.", f"Give one that ends in {', '.join(SUFFIXES)}.")
    return suffix


def _torch() -> Any:
    return torch_package("Reading these weights")


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    torch_package("Reading .safetensors")
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as error:
        raise import_failure(error, "Reading .safetensors", "torch") from None
    try:
        entries: dict[str, Tensor] = load_file(path)
        return entries
    except (SafetensorError, ValueError, OSError) as error:
        raise ModelError(f"{path.name} is not a readable .safetensors file ({_brief(error)}).", _AGAIN) from None


def _read_pickle(path: Path, place: str) -> Any:
    """Return what a .pth file holds; with `place` "meta" only the shapes of its tensors are true."""
    torch = _torch()
    try:
        zipped = zipfile.is_zipfile(path)
    except zipfile.BadZipFile:  # where it is one, and damaged
        zipped = True
    if zipped:
        _check_zip(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about old formats and foreign pickles, which are read or refused below
            # Mapped, so that the file and the network are not both held in memory; the old format cannot be.
            return torch.load(path, map_location=place, weights_only=True, mmap=zipped)
    except pickle.UnpicklingError as error:
        if _holds_code(path, str(error).lower()):
            raise ModelError(
                f"{path.name} holds more than weights: loading it would run code from it, which Gossamer never does.",
                "Get the same weights as .safetensors, or as a state dict saved by their authors.",
            ) from None
        raise ModelError(f"{path.name} is not a readable file of weights.", _AGAIN) from None
    except Exception as error:  # whatever the reader of pickles and the tensors' own functions make of other bytes
        if is_lack_of_memory(error):
            raise MemoryError(_brief(error)) from None
        raise ModelError(f"{path.name} is not a readable file of weights ({_brief(error)}).", _AGAIN) from None


def _check_zip(path: Path) -> None:
    """Refuse, before anything of it is unpacked, a file whose parts are said to be far larger than it.

    torch.save compresses nothing, and torch.load takes memory for as much as the directory says.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error) as error:
        raise ModelError(f"{path.name} is not a readable file of weights ({_brief(error)}).", _AGAIN) from None
    unpacked = sum(part.file_size for part in parts)
    if unpacked > _MOST_UNPACKED * path.stat().st_size:
        raise ModelError(
            f"{path.name} would take {unpacked / 1e9:.1f} GB when unpacked, out of {path.stat().st_size / 1e9:.3f} GB.",
            "Fetch it from its authors: weights that torch.save wrote are not compressed.",
        )


def _holds_code(path: Path, message: str) -> bool:
    """Return whether torch refused a pickle for what it holds, and not because it is no pickle."""
    if any(
        phrase in message for phrase in ("unsupported global", "unsupported class", "not an allowed", "instantiate")
    ):
        return True
    # Pickles of Python itself, newer than torch's, hold instructions that its reader does not know.
    with path.open("rb") as file:
        head = file.read(2)
    return "unsupported operand" in message and len(head) == 2 and head[0] == 0x80 and 2 <= head[1] <= 5


def _unwrapped(content: Any, path: Path) -> dict[str, Tensor]:
    """Return the state dict in what a training program saved."""
    torch = _torch()
    for _ in range(len(_WRAPPERS)):
        if not isinstance(content, dict):
            break
        inner = next((content[key] for key in _WRAPPERS if isinstance(content.get(key), dict)), None)
        if inner is None:
            break
        content = inner
    if isinstance(content, dict):
        entries = {str(key): value for key, value in content.items() if isinstance(value, torch.Tensor)}
        if entries:
            return entries
    raise ModelError(f"There are no weights in {path.name}.", "Give a state dict, saved with torch.save.")


def _brief(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return text[0][:160] if text else type(error).__name__
