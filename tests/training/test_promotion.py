"""A model is promoted when it is better, refused when it is not, and used through every path that the faces have."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import gossamer
from gossamer.cli import main
from gossamer.networks.state_dict import load_network
from gossamer.training.model_card import inherited
from gossamer.weights.added import add_model, read_card
from gossamer.weights.catalogue import published_models
from tests.cached_weights import weights_home
from tests.training.dataset.scenes import blob, save_mask, save_picture, textured

DATASET = {"test": 90.0, "validation": 0.0}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """U²-Net small as it is published, and damaged: noise in the weights of its first stages."""
    import torch
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("weights")
    network = load_network(weights_home() / "models" / "u2netp.onnx", "u2netp")
    save_file(network.state_dict(), folder / "good.safetensors")
    generator = torch.Generator().manual_seed(0)
    state = {name: value.clone() for name, value in network.state_dict().items()}
    for name, value in state.items():
        if name.startswith(("stage1.", "stage2.")) and name.endswith("conv_s1.weight"):
            value += 1.5 * value.std() * torch.randn(value.shape, generator=generator)
    save_file(state, folder / "bad.safetensors")
    return {name: folder / f"{name}.safetensors" for name in ("good", "bad")}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    for seed in range(20, 25):
        save_picture(root / "shoes" / "images" / f"item-{seed:03d}.png", _before_white(seed))
        save_mask(root / "shoes" / "masks" / f"item-{seed:03d}.png", blob(seed))
    return root / "shoes"


def _before_white(seed: int) -> np.ndarray:
    alpha = blob(seed)[..., None]
    return np.rint(255 * (alpha * 0.6 * textured(seed) + (1 - alpha) * 0.95)).astype(np.uint8)


def _run(folder: Path, base: str, best: Path, data: Path, general: Path | None, count: int = 5) -> Path:
    """Write what a training leaves."""
    folder.mkdir()
    (folder / "worst").mkdir()
    (folder / "best.safetensors").write_bytes(best.read_bytes())
    names = [f"images/item-{number:03d}" for number in range(20, 20 + count)]
    told = {
        "base": {"id": base, "network": "u2netp", "licence": None},
        "data": str(data),
        "general": None if general is None else str(general),
        "backgrounds": None,
        "seed": 3,
        "settings": {"steps": 10, "side": 128},  # small: the exported network is fed at the side that it was trained at
        "dataset": DATASET,
        "split": {"test": names, "general_test": names[:2], "train": ["a", "b"]},
        "result": {
            "steps": 10,
            "best_step": 8,
            "share": 0.3,
            "before": {"weighted_f": 0.5, "general_weighted_f": 0.8, "general_kept": 0.8},
            "walk": [
                {"share": 0.3, "weighted_f": 0.625, "general_weighted_f": 0.8, "general_kept": 0.795},
                {"share": 1.0, "general_weighted_f": 0.75, "general_kept": 0.7},
            ],
        },
    }
    (folder / "run.json").write_text(json.dumps(told))
    return folder


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads that wait for each other take more of the processor than what they compute here."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("HF_HUB_CACHE", "U2NET_HOME", "XDG_DATA_HOME", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / "nowhere"))
    monkeypatch.setenv("GOSSAMER_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.mark.long
def test_what_is_better_is_promoted_with_both_files_and_its_card(
    tmp_path: Path, home: Path, weights: dict[str, Path], data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = _run(tmp_path / "run", str(weights["bad"]), weights["good"], data, data)
    out = tmp_path / "my-shoes"
    status = main(
        ["promote", str(run), "--out", str(out), "--id", "my-shoes", "--data-licence", "CC0-1.0", "--json", "--add"]
    )
    told = json.loads(capsys.readouterr().out)
    assert status == 0, told
    assert told["promoted"] is True
    assert told["commercial"] is False  # of weights that nobody knows
    gain = next(change for change in told["domain"]["changes"] if change["measure"] == "weighted_f")
    assert gain["gain"]["low"] > 0
    names = {"my-shoes.safetensors", "my-shoes.onnx", "card.json", "README.md", "before-after.png"}
    assert {path.name for path in out.iterdir()} == names
    card, said = read_card(out)
    assert card.input == dataclasses.replace(published_models()["u2netp"].input, size=(128, 128))
    assert said["files"]["my-shoes.onnx"]["difference"] < 1e-3
    text = (out / "README.md").read_text(encoding="utf-8")
    for part in ("weighted F ↑", "CC0-1.0", "steps | 10", "5 pictures in 5 groups", "before-after.png"):
        assert part in text
    # So does it say which part of the way was taken, and what the others gave.
    for line in (
        "30% of the way, after step 8",
        "| 30% | 0.6250 | 0.8000 | 0.7950 |",
        "| 100% | not measured | 0.7500 | 0.7000 |",
    ):
        assert line in text
    # A card is passed on: it says nothing of where things lay.
    assert str(tmp_path.parent) not in text + (out / "card.json").read_text(encoding="utf-8")
    # Both files, through the paths that faces use, find the same.
    rgb = _before_white(21)
    masks = [gossamer.load_model("my-shoes", runtime=runtime).predict(rgb) for runtime in ("torch", "onnx")]
    assert np.abs(masks[0] - masks[1]).max() < 2 / 255
    again = main(["promote", str(run), "--out", str(out)])
    assert again == gossamer.errors.OutputExists.exit_code


@pytest.mark.long
def test_what_is_worse_is_refused_unless_told(
    tmp_path: Path, home: Path, weights: dict[str, Path], data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = _run(tmp_path / "run", str(weights["good"]), weights["bad"], data, None, 1)
    out = tmp_path / "out"
    arguments = ["promote", str(run), "--out", str(out), "--id", "worse", "--no-onnx", "--quiet"]
    assert main(arguments) == gossamer.InputError.exit_code
    said = capsys.readouterr()
    assert "not surely better in its domain" in said.err
    assert "no general set" in said.err
    assert "weighted F" in said.out
    assert not out.exists()
    assert not list(tmp_path.glob(".gossamer*"))
    assert main([*arguments, "--accept-worse"]) == 0
    assert "What was not proved" in (out / "README.md").read_text(encoding="utf-8")
    assert add_model(out).id == "worse"


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("nothing", "holds no training"),
        ("best", "no best.safetensors"),
        ("json", "cannot be read"),
        ("id", "is no possible id"),
        ("catalogue", "is a model of the catalogue"),
        ("moved", "does not exist"),
    ],
)
def test_what_cannot_be_promoted_is_told(
    tmp_path: Path, home: Path, weights: dict[str, Path], data: Path, fault: str, said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    run = tmp_path / "run"
    if fault != "nothing":
        _run(run, str(weights["good"]), weights["good"], tmp_path / "gone" if fault == "moved" else data, None)
    if fault == "best":
        (run / "best.safetensors").unlink()
    elif fault == "json":
        (run / "run.json").write_text("{")
    name = {"id": "My Shoes", "catalogue": "u2net"}.get(fault, "mine")
    status = main(["promote", str(run), "--out", str(tmp_path / "out"), "--id", name])
    told = capsys.readouterr()
    assert status != 0
    assert said in told.err
    assert "Traceback" not in told.err
    assert not (tmp_path / "out").exists()


def test_licences_are_inherited() -> None:
    free, bound = published_models()["u2netp"], published_models()["rmbg-2.0"]
    page = "https://example.invalid"
    assert inherited(free, page, "", True).name == "Apache-2.0"
    assert inherited(free, page, "", True).commercial
    assert inherited(free, page, "CC-BY-4.0", True).name == "Apache-2.0 AND CC-BY-4.0"
    assert not inherited(free, page, "CC-BY-NC-4.0", False).commercial
    assert not inherited(bound, page, "CC0-1.0", True).commercial
    assert any("does not allow commercial use" in note for note in inherited(bound, page, "", True).notes)
    unknown = inherited(None, page, "", True)
    assert (unknown.name, unknown.commercial, unknown.url) == ("unclear", False, page)
