"""What a training begins with: a published network with its weights, and how its authors feed and read it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gossamer.errors import InputError, MissingExtra, ModelError, ModelNotFound
from gossamer.networks.architectures.networks import NETWORKS
from gossamer.networks.recurrent_torch import RECURRENT_NETWORKS, load_recurrent, recognise_recurrent
from gossamer.networks.state_dict import SUFFIXES, load_network, recognise_file
from gossamer.paths import source_path
from gossamer.progress import Progress
from gossamer.settings.training import TEACHINGS, Teaching, teaching_of
from gossamer.training.clips.medium import Clips
from gossamer.training.media import Stills
from gossamer.weights import store
from gossamer.weights.card import Runtime
from gossamer.weights.catalogue import (
    Architecture,
    InputSpec,
    ModelCard,
    OutputSpec,
    architecture,
    architecture_of,
    load_catalogue,
    model_card,
    published_ids,
    video_cards,
)

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Base", "base_of", "check_packages"]


@dataclass(frozen=True)
class Base:
    """A network to begin with.

    Attributes
    ----------
    id : str
        Of the catalogue, or the path of a file.
    network : str
        A key of :data:`~gossamer.networks.architectures.networks.NETWORKS`.
    path : Path
        Its weights.
    input, output : InputSpec, OutputSpec
        How its authors feed and read it.
    card : ModelCard or None
        What the catalogue says of it.
    rename : tuple of (str, str)
        How its file names weights otherwise.
    """

    id: str
    network: str
    path: Path
    input: InputSpec
    output: OutputSpec
    card: ModelCard | None = None
    rename: tuple[tuple[str, str], ...] = ()

    @property
    def teaching(self) -> Teaching:
        """What its authors trained it by."""
        return teaching_of(self.network)

    @property
    def family(self) -> Architecture:
        """What its authors feed and read alike."""
        return architecture_of(self.network)

    @property
    def medium(self) -> Stills:
        """What it is taught with."""
        return Stills()

    @property
    def runs_first_in_onnx(self) -> bool:
        """Whether ONNX Runtime is faster: it is with networks of convolutions, torch with transformers."""
        return NETWORKS[self.network].convolutional

    @property
    def logits(self) -> bool:
        """Whether its forward returns logits."""
        return NETWORKS[self.network].output == "logit"

    def load(self) -> nn.Module:
        """Return the network with its weights, float32, on the CPU; raises ModelError where they do not fit."""
        return load_network(self.path, self.network, self.rename)

    def loaded_from(self, path: Path) -> nn.Module:
        """Return the network with the weights of a training, as :meth:`load`."""
        return load_network(path, self.network)

    def told_of(self, side: int) -> str:
        """Return what people should know of a training with pictures of `side` pixels; empty where it is nothing."""
        own = max(self.input.size or (0, 0))
        if not 0 < side < own:
            return ""
        return (
            f"{self.id} sees pictures at {own} pixels, and is trained at {side}: it has to learn to see small, and "
            "what comes of it is fed as small. Leave --side out where time allows."
        )

    def as_dict(self) -> dict[str, Any]:
        """Return what a run writes down of it."""
        card = self.card
        licence = (
            None if card is None else {"licence": card.licence, "url": card.licence_url, "commercial": card.commercial}
        )
        return {"id": self.id, "network": self.network, "licence": licence}


class ClipBase(Base):
    """A network for clips, which remembers; its weights are in the graph that its authors export, or trained ones."""

    def graph(self, progress: Progress, announce: Callable[[str], object]) -> Path:
        """Return the graph that trained weights are written into: its own, or the published one of this network.

        Raises
        ------
        ModelNotFound, DownloadError, LicenceError
            Its weights came without a graph, and the published one cannot be had.
        """
        if self.path.suffix.lower() == ".onnx":
            return self.path
        (card,) = (one for one in video_cards().values() if one.network == self.network and one.id in published_ids())
        return store.fetch(card, progress=progress, announce=announce, runtime="onnx").path

    @property
    def family(self) -> Architecture:
        """What its authors feed and read alike; it is of no network for pictures."""
        return architecture("rvm")

    @property
    def medium(self) -> Clips:
        """What it is taught with."""
        return Clips()

    @property
    def runs_first_in_onnx(self) -> bool:
        """Whether ONNX Runtime is faster: our own kernels run its graph, and no other file of it."""
        return True

    @property
    def logits(self) -> bool:
        """Whether its forward returns logits: it gives alpha."""
        return False

    def load(self) -> nn.Module:
        """Return the network with its weights, float32, on the CPU; raises ModelError where they do not fit."""
        return load_recurrent(self.path, self.network)

    def loaded_from(self, path: Path) -> nn.Module:
        """Return the network with the weights of a training, as :meth:`load`."""
        return load_recurrent(path, self.network)


def base_of(
    model: str,
    architecture_name: str = "auto",
    *,
    accept_licence: bool = False,
    progress: Progress | None = None,
    announce: Callable[[str], object] | None = None,
) -> Base:
    """Return the network to begin with, its weights fetched where they are not on this machine.

    Parameters
    ----------
    model : str
        An id of the catalogue, or a file of weights.
    architecture_name : str
        For a file: what feeds it, where that is not its network's usual way.
    accept_licence : bool
        Accept a licence that does not allow commercial use.
    progress, announce
        As for :func:`gossamer.load_model`.

    Raises
    ------
    InputError
        The network is none that can be trained, or nothing tells what a file is.
    ModelNotFound, ModelError, LicenceError, DownloadError, MissingExtra
        The weights cannot be had.
    """
    if "/" in model or "\\" in model or model.lower().endswith(SUFFIXES):
        return _of_file(source_path(model, "file of weights"), architecture_name)
    if architecture_name != "auto":
        raise InputError(
            f"{model!r} is a model of the catalogue.", "Leave --architecture out, or give a file of weights."
        )
    card = model_card(model)
    if card.network is None or not card.network.startswith(tuple(TEACHINGS)):
        raise InputError(f"{card.title} is a network that is not trained here.", _choices())
    clips = model in video_cards()
    runtime: Runtime = "onnx" if clips else "torch"  # a graph is what weights for clips are written back into
    weights = store.fetch(card, progress=progress, announce=announce, runtime=runtime, accept_licence=accept_licence)
    variant = weights.variant
    if clips:
        return ClipBase(card.id, card.network, weights.path, card.input, card.output, card)
    output = card.output if variant.activation is None else replace(card.output, activation=variant.activation)
    return Base(card.id, card.network, weights.path, card.input, output, card, variant.rename)


def _of_file(path: Path, name: str) -> Base:
    if not path.is_file():
        raise ModelNotFound(f"There is no model file {path}.", "Check the path, or see: gossamer models list")
    network = recognise_file(path) or recognise_recurrent(path)
    if network is None or not network.startswith(tuple(TEACHINGS)):
        raise InputError(f"{path.name} holds no network that can be trained here.", _choices())
    if network in RECURRENT_NETWORKS:
        if name != "auto":
            raise InputError(f"{path.name} is fed in one way only.", "Leave --architecture out.")
        family = architecture("rvm")
        return ClipBase(str(path), network, path, family.input, family.output)
    card = load_catalogue().get(name)
    family = architecture_of(network) if name == "auto" else architecture(card.architecture if card else name)
    if network not in family.networks and name == "auto":
        raise ModelError(f"{path.name} is not {family.title}.", "Name its architecture.")
    spec = card or family
    return Base(str(path), network, path, spec.input, spec.output, card)


def _choices() -> str:
    cards = (*load_catalogue().values(), *video_cards().values())
    names = [card.id for card in cards if (card.network or "").startswith(tuple(TEACHINGS))]
    return f"Choose one of: {', '.join(names)}."


def check_packages() -> None:
    """Raise MissingExtra where what training needs is not installed."""
    import importlib.util

    for package in ("torch", "safetensors", "py_sod_metrics"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtra("Training", "train")
