"""ONNX Runtime: batches where the graph takes them, half-precision inputs, memory that runs out, unloading."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from gossamer.errors import DeviceError, ModelError
from gossamer.networks.busy import picture_after_picture
from gossamer.networks.onnx_network import OnnxNetwork
from gossamer.networks.onnx_session import is_of_a_run, open_session, session_options
from gossamer.progress import Progress
from gossamer.telemetry import onnxruntime

RuntimeException = onnxruntime().capi.onnxruntime_pybind11_state.RuntimeException


def graph(path: Path, batch: int | str, kind: int = TensorProto.FLOAT) -> Path:
    """Write a graph whose mask is the mean of the colours."""
    shape = [batch, 3, "height", "width"]
    node = helper.make_node("ReduceMean", ["input"], ["output"], axes=[1], keepdims=1)
    made = helper.make_graph(
        [node],
        "mean",
        [helper.make_tensor_value_info("input", kind, shape)],
        [helper.make_tensor_value_info("output", kind, [batch, 1, "height", "width"])],
    )
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


PICTURES = np.random.default_rng(0).random((5, 3, 6, 9), dtype=np.float32)


class Binding:
    """Stands in front of a real binding: notes the size of what is bound."""

    def __init__(self, real) -> None:
        self.real, self.size = real, 0
        self.bind_output = real.bind_output

    def bind_cpu_input(self, name, pictures):
        self.size = len(pictures)
        self.real.bind_cpu_input(name, pictures)


class Session:
    """Stands in front of a real session: notes sizes, and has memory for `most` pictures."""

    def __init__(self, real, most: int = 99) -> None:
        self.real, self.most, self.sizes, self.options = real, most, [], None

    def run(self, outputs, inputs, options):
        self.options = options
        (pictures,) = inputs.values()
        self.take(len(pictures))
        return self.real.run(outputs, inputs, options)

    def io_binding(self):
        return Binding(self.real.io_binding())

    def run_with_iobinding(self, binding, options):
        self.options = options
        self.take(binding.size)
        self.real.run_with_iobinding(binding.real, options)

    def take(self, size):
        self.sizes.append(size)
        if size > self.most:
            raise RuntimeException("BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer")


def put_before(network: OnnxNetwork, session: Session) -> Session:
    network._session = lambda: session
    return session


@pytest.mark.parametrize(
    ("size", "sizes"), [("batch", [5]), (1, [1, 1, 1, 1, 1]), (2, [2, 2, 2])], ids=["free", "one", "two"]
)
def test_batches_are_as_large_as_the_graph_takes(size: int | str, sizes: list[int], tmp_path: Path) -> None:
    network = OnnxNetwork(graph(tmp_path / "m.onnx", size), "cpu")
    session = put_before(network, Session(network._session()))
    assert np.allclose(network.run(PICTURES, Progress()), PICTURES.mean(1), atol=1e-6)
    assert session.sizes == sizes


def test_a_full_memory_halves_the_batch(tmp_path: Path) -> None:
    network = OnnxNetwork(graph(tmp_path / "m.onnx", "batch"), "cpu")
    session = put_before(network, Session(network._session(), most=2))
    assert np.allclose(network.run(PICTURES, Progress()), PICTURES.mean(1), atol=1e-6)
    assert session.sizes == [5, 2, 2, 1]
    assert network.warnings == ("Memory ran out: pictures go through the model 2 at a time.",)
    put_before(network, Session(session.real, most=0))
    with pytest.raises(DeviceError, match="not enough memory"):
        network.run(PICTURES, Progress())


def test_a_full_memory_halves_a_later_batch_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A later run binds its output, and what fails then is raised as a plain RuntimeError."""
    network = OnnxNetwork(graph(tmp_path / "m.onnx", "batch"), "cpu")
    network.run(PICTURES, Progress())
    session = Session(network._session(), most=2)
    said = "Error in execution: Non-zero status code: BFCArena Failed to allocate memory for requested buffer"
    monkeypatch.setattr("tests.networks.test_onnx_runtime.RuntimeException", lambda _: RuntimeError(said))
    put_before(network, session)
    assert np.allclose(network.run(PICTURES, Progress()), PICTURES.mean(1), atol=1e-6)
    assert session.sizes == [5, 2, 2, 1]


def test_what_a_bound_run_raises_is_known(tmp_path: Path) -> None:
    session = open_session(graph(tmp_path / "m.onnx", 1), session_options(), ["CPUExecutionProvider"])
    binding = session.io_binding()
    binding.bind_cpu_input("input", PICTURES[0])
    binding.bind_output("output", "cpu")
    with pytest.raises(Exception, match="rank") as caught:
        session.run_with_iobinding(binding)
    assert is_of_a_run(caught.value)
    assert not is_of_a_run(RuntimeError("of a progress callback"))


def test_a_damaged_graph_is_refused_without_a_word_on_any_stream(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = graph(tmp_path / "m.onnx", 1)
    sound = whole.read_bytes()
    for name, damage in ((b"ReduceMean", b"ReduceM\xe8an"), (b"height", b"\xffeight"), (b"output", b"\xffutput")):
        whole.write_bytes(sound.replace(name, damage))
        with pytest.raises(ModelError, match=r"m\.onnx is not a model that ONNX Runtime can load"):
            OnnxNetwork(whole, "cpu")
    assert capfd.readouterr() == ("", "")


def test_no_room_for_weights_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = graph(tmp_path / "m.onnx", 1)

    def full(*_: object, **__: object) -> None:
        raise RuntimeError("Exception during initialization: std::bad_alloc")

    monkeypatch.setattr(onnxruntime(), "InferenceSession", full)
    with pytest.raises(MemoryError):
        OnnxNetwork(path, "cpu")


def test_a_later_run_leaves_the_results_of_earlier_ones_alone(tmp_path: Path) -> None:
    network = OnnxNetwork(graph(tmp_path / "m.onnx", "batch"), "cpu")
    pictures = [PICTURES, 1 - PICTURES, PICTURES[:2], 1 - PICTURES[:2], PICTURES / 2]
    results = [network.run(each, Progress()) for each in pictures]
    for result, each in zip(results, pictures, strict=True):
        assert np.allclose(result, each.mean(1), atol=1e-6)


def test_half_precision_graphs_take_pictures(tmp_path: Path) -> None:
    network = OnnxNetwork(graph(tmp_path / "m.onnx", "batch", TensorProto.FLOAT16), "cpu")
    found = network.run(PICTURES, Progress())
    assert found.dtype == np.float32
    assert np.allclose(found, PICTURES.mean(1), atol=1e-3)


def test_graphs_that_take_no_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="one batch of pictures"):
        OnnxNetwork(graph(tmp_path / "m.onnx", "batch", TensorProto.INT32), "cpu")


def test_an_unloaded_model_says_so(tmp_path: Path) -> None:
    network = OnnxNetwork(graph(tmp_path / "m.onnx", 1), "cpu")
    network.unload()
    with pytest.raises(ModelError, match="was unloaded"):
        network.run(PICTURES, Progress())


def test_working_memory_is_given_back_unless_picture_after_picture_comes(tmp_path: Path) -> None:
    network = OnnxNetwork(graph(tmp_path / "one.onnx", 1), "cpu")
    session = put_before(network, Session(network._session()))

    def gives_back() -> bool:
        network.run(PICTURES[:1], Progress())
        try:
            return session.options.get_run_config_entry("memory.enable_memory_arena_shrinkage") == "cpu:0"
        except RuntimeError:  # there is no such entry
            return False

    assert gives_back()
    with picture_after_picture():
        with picture_after_picture(1):
            pass
        assert not gives_back()
    with picture_after_picture(PICTURES[0, 0].size - 1):  # of smaller ones
        assert gives_back()
    assert gives_back()
