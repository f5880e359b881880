"""Folders against folders: means, worst pictures, faults, workers and a stop."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import PIL.Image
import pytest

from gossamer.errors import Cancelled, InputError, MissingExtra
from gossamer.evaluation import MEASURES, evaluate_folder, evaluate_mask, evaluate_matte, scoring
from gossamer.sheets.worst import worst_sheet
from tests.evaluation.shapes import matte_pair

QUICK = ["mae", "max_f", "mean_f", "max_e", "iou", "boundary_iou"]


class Folders(NamedTuple):
    predictions: Path
    truth: Path


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    """Return seven predictions, each worse than the one before, and their truths."""
    made = Folders(tmp_path / "predictions", tmp_path / "truth")
    prediction, truth = matte_pair()
    for folder in made:
        folder.mkdir()
    for number in range(7):
        worse = np.roll(prediction, 3 * number, axis=1)
        PIL.Image.fromarray(worse).save(made.predictions / f"p{number}-mask.png")
        PIL.Image.fromarray(truth).save(made.truth / f"p{number}.png")
    return made


@pytest.mark.long
def test_rows_are_those_of_the_arrays_and_means_those_of_the_set(folders: Folders) -> None:
    result = evaluate_folder(*folders, kind="both", workers=1)
    prediction, truth = matte_pair()
    assert [row.name for row in result.rows] == [f"p{number}" for number in range(7)]
    assert not result.missing + result.failures + result.warnings
    alone = [evaluate_mask(np.roll(prediction, 3 * number, axis=1), truth) for number in range(7)]
    mattes = [evaluate_matte(np.roll(prediction, 3 * number, axis=1), truth) for number in range(7)]
    for row, mask, matte in zip(result.rows, alone, mattes, strict=True):
        assert row.values == mask.values | matte.values
        assert (row.width, row.height, row.resized, row.empty_truth) == (160, 120, False, False)
    for name in set(MEASURES) - {"max_f", "max_e"}:
        assert result.means[name] == pytest.approx(np.mean([row.values[name] for row in result.rows]), rel=1e-12)
    # The field takes the maximum of the mean curve: a threshold for the set, not one for each picture.
    assert result.means["max_f"] == pytest.approx(np.mean([mask.f_curve for mask in alone], axis=0).max(), rel=1e-12)
    assert result.means["max_e"] == pytest.approx(np.mean([mask.e_curve for mask in alone], axis=0).max(), rel=1e-12)
    assert result.means["max_f"] < np.mean([row.values["max_f"] for row in result.rows])
    assert [row.name for row in result.worst(3, "iou")] == ["p6", "p5", "p4"]
    assert [row.name for row in result.worst(2, "sad")] == ["p6", "p5"]
    assert result.worst(99)[0] == result.worst(1, "mae")[0]
    with pytest.raises(InputError, match="was not measured"):
        result.worst(1, "speed")


@pytest.mark.long
def test_workers_change_nothing(folders: Folders) -> None:
    seen: list[float] = []
    one = evaluate_folder(*folders, measures=QUICK, workers=1)
    more = evaluate_folder(*folders, measures=QUICK, progress=lambda fraction, message: seen.append(fraction))
    assert more.as_dict() == one.as_dict()
    assert seen == sorted(seen)
    assert seen[-1] == 1


def test_reports(folders: Folders) -> None:
    result = evaluate_folder(*folders, measures=QUICK, workers=1)
    report = json.loads(json.dumps(result.as_dict()))
    assert report["pictures"] == 7
    assert report["means"] == result.means
    assert report["rows"][2]["name"] == "p2"
    rows = list(csv.DictReader(io.StringIO(result.as_csv())))
    assert [float(row["mae"]) for row in rows] == [row.values["mae"] for row in result.rows]
    assert rows[0]["prediction"] == str(folders.predictions / "p0-mask.png")


def test_faults_are_named_and_the_rest_is_measured(folders: Folders) -> None:
    whole = folders.predictions / "p1-mask.png"
    whole.write_bytes(whole.read_bytes()[:300])
    PIL.Image.new("L", (16, 12)).save(folders.predictions / "p2-mask.png")
    PIL.Image.new("RGB", (160, 120), (255, 0, 0)).save(folders.predictions / "p3-mask.png")
    (folders.predictions / "p4-mask.png").unlink()
    for workers in (1, None):
        result = evaluate_folder(*folders, kind="matte", workers=workers)
        assert [row.name for row in result.rows] == ["p0", "p5", "p6"]
        assert len(result.missing) == 1
        assert "p4.png has no prediction" in result.missing[0]
        damaged, size, colour = result.failures
        assert "p1-mask.png is damaged or cut off" in damaged
        assert "p2-mask.png is 16 x 12 pixels, but" in size
        assert "p3-mask.png is a colour picture without alpha" in colour
    resized = evaluate_folder(*folders, kind="matte", resize=True, workers=1)
    assert [row.name for row in resized.rows if row.resized] == ["p2"]
    assert resized.warnings == ("p2: resized to the truth's size.",)
    for name in ("p0", "p5", "p6"):
        (folders.predictions / f"{name}-mask.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"x" * 80)
    with pytest.raises(InputError, match=r"Nothing could be measured: p0: .* and 5 more"):
        evaluate_folder(*folders, kind="matte", workers=1)


def test_a_truth_without_foreground_is_said(folders: Folders) -> None:
    PIL.Image.new("L", (160, 120)).save(folders.truth / "p3.png")
    result = evaluate_folder(*folders, measures=["mae", "iou"], workers=1)
    assert result.rows[3].empty_truth
    assert result.rows[3].values["iou"] == 0
    assert result.warnings[0].startswith("p3: the truth has no foreground, and F, weighted F, IoU")
    assert evaluate_folder(*folders, measures=["mae"], workers=1).warnings == ()


def test_trimaps(folders: Folders, tmp_path: Path) -> None:
    trimaps = tmp_path / "trimaps"
    trimaps.mkdir()
    prediction, truth = matte_pair()
    trimap = np.where(truth > 250, 255, np.where(truth < 5, 0, 128)).astype(np.uint8)
    for number in range(7):
        PIL.Image.fromarray(trimap).save(trimaps / f"p{number}.png")
    PIL.Image.new("L", (160, 120), 255).save(trimaps / "p5.png")
    PIL.Image.new("L", (10, 10), 128).save(trimaps / "p6.png")
    result = evaluate_folder(*folders, kind="matte", trimaps=trimaps, resize=True, workers=1)
    assert result.rows[0].values == evaluate_matte(prediction, truth, trimap).values
    assert "no unknown pixels" in result.failures[0]
    assert "p6.png is 10 x 10 pixels" in result.failures[1]
    with pytest.raises(InputError, match="Trimaps are for mattes"):
        evaluate_folder(*folders, trimaps=trimaps)


@pytest.mark.long
def test_a_stop_ends_the_workers_at_once(folders: Folders) -> None:
    prediction, truth = (np.tile(array, (12, 12)) for array in matte_pair())
    for number in range(6):
        PIL.Image.fromarray(prediction).save(folders.predictions / f"p{number}-mask.png")
        PIL.Image.fromarray(truth).save(folders.truth / f"p{number}.png")
    calls: list[float] = []

    def stop(fraction: float, message: str) -> None:
        calls.append(time.monotonic())
        if len(calls) == 30:
            raise Cancelled

    with pytest.raises(Cancelled):
        evaluate_folder(*folders, progress=stop)
    assert max(np.diff(calls)) < 1  # called all the time, also while nothing is done
    assert time.monotonic() - calls[-1] < 3


@pytest.mark.long
def test_a_worker_that_dies_costs_its_picture_alone(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    home = folders.truth.parent / "home"
    home.mkdir()
    # What a lack of memory does: the process is gone in the middle of a picture.
    (home / "sitecustomize.py").write_text(
        "import os, sys\n"
        "class Lines:\n"
        "    def __iter__(self):\n"
        "        for line in sys.__stdin__:\n"
        "            if 'p3-mask' in line:\n"
        "                os._exit(9)\n"
        "            yield line\n"
        "sys.stdin = Lines()\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(home))
    result = evaluate_folder(*folders, kind="matte", measures=["sad"], workers=2)
    assert len(result.rows) == 6
    (failure,) = result.failures
    assert failure.startswith("p3: The process that measured")


def test_an_error_that_nobody_foresaw_is_named(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    read = scoring.read_opacity

    def fail(path: str, guessed: list[str]) -> np.ndarray:
        if "p2-mask" in path:
            raise ZeroDivisionError("float division by zero")
        if "p3-mask" in path:
            raise MemoryError
        return read(path, guessed)

    monkeypatch.setattr(scoring, "read_opacity", fail)
    result = evaluate_folder(*folders, kind="matte", workers=1)
    assert len(result.rows) == 5
    assert result.failures[0].startswith("p2: Unexpected ZeroDivisionError: float division by zero.")
    assert result.failures[1] == "p3: There was not enough memory for it. Make the pictures smaller, or free memory."


def test_where_nothing_fits_into_memory_that_is_the_remedy(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: str, guessed: list[str]) -> np.ndarray:
        raise MemoryError

    monkeypatch.setattr(scoring, "read_opacity", fail)
    with pytest.raises(InputError, match=r"There was not enough memory for it\. Make the pictures smaller") as caught:
        evaluate_folder(*folders, kind="matte", workers=1)
    assert "Check the files" not in str(caught.value)


def test_a_missing_package_ends_the_work(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "py_sod_metrics", None)
    with pytest.raises(MissingExtra, match="Measuring masks needs an optional package"):
        evaluate_folder(*folders, workers=1)
    monkeypatch.undo()
    home = folders.truth.parent / "home"
    home.mkdir()
    (home / "py_sod_metrics.py").write_text("raise ModuleNotFoundError('not here')\n")
    monkeypatch.setenv("PYTHONPATH", str(home))
    with pytest.raises(MissingExtra, match="Measuring masks needs an optional package"):
        evaluate_folder(*folders)
    assert len(evaluate_folder(*folders, kind="matte").rows) == 7


def test_options(folders: Folders) -> None:
    with pytest.raises(InputError, match="no kind 'film'"):
        evaluate_folder(*folders, kind="film")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no measure 'speed'"):
        evaluate_folder(*folders, measures=["mae", "speed"])
    with pytest.raises(InputError, match="0 workers"):
        evaluate_folder(*folders, workers=0)


def test_the_sheet_of_the_worst(folders: Folders) -> None:
    result = evaluate_folder(*folders, measures=["mae"], workers=1)
    sheet = worst_sheet(result.worst(2), "mae", width=160)
    assert sheet.shape == (2 * (28 + 120 + 8), 3 * (160 + 8), 3)
    prediction, truth = (array / 255 for array in matte_pair())
    prediction = np.roll(prediction, 18, axis=1)
    first = sheet[36:156]
    np.testing.assert_allclose(first[:, 8:168, 1], truth, atol=1e-6)
    np.testing.assert_allclose(first[:, 176:336, 1], prediction, atol=1e-6)
    both, over, under = np.minimum(prediction, truth) / 2, prediction > truth + 0.9, truth > prediction + 0.9
    difference = first[:, 344:504]
    assert (difference[over][:, 0] > 0.9).all()
    assert (difference[under][:, 2] > 0.9).all()
    np.testing.assert_allclose(difference[..., 1], both, atol=1e-6)
    with pytest.raises(InputError, match="nothing to lay out"):
        worst_sheet((), "mae")


def test_importing_it_stays_light() -> None:
    code = (
        "import sys, gossamer.evaluation; "
        "heavy = {'torch', 'onnxruntime', 'cv2', 'numba', 'skimage', 'sklearn', 'py_sod_metrics'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
