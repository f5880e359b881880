"""`gossamer check`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from tests.cli.conftest import Run
from tests.quality.scenes import rgba, scene, true_cutout


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a true cut-out, a hazy one, a photograph and a folder of it."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "photos").mkdir()
    PIL.Image.fromarray(true_cutout()).save(folder / "good-cutout.png")
    hazy = rgba(scene().colours, np.maximum(scene().alpha, np.float32(0.04)))
    PIL.Image.fromarray(hazy).save(folder / "hazy-cutout.png")
    PIL.Image.fromarray(np.round(scene().photo * 255).astype(np.uint8)).save(folder / "photo.png")
    for name in ("photos/good.png", "photos/hazy.png"):
        shutil.copy(folder / "photo.png", folder / name)
    return folder


@pytest.fixture
def cutouts(tmp_path: Path, made: Path) -> Path:
    """Return such a folder of a test's own."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_scores_reasons_and_the_exit_status(gossamer: Run, cutouts: Path) -> None:
    done = gossamer("check", "good-cutout.png")
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode() == "100.0  good-cutout.png\n"
    done = gossamer("check", "good-cutout.png", "hazy-cutout.png")
    assert done.returncode == 1
    lines = done.stdout.decode().splitlines()
    assert [line[7:] for line in lines[:2]] == ["good-cutout.png", "hazy-cutout.png"]
    assert lines[2].strip().startswith("fault, haze: A haze, an alpha of 1 to 8 %, lies on 100% of what is far")
    assert "--refinement-black-point" in lines[2]
    assert gossamer("check", "hazy-cutout.png", "--checks-haze", "100").returncode == 0


@pytest.mark.long
def test_json_has_the_score_flags_and_measures(gossamer: Run, cutouts: Path) -> None:
    done = gossamer("check", "--json", "good-cutout.png", "hazy-cutout.png", "--against", "photo.png")
    assert done.returncode == 1
    good, hazy = json.loads(done.stdout)["checks"]
    assert (good["cutout"], good["photo"], good["flags"]) == ("good-cutout.png", "photo.png", [])
    assert good["score"] > hazy["score"]
    assert [flag["id"] for flag in hazy["flags"]] == ["haze"]
    assert set(hazy["flags"][0]) == {"id", "severity", "reason", "remedy"}
    assert good["measures"]["unsupported"] == 0
    assert good["measures"]["lost"] is None


@pytest.mark.long
def test_photographs_are_found_in_a_folder_by_name(gossamer: Run, cutouts: Path) -> None:
    done = gossamer("check", "--json", "good-cutout.png", "hazy-cutout.png", "--against", "photos")
    found = json.loads(done.stdout)["checks"]
    assert [Path(each["photo"]).name for each in found] == ["good.png", "hazy.png"]
    (cutouts / "other-cutout.png").write_bytes((cutouts / "good-cutout.png").read_bytes())
    done = gossamer("check", "other-cutout.png", "--against", "photos")
    assert done.returncode == 2
    assert b"has a partner" in done.stderr


def test_one_that_cannot_be_read_stops_no_others(gossamer: Run, cutouts: Path) -> None:
    (cutouts / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    done = gossamer("check", "broken.png", "photo.png", "good-cutout.png", "missing.png", "--json")
    assert done.returncode == 2
    found = json.loads(done.stdout)["checks"]
    assert ["error" in each for each in found] == [True, True, False, True]
    assert b"photo.png has no alpha: it is no cut-out." in done.stderr
    assert b"Traceback" not in done.stderr
    assert gossamer("check", "photo.png").returncode == 2


def test_the_mask_it_was_made_of(gossamer: Run, cutouts: Path) -> None:
    wide = np.zeros(scene().alpha.shape, np.uint8)
    wide[20:460, 20:620] = 255
    PIL.Image.fromarray(wide).save(cutouts / "mask.png")
    done = gossamer("check", "good-cutout.png", "--mask", "mask.png", "--quiet")
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.long
def test_a_model_gives_its_opinion_only_of_a_photograph(gossamer: Run, cutouts: Path) -> None:
    done = gossamer("check", "good-cutout.png", "--model", "u2netp")
    assert done.returncode == 2
    assert done.stderr.decode() == "gossamer: A model has to see the photograph. Name it: --against PHOTO.\n"
    done = gossamer("check", "--json", "good-cutout.png", "--against", "photo.png", "--model", "u2netp")
    measures = json.loads(done.stdout)["checks"][0]["measures"]
    assert 0 <= measures["disagreement"] < 0.4
    assert 0 <= measures["mirrored"] < 0.4
    beside = np.roll(true_cutout(), 200, axis=1)
    PIL.Image.fromarray(beside).save(cutouts / "wrong.png")
    done = gossamer("check", "--json", "wrong.png", "--against", "photo.png", "--model", "u2netp")
    found = json.loads(done.stdout)["checks"][0]
    assert found["measures"]["disagreement"] > 0.5
    assert {"doubt", "outline"} <= {flag["id"] for flag in found["flags"]}
