"""Robust Video Matting in our own kernels: what ONNX Runtime gives, and no other graph."""

from __future__ import annotations

import itertools
import shutil
import threading
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest

from gossamer import native
from gossamer.errors import Cancelled, DeviceError, ModelError
from gossamer.networks import memory, recurrent_native
from gossamer.networks.layer_kernels import runs_layers, unmeasured
from gossamer.networks.recurrence import Recurrence
from gossamer.networks.recurrent_graph import rvm_weights
from gossamer.networks.recurrent_layers import MAPS, STEPS
from gossamer.networks.recurrent_native import RecurrentNative
from gossamer.networks.recurrent_onnx import RecurrentOnnx
from gossamer.networks.recurrent_plan import FrameSize, packed_weights, planned_frames
from gossamer.progress import Progress
from tests.cached_weights import video_weights

pytestmark = pytest.mark.skipif(not runs_layers() or unmeasured(), reason="no kernels are taken for it here")


@pytest.fixture(scope="module")
def network() -> RecurrentNative:
    found = RecurrentNative.opened(video_weights())
    assert found is not None
    return found


@pytest.fixture(scope="module")
def theirs() -> RecurrentOnnx:
    return RecurrentOnnx(video_weights(), "cpu")


def moving(count: int, width: int, height: int) -> list[np.ndarray]:
    """Return frames of a person who drifts, (H, W, 3) uint8."""
    picture = np.ascontiguousarray(pytest.importorskip("skimage.data").astronaut())
    frames = []
    for number in range(count):
        move = np.array([[1, 0, 3.0 * np.sin(number)], [0, 1, 0.7 * number]], np.float32)
        moved = cv2.warpAffine(picture, move, picture.shape[1::-1], borderMode=cv2.BORDER_REFLECT)
        frames.append(cv2.resize(moved, (width, height), interpolation=cv2.INTER_AREA))
    return frames


def agree(
    network: RecurrentNative, theirs: RecurrentOnnx, frames: list[np.ndarray], ratio: float, within: float
) -> None:
    first, second = Recurrence(), Recurrence()
    for frame in frames:
        alpha, first = network.run(frame, first, ratio, Progress())
        wanted, second = theirs.run(frame, second, ratio, Progress())
        assert alpha.shape == wanted.shape
        assert alpha.dtype == np.float32
        assert np.abs(alpha - wanted).max() < within
    for mine, other in zip(first.states, second.states, strict=True):
        assert mine.shape == other.shape
        assert np.abs(mine - other).max() < 2 * within


@pytest.mark.long
@pytest.mark.parametrize(
    ("width", "height", "ratio"), [(128, 96, 1.0), (181, 147, 0.5), (211, 163, 0.375), (97, 75, 0.9), (480, 270, 1.0)]
)
def test_it_is_the_published_graph_over_thirty_frames(
    network: RecurrentNative, theirs: RecurrentOnnx, width: int, height: int, ratio: float
) -> None:
    agree(network, theirs, moving(30, width, height), ratio, 1e-4)


@pytest.mark.parametrize("width", [*range(34, 51), 119, 120, 121, 243])
@pytest.mark.parametrize("height", [33, 50])
def test_every_remainder_of_a_side(network: RecurrentNative, theirs: RecurrentOnnx, width: int, height: int) -> None:
    """Of blocks of pixels, tiles, halvings, and rows that are gone through in parts."""
    agree(network, theirs, moving(2, width, height), 1.0, 1e-4)


@pytest.mark.parametrize(("width", "height", "ratio"), [(3, 3, 1.0), (5, 17, 1.0), (40, 2, 0.5), (64, 64, 0.02)])
def test_frames_of_next_to_nothing(
    network: RecurrentNative, theirs: RecurrentOnnx, width: int, height: int, ratio: float
) -> None:
    agree(network, theirs, moving(2, width, height), ratio, 1e-4)


def test_bytes_and_floats_are_the_same_frame(network: RecurrentNative) -> None:
    (frame,) = moving(1, 90, 61)
    alpha, after = network.run(frame, Recurrence(), 0.7, Progress())
    again, other = network.run(frame.astype(np.float32) / 255, Recurrence(), 0.7, Progress())
    assert np.abs(alpha - again).max() < 1e-5
    assert all(np.abs(a - b).max() < 1e-4 for a, b in zip(after.states, other.states, strict=True))


def test_a_run_leaves_nothing_behind(network: RecurrentNative) -> None:
    """Frames of other sizes before it, and other threads beside it, change nothing."""
    frames = moving(2, 160, 90)
    wanted = network.run(frames[1], network.run(frames[0], Recurrence(), 0.8, Progress())[1], 0.8, Progress())
    network.run(moving(1, 300, 200)[0], Recurrence(), 1.0, Progress())
    _, before = network.run(frames[0], Recurrence(), 0.8, Progress())
    found: list[tuple[np.ndarray, Recurrence]] = []
    threads = [
        threading.Thread(target=lambda: found.append(network.run(frames[1], before, 0.8, Progress()))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    for alpha, after in found:
        assert np.array_equal(alpha, wanted[0])
        assert all(np.array_equal(a, b) for a, b in zip(after.states, wanted[1].states, strict=True))


def test_one_thread_gives_what_many_give(network: RecurrentNative, monkeypatch: pytest.MonkeyPatch) -> None:
    (frame,) = moving(1, 131, 77)
    found = []
    for count in (1, 2, 5):
        monkeypatch.setattr(recurrent_native, "thread_count", lambda count=count: count)
        found.append(network.run(frame, Recurrence(), 1.0, Progress())[0])
    assert all(np.array_equal(found[0], other) for other in found)


def test_processors_give_the_same(network: RecurrentNative, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = moving(3, 131, 77)

    def mattes(one: RecurrentNative) -> tuple[np.ndarray, Recurrence]:
        remembered = Recurrence()
        for frame in frames:
            alpha, remembered = one.run(frame, remembered, 0.9, Progress())
        return alpha, remembered

    wanted, after = mattes(network)
    widest = native.widest()
    for kind in ("plain", "avx2", "avx512")[: 1 + ("plain", "avx2", "avx512").index(str(widest))]:
        monkeypatch.setattr(native, "widest", lambda kind=kind: kind)
        weights = rvm_weights(video_weights())
        assert weights is not None
        alpha, other = mattes(RecurrentNative(*packed_weights(weights)))
        assert np.abs(alpha - wanted).max() < 1e-4, kind
        assert all(np.abs(a - b).max() < 2e-4 for a, b in zip(other.states, after.states, strict=True)), kind


def test_a_run_is_cancelled_and_memory_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    network = RecurrentNative.opened(video_weights())
    assert network is not None
    weights = network.bytes

    def stop(fraction: float, message: str) -> None:
        raise Cancelled

    large = np.zeros((1500, 2000, 3), np.uint8)
    with pytest.raises(Cancelled):
        network.run(large, Recurrence(), 1.0, Progress(stop))
    (frame,) = moving(1, 64, 64)
    network.run(frame, Recurrence(), 1.0, Progress())  # waits for what was stopped
    assert network.bytes > weights
    network.unload()
    assert network.bytes == 0
    with pytest.raises(ModelError, match="unloaded"):
        network.run(frame, Recurrence(), 1.0, Progress())
    network = RecurrentNative.opened(video_weights())
    assert network is not None
    monkeypatch.setattr(memory, "available_memory", lambda: 1 << 20)
    with pytest.raises(DeviceError, match="64 x 64"):
        network.run(frame, Recurrence(), 1.0, Progress())


def test_only_the_published_graph_is_taken(tmp_path: Path) -> None:
    """Names of nodes and maps are nothing, other weights the same network; anything else is ONNX Runtime's."""
    path = tmp_path / "rvm.onnx"
    model = onnx.load(video_weights())
    graph = model.graph
    given = {one.name for one in (*graph.input, *graph.output)}
    for node in graph.node:
        node.name = ""
        for names in (node.input, node.output):
            names[:] = [name if name in given or not name else f"x{name}" for name in names]
    for tensor in graph.initializer:
        tensor.name = f"x{tensor.name}"
    changed = onnx.numpy_helper.to_array(graph.initializer[0]) * np.float32(0.5)
    graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(changed, graph.initializer[0].name))
    onnx.save(model, path)
    weights, own = rvm_weights(path), rvm_weights(video_weights())
    assert weights is not None
    assert own is not None
    assert len(weights) == len(own) == 82

    def refused(change: str) -> None:
        other = tmp_path / "other.onnx"
        onnx.save(model, other)
        assert rvm_weights(other) is None, change
        assert RecurrentNative.opened(other) is None, change

    convolution = next(node for node in graph.node if node.op_type == "Conv")
    kept = list(convolution.attribute[0].ints)
    convolution.attribute[0].ints[:] = [2, 2]
    refused("an attribute")
    convolution.attribute[0].ints[:] = kept
    node = next(node for node in graph.node if node.op_type == "Mul")
    kept_inputs = list(node.input)
    node.input[:] = [node.input[0], node.input[0]]
    refused("a wire")
    node.input[:] = kept_inputs
    floats = (node for node in graph.node if node.op_type == "Constant" and node.attribute[0].t.data_type == 1)
    constant = next(node for node in floats if node.attribute[0].t.raw_data)
    constant.attribute[0].t.raw_data = bytes(len(constant.attribute[0].t.raw_data))
    refused("a constant")


def test_other_and_broken_files_are_none_of_its(tmp_path: Path) -> None:
    whole = video_weights().read_bytes()
    for number, written in enumerate((b"", b"no graph", whole[: len(whole) // 2], whole[:100] + whole[200:])):
        (tmp_path / f"{number}.onnx").write_bytes(written)
        assert RecurrentNative.opened(tmp_path / f"{number}.onnx") is None
    assert RecurrentNative.opened(tmp_path / "nowhere.onnx") is None
    shutil.copy(video_weights(), tmp_path / "copy.onnx")
    assert RecurrentNative.opened(tmp_path / "copy.onnx") is not None


def test_maps_that_are_used_at_one_time_lie_apart() -> None:
    weights = rvm_weights(video_weights())
    assert weights is not None
    packed, places = packed_weights(weights)
    assert len(places) == sum(step.weights is not None for step in STEPS)
    size = FrameSize(73, 131, 0.9, False)
    plan = planned_frames(size, places)
    assert int(plan.operations["weights"].max()) < len(packed)
    for step, row in zip(STEPS, plan.operations, strict=True):
        assert row["items"] > 0
        spans = []
        for name, field in ((step.takes, "from"), (step.gives, "to"), (step.shared, "shared")):
            if name and name not in ("frame", "told", step.gives if field == "from" else ""):
                high, wide = size.sides(MAPS[name].level)
                spans.append((int(row[field]), int(row[field]) + high * wide * MAPS[name].channels))
        for one in spans:
            assert 0 <= one[0] < one[1] <= plan.floats
        spans.sort()
        assert all(one[1] <= other[0] for one, other in itertools.pairwise(spans)), step.kind
