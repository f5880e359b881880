"""Torch beside ONNX Runtime on the same real weights; what torch does when asked to stop, or without memory."""

from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from gossamer.errors import Cancelled, DeviceError, InputError, ModelError
from gossamer.networks import memory, torch_module, torch_network
from gossamer.networks.architectures.networks import build
from gossamer.networks.architectures.swin import SWINS, SwinSize
from gossamer.networks.torch_network import TorchNetwork
from gossamer.progress import Progress
from tests.networks.architectures.seeded_weights import seed_weights, seeded_picture
from tests.networks.conftest import batch
from tests.networks.sessions import bare_session


@pytest.mark.long
@pytest.mark.parametrize(
    ("file", "network", "size"),
    [("u2netp.onnx", "u2netp", 320), ("u2net.onnx", "u2net", 320), ("isnet-general-use-float16.onnx", "isnet", 1024)],
)
def test_the_same_weights_give_the_same_masks_as_in_onnx(file: str, network: str, size: int, models: Path) -> None:
    pictures = batch(size, 2 if network == "u2netp" else 1)
    session = bare_session(models / file)
    name = session.get_inputs()[0].name
    expected = np.concatenate([session.run(None, {name: picture[None]})[0][:, 0] for picture in pictures])
    ours = TorchNetwork(models / file, network, device="cpu")
    assert (ours.device, ours.precision, ours.warnings) == ("cpu", "float32", ())
    difference = np.abs(ours.run(pictures, Progress()) - expected) * 255
    assert difference.mean() <= 0.02, (difference.mean(), difference.max())
    assert difference.max() <= 0.5, difference.max()  # the half-precision graph rounds between its layers


@pytest.fixture(scope="module")
def small(models: Path) -> TorchNetwork:
    return TorchNetwork(models / "u2netp.onnx", "u2netp", device="cpu")


@pytest.mark.long
def test_a_batch_gives_what_single_pictures_give_and_twice_the_same(small: TorchNetwork) -> None:
    pictures = batch(96, 3)
    together = small.run(pictures, Progress())
    assert together.shape == (3, 96, 96)
    assert together.dtype == np.float32
    assert np.array_equal(together, small.run(pictures, Progress()))
    alone = np.concatenate([small.run(picture[None], Progress()) for picture in pictures])
    assert np.abs(together - alone).max() < 1e-4


@pytest.mark.long
def test_progress_advances_with_the_layers(small: TorchNetwork) -> None:
    small.run(batch(64, 1), Progress())  # counts them
    seen: list[float] = []
    small.run(batch(320, 1), Progress(lambda fraction, message: seen.append(fraction)))
    assert seen == sorted(seen)
    assert any(0.1 < fraction < 0.95 for fraction in seen), seen


@pytest.mark.long
def test_a_run_stops_between_two_layers_and_the_network_can_run_again(small: TorchNetwork) -> None:
    pictures = batch(320, 3)  # a second of work

    def stop(fraction: float, message: str) -> None:
        raise Cancelled

    start = time.monotonic()
    with pytest.raises(Cancelled):
        small.run(pictures, Progress(stop))
    stopped = time.monotonic() - start
    start = time.monotonic()
    small.run(pictures, Progress())
    whole = time.monotonic() - start
    assert stopped < whole / 2, (stopped, whole)


def test_torch_is_left_as_it_was(small: TorchNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    threads, seen = torch.get_num_threads(), []
    monkeypatch.setattr(torch_module, "thread_count", lambda: 1)
    forward = small._module._call
    monkeypatch.setattr(
        small._module,
        "_call",
        lambda x: (seen.append((torch.get_num_threads(), torch.is_inference_mode_enabled())), forward(x))[1],
    )
    small.run(batch(64, 1), Progress())
    assert seen == [(1, True)]
    assert torch.get_num_threads() == threads
    assert not torch.is_inference_mode_enabled()


def test_every_run_is_on_one_thread_which_takes_its_callers_number_of_threads(
    small: TorchNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A thread that ended after each run held MKL's locks meanwhile: what was forked just then hung for ever.
    before, seen = torch.get_num_threads(), []
    expected = min(before, torch_module.thread_count())
    monkeypatch.setattr(
        small._module,
        "_call",
        lambda x: (seen.append((threading.get_ident(), torch.get_num_threads())), x.mean(1, keepdim=True))[1],
    )
    try:
        for threads in (before, 1, before):
            torch.set_num_threads(threads)
            small.run(batch(64, 1), Progress())
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert len({thread for thread, _ in seen}) == 1
    assert [count for _, count in seen] == [expected, 1, expected]


@pytest.mark.long
def test_half_weights_run_as_float32_on_the_cpu(tmp_path: Path, u2netp: torch.nn.Module) -> None:
    path = tmp_path / "half.safetensors"
    state = {key: value.half() if value.is_floating_point() else value for key, value in u2netp.state_dict().items()}
    safetensors.torch.save_file(state, path)
    half = TorchNetwork(path, "u2netp", device="cpu")
    assert half.precision == "float32"
    rounded = build("u2netp")
    rounded.load_state_dict({key: value.float() for key, value in state.items()})
    with torch.inference_mode():
        expected = rounded(torch.from_numpy(batch(96)))[:, 0].numpy()
    assert np.abs(half.run(batch(96), Progress()) - expected).max() < 1e-4


def test_precisions(models: Path, small: TorchNetwork) -> None:
    with pytest.raises(DeviceError, match=r"float16 does not run on the CPU.*stored in half precision are fine"):
        TorchNetwork(models / "u2netp.onnx", "u2netp", device="cpu", precision="float16")
    with pytest.raises(DeviceError, match=r"torch runs nothing in int8.*openvino"):
        TorchNetwork(models / "u2netp.onnx", "u2netp", precision="int8")
    with pytest.raises(InputError, match="no precision 'int4'"):
        TorchNetwork(models / "u2netp.onnx", "u2netp", precision="int4")
    coarse = TorchNetwork(models / "u2netp.onnx", "u2netp", device="cpu", precision="bfloat16")
    assert coarse.precision == "bfloat16"
    difference = np.abs(coarse.run(batch(128, 1), Progress()) - small.run(batch(128, 1), Progress()))
    assert 0 < difference.mean() < 0.1  # 8 bits through 60 layers, on a small picture


@pytest.mark.long
@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory."), MemoryError()])
def test_a_full_memory_halves_the_batch(error: Exception, small: TorchNetwork, models: Path) -> None:
    network = TorchNetwork(models / "u2netp.onnx", "u2netp", device="cpu")
    tried: list[int] = []

    class Card(torch.nn.Module):
        """Stands in for a card that holds two pictures."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            tried.append(len(x))
            if len(x) > 2:
                raise error
            return x[:, :1]

    network._module._call = Card()
    pictures = np.concatenate([batch(64, 3)] * 2)
    assert np.array_equal(network.run(pictures, Progress()), pictures[:, 0])
    assert tried == [6, 3, 1, 1, 1, 1, 1, 1]
    assert network.warnings == ("Memory ran out: pictures go through the model 1 at a time.",)


def test_other_failures_are_one_sentence(models: Path) -> None:
    network = TorchNetwork(models / "u2netp.onnx", "u2netp", device="cpu")
    with pytest.raises(ModelError, match=r"U²-Net, small could not be run on pictures of 64 x 32"):
        network.run(np.zeros((1, 4, 32, 64), np.float32), Progress())
    network._module._call = lambda x: x[:, :1] * float("nan")
    with pytest.raises(ModelError, match="not a number"):
        network.run(batch(64, 1), Progress())


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA error: unspecified launch failure\nCUDA kernel errors might be reported asynchronously"),
        RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
        RuntimeError(
            "Native API failed. Native API returns: 39 (UR_RESULT_ERROR_OUT_OF_DEVICE_MEMORY) XPU device lost"
        ),
        torch.AcceleratorError("HIP error: no ROCm-capable device is detected"),
    ],
)
def test_a_card_that_vanishes_is_told_as_the_card(error: Exception, models: Path) -> None:
    network = TorchNetwork(models / "u2netp.onnx", "u2netp", device="cpu")

    def gone(x: torch.Tensor) -> torch.Tensor:
        raise error

    network._module._call = gone
    with pytest.raises(ModelError, match="could not be run"):  # of which the processor has none
        network.run(batch(64, 1), Progress())
    network._module.device = "xpu"  # whose tensors nobody makes here
    network._module._settings = lambda threads: contextlib.nullcontext()
    with pytest.raises(DeviceError, match=r"could not be run on .* \(.*\)\. Check the driver with its own tools"):
        network._module.run(lambda call: call(torch.zeros(1)), Progress())


def test_what_does_not_fit_is_said_before_it_begins(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = TorchNetwork(models / "u2netp.onnx", "u2netp", device="cpu")
    tried: list[int] = []

    def call(x: torch.Tensor) -> torch.Tensor:
        tried.append(len(x))
        return x[:, :1]

    network._module._call = call
    for where in (memory, torch_network):
        monkeypatch.setattr(where, "available_memory", lambda: 64 * 64 * 1960 * 2)
    assert network.run(np.zeros((5, 3, 64, 64), np.float32), Progress()).shape == (5, 64, 64)
    assert tried == [2, 2, 1]
    with pytest.raises(DeviceError, match=r"on 2560 x 128 pixels needs about 0\.6 GB of memory, but 0\.0 GB are left"):
        network.run(np.zeros((1, 3, 128, 2560), np.float32), Progress())
    assert tried == [2, 2, 1]


def test_an_unloaded_network_holds_nothing_and_says_so(models: Path) -> None:
    network = TorchNetwork(models / "u2netp.onnx", "u2netp", device="cpu")
    network.unload()
    assert not any(isinstance(value, torch.nn.Module) for value in vars(network).values())
    with pytest.raises(ModelError, match="was unloaded"):
        network.run(batch(64, 1), Progress())


def test_cuda_is_never_pretended(models: Path) -> None:
    if torch.cuda.is_available():
        network = TorchNetwork(models / "u2netp.onnx", "u2netp", device="cuda")
        assert (network.device, network.precision) == ("cuda", "float16")
    else:
        with pytest.raises(DeviceError, match="CUDA is not available"):
            TorchNetwork(models / "u2netp.onnx", "u2netp", device="cuda")


@pytest.mark.long
def test_a_host_can_move_the_module_away_and_back(models: Path) -> None:
    network = TorchNetwork(models / "u2netp.onnx", "u2netp", device="cpu")
    (module,) = network.modules
    pictures = batch(320, 1)
    expected = network.run(pictures, Progress())
    module.to(torch.float64).to(torch.float32)  # as to another device: every parameter is replaced
    np.testing.assert_array_equal(network.run(pictures, Progress()), expected)
    network.unload()
    assert network.modules == ()


def test_a_driver_that_does_not_start_falls_back_and_says_so(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """torch says that there is a card, and its first use fails: a driver that is too old."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "_lazy_init", _no_driver)
    network = TorchNetwork(models / "u2netp.onnx", "u2netp")
    assert network.device == "cpu"
    assert "CUDA could not be started" in network.warnings[0]
    with pytest.raises(DeviceError, match="could not be started"):
        TorchNetwork(models / "u2netp.onnx", "u2netp", device="cuda")


@pytest.mark.long
@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize(
    ("shown", "named"), [("rows", "columns"), ("columns", "rows"), ("columns", "columns"), (None, "columns")]
)
def test_weights_that_show_another_order_of_patches_run_in_it_and_say_so(
    shown: str | None, named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SWINS, "swin_t", SwinSize(24, (2, 2, 2, 2), (1, 2, 4, 8), 7))
    network = build("birefnet_swin_t")
    seed_weights(network)
    state = network.state_dict()
    if shown:
        for level in (5, 4, 3, 2):  # the same for the three colours of every tile
            weights = state[f"decoder.ipt_blk{level}.conv1.weight"]
            parts = weights.unflatten(1, (3, -1) if shown == "rows" else (-1, 3))
            axis = 1 if shown == "rows" else 2
            weights.copy_(parts.mean(axis, keepdim=True).expand_as(parts).flatten(1, 2))
    path = tmp_path / "w.safetensors"
    safetensors.torch.save_file(state, path)
    found = TorchNetwork(path, "birefnet_swin_t" + "_columns" * (named == "columns"), device="cpu")
    if shown in (None, named):
        assert found.warnings == ()
    else:
        (warning,) = found.warnings
        assert f"trained with the picture's patches in {shown}, not in {named}" in warning
    network.load_state_dict(state)
    network.get_submodule("decoder").patches = shown or named
    picture = seeded_picture(1, 64, 64)
    with torch.inference_mode():
        expected = network(picture)[:, 0].numpy()
    assert np.abs(found.run(picture.numpy(), Progress()) - expected).max() < 1e-4


def _no_driver() -> None:
    raise RuntimeError("The NVIDIA driver on your system is too old")


def test_pictures_and_weights_lie_channels_last(small: TorchNetwork) -> None:
    """That is what fast convolutions read, on cards and on processors alike."""
    (module,) = small.modules
    seen: list[torch.Tensor] = []
    hook = module.register_forward_pre_hook(lambda layer, inputs: seen.append(inputs[0]))
    small.run(batch(64, 2), Progress())
    hook.remove()
    weights = [layer.weight for layer in module.modules() if isinstance(layer, torch.nn.Conv2d)]
    assert all(each.is_contiguous(memory_format=torch.channels_last) for each in [*seen, *weights])
    assert len(seen) == 1


def test_every_layer_can_be_folded_or_has_nothing_to_fold() -> None:
    network = build("u2netp")
    for layer in network.modules():
        if hasattr(layer, "fold"):
            layer.fold()
    assert not any(isinstance(layer, torch.nn.BatchNorm2d) for layer in network.modules())


@pytest.mark.long
def test_a_device_that_lacks_an_operator_is_left_when_the_network_is_loaded(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch's meta device stands in for a card: it takes weights and cannot tell what came out."""
    monkeypatch.setattr(torch_network, "started_device", lambda device: ("meta", ()))
    network = TorchNetwork(models / "u2netp.onnx", "u2netp")
    (warning,) = network.warnings
    assert warning.startswith("U²-Net, small does not run on meta (")
    assert warning.endswith("); it runs on the CPU.")
    assert (network.device, network.engine) == ("cpu", "torch float32")
    assert network.run(batch(64, 1), Progress()).max() > 0
