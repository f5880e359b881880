from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gossamer.cli import main
from gossamer.errors import InputError, OutputExists
from gossamer.progress import Progress
from gossamer.settings.dataset import Data
from gossamer.training.dataset import read_dataset, split
from gossamer.training.dataset.writing import write_batch
from tests.batch.finished import FAULT, Finished, disc
from tests.training.dataset.scenes import fill_folder, save_cutout, save_mask, save_picture, scene


def _run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, dict, str]:
    status = main([str(one) for one in arguments])
    said = capsys.readouterr()
    return status, json.loads(said.out) if said.out.startswith("{") else {"text": said.out}, said.err


def test_check_tells_everything_and_fails_only_above_the_share(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill_folder(tmp_path, 8)
    rgb, alpha = scene(2)
    save_picture(tmp_path / "images" / "twin.jpg", np.ascontiguousarray(rgb[:, ::-1]))
    save_mask(tmp_path / "masks" / "twin.png", np.ascontiguousarray(alpha[:, ::-1]))
    save_mask(tmp_path / "masks" / "item-005.png", 1 - scene(5)[1])
    status, told, error = _run(capsys, "dataset", "check", tmp_path, "--json")
    assert status == 2
    assert told["usable"] is False
    assert "more than 10 %" in told["error"]["message"]
    assert not error
    assert len(told["examples"]) == 8
    assert {(one["width"], one["height"]) for one in told["examples"]} == {(128, 96)}
    assert [one["name"] for one in told["left_out"]] == ["images/item-005"]
    assert told["duplicates"] == [{"first": "images/item-002", "second": "images/twin", "how": "mirrored"}]
    status, told, error = _run(capsys, "dataset", "check", tmp_path, "--left-out", 20)
    assert status == 0
    assert "images/item-005: Its mask seems to be inverted" in told["text"]
    assert "images/item-002 and images/twin, mirrored" in told["text"]


def test_a_split_is_written_as_three_data_sets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill_folder(tmp_path / "set", 10)
    for file in sorted((tmp_path / "set" / "masks").iterdir()):
        Image.fromarray(255 - np.asarray(Image.open(file))).save(file)
    arguments = ("dataset", "split", tmp_path / "set", "--white", "background", "--out", tmp_path / "parts")
    status, told, _ = _run(capsys, *arguments, "--json")
    assert status == 0
    parts = {name: read_dataset(tmp_path / "parts" / f"{name}.jsonl").examples for name in ("train", "test")}
    whole = split(read_dataset(tmp_path / "set", Data(white="background")).examples)
    assert [one.name for one in parts["test"]] == [one.name for one in whole.test] == told["test"]
    for one, same in zip(parts["train"], whole.train, strict=True):
        assert np.abs(one.load()[1] - same.load()[1]).max() < 0.003
        assert np.array_equal(one.load()[0], same.load()[0])
    status, _, error = _run(capsys, *arguments)
    assert status == OutputExists.exit_code
    assert "exists already" in error


def test_cut_outs_become_as_many_pictures_as_are_wanted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in (1, 2, 3):
        save_cutout(tmp_path / "cut" / f"{seed}.png", *scene(seed))
    status, _, _ = _run(
        capsys, "dataset", "compose", tmp_path / "cut", "--out", tmp_path / "made", "--count", 7, "--quiet"
    )
    assert status == 0
    found = read_dataset(tmp_path / "made", Data(group="prefix", left_out=0))
    assert len(found.examples) == 7
    assert len({one.group for one in found.examples}) == 3
    status, _, _ = _run(capsys, "dataset", "show", tmp_path / "cut", "-o", tmp_path / "sheet.png", "--count", 3)
    assert status == 0
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 700


@pytest.fixture
def batch(tmp_path: Path) -> Finished:
    made = Finished(tmp_path)
    made.add("good.jpg")
    made.add("bad.jpg", flags=[FAULT])
    made.add("other.jpg")
    return made


def test_what_was_accepted_is_truth_and_what_was_rejected_waits_for_its_correction(
    tmp_path: Path, batch: Finished, capsys: pytest.CaptureFixture[str]
) -> None:
    batch.close()
    (tmp_path / "decisions.csv").write_text(
        "\ufeffsource,decision\r\ngood.jpg,accept\r\nbad.jpg,reject\r\n", encoding="utf-8"
    )
    status, told, _ = _run(
        capsys, "dataset", "from-batch", batch.out, "--accepted", tmp_path / "decisions.csv", "--out",
        tmp_path / "data", "--json",
    )  # fmt: skip
    assert status == 0
    assert (told["accepted"], told["drafts"]) == (1, 1)
    assert told["left_out"] == [{"name": "other.jpg", "reason": "Nobody has decided about it."}]
    table = tmp_path / "data" / "data.jsonl"
    found = read_dataset(table)
    assert [one.name for one in found.examples] == ["good.jpg"]
    assert read_dataset(table.parent).examples == found.examples  # its masks alone would tell nothing
    assert np.abs(found.examples[0].load()[1] - disc()).max() < 0.003
    assert not found.left_out
    assert "correct it first" in found.passed_over[0][1]
    draft = next(json.loads(line) for line in table.read_text().splitlines() if "draft" in line)
    save_mask(tmp_path / "data" / draft["mask"], disc(8))
    again = read_dataset(table)
    assert sorted(one.name for one in again.examples) == ["bad.jpg", "good.jpg"]


def test_without_decisions_the_checks_decide(tmp_path: Path, batch: Finished) -> None:
    batch.close()
    made = write_batch(batch.out, None, tmp_path / "data", Progress())
    assert (made.accepted, made.drafts) == (2, 1)


def test_decisions_of_another_batch_are_refused_and_nothing_is_written(tmp_path: Path, batch: Finished) -> None:
    batch.close()
    (tmp_path / "d.json").write_text('[{"source": "elsewhere.jpg", "decision": "accept"}]')
    with pytest.raises(InputError, match="none of the batch's pictures"):
        write_batch(batch.out, tmp_path / "d.json", tmp_path / "data", Progress())
    assert not (tmp_path / "data").exists()
