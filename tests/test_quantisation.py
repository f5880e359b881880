"""A model of the catalogue in 8-bit integers: made, proved, found, taken by `--quality fast`, refused and removed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
from PIL import Image

from gossamer import load_model, quantisation
from gossamer.cli import main
from gossamer.errors import DeviceError, InputError, ModelError, ModelIntegrityError, ModelNotFound, OutputExists
from gossamer.networks import devices
from gossamer.networks.runtimes import planned
from gossamer.quantisation import quantise_model
from gossamer.segmentation import loading
from gossamer.service.allowed import Allowed
from gossamer.settings import ModelChoice
from gossamer.weights.catalogue import model_card
from gossamer.weights.quantised import find_quantised, quantised_record
from gossamer.worker.inventory import Inventory
from tests.cached_weights import weights_home


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own, with one small model in it."""
    models = tmp_path / "home" / "models"
    models.mkdir(parents=True)
    (models / "u2netp.onnx").symlink_to(weights_home() / "models" / "u2netp.onnx")
    monkeypatch.setenv("GOSSAMER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GOSSAMER_OFFLINE", "1")
    return models


def photographs(folder: Path) -> Path:
    folder.mkdir()
    for name in ("astronaut", "chelsea", "coffee"):
        Image.fromarray(getattr(skimage.data, name)()).save(folder / f"{name}.png")
    return folder


def test_what_int8_needs(own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def plan(**settings: Any) -> tuple[str, str, str]:
        found = planned(("onnx", "torch", "openvino"), ModelChoice.of(precision="int8", **settings))
        return found.runtime, found.device, found.precision

    installed = {"openvino"}
    for module in (devices, loading, quantisation):
        monkeypatch.setattr(module, "is_installed", lambda runtime: runtime in installed, raising=True)
    monkeypatch.setattr("gossamer.networks.runtimes.is_installed", lambda runtime: runtime in installed)
    assert plan() == plan(device="cpu", runtime="openvino") == ("openvino", "cpu", "int8")
    for settings in ({"device": "cuda"}, {"runtime": "onnx"}, {"runtime": "torch"}):
        with pytest.raises(DeviceError, match="int8 runs in OpenVINO on the processor only"):
            plan(**settings)
    with pytest.raises(ModelNotFound, match=r"not here in int8.*gossamer models quantise u2netp --photos FOLDER"):
        load_model("u2netp", precision="int8")
    with pytest.raises(InputError, match="is not a model of the catalogue"):
        load_model(str(own / "u2netp.onnx"), precision="int8", architecture="u2netp")
    with pytest.raises(ModelError, match="BiRefNet cannot be made in int8"):  # and nothing is fetched
        quantise_model("birefnet-general", tmp_path)
    monkeypatch.setattr(quantisation, "has_int8", lambda: True)
    folder = photographs(tmp_path / "photos")
    with pytest.raises(InputError, match=r"holds 3 pictures, and it takes 12 to quantise a model"):
        quantise_model("u2netp", folder)
    with pytest.raises(InputError, match="nowhere"):
        quantise_model("u2netp", tmp_path / "nowhere")
    monkeypatch.setattr(quantisation, "has_int8", lambda: False)
    with pytest.raises(DeviceError, match="no instructions for products of bytes"):
        quantise_model("u2netp", folder)
    installed.clear()
    assert main(["models", "quantise", "u2netp", "--photos", str(folder)]) == 6
    assert not quantised_record(model_card("u2netp")).exists()


def test_a_model_is_made_proved_taken_and_removed(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("openvino", reason="not installed here: tests/test_overlays.py runs these")
    monkeypatch.setattr(quantisation, "FEWEST", 3)
    for module in (quantisation, loading):  # also on a processor without
        monkeypatch.setattr(module, "has_int8", lambda: True)
    folder, card = photographs(tmp_path / "photos"), model_card("u2netp")
    monkeypatch.setattr(quantisation, "DIFFERENCE", 0.0)
    with pytest.raises(ModelError, match=r"too far from its float file on 1 of these photographs \(difference "):
        quantise_model("u2netp", folder)
    assert [path.name for path in own.iterdir()] == ["u2netp.onnx"]  # nothing is kept
    assert load_model(quality="fast", device="cpu", runtime="openvino").engine == "openvino float32"

    # U²-Net small loses much in any lower precision: what counts here is the way.
    for bound, value in (("DIFFERENCE", 20.0), ("IOU", 0.8), ("BOUNDARY_IOU", 0.5)):
        monkeypatch.setattr(quantisation, bound, value)
    assert main(["models", "quantise", "u2netp", "--photos", str(folder), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    made = find_quantised(card)
    assert made is not None
    assert (told["model"], told["looked_at"], told["proved_on"]) == ("u2netp", 2, 1)
    assert 0 < made.difference < 20
    assert told["path"] == str(own / "u2netp-int8.xml")
    photograph = skimage.data.coffee()
    model = load_model("u2netp", precision="int8")
    assert (model.engine, model.device) == ("openvino int8", "cpu")
    exact = load_model("u2netp", runtime="openvino", device="cpu").predict(photograph)
    difference = np.abs(model.predict(photograph) - exact).mean() * 255
    assert difference == pytest.approx(made.difference, abs=0.05)  # the one that was kept aside
    for settings in ({"runtime": "openvino"}, {"runtime": "auto"}):
        assert load_model(quality="fast", device="cpu", **settings).engine == "openvino int8"
    assert load_model(quality="fast", device="cpu", runtime="onnx").engine == "onnx float32"
    # The worker, whom GIMP asks, and the service decide before they load.
    fast = ModelChoice.of(quality="fast", device="cpu")
    for decided in (Inventory().decided, Allowed("installed").decided):
        assert (decided(fast).model, decided(fast).precision) == ("u2netp", "int8")
        assert decided(ModelChoice.of(model="auto,u2netp", quality="fast")).precision == "auto"
    with pytest.raises(OutputExists, match="is here in int8 already"):
        quantise_model("u2netp", folder)

    # A damaged one is an error for who asks for it, and passed over by who did not.
    weights = own / "u2netp-int8.bin"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(ModelIntegrityError, match=r"u2netp-int8\.bin has another content"):
        load_model("u2netp", precision="int8")
    said: list[str] = []
    left = load_model(quality="fast", device="cpu", runtime="openvino", announce=said.append)
    assert left.engine == "openvino float32"
    assert Inventory().decided(fast).precision == "auto"
    assert "Make them again: gossamer models quantise u2netp" in said[0]
    (own / "u2netp.onnx").unlink()
    (own / "u2netp.onnx").write_bytes((weights_home() / "models" / "u2netp.onnx").read_bytes())
    assert main(["models", "remove", "u2netp"]) == 0
    assert list(own.iterdir()) == []
