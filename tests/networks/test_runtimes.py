"""What runs a file, where and in which precision: every case, with what is there faked."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from gossamer.errors import DeviceError
from gossamer.networks import devices, runtimes
from gossamer.networks.runtimes import FAITHFUL, Plan, openvino_may_serve, planned, runtime_for_files
from gossamer.settings import ModelChoice
from gossamer.telemetry import onnxruntime

ONNX = ("onnx", "torch", "openvino")
ONNX_ALONE = ("onnx", "openvino")
TORCH = ("torch",)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch):
    """Return what sets up a machine: what is installed, whether torch is loaded, whether it has bfloat16."""

    def made(*installed: str, bfloat16: bool = True, torch_loaded: bool = True, sees: tuple[str, ...] = ()) -> None:
        monkeypatch.setattr(runtimes, "is_installed", lambda runtime: runtime in ("onnx", *installed))
        monkeypatch.setattr(runtimes, "has_bfloat16", lambda: bfloat16)
        core = SimpleNamespace(available_devices=["CPU", *sees])
        monkeypatch.setattr(devices, "openvino", lambda: SimpleNamespace(Core=lambda: core))
        monkeypatch.setattr(onnxruntime(), "get_available_providers", lambda: ["CPUExecutionProvider"])
        loaded = {"torch": None} if torch_loaded else {}
        monkeypatch.setattr(runtimes, "sys", SimpleNamespace(modules=loaded))

    return made


def plan(files, difference=0.02, **settings) -> Plan:
    return planned(files, ModelChoice.of(**settings), difference)


def test_bfloat16_where_it_was_measured_faithful_and_the_processor_has_it(machine) -> None:
    machine("torch")
    assert plan(ONNX) == Plan("torch", "cpu", "bfloat16")
    assert plan(ONNX, FAITHFUL + 0.01) == plan(ONNX, None) == Plan("onnx", "cpu", "auto", native=True)
    assert plan(ONNX_ALONE) == Plan("onnx", "cpu", "auto", native=True)
    assert plan(TORCH) == plan(ONNX, runtime="torch") == Plan("torch", "cpu", "bfloat16")
    assert plan(TORCH, 0.4).precision == "auto"
    machine("torch", bfloat16=False)
    assert plan(ONNX) == Plan("onnx", "cpu", "auto", native=True)
    assert plan(TORCH).precision == "auto"
    machine("torch", "openvino")
    assert plan(ONNX) == plan(ONNX_ALONE) == Plan("openvino", "cpu", "bfloat16")
    machine()
    assert plan(ONNX) == Plan("onnx", "cpu", "auto", native=True)


def test_torch_is_not_loaded_for_one_picture_of_an_onnx_file(machine) -> None:
    machine("torch", torch_loaded=False)
    assert plan(ONNX) == Plan("onnx", "cpu", "auto", native=True)


def test_float32_gives_the_authors_numbers(machine) -> None:
    machine("torch", "openvino")
    assert plan(ONNX, precision="float32") == Plan("onnx", "cpu", "float32", native=True)
    assert plan(ONNX, precision="float32", runtime="openvino") == Plan("openvino", "cpu", "float32")
    assert plan(TORCH, precision="float32") == Plan("torch", "cpu", "float32")
    assert plan(ONNX, runtime="onnx") == Plan("onnx", "cpu", "auto")  # by name: not our own kernels


def test_who_names_bfloat16_gets_it_from_what_is_installed(machine) -> None:
    machine("torch", torch_loaded=False)
    assert plan(ONNX, 2.0, precision="bfloat16") == Plan("torch", "cpu", "bfloat16")
    machine("torch", "openvino")
    assert plan(ONNX, None, precision="bfloat16") == Plan("openvino", "cpu", "bfloat16")
    assert plan(ONNX, None, precision="bfloat16", runtime="torch").runtime == "torch"
    machine()
    assert plan(ONNX, None, precision="bfloat16").runtime == "onnx"  # and its loader says what to do


def test_openvino_may_serve_in_float32_where_nothing_else_was_asked_for(machine) -> None:
    def may(**settings: str) -> bool:
        choice = ModelChoice.of(**settings)
        return openvino_may_serve(planned(ONNX, choice), ONNX, choice)

    machine("torch", "openvino")
    assert may()
    assert may(precision="float32", device="cpu")
    assert not may(runtime="onnx")
    assert not may(precision="bfloat16")
    assert not openvino_may_serve(planned(TORCH, ModelChoice()), TORCH, ModelChoice())
    machine("torch")
    assert not may()


def test_a_card_leaves_the_runtimes_that_have_it(machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine("torch", "openvino", sees=("GPU.0",))
    assert plan(ONNX, device="openvino:GPU") == Plan("openvino", "openvino:GPU", "auto")
    with pytest.raises(DeviceError, match=r"NPU through OpenVINO is not available"):
        plan(ONNX, device="openvino:NPU")
    with pytest.raises(DeviceError, match=r"Nothing that runs this file of weights runs on the device directml"):
        plan(TORCH, device="directml")
    import torch

    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert plan(ONNX, device="mps") == Plan("torch", "mps", "auto")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert plan(ONNX, device="cuda") == Plan("torch", "cuda", "auto")  # ONNX Runtime was built for the CPU
    monkeypatch.setattr(onnxruntime(), "get_available_providers", lambda: ["CUDAExecutionProvider"])
    assert plan(ONNX, device="cuda") == Plan("onnx", "cuda", "auto")
    assert plan(ONNX) == Plan("onnx", "auto", "auto")  # which may yet fall back


def test_files_are_chosen_for_what_will_run_them() -> None:
    def files(**settings: str) -> str:
        return runtime_for_files(ModelChoice.of(**settings))

    assert files() == files(device="cpu") == files(device="cuda") == "auto"
    assert files(device="directml") == files(device="openvino:NPU") == files(runtime="openvino") == "onnx"
    assert files(device="mps") == files(device="xpu", runtime="torch") == "torch"
