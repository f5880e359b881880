"""Our own kernels for networks of convolutions: what ONNX Runtime gives, from every layer and size; else nothing."""

from __future__ import annotations

import gc
import mmap
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from gossamer import native
from gossamer.errors import DeviceError, ModelError
from gossamer.native import COUNT, PLACE, layer_function
from gossamer.networks import layer_kernels, layer_plan, memory, native_network
from gossamer.networks.busy import picture_after_picture
from gossamer.networks.layer_graph import layers_of, read_graph
from gossamer.networks.layer_kernels import runs_layers
from gossamer.networks.layer_weights import kinds_of, places_of
from gossamer.networks.native_network import NativeNetwork
from gossamer.networks.onnx_network import OnnxNetwork
from gossamer.progress import Progress
from tests.networks.conftest import batch

pytestmark = pytest.mark.skipif(not runs_layers(), reason="this processor has no kernels for layers")

RANDOM = np.random.default_rng(5)


class Drawn:
    """A graph that is written node by node, with random weights."""

    def __init__(self, height: int, width: int, *, fixed: bool = True) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.sides: list[int | str] = [height, width] if fixed else ["h", "w"]

    def add(self, operator: str, *takes: str, **told: Any) -> str:
        name = f"{operator.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(takes), [name], **told))
        return name

    def known(self, numbers: np.ndarray) -> str:
        name = f"known{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(numbers, name))
        return name

    def conv(self, source: str, inputs: int, outputs: int, side: int = 3, *, bias: bool = True, **told: Any) -> str:
        shape = (outputs, inputs, side, side)
        weights = RANDOM.normal(0, 1 / np.sqrt(inputs * side * side), shape).astype(np.float32)
        names = [source, self.known(weights)]
        if bias:
            names.append(self.known(RANDOM.normal(0, 0.3, outputs).astype(np.float32)))
        step = told.get("dilations", [1, 1])[0]
        return self.add("Conv", *names, **{"pads": [step if side == 3 else 0] * 4, **told})

    def relu_conv(self, source: str, inputs: int, outputs: int, **told: Any) -> str:
        return self.add("Relu", self.conv(source, inputs, outputs, **told))

    def resized(self, source: str, channels: int, height: int, width: int, **told: Any) -> str:
        sizes = self.known(np.array([1, channels, height, width], np.int64))
        ways = {"mode": "linear", "coordinate_transformation_mode": "half_pixel", **told}
        return self.add("Resize", source, "", "", sizes, **ways)

    def written(self, mask: str, path: Path, channels: int = 1) -> Path:
        taken = helper.make_tensor_value_info("picture", TensorProto.FLOAT, [1, 3, *self.sides])
        given = helper.make_tensor_value_info(mask, TensorProto.FLOAT, [1, channels, None, None])
        graph = helper.make_graph(self.nodes, "drawn", [taken], [given], self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
        onnx.save(model, path)
        return path


def both(path: Path, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    picture = RANDOM.normal(0, 1, (1, 3, height, width)).astype(np.float32)
    ours = NativeNetwork.opened(path)
    assert ours is not None
    return ours.run(picture, Progress()), OnnxNetwork(path, "cpu").run(picture, Progress())


def agree(path: Path, height: int, width: int) -> None:
    ours, wanted = both(path, height, width)
    assert ours.shape == wanted.shape
    assert ours.dtype == np.float32
    assert np.abs(ours - wanted).max() < 2e-5 * max(1.0, float(np.abs(wanted).max()))


@pytest.mark.parametrize(
    ("height", "width", "step"),
    [(4, 4, 1), (5, 9, 1), (1, 7, 1), (3, 2, 1), (33, 18, 1), (20, 20, 2), (7, 21, 4), (10, 10, 8), (96, 100, 1)],
)
@pytest.mark.parametrize(("inputs", "outputs"), [(16, 16), (32, 64), (48, 80), (144, 160)])
def test_convolutions_of_any_size_and_step(
    height: int, width: int, step: int, inputs: int, outputs: int, tmp_path: Path
) -> None:
    """The last two numbers of channels are more than weights are kept ready for, and no whole parts of 32."""
    drawn = Drawn(height, width)
    first = drawn.relu_conv("picture", 3, inputs)
    between = drawn.relu_conv(first, inputs, outputs, dilations=[step, step], bias=step != 2)
    agree(drawn.written(drawn.conv(between, outputs, 1), tmp_path / "m.onnx"), height, width)


@pytest.mark.parametrize(("height", "width"), [(32, 48), (31, 33), (2, 3)])
def test_what_u2nets_are_made_of(height: int, width: int, tmp_path: Path) -> None:
    """A stride, pooling that leaves a row over, sums, joins within joins, enlargements, several maps, a sigmoid."""
    drawn = Drawn(height, width)
    start = drawn.conv("picture", 3, 32, strides=[2, 2])
    high, wide = -(-height // 2), -(-width // 2)
    one = drawn.relu_conv(start, 32, 16)
    pooled = drawn.add("MaxPool", one, kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)
    deep = drawn.relu_conv(pooled, 16, 48)
    up = drawn.resized(deep, 48, high, wide, coordinate_transformation_mode="pytorch_half_pixel")
    joined = drawn.add("Concat", up, one, axis=1)
    two = drawn.relu_conv(joined, 64, 32)
    summed = drawn.add("Add", two, start)
    side = drawn.conv(summed, 32, 1)
    other = drawn.resized(drawn.conv(deep, 48, 1), 1, high, wide)
    maps = drawn.add("Concat", side, other, axis=1)
    mask = drawn.resized(drawn.conv(maps, 2, 1, side=1), 1, height, width)
    agree(drawn.written(drawn.add("Sigmoid", mask), tmp_path / "m.onnx"), height, width)


def test_joins_within_joins_and_maps_that_serve_twice(tmp_path: Path) -> None:
    drawn = Drawn(12, 12)
    one = drawn.relu_conv("picture", 3, 16)
    two = drawn.relu_conv(one, 16, 32)
    inner = drawn.add("Concat", one, two, axis=1)
    three = drawn.relu_conv(inner, 48, 16)
    outer = drawn.add("Concat", three, inner, axis=1)
    last = drawn.add("Add", drawn.relu_conv(outer, 64, 32), two)
    agree(drawn.written(drawn.conv(last, 32, 1), tmp_path / "m.onnx"), 12, 12)


def test_any_size_where_the_graph_takes_any(tmp_path: Path) -> None:
    drawn = Drawn(0, 0, fixed=False)
    mask = drawn.conv(drawn.relu_conv("picture", 3, 16), 16, 1)
    path = drawn.written(mask, tmp_path / "m.onnx")
    for height, width in ((8, 8), (33, 7), (8, 9), (64, 64), (5, 5), (8, 8)):
        agree(path, height, width)


@pytest.mark.parametrize("name", ["u2netp", "u2net", "isnet-general-use-float16"])
@pytest.mark.long
def test_true_networks_give_the_same_masks(name: str, models: Path) -> None:
    """The file in half precision is computed in float32: ONNX Runtime gets it without its casts."""
    pictures = batch(1024 if "isnet" in name else 320, 1)
    ours = NativeNetwork.opened(models / f"{name}.onnx")
    assert ours is not None
    found, wanted = (
        ours.run(pictures, Progress()),
        OnnxNetwork(models / f"{name}.onnx", "cpu").run(pictures, Progress()),
    )
    assert np.abs(found - wanted).max() * 255 < 0.1
    assert np.abs(found - wanted).mean() * 255 < 0.001
    assert found.max() > 0.8


@pytest.mark.skipif(native.widest() != "avx512", reason="this processor has one variant")
def test_narrower_vectors_give_the_same(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = batch(320, 1)
    wide = NativeNetwork.opened(models / "u2netp.onnx")
    assert wide is not None
    wanted = wide.run(pictures, Progress())
    for variant in ("avx2", "plain"):  # the last is what Arm has
        monkeypatch.setattr(native, "widest", lambda variant=variant: variant)
        narrow = NativeNetwork.opened(models / "u2netp.onnx")
        if narrow is None:
            monkeypatch.setattr(native_network, "runs_layers", lambda: True)
            narrow = NativeNetwork.opened(models / "u2netp.onnx")
        assert narrow is not None
        assert np.abs(narrow.run(pictures, Progress()) - wanted).max() < 1e-4


def test_threads_change_nothing(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = NativeNetwork.opened(models / "u2netp.onnx")
    assert network is not None
    pictures = batch(320, 2)
    wanted = network.run(pictures, Progress())
    for count in (1, 3, 8):
        monkeypatch.setattr(native_network, "thread_count", lambda count=count: count)
        assert np.array_equal(network.run(pictures, Progress()), wanted)

    class None_left(threading.Thread):
        def start(self) -> None:
            raise RuntimeError("can't start new thread")

    monkeypatch.setattr(native_network.threading, "Thread", None_left)
    assert np.array_equal(network.run(pictures[:1], Progress()), wanted[:1])


def test_working_memory_is_kept_from_picture_to_picture_alone(models: Path) -> None:
    network = NativeNetwork.opened(models / "u2netp.onnx")
    assert network is not None
    pictures = batch(320, 2)
    wanted = network.run(pictures, Progress())
    assert network._memory is None
    with picture_after_picture():
        for _ in range(2):  # what an earlier picture left there is not seen
            assert np.array_equal(network.run(pictures[::-1], Progress())[::-1], wanted)
            assert network._memory is not None
    assert np.array_equal(network.run(pictures, Progress()), wanted)
    assert network._memory is None


def test_a_run_can_be_stopped_and_tells_how_far_it_is(models: Path) -> None:
    network = NativeNetwork.opened(models / "u2net.onnx")
    assert network is not None
    told: list[float] = []
    wanted = network.run(batch(320, 1), Progress(lambda fraction, _: told.append(fraction)))
    assert told == sorted(told)

    class Stop(Exception):
        pass

    def stop(fraction: float, message: str) -> None:
        raise Stop

    start = time.monotonic()
    with pytest.raises(Stop):
        network.run(np.repeat(batch(320, 1), 50, axis=0), Progress(stop))
    assert time.monotonic() - start < 5  # of 50 pictures
    assert np.array_equal(network.run(batch(320, 1), Progress()), wanted)


def test_what_cannot_be_run_is_one_sentence(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = NativeNetwork.opened(models / "u2netp.onnx")
    assert network is not None
    with pytest.raises(ModelError, match=r"could not be run: it takes no pictures of 64 x 32\. .*architecture"):
        network.run(np.zeros((1, 3, 32, 64), np.float32), Progress())
    with monkeypatch.context() as patch:
        patch.setattr(native_network, "_room", lambda floats: np.empty(1 << 60, np.float32))
        with pytest.raises(DeviceError, match=r"not enough memory .* one picture of 320 x 320"):
            network.run(batch(320, 1), Progress())
    with monkeypatch.context() as patch:
        patch.setattr(memory, "available_memory", lambda: 50_000_000)
        with pytest.raises(DeviceError, match=r"on 320 x 320 pixels needs about 0\.1 GB of memory, but"):
            network.run(batch(320, 1), Progress())
    network.unload()
    with pytest.raises(ModelError, match="unloaded"):
        network.run(batch(320, 1), Progress())


def test_weights_are_kept_ready_and_mapped_from_the_third_start_on(models: Path, tmp_path: Path) -> None:
    def opened() -> tuple[NativeNetwork, list[Path]]:
        network = NativeNetwork.opened(models / "u2net.onnx", 0, tmp_path)
        assert network is not None
        return network, list(tmp_path.glob("*/weights"))

    first, files = opened()
    assert not files
    _, files = opened()
    assert [file.stat().st_size for file in files] == [first.bytes]
    third, _ = opened()
    assert isinstance(third._weights.base.obj, mmap.mmap)
    assert np.array_equal(third._weights, first._weights)
    with files[0].open("r+b") as file:  # cut off by a disk that was full
        file.truncate(1000)
    fourth, _ = opened()
    assert fourth._weights.base is None
    assert np.array_equal(fourth._weights, first._weights)
    prepared = OnnxNetwork(models / "u2net.onnx", "cpu", 0, tmp_path)  # neither's file is in the other's way
    assert prepared.engine == "onnx float32"
    assert list(tmp_path.glob("*weights*"))


def test_a_full_disk_costs_only_the_next_start(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    for _ in range(2):
        assert NativeNetwork.opened(models / "u2net.onnx", 0, tmp_path) is not None
        monkeypatch.setattr("gossamer.networks.prepared_graph.staging_folder", full)
    assert not list(tmp_path.glob("*/weights"))


def test_the_file_is_let_go(models: Path, tmp_path: Path) -> None:
    """Windows replaces no file that somebody has mapped."""
    path = tmp_path / "m.onnx"
    shutil.copy(models / "u2netp.onnx", path)
    network = NativeNetwork.opened(path)
    assert network is not None
    gc.collect()
    if (maps := Path("/proc/self/maps")).exists():
        assert str(path) not in maps.read_text()
    path.unlink()
    assert network.run(batch(320, 1), Progress()).max() > 0.9


def others() -> dict[str, Drawn]:
    """Return graphs with something that our kernels do not know."""
    found: dict[str, Drawn] = {}

    def graph(name: str, height: int = 16) -> Drawn:
        return found.setdefault(name, Drawn(height, 16))

    one = graph("an operator")
    one.conv(one.add("Tanh", one.conv("picture", 3, 16)), 16, 1)
    one = graph("a convolution of 5 x 5")
    one.conv(one.conv("picture", 3, 16, side=5, pads=[2] * 4), 16, 1)
    one = graph("groups")
    weights = one.known(np.ones((16, 8, 3, 3), np.float32))
    one.conv(one.add("Conv", one.conv("picture", 3, 16), weights, group=2, pads=[1] * 4), 16, 1)
    one = graph("no border")
    one.conv(one.conv("picture", 3, 16, pads=[0] * 4), 16, 1)
    one = graph("a stride between maps")
    one.conv(one.conv(one.conv("picture", 3, 16), 16, 16, strides=[2, 2]), 16, 1)
    one = graph("odd channels")
    one.conv(one.conv(one.conv("picture", 3, 12), 12, 20), 20, 1)
    one = graph("a ReLU that others do not get")
    between = one.conv("picture", 3, 16)
    one.conv(one.add("Add", one.add("Relu", between), between), 16, 1)
    one = graph("nearest pixels")
    one.resized(one.conv(one.conv("picture", 3, 16), 16, 1), 1, 32, 32, mode="nearest")
    one = graph("corners that meet")
    one.resized(one.conv(one.conv("picture", 3, 16), 16, 1), 1, 32, 32, coordinate_transformation_mode="align_corners")
    one = graph("one pixel")
    one.resized(one.conv(one.conv("picture", 3, 16), 16, 1), 1, 1, 1)
    one = graph("the picture itself joined")
    one.conv(one.add("Concat", "picture", one.conv("picture", 3, 13), axis=1), 16, 1)
    one = graph("a map joined twice")
    between = one.conv("picture", 3, 16)
    one.conv(one.add("Concat", between, between, axis=1), 32, 1)
    one = graph("pooling by three")
    one.conv(one.add("MaxPool", one.conv("picture", 3, 16), kernel_shape=[3, 3], strides=[2, 2]), 16, 1)
    one = graph("a map that nothing holds", 1 << 16)
    one.resized(one.conv(one.conv("picture", 3, 16), 16, 1), 1, 1 << 20, 1 << 20)
    one = graph("a picture that is pooled")
    one.conv(one.conv(one.add("MaxPool", "picture", kernel_shape=[2, 2], strides=[2, 2]), 3, 16), 16, 1)
    one = graph("inputs that lie nowhere")
    one.conv(one.conv(one.conv("picture", 3, 16), 16, 16, dilations=[0, 0]), 16, 1)
    one = graph("inputs that lie backwards")
    one.conv(one.conv(one.conv("picture", 3, 16), 16, 16, dilations=[-1, -1]), 16, 1)
    one = graph("inputs that lie far apart")
    one.conv(one.conv(one.conv("picture", 3, 16), 16, 16, dilations=[1 << 40] * 2), 16, 1)
    one = graph("no stride")
    one.conv(one.conv("picture", 3, 16, strides=[0, 0]), 16, 1)
    one = graph("a map without end")
    scales = one.known(np.float32([1, 1, np.inf, 2]))
    one.add("Resize", one.conv(one.conv("picture", 3, 16), 16, 1), "", scales, mode="linear")
    one = graph("three maps for a mask")
    one.conv(one.conv("picture", 3, 16), 16, 3)
    return found


@pytest.mark.parametrize("name", list(others()))
def test_of_another_graph_nothing_is_made(name: str, tmp_path: Path) -> None:
    drawn = others()[name]
    path = drawn.written(drawn.nodes[-1].output[0], tmp_path / "m.onnx", 3 if "three" in name else 1)
    assert NativeNetwork.opened(path) is None


def test_of_a_broken_file_nothing_is_made(models: Path, tmp_path: Path) -> None:
    whole = (models / "u2netp.onnx").read_bytes()
    path = tmp_path / "m.onnx"
    for content in (b"", b"nothing", bytes(100), b"\xff" * 50, whole[:100_000], whole[: len(whole) - 1]):
        path.write_bytes(content)
        assert NativeNetwork.opened(path) is None
    drawn = Drawn(16, 16)
    drawn.nodes = [  # which take from each other
        helper.make_node("Relu", ["b"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
    ]
    assert NativeNetwork.opened(drawn.written("b", path)) is None
    assert NativeNetwork.opened(Drawn(16, 16).written("which nobody makes", path)) is None
    drawn = Drawn(16, 16)
    assert NativeNetwork.opened(drawn.written(drawn.add("Part", drawn.conv("picture", 3, 16)), path)) is None


def test_maps_that_are_needed_at_once_do_not_share_memory() -> None:
    spans = [
        (
            first := int(RANDOM.integers(100)),
            first + int(RANDOM.integers(20)),
            int(RANDOM.integers(1, 999)),
            str(number),
        )
        for number in range(300)
    ]
    places, floats = layer_plan.arranged(spans)
    for first, last, count, name in spans:
        assert places[name] % 16 == 0
        assert places[name] + count <= floats
        for other_first, other_last, other_count, other in spans:
            if name != other and first <= other_last and other_first <= last:
                assert places[name] + count <= places[other] or places[other] + other_count <= places[name]


def test_of_a_true_network_most_maps_make_way_for_others(models: Path) -> None:
    graph = read_graph(models / "u2netp.onnx", 0)
    assert graph is not None
    layers = layers_of(graph, 320, 320)
    kinds = kinds_of(graph, layers)
    assert layers is not None
    assert kinds is not None
    plan = layer_plan.planned_layers(layers, kinds, places_of(graph, kinds)[0], graph.picture, (3, 320, 320))
    assert plan is not None
    assert plan.floats < sum(int(np.prod(layer.shape)) for layer in layers if layer.kind != "join") / 2
    assert (plan.shares[0], plan.shares[-1]) == (0, 1)
    assert np.all(np.diff(plan.shares) > 0)


def test_a_plan_and_its_kernels_have_the_same_layout() -> None:
    """One number of each kind, in C and here: a run of no layer touches nothing."""
    assert layer_kernels.OPERATION.itemsize == 8 * 21
    nothing = np.zeros(0, layer_kernels.OPERATION)
    one = np.zeros(1, np.float32)
    state = np.zeros(1, np.int64)
    run = layer_function("run_layers", PLACE, COUNT, *[PLACE] * 6)
    run(nothing, 0, one, one, one, state, state, state)
    assert not state.any()
