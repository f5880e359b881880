"""Devices, by fakes of the outer world: a provider list, a torch that has cards, an OpenVINO that sees them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from gossamer.cli import doctor
from gossamer.errors import DeviceError, InputError, MissingExtra
from gossamer.networks import devices, onnx_session
from gossamer.networks.devices import DEVICE_TABLE, available_runtimes, device_kind, resolve_device, started_device
from gossamer.networks.onnx_network import OnnxNetwork
from gossamer.settings.model_choice import DEVICES
from gossamer.telemetry import onnxruntime


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
    assert devices.provider_of(device_kind(device)) == (provider, device_kind(device).providers[provider])


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
    monkeypatch.setattr(devices, "_start", lambda name: "it computes a convolution wrongly")
    assert "computes a convolution wrongly" in started_device("auto")[1][0]
    monkeypatch.setattr(devices, "_start", lambda name: "")
    assert started_device("auto") == (device, ())


def test_what_shows_a_device_to_be_sound_is_right_on_the_processor() -> None:
    assert devices._start("cpu") == ""


@pytest.mark.parametrize("fault", ["raises", "falls back"])
def test_a_provider_that_is_offered_and_does_not_load(
    fault: str, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = onnxruntime()

    def session(path: str, options: object, providers: list, enable_fallback: int) -> object:
        if fault == "raises" and len(providers) > 1:
            raise RuntimeError("a library of it is missing\nand more")
        return package.InferenceSession(path, options, providers=providers[-1:])

    fake = SimpleNamespace(
        InferenceSession=session,
        SessionOptions=package.SessionOptions,
        get_available_providers=lambda: ["DmlExecutionProvider", "CPUExecutionProvider"],
    )
    monkeypatch.setattr(onnx_session, "onnxruntime", lambda: fake)
    monkeypatch.setattr(devices, "onnxruntime", lambda: fake)
    network = OnnxNetwork(models / "u2netp.onnx")
    reason = " (a library of it is missing)" if fault == "raises" else ""
    assert network.device == "cpu"
    assert network.warnings == (f"DirectML could not be started{reason}; the model runs on the CPU.",)
    with pytest.raises(DeviceError, match=r"DirectML could not be started.*gossamer doctor"):
        OnnxNetwork(models / "u2netp.onnx", "directml")


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
    rows = {row["device"]: row for row in doctor._devices()}
    assert rows["cuda"] == {"device": "cuda", "available": True, "note": "offered by ONNX Runtime"}
    assert rows["mps"]["note"] == "offered by torch"


def test_a_driver_that_breaks_does_not_break_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> bool:
        raise RuntimeError("the driver is gone")

    monkeypatch.setattr(torch.cuda, "is_available", broken)
    offer(monkeypatch, "CUDAExecutionProvider")
    assert available_runtimes(device_kind("cuda")) == ("onnx",)
