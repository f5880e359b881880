"""Files of weights: read, refused, and set; bad ones are one clear sentence."""

from __future__ import annotations

import os
import pickle
import tracemalloc
import zipfile
from pathlib import Path

import onnx
import pytest
import safetensors.torch
import torch

from gossamer.errors import InputError, ModelError, ModelNotFound
from gossamer.networks.state_dict import load_network, read_state_dict, recognise_file

pytestmark = pytest.mark.usefixtures("one_thread")


class Code:
    def __reduce__(self):
        return os.mkdir, ("/tmp/gossamer-must-not-exist",)


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    from gossamer.networks.architectures.networks import build

    return {
        key: torch.rand(value.shape, generator=generator) if value.is_floating_point() else value
        for key, value in build("u2netp").state_dict().items()
    }


def assert_same(network: torch.nn.Module, state: dict[str, torch.Tensor]) -> None:
    found = network.state_dict()
    assert all(torch.equal(found[key], state[key]) for key in state)
    assert all(value.dtype == torch.float32 for value in found.values() if value.is_floating_point())


@pytest.mark.long
@pytest.mark.parametrize("name", ["w.safetensors", "w.pth", "w.pt", "w.ckpt", "old.pth", "half.safetensors"])
def test_every_format_gives_the_same_weights(name: str, state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    path = tmp_path / name
    if name.startswith("half"):
        state = {key: value.half() if value.is_floating_point() else value for key, value in state.items()}
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(state, path)
    elif name == "w.ckpt":  # a training program's: the weights lie beside other things, behind wrappers' prefixes
        wrapped = {f"module.{key}": value for key, value in state.items()}
        torch.save({"epoch": 3, "state_dict": wrapped, "optimizer": {"lr": 0.1}}, path)
    elif name == "w.pt":
        torch.save({"model": state}, path)
    else:  # the first files of U²-Net have no counters of training steps
        counted = {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}
        torch.save(counted, path, _use_new_zipfile_serialization=name != "old.pth")
    assert recognise_file(path) == "u2netp"
    assert_same(load_network(path, "u2netp"), {key: value for key, value in state.items() if "tracked" not in key})


def test_keys_are_renamed_in_order_and_empty_ones_left_out(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    safetensors.torch.save_file(
        {f"old.{key}": value for key, value in state.items()} | {"head.weight": torch.zeros(3)}, path
    )
    with pytest.raises(ModelError, match=r"does not fit U²-Net, small"):
        load_network(path, "u2netp")
    assert_same(load_network(path, "u2netp", [(r"^head\..*", ""), (r"^old\.", "new."), (r"^new\.", "")]), state)


def test_missing_left_over_and_misshapen_weights_are_named(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    broken = dict(state)
    for level in range(1, 6):
        del broken[f"side{level}.bias"]
    broken["extra.weight"] = torch.zeros(2)
    broken["outconv.bias"] = torch.zeros(7)
    safetensors.torch.save_file(broken, path)
    with pytest.raises(ModelError) as caught:
        load_network(path, "u2netp")
    text = str(caught.value)
    assert "5 missing (side1.bias, side2.bias, side3.bias, ...)" in text
    assert "1 unexpected (extra.weight)" in text
    assert "1 of another shape (outconv.bias (7,) instead of (1,))" in text


def test_weights_of_another_network_are_told(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    safetensors.torch.save_file(state, path)
    with pytest.raises(ModelError, match=r"holds weights of U²-Net, small, not of IS-Net.*architecture u2netp"):
        load_network(path, "isnet")


def test_weights_that_are_not_finite_are_refused(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    safetensors.torch.save_file(state | {"side1.bias": torch.tensor([float("nan")])}, path)
    with pytest.raises(ModelError, match=r"side1\.bias in w\.safetensors are not finite"):
        load_network(path, "u2netp")


@pytest.mark.parametrize("protocol", ["zip", "old", "plain"])
def test_a_pickle_with_code_is_refused_and_not_run(protocol: str, tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    if protocol == "plain":
        path.write_bytes(pickle.dumps({"state_dict": Code()}))
    else:
        torch.save({"state_dict": Code()}, path, _use_new_zipfile_serialization=protocol == "zip")
    for read in (read_state_dict, recognise_file):
        with pytest.raises(ModelError, match="run code") as caught:
            read(path)
        assert "safetensors" in caught.value.remedy
    assert not Path("/tmp/gossamer-must-not-exist").exists()


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth", "w.onnx"])
def test_truncated_and_foreign_files_are_refused(
    name: str, state: dict[str, torch.Tensor], models: Path, tmp_path: Path
) -> None:
    whole, path = tmp_path / f"whole-{name}", tmp_path / name
    if name == "w.safetensors":
        safetensors.torch.save_file(state, whole)
    elif name == "w.pth":
        torch.save(state, whole)
    else:
        whole = models / "u2netp.onnx"
    data = whole.read_bytes()
    for content in (data[: len(data) // 2], data[:100], b"", b"not weights at all" * 20):
        path.write_bytes(content)
        with pytest.raises(ModelError, match=r"w\.\w+ is not a readable|no weights"):
            load_network(path, "u2netp")


@pytest.mark.long
def test_a_file_that_unpacks_to_far_more_than_it_is_is_refused_unread(tmp_path: Path) -> None:
    """A pickle of 200 MB of zeros, deflated, in a zip file of torch's."""
    torch.save({"a": torch.zeros(2)}, tmp_path / "small.pth")
    with zipfile.ZipFile(tmp_path / "small.pth") as small:
        parts = {name: small.read(name) for name in small.namelist()}
    bomb = tmp_path / "bomb.pth"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            with archive.open(name, "w") as part:
                part.write(b"\x80\x02X" + (200_000_000).to_bytes(4, "little") if name.endswith("data.pkl") else content)
                for _ in range(200 if name.endswith("data.pkl") else 0):
                    part.write(bytes(1_000_000))
    tracemalloc.start()
    try:
        for read in (read_state_dict, recognise_file):
            with pytest.raises(ModelError, match=r"bomb\.pth would take 0\.2 GB when unpacked") as caught:
                read(bomb)
            assert caught.value.remedy.startswith("Fetch it from its authors")
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()


def test_weights_that_somebody_has_compressed_are_read(tmp_path: Path) -> None:
    weights = {"a": torch.arange(1000.0)}
    torch.save(weights, tmp_path / "plain.pth")
    with (
        zipfile.ZipFile(tmp_path / "plain.pth") as plain,
        zipfile.ZipFile(tmp_path / "packed.pth", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in plain.namelist():
            kind = zipfile.ZIP_DEFLATED if name.endswith(".pkl") else zipfile.ZIP_STORED  # torch maps the tensors
            packed.writestr(name, plain.read(name), kind)
    assert torch.equal(read_state_dict(tmp_path / "packed.pth")["a"], weights["a"])


def test_what_is_not_a_file_of_weights_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="no model file"):
        read_state_dict(tmp_path / "absent.pth")
    (tmp_path / "w.bin").write_bytes(b"x")
    with pytest.raises(InputError, match="not a file of weights"):
        read_state_dict(tmp_path / "w.bin")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(ModelError, match=r"no weights in list\.pth"):
        read_state_dict(tmp_path / "list.pth")


@pytest.mark.long
def test_graphs_are_recognised_by_their_convolutions(models: Path) -> None:
    assert recognise_file(models / "u2netp.onnx") == "u2netp"
    assert recognise_file(models / "isnet-general-use-float16.onnx") == "isnet"
    assert "side1.weight" in read_state_dict(models / "u2netp.onnx")
    with pytest.raises(
        ModelError, match=r"u2netp\.onnx is not IS-Net: where conv_in .* has Conv_0 \(64, 3, 3, 3\)|not"
    ):
        load_network(models / "u2netp.onnx", "isnet")
    with pytest.raises(ModelError, match="cannot be taken from an ONNX file"):
        load_network(models / "u2netp.onnx", "birefnet_swin_t")


@pytest.mark.long
def test_batch_normalisation_that_was_not_folded_comes_over(
    u2netp: torch.nn.Module, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    """A graph with its own names, in which batch normalisation still stands behind the convolutions."""
    path = tmp_path / "training.onnx"
    torch.onnx.export(
        u2netp,
        (torch.zeros(1, 3, 64, 64),),
        str(path),
        dynamo=False,
        do_constant_folding=False,
        training=torch.onnx.TrainingMode.PRESERVE,
    )
    recwarn.clear()  # the exporter's
    graph = onnx.load(path)
    assert sum(node.op_type == "BatchNormalization" for node in graph.graph.node) > 100
    names = {tensor.name: f"w{i}" for i, tensor in enumerate(graph.graph.initializer)}
    for tensor in graph.graph.initializer:
        tensor.name = names[tensor.name]
    for node in graph.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
    onnx.save(graph, path)
    found, expected = load_network(path, "u2netp").state_dict(), u2netp.state_dict()
    for key in expected:
        torch.testing.assert_close(found[key], expected[key], rtol=0, atol=2e-6)


@pytest.mark.parametrize("fault", ["several disks", "no list", "a number too large", "cut in the middle"])
def test_what_the_readers_themselves_stumble_over_is_a_damaged_file(fault: str, tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    torch.save({"a": torch.zeros(3)}, path, _use_new_zipfile_serialization=fault == "several disks")
    data = bytearray(path.read_bytes())
    if fault == "several disks":  # the 64-bit end of the directory: Python's own look at it raises
        data[data.index(b"PK\6\7") + 16] = 2
    elif fault == "no list":
        data[data.index(b"q\1") : data.index(b"q\1") + 2] = b"0."
    elif fault == "a number too large":
        data = data.replace(b"K\3", b"K\xff")
    else:
        del data[len(data) // 2 : len(data) // 2 + 9]
    path.write_bytes(data)
    for read in (read_state_dict, recognise_file):
        with pytest.raises(ModelError, match=r"x\.pth|There are no weights"):
            read(path)


def test_a_graph_whose_array_is_of_no_type_is_damaged(tmp_path: Path) -> None:
    array = onnx.numpy_helper.from_array(torch.zeros(2).numpy(), "a")
    array.data_type = 33
    node = onnx.helper.make_node("Identity", ["a"], ["b"])
    graph = onnx.helper.make_graph([node], "g", [], [], [array])
    (tmp_path / "g.onnx").write_bytes(onnx.helper.make_model(graph).SerializeToString())
    for read in (read_state_dict, recognise_file):
        with pytest.raises(ModelError, match=r"g\.onnx is not a readable"):
            read(tmp_path / "g.onnx")
