"""`gossamer finetune`, from a folder of pictures to weights that load, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from gossamer.cli import main
from gossamer.errors import InputError
from gossamer.networks.state_dict import load_network
from gossamer.settings.dataset import Data
from gossamer.settings.training import Training
from gossamer.training.loop import finetune
from tests.cached_weights import weights_home
from tests.training import tiny

SETTINGS = Training(steps=2, batch=2, side=32, validate_every=1, worst=1, warmup=0, readers=1)
READING = Data(validation=20, test=20)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for number in range(6):
        rgb, alpha = tiny.Ellipse(number + 20).load()
        cv2.imwrite(str(folder / f"{number}.jpg"), rgb[..., ::-1])
        cv2.imwrite(str(folder / f"{number}.png"), np.rint(alpha * 255).astype(np.uint8))
    return folder


@pytest.fixture(scope="module")
def weights() -> str:
    return str(weights_home() / "models" / "u2netp.onnx")


@pytest.mark.long
def test_from_a_folder_of_pictures_to_weights_that_load(pictures: Path, weights: str, tmp_path: Path) -> None:
    told: list[str] = []
    seen: list[tuple[float, str]] = []
    out = tmp_path / "run"
    asked: dict[str, Any] = {"model": weights, "dataset": READING}
    report = finetune(
        pictures, out, SETTINGS, **asked, announce=told.append, progress=lambda *state: seen.append(state)
    )
    assert report.steps == 2
    assert report.after["weighted_f"] >= report.before["weighted_f"]
    load_network(out / "best.safetensors", "u2netp")  # raises where anything is missing or left over
    run = json.loads((out / "run.json").read_text())
    assert run["data"] == str(pictures)
    assert run["result"]["steps"] == 2
    parts = [name for part in run["split"].values() for name in part]
    assert len(parts) == len(set(parts)) == 6
    assert seen[-1][0] == 1.0
    # Gone on with, it is at its end; with other settings, or in a folder that is in use, it is refused.
    again = finetune(pictures, out, SETTINGS, **asked, resume=True)
    assert (again.steps, again.resumed) == (2, 2)
    assert again.after == report.after
    with pytest.raises(InputError, match=r"begun with rate 0\.0, not 0\.1"):
        finetune(pictures, out, Training.of(SETTINGS, rate=0.1), **asked, resume=True)
    for kind in (".jpg", ".png"):
        (pictures / f"5{kind}").rename(pictures / f"6{kind}")
    with pytest.raises(InputError, match="no more those"):
        finetune(pictures, out, SETTINGS, **asked, resume=True)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["nowhere"], "Nothing says where"),
        (["{pictures}", "--out", "{out}", "--model", "bimatting"], "not trained here"),
        (["{pictures}", "--out", "{out}", "--model", "modnet-photographic"], "not trained here"),
        (["{pictures}", "--out", "{out}", "--resume"], "no training to go on with"),
        (["{pictures}", "--out", "{pictures}"], "is not empty"),
        (["{pictures}", "--out", "{out}", "--batch", "0"], "setting batch cannot be 0"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(
    argv: list[str], said: str, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [word.format(pictures=pictures, out=tmp_path / "run") for word in argv]
    assert main(["finetune", *given]) in (2, 3)
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error
    assert not (tmp_path / "run").exists()


def test_what_does_not_go_with_a_network_leaves_the_folder_free(pictures: Path, weights: str, tmp_path: Path) -> None:
    """It is known once the network is there; corrected, the same line is to work."""
    out = tmp_path / "run"
    for _ in range(2):
        with pytest.raises(InputError, match="no transformer for LoRA"):
            finetune(pictures, out, Training.of(SETTINGS, lora=8), model=weights, dataset=READING)
        assert [entry.name for entry in out.iterdir()] == [".lock"]
