"""BiMatting against its authors' code: the numbers below are what that gave for the same seeded weights and frames."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gossamer.errors import InputError, ModelError, ModelNotFound, OutputExists
from gossamer.networks.bimatting_weights import load_bimatting
from gossamer.networks.export import export_packed
from gossamer.networks.recurrence import Recurrence
from gossamer.networks.recurrent_torch import RecurrentTorch
from gossamer.progress import Progress

torch = pytest.importorskip("torch")

from tests.networks.architectures.bimatting_checkpoint import bimatting_checkpoint  # noqa: E402

# What the authors' code gave in float64 after three frames: alpha at eight places, its mean, how its memory spreads.
_RECORDED = {
    (97, 131, 0.5): (
        {
            (0, 0): 0.0,
            (96, 130): 0.0,
            (48, 43): 0.100479,
            (32, 65): 0.088815,
            (17, 31): 0.096762,
            (50, 71): 0.128461,
            (5, 60): 0.089331,
            (60, 9): 0.127535,
        },
        0.111327,
        (0.522518, 0.479756, 0.511099, 0.419437),
    ),
    (64, 80, 1.0): (
        {
            (0, 0): 0.084708,
            (63, 79): 0.197143,
            (32, 26): 0.243488,
            (21, 40): 0.234897,
            (17, 31): 0.154225,
            (50, 71): 0.230492,
            (5, 60): 0.068477,
            (60, 9): 0.244355,
        },
        0.194598,
        (0.864178, 0.661768, 0.781737, 0.426004),
    ),
}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bimatting") / "epoch-27.pth"
    torch.save(bimatting_checkpoint(), path)
    return path


@pytest.fixture(scope="module")
def packed(checkpoint: Path) -> Path:
    path = checkpoint.with_name("packed.safetensors")
    export_packed(checkpoint, path)
    return path


def frames(count: int, height: int, width: int) -> Iterator[np.ndarray]:
    """Yield smooth frames that grow lighter, (1, 3, H, W) float32."""
    coarse = np.random.default_rng(5).uniform(0, 1, (1, 3, 5, 6)).astype(np.float32)
    for number in range(count):
        given = torch.from_numpy(coarse + np.float32(0.05 * number))
        grown = torch.nn.functional.interpolate(given, (height, width), mode="bilinear", align_corners=False)
        yield grown.clamp(0, 1).numpy()


@pytest.mark.long
@pytest.mark.parametrize(("height", "width", "ratio"), list(_RECORDED))
def test_it_is_the_authors_network(checkpoint: Path, height: int, width: int, ratio: float) -> None:
    # In double precision: in float32 a sign may fall the other way where its number is next to 0.
    network = load_bimatting(checkpoint).double()
    states: list[Any] = [None] * 4
    for frame in frames(3, height, width):
        _, alpha, states = network(torch.from_numpy(frame).double(), states, ratio)
    found = alpha[0, 0].numpy()
    values, mean, spreads = _RECORDED[height, width, ratio]
    assert all(abs(found[place] - value) < 1e-5 for place, value in values.items())
    assert found.mean() == pytest.approx(mean, abs=1e-5)
    assert np.allclose([float(state.std(unbiased=False)) for state in states], spreads, atol=1e-5)


def test_layer_by_layer_bits_give_what_torch_gives(checkpoint: Path) -> None:
    from gossamer.networks.architectures.bimatting import Signs

    plain, bits = load_bimatting(checkpoint), load_bimatting(checkpoint)
    bits.pack()
    seen = []
    for name, layer in plain.named_modules():
        if isinstance(layer, Signs):
            layer.register_forward_hook(lambda _, given, out, name=name: seen.append((name, given, out)))
    with torch.inference_mode():
        states: list[Any] = [None] * 4
        for frame in frames(2, 66, 90):
            seen.clear()
            _, _, states = plain(torch.from_numpy(frame), states, 0.75)
        layers = dict(bits.named_modules())
        assert len({name for name, _, _ in seen}) == len([1 for one in layers.values() if isinstance(one, Signs)])
        for name, given, out in seen:
            assert (layers[name](*given) - out).abs().max() <= 2e-6 * max(1.0, float(out.abs().max())), name


def test_a_packed_file_is_a_twentieth_and_gives_the_same(checkpoint: Path, packed: Path) -> None:
    assert checkpoint.stat().st_size > 21 * packed.stat().st_size
    one, other = RecurrentTorch(checkpoint, "cpu", "bimatting"), RecurrentTorch(packed, "cpu", "bimatting")
    first, second = Recurrence(), Recurrence()
    for frame in frames(2, 64, 80):
        pixels = frame[0].transpose(1, 2, 0)
        alpha, first = one.run(pixels, first, 0.5, Progress())
        wanted, second = other.run(pixels, second, 0.5, Progress())
        assert np.array_equal(alpha, wanted)
        with torch.inference_mode():
            colours, wanted_colours = (
                network.modules[0](torch.from_numpy(frame), [None] * 4, 0.5)[0] for network in (one, other)
            )
        assert torch.equal(colours, wanted_colours)
    assert all(np.array_equal(a, b) for a, b in zip(first.states, second.states, strict=True))


@pytest.mark.long
def test_files_are_not_overwritten_and_others_are_refused(checkpoint: Path, packed: Path, tmp_path: Path) -> None:
    before = packed.read_bytes()
    with pytest.raises(OutputExists):
        export_packed(checkpoint, packed)
    assert packed.read_bytes() == before
    with pytest.raises(ModelNotFound):
        load_bimatting(tmp_path / "none.pth")
    with pytest.raises(InputError, match="is not a file of BiMatting's weights"):
        load_bimatting(tmp_path / "rvm.onnx")
    state = bimatting_checkpoint()
    del state["aspp.aspp1.0.bias"]
    torch.save(state, tmp_path / "short.pth")
    state = bimatting_checkpoint() | {"aspp.aspp1.0.bias": torch.zeros(7)}
    torch.save(state, tmp_path / "other.pth")
    for name in ("short.pth", "other.pth"):
        with pytest.raises(ModelError, match="does not hold BiMatting's weights"):
            load_bimatting(tmp_path / name)


def test_a_clip_is_cut_with_weights_of_ones_own(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("av")
    from gossamer.cli import main
    from gossamer.video import open_source
    from tests.video.clips import make_clip

    monkeypatch.setenv("GOSSAMER_HOME", str(tmp_path / "home"))
    make_clip(tmp_path / "in.mkv", 3)
    clip, out = str(tmp_path / "in.mkv"), str(tmp_path / "out.mkv")
    # Nothing can be fetched: where a person finds it is said.
    assert main(["video", clip, out, "--model", "bimatting", "--quiet"]) != 0
    told = capsys.readouterr().err
    assert "cannot be fetched" in told
    assert "weights of your own" in told
    assert main(["video", clip, out, "--model", "bimatting", "--weights", str(tmp_path / "no.pth"), "--quiet"]) != 0
    assert "no.pth" in capsys.readouterr().err
    assert main(["video", clip, out, "--model", "bimatting", "--weights", str(packed), "--quiet"]) == 0
    with open_source(tmp_path / "out.mkv") as made:
        assert sum(1 for _ in made.frames()) == 3
