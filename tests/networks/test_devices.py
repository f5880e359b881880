"""Devices, by fakes of the outer world: a provider list, a torch that has cards, an OpenVINO that sees them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from gossamer.cli import doctor
from gossamer.errors import DeviceError, InputError, MissingExtra
from gossamer.networks import devices, onnx_network, onnx_session, recurrent_onnx
from gossamer.networks.devices import DEVICE_TABLE, available_runtimes, device_kind, resolve_device, started_device
from gossamer.networks.onnx_network import OnnxNetwork
from gossamer.networks.onnx_session import CPU
from gossamer.networks.recurrent_onnx import RecurrentOnnx
from gossamer.progress import Progress
from gossamer.settings.model_choice import DEVICES
from gossamer.telemetry import onnxruntime
from tests.cached_weights import video_weights


def offer(monkeypatch: pytest.MonkeyPatch, *providers: str) -> None:
    """Let ONNX Runtime be built with these providers."""
    monkeypatch.setattr(onnxruntime(), "get_available_providers", lambda: [*providers, "CPUExecutionProvider"])


def see(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Let OpenVINO be installed and see these devices."""
    core = SimpleNamespace(available_devices=["CPU", *names])
    monkeypatch.setattr(devices, "openvino", lambda: SimpleNamespace(Core=lambda: core))


def have(monkeypatch: pytest.MonkeyPatch, name: str, answer: object = True) -> None:
    """Let torch have devices of a kind."""
    place = {"mps": torch.backends.mps}.get(name) or getattr(torch, name)
    monkeypatch.setattr(place, "is_available", lambda: answer)


def test_the_table_and_the_settings_have_the_same_names() -> None:
    assert {kind.name for kind in DEVICE_TABLE} == set(DEVICES) - {"auto"}
    for kind in DEVICE_TABLE:
        assert kind.name == "cpu" or kind.missing, f"nothing tells how to get {kind.name}"


@pytest.mark.parametrize(
    ("providers", "found"),
    [
        ((), "cpu"),
        (("CUDAExecutionProvider",), "cuda"),
        (("MIGraphXExecutionProvider",), "cuda"),
        (("DmlExecutionProvider",), "directml"),
        (("DmlExecutionProvider", "CUDAExecutionProvider"), "cuda"),
        # These translate graphs for minutes, or in parts: only for those who name them.
        (("TensorrtExecutionProvider",), "cpu"),
        (("CoreMLExecutionProvider",), "cpu"),
        (("OpenVINOExecutionProvider",), "cpu"),
    ],
)
def test_auto_takes_the_first_of_the_table_that_onnx_runtime_offers(
    providers: tuple[str, ...], found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch, *providers)
    assert resolve_device("auto", "onnx") == found


@pytest.mark.parametrize(
    ("device", "provider"),
    [
        ("cuda", "CUDAExecutionProvider"),
        ("directml", "DmlExecutionProvider"),
        ("tensorrt", "TensorrtExecutionProvider"),
        ("coreml", "CoreMLExecutionProvider"),
        ("openvino:NPU", "OpenVINOExecutionProvider"),
    ],
)
def test_a_named_device_is_had_where_its_provider_is_and_refused_elsewhere(
    device: str, provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch)
    with pytest.raises(DeviceError, match=r"is not available: .*\. .*, or choose --device cpu\."):
        resolve_device(device, "onnx")
    offer(monkeypatch, provider)
    assert resolve_device(device, "onnx") == device
    assert devices.providers_of(device_kind(device)) == ((provider, device_kind(device).providers[provider]),)


@pytest.mark.parametrize("device", ["cuda", "xpu", "mps"])
def test_torchs_devices(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("cuda", "xpu", "mps"):
        have(monkeypatch, name, False)
    assert resolve_device("auto", "torch") == "cpu"
    with pytest.raises(DeviceError, match=f"{device_kind(device).title} is not available"):
        resolve_device(device, "torch")
    have(monkeypatch, device)
    assert resolve_device("auto", "torch") == resolve_device(device, "torch") == device


def test_a_device_of_another_runtime_is_named_with_it() -> None:
    with pytest.raises(DeviceError, match=r"torch does not run on the device directml, which is for ONNX Runtime\."):
        resolve_device("directml", "torch")
    with pytest.raises(
        DeviceError, match=r"ONNX Runtime does not run on the device mps.*one of the devices: auto, cuda"
    ):
        resolve_device("mps", "onnx")
    with pytest.raises(InputError, match="no device 'tpu'"):
        resolve_device("tpu", "onnx")


def test_openvinos_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    see(monkeypatch, "GPU.0", "GPU.1")
    assert resolve_device("auto", "openvino") == "cpu"
    assert resolve_device("openvino:GPU", "openvino") == "openvino:GPU"
    with pytest.raises(DeviceError, match=r"OpenVINO does not see it\. Install Intel's NPU driver"):
        resolve_device("openvino:NPU", "openvino")

    def absent() -> None:
        raise ModuleNotFoundError

    monkeypatch.setattr(devices, "openvino", absent)
    with pytest.raises(MissingExtra, match=r"gossamer\[openvino\]"):
        resolve_device("openvino:GPU", "openvino")


@pytest.mark.parametrize("device", ["mps", "xpu"])
def test_a_device_that_fails_or_computes_wrongly_is_left_with_a_warning(
    device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A torch that was not built for it: the first use fails, as with a driver that is too old."""
    for name in ("cuda", "xpu", "mps"):
        have(monkeypatch, name, name == device)
    found, (warning,) = started_device("auto")
    assert found == "cpu"
    assert warning.startswith(f"{device.upper()} could not be started (")
    assert warning.endswith("the model runs on the CPU.")
    with pytest.raises(DeviceError, match="could not be started"):
        started_device(device)
    monkeypatch.setattr(devices, "trial_in_torch", lambda name: "it computes a convolution wrongly")
    assert "computes a convolution wrongly" in started_device("auto")[1][0]
    monkeypatch.setattr(devices, "trial_in_torch", lambda name: "")
    assert started_device("auto") == (device, ())


def test_auto_goes_on_to_the_next_device_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("cuda", "xpu", "mps"):
        have(monkeypatch, name)
    monkeypatch.setattr(devices, "trial_in_torch", lambda name: "" if name == "mps" else f"no {name}")
    found, warnings = started_device("auto")
    assert found == "mps"
    assert warnings == (
        "CUDA could not be started (no cuda); the model runs on MPS.",
        "XPU could not be started (no xpu); the model runs on MPS.",
    )
    with pytest.raises(DeviceError, match=r"XPU could not be started \(no xpu\)\."):
        started_device("xpu")


def test_a_driver_that_is_too_old_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch then sees no card, and says why as a warning of Python's, once a process."""
    for name in ("xpu", "mps"):
        have(monkeypatch, name, False)
    sayings = ["CUDA initialization: The NVIDIA driver is too old (found version 11040).\nUpdate it (Triggered at x)"]

    def too_old() -> bool:
        if sayings:
            warnings.warn(sayings.pop(), stacklevel=1)
        return False

    monkeypatch.setattr(torch.cuda, "is_available", too_old)
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    monkeypatch.setattr(devices, "_SAID", [])
    assert resolve_device("auto", "torch") == "cpu"
    reason = "CUDA initialization: The NVIDIA driver is too old (found version 11040)."
    assert started_device("auto") == ("cpu", (f"CUDA could not be started ({reason}); the model runs on the CPU.",))
    with pytest.raises(DeviceError, match=r"no graphics card that it can use \(CUDA.*11040\)\.\)\. Check the driver"):
        started_device("cuda")


def test_a_driver_that_breaks_when_it_is_asked_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> bool:
        raise RuntimeError("the driver is gone\nand more")

    for name in ("xpu", "mps"):
        have(monkeypatch, name, False)
    monkeypatch.setattr(torch.cuda, "is_available", broken)
    monkeypatch.setattr(torch.cuda, "_lazy_init", broken)
    with pytest.raises(DeviceError, match=r"CUDA is not available: the driver is gone\. Check the driver with nvidia"):
        resolve_device("cuda", "torch")
    assert started_device("auto") == (
        "cpu",
        ("CUDA could not be started (the driver is gone); the model runs on the CPU.",),
    )
    monkeypatch.setattr(devices, "openvino", lambda: SimpleNamespace(Core=broken))
    with pytest.raises(DeviceError, match=r"through OpenVINO is not available: the driver is gone\. Check its driver"):
        resolve_device("openvino:GPU", "openvino")


def test_what_shows_a_device_to_be_sound_is_right_on_the_processor() -> None:
    assert devices.trial_in_torch("cpu") == ""


class Providers:
    """An ONNX Runtime that was built with providers, some of which start; the processor stands in for these."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, offered: tuple[str, ...], *, sound: str = "", raises: bool):
        self._package, self._sound, self._raises = onnxruntime(), sound, raises
        self.get_available_providers = lambda: [*offered, CPU]
        self.tried: list[str] = []
        self.run: Callable[..., object] | None = None
        for module in (onnx_session, onnx_network, recurrent_onnx, devices):
            monkeypatch.setattr(module, "onnxruntime", lambda: self, raising=False)

    def __getattr__(self, name: str) -> object:
        return getattr(self._package, name)

    def InferenceSession(self, path: str, options: object, providers: list, enable_fallback: int) -> object:
        first = providers[0] if isinstance(providers[0], str) else providers[0][0]
        self.tried.append(first)
        session = self._package.InferenceSession(path, options, providers=[CPU])
        if first == self._sound:
            return Pretending(session, first, self.run)
        if first != CPU and self._raises:
            raise RuntimeError("a library of it is missing\nand more")
        return session


class Pretending:
    """A session that says it is on a card."""

    def __init__(self, session: object, provider: str, run: Callable[..., object] | None) -> None:
        self._session, self._provider = session, provider
        self.run = run or self._session.run

    def get_providers(self) -> list[str]:
        return [self._provider, CPU]

    def __getattr__(self, name: str) -> object:
        return getattr(self._session, name)


@pytest.mark.parametrize("raises", [True, False])
def test_a_provider_that_is_offered_and_does_not_load(
    raises: bool, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Providers(monkeypatch, ("DmlExecutionProvider",), raises=raises)
    network = OnnxNetwork(models / "u2netp.onnx")
    reason = " (a library of it is missing)" if raises else ""
    assert network.device == "cpu"
    assert network.warnings == (f"DirectML could not be started{reason}; the model runs on the CPU.",)
    with pytest.raises(DeviceError, match=r"DirectML could not be started.*gossamer doctor"):
        OnnxNetwork(models / "u2netp.onnx", "directml")


def test_the_next_provider_and_then_the_next_device_are_tried(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offered = ("CUDAExecutionProvider", "MIGraphXExecutionProvider", "DmlExecutionProvider")
    built = Providers(monkeypatch, offered, sound="DmlExecutionProvider", raises=True)
    network = OnnxNetwork(models / "u2netp.onnx")
    assert network.device == "directml"
    assert network.warnings == ("CUDA could not be started (a library of it is missing); the model runs on DirectML.",)
    assert tuple(built.tried) == offered
    Providers(monkeypatch, offered, sound="MIGraphXExecutionProvider", raises=True)
    network = OnnxNetwork(models / "u2netp.onnx", "cuda")
    assert (network.device, network.warnings) == ("cuda", ())


def test_a_device_that_vanishes_is_an_error_and_never_another_device(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = Providers(monkeypatch, ("DmlExecutionProvider",), sound="DmlExecutionProvider", raises=True)

    def gone(*arguments: object) -> None:
        raise RuntimeError("Error in execution: 887A0005 The GPU device instance has been suspended.\nand more")

    built.run = gone
    network = OnnxNetwork(models / "u2netp.onnx")
    picture = np.zeros((1, 3, 320, 320), np.float32)
    with pytest.raises(DeviceError, match=r"could not be run on DirectML \(.*887A0005.*\)\. Check the driver"):
        network.run(picture, Progress())
    assert built.tried == ["DmlExecutionProvider"]


def test_clips_take_the_same_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    file = video_weights()
    Providers(monkeypatch, ("DmlExecutionProvider",), sound="DmlExecutionProvider", raises=True)
    assert RecurrentOnnx(file, "directml").device == "directml"
    Providers(monkeypatch, ("DmlExecutionProvider",), raises=True)
    with pytest.raises(DeviceError, match=r"DirectML could not be started \(a library"):
        RecurrentOnnx(file, "directml")
    network = RecurrentOnnx(file)
    assert network.warnings == (
        "DirectML could not be started (a library of it is missing); the model runs on the CPU.",
    )


def test_doctor_lists_every_device_with_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch)
    for name in ("cuda", "xpu", "mps"):
        have(monkeypatch, name, False)
    rows = {row["device"]: row for row in doctor._devices()}
    assert next(iter(rows)) == "cpu"
    assert set(rows) == set(DEVICES) - {"auto"}
    assert "torch" in rows["cpu"]["note"]
    assert "install onnxruntime-gpu in place of onnxruntime" in rows["cuda"]["note"]
    assert "gossamer[openvino]" in rows["openvino:GPU"]["note"]
    assert not any(row["available"] for name, row in rows.items() if name != "cpu")
    offer(monkeypatch, "CUDAExecutionProvider")
    have(monkeypatch, "mps")
    monkeypatch.setattr(devices, "trial_in_torch", lambda name: "")
    rows = {row["device"]: row for row in doctor._devices()}
    assert rows["mps"] == {"device": "mps", "available": True, "note": "offered by torch"}


def test_doctor_tries_what_is_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("cuda", "xpu", "mps"):
        have(monkeypatch, name, name != "xpu")
    monkeypatch.setattr(devices, "trial_in_torch", lambda name: "" if name == "mps" else "its driver is too old")
    offered = ("CUDAExecutionProvider", "DmlExecutionProvider")
    Providers(monkeypatch, offered, sound="DmlExecutionProvider", raises=True)
    rows = {row["device"]: row for row in doctor._devices()}
    assert rows["directml"] == {"device": "directml", "available": True, "note": "offered by ONNX Runtime"}
    assert rows["mps"]["available"]
    assert not rows["cuda"]["available"]
    assert rows["cuda"]["note"] == (
        "ONNX Runtime could not start it (a library of it is missing), "
        "torch could not start it (its driver is too old): check the driver and its libraries' versions"
    )
    Providers(monkeypatch, offered, sound="CUDAExecutionProvider", raises=True)
    rows = {row["device"]: row for row in doctor._devices()}
    note = "offered by ONNX Runtime; torch could not start it (its driver is too old)"
    assert rows["cuda"] == {"device": "cuda", "available": True, "note": note}


def test_a_driver_that_breaks_does_not_break_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> bool:
        raise RuntimeError("the driver is gone")

    monkeypatch.setattr(torch.cuda, "is_available", broken)
    offer(monkeypatch, "CUDAExecutionProvider")
    assert available_runtimes(device_kind("cuda")) == ("onnx",)
