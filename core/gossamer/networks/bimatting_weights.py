"""BiMatting's weights: of its authors' files, and packed as bits in a file of our own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gossamer.errors import InputError, ModelError
from gossamer.networks.architectures.networks import without_wrappers
from gossamer.networks.binary_convolution import packed_bits, unpacked_bits
from gossamer.networks.state_dict import read_state_dict

if TYPE_CHECKING:
    from torch import Tensor, nn

    from gossamer.networks.architectures.bimatting import BiMatting

__all__ = ["PACKED", "load_bimatting", "packed_entries"]

PACKED = "gossamer-bimatting-1"
"""What a packed file says of itself in its metadata."""

_ENDINGS = (".safetensors", ".pth", ".pt", ".ckpt")


def load_bimatting(path: Path) -> BiMatting:
    """Build BiMatting and set its weights from a file.

    Parameters
    ----------
    path : Path
        Its authors' checkpoint (.pth or .safetensors), or a file that ``gossamer models export`` packed.

    Returns
    -------
    BiMatting
        float32, on the CPU, in evaluation mode.

    Raises
    ------
    ModelNotFound, ModelError, InputError, MissingExtra
        As :func:`gossamer.networks.state_dict.read_state_dict`; the file holds something else.
    """
    if path.suffix.lower() not in _ENDINGS:
        raise InputError(f"{path.name} is not a file of BiMatting's weights.", f"Give one that ends in {_ENDINGS[0]}.")
    state = without_wrappers(read_state_dict(path))
    from gossamer.networks.architectures.bimatting import BiMatting

    module = BiMatting().eval().requires_grad_(False)
    if _format(path) == PACKED:
        ours = _unpacked(state, module, path)
    else:
        try:
            ours = _Checkpoint(state, path).converted()
        except RuntimeError:  # shapes that do not go together
            raise _other(path) from None
    expected = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    if {name: tuple(value.shape) for name, value in ours.items()} != expected:
        raise _other(path)
    module.load_state_dict(ours)
    return module


def packed_entries(module: BiMatting) -> dict[str, Tensor]:
    """Return what a packed file holds: one bit for each sign, and the rest as it is."""
    import torch

    entries: dict[str, Tensor] = {}
    for name, value in module.state_dict().items():
        if name.endswith(".signs"):
            bits, known = packed_bits(value.to(torch.int8).numpy())
            entries[f"{name.removesuffix('signs')}bits"] = torch.from_numpy(bits)
            if known is not None:
                entries[f"{name.removesuffix('signs')}known"] = torch.from_numpy(known)
        else:
            entries[name] = value.detach().float().contiguous().clone()
    return entries


def _format(path: Path) -> str:
    """Return what a file of safetensors says of itself in its header; "" for others."""
    if path.suffix.lower() != ".safetensors":
        return ""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))  # read_state_dict has read it already
    return str(header.get("__metadata__", {}).get("gossamer", ""))


def _unpacked(state: Mapping[str, Tensor], module: nn.Module, path: Path) -> dict[str, Tensor]:
    import torch

    ours = {name: value for name, value in state.items() if not name.endswith((".bits", ".known"))}
    for name, value in module.state_dict().items():
        if not name.endswith(".signs"):
            continue
        place = name.removesuffix("signs")
        bits, known = state.get(f"{place}bits"), state.get(f"{place}known")
        enough = -(-value.numel() // 8)
        if bits is None or any(
            one is not None and (one.dtype != torch.uint8 or one.numel() != enough) for one in (bits, known)
        ):
            raise _other(path)
        signs = unpacked_bits(bits.numpy(), None if known is None else known.numpy(), tuple(value.shape))
        ours[name] = torch.from_numpy(signs.astype(np.float32))
    return ours


class _Checkpoint:
    """The authors' weights, made ours: latent weights become signs, what is around them one factor and one summand.

    They are computed in double precision, so that each is rounded once.
    """

    def __init__(self, state: Mapping[str, Tensor], path: Path) -> None:
        self._state, self._path = state, path
        self._ours: dict[str, Tensor] = {}

    def converted(self) -> dict[str, Tensor]:
        """Return the state dict of our network."""
        from gossamer.networks.architectures.bimatting import BiMatting, Signs

        for name, layer in BiMatting().backbone.named_modules():
            if isinstance(layer, Signs) and name.endswith("spatial"):
                self._block(int(name.split(".")[1]) + 1)
        self._plain("backbone.first", "backbone.feature.0.conv1", "backbone.feature.0.bn1")
        self._tail("aspp.aspp1", "aspp.aspp1")
        self._signs("aspp.aspp2", "aspp.aspp2.1.bias", ["aspp.aspp2.3"])
        decoder = "decoder"
        self._gate(f"{decoder}.gru", f"{decoder}.decode4.gru", ("ih", "hh"))
        self._tail(f"{decoder}.head", f"{decoder}.decode4.conv")
        for level in ("decode3", "decode2", "decode1"):
            for part in ("conv", "conv_1x1"):
                self._tail(f"{decoder}.{level}.{part}", f"{decoder}.{level}.{part}")
            self._gate(f"{decoder}.{level}.gru", f"{decoder}.{level}.gru", ("ih", "hh", "ih_1x1", "hh_1x1"))
        for ours, part in (("", "conv"), ("_1x1", "conv_1x1")):
            theirs = f"{decoder}.decode0.{part}"
            self._signs(f"{decoder}.decode0.signs{ours}", f"{theirs}.0.bias", [f"{theirs}.2"], [f"{theirs}.3"], bends=0)
            self._plain(f"{decoder}.decode0.conv{ours}", f"{theirs}.5", f"{theirs}.6")
        for name in ("weight", "bias"):
            self._ours[f"project_mat.{name}"] = self._taken(f"project_mat.conv.{name}")
            self._ours[f"refiner.conv.{name}"] = self._taken(f"refiner.conv.12.{name}")
        self._ours["refiner.box_filter.weight"] = self._taken("refiner.box_filter.weight")
        self._tail("refiner.signs1", "refiner.conv")
        self._tail("refiner.signs2", "refiner.conv", 6)
        return {name: value.float().contiguous() for name, value in self._ours.items()}

    def _block(self, number: int) -> None:
        ours, theirs = f"backbone.blocks.{number - 1}", f"backbone.feature.{number}"
        self._signs(
            f"{ours}.spatial",
            f"{theirs}.move11.bias",
            [f"{theirs}.binary_3x3"],
            [f"{theirs}.bn1"],
            f"{theirs}.move12.bias",
            f"{theirs}.prelu1.weight",
            f"{theirs}.move13.bias",
        )
        downs = [key for key in range(1, 5) if f"{theirs}.binary_pw_down{key}.weight" in self._state]
        convolutions = [f"{theirs}.binary_pw_down{key}" for key in downs] or [f"{theirs}.binary_pw"]
        norms = [f"{theirs}.bn2_{key}" for key in downs] or [f"{theirs}.bn2"]
        self._signs(
            f"{ours}.pointwise",
            f"{theirs}.move21.bias",
            convolutions,
            norms,
            f"{theirs}.move22.bias",
            f"{theirs}.prelu2.weight",
            f"{theirs}.move23.bias",
        )

    def _gate(self, ours: str, theirs: str, parts: tuple[str, ...]) -> None:
        for part in parts:
            place = f"{theirs}.{part}"
            added = f"{place}.3.bias" if f"{place}.3.bias" in self._state else None
            self._signs(f"{ours}.{part}", f"{place}.0.bias", [f"{place}.2"], None, added)

    def _tail(self, ours: str, theirs: str, first: int = 0) -> None:
        """Bias, sign, convolution, normalisation, bias and slope, numbered from `first`."""
        at = [f"{theirs}.{first + number}" for number in range(6)]
        self._signs(ours, f"{at[0]}.bias", [at[2]], [at[3]], f"{at[4]}.bias", f"{at[5]}.weight")

    def _signs(
        self,
        ours: str,
        before: str,
        convolutions: list[str],
        norms: list[str] | None = None,
        added: str | None = None,
        slope: str | None = None,
        after: str | None = None,
        bends: float | None = None,
    ) -> None:
        import torch

        signs, gains, bases = [], [], []
        for number, key in enumerate(convolutions):
            weight = self._taken(f"{key}.weight").double()
            if weight.ndim != 4:
                raise _other(self._path)
            # Which latent weights are above their mean is decided in their own precision, as the authors do.
            own = self._taken(f"{key}.weight")
            centred = own - own.mean(3, keepdim=True).mean(2, keepdim=True).mean(1, keepdim=True)
            gain = centred.double().abs().mean((1, 2, 3))
            bias = f"{key}.bias"
            base = self._taken(bias).double() if bias in self._state else torch.zeros_like(gain)
            if norms is not None:
                factor, summand = self._norm(norms[number])
                gain, base = gain * factor, base * factor + summand
            signs.append(torch.sign(centred))
            gains.append(gain)
            bases.append(base)
        base = torch.cat(bases)
        if added is not None:
            base = base + self._vector(added)
        entries = {"signs": torch.cat(signs), "before": self._vector(before), "gain": torch.cat(gains), "base": base}
        if slope is not None or bends is not None:
            entries["slope"] = self._vector(slope) if slope else torch.full_like(base, bends or 0.0)
            entries["after"] = self._vector(after) if after else torch.zeros_like(base)
        self._ours |= {f"{ours}.{name}": value for name, value in entries.items()}

    def _plain(self, ours: str, convolution: str, norm: str) -> None:
        factor, summand = self._norm(norm)
        self._ours[f"{ours}.weight"] = self._taken(f"{convolution}.weight").double() * factor.view(-1, 1, 1, 1)
        self._ours[f"{ours}.bias"] = summand

    def _norm(self, key: str) -> tuple[Tensor, Tensor]:
        names = ("weight", "bias", "running_mean", "running_var")
        scale, bias, mean, variance = (self._vector(f"{key}.{name}") for name in names)
        factor = scale / (variance + 1e-5).sqrt()
        return factor, bias - mean * factor

    def _vector(self, key: str) -> Tensor:
        return self._taken(key).double().flatten()

    def _taken(self, key: str) -> Tensor:
        value: Any = self._state.get(key)
        if value is None or not value.is_floating_point():
            raise _other(self._path)
        return value  # type: ignore[no-any-return]


def _other(path: Path) -> ModelError:
    return ModelError(
        f"{path.name} does not hold BiMatting's weights.",
        "Give a checkpoint of its authors' (stage 4), or one that Gossamer has packed.",
    )
