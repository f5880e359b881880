"""Photographs without masks: split without near-duplicates across, and measured against what the base finds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from gossamer.errors import InputError
from gossamer.progress import Progress
from gossamer.settings.dataset import Data
from gossamer.settings.training import Training
from gossamer.training.loop import finetune
from gossamer.training.photographs import Photograph, Recalled, photographs_of, recalled
from gossamer.training.validation import mask_of, validated
from tests.cached_weights import weights_home
from tests.training import tiny


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ellipses, one of them twice: as it is and mirrored; and a mask that belongs to none of them."""
    folder = tmp_path_factory.mktemp("photographs")
    (folder / "more").mkdir()
    for number in range(8):
        rgb, _ = tiny.Ellipse(number + 40).load()
        cv2.imwrite(str(folder / ("more" if number % 2 else ".") / f"{number}.png"), rgb[..., ::-1])
        if number == 3:
            cv2.imwrite(str(folder / "mirrored.png"), rgb[:, ::-1, ::-1])
    return folder


def test_those_nearly_alike_are_not_learnt_from_and_measured_on(folder: Path) -> None:
    for seed in range(4):
        train, held = photographs_of(folder, Data(validation=30, split_seed=seed), Progress())
        names = [{one.name for one in part} for part in (train, held)]
        assert len(names[0] | names[1]) == 9
        assert not names[0] & names[1]
        assert any({"photograph mirrored.png", "photograph more/3.png"} <= part for part in names)
    rgb, alpha = held[0].load()
    assert rgb.shape == (48, 64, 3)
    assert not alpha.any()


def test_one_photograph_is_too_few(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), tiny.Ellipse(1).load()[0])
    with pytest.raises(InputError) as caught:
        photographs_of(tmp_path, Data(), Progress())
    assert caught.value.remedy == "Give a folder of more photographs."


def test_what_the_base_finds_becomes_the_truth_and_where_it_finds_nothing_nothing_is_measured(folder: Path) -> None:
    pictures = [Photograph(name, folder / name) for name in ("0.png", "2.png")]
    asked: list[NDArray[np.uint8]] = []

    def find(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        asked.append(rgb)
        return np.full(rgb.shape[:2], 0.75 if len(asked) == 1 else 0.25, np.float32)

    kept = recalled([tiny.Ellipse(1), *pictures], find)  # type: ignore[list-item]
    assert [one.name for one in kept] == ["ellipse 1", "0.png"]
    assert isinstance(kept[1], Recalled)
    rgb, alpha = kept[1].load()
    np.testing.assert_array_equal(rgb, asked[0])
    assert (alpha == 0.75).all()


class _Grey(Photograph):
    def load(self, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        return np.full((32, 32, 3), 128, np.uint8), np.zeros((32, 32), np.float32)


def test_where_the_base_is_not_sure_its_mask_is_no_truth() -> None:
    """Of eight photographs it is sure of those given: these are measured, and never fewer than the surest half."""
    pictures = [_Grey(str(number), Path()) for number in range(8)]

    def kept(sure: set[int]) -> list[str]:
        alphas = iter([0.97 if number in sure else 0.55 + number / 100 for number in range(8)])

        def find(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
            alpha = np.zeros(rgb.shape[:2], np.float32)
            alpha[8:24, 8:24] = next(alphas)
            return alpha

        return [one.name for one in recalled(pictures, find)]

    assert kept({0, 1, 2, 4, 5, 7}) == ["0", "1", "2", "4", "5", "7"]
    assert kept({3}) == ["3", "7", "6", "5"]
    assert kept(set(range(8))) == [str(number) for number in range(8)]


def test_nothing_is_measured_where_the_base_is_undecided() -> None:
    """A network that decides otherwise there is as good as the base; one that does where the base is sure is not."""
    base, network = tiny.base(), tiny.network().eval()
    how: dict[str, Any] = {"spec": base.input, "output": base.output, "logits": base.logits, "side": tiny.SIDE}
    rgb, _ = tiny.Ellipse(1).load()
    mask = mask_of(network, rgb, **how)

    def measured(alpha: NDArray[np.float32]) -> float:
        return validated(network, [Recalled("one", rgb, alpha)], **how)[0].values["iou"]

    unlike = mask <= np.median(mask)
    undecided, sure = np.where(unlike, 0.6, 0.4).astype(np.float32), np.where(unlike, 0.97, 0.03).astype(np.float32)
    half = np.where(np.arange(mask.shape[1]) < mask.shape[1] // 2, undecided, sure)
    assert measured(undecided) == 1
    assert measured(half) < 1
    assert measured(sure) < 0.5
    np.testing.assert_array_equal(
        Recalled("one", rgb, half).settled(mask), np.where(half == undecided, undecided, mask)
    )


@pytest.mark.long
@pytest.mark.parametrize("truth", ["base", "masks"])
def test_a_training_is_held_to_them(truth: Any, folder: Path, tmp_path: Path) -> None:
    """Also where pictures with masks would teach by these: a photograph has none, and teaches no empty one."""
    data, out = tmp_path / "data", tmp_path / "run"
    data.mkdir()
    for number in range(5):
        rgb, alpha = tiny.Ellipse(number + 20).load()
        cv2.imwrite(str(data / f"{number}.jpg"), rgb[..., ::-1])
        cv2.imwrite(str(data / f"{number}.png"), np.rint(alpha * 255).astype(np.uint8))
    plain: dict[str, Any] = {"steps": 1, "validate_every": 1, "worst": 0, "warmup": 0, "readers": 1, "side": 64}
    settings = Training(batch=2, general=0.5, general_truth=truth, **plain)
    model, reading = str(weights_home() / "models" / "u2netp.onnx"), Data(validation=25, test=0)
    report = finetune(data, out, settings, model=model, dataset=reading, photographs=folder)
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert next(row for row in rows if "loss" in row)["loss_change"] == pytest.approx(
        0, abs=1e-5
    )  # it still is the base
    assert report.before["general_weighted_f"] > 0.9  # its mask is not all black and white
    assert report.before["general_kept"] == report.before["general_weighted_f"]
    split = json.loads((out / "run.json").read_text())["split"]
    assert len(split["general"]) + len(split["general_validation"]) == 9
