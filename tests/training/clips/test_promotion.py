"""Trained weights go into the published graph, are proved on clips, and are used like the published ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from gossamer.cli import main
from gossamer.errors import ModelError
from gossamer.networks.recurrence import Recurrence
from gossamer.networks.recurrent_export import export_recurrent
from gossamer.networks.recurrent_graph import rvm_weights
from gossamer.networks.recurrent_onnx import RecurrentOnnx
from gossamer.networks.recurrent_torch import load_recurrent
from gossamer.progress import Progress
from gossamer.settings.promotion import Promotion
from gossamer.training.promotion import objections_to
from gossamer.training.proof import Change, Interval, Proof, Seen
from gossamer.weights.added import add_model
from gossamer.weights.catalogue import load_catalogue, video_cards
from tests.cached_weights import video_weights
from tests.training.clips.scenes import network, save_clip, save_cut_clip
from tests.video.clips import make_clip


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published weights, each a little otherwise, as a training leaves them."""
    import torch
    from safetensors.torch import save_file

    state = load_recurrent(video_weights(), "rvm_mobilenetv3").state_dict()
    generator = torch.Generator().manual_seed(0)
    changed = {
        name: one
        if name.startswith("refiner.")
        else one + 0.01 * one.std() * torch.randn(one.shape, generator=generator)
        for name, one in state.items()
        if one.numel() > 1
    }
    file = tmp_path_factory.mktemp("trained") / "best.safetensors"
    save_file({**state, **changed}, file)
    return file


@pytest.mark.long
def test_the_graph_stays_and_its_weights_are_the_trained_ones(trained: Path, tmp_path: Path) -> None:
    module = load_recurrent(trained, "rvm_mobilenetv3")
    made = export_recurrent(module, video_weights(), tmp_path / "own.onnx")
    assert 0 < made.difference < 1e-4
    published, own = rvm_weights(video_weights()), rvm_weights(tmp_path / "own.onnx")
    assert published is not None
    assert own is not None  # our kernels take it
    assert sum(not np.array_equal(a[0], b[0]) for a, b in zip(published, own, strict=True)) > 60
    frame = np.random.default_rng(0).integers(0, 255, (96, 128, 3), np.uint8)
    found = [
        RecurrentOnnx(path, "cpu").run(frame, Recurrence(), 1.0, Progress())[0]
        for path in (video_weights(), tmp_path / "own.onnx")
    ]
    assert np.abs(found[0] - found[1]).max() > 1e-3
    with pytest.raises(ModelError, match="is not the graph of this network"):
        export_recurrent(network(), video_weights(), tmp_path / "other.onnx")
    assert not (tmp_path / "other.onnx").exists()


def test_other_weights_are_told_from_a_networks_own(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file(network().state_dict(), tmp_path / "tiny.safetensors")
    with pytest.raises(ModelError, match=r"tiny.safetensors is not Robust Video Matting with MobileNetV3"):
        load_recurrent(tmp_path / "tiny.safetensors", "rvm_mobilenetv3")


@pytest.mark.long
def test_what_is_promoted_is_listed_with_models_for_clips_and_runs(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("GOSSAMER_MODELS", "HF_HUB_CACHE", "U2NET_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GOSSAMER_HOME", str(tmp_path / "home"))
    (tmp_path / "home" / "models").mkdir(parents=True)
    (tmp_path / "home" / "models" / video_weights().name).symlink_to(video_weights())
    for seed in range(2):
        save_clip(tmp_path / "blobs", f"take{seed}", seed, 3)
    save_cut_clip(tmp_path / "blobs" / "cut", 5, 3)
    run = tmp_path / "run"
    (run / "worst").mkdir(parents=True)
    (run / "best.safetensors").write_bytes(trained.read_bytes())
    told = {
        "base": {"id": "rvm-mobilenetv3", "network": "rvm_mobilenetv3", "licence": None},
        "medium": "clips",
        "data": str(tmp_path / "blobs"),
        "general": None,
        "settings": {"side": 96, "length": 3},
        "dataset": {"left_out": 10.0},
        "split": {"test": ["images/take0", "images/take1", "cut"], "general_test": [], "train": ["a"]},
    }
    (run / "run.json").write_text(json.dumps(told))
    out = str(tmp_path / "made")
    flags = ["--id", "rvm-blobs", "--proof-side", "96", "--composites", "1", "--resamples", "100", "--quiet"]
    assert main(["promote", str(run), "--out", out, *flags]) != 0
    assert "Nothing says what it has forgotten" in capsys.readouterr().err
    assert not Path(out).exists()
    assert main(["promote", str(run), "--out", out, *flags, "--accept-worse"]) == 0
    card = json.loads((Path(out) / "card.json").read_text())
    changes = card["proof"]["domain"]["changes"]
    assert [one["measure"] for one in changes] == ["weighted_f", "mad", "mse", "gradient", "connectivity", "dtssd"]
    assert (card["model"]["licence"], card["model"]["commercial"]) == ("GPL-3.0", True)
    assert "under the same licence" in card["model"]["terms"]
    assert [one["filename"] for one in card["model"]["weights"]] == ["rvm-blobs.onnx", "rvm-blobs.safetensors"]
    assert card["files"]["rvm-blobs.onnx"]["difference"] < 1e-4
    page = (Path(out) / "README.md").read_text()
    assert "3 clips in 3 groups" in page
    assert "dtSSD" in page
    assert (Path(out) / "before-after.png").exists()
    add_model(out)
    assert "rvm-blobs" in video_cards()
    assert "rvm-blobs" not in load_catalogue()
    capsys.readouterr()
    assert main(["models", "list"]) == 0
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "made from rvm-mobilenetv3" in line)
    assert line.endswith("(tells its licence until --accept-licence)")  # it is here, and nobody keeps it from running
    make_clip(tmp_path / "clip.mkv", 3)
    for runtime in ("auto", "torch"):
        film = str(tmp_path / f"{runtime}.mkv")
        given = ["--model", "rvm-blobs", "--runtime", runtime, "--accept-licence", "--json"]
        capsys.readouterr()
        assert main(["video", str(tmp_path / "clip.mkv"), "-o", film, *given]) == 0
        assert json.loads(capsys.readouterr().out)["model"] == "rvm-blobs"


def test_what_surely_flickers_more_is_refused() -> None:
    def proof(low: float, high: float) -> Proof:
        better = Change("weighted_f", 0.5, 0.7, Interval(0.2, 0.1, 0.3))
        steady = Change("dtssd", 2.0, 3.0, Interval(-1.0, low, high))
        seen = tuple(Seen(str(one), str(one), {}, {}) for one in range(5))
        return Proof((better, steady), seen, "clips")

    general = Proof((Change("weighted_f", 0.5, 0.5, Interval(0, 0, 0)),), ())
    assert objections_to(proof(-1.5, 0.1), general, Promotion()) == ()
    (said,) = objections_to(proof(-1.5, -0.5), general, Promotion())
    assert said == "It surely flickers more in its domain: dtSSD 2.00 before and 3.00 after."
