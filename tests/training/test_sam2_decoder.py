"""The mask decoder of a small seeded SAM 2: it learns, its encoder stays, and what is written loads."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional

from gossamer.errors import InputError
from gossamer.prompting.places import Places
from gossamer.prompting.sam2 import load_sam2
from gossamer.settings.dataset import Data
from gossamer.settings.training import Training
from gossamer.training.loop import FinetuneReport, finetune
from gossamer.training.promotion import promote
from gossamer.training.sam2_decoder import mask_loss
from tests.prompting.tiny_models import save_sam2
from tests.training import tiny

SETTINGS = Training(
    steps=24, batch=4, rate=1e-2, warmup=0, validate_every=12, clip=10.0, crop=0.0, light=0.0, rotation=0.0, decay=0.0
)
READING = Data(validation=25, test=0)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for number in range(8):
        rgb, alpha = tiny.Ellipse(number + 20).load()
        cv2.imwrite(str(folder / f"{number}.jpg"), rgb[..., ::-1])
        cv2.imwrite(str(folder / f"{number}.png"), np.rint(alpha * 255).astype(np.uint8))
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_sam2(tmp_path_factory.mktemp("models") / "sam2")


@pytest.fixture(scope="module")
def run(data: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[FinetuneReport, Path]:
    out = tmp_path_factory.mktemp("runs") / "run"
    return finetune(data, out, SETTINGS, model=str(model), dataset=READING), out


@pytest.mark.long
def test_it_learns_and_what_is_written_finds_what_was_measured(
    run: tuple[FinetuneReport, Path], model: Path, data: Path
) -> None:
    report, out = run
    assert report.after["iou"] > report.before["iou"] + 0.1  # seeded weights differ between versions of transformers
    assert report.best_step > 0
    before, after = (load_sam2(one, device="cpu") for one in (model, report.made))
    names = json.loads((out / "run.json").read_text())["split"]["validation"]
    found = []
    for name in names:
        stem = Path(name).stem
        rgb = cv2.imread(str(data / f"{stem}.jpg"))[..., ::-1]
        truth = cv2.imread(str(data / f"{stem}.png"), cv2.IMREAD_GRAYSCALE) > 127
        rows, columns = (np.flatnonzero(truth.any(axis)) for axis in (1, 0))
        box = (float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))
        (subjects,) = after.masks(after.embed(np.ascontiguousarray(rgb)), [Places(box)], "one")
        mask = subjects[0].mask > 0.5
        found.append((mask & truth).sum() / (mask | truth).sum())
    assert np.mean(found) == pytest.approx(report.after["iou"], abs=0.02)
    weights = [one._network.run(lambda module: module.state_dict(), None) for one in (before, after)]  # type: ignore[arg-type]
    moved = {name for name, value in weights[0].items() if not torch.equal(value, weights[1][name])}
    assert moved
    assert all(name.startswith("mask_decoder.") for name in moved)


@pytest.mark.long
def test_gone_on_with_it_comes_to_the_same(
    run: tuple[FinetuneReport, Path], data: Path, model: Path, tmp_path: Path
) -> None:
    """As after a kill: what came after the middle checkpoint is taken away."""
    import shutil

    whole, source = run
    out = tmp_path / "run"
    shutil.copytree(source, out)
    last = sorted((out / "checkpoints").glob("*.safetensors"))
    assert [path.name for path in last] == ["step-0000012.safetensors", "step-0000024.safetensors"]
    last[1].unlink()
    again = finetune(data, out, SETTINGS, model=str(model), dataset=READING, resume=True)
    assert (again.steps, again.resumed) == (24, 12)
    assert again.after == whole.after
    rows = [[json.loads(line) for line in (one / "metrics.jsonl").read_text().splitlines()] for one in (source, out)]
    assert rows[0] == rows[1]


@pytest.mark.long
def test_it_is_not_promoted_and_says_what_to_do_with_it(run: tuple[FinetuneReport, Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not promoted") as caught:
        promote(run[1], tmp_path / "model")
    assert caught.value.remedy.endswith(str(Path(run[0].made)))


def test_the_loss_is_that_of_its_formulas() -> None:
    """Focal by its definition in numpy, Dice and IoU of maps whose overlap is known."""
    random = np.random.default_rng(0)
    logits, truth = random.normal(0, 2, (3, 8, 8)), random.random((8, 8)) < 0.4
    masks, scores = mask_loss(
        torch.from_numpy(logits), torch.tensor([0.5, 0.5, 0.5], dtype=torch.float64), torch.from_numpy(truth * 1.0)
    )
    p = 1 / (1 + np.exp(-logits))
    own = np.where(truth, p, 1 - p)
    focal = (np.where(truth, 0.25, 0.75) * (1 - own) ** 2 * -np.log(own)).mean((1, 2))
    dice = 1 - (2 * (p * truth).sum((1, 2)) + 1) / (p.sum((1, 2)) + truth.sum() + 1)
    iou = ((p > 0.5) & truth).sum((1, 2)) / ((p > 0.5) | truth).sum((1, 2))
    np.testing.assert_allclose(masks.numpy(), 20 * focal + dice, rtol=1e-6)
    np.testing.assert_allclose(scores.numpy(), np.abs(0.5 - iou), rtol=1e-6)
    sure = functional.one_hot(torch.tensor([[0, 1]]), 2)[0].double() * 40 - 20
    nothing, none = mask_loss(sure[None], torch.tensor([1.0]), (sure > 0).double())
    assert float(nothing) == pytest.approx(0, abs=1e-6)
    assert float(none) == 0


@pytest.mark.parametrize(
    ("changed", "said"), [({"lora": 4}, "trained without --lora"), ({"loss": "thin"}, "trained without --loss")]
)
def test_what_has_no_meaning_there_is_said(
    changed: dict[str, object], said: str, data: Path, model: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=said):
        finetune(data, tmp_path / "run", Training.of(**changed), model=str(model))
    with pytest.raises(InputError, match="on its domain alone"):
        finetune(data, tmp_path / "run", model=str(model), photographs=data)
    assert not (tmp_path / "run").exists()
