"""Which networks there are, and which of them a set of weights belongs to."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from gossamer.errors import InputError
from gossamer.networks.torch_package import torch_package

if TYPE_CHECKING:
    import torch

__all__ = ["NETWORKS", "NetworkSpec", "build", "plain_keys", "recognise", "renamed", "without_wrappers"]

Rules = Sequence[tuple[str, str]]

# What torch.nn.DataParallel and torch.compile put before every key of what they wrapped.
_WRAPPERS: Rules = ((r"^(?:module\.|_orig_mod\.)+", ""),)


@dataclass(frozen=True, kw_only=True)
class NetworkSpec:
    """What is known of a network without building it.

    Attributes
    ----------
    title : str
        Name for people.
    module, factory : str
        Where it is built: a module of ``gossamer.networks.architectures`` and a function there.
    arguments : tuple
        What the function is called with.
    shapes : mapping of str to (tuple of int or None)
        State-dict keys, with their shapes, that together tell it from every other network; None: any shape.
    output : {"probability", "logit"}
        What its forward returns.
    half : bool
        Whether it may run in float16.
    multiple : int
        Height and width must be multiples of this.
    any_size : bool
        Whether one ONNX graph of it can take every size.
    convolutional : bool
        Whether its weights are those of convolutions and batch normalisation only, registered in the order in
        which they run, so that they can be taken from any ONNX graph of it.
    memory : int
        Bytes that one pixel of what it sees takes at the most in float32 on a processor, as measured at 1024 x 1024.
    rename : tuple of (str, str)
        How its published files name keys otherwise: regular expression and replacement, in order. An entry
        whose key becomes empty is left out.
    """

    title: str
    module: str
    factory: str
    arguments: tuple[Any, ...] = ()
    shapes: Mapping[str, tuple[int, ...] | None]
    output: Literal["probability", "logit"]
    memory: int
    half: bool = True
    multiple: int = 1
    any_size: bool = True
    convolutional: bool = False
    rename: tuple[tuple[str, str], ...] = ()


def _birefnet(title: str, backbone: str, width: int, patches: str = "rows") -> NetworkSpec:
    return NetworkSpec(
        title=f"BiRefNet ({title})",
        module="birefnet",
        factory="birefnet",
        arguments=(backbone, patches),
        shapes={"bb.patch_embed.proj.weight": (width, 3, 4, 4), "decoder.conv_out1.0.weight": None},
        output="logit",
        memory=660 if backbone == "swin_t" else 890,
        multiple=32,
    )


NETWORKS: Mapping[str, NetworkSpec] = MappingProxyType(
    {
        "u2net": NetworkSpec(
            title="U²-Net",
            module="u2net",
            factory="u2net",
            shapes={"stage1.rebnconv1.conv_s1.weight": (32, 64, 3, 3), "outconv.weight": (1, 6, 1, 1)},
            output="probability",
            memory=2050,
            convolutional=True,
        ),
        "u2netp": NetworkSpec(
            title="U²-Net, small",
            module="u2net",
            factory="u2netp",
            shapes={"stage1.rebnconv1.conv_s1.weight": (16, 64, 3, 3), "outconv.weight": (1, 6, 1, 1)},
            output="probability",
            memory=1960,
            convolutional=True,
        ),
        "isnet": NetworkSpec(
            title="IS-Net",
            module="isnet",
            factory="isnet",
            shapes={"conv_in.weight": (64, 3, 3, 3), "stage1.rebnconvin.conv_s1.weight": (64, 64, 3, 3)},
            output="probability",
            memory=610,
            # The training checkpoints of isnet-anime hold the network beside the one that taught it.
            rename=((r"^gt_encoder\..*$", ""), (r"^net\.", "")),
            convolutional=True,
        ),
        "birefnet_swin_t": _birefnet("Swin-T", "swin_t", 96),
        "birefnet_swin_b": _birefnet("Swin-B", "swin_b", 128),
        "birefnet_swin_l": _birefnet("Swin-L", "swin_l", 192),
        # The same layers and names, fed otherwise, which no name or shape says: a file is taken for one of the above,
        # and its weights tell the order when they are loaded (patch_order.py).
        "birefnet_swin_t_columns": _birefnet("Swin-T, patches in columns", "swin_t", 96, "columns"),
        "birefnet_swin_l_columns": _birefnet("Swin-L, patches in columns", "swin_l", 192, "columns"),
        # Nobody has tried these three in float16 here.
        "ben2": NetworkSpec(
            title="BEN2",
            module="ben2",
            factory="ben2",
            shapes={"backbone.patch_embed.proj.weight": (128, 3, 4, 4), "output5.0.weight": (128, 1024, 3, 3)},
            output="probability",
            memory=2580,
            half=False,
            multiple=128,
            any_size=False,
        ),
        "inspyrenet": NetworkSpec(
            title="InSPyReNet",
            module="inspyrenet",
            factory="inspyrenet",
            shapes={
                "backbone.patch_embed.proj.weight": (128, 3, 4, 4),
                "context1.branch0.conv.weight": (64, 128, 1, 1),
            },
            output="logit",
            memory=2570,
            half=False,
            multiple=32,
        ),
        "modnet": NetworkSpec(
            title="MODNet",
            module="modnet",
            factory="modnet",
            shapes={
                "backbone.model.features.0.0.weight": (32, 3, 3, 3),
                "f_branch.conv_f.1.layers.0.weight": (1, 16, 1, 1),
            },
            output="probability",
            memory=690,
            half=False,
            multiple=32,
        ),
    }
)
"""Every network that Gossamer can run in torch, by the name that the catalogue gives it."""


def build(name: str) -> torch.nn.Module:
    """Return a network in evaluation mode, float32, on the CPU, whose weights are not set.

    Parameters
    ----------
    name : str
        A key of :data:`NETWORKS`.

    Raises
    ------
    InputError
        There is no such network.
    MissingExtra
        torch is not installed.
    """
    spec = NETWORKS.get(name)
    if spec is None:
        raise InputError(f"There is no network {name!r}.", f"Choose one of: {', '.join(NETWORKS)}.")
    torch = torch_package("Running a network in torch")
    from torch.nn import Module
    from torch.overrides import TorchFunctionMode

    class WithoutDrawing(TorchFunctionMode):
        """Leave out random initialisation: it takes seconds, and weights replace it at once."""

        def __torch_function__(
            self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
        ) -> Any:
            given = kwargs or {}
            if func in drawing:
                return args[0] if args else given["tensor"]
            return func(*args, **given)

    init, tensor = torch.nn.init, torch.Tensor
    drawing = {
        init.uniform_,
        init.normal_,
        init.kaiming_uniform_,
        init.kaiming_normal_,
        tensor.uniform_,
        tensor.normal_,
    }
    module = importlib.import_module(f"gossamer.networks.architectures.{spec.module}")
    with WithoutDrawing():
        network: Module = getattr(module, spec.factory)(*spec.arguments)
    return network.eval().requires_grad_(False)


def recognise(keys: Mapping[str, tuple[int, ...]]) -> str | None:
    """Return which network a state dict belongs to.

    Parameters
    ----------
    keys : mapping of str to tuple of int
        State-dict keys and the shapes of their tensors; prefixes that wrappers add do not matter.

    Returns
    -------
    str or None
        The first key of :data:`NETWORKS` that fits, or None.
    """
    for name, spec in NETWORKS.items():
        if _holds(renamed(keys, (*_WRAPPERS, *spec.rename)), spec.shapes):
            return name
    return None


def renamed(entries: Mapping[str, Any], rules: Rules) -> dict[str, Any]:
    """Return `entries` with every key passed through `rules` in order; those whose key becomes empty are left out.

    Parameters
    ----------
    entries : mapping
        By state-dict key.
    rules : sequence of (str, str)
        Regular expression and replacement, as for `re.sub`.
    """
    result = {}
    for key, value in entries.items():
        for pattern, replacement in rules:
            key = re.sub(pattern, replacement, key)
        if key:
            result[key] = value
    return result


def without_wrappers(entries: Mapping[str, Any]) -> dict[str, Any]:
    """Return a checkpoint's entries without what torch's wrappers put before every key."""
    return renamed(entries, _WRAPPERS)


def plain_keys(entries: Mapping[str, Any], name: str, rename: Rules = ()) -> dict[str, Any]:
    """Return a checkpoint's entries under the names of network `name`.

    Parameters
    ----------
    entries : mapping
        By the key that the file has.
    name : str
        A key of :data:`NETWORKS`.
    rename : sequence of (str, str)
        The catalogue's own rules for this file; they come before those of the network.
    """
    return renamed(entries, (*_WRAPPERS, *rename, *NETWORKS[name].rename))


def _holds(entries: Mapping[str, tuple[int, ...]], shapes: Mapping[str, tuple[int, ...] | None]) -> bool:
    return all(key in entries and shape in (None, tuple(entries[key])) for key, shape in shapes.items())
