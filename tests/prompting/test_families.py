"""Folders of transformers: found where they lie, fetched and checked, and never trusted."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from gossamer.errors import (
    DownloadError,
    MissingExtra,
    ModelError,
    ModelIntegrityError,
    ModelNotFound,
)
from gossamer.progress import Progress
from gossamer.prompting.families import find_weights, installed_weights
from gossamer.prompting.grounding import load_grounding_dino
from gossamer.prompting.sam2 import load_sam2
from gossamer.weights.catalogue import folder_cards
from gossamer.weights.folder_card import FolderCard, FolderFile
from gossamer.weights.model_folder import find_folder
from tests.prompting.tiny_models import save_grounding_dino, save_sam2
from tests.weights.server import Site, serve

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("saved")
    save_sam2(root / "sam2")
    save_grounding_dino(root / "dino")
    return root


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("GOSSAMER_MODEL_PATH", "GOSSAMER_MIRROR", "GOSSAMER_OFFLINE", "COMFYUI_PATH", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HF_HUB_OFFLINE", "HF_TOKEN", "HF_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GOSSAMER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "huggingface"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("U2NET_HOME", str(tmp_path / "rembg"))
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
    return tmp_path / "home"


@pytest.fixture
def site() -> Iterator[Site]:
    with serve() as site:
        yield site


def copied(source: Path, target: Path) -> Path:
    shutil.copytree(source, target)
    return target


def on_hugging_face(
    site: Site, monkeypatch: pytest.MonkeyPatch, folder: Path, *, gated: bool = False, digests: bool = True
) -> FolderCard:
    """Publish a folder on the server; Hugging Face tells git's digest of small files and SHA-256 of large ones."""
    monkeypatch.setenv("HF_ENDPOINT", site.url)
    files = []
    for file in sorted(folder.iterdir()):
        data = file.read_bytes()
        path = f"/somebody/sam/resolve/{COMMIT}/{file.name}"
        site.files[path] = data
        large = file.suffix == ".safetensors"
        sha256 = hashlib.sha256(data).hexdigest()
        git = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()  # noqa: S324 - git's own
        headers = {"ETag": f'"{git}"', "X-Repo-Commit": COMMIT}
        if large:
            headers |= {"X-Linked-Etag": f'"{sha256}"', "X-Linked-Size": str(len(data))}
        site.headers[path] = headers
        if gated:
            site.tokens[path] = "secret"
        files.append(FolderFile(file.name, len(data), sha256 if digests or large else ""))
    return FolderCard(
        id="small-sam",
        title="Small SAM",
        repo="somebody/sam",
        revision=COMMIT,
        licence="SAM License",
        licence_url="https://example.org/licence",
        files=tuple(files),
        gated=gated,
    )


def fetched(folder: FolderCard) -> tuple[Path, list[str]]:
    said: list[str] = []
    return find_folder(folder, progress=Progress.of(None), announce=said.append), said


def test_what_is_published_is_pinned() -> None:
    prompted = [one for one in folder_cards() if one.task == "prompting"]
    assert len(prompted) == 7
    for one in prompted:
        assert re.fullmatch("[0-9a-f]{40}", one.revision)
        names = [file.name for file in one.files]
        assert {"config.json", "model.safetensors"} <= set(names)
        assert one.tokenizer is bool({"tokenizer.json", "vocab.txt"} & set(names))
        weights = next(file for file in one.files if file.name == "model.safetensors")
        assert re.fullmatch("[0-9a-f]{64}", weights.sha256)
        assert weights.bytes > 150e6
        assert all(file.sha256 == "" or re.fullmatch("[0-9a-f]{64}", file.sha256) for file in one.files)
    assert [one.id for one in folder_cards("sam2")] == [
        f"sam2.1-hiera-{x}" for x in ("large", "base-plus", "small", "tiny")
    ]
    assert [one.id for one in folder_cards("sam3")] == ["sam3"]
    assert [one.id for one in folder_cards() if one.gated] == ["sam3"]


@pytest.mark.long
@pytest.mark.parametrize(
    ("variable", "place"),
    [
        ("GOSSAMER_MODEL_PATH", "sam2.1-hiera-small"),
        ("COMFYUI_PATH", "models/sam2/sam2.1-hiera-small"),
        ("COMFYUI_PATH", "models/sams/sam2.1-hiera-small"),
        ("HF_HUB_CACHE", f"models--facebook--sam2.1-hiera-small/snapshots/{folder_cards('sam2')[2].revision}"),
        ("HF_HUB_CACHE", f"models--facebook--sam2.1-hiera-small/snapshots/{COMMIT}"),
    ],
)
def test_weights_are_found_where_they_lie(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, place: str
) -> None:
    monkeypatch.setenv(variable, str(tmp_path / "there"))
    folder = copied(saved / "sam2", tmp_path / "there" / place)
    for name in ("auto", "sam2.1-hiera-small", "facebook/sam2.1-hiera-small"):
        assert installed_weights("sam2", name) == ("sam2.1-hiera-small", folder)
    assert installed_weights("sam2", "sam2.1-hiera-tiny") is None
    (folder / "model.safetensors").unlink()
    assert installed_weights("sam2", "auto") is None


def test_auto_takes_the_best_that_is_installed_also_in_a_folder_of_ones_own(saved: Path, tmp_path: Path) -> None:
    small = copied(saved / "sam2", tmp_path / "mine" / "sam2.1-hiera-tiny")
    assert installed_weights("sam2", "auto", folders=[tmp_path / "mine"]) == ("sam2.1-hiera-tiny", small)
    large = copied(saved / "sam2", tmp_path / "mine" / "sam2.1-hiera-large")
    assert installed_weights("sam2", "auto", folders=[tmp_path / "mine"]) == ("sam2.1-hiera-large", large)


def test_a_tokenizer_belongs_to_what_reads_text(saved: Path, tmp_path: Path) -> None:
    folder = copied(saved / "dino", tmp_path / "mine" / "grounding-dino-tiny")
    assert installed_weights("grounding-dino", "auto", folders=[tmp_path / "mine"]) is not None
    (folder / "vocab.txt").unlink()
    assert installed_weights("grounding-dino", "auto", folders=[tmp_path / "mine"]) is None
    with pytest.raises(ModelNotFound, match=r"holds no tokenizer\.json"):
        load_grounding_dino(folder)


@pytest.mark.parametrize("switch", ["GOSSAMER_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch, switch: str) -> None:
    monkeypatch.setenv(switch, "1")
    with pytest.raises(ModelNotFound, match=rf"SAM 2\.1 tiny .* {switch} forbids it.*hf download facebook/sam2\.1"):
        find_weights("sam2.1-hiera-tiny", "sam2")
    with pytest.raises(ModelNotFound, match=r"agree to the terms at https://huggingface\.co/facebook/sam3"):
        find_weights("auto", "sam3")


@pytest.mark.parametrize("digests", [True, False])
def test_a_folder_is_fetched_announced_and_checked(
    site: Site, saved: Path, home: Path, monkeypatch: pytest.MonkeyPatch, digests: bool
) -> None:
    folder = on_hugging_face(site, monkeypatch, saved / "sam2", digests=digests)
    found, said = fetched(folder)
    assert found == home / "models" / "small-sam"
    [line] = said
    assert re.fullmatch(
        r"Fetching Small SAM \([\d.]+ MB, licence SAM License, https://\S+\) from Hugging Face \(.*\)", line
    )
    assert {file.name for file in found.iterdir()} == {file.name for file in folder.files}
    for file in folder.files:
        assert (found / file.name).read_bytes() == (saved / "sam2" / file.name).read_bytes()
    assert [path.rpartition("/")[2] for path, _ in site.requests][-1] == "config.json"  # complete with it, not before
    asked = len(site.requests) + len(site.heads)
    assert fetched(folder) == (found, [])
    assert len(site.requests) + len(site.heads) == asked
    load_sam2(found, device="cpu")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_other_bytes_are_refused(
    site: Site, saved: Path, home: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    folder = on_hugging_face(site, monkeypatch, saved / "sam2", digests=False)
    path = f"/somebody/sam/resolve/{COMMIT}/{name}"
    site.files[path] = bytes(len(site.files[path]))
    with pytest.raises(DownloadError, match=rf"Small SAM could not be fetched: {name}: .*sends other bytes"):
        fetched(folder)
    assert not (home / "models" / "small-sam" / "config.json").exists()


def test_a_gated_model_says_how_to_get_access_and_sends_the_token(
    site: Site, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = on_hugging_face(site, monkeypatch, saved / "sam2", gated=True, digests=False)
    with pytest.raises(
        DownloadError, match=r"gated: agree to its terms at https://huggingface\.co/somebody/sam.*HF_TOKEN"
    ):
        fetched(folder)
    monkeypatch.setenv("HF_TOKEN", "other")
    with pytest.raises(DownloadError, match="the token in HF_TOKEN has no access"):
        fetched(folder)
    monkeypatch.setenv("HF_TOKEN", "secret")
    assert fetched(folder)[0].is_dir()


def test_a_mirror_comes_first_and_an_interrupted_download_goes_on(
    site: Site, saved: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = on_hugging_face(site, monkeypatch, saved / "sam2")
    monkeypatch.setenv("GOSSAMER_MIRROR", f"{site.url}/mirror")
    monkeypatch.setenv("HF_ENDPOINT", f"{site.url}/nowhere")
    for file in folder.files:
        site.files[f"/mirror/small-sam/{file.name}"] = (saved / "sam2" / file.name).read_bytes()
    part = home / "models" / "small-sam" / "model.safetensors.part"
    part.parent.mkdir(parents=True)
    part.write_bytes((saved / "sam2" / "model.safetensors").read_bytes()[:1000])
    _, said = fetched(folder)
    assert said == [line for line in said if "127.0.0.1" in line]
    assert ("/mirror/small-sam/model.safetensors", "bytes=1000-") in site.requests


def test_damage_in_the_own_folder_is_noticed(site: Site, saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = on_hugging_face(site, monkeypatch, saved / "sam2")
    found, _ = fetched(folder)
    (found / "config.json").write_text("{}")
    with pytest.raises(ModelIntegrityError, match=r"config\.json has not the content"):
        fetched(folder)


def test_a_folder_of_ones_own_is_looked_at(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match=r"no sam2 model and no folder.*sam2\.1-hiera-large"):
        load_sam2("sam2.1-hiera-gigantic")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ModelNotFound, match=r"holds no config\.json"):
        load_sam2(empty)
    folder = copied(saved / "sam2", tmp_path / "pickled")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="as a pickle only, which is not read"):
        load_sam2(folder)


def changed(folder: Path, **settings: Any) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **settings}))


def test_another_model_is_refused(saved: Path) -> None:
    with pytest.raises(ModelError, match="holds no sam2 or sam2_video model, but grounding-dino"):
        load_sam2(saved / "dino", device="cpu")


def test_a_backbone_from_elsewhere_is_not_fetched(saved: Path, tmp_path: Path) -> None:
    folder = copied(saved / "dino", tmp_path / "dino")
    changed(folder, use_timm_backbone=True, backbone="resnet50")
    with pytest.raises(ModelError, match="wants a backbone from elsewhere"):
        load_grounding_dino(folder, device="cpu")


def test_code_of_a_folder_does_not_run(saved: Path, tmp_path: Path) -> None:
    folder = copied(saved / "sam2", tmp_path / "sam2")
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Sam2Model: pass\n")
    changed(folder, auto_map={"AutoModel": "evil.Sam2Model", "AutoConfig": "evil.Sam2Model"})
    assert load_sam2(folder, device="cpu").device == "cpu"
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("damage", ["cut", "no json", "lacks one", "other shape"])
def test_damage_is_told_and_nothing_runs_on_random_numbers(saved: Path, tmp_path: Path, damage: str) -> None:
    folder = copied(saved / "sam2", tmp_path / "sam2")
    file = folder / "model.safetensors"
    name = "mask_decoder.iou_token.weight"
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:5000])
    elif damage == "no json":
        (folder / "config.json").write_text("{")
    else:
        weights = {key: value.clone() for key, value in load_file(file).items()}
        weights.pop(name)
        if damage == "other shape":
            weights[name] = torch.zeros(1, 5)
        save_file(weights, file, {"format": "pt"})
    with pytest.raises(ModelError, match=f"could not be (read|loaded)|1 are wrong, such as .*{name}"):
        load_sam2(folder, device="cpu")


def without(folder: Path, *endings: str) -> int:
    """Take tensors out of a folder's weights, as other versions of transformers save them; return how many."""
    file = folder / "model.safetensors"
    weights = {key: value.clone() for key, value in load_file(file).items()}
    gone = [key for key in weights if key.endswith(endings)]
    save_file({key: value for key, value in weights.items() if key not in gone}, file, {"format": "pt"})
    return len(gone)


def test_what_other_versions_of_transformers_do_not_save_is_filled_in(saved: Path, tmp_path: Path) -> None:
    sam2 = copied(saved / "sam2", tmp_path / "sam2")
    without(sam2, "prompt_encoder.shared_embedding.positional_embedding")
    network = load_sam2(sam2, device="cpu")._network.module
    known = load_file(saved / "sam2" / "model.safetensors")["shared_image_embedding.positional_embedding"]
    assert torch.equal(network.prompt_encoder.shared_embedding.positional_embedding, known)
    dino = copied(saved / "dino", tmp_path / "dino")
    without(dino, "relative_position_index", "position_ids")
    tables, expected = (
        dict(load_grounding_dino(folder, device="cpu")._network.module.named_buffers())
        for folder in (dino, saved / "dino")
    )
    assert any(name.endswith("relative_position_index") for name in tables)
    assert all(torch.equal(table, expected[name]) for name, table in tables.items())


def test_a_damaged_tokenizer_is_told(saved: Path, tmp_path: Path) -> None:
    folder = copied(saved / "dino", tmp_path / "dino")
    (folder / "tokenizer.json").write_text("{")
    with pytest.raises(ModelError, match=r"tokenizer in .* could not be read"):
        load_grounding_dino(folder, device="cpu")


def test_without_transformers_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtra, match=r"SAM 2 needs .*gossamer\[prompts\]"):
        load_sam2()
    with pytest.raises(MissingExtra, match=r"Grounding DINO needs .*gossamer\[prompts\]"):
        load_grounding_dino()
