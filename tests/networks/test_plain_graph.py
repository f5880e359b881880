"""Graphs without detours: the same masks, of maps that stay where they are; other files stay as they are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from gossamer.networks import plain_graph
from gossamer.networks.onnx_network import OnnxNetwork
from gossamer.networks.onnx_session import CPU, open_session, session_options
from gossamer.networks.plain_graph import without_detours
from gossamer.networks.torch_network import TorchNetwork
from gossamer.progress import Progress
from tests.networks.conftest import batch


def small(*nodes: onnx.NodeProto, weights: list[onnx.TensorProto], typed: dict[str, int]) -> onnx.ModelProto:
    """Return a graph that takes one picture of 8 x 8 and gives a map, both in float32."""
    taken = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, 8, 8])
    given = helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, 1, 16, 16])
    between = [helper.make_tensor_value_info(name, kind, None) for name, kind in typed.items()]
    graph = helper.make_graph(nodes, "small", [taken], [given], weights, value_info=between)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)


def halved(**changed: onnx.NodeProto) -> onnx.ModelProto:
    """Return a graph whose weights are in half precision, and that resizes in float32, as converters write it."""
    drawn = np.random.default_rng(0).standard_normal((1, 3, 3, 3))
    nodes = {
        "in": helper.make_node("Cast", ["input"], ["narrow"], to=TensorProto.FLOAT16),
        "convolved": helper.make_node("Conv", ["narrow", "weight"], ["map"], pads=[1, 1, 1, 1]),
        "wide": helper.make_node("Cast", ["map"], ["wide"], to=TensorProto.FLOAT),
        "sizes": helper.make_node(
            "Constant", [], ["sizes"], value=numpy_helper.from_array(np.array([1, 1, 16, 16], np.int64))
        ),
        "larger": helper.make_node(
            "Resize",
            ["wide", "", "", "sizes"],
            ["larger"],
            mode="linear",
            coordinate_transformation_mode="pytorch_half_pixel",
        ),
        "again": helper.make_node("Cast", ["larger"], ["again"], to=TensorProto.FLOAT16),
        "added": helper.make_node("Add", ["again", "more"], ["sum"]),
        "output": helper.make_node("Cast", ["sum"], ["output"], to=TensorProto.FLOAT),
    }
    weights = [
        numpy_helper.from_array(drawn.astype(np.float16), "weight"),
        numpy_helper.from_array(np.array([0.25], np.float16), "more"),
    ]
    typed = dict.fromkeys(("narrow", "map", "again", "sum"), TensorProto.FLOAT16)
    typed |= dict.fromkeys(("wide", "larger"), TensorProto.FLOAT)
    return small(*(nodes | changed).values(), weights=weights, typed=typed)


def saved(model: onnx.ModelProto, folder: Path) -> Path:
    path = folder / "model.onnx"
    onnx.save(model, path)
    return path


def masks(path: Path, graph: bytes | None, picture: np.ndarray) -> np.ndarray:
    session = open_session(path, session_options(), [CPU], graph)
    return np.asarray(session.run([session.get_outputs()[0].name], {session.get_inputs()[0].name: picture})[0])


def test_casts_go_and_half_precision_weights_become_float32(tmp_path: Path) -> None:
    model = halved()
    model.graph.node.append(model.graph.node.pop(0))  # as converters leave casts
    path = saved(model, tmp_path)
    plain = without_detours(path, 0)
    assert plain is not None
    found = onnx.load_from_string(plain)
    onnx.checker.check_model(found, full_check=True)
    assert [node.op_type for node in found.graph.node] == ["Conv", "Constant", "Resize", "Add"]
    assert {each.data_type for each in found.graph.initializer} == {TensorProto.FLOAT}
    for before, after in zip(model.graph.initializer, found.graph.initializer, strict=True):
        assert np.array_equal(numpy_helper.to_array(before).astype(np.float32), numpy_helper.to_array(after))
    modes = [each.s for node in found.graph.node for each in node.attribute if each.name.startswith("coordinate")]
    assert modes == [b"half_pixel"]
    picture = np.random.default_rng(1).uniform(-1, 1, (1, 3, 8, 8)).astype(np.float32)
    assert np.abs(masks(path, plain, picture) - masks(path, None, picture)).max() < 0.01  # what it rounded before
    again = tmp_path / "again.onnx"
    again.write_bytes(plain)
    assert without_detours(again, 0) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"added": helper.make_node("Softmax", ["again"], ["sum"])},  # not of the kind
        {"in": helper.make_node("Cast", ["input"], ["narrow"], to=TensorProto.INT64)},
        {"wide": helper.make_node("Cast", ["unheard"], ["wide"], to=TensorProto.FLOAT)},  # of nobody knows what
    ],
)
def test_what_is_of_another_kind_stays_as_it_is(changed: dict[str, onnx.NodeProto], tmp_path: Path) -> None:
    assert without_detours(saved(halved(**changed), tmp_path), 0) is None


def test_what_takes_half_precision_stays_as_it_is(tmp_path: Path) -> None:
    model = halved()
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT16
    assert without_detours(saved(model, tmp_path), 0) is None


def test_weights_that_are_written_in_another_way_stay_as_they_are(tmp_path: Path) -> None:
    model = halved()
    model.graph.initializer[1].CopyFrom(helper.make_tensor("more", TensorProto.FLOAT16, [1], [0.25]))
    assert without_detours(saved(model, tmp_path), 0) is None


def test_what_is_no_graph_is_left_to_who_opens_it(models: Path, tmp_path: Path) -> None:
    whole = (models / "u2netp.onnx").read_bytes()
    file = tmp_path / "cut.onnx"
    for content in (b"", b"nothing", bytes(100), b"\xff" * 50, whole[:100_000], b"\x3a" + b"\xff" * 9 + b"\x01"):
        file.write_bytes(content)
        assert without_detours(file, 0) is None


@pytest.mark.parametrize("error", [MemoryError(), OSError(12, "Cannot allocate memory")])
def test_where_there_is_no_room_for_it_the_file_itself_runs(
    error: Exception, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(plain_graph, "mapped", full)
    assert without_detours(models / "u2netp.onnx", 0) is None
    found = OnnxNetwork(models / "u2netp.onnx", "cpu").run(batch(320, 1), Progress())
    assert found.max() > 0.9


@pytest.mark.parametrize("name", ["u2netp", "u2net"])
def test_the_masks_of_true_networks_are_the_same(name: str, models: Path) -> None:
    path, pictures = models / f"{name}.onnx", batch(320, 1)
    plain = without_detours(path, 0)
    assert plain is not None
    session = open_session(path, session_options(), [CPU], plain)
    assert not session._model_bytes  # 176 MB that nobody needs once it is open
    assert len(plain) < path.stat().st_size
    assert np.abs(masks(path, plain, pictures) - masks(path, None, pictures)).max() < 2e-5


@pytest.mark.long
def test_a_file_in_half_precision_gives_the_masks_of_float32(models: Path) -> None:
    path, pictures = models / "isnet-general-use-float16.onnx", batch(1024, 1)
    exact = TorchNetwork(path, "isnet", device="cpu").run(pictures, Progress())
    found = OnnxNetwork(path, "cpu").run(pictures, Progress())
    assert np.abs(found - exact).max() < 1e-3
    assert np.abs(masks(path, None, pictures)[:, 0] - exact).max() > np.abs(found - exact).max()


@pytest.mark.long
@pytest.mark.parametrize("file", ["u2net.onnx", "isnet-general-use-float16.onnx"])
def test_no_map_is_cast_or_laid_out_anew_between_two_branches(file: str, models: Path, tmp_path: Path) -> None:
    """Read in ONNX Runtime's own account of a run. What is laid out anew has one channel: sides, and the mask."""
    options = session_options()
    options.enable_profiling = True
    options.profile_file_prefix = str(tmp_path / "profile")
    session = open_session(models / file, options, [CPU], without_detours(models / file, 0))
    size = session.get_inputs()[0].shape[2]
    picture = np.zeros((1, 3, size, size), np.float32)
    session.run([session.get_outputs()[0].name], {session.get_inputs()[0].name: picture})
    events = json.loads(Path(session.end_profiling()).read_text("utf-8"))
    ran = [each["args"]["op_name"] for each in events if each["name"].endswith("_kernel_time")]
    assert ran.count("Conv") > 100
    assert "ReorderInput" not in ran
    assert "Cast" not in ran
    assert ran.count("ReorderOutput") <= 7


def test_a_file_that_would_keep_it_at_work_for_hours_stays_as_it_is(tmp_path: Path) -> None:
    """A number without an end, whose every digit makes it longer to add one, and more nodes than any network has."""
    path = tmp_path / "endless.onnx"
    path.write_bytes(b"\x80" * 10_000_000 + b"\x01")
    assert without_detours(path, 0) is None
    model = halved()
    assert without_detours(saved(model, tmp_path), 0) is not None
    model.graph.node.extend(helper.make_node("Relu", ["sum"], [f"r{number}"]) for number in range(5000))
    assert without_detours(saved(model, tmp_path), 0) is None
