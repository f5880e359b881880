"""Models of one's own: put beside the catalogue, shown by every face, taken away again."""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import gossamer
from gossamer.cli import main
from gossamer.errors import ModelIntegrityError, OutputExists
from gossamer.hosts import gimp
from gossamer.service.allowed import Allowed
from gossamer.weights import store
from gossamer.weights.added import CARD, add_model, added_cards, card_table, read_card, remove_model
from gossamer.weights.card import Variant
from gossamer.weights.catalogue import parse_card, published_models
from gossamer.worker.inventory import Inventory
from tests.cached_weights import weights_home


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home in which nothing is."""
    for name in ("GOSSAMER_MODELS", "GIMP3_DIRECTORY", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HF_HUB_CACHE", "U2NET_HOME", "XDG_DATA_HOME", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / "nowhere"))
    monkeypatch.setenv("GOSSAMER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GOSSAMER_OFFLINE", "1")
    return tmp_path / "home"


def promoted(folder: Path, model: str = "my-shoes", **changed: object) -> Path:
    """Write what `gossamer promote` writes: here U²-Net small under another name."""
    folder.mkdir()
    shutil.copy(weights_home() / "models" / "u2netp.onnx", folder / f"{model}.onnx")
    data = (folder / f"{model}.onnx").read_bytes()
    weights = Variant(
        filename=f"{model}.onnx", precision="float32", bytes=len(data), sources=(),
        sha256=hashlib.sha256(data).hexdigest(), state_dict=True,
    )  # fmt: skip
    base = published_models()["u2netp"]
    card = dataclasses.replace(base, id=model, title="My shoes", weights=(weights,), rank=None, metric="")
    (folder / CARD).write_text(json.dumps({"model": {**card_table(card), **changed}}))
    return folder


@pytest.mark.long
def test_every_face_lists_it_at_once_and_it_finds_what_its_base_finds(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    inventory, allowed = Inventory(), Allowed("installed")
    assert not inventory.installed()  # asked before: what is cached must notice
    assert "my-shoes" not in gossamer.load_catalogue()
    gimp_folder = tmp_path / "gimp"
    gimp_folder.mkdir()
    monkeypatch.setenv("GIMP3_DIRECTORY", str(gimp_folder))
    (plug_in,) = gimp.install()

    assert main(["models", "add", str(promoted(tmp_path / "made"))]) == 0
    # Library, ComfyUI's widgets and everything else that asks for the catalogue.
    assert list(gossamer.load_catalogue())[-1] == "my-shoes"
    assert "my-shoes" not in published_models()
    # The command line.
    capsys.readouterr()
    assert main(["models", "list", "--json"]) == 0
    rows = {row["id"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["my-shoes"]["added"] is True
    assert rows["u2netp"]["added"] is False
    assert Path(rows["my-shoes"]["path"]).is_relative_to(home)
    # The worker, which GIMP asks, and the service.
    assert inventory.installed() == {"my-shoes"}
    assert inventory.decided(gossamer.ModelChoice.of(model=" my-shoes,my-shoes")).model == "my-shoes,my-shoes"
    assert [model["id"] for model in allowed.told()["models"]] == ["my-shoes"]
    # GIMP's own list: what the plug-in reads where it is installed.
    source = ast.parse((plug_in.folder / "arguments.py").read_text(encoding="utf-8"))
    function = next(one for one in source.body if isinstance(one, ast.FunctionDef) and one.name == "added_models")
    names = {"os": __import__("os"), "json": json, "_FOLDER": str(plug_in.folder)}
    exec(compile(ast.Module([function], []), "arguments.py", "exec"), names)  # noqa: S102 - ours; gi is not here
    assert names["added_models"]() == [("my-shoes", "My shoes", "")]
    # A new installation has it, too, and nothing else is left when it goes.
    (again,) = gimp.install()
    assert json.loads((again.folder / "models.json").read_text())[0]["id"] == "my-shoes"

    picture = np.full((64, 64, 3), 240, np.uint8)
    picture[16:48, 20:44] = (180, 20, 30)
    Image.fromarray(picture).save(tmp_path / "shoe.png")
    assert main(["remove", str(tmp_path / "shoe.png"), "--model", "my-shoes", "--matting", "none", "--quiet"]) == 0
    cut = np.asarray(Image.open(tmp_path / "shoe-cutout.png"))[..., 3]
    monkeypatch.setenv("GOSSAMER_HOME", str(weights_home()))
    mask = gossamer.load_model("u2netp", runtime="onnx").predict(picture)
    assert np.abs(cut / 255 - mask).max() < 0.01
    monkeypatch.setenv("GOSSAMER_HOME", str(home))

    assert main(["models", "remove", "my-shoes"]) == 0
    assert "my-shoes" not in gossamer.load_catalogue()
    assert not inventory.installed()
    assert not list((home / "models").glob("my-shoes*"))
    assert not (again.folder / "models.json").exists()
    assert gimp.uninstall()[0].kept == ()
    assert not plug_in.folder.exists()


def test_a_card_is_read_as_it_was_written(tmp_path: Path, home: Path) -> None:
    card, _ = read_card(promoted(tmp_path / "made"))
    base = published_models()["u2netp"]
    assert (card.input, card.output, card.network, card.licence) == (base.input, base.output, "u2netp", base.licence)
    hr = published_models()["birefnet-hr"]
    table = json.loads(json.dumps({**card_table(hr), "rank": None}))
    again = parse_card({name: value for name, value in table.items() if value is not None}, "test")
    assert (again.input, again.output, again.bfloat16) == (hr.input, hr.output, hr.bfloat16)


def test_what_was_added_is_verified_and_replaced_only_when_asked(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = promoted(tmp_path / "made")
    card = add_model(folder)
    assert main(["models", "add", str(folder)]) == OutputExists.exit_code
    assert "There is a model my-shoes already." in capsys.readouterr().err
    assert add_model(folder, force=True) == card
    file = store.path(card)
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(ModelIntegrityError):
        store.verify(card)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("nothing", "is no folder"),
        ("no card", "holds no card.json"),
        ("json", "no valid JSON"),
        ("weights", "not the file that card.json is about"),
        ("missing", "holds no my-shoes.onnx"),
        ("catalogue", "is a model of the catalogue"),
        ("unknown key", "colour"),
        ("rank", "gives a rank"),
        ("another's file", "is not named after"),
    ],
)
def test_what_is_no_model_is_refused_and_nothing_is_added(tmp_path: Path, home: Path, fault: str, said: str) -> None:
    folder = tmp_path / "made"
    changes = {"unknown key": {"colour": 1}, "rank": {"rank": 1}, "catalogue": {"id": "u2net"}}
    changes["another's file"] = {"id": "other"}
    if fault != "nothing":
        promoted(folder, **changes.get(fault, {}))
    if fault == "no card":
        (folder / CARD).unlink()
    elif fault == "json":
        (folder / CARD).write_text("{")
    elif fault == "weights":
        (folder / "my-shoes.onnx").write_bytes(b"other")
    elif fault == "missing":
        (folder / "my-shoes.onnx").unlink()
    with pytest.raises(gossamer.GossamerError, match=said) as told:
        add_model(folder)
    assert told.value.remedy
    assert not added_cards()
    assert not list(home.rglob("*.onnx"))


def test_a_damaged_card_takes_nothing_else_away(tmp_path: Path, home: Path, caplog: pytest.LogCaptureFixture) -> None:
    add_model(promoted(tmp_path / "made"))
    (home / "models" / "bad.model.json").write_text("{")
    assert list(added_cards()) == ["my-shoes"]
    assert "bad.model.json" in caplog.text
    assert len(gossamer.load_catalogue()) == len(published_models()) + 1


def test_models_of_the_catalogue_are_not_removed(home: Path) -> None:
    with pytest.raises(gossamer.InputError, match="of the catalogue"):
        remove_model("u2net")
    with pytest.raises(gossamer.ModelNotFound):
        remove_model("nobodys")
