"""Weights that are not for commercial use."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from gossamer.errors import LicenceError, OutputError
from gossamer.settings.model_choice import QUALITIES
from gossamer.weights import store
from gossamer.weights.catalogue import ModelCard, UrlSource, model_card
from gossamer.weights.choice import ranking
from tests.files.users import ALICE, BOB, as_root, common_folder, run_as
from tests.weights.cards import card, content, variant
from tests.weights.server import Site

DATA = content(1000)


@pytest.fixture
def restricted(site: Site, home: Path) -> ModelCard:
    site.files["/tiny"] = DATA
    return card(variant(DATA, UrlSource(url=f"{site.url}/tiny")), licence="CC-BY-NC-4.0")


def test_they_are_fetched_only_after_the_licence_was_accepted_once(
    restricted: ModelCard, site: Site, home: Path
) -> None:
    with pytest.raises(LicenceError) as caught:
        store.fetch(restricted)
    assert caught.value.message == (
        "Tiny test model has the licence CC-BY-NC-4.0, so its weights are not for commercial use."
    )
    assert "Read https://example.invalid/licence" in caught.value.remedy
    assert "gossamer models get tiny --accept-licence (in Python: accept_licence=True)" in caught.value.remedy
    assert site.requests == []
    weights = store.fetch(restricted, accept_licence=True)
    assert weights.path.read_bytes() == DATA
    entry = json.loads((home / "licences.json").read_text())["tiny"]
    assert (entry["licence"], entry["url"]) == ("CC-BY-NC-4.0", "https://example.invalid/licence")
    assert entry["accepted"].endswith("+00:00")
    # Once is enough, also when the file is gone.
    weights.path.unlink()
    assert store.fetch(restricted).warnings == ()


def test_other_words_must_be_accepted_anew(restricted: ModelCard, home: Path) -> None:
    home.mkdir(parents=True)
    for text in ("", "[]", '{"tiny": 1}', '{"tiny": {"licence": "CC-BY-NC-3.0"}}'):
        (home / "licences.json").write_text(text)
        with pytest.raises(LicenceError):
            store.fetch(restricted)


@pytest.mark.parametrize("text", ["{", "[]", '"x"'])
def test_a_file_that_cannot_be_read_is_kept_and_told(restricted: ModelCard, home: Path, text: str) -> None:
    home.mkdir(parents=True)
    file = home / "licences.json"
    file.write_text(text)
    with pytest.raises(LicenceError, match=r"licences\.json is damaged: .*move it away"):
        store.fetch(restricted)
    with pytest.raises(OutputError, match=r"The licence was not accepted: .*licences\.json is damaged"):
        store.fetch(restricted, accept_licence=True)
    assert file.read_text() == text


def test_a_folder_in_its_place_is_named(restricted: ModelCard, home: Path) -> None:
    file = home / "licences.json"
    file.mkdir(parents=True)
    for accept, error in ((False, LicenceError), (True, OutputError)):
        with pytest.raises(error) as caught:
            store.fetch(restricted, accept_licence=accept)
        assert caught.value.message.endswith(f": {file} is a folder, not a file.")
        assert caught.value.remedy == "Remove or rename it."
    assert file.is_dir()


@pytest.mark.long
@as_root
def test_users_of_one_home_accept_and_see_what_others_accepted() -> None:
    code = (
        "from gossamer.weights import licences\nfrom gossamer.weights.catalogue import model_card\n"
        "card = model_card(sys.argv[2]); licences.accept(card)\n"
        "assert licences.is_accepted(card) and (len(sys.argv) < 4 or licences.is_accepted(model_card(sys.argv[3])))\n"
    )
    with common_folder(0o2770, 54000) as folder:
        set_home = "os.environ['GOSSAMER_HOME'] = sys.argv[1]\n"
        run_as(ALICE, set_home + code, folder, "silueta")
        run_as(BOB, set_home + code, folder, "rmbg-1.4", "silueta")
        # What may not be read is neither taken for nothing nor written over.
        (folder / "licences.json").chmod(0o600)
        refused = (
            "from gossamer.errors import LicenceError, OutputError\n"
            "for function, error in ((licences.require, LicenceError), (licences.accept, OutputError)):\n"
            "    try: function(card)\n    except error as said: assert 'Permission denied' in str(said), said\n"
            "    else: raise SystemExit('it was not refused')\n"
        )
        run_as(ALICE, set_home + code.partition(" licences.accept")[0] + "\n" + refused, folder, "silueta")
        assert set(json.loads((folder / "licences.json").read_text())) == {"silueta", "rmbg-1.4"}
        # Nor is a lock that may not be taken called a want of space.
        (folder / "licences.json").unlink()
        os.chown(folder / ".licences.lock", 0, 0)
        (folder / ".licences.lock").chmod(0o600)
        locked = (
            "from gossamer.errors import OutputError\ntry: licences.accept(card)\n"
            "except OutputError as said: assert '.licences.lock' in str(said) and 'permissions' in said.remedy, said\n"
            "else: raise SystemExit('it was not refused')\n"
        )
        run_as(ALICE, set_home + code.partition(" licences.accept")[0] + "\n" + locked, folder, "silueta")
        assert not (folder / "licences.json").exists()


def test_a_home_that_is_only_read_has_what_was_accepted(restricted: ModelCard, home: Path) -> None:
    store.fetch(restricted, accept_licence=True)
    for path in (home, home / "models"):
        path.chmod(0o555)
    try:
        assert store.fetch(restricted).warnings == ()
    finally:
        for path in (home, home / "models"):
            path.chmod(0o755)


def test_what_another_program_has_fetched_is_used_with_a_word_on_its_licence(
    restricted: ModelCard, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOSSAMER_MODEL_PATH", str(tmp_path))
    (tmp_path / "tiny.onnx").write_bytes(DATA)
    assert store.fetch(restricted).warnings == (
        "Tiny test model is not for commercial use: its licence is CC-BY-NC-4.0 (https://example.invalid/licence).",
    )
    assert store.fetch(restricted, accept_licence=True).warnings == ()


def test_an_unclear_licence_is_called_so(home: Path) -> None:
    with pytest.raises(LicenceError, match="Silueta gives no clear licence, so its weights are not for commercial use"):
        store.fetch(model_card("silueta"))


def test_an_acceptance_that_cannot_be_written_down_is_told(restricted: ModelCard, home: Path) -> None:
    home.write_bytes(b"a file where the folder should be")
    with pytest.raises(OutputError, match=r"licences\.json could not be written"):
        store.fetch(restricted, accept_licence=True)


def test_auto_never_takes_them(home: Path) -> None:
    for device in ("cpu", "cuda"):
        for quality in QUALITIES:
            ranked = ranking(quality, "any", device)
            assert all(card.commercial for card in (*ranked.fitting, *ranked.costlier))
