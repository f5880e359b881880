"""Which model `auto` takes; the weights are real, as `auto` chooses from the real catalogue."""

from __future__ import annotations

from pathlib import Path

import pytest

from gossamer.errors import DownloadError, ModelNotFound
from gossamer.weights import store
from gossamer.weights.catalogue import model_card
from tests.cached_weights import weights_home
from tests.weights.server import Site


def install(model: str, models: Path) -> Path:
    """Link the real weights of a model into a folder."""
    found = store.find(model_card(model), extra_folders=[weights_home() / "models"])
    assert found is not None
    link = models / found.path.name
    link.symlink_to(found.path)
    return link


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every source fail at once."""
    for name in ("https_proxy", "HTTPS_PROXY", "PIP_INDEX_URL", "npm_config_registry"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)


def test_auto_takes_the_best_that_is_installed(models: Path) -> None:
    install("u2netp", models)
    choice = store.choose()
    assert choice.weights.card.id == "u2netp"
    assert choice.reason == (
        "u2netp: the best model that is installed. isnet-general-use is better: gossamer models get isnet-general-use"
    )
    install("u2net", models)
    assert store.choose("auto").weights.card.id == "u2net"
    best = install("isnet-general-use", models)
    choice = store.choose("auto")
    assert choice.weights.path == best
    assert choice.reason == "isnet-general-use: the best model that is installed."


def test_a_better_model_that_was_passed_over_is_told(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("u2netp", models)
    (tmp_path / "u2net.onnx").write_bytes(b"no weights")
    monkeypatch.setenv("GOSSAMER_MODEL_PATH", str(tmp_path))
    choice = store.choose()
    assert choice.weights.card.id == "u2netp"
    assert "u2net.onnx was passed over: it has 10 bytes" in choice.weights.warnings[0]


def test_a_model_that_is_asked_for_is_taken(models: Path) -> None:
    install("u2netp", models)
    choice = store.choose("u2netp")
    assert choice.weights.path == models / "u2netp.onnx"
    assert choice.reason == "u2netp: the model that was asked for."
    with pytest.raises(ModelNotFound, match="Did you mean u2net"):
        store.choose("u2nett")


@pytest.mark.long
def test_auto_fetches_the_best_that_can_be_fetched(
    home: Path, site: Site, no_network: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOSSAMER_MIRROR", site.url)
    with pytest.raises(DownloadError, match=r"IS-Net general use could not .* HTTP 404"):
        store.choose()
    real = weights_home() / "models" / "u2netp.onnx"
    site.files["/u2netp.onnx"] = real.read_bytes()
    choice = store.choose()
    assert choice.weights.card.id == "u2netp"
    assert choice.weights.path.read_bytes() == real.read_bytes()
    assert choice.reason.startswith("u2netp: the best model that could be fetched, as better ones could not")


def test_auto_offline_says_how_to_get_the_best(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOSSAMER_OFFLINE", "1")
    with pytest.raises(ModelNotFound, match=r"Download https://.*/isnet-general-use\.onnx and put it as"):
        store.choose()


def test_a_quality_that_is_asked_for_is_fetched_rather_than_what_is_there(
    models: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("isnet-general-use", models)
    monkeypatch.setenv("GOSSAMER_MIRROR", site.url)
    site.files["/u2netp.onnx"] = (weights_home() / "models" / "u2netp.onnx").read_bytes()
    choice = store.choose(quality="fast")
    assert choice.reason == "u2netp: the best model that could be fetched, in fast quality on a CPU."
    assert store.choose(quality="fast").reason == "u2netp: the best model that is installed, in fast quality on a CPU."
    # Whoever asks for nothing special gets what is there.
    assert store.choose().reason == "isnet-general-use: the best model that is installed."


def test_what_is_there_serves_where_nothing_can_be_fetched(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install("isnet-general-use", models)
    monkeypatch.setenv("GOSSAMER_OFFLINE", "1")
    choice = store.choose(quality="best", subject="hair", device="cuda")
    assert choice.weights.card.id == "isnet-general-use"
    assert choice.reason.startswith(
        "isnet-general-use: the best model that is installed, in best quality on a GPU for hair, as better ones "
        "could not be fetched: BiRefNet"
    )
    assert "GOSSAMER_OFFLINE forbids it" in choice.reason
    fast = store.choose(quality="fast")  # costs more than asked for, and is better than nothing
    assert fast.weights.card.id == "isnet-general-use"
    on_gpu = store.choose(device="cuda")
    assert on_gpu.reason == (
        "isnet-general-use: the best model that is installed. birefnet-general is better: "
        "gossamer models get birefnet-general"
    )
