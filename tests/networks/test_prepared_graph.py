"""Graphs that are made ready once: the same masks from them, and never from what is not whole or not theirs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from gossamer.errors import ModelError
from gossamer.networks import prepared_graph
from gossamer.networks.onnx_network import OnnxNetwork
from gossamer.progress import Progress

PICTURES = np.random.default_rng(0).random((1, 3, 24, 16), dtype=np.float32)


@pytest.fixture(autouse=True)
def small_files_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepared_graph, "_WORTH_IT", 0)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A convolution whose weights are large enough to lie beside the graph."""
    weights = np.random.default_rng(1).standard_normal((64, 3, 5, 5), dtype=np.float32) / 20
    sums = np.full((1, 64, 1, 1), 1 / 64, np.float32)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], pads=[2, 2, 2, 2]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Conv", ["r", "s"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 24, 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, 24, 16])],
        [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(sums, "s")],
    )
    path = tmp_path / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def found(model: Path, folder: Path | None) -> np.ndarray:
    return OnnxNetwork(model, "cpu", prepared=folder).run(PICTURES, Progress())


def kept(folder: Path) -> list[Path]:
    return sorted(folder.glob("net-*/"))


def opened_twice(model: Path, folder: Path) -> np.ndarray:
    found(model, folder)
    assert not kept(folder), "what is opened but once pays nothing"
    return found(model, folder)


def test_the_third_start_gives_the_same_without_the_file(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "home" / "compiled"
    expected = found(model, None)
    assert np.array_equal(opened_twice(model, folder), expected)
    (place,) = kept(folder)
    assert (place / "graph.data").stat().st_size > 64 * 75 * 4 - 1
    size = model.stat()
    model.write_bytes(b"\0" * size.st_size)  # of the same size and time: only what was kept can still be run
    os.utime(model, ns=(size.st_atime_ns, size.st_mtime_ns))
    assert np.array_equal(found(model, folder), expected)
    assert [each.name for each in folder.iterdir() if each.name.endswith(".tmp")] == []


@pytest.mark.parametrize("damage", ["shorter", "gone", "garbled"])
def test_what_is_not_whole_is_not_used(damage: str, model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "compiled"
    expected = opened_twice(model, folder)
    (place,) = kept(folder)
    if damage == "shorter":
        data = (place / "graph.data").read_bytes()
        (place / "graph.data").write_bytes(data[:-8])
    elif damage == "gone":
        (place / "graph.data").unlink()
    else:  # whole by its size, but no graph
        (place / "graph.onnx").write_bytes(b"\1" * (place / "graph.onnx").stat().st_size)
    assert np.array_equal(found(model, folder), expected)


def test_another_file_of_the_name_is_made_ready_anew(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "compiled"
    expected = opened_twice(model, folder)
    other = onnx.load(model)
    for each in other.graph.initializer:
        if each.name == "s":
            each.CopyFrom(numpy_helper.from_array(np.full((1, 64, 1, 1), 1 / 32, np.float32), "s"))
    onnx.save(other, model)
    for _ in range(3):
        np.testing.assert_allclose(found(model, folder), 2 * expected, rtol=1e-5)
    assert len(kept(folder)) == 1, "what belongs to the file before is gone"


def test_removing_a_model_removes_what_is_kept_of_it_alone(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOSSAMER_HOME", str(tmp_path))
    folder = prepared_graph.prepared_folder()
    assert folder == tmp_path / "compiled"
    opened_twice(model, folder)
    (tmp_path / "elsewhere").mkdir()
    other = Path(shutil.copy(model, tmp_path / "elsewhere"))  # another file of the same name
    opened_twice_more = [found(other, folder) for _ in range(2)]
    assert len(kept(folder)) == 2, "they do not drive each other out"
    prepared_graph.forget_prepared(model)
    (left,) = kept(folder)
    assert np.array_equal(found(other, folder), opened_twice_more[0])
    prepared_graph.forget_prepared(other)
    assert not list(folder.iterdir())
    assert not left.exists()


def test_a_folder_that_cannot_be_written_to_does_no_harm(model: Path, tmp_path: Path) -> None:
    place = tmp_path / "compiled"
    place.write_text("a file where the folder should be")
    expected = found(model, None)
    for _ in range(3):
        assert np.array_equal(found(model, place), expected)
    assert place.read_text() == "a file where the folder should be"


def test_a_file_that_is_no_model_is_told_as_ever(model: Path, tmp_path: Path) -> None:
    model.write_bytes(b"no model")
    for _ in range(3):
        with pytest.raises(ModelError, match="not a model that ONNX Runtime can load"):
            found(model, tmp_path / "compiled")
    assert not kept(tmp_path / "compiled")


def test_what_two_processes_make_at_once_is_there_once(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "compiled"
    opened_twice(model, folder)
    (place,) = kept(folder)
    shutil.move(place, tmp_path / "first")
    graph = prepared_graph.PreparedGraph(model, folder, "1")
    assert graph.ready() is None
    first = {each.name: each.read_bytes() for each in (tmp_path / "first").iterdir()}
    options = type("Options", (), {"add_session_config_entry": lambda *_: None})()
    with graph.made_by(options):
        pass  # marks it as seen
    with graph.made_by(options):
        made = Path(options.optimized_model_filepath)
        made.write_bytes(b"ours")
        shutil.copytree(tmp_path / "first", folder / made.parent.name)  # somebody else was faster
    assert {each.name: each.read_bytes() for each in (folder / made.parent.name).iterdir()} == first
