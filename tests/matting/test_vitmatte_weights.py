"""ViTMatte's weights: found, fetched, checked, and refused where they are not what they should be."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import http.server
import json
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from gossamer.errors import (
    ModelError,
    ModelIntegrityError,
    ModelNotFound,
)
from gossamer.matting.vitmatte import weights as vitmatte_weights
from gossamer.matting.vitmatte.network import VitMatte
from gossamer.weights.catalogue import any_card, folder_cards
from gossamer.weights.folder_card import FolderFile
from tests.matting.tiny_vitmatte import scene, write_model

pytestmark = pytest.mark.usefixtures("one_thread", "alone")


def test_offline_nothing_is_fetched() -> None:
    with pytest.raises(ModelNotFound, match="GOSSAMER_OFFLINE forbids it") as caught:
        VitMatte.load(device="cpu")
    assert "hf download hustvl/vitmatte-small-composition-1k config.json model.safetensors" in caught.value.remedy


@pytest.mark.long
def test_what_is_published_as_a_pickle_only_is_not_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOSSAMER_OFFLINE")
    with pytest.raises(ModelNotFound, match=r"hf download hustvl/vitmatte-base-composition-1k config\.json"):
        VitMatte.load("hustvl/vitmatte-base-composition-1k", device="cpu")


@pytest.mark.long
def test_built_in_config_gives_the_published_file(tmp_path: Path) -> None:
    """103,294,572 bytes: those of hustvl/vitmatte-small-composition-1k's model.safetensors."""
    published = any_card("vitmatte-small-composition-1k")
    config, weights = published.files
    (tmp_path / "config.json").write_text(config.text)
    network = transformers.VitMatteForImageMatting(transformers.VitMatteConfig.from_pretrained(tmp_path))
    network.save_pretrained(tmp_path)
    assert (tmp_path / "model.safetensors").stat().st_size == weights.bytes
    assert VitMatte.load(tmp_path, device="cpu").id == tmp_path.name


def test_pickles_are_refused(tmp_path: Path) -> None:
    snapshot = tmp_path / "hub/models--hustvl--vitmatte-base-composition-1k/snapshots/bf486d0"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    (snapshot / "pytorch_model.bin").write_bytes(b"no")
    with pytest.raises(ModelError, match=r"pickle .* --revision refs/pr/3"):
        VitMatte.load("vitmatte-base-composition-1k", device="cpu")
    with pytest.raises(ModelError, match="pickle"):
        VitMatte.load(snapshot, device="cpu")


def test_published_models_are_found_in_the_hugging_face_cache(tmp_path: Path, model: VitMatte) -> None:
    write_model(tmp_path / "hub/models--hustvl--vitmatte-base-distinctions-646/snapshots/0123abc")
    found = VitMatte.load("hustvl/vitmatte-base-distinctions-646", device="cpu")
    assert found.id == "vitmatte-base-distinctions-646"
    assert VitMatte.load("auto", device="cpu").id == found.id
    picture = scene(40, 40)
    np.testing.assert_array_equal(found.predict(*picture), model.predict(*picture))


def test_published_models_are_found_in_folders_of_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_model(tmp_path / "mine/vitmatte-base-composition-1k")
    monkeypatch.setenv("GOSSAMER_MODEL_PATH", str(tmp_path / "mine"))
    assert VitMatte.load(device="cpu").id == "vitmatte-base-composition-1k"


def test_fetching_announces_verifies_and_is_done_once(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mirror is a server on this machine; the published checksum and size are those of the tiny model."""
    name = "vitmatte-small-composition-1k"
    served = tmp_path / "served" / name
    served.mkdir(parents=True)
    data = (folder / "model.safetensors").read_bytes()
    (served / "model.safetensors").write_bytes(data)
    files = (
        FolderFile("config.json", text=(folder / "config.json").read_text()),
        FolderFile("model.safetensors", len(data), hashlib.sha256(data).hexdigest()),
    )
    known = [dataclasses.replace(one, files=files) if one.id == name else one for one in folder_cards("vitmatte")]
    monkeypatch.setattr(vitmatte_weights, "folder_cards", lambda family: tuple(known))
    monkeypatch.delenv("GOSSAMER_OFFLINE")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            asked.append(self.path)

    asked: list[str] = []
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(served.parent))
    ) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        monkeypatch.setenv("GOSSAMER_MIRROR", f"http://127.0.0.1:{server.server_port}")
        told: list[str] = []
        fetched = VitMatte.load(device="cpu", announce=told.append)
        again = VitMatte.load(device="cpu", announce=told.append)
        server.shutdown()
        thread.join()
    assert fetched.id == again.id == name
    assert asked == [f"/{name}/model.safetensors"]
    assert len(told) == 1
    assert name in told[0]
    assert "MB, licence Apache-2.0" in told[0]
    own = tmp_path / "home/models" / name
    assert sorted(path.name for path in own.iterdir()) == ["config.json", "model.safetensors"]
    (own / "model.safetensors").write_bytes(b"\0" * len(data))
    with pytest.raises(ModelIntegrityError, match=r"Delete "):
        VitMatte.load(device="cpu")


def _damaged(folder: Path, target: Path) -> Path:
    target.mkdir()
    for file in folder.iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    return target


def test_a_cut_off_file_is_refused(folder: Path, tmp_path: Path) -> None:
    copy = _damaged(folder, tmp_path / "copy")
    weights = (copy / "model.safetensors").read_bytes()
    for data in (weights[: len(weights) // 2], weights[:4], b""):
        (copy / "model.safetensors").write_bytes(data)
        with pytest.raises(ModelError, match="could not be loaded"):
            VitMatte.load(copy, device="cpu")


def test_missing_and_foreign_tensors_are_refused(folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    copy = _damaged(folder, tmp_path / "copy")
    tensors = load_file(copy / "model.safetensors")
    name = "decoder.convstream.convs.0.conv.weight"
    for change in ({}, {name: torch.zeros(5, 4, 3, 3)}):
        wrong = {key: value for key, value in tensors.items() if key != name} | change
        save_file(wrong, copy / "model.safetensors", metadata={"format": "pt"})
        with pytest.raises(ModelError, match=r"not those of its config|could not be loaded"):
            VitMatte.load(copy, device="cpu")


@pytest.mark.long
def test_config_without_the_defaults_is_read(folder: Path, tmp_path: Path) -> None:
    config = json.loads(any_card("vitmatte-small-composition-1k").files[0].text)
    del config["convstream_hidden_sizes"], config["fusion_hidden_sizes"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    with pytest.raises(
        ModelError, match=r"are wrong|mismatch|state_dict"
    ):  # of the tensors: the config itself was read
        VitMatte.load(tmp_path, device="cpu")


@pytest.mark.parametrize(
    "change",
    [
        {"model_type": "bert"},
        {"backbone_config": None},
        {"backbone_config": {"model_type": "swin"}},
        {"backbone": "somebody/backbone", "use_pretrained_backbone": True},
    ],
)
def test_configs_of_other_models_are_refused(folder: Path, tmp_path: Path, change: dict[str, object]) -> None:
    copy = _damaged(folder, tmp_path / "copy")
    config = json.loads((copy / "config.json").read_text()) | change
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"no ViTMatte|another backbone"):
        VitMatte.load(copy, device="cpu")


def test_unreadable_config_is_refused(folder: Path, tmp_path: Path) -> None:
    copy = _damaged(folder, tmp_path / "copy")
    (copy / "config.json").write_text("{")
    with pytest.raises(ModelError, match="could not be read"):
        VitMatte.load(copy, device="cpu")


def test_no_such_folder_and_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="vitmatte-small-composition-1k"):
        VitMatte.load("no-such-model", device="cpu")
    with pytest.raises(ModelNotFound, match="save_pretrained"):
        VitMatte.load(tmp_path, device="cpu")


def test_loading_prints_nothing(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    VitMatte.load(folder, device="cpu")
    assert capfd.readouterr() == ("", "")
