"""A device that nobody named and that fails at a network's first run, by fakes of cards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch

from gossamer.arrays import Array
from gossamer.errors import DeviceError, ModelError
from gossamer.networks import torch_network
from gossamer.networks.first_run import UntilItRuns
from gossamer.networks.network import Sizes
from gossamer.networks.torch_network import TorchNetwork
from gossamer.progress import Progress
from gossamer.segmentation.loading import load_model
from tests.networks.conftest import batch
from tests.networks.test_devices import Providers

FULL = DeviceError("There is not enough memory to run this model on one picture of 8 x 8.", "Choose --device cpu.")
MAPS = np.ones((1, 8, 8), np.float32)


@dataclass
class Fake:
    """A network whose runs go as they are told to."""

    device: str
    runs: list[Array | Exception]
    warnings: Sequence[str] = ()
    engine: str = "torch float16"
    bytes: int = 5
    modules: tuple[object, ...] = ()
    sizes: Sizes = field(default_factory=Sizes)
    unloaded: int = 0

    def run(self, batch: Array, progress: Progress) -> Array:
        found = self.runs.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    def unload(self) -> None:
        self.unloaded += 1


def ran(network: UntilItRuns) -> Array:
    return network.run(np.zeros((1, 3, 8, 8), np.float32), Progress())


def test_what_fails_at_once_goes_to_the_processor_and_says_so() -> None:
    card, processor = Fake("cuda", [FULL], ("XPU lacks it.",)), Fake("cpu", [MAPS, MAPS], ("Slow.",), "torch float32")
    network = UntilItRuns(card, lambda: processor)
    assert (network.device, network.engine) == ("cuda", "torch float16")
    assert ran(network) is MAPS
    assert ran(network) is MAPS
    assert (network.device, network.engine, card.unloaded) == ("cpu", "torch float32", 1)
    sentence = "There is not enough memory to run this model on one picture of 8 x 8; the model runs on the CPU."
    assert network.warnings == ("XPU lacks it.", sentence, "Slow.")
    network.unload()
    assert processor.unloaded == 1


def test_what_has_run_stays_where_it_is() -> None:
    card = Fake("cuda", [MAPS, FULL])
    network = UntilItRuns(card, lambda: pytest.fail("another device in the middle of a batch"))
    ran(network)
    with pytest.raises(DeviceError, match="not enough memory"):
        ran(network)
    assert network.device == "cuda"


def test_other_faults_are_no_reason_and_what_the_processor_lacks_is_told_of_the_card() -> None:
    assert not UntilItRuns(Fake("cuda", []), lambda: Fake("cpu", [])).takes_pictures
    with pytest.raises(ModelError, match="no such size"):
        ran(UntilItRuns(Fake("cuda", [ModelError("There is no such size.", "Take another.")]), lambda: Fake("cpu", [])))

    def none() -> Fake:
        raise DeviceError("float16 does not run on the CPU.", "Choose float32.")

    with pytest.raises(DeviceError, match="not enough memory"):
        ran(UntilItRuns(Fake("cuda", [FULL]), none))


def test_a_card_that_is_gone_at_the_first_picture(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole way: found by itself it is left with a warning in the report, named it is an error."""
    built = Providers(monkeypatch, ("DmlExecutionProvider",), sound="DmlExecutionProvider", raises=True)

    def gone(*arguments: object) -> None:
        raise RuntimeError("Error in execution: 887A0005 The GPU device instance has been suspended.")

    built.run = gone
    picture = np.random.default_rng(5).integers(0, 256, (40, 30, 3), np.uint8)
    file = str(models / "u2netp.onnx")
    model = load_model(file, architecture="u2netp", runtime="onnx")
    assert model.device == "directml"
    mask = model.predict(picture)
    assert model.device == "cpu"
    assert any("887A0005" in each and "runs on the CPU" in each for each in model.warnings)
    built.run = None
    expected = load_model(file, architecture="u2netp", runtime="onnx", device="cpu").predict(picture)
    np.testing.assert_array_equal(mask, expected)
    model.unload()
    built.run = gone
    named = load_model(file, architecture="u2netp", runtime="onnx", device="directml")
    with pytest.raises(DeviceError, match="could not be run on DirectML"):
        named.predict(picture)


def test_weights_that_a_card_does_not_hold(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As torch says it of a full card, while the weights are moved there."""
    real = torch.nn.Module.to
    monkeypatch.setattr(torch_network, "started_device", lambda asked: ("cuda", ()))

    def to(module: torch.nn.Module, *arguments: object, **how: object) -> torch.nn.Module:
        if how.get("device") == "cuda":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 MiB.")
        return real(module, *arguments, **how)

    monkeypatch.setattr(torch.nn.Module, "to", to)
    network = TorchNetwork(models / "u2netp.onnx", "u2netp")
    assert (network.device, network.precision) == ("cpu", "float32")
    assert network.warnings == ("There is not enough memory to load U²-Net, small on cuda; it runs on the CPU.",)
    assert network.run(batch(64, 1), Progress()).shape == (1, 64, 64)
    for how in ({"device": "cuda"}, {"precision": "float16"}):
        with pytest.raises(DeviceError, match="not enough memory to load"):
            TorchNetwork(models / "u2netp.onnx", "u2netp", **how)
