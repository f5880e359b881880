"""A bundle unzipped into a real GIMP's folder: GIMP's own extraction at once, set up without a terminal, a cut-out."""

from __future__ import annotations

import json
import os
import shutil
import sys
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import gossamer
from gossamer.hosts import gimp
from gossamer.image import encode_image
from tests.cached_weights import weights_home
from tests.gimp.box import Box, in_language
from tests.gimp.conftest import SCRIPTS, Library
from tests.gimp.wheels import gossamer_wheel, stand_ins

BASE = Path(sys.base_prefix)


class Tried:
    """What a GIMP without windows left behind."""

    def __init__(self, box: Box, share: Path) -> None:
        self.box, self.share = box, share
        self.facts: dict[str, Any] = json.loads((share / "facts.json").read_text())

    def plane(self, name: str) -> np.ndarray:
        return np.fromfile(self.share / name, np.uint8).reshape(300, 451)


def unzip(archive: Path, folder: Path) -> None:
    """Unzip as unzip does: with the run bit."""
    with zipfile.ZipFile(archive) as opened:
        for about in opened.infolist():
            os.chmod(opened.extract(about, folder), about.external_attr >> 16)


def make_box(folder: Path, **env: str) -> tuple[Box, Path]:
    """A GIMP user who has unzipped a bundle with the wheel in it; the network is a folder of wheels."""
    share, runtime, wheels = folder / "share", folder / "run", folder / "wheels"
    for one in (share, wheels):
        one.mkdir()
    runtime.mkdir(mode=0o700)
    (share / "home" / "models").mkdir(parents=True)
    shutil.copy(weights_home() / "models" / "u2netp.onnx", share / "home" / "models")
    stand_ins(wheels)
    gimp.make_bundle(folder / "plug-in.zip", wheel=gossamer_wheel(folder))
    outer = {BASE, Path(sys.prefix)}
    box = Box(
        folder / "profile",
        read_only=(*sorted(outer), wheels, SCRIPTS),
        writable=(share, runtime),
        env={
            "PATH": f"/usr/bin:/bin:{BASE / 'bin'}",
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(wheels),
            "PIP_CONFIG_FILE": "/dev/null",
            "GOSSAMER_HOME": str(share / "home"),
            "HF_HUB_CACHE": "/nowhere",
            "U2NET_HOME": "/nowhere",
            "XDG_RUNTIME_DIR": str(runtime),
            "SHARE": str(share),
            **env,
        },
    )
    unzip(folder / "plug-in.zip", box.gimp_folder / "plug-ins")
    return box, share


@pytest.fixture(scope="module")
def rough(cat: np.ndarray) -> np.ndarray:
    """Roughly where the cat is: an ellipse."""
    high, wide = cat.shape[:2]
    rows, columns = np.mgrid[:high, :wide]
    inside = ((rows - 150) / 140) ** 2 + ((columns - 250) / 150) ** 2 <= 1
    return (inside * 255).astype(np.uint8)


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory, cat: np.ndarray, rough: np.ndarray) -> Tried:
    if BASE == Path("/usr"):
        pytest.skip("the box has a /usr of its own: a Python from elsewhere is needed")
    box, share = make_box(tmp_path_factory.mktemp("gimp"))
    box.env |= in_language("de_DE", share)
    (share / "cat.png").write_bytes(encode_image(cat.astype(np.float32) / 255, None, "png"))
    (share / "rough.gray").write_bytes(rough.tobytes())
    box.batch(SCRIPTS / "set_up.py", timeout=400)
    return Tried(box, share)


def test_it_registers_and_offers_gimp_s_own_extraction_at_once(tried: Tried, rough: np.ndarray) -> None:
    assert len(tried.facts["names"]) == 7
    assert tried.facts["nothing selected"][0] == "GIMP_PDB_CALLING_ERROR"
    assert tried.facts["extracted"][0] == "GIMP_PDB_SUCCESS"
    assert len(tried.facts["layers"]) == 2
    assert tried.facts["visible"] == [True, False]
    assert tried.facts["channels"] == 0
    assert np.array_equal(tried.plane("extracted.selection"), rough)
    matte = tried.plane("extracted.mask")
    band = 2 * 8 + 1  # 1.5 % of the diagonal of its box, on both sides: there GIMP's matting decides, and nowhere else
    outside = cv2.dilate(rough, np.ones((band, band), np.uint8)) == 0
    inside = cv2.erode(rough, np.ones((band, band), np.uint8)) == 255
    assert matte[outside].max() == 0
    assert matte[inside].min() == 255
    assert len(np.unique(matte[~(inside | outside)])) > 20


def test_before_it_is_set_up_an_error_says_where_that_is_done(tried: Tried) -> None:
    status, text = tried.facts["before"]
    assert status == "GIMP_PDB_EXECUTION_ERROR"
    assert "Gossamer" in text
    assert "gossamer gimp install" in text


def test_it_sets_itself_up_and_then_cuts_out_as_the_library(tried: Tried, cat: np.ndarray, library: Library) -> None:
    status, python = tried.facts["set up"]
    assert status == "GIMP_PDB_SUCCESS", python
    assert Path(python).is_relative_to(tried.box.profile / ".local" / "share" / "gossamer" / "gimp")
    record = json.loads((tried.box.gimp_folder / "plug-ins" / "gossamer_gimp" / "worker.json").read_text())
    assert record == {"python": python, "flags": ["-I"], "gossamer": gossamer.__version__, "protocol": 2}
    assert tried.facts["after"][0] == "GIMP_PDB_SUCCESS", tried.facts["after"][1]
    assert np.abs(tried.plane("after.mask") / 255 - library(cat).alpha).max() <= 0.51 / 255


def test_a_worker_that_is_killed_is_told_of_and_the_next_call_starts_another(tried: Tried) -> None:
    status, text = tried.facts["killed"]
    assert status == "GIMP_PDB_EXECUTION_ERROR"
    assert text == "Der Arbeitsprozess endete mitten in der Arbeit. Versuchen Sie es erneut: Er startet neu."
    assert tried.facts["killed layers"] == [1, True, True]
    assert tried.facts["revived"][0] == "GIMP_PDB_SUCCESS", tried.facts["revived"][1]
    assert np.array_equal(tried.plane("revived.mask"), tried.plane("after.mask"))


def test_it_speaks_german(tried: Tried) -> None:
    assert "Hintergrund entfernen…" in tried.facts["labels"]
    assert "Einrichten…" in tried.facts["labels"]
    assert "Automatisch" in tried.facts["help"]
    assert "eingerichtet" in tried.facts["before"][1]
