"""Exported files beside torch, and what is left when they do not agree."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from gossamer.errors import InputError, ModelError, OutputError, OutputExists
from gossamer.networks.architectures.deformable import DeformableConv2d
from gossamer.networks.architectures.networks import build
from gossamer.networks.architectures.swin import SWINS, SwinSize
from gossamer.networks.export import TOLERANCE, export_onnx, export_safetensors
from gossamer.networks.onnx_network import OnnxNetwork
from gossamer.networks.state_dict import load_network, recognise_file
from gossamer.progress import Progress
from gossamer.telemetry import onnxruntime
from tests.networks.architectures.seeded_weights import seed_weights, seeded_picture
from tests.networks.conftest import batch

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.long
def test_an_exported_file_reproduces_torch_at_any_size_and_batch(u2netp: torch.nn.Module, tmp_path: Path) -> None:
    made = export_onnx(u2netp, "u2netp", tmp_path / "m.onnx", size=(128, 128))
    assert made.difference <= TOLERANCE
    assert made.tried == ((1, 128, 128), (3, 64, 128))
    assert recognise_file(made.path) == "u2netp"
    network = OnnxNetwork(made.path, "cpu")
    for size, count in ((96, 2), (160, 1)):
        with torch.inference_mode():
            expected = u2netp(torch.from_numpy(batch(size, count)))[:, 0].numpy()
        assert np.abs(network.run(batch(size, count), Progress()) - expected).max() <= TOLERANCE
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]


@pytest.mark.long
def test_isnet_goes_to_onnx_and_back(models: Path, tmp_path: Path) -> None:
    """Its export lacks the layers that only training runs; the rest comes back bit by bit but for the folding."""
    isnet = load_network(models / "isnet-general-use-float16.onnx", "isnet")
    made = export_onnx(isnet, "isnet", tmp_path / "m.onnx", size=(96, 64))
    assert made.difference <= TOLERANCE
    assert recognise_file(made.path) == "isnet"
    again = load_network(made.path, "isnet")
    with torch.inference_mode():
        pictures = torch.from_numpy(batch(96, 1))
        assert float((again(pictures) - isnet(pictures)).abs().max()) < 1e-5


@pytest.fixture
def transformer(monkeypatch: pytest.MonkeyPatch) -> torch.nn.Module:
    """Return a BiRefNet, narrow, shallow and with one deformable kernel for four (thousands of nodes), seeded."""
    monkeypatch.setitem(SWINS, "swin_t", SwinSize(24, (2, 2, 2, 2), (1, 2, 4, 8), 7))
    monkeypatch.setattr("gossamer.networks.architectures.birefnet.ASPPDeformable", lambda c: DeformableConv2d(c, c, 3))
    network = build("birefnet_swin_t")
    seed_weights(network)
    return network


@pytest.mark.long
def test_a_transformer_is_exported_for_any_size(transformer: torch.nn.Module, tmp_path: Path) -> None:
    # Traced on 64 x 32, so with other windows than in the trace, more of them, and other ones at the seams.
    made = export_onnx(transformer, "birefnet_swin_t", tmp_path / "m.onnx", size=(160, 96))
    assert made.difference <= TOLERANCE
    assert made.tried == ((1, 96, 160), (3, 32, 160))
    # What the graph needed for that is gone.
    assert not any(getattr(module, "any_size", False) for module in transformer.modules())


@pytest.mark.long
def test_weights_under_two_names_are_written_under_both(tmp_path: Path) -> None:
    modnet = build("modnet")
    seed_weights(modnet)
    made = export_safetensors(modnet, "modnet", tmp_path / "m.safetensors")
    assert recognise_file(made.path) == "modnet"
    picture = seeded_picture(1, 64, 96)
    with torch.inference_mode():
        assert torch.equal(load_network(made.path, "modnet")(picture), modnet(picture))
    made = export_onnx(modnet, "modnet", tmp_path / "m.onnx", size=(96, 64))
    assert made.difference <= TOLERANCE
    assert made.tried == ((1, 64, 96), (3, 32, 96))


@pytest.mark.long
def test_fixed_sizes_are_fixed(u2netp: torch.nn.Module, tmp_path: Path) -> None:
    made = export_onnx(u2netp, "u2netp", tmp_path / "m.onnx", size=(64, 32), dynamic_batch=False, dynamic_size=False)
    assert made.tried == ((1, 32, 64),)
    assert onnxruntime().InferenceSession(str(made.path)).get_inputs()[0].shape == [1, 3, 32, 64]


@pytest.mark.long
def test_a_file_that_does_not_reproduce_torch_is_not_left(u2netp: torch.nn.Module, tmp_path: Path) -> None:
    class Forgetful(torch.nn.Module):
        """Takes the number of rows of the trace for a constant."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.sigmoid(u2netp(x) * float(x.shape[2]) / 32)

    (tmp_path / "m.onnx").write_bytes(b"mine")
    with pytest.raises(ModelError, match="does not reproduce U²-Net, small"):
        export_onnx(Forgetful(), "u2netp", tmp_path / "m.onnx", size=(32, 64), force=True)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("m.onnx", b"mine")]


@pytest.mark.long
def test_safetensors_hold_the_weights_and_say_whose(u2netp: torch.nn.Module, tmp_path: Path) -> None:
    made = export_safetensors(u2netp, "u2netp", tmp_path / "m.safetensors")
    again = load_network(made.path, "u2netp").state_dict()
    assert all(torch.equal(value, again[key]) for key, value in u2netp.state_dict().items())
    with pytest.raises(OutputExists, match="--force"):
        export_safetensors(u2netp, "u2netp", made.path)
    with pytest.raises(OutputError, match="cannot be written"):
        export_safetensors(u2netp, "u2netp", tmp_path / "absent" / "m.safetensors")


def test_impossible_sizes_are_refused_before_any_work(u2netp: torch.nn.Module, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not take pictures of 16 x 64"):
        export_onnx(u2netp, "u2netp", tmp_path / "m.onnx", size=(16, 64))
    with pytest.raises(InputError, match="multiples of 32"):
        export_onnx(u2netp, "birefnet_swin_t", tmp_path / "m.onnx", size=(100, 64))
