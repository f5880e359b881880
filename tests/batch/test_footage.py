"""A batch that is a clip's frames says so, and cuts them as pictures all the same."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from tests.batch.conftest import Batch
from tests.video.test_likeness import panned, photographs

SAID = "looks like the frames of a clip"


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for number, frame in enumerate(panned(9)):
        Image.fromarray(frame).save(folder / f"f{number}.png")
    return folder


def test_numbered_frames_are_told(batch: Batch, clip: Path, tmp_path: Path) -> None:
    assert f"{clip} {SAID}" in batch(clip, "--out", tmp_path / "out", "--first", "8", "--dry-run").err
    assert SAID not in batch(clip, "--out", tmp_path / "out", "--first", "7", "--dry-run").err
    assert SAID not in batch(clip, "--out", tmp_path / "out", "--dry-run", "--quiet").err


@pytest.mark.parametrize("change", ["names", "folders", "pictures", "damaged"])
def test_other_pictures_are_not(batch: Batch, clip: Path, tmp_path: Path, change: str) -> None:
    if change == "names":
        (clip / "f3.png").rename(clip / "lamp.png")
    elif change == "folders":
        (clip / "more").mkdir()
        shutil.move(clip / "f3.png", clip / "more" / "f3.png")
    elif change == "damaged":
        (clip / "f1.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    else:
        for number in range(9):
            Image.fromarray(photographs()[number % 4]).save(clip / f"f{number}.png")
    assert SAID not in batch(clip, "--out", tmp_path / "out", "--dry-run").err
