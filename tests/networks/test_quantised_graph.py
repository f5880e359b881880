"""A network in 8-bit integers through OpenVINO, beside the float file that it is made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gossamer.errors import Cancelled, ModelError
from gossamer.progress import Progress

pytest.importorskip("openvino", reason="not installed here: tests/test_overlays.py runs these")

from gossamer.networks.openvino_network import OpenVinoNetwork
from gossamer.networks.quantised_graph import quantise_graph

SIDE = 64


def network(path: Path, *, loud: float = 1.0, half: bool = False, size: int | str = SIDE) -> Path:
    """Write a small network, down and up again; every other channel within it is louder by a factor."""
    from onnx import TensorProto, helper, numpy_helper, save_model

    drawn = np.random.default_rng(0)
    scale = np.where(np.arange(16) % 2, loud, 1.0).astype(np.float32)
    kind = np.float16 if half else np.float32
    values, nodes = {}, []

    def convolution(name: str, source: str, width: int, taken: int, *, into: float = 1, out: float = 1) -> str:
        weights = drawn.standard_normal((width, taken, 3, 3)).astype(np.float32) / np.sqrt(4.5 * taken)
        weights = weights * np.reshape(out, (-1, 1, 1, 1)) / np.reshape(into, (1, -1, 1, 1))
        values[f"{name}.weight"] = weights.astype(kind)
        nodes.append(helper.make_node("Conv", [source, f"{name}.weight"], [name], name=name, pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node("Relu", [name], [f"{name}.relu"], name=f"{name}.relu"))
        return f"{name}.relu"

    start = "picture"
    if half:
        nodes.append(helper.make_node("Cast", ["picture"], ["halved"], to=TensorProto.FLOAT16))
        start = "halved"
    first = convolution("first", start, 16, 3, out=scale)
    nodes.append(helper.make_node("MaxPool", [first], ["pooled"], kernel_shape=[2, 2], strides=[2, 2]))
    second = convolution("second", "pooled", 16, 16, into=scale, out=scale)
    values["twice"] = np.array([1, 1, 2, 2], np.float32)
    nodes.append(helper.make_node("Resize", [second, "", "twice"], ["enlarged"], mode="linear"))
    nodes.append(helper.make_node("Concat", [first, "enlarged"], ["joined"], axis=1))
    third = convolution("third", "joined", 16, 32, into=np.concatenate([scale, scale]))
    fourth = convolution("fourth", third, 16, 16)
    values["last.weight"] = (drawn.standard_normal((1, 16, 3, 3)) / 12).astype(kind)
    nodes.append(helper.make_node("Conv", [fourth, "last.weight"], ["logits"], name="last", pads=[1, 1, 1, 1]))
    nodes.append(helper.make_node("Sigmoid", ["logits"], ["halves" if half else "mask"]))
    if half:
        nodes.append(helper.make_node("Cast", ["halves"], ["mask"], to=TensorProto.FLOAT))
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, [1, 3, size, size])],
        [helper.make_tensor_value_info("mask", TensorProto.FLOAT, [1, 1, size, size])],
        [numpy_helper.from_array(value, name) for name, value in values.items()],
    )
    save_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


def pictures(count: int, seed: int) -> list[np.ndarray]:
    """Smooth pictures, as photographs are."""
    import cv2

    drawn = np.random.default_rng(seed)
    small = drawn.standard_normal((count, 8, 8, 3)).astype(np.float32)
    return [cv2.resize(each, (SIDE, SIDE)).transpose(2, 0, 1)[None] for each in small]


def masks(path: Path, precision: str, given: list[np.ndarray]) -> np.ndarray:
    loaded = OpenVinoNetwork(path, "cpu", precision)
    assert loaded.engine == f"openvino {precision}"
    return np.concatenate([loaded.run(each, Progress()) for each in given])


@pytest.mark.parametrize(("loud", "half"), [(1.0, False), (300.0, False), (1.0, True)])
def test_its_masks_are_those_of_the_float_file(loud: float, half: bool, tmp_path: Path) -> None:
    # With one range for all channels, the quiet half would be below the first step where the other is 300 times louder.
    path = network(tmp_path / "small.onnx", loud=loud, half=half)
    seen, others = pictures(8, 1), pictures(4, 2)
    count = quantise_graph(path, 0, seen, len(seen), tmp_path / "made.xml", Progress())
    assert count == 2  # the third and the fourth: those before the smallest maps and the last one are not
    exact = masks(path, "float32", others)
    assert exact.std() > 0.02
    difference = np.abs(masks(tmp_path / "made.xml", "int8", others) - exact)
    assert 0 < difference.mean() < 0.01
    assert difference.mean() < exact.std() / 10
    assert (tmp_path / "made.bin").stat().st_size < path.stat().st_size * 0.7 or half


def test_what_is_cancelled_or_cannot_be_quantised_leaves_nothing(tmp_path: Path) -> None:
    path, made = network(tmp_path / "small.onnx"), tmp_path / "made.xml"

    def stop(fraction: float, message: str) -> None:
        if "photograph 2" in message:
            raise Cancelled

    with pytest.raises(Cancelled):
        quantise_graph(path, 0, pictures(3, 1), 3, made, Progress(stop))
    with pytest.raises(ModelError, match="takes pictures of any size"):
        quantise_graph(network(tmp_path / "any.onnx", size="side"), 0, pictures(2, 1), 2, made, Progress())
    (tmp_path / "bad.onnx").write_bytes(b"nothing")
    with pytest.raises(ModelError, match=r"bad\.onnx is not a model that OpenVINO can load"):
        quantise_graph(tmp_path / "bad.onnx", 0, pictures(2, 1), 2, made, Progress())
    assert not made.exists()
