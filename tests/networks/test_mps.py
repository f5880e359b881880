"""What Apple's MPS lacks, held against every operator that our networks call: torch's own list says what it has.

No Mac runs these tests. torch's package holds the list from which its operators are generated, with the devices that
each has a kernel for; an operator without one would fail in the middle of a network.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchgen
import yaml
from torch.utils._python_dispatch import TorchDispatchMode

from gossamer.networks.architectures import deformable
from gossamer.networks.architectures.networks import NETWORKS, build
from gossamer.networks.architectures.rvm import rvm_mobilenetv3
from gossamer.networks.architectures.swin import SWINS, SwinSize
from gossamer.networks.pictures import packed
from gossamer.segmentation.preprocessing import at_resolution
from gossamer.segmentation.tensors import fed, feeds, read_masks
from gossamer.weights.catalogue import load_catalogue
from tests.networks.architectures.seeded_weights import seed_weights, seeded_picture

OPERATORS = Path(torchgen.__file__).parent / "packaged" / "ATen" / "native" / "native_functions.yaml"
ANYWHERE = ("CompositeImplicitAutograd", "CompositeExplicitAutograd", "CompositeExplicitAutogradNonFunctional")
ELSEWHERE = {
    # Attention chooses its kernel by the device.
    "_scaled_dot_product_flash_attention_for_cpu": "_scaled_dot_product_attention_math_for_mps",
}

KINDS = ("u2netp", "isnet", "birefnet_swin_t", "ben2", "inspyrenet", "modnet")
"""One network of each module: the others of it differ in their numbers of channels and blocks."""


@functools.cache
def operators() -> dict[str, dict[str, Any]]:
    """Return what torch knows of each of its operators, by name and overload."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    entries = yaml.load(OPERATORS.read_text("utf-8"), loader)  # noqa: S506 (a safe loader, in C where there is one)
    return {entry["func"].partition("(")[0]: entry for entry in entries}


def runs_on_mps(name: str) -> bool:
    """Return whether an operator has a kernel for MPS, or is made of such as have."""
    entry = operators()[ELSEWHERE.get(name, name)]
    if "structured_delegate" in entry:
        return runs_on_mps(entry["structured_delegate"])
    kernels = {device.strip() for devices in entry.get("dispatch", {ANYWHERE[0]: ""}) for device in devices.split(",")}
    return not kernels.isdisjoint((*ANYWHERE, "MPS"))


class Called(TorchDispatchMode):
    """Notes the operators that are called, and which of their results are in double precision."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.doubles: set[str] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        name = func.name().removeprefix("aten::")
        self.names.add(name)
        for value in result if isinstance(result, tuple | list) else [result]:
            if isinstance(value, torch.Tensor) and value.dtype in (torch.float64, torch.complex128):
                self.doubles.add(name)
        return result


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch):
    """Return what runs a network on noise and returns what it called."""
    for swin in SWINS:  # two blocks a stage, straight and shifted, call what all blocks call
        monkeypatch.setitem(SWINS, swin, SwinSize(SWINS[swin].width, (2, 2, 2, 2), SWINS[swin].heads, 7))
    monkeypatch.setattr(deformable, "_traced", lambda: True)  # the way that devices take without a kernel of ours

    def run(network: torch.nn.Module, side: int, *more: object) -> Called:
        seed_weights(network)
        with Called() as found, torch.no_grad():  # in inference mode operators would not be taken apart
            network.eval()(seeded_picture(1, side, side), *more)
        assert len(found.names) > 8
        return found

    return run


def test_the_list_tells_what_mps_has_and_lacks() -> None:
    assert runs_on_mps("convolution")
    assert runs_on_mps("_scaled_dot_product_flash_attention_for_cpu")
    assert not runs_on_mps("_ctc_loss")
    assert not runs_on_mps("geqrf")


def test_every_kind_of_network_is_tried() -> None:
    assert {NETWORKS[name].module for name in KINDS} == {spec.module for spec in NETWORKS.values()}


@pytest.mark.long
@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("name", KINDS)
def test_no_network_calls_what_mps_lacks(name: str, called) -> None:
    found = called(build(name), 256 if name == "ben2" else 64)
    assert [each for each in sorted(found.names) if not runs_on_mps(each)] == []
    assert found.doubles == set()  # which MPS does not have
    attends = any("scaled_dot_product" in each for each in found.names)  # in the one kernel that each device has for it
    assert attends == (name in ("birefnet_swin_t", "ben2", "inspyrenet"))


@pytest.mark.long
@pytest.mark.usefixtures("one_thread")
def test_nor_does_the_network_for_clips(called) -> None:
    found = called(rvm_mobilenetv3(), 128, [None] * 4, 0.5)
    assert [each for each in sorted(found.names) if not runs_on_mps(each)] == []
    assert found.doubles == set()


@pytest.mark.usefixtures("one_thread")
def test_nor_do_the_steps_before_and_after_a_network() -> None:
    """What a picture that goes to the device as it is meets there, by the steps of each family."""
    families = {card.architecture: card for card in load_catalogue().values() if feeds(card.input, card.output)}
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 90, 150, 3), np.uint8))
    with Called() as found, torch.no_grad():
        for card in families.values():
            seen = fed(pixels, at_resolution(card.input, 320))
            masks = read_masks(seen[:, 0] + 0.5, seen, card.output, (90, 150), at_resolution(card.input, 320))
            packed([masks, torch.ones(2, 1, dtype=torch.uint8)])
    assert len(found.names) > 20
    assert [each for each in sorted(found.names) if not runs_on_mps(each)] == []
    assert found.doubles == set()
