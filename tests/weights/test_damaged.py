"""A damaged file of one model is no obstacle to another."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from gossamer.cli import main
from gossamer.errors import ModelIntegrityError
from gossamer.weights import store
from gossamer.weights.catalogue import load_catalogue, model_card
from gossamer.worker.inventory import Inventory
from tests.cached_weights import weights_home
from tests.weights.cards import card, content, variant

DATA = content(5000)


@pytest.fixture
def damaged(models: Path) -> Path:
    """u2netp is whole; the files of all better models are cut short."""
    found = store.find(model_card("u2netp"), extra_folders=[weights_home() / "models"])
    assert found is not None
    (models / found.path.name).symlink_to(found.path)
    for one in load_catalogue().values():
        for file in one.weights:
            if one.id != "u2netp" and not (models / file.filename).exists():
                (models / file.filename).write_bytes(b"cut short")
    return models


@pytest.mark.usefixtures("damaged")
def test_auto_takes_what_is_whole_and_warns(monkeypatch: pytest.MonkeyPatch) -> None:
    choice = store.choose("auto")
    assert choice.weights.card.id == "u2netp"
    told = " ".join(choice.weights.warnings)
    assert "isnet-general-use.onnx" in told or "isnet" in told
    assert "gossamer models get isnet-general-use --force" in told
    # What is asked for by its name is an error still.
    with pytest.raises(ModelIntegrityError, match="gossamer models get u2net --force"):
        store.choose("u2net")
    # The best for a task would be fetched: the damaged ones are passed over there as well.
    monkeypatch.setenv("GOSSAMER_OFFLINE", "1")
    choice = store.choose("auto", quality="best")
    assert choice.weights.card.id == "u2netp"
    assert choice.weights.warnings


@pytest.mark.usefixtures("damaged")
def test_doctor_and_the_lists_tell_both(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [model["id"] for model in found["models"]["installed"]] == ["u2netp"]
    assert "u2net" in [model["id"] for model in found["models"]["damaged"]]
    assert not any("No model is installed" in problem for problem in found["problems"])
    assert any("gossamer models get u2net --force" in problem for problem in found["problems"])
    assert main(["models", "list", "--json"]) == 0
    rows = {row["id"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["u2netp"]["path"]
    assert "--force" in rows["u2net"]["problem"]
    inventory = Inventory()  # what the worker tells
    assert inventory.told(load_catalogue()["u2netp"])["installed"]
    assert not inventory.told(load_catalogue()["u2net"])["installed"]
    assert "u2netp" in inventory.installed()


def test_a_good_file_elsewhere_is_used_in_place_of_a_damaged_one(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = card(variant(DATA))
    monkeypatch.setenv("GOSSAMER_MODEL_PATH", str(tmp_path))
    (models / "tiny.onnx").write_bytes(DATA[:100])
    (tmp_path / "tiny.onnx").write_bytes(DATA)
    found = store.find(tiny)
    assert found is not None
    assert found.path == tmp_path / "tiny.onnx"
    assert found.warnings == (f"{models / 'tiny.onnx'} was passed over: it has 100 bytes instead of 5000.",)


def test_what_is_no_file_is_passed_over(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Folders, pipes, dangling links, and folders that no system can open, in the places of other programs."""
    tiny = card(variant(DATA))
    one = tmp_path / "one"
    one.mkdir()
    places = [one, tmp_path / ("x" * 300), tmp_path / "file" / "below"]
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GOSSAMER_MODEL_PATH", os.pathsep.join(map(str, places)))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "file"))
    file = one / "tiny.onnx"
    file.symlink_to(tmp_path / "nowhere")
    assert store.find(tiny) is None
    file.unlink()
    file.symlink_to("tiny.onnx")
    assert store.find(tiny) is None
    file.unlink()
    file.mkdir()
    assert store.find(tiny) is None
    file.rmdir()
    if hasattr(os, "mkfifo"):
        os.mkfifo(file)
        assert store.find(tiny) is None
        file.unlink()
    (models / "tiny.onnx").write_bytes(DATA)
    assert store.find(tiny) is not None
    main(["doctor", "--json"])
    assert json.loads(capsys.readouterr().out)["models"]["folders"]
