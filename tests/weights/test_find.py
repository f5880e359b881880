from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

import gossamer
from gossamer.errors import Cancelled, MissingExtra, ModelIntegrityError, ModelNotFound
from gossamer.weights import inventory as weights
from gossamer.weights import store
from gossamer.weights.catalogue import HuggingFaceSource, ModelCard
from tests.weights.cards import card, content, variant

DATA = content(50_000)
WRONG = content(50_000, seed=1)


@pytest.fixture
def tiny(home: Path) -> ModelCard:
    return card(variant(DATA), variant(DATA[:100], name="tiny-float16.onnx", precision="float16"))


def test_home_is_the_users_data_folder_unless_told_otherwise(
    home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert store.home() == home
    assert store.folders()[0] == home / "models"
    monkeypatch.delenv("GOSSAMER_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert store.home() == tmp_path / "data" / "gossamer"


def test_what_seems_installed_is_told_by_names_and_sizes_alone(tiny: ModelCard, models: Path, tmp_path: Path) -> None:
    assert not gossamer.seems_installed(tiny)
    (models / "tiny.onnx").write_bytes(WRONG[:-1])
    assert not gossamer.seems_installed(tiny)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "tiny.onnx").write_bytes(WRONG)  # nothing is read
    assert gossamer.seems_installed(tiny, [elsewhere])
    assert not gossamer.seems_installed(tiny)


def test_nothing_is_found_where_nothing_is(tiny: ModelCard) -> None:
    assert store.find(tiny) is None
    for function in (store.path, store.verify):
        with pytest.raises(ModelNotFound, match="gossamer models get tiny"):
            function(tiny)


def test_float32_is_preferred(tiny: ModelCard, models: Path) -> None:
    (models / "tiny-float16.onnx").write_bytes(DATA[:100])
    found = store.find(tiny)
    assert found is not None
    assert found.variant.precision == "float16"
    (models / "tiny.onnx").write_bytes(DATA)
    found = store.find(tiny)
    assert found is not None
    assert (found.variant.precision, found.path) == ("float32", models / "tiny.onnx")
    assert store.path(tiny) == models / "tiny.onnx"


@pytest.mark.parametrize("bad", [WRONG, DATA[:-1], b""], ids=["other bytes", "truncated", "empty"])
def test_a_damaged_file_of_our_own_is_an_error_with_a_remedy(tiny: ModelCard, models: Path, bad: bytes) -> None:
    (models / "tiny.onnx").write_bytes(bad)
    for function in (store.find, store.verify, store.fetch):
        with pytest.raises(ModelIntegrityError, match="gossamer models get tiny --force"):
            function(tiny)


def test_other_programs_folders_are_searched(
    tiny: ModelCard, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two, comfyui = tmp_path / "one", tmp_path / "two", tmp_path / "ComfyUI"
    monkeypatch.setenv("GOSSAMER_MODEL_PATH", f"{one}{os.pathsep}{two}")
    monkeypatch.setenv("COMFYUI_PATH", str(comfyui))
    rembg = tmp_path / "rembg"
    places = [one, two, comfyui / "models" / "rembg", rembg / "models" / "tiny", rembg]
    for place in reversed(places):
        place.mkdir(parents=True, exist_ok=True)
        (place / "tiny.onnx").write_bytes(DATA)
        found = store.find(tiny)
        assert found is not None
        assert found.path == place / "tiny.onnx"
        assert found.warnings == ()
    listed = store.folders()
    assert [listed.index(place) for place in (one, two, comfyui / "models" / "rembg", rembg)] == sorted(
        listed.index(place) for place in (one, two, comfyui / "models" / "rembg", rembg)
    )


def test_a_caller_may_name_more_folders(tiny: ModelCard, tmp_path: Path) -> None:
    (tmp_path / "tiny.onnx").write_bytes(DATA)
    assert store.find(tiny) is None
    found = store.find(tiny, extra_folders=[tmp_path])
    assert found is not None
    assert found.path == tmp_path / "tiny.onnx"
    assert store.fetch(tiny, extra_folders=[tmp_path]).path == tmp_path / "tiny.onnx"


def test_rembgs_folders_are_where_rembg_says(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("U2NET_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.delenv("REMBG_HOME", raising=False)
    assert {tmp_path / ".u2net", tmp_path / ".rembg/models"} <= set(store.folders())
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert {tmp_path / "data/.u2net", tmp_path / "data/rembg/models"} <= set(store.folders())


def test_the_hugging_face_cache_is_searched(home: Path, tmp_path: Path) -> None:
    source = HuggingFaceSource(repo="some/model", revision="main", filename="weights/model.onnx")
    tiny = card(variant(DATA, source))
    snapshot = tmp_path / "hub/models--some--model/snapshots/abc"
    (snapshot / "weights").mkdir(parents=True)
    (snapshot / "weights/model.onnx").write_bytes(DATA)
    found = store.find(tiny)
    assert found is not None
    assert found.path == snapshot / "weights/model.onnx"


def test_node_packs_keep_files_in_folders_of_their_own(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = HuggingFaceSource(repo="some/Model_HR", revision="main", filename="model.safetensors")
    plain = variant(DATA, source, name="tiny.safetensors")
    tiny = card(replace(plain, elsewhere=("RMBG/RMBG-2.0/model.safetensors", "BiRefNet/General.safetensors")))
    monkeypatch.setenv("COMFYUI_PATH", str(tmp_path / "ComfyUI"))
    shared = tmp_path / "shared"
    models = tmp_path / "ComfyUI" / "models"
    places = {
        models / "birefnet/Model_HR/model.safetensors": (),
        models / "RMBG/RMBG-2.0/model.safetensors": (),
        models / "BiRefNet/General.safetensors": (),
        # What a host gives besides: its folder of this name, wherever it lies.
        shared / "BiRefNet/General.safetensors": (shared / "BiRefNet",),
        shared / "RMBG/RMBG-2.0/model.safetensors": (shared / "RMBG",),
        shared / "any/Model_HR/model.safetensors": (shared / "any",),
    }
    for place, extra in places.items():
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(DATA)
        found = store.find(tiny, extra_folders=extra)
        assert found is not None
        assert found.path == place
        place.unlink()


def test_a_file_that_is_another_variant_is_no_fault(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = variant(DATA[:100], name="other.onnx", precision="float16")
    tiny = card(replace(variant(DATA), aliases=("same.onnx",)), replace(other, aliases=("same.onnx",)))
    monkeypatch.setenv("GOSSAMER_MODEL_PATH", str(tmp_path))
    (tmp_path / "same.onnx").write_bytes(DATA[:100])
    found = store.find(tiny)
    assert found is not None
    assert (found.variant.filename, found.warnings) == ("other.onnx", ())


def test_transparent_backgrounds_folder_is_searched(home: Path, tmp_path: Path) -> None:
    assert tmp_path / ".transparent-background" in store.folders()
    tiny = card(replace(variant(DATA, name="tiny.pth"), aliases=("ckpt_base.pth",)))
    (tmp_path / ".transparent-background").mkdir()
    (tmp_path / ".transparent-background/ckpt_base.pth").write_bytes(DATA)
    found = store.find(tiny)
    assert found is not None
    assert found.path.name == "ckpt_base.pth"


def test_what_cannot_run_here_is_found_on_request(home: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "torch_is_here", lambda: False)
    tiny = card(variant(DATA, name="tiny.safetensors"))
    (models / "tiny.safetensors").write_bytes(DATA)
    assert store.find(tiny) is None
    assert store.find(tiny, runtime="any") is not None
    assert store.path(tiny) == models / "tiny.safetensors"
    assert store.verify(tiny).path == models / "tiny.safetensors"
    with pytest.raises(MissingExtra, match=r"gossamer\[torch\]"):
        store.fetch(tiny)


def test_a_wrong_file_of_another_program_is_passed_over_with_a_warning(
    tiny: ModelCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong, right = tmp_path / "wrong", tmp_path / "right"
    monkeypatch.setenv("GOSSAMER_MODEL_PATH", f"{wrong}{os.pathsep}{right}")
    for folder, data in ((wrong, WRONG), (right, DATA)):
        folder.mkdir()
        (folder / "tiny.onnx").write_bytes(data)
    found = store.find(tiny)
    assert found is not None
    assert found.path == right / "tiny.onnx"
    assert len(found.warnings) == 1
    assert str(wrong / "tiny.onnx") in found.warnings[0]
    assert "SHA-256" in found.warnings[0]
    (wrong / "tiny.onnx").write_bytes(b"12")
    found = store.find(tiny)
    assert found is not None
    assert "has 2 bytes instead of 50000" in found.warnings[0]


def test_the_content_is_read_once_until_the_file_changes(tiny: ModelCard, models: Path) -> None:
    file = models / "tiny.onnx"
    file.write_bytes(DATA)
    assert store.find(tiny) is not None
    # Other bytes with the same size and time: only reading could tell, and it is not read again ...
    before = file.stat()
    file.write_bytes(WRONG)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert store.find(tiny) is not None
    # ... but verify reads, whatever is remembered; and a new time of change makes find read, too.
    with pytest.raises(ModelIntegrityError):
        store.verify(tiny)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    with pytest.raises(ModelIntegrityError):
        store.find(tiny)


@pytest.mark.parametrize("damage", ["", '{"x": 3}'])
def test_a_poor_memory_only_costs_reading_again(tiny: ModelCard, models: Path, home: Path, damage: str) -> None:
    (models / "tiny.onnx").write_bytes(DATA)
    (home / "verified.json").write_text(damage)
    found = store.find(tiny)
    assert found is not None
    assert found.warnings == ()
    assert "tiny.onnx" in (home / "verified.json").read_text()


@pytest.mark.parametrize("damage", ["[]", "{", '{"a": [1,', "\0", "[" * 100_000])
def test_a_memory_that_cannot_be_read_is_kept_and_told(tiny: ModelCard, models: Path, home: Path, damage: str) -> None:
    (models / "tiny.onnx").write_bytes(DATA)
    file = home / "verified.json"
    file.write_text(damage)
    for _ in range(2):
        found = store.find(tiny)
        assert found is not None
        assert len(found.warnings) == 1
        assert found.warnings[0].startswith(f"{file} is damaged: ")
        assert found.warnings[0].endswith("Mend it, or move it away. Until then weights are read in full each time.")
        assert file.read_text() == damage
        assert {path.name for path in home.iterdir()} <= {"models", "verified.json", ".verified.lock"}


def test_a_memory_that_is_a_folder_is_named(tiny: ModelCard, models: Path, home: Path) -> None:
    (models / "tiny.onnx").write_bytes(DATA)
    file = home / "verified.json"
    file.mkdir()
    found = store.find(tiny)
    assert found is not None
    assert found.warnings == (
        f"{file} is a folder, not a file. Remove or rename it. Until then weights are read in full each time.",
    )
    assert file.is_dir()


def test_checking_can_be_cancelled_by_any_exception(tiny: ModelCard, models: Path) -> None:
    (models / "tiny.onnx").write_bytes(DATA)
    for kind in (Cancelled, BrokenPipeError, KeyError):

        def stop(_fraction: float, _message: str, kind: type[BaseException] = kind) -> None:
            raise kind()

        with pytest.raises(kind):
            store.find(tiny, progress=stop)


def test_weights_may_go_into_a_folder_of_the_user_s(
    tiny: ModelCard, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = tmp_path / "chosen"
    chosen.mkdir()
    (models / "tiny.onnx").write_bytes(DATA)
    monkeypatch.setenv("GOSSAMER_MODELS", str(chosen))
    assert store.models_folder() == chosen
    assert store.path(tiny) == models / "tiny.onnx"  # what was fetched before is found
    (chosen / "tiny.onnx").write_bytes(DATA)
    assert store.path(tiny) == chosen / "tiny.onnx"
