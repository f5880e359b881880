"""`gossamer evaluate`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from tests.cli.conftest import Run
from tests.evaluation.shapes import matte_pair


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Return a folder with P (predictions) and T (truth): three pairs, each worse than the one before."""
    prediction, truth = matte_pair()
    for name in "PT":
        (tmp_path / name).mkdir()
    for number in range(3):
        rgba = np.dstack([np.full((120, 160, 3), 90, np.uint8), np.roll(prediction, 4 * number, axis=0)])
        PIL.Image.fromarray(rgba).save(tmp_path / f"P/{number}-cutout.png")
        PIL.Image.fromarray(truth).save(tmp_path / f"T/{number}.png")
    return tmp_path


@pytest.mark.long
def test_a_table_with_the_worst(gossamer: Run, folders: Path) -> None:
    done = gossamer("evaluate", "P", "T", "--worst", "2", "--by", "s_measure")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.decode().splitlines()
    assert lines[0].split() == ["measure", "of", "3", "better", "worst", "picture"]
    names = [line[:20].strip() for line in lines[1:13]]
    assert names[:5] == ["MAE", "max F", "mean F", "adaptive F", "weighted F"]
    assert names[5:] == ["S-measure", "max E", "mean E", "adaptive E", "HCE", "IoU", "boundary IoU"]
    assert all(line.endswith("  2") for line in lines[1:13])
    assert lines[14] == "worst by S-measure:"
    assert [line.split()[1] for line in lines[15:]] == ["P/2-cutout.png", "P/1-cutout.png"]


def test_mattes_json_csv_and_sheet(gossamer: Run, folders: Path) -> None:
    (folders / "R").mkdir()
    for number in range(3):
        PIL.Image.new("L", (160, 120), 128).save(folders / f"R/{number}.png")
    files = ("--csv", "rows.csv", "--sheet", "worst.png")
    done = gossamer("evaluate", "P", "T", "--trimaps", "R", "--json", *files)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["kind"] == "matte"
    assert list(report["means"]) == ["sad", "mad", "mse", "gradient", "connectivity"]
    assert report["rows"][0]["sad"] == pytest.approx(0.7734549019607844, rel=1e-6)
    assert report["worst"] == {"by": "sad", "names": ["2", "1", "0"]}
    assert (folders / "rows.csv").read_text().startswith("name,prediction,truth,width,height,sad,mad")
    with PIL.Image.open(folders / "worst.png") as sheet:
        assert sheet.size == (3 * 328, 3 * (28 + 240 + 8))
    again = gossamer("evaluate", "P", "T", "--kind", "matte", *files)
    assert again.returncode == 3
    assert b"exists already" in again.stderr
    assert gossamer("evaluate", "P", "T", "--kind", "matte", "--force", *files).returncode == 0


def test_missing_and_broken_files_make_the_status(gossamer: Run, folders: Path) -> None:
    (folders / "P/1-cutout.png").unlink()
    options = ("--kind", "matte", "--measures", "sad, mse")
    done = gossamer("evaluate", "P", "T", *options)
    assert done.returncode == 2
    assert b"T/1.png has no prediction." in done.stderr
    assert done.stdout.startswith(b"measure                    of 2")
    allowed = gossamer("evaluate", "P", "T", *options, "--allow-missing")
    assert allowed.returncode == 0
    assert b"warning: 1 files have no partner" in allowed.stderr
    (folders / "P/2-cutout.png").write_bytes(b"")
    broken = gossamer("evaluate", "P", "T", *options, "--allow-missing", "--json")
    assert broken.returncode == 2
    assert b"P/2-cutout.png is empty" in broken.stderr
    assert json.loads(broken.stdout)["pictures"] == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("P", "none"), b"none does not exist"),
        (("P", "T", "--measures", "speed"), b"no measure 'speed' of a mask"),
        (("P", "T", "--measures", "sad"), b"no measure 'sad' of a mask"),
        (("P", "T", "--measures", "mae", "--by", "iou"), b"'iou' is not measured"),
        (("P", "T", "--worst", "0", "--sheet", "s.png"), b"sheet of no pictures"),
        (("P", "T", "--workers", "0"), b"0 workers cannot work"),
        (("P",), b"required: TRUTH"),
    ],
)
def test_errors_are_one_sentence(gossamer: Run, folders: Path, arguments: tuple[str, ...], message: bytes) -> None:
    done = gossamer("evaluate", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert b"Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == b""
