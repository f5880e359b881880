"""Loading: runtimes, users' own files in every format, and what cannot be loaded said in one sentence."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path

import numpy as np
import onnx
import pytest
import skimage.data
import torch
from onnx import TensorProto, helper
from safetensors.torch import save_file

import gossamer
from gossamer.errors import Cancelled, DeviceError, InputError, MissingExtra, ModelError, ModelNotFound
from gossamer.networks import devices, runtimes
from gossamer.networks.layer_kernels import runs_layers
from gossamer.networks.native_network import NativeNetwork
from gossamer.networks.speeds import known_speeds
from gossamer.networks.state_dict import load_network
from gossamer.segmentation import loading
from gossamer.segmentation.ensemble import Ensemble
from gossamer.segmentation.loading import load_model, load_models, model_of
from gossamer.warm import warm
from gossamer.weights import store
from gossamer.weights.catalogue import model_card
from gossamer.weights.inventory import Weights
from tests.cached_weights import weights_home

OURS = "native float32" if runs_layers() else "onnx float32"  # what runs U²-Net on this processor


@pytest.fixture(autouse=True)
def _real_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOSSAMER_HOME", str(weights_home()))


@pytest.fixture(scope="module")
def u2netp() -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GOSSAMER_HOME", str(weights_home()))
        weights = store.find(model_card("u2netp"))
    assert weights is not None
    return weights.path


@pytest.fixture(scope="module")
def state(u2netp: Path) -> dict[str, torch.Tensor]:
    return load_network(u2netp, "u2netp").state_dict()


@pytest.fixture(scope="module")
def cat_mask(u2netp: Path) -> np.ndarray:
    return load_model(str(u2netp), device="cpu", architecture="u2net").predict(skimage.data.chelsea())


def same(mask: np.ndarray, other: np.ndarray) -> bool:
    return float(np.abs(mask - other).mean()) * 255 <= 0.02


@pytest.mark.long
@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".ckpt"])
@pytest.mark.parametrize("architecture", [None, "u2netp", "u2net"])
def test_a_users_torch_file_is_recognised_or_named(
    suffix: str, architecture: str | None, state: dict[str, torch.Tensor], cat_mask: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / f"mine{suffix}"
    if suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save({"state_dict": {f"module.{key}": value for key, value in state.items()}}, path)
    model = load_model(str(path), device="cpu", architecture=architecture)
    assert model.id == "mine"
    assert same(model.predict(skimage.data.chelsea()), cat_mask)


@pytest.mark.long
def test_an_onnx_file_is_recognised_and_runs_in_either_runtime(u2netp: Path, cat_mask: np.ndarray) -> None:
    picture = skimage.data.chelsea()
    assert np.array_equal(load_model(str(u2netp), device="cpu").predict(picture), cat_mask)
    assert same(load_model(str(u2netp), device="cpu", runtime="torch").predict(picture), cat_mask)
    fed_alike = load_model(str(u2netp), device="cpu", architecture="u2net-human-seg")
    assert np.array_equal(fed_alike.predict(picture), cat_mask)


@pytest.mark.long
def test_the_catalogue_in_torch(cat_mask: np.ndarray) -> None:
    assert same(load_model("u2netp", device="cpu", runtime="torch").predict(skimage.data.chelsea()), cat_mask)


@pytest.mark.long
def test_an_unloaded_model_loads_itself_again(u2netp: Path, cat_mask: np.ndarray) -> None:
    model = load_model(str(u2netp), device="cpu")
    model.unload()
    model.unload()
    assert model.warnings == ()
    assert np.array_equal(model.predict(skimage.data.chelsea()), cat_mask)


def constant_logits(path: Path, value: float) -> Path:
    """An .onnx file whose every pixel is `value`."""
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["x"], ["grey"], axes=[1], keepdims=1),
            helper.make_node("Mul", ["grey", "nothing"], ["flat"]),
            helper.make_node("Add", ["flat", "value"], ["y"]),
        ],
        "flat",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 1024, 1024])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, 1024, 1024])],
        [
            helper.make_tensor("nothing", TensorProto.FLOAT, [], [0.0]),
            helper.make_tensor("value", TensorProto.FLOAT, [], [value]),
        ],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


def test_a_file_that_holds_its_sigmoid_is_not_given_another(tmp_path: Path) -> None:
    """RMBG-2.0's .onnx gives probabilities where BiRefNet's give logits."""
    card = model_card("rmbg-2.0")
    path = constant_logits(tmp_path / "flat.onnx", 0.75)
    picture = np.zeros((40, 30, 3), np.uint8)
    for variant in card.weights:
        if variant.runtime == "onnx":
            assert variant.activation == "none"
            mask = model_of(Weights(card, variant, path), device="cpu").predict(picture)
            assert np.allclose(mask, 0.75, atol=1e-6)
            logits = dataclasses.replace(variant, activation=None)
            mask = model_of(Weights(card, logits, path), device="cpu").predict(picture)
            assert np.allclose(mask, 1 / (1 + np.exp(-0.75)), atol=1e-6)


@pytest.mark.long
def test_several_models_are_one_with_commas_between(u2netp: Path, tmp_path: Path, cat_mask: np.ndarray) -> None:
    both = load_models(f"u2netp, {u2netp}", device="cpu", architecture="u2netp", combine="vote")
    assert isinstance(both, Ensemble)
    assert both.id == "u2netp+u2netp (vote)"
    assert np.array_equal(both.predict(skimage.data.chelsea()), cat_mask)
    with_comma = tmp_path / "mine, old.onnx"
    with_comma.symlink_to(u2netp)
    assert load_models(str(with_comma), device="cpu").id == "mine, old"
    with pytest.raises(InputError, match="names no model in one place"):
        load_models("u2netp,,u2net")


def test_blanks_around_a_name_do_not_count(u2netp: Path) -> None:
    for name in ("u2netp\n", " u2netp ", f"{u2netp}\n"):
        options = {"architecture": "u2netp"} if "/" in name else {}
        assert load_model(name, device="cpu", **options).id == "u2netp"
        assert gossamer.Pipeline(model=name, device="cpu", **options).load().id == "u2netp"


@pytest.mark.long
def test_what_cannot_be_loaded_is_said(state: dict[str, torch.Tensor], u2netp: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a model")
    with pytest.raises(ModelError, match=r"broken\.onnx is not a model"):
        load_model(str(broken), architecture="isnet")
    for suffix in (".onnx", ".pth", ".safetensors"):
        with pytest.raises(ModelNotFound, match="no model file"):
            load_model(str(tmp_path / f"absent{suffix}"), architecture="isnet")
    (tmp_path / "weights.bin").write_bytes(b"x")
    with pytest.raises(InputError, match=r"not a file of weights.*\.safetensors"):
        load_model(str(tmp_path / "weights.bin"), architecture="isnet")
    for suffix in (".pth", ".safetensors"):
        cut = tmp_path / f"cut{suffix}"
        (torch.save if suffix == ".pth" else save_file)(state, cut)
        cut.write_bytes(cut.read_bytes()[:-100_000])
        with pytest.raises(ModelError, match=rf"cut\{suffix} is not a readable"):
            load_model(str(cut), device="cpu", architecture="u2netp")
    short = tmp_path / "short.safetensors"
    save_file({key: value for key, value in state.items() if key != "side1.bias"}, short)
    with pytest.raises(ModelError, match=r"1 missing \(side1\.bias\)"):
        load_model(str(short), device="cpu")
    whole = tmp_path / "whole.safetensors"
    save_file(state, whole)
    with pytest.raises(ModelError, match="holds weights of U²-Net, small, not of IS-Net"):
        load_model(str(whole), device="cpu", architecture="isnet")
    with pytest.raises(InputError, match="no architecture 'vgg'"):
        load_model(str(whole), architecture="vgg")
    with pytest.raises(InputError, match=r"not an \.onnx file"):
        load_model(str(whole), runtime="onnx")
    strange = tmp_path / "strange.safetensors"
    save_file({"weight": torch.zeros(3)}, strange)
    for path in (strange, constant_logits(tmp_path / "strange.onnx", 0.0)):
        with pytest.raises(InputError, match=r"Nothing says what strange.*e\.g\. isnet"):
            load_model(str(path), device="cpu")


class Payload:
    def __reduce__(self) -> tuple[object, ...]:
        return (print, ("this must not run",))


def test_code_in_a_file_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "evil.pth"
    torch.save({"state_dict": {}, "more": Payload()}, path)
    for architecture in (None, "isnet"):
        with pytest.raises(ModelError, match="would run code from it, which Gossamer never does"):
            load_model(str(path), device="cpu", architecture=architecture)
    assert "must not run" not in capsys.readouterr().out


def test_impossible_wishes_are_refused() -> None:
    with pytest.raises(ModelNotFound, match="u2netp"):
        load_model("u2nett")
    with pytest.raises(InputError, match="names several models"):
        load_model("u2netp,u2net")
    with pytest.raises(InputError, match="Leave --architecture out"):
        load_model("u2netp", architecture="u2net")
    with pytest.raises(InputError, match="no precision 'int4'"):
        load_model("u2netp", precision="int4")
    with pytest.raises(InputError, match="no runtime 'tensorrt'"):
        load_model("u2netp", runtime="tensorrt")  # type: ignore[arg-type]
    with pytest.raises(DeviceError, match=r"precision that they are stored in.*--runtime torch"):
        load_model("u2netp", precision="float16")
    with pytest.raises(DeviceError, match="float16 does not run on the CPU"):
        load_model("u2netp", device="cpu", precision="float16", runtime="torch")
    with pytest.raises(InputError, match="not compiled"):
        load_model("u2netp", compile=True)
    with pytest.raises(InputError, match="no device"):
        load_model("u2netp", device="tpu")


@pytest.mark.long
def test_what_ran_is_told(u2netp: Path, cat_mask: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtimes, "is_installed", lambda runtime: runtime != "openvino")
    cat = skimage.data.chelsea()
    exact = gossamer.remove_background(cat, model=str(u2netp), device="cpu", recipe=gossamer.Recipe())
    assert exact.report.engine == exact.report.as_dict()["engine"] == OURS
    coarse = load_model("u2netp", device="cpu", precision="bfloat16")
    assert (coarse.engine, coarse.device) == ("torch bfloat16", "cpu")
    assert not np.array_equal(coarse.predict(cat), cat_mask)
    assert np.abs(coarse.predict(cat) - cat_mask).mean() * 255 < 15  # what it is over photographs, at worst
    both = load_models(f"u2netp, {u2netp}", device="cpu", architecture="u2netp")
    assert both.engine == OURS
    assert load_model("u2netp", device="cpu", runtime="onnx").engine == "onnx float32"


def test_auto_takes_bfloat16_only_of_a_model_that_was_measured_faithful(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = store.find(model_card("u2netp"))
    assert weights is not None
    monkeypatch.setattr(runtimes, "is_installed", lambda runtime: runtime != "openvino")
    monkeypatch.setattr(runtimes, "has_bfloat16", lambda: True)
    assert model_of(weights, device="cpu").engine == OURS
    faithful = dataclasses.replace(weights, card=dataclasses.replace(weights.card, bfloat16=0.01))
    assert model_of(faithful, device="cpu").engine == "torch bfloat16"
    assert model_of(faithful, device="cpu", precision="float32").engine == OURS


def test_devices_and_runtimes_that_are_not_here_say_what_to_do(
    u2netp: Path, state: dict[str, torch.Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_file(state, tmp_path / "w.safetensors")
    for model in ("u2netp", str(u2netp)):
        with pytest.raises(DeviceError, match=r"DirectML is not available: .*install onnxruntime-directml"):
            load_model(model, device="directml")
        with pytest.raises(DeviceError, match=r"MPS is not available: .*or choose --device cpu"):
            load_model(model, device="mps")
    with pytest.raises(DeviceError, match=r"Nothing that runs this file of weights runs on the device coreml"):
        load_model(str(tmp_path / "w.safetensors"), device="coreml")
    with pytest.raises(InputError, match=r"is not an \.onnx file"):
        load_model(str(tmp_path / "w.safetensors"), runtime="openvino")

    def absent() -> None:
        raise ModuleNotFoundError

    monkeypatch.setattr(devices, "openvino", absent)
    for options in ({"runtime": "openvino"}, {"runtime": "openvino", "device": "openvino:GPU"}):
        with pytest.raises(MissingExtra, match=r"gossamer\[openvino\]"):
            load_model("u2netp", **options)


def test_weights_of_another_architecture_are_one_clear_error(u2netp: Path) -> None:
    model = load_model(str(u2netp), device="cpu", architecture="isnet")
    with pytest.raises(ModelError, match=r"could not be run.*architecture"):
        model.predict(skimage.data.chelsea())


def test_loading_can_be_cancelled_while_a_file_is_opened(u2netp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    warm.unload()  # what other tests have loaded
    opened = threading.Event()
    monkeypatch.setattr(NativeNetwork, "opened", lambda *_: opened.wait(60) and None)
    calls = []

    def stop(fraction: float, message: str) -> None:
        calls.append(message)
        if calls.count("Loading the model") > 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        load_model(u2netp, device="cpu", architecture="u2netp", progress=stop)
    assert not opened.is_set()  # it was not waited for
    opened.set()


def test_where_nobody_has_measured_our_kernels_they_are_measured_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Arm: here the outer world is made up, the kernels are this processor's."""
    monkeypatch.setenv("GOSSAMER_HOME", str(tmp_path))
    (tmp_path / "models").symlink_to(weights_home() / "models")
    monkeypatch.setattr(runtimes, "is_installed", lambda runtime: runtime != "openvino")
    monkeypatch.setattr(loading, "unmeasured", lambda: True)
    found = load_model("u2netp", device="cpu").engine
    ((_, seconds),) = known_speeds().items()
    assert set(seconds) == {"onnx", "native"}
    assert found == (OURS if seconds["native"] < 0.95 * seconds["onnx"] else "onnx float32")
