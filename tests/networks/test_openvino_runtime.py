"""OpenVINO beside ONNX Runtime on the same real weights. To run these, type: pip install openvino."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import skimage.data

from gossamer import load_model, remove_background
from gossamer.errors import Cancelled, DeviceError, InputError, ModelError
from gossamer.native.processor import has_bfloat16
from gossamer.networks import openvino_network
from gossamer.networks.layer_kernels import runs_layers
from gossamer.networks.onnx_network import OnnxNetwork
from gossamer.networks.openvino_network import OpenVinoNetwork
from gossamer.networks.speeds import known_speeds
from gossamer.progress import Progress
from tests.cached_weights import weights_home

pytest.importorskip("openvino", reason="not installed here: tests/test_overlays.py runs these")

MODELS = weights_home() / "models"
SMALL = MODELS / "u2netp.onnx"
PICTURES = np.random.default_rng(0).standard_normal((3, 3, 320, 320)).astype(np.float32) * 0.5


@pytest.mark.parametrize(("file", "size"), [("u2netp.onnx", 320), ("isnet-general-use-float16.onnx", 1024)])
def test_the_same_weights_give_the_same_masks_as_in_onnx_runtime(file: str, size: int) -> None:
    pictures = np.random.default_rng(1).standard_normal((1, 3, size, size)).astype(np.float32) * 0.3
    ours = OpenVinoNetwork(MODELS / file)
    assert (ours.device, ours.precision, ours.engine) == ("cpu", "float32", "openvino float32")
    difference = np.abs(ours.run(pictures, Progress()) - OnnxNetwork(MODELS / file, "cpu").run(pictures, Progress()))
    assert difference.mean() * 255 < 0.02  # one file rounds to half precision between its layers


def test_a_graph_for_one_picture_takes_several_one_after_the_other() -> None:
    network = OpenVinoNetwork(SMALL)
    together = network.run(PICTURES, Progress())
    assert together.shape == (3, 320, 320)
    assert together.dtype == np.float32
    assert np.array_equal(together[1:2], network.run(PICTURES[1:2], Progress()))


def test_bfloat16_is_near_float32_and_told() -> None:
    if not has_bfloat16():
        with pytest.raises(DeviceError, match="This processor has no bfloat16"):
            OpenVinoNetwork(SMALL, precision="bfloat16")
        return
    coarse = OpenVinoNetwork(SMALL, precision="bfloat16")
    assert coarse.engine == "openvino bfloat16"
    difference = np.abs(coarse.run(PICTURES, Progress()) - OpenVinoNetwork(SMALL).run(PICTURES, Progress()))
    assert 0 < difference.mean() < 0.01
    model = load_model(str(SMALL), runtime="openvino", precision="bfloat16", architecture="u2netp", device="cpu")
    exact = load_model(str(SMALL), runtime="onnx", architecture="u2netp", device="cpu")
    photograph = skimage.data.astronaut()
    assert model.engine == "openvino bfloat16"
    assert np.abs(model.predict(photograph) - exact.predict(photograph)).mean() < 0.02


def test_a_run_is_cancelled_at_once_and_the_network_can_run_again() -> None:
    network = OpenVinoNetwork(MODELS / "isnet-general-use-float16.onnx")
    picture = np.zeros((1, 3, 1024, 1024), np.float32)

    def stop(fraction: float, message: str) -> None:
        raise Cancelled

    start = time.monotonic()
    with pytest.raises(Cancelled):
        network.run(picture, Progress(stop))
    stopped = time.monotonic() - start
    start = time.monotonic()
    network.run(picture, Progress())
    assert stopped < (time.monotonic() - start) / 2


def test_what_was_compiled_is_found_again(tmp_path: Path) -> None:
    first = OpenVinoNetwork(SMALL, cache=tmp_path / "compiled").run(PICTURES[:1], Progress())
    files = {file: file.stat().st_mtime_ns for file in (tmp_path / "compiled").iterdir()}
    assert files
    assert np.array_equal(first, OpenVinoNetwork(SMALL, cache=tmp_path / "compiled").run(PICTURES[:1], Progress()))
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "compiled").iterdir()} == files


def test_a_folder_that_cannot_be_made_only_costs_the_cache(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    network = OpenVinoNetwork(SMALL, cache=tmp_path / "file" / "compiled")
    assert network.run(PICTURES[:1], Progress()).shape == (1, 320, 320)


def test_what_it_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DeviceError, match="float16 does not run on the CPU"):
        OpenVinoNetwork(SMALL, precision="float16")
    with pytest.raises(DeviceError, match=r"OpenVINO does not see it.*or choose --device cpu"):
        OpenVinoNetwork(SMALL, "openvino:NPU")
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"nothing")
    with pytest.raises(ModelError, match=r"bad\.onnx is not a model that OpenVINO can load"):
        OpenVinoNetwork(bad)
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(SMALL.read_bytes()[:100_000])
    with pytest.raises((ModelError, DeviceError), match=r"cut\.onnx"):
        OpenVinoNetwork(cut)
    network = OpenVinoNetwork(SMALL)
    with pytest.raises(ModelError, match="could not be run"):
        network.run(np.zeros((1, 3, 64, 64), np.float32), Progress())
    network.unload()
    with pytest.raises(ModelError, match="was unloaded"):
        network.run(PICTURES, Progress())
    monkeypatch.setattr(openvino_network, "has_bfloat16", lambda: False)
    with pytest.raises(DeviceError, match="This processor has no bfloat16"):
        OpenVinoNetwork(SMALL, precision="bfloat16")
    assert capfd.readouterr().err == ""


def test_its_import_is_silent_and_leaves_its_package_to_others() -> None:
    program = """
import sys
from gossamer.telemetry import openvino
openvino()
assert not any(name.startswith("openvino_telemetry") for name in sys.modules), sorted(sys.modules)
import openvino.tools.ovc.telemetry_utils as used
assert used.tm.__name__.endswith("telemetry_stub"), used.tm
import openvino_telemetry
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


def test_auto_measures_once_and_says_what_ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "models").symlink_to(MODELS)
    monkeypatch.setenv("GOSSAMER_HOME", str(tmp_path / "home"))
    photograph = skimage.data.astronaut()
    exact = load_model("u2netp", runtime="onnx", device="cpu").predict(photograph)
    model = load_model("u2netp", device="cpu")
    ((name, seconds),) = known_speeds().items()
    assert name.startswith("u2netp.onnx (4574861 bytes)")
    usual = "native float32" if runs_layers() else "onnx float32"
    assert model.engine == ("openvino float32" if seconds["openvino"] < 0.95 * seconds["onnx"] else usual)
    assert np.abs(model.predict(photograph) - exact).max() < 1e-3
    with pytest.raises(InputError, match="320 x 320 pixels only"):
        load_model("u2netp", runtime="openvino", device="cpu").at(512)
    if not has_bfloat16():
        with pytest.raises(DeviceError, match="This processor has no bfloat16"):
            remove_background(photograph, model="u2netp", device="cpu", precision="bfloat16")
        return
    found = remove_background(photograph, model="u2netp", device="cpu", precision="bfloat16")
    assert found.report.engine == "openvino bfloat16"
    assert np.abs(found.report.coverage - exact.mean()) < 0.05
