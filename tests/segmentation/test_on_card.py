"""Pictures that go to a card as they are. The processor stands in for the card: what is a card's alone is faked."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from gossamer.errors import Cancelled, DeviceError, ModelError
from gossamer.networks import torch_network
from gossamer.networks.together import Together
from gossamer.networks.torch_network import TorchNetwork
from gossamer.segmentation.loading import load_model
from gossamer.segmentation.model import SegmentationModel
from gossamer.weights.catalogue import architecture
from tests.cached_weights import weights_home
from tests.segmentation.test_tensors import picture


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def models() -> Path:
    """Return the folder with the real weights."""
    return weights_home() / "models"


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bring pictures to torch's processor as to a card."""
    monkeypatch.setattr(TorchNetwork, "takes_pictures", True)


def model_in_torch(models: Path) -> SegmentationModel:
    return load_model(str(models / "u2netp.onnx"), architecture="u2netp", runtime="torch", device="cpu")


class Small(torch.nn.Module):
    """A network that is quick: a channel of what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.sizes.append(len(x))
        return torch.sigmoid(x[:, :1])


def quick(models: Path, call: torch.nn.Module) -> tuple[SegmentationModel, TorchNetwork]:
    """Return a model on a network that runs `call`, fed and read as U²-Net is."""
    network = TorchNetwork(models / "u2netp.onnx", "u2netp", device="cpu")
    network._module._call = call
    family = architecture("u2net")
    return SegmentationModel("quick", network, (family.input, family.output)), network


@pytest.mark.usefixtures("card")
def test_a_mask_is_the_processors(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = picture(90, 130)
    found = model_in_torch(models).predict(pixels)
    monkeypatch.setattr(TorchNetwork, "takes_pictures", False)
    expected = model_in_torch(models).predict(pixels)
    assert found.dtype == np.float32
    assert expected.max() > 0.5
    assert np.abs(found - expected).max() <= 1 / 255
    assert np.abs(found - expected).mean() <= 0.01 / 255


@pytest.mark.usefixtures("card")
def test_pictures_of_one_size_go_together_and_others_as_before(models: Path) -> None:
    network = Small()
    model, _ = quick(models, network)
    pictures = [picture(40, 60, seed) for seed in range(8)]
    together = model.predict_batch(pictures, batch_size=8)
    assert network.sizes == [8]
    assert all(mask.flags.aligned and mask.flags.writeable for mask in together)
    for one, mask in zip(pictures, together, strict=True):
        np.testing.assert_array_equal(model.predict(one), mask)
    network.sizes.clear()
    mixed = model.predict_batch([pictures[0], picture(50, 60), pictures[1].astype(np.float32) / 255], batch_size=8)
    assert network.sizes == [3]
    assert np.abs(mixed[0] - together[0]).max() < 1e-3
    assert np.abs(mixed[2] - together[1]).max() < 1e-3


class Copies(TorchDispatchMode):
    """Counts what moves between processor and card, or waits for a number of the card's."""

    def __init__(self) -> None:
        super().__init__()
        self.moved: list[str] = []

    def __torch_dispatch__(self, func: object, types: object, args: tuple = (), kwargs: dict | None = None) -> object:
        name = str(func)
        if "_local_scalar_dense" in name or "nonzero" in name or (kwargs and "device" in kwargs and "_to_copy" in name):
            self.moved.append(name)
        return func(*args, **(kwargs or {}))


@pytest.mark.usefixtures("card")
def test_a_picture_is_copied_there_once_and_its_mask_back_once(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was counted: calls that name a device. Those of a size's taps come once, with the first picture."""
    model, network = quick(models, Small())
    model.predict(picture(40, 60))
    there: list[tuple] = []
    back: list[tuple] = []
    to, cpu, run = torch.Tensor.to, torch.Tensor.cpu, network._module._run
    copies = Copies()

    def counted(tensor: torch.Tensor, *arguments: object, **how: object) -> torch.Tensor:
        if "cpu" in map(str, (*arguments, *how.values())):
            there.append((tuple(tensor.shape), tensor.dtype))
        return to(tensor, *arguments, **how)

    def returned(tensor: torch.Tensor) -> torch.Tensor:
        back.append((tuple(tensor.shape), tensor.dtype))
        return cpu(tensor)

    def watched(*arguments: object) -> object:
        with copies:
            return run(*arguments)

    monkeypatch.setattr(torch.Tensor, "to", counted)
    monkeypatch.setattr(torch.Tensor, "cpu", returned)
    monkeypatch.setattr(network._module, "_run", watched)
    model.predict_batch([picture(40, 60, 1), picture(40, 60, 2)], batch_size=8)
    assert there == [((2, 40, 60, 3), torch.uint8)]
    assert back == [((2, 40 * 60 * 4 + 64), torch.uint8)]  # and whether they are numbers, filled up
    assert copies.moved == []


@pytest.mark.usefixtures("card")
def test_what_does_not_fit_is_halved_before_it_begins(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    call = Small()
    model, network = quick(models, call)
    a_picture = 320 * 320 * network._memory
    monkeypatch.setattr(torch_network, "available_memory", lambda: 3 * a_picture)
    pictures = [picture(20, 30, seed) for seed in range(5)]
    masks = model.predict_batch(pictures, batch_size=8)
    assert call.sizes == [2, 2, 1]
    assert model.warnings == ("Memory ran out: pictures go through the model 2 at a time.",)
    np.testing.assert_array_equal(masks[4], model.predict(pictures[4]))


def test_a_card_tells_what_it_has_left(monkeypatch: pytest.MonkeyPatch) -> None:
    from gossamer.networks.memory import card_memory

    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (5_000, 9_000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda: 700)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda: 200)
    assert card_memory("cuda") == 5_500
    assert card_memory("mps") is None

    def gone() -> None:
        raise RuntimeError("CUDA error: unknown error")

    monkeypatch.setattr(torch.cuda, "mem_get_info", gone)
    assert card_memory("cuda") is None


@pytest.mark.usefixtures("card")
def test_faults_are_told_as_elsewhere(models: Path) -> None:
    class Full(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    class NoNumber(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[:, :1] * float("nan")

    with pytest.raises(DeviceError, match="on one picture of 60 x 40"):
        quick(models, Full())[0].predict(picture(40, 60))
    with pytest.raises(ModelError, match="not a number"):
        quick(models, NoNumber())[0].predict(picture(40, 60))


@pytest.mark.usefixtures("card")
def test_it_stops_within_half_a_second(models: Path) -> None:
    class Long(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            time.sleep(1.0)
            return x[:, :1]

    began = time.monotonic()

    def leave(fraction: float, message: str) -> None:
        if time.monotonic() - began > 0.1:
            raise Cancelled()

    model, _ = quick(models, Long())
    with pytest.raises(Cancelled):
        model.predict(picture(40, 60), leave)


@pytest.mark.usefixtures("card")
def test_threads_whose_pictures_have_one_size_share_a_run(models: Path) -> None:
    class Slow(Small):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            time.sleep(0.2)
            return super().forward(x)

    call = Slow()
    model, _ = quick(models, call)
    pictures = [picture(30, 40, seed) for seed in range(5)]
    expected = [model.predict(one) for one in pictures]
    call.sizes.clear()
    together = Together(8, of_one_size=True)

    def found(one: np.ndarray) -> np.ndarray:
        with together.here():
            return model.predict(one)

    with ThreadPoolExecutor(5) as pool:
        masks = list(pool.map(found, pictures))
    assert sum(call.sizes) == 5
    assert len(call.sizes) < 5
    for mask, own in zip(masks, expected, strict=True):
        np.testing.assert_array_equal(mask, own)
    call.sizes.clear()
    with Together(8).here():  # of any sizes, as a service has them: what is alike is what the network sees
        assert np.abs(model.predict(pictures[0]) - expected[0]).max() < 1e-3


def test_compiled_on_cuda_is_a_graph_too(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A card's own: that torch is asked for it, and that the device is the one."""
    asked: list[str] = []
    monkeypatch.setattr(torch, "compile", lambda module, mode: asked.append(mode) or module)
    monkeypatch.setattr(torch_network, "placed", lambda module, *_, **how: module)
    for device in ("cuda", "cpu"):
        monkeypatch.setattr(torch_network, "started_device", lambda _, device=device: (device, ()))
        TorchNetwork(models / "u2netp.onnx", "u2netp", compile=True)
    assert asked == ["reduce-overhead", "default"]
