"""Files of which only Hugging Face knows the digest, gated ones, and the token."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gossamer.errors import DownloadError, ModelIntegrityError, ModelNotFound
from gossamer.weights import store
from gossamer.weights.catalogue import HuggingFaceSource, ModelCard, UrlSource, Variant
from tests.weights.cards import card, content
from tests.weights.server import Site, serve

DATA = content(2_000_000)
COMMIT = "c" * 40
SOURCE = HuggingFaceSource(repo="some/model", revision="main", filename="sub/model.safetensors")
MAIN = "/some/model/resolve/main/sub/model.safetensors"
PINNED = f"/some/model/resolve/{COMMIT}/sub/model.safetensors"
TOKEN = "hf_secret"  # noqa: S105


def unknown(source: HuggingFaceSource = SOURCE, **more: object) -> ModelCard:
    """Return a model whose size is known roughly and whose digest is not known at all."""
    about = Variant(
        filename="tiny.safetensors", precision="float16", bytes=2_010_000, exact=False, sources=(source,), **more
    )  # type: ignore[arg-type]
    return card(about)


def said(data: bytes) -> dict[str, str]:
    digest = hashlib.sha256(data).hexdigest()
    return {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(data)), "X-Repo-Commit": COMMIT}


@pytest.fixture
def hub(site: Site, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Hugging Face as it is: the files lie with another host, and are named after their digests."""
    monkeypatch.setenv("HF_ENDPOINT", site.url)
    with serve() as storage:
        storage.files["/blob"] = DATA
        site.redirects = {MAIN: f"{storage.url}/blob", PINNED: f"{storage.url}/blob"}
        site.headers = {MAIN: said(DATA), PINNED: said(DATA)}
        site.storage = storage  # type: ignore[attr-defined]
        yield site


def storage(hub: Site) -> Site:
    found: Site = hub.storage  # type: ignore[attr-defined]
    return found


def test_the_publishers_digest_is_asked_for_checked_and_remembered(hub: Site, home: Path) -> None:
    lines: list[str] = []
    weights = store.fetch(unknown(), announce=lines.append)
    assert weights.path.read_bytes() == DATA
    assert lines == ["Fetching Tiny test model (about 2 MB, licence CC0-1.0) from Hugging Face (some/model)"]
    # The branch may move on while it is fetched: the commit that was asked about is what comes.
    assert (hub.heads, [path for path, _ in hub.requests]) == ([MAIN], [PINNED])
    assert len(storage(hub).requests) == 1
    memory = json.loads((home / "verified.json").read_text())
    expected = {"bytes": len(DATA), "sha256": hashlib.sha256(DATA).hexdigest(), "commit": COMMIT}
    assert memory["huggingface:some/model/sub/model.safetensors"] == expected
    # Later it is known without the network, and a damaged file is told from a good one.
    found = store.find(unknown())
    assert found is not None
    assert found.warnings == ()
    weights.path.write_bytes(content(len(DATA), seed=3))
    with pytest.raises(ModelIntegrityError, match="SHA-256"):
        store.find(unknown())


def test_a_broken_download_is_taken_up_again_also_by_another_process(hub: Site, models: Path) -> None:
    (models / "tiny.safetensors.part").write_bytes(DATA[:1_500_000])
    assert store.fetch(unknown()).path.read_bytes() == DATA
    assert storage(hub).requests == [("/blob", "bytes=1500000-")]
    storage(hub).requests.clear()
    storage(hub).cuts = [1_200_000]
    assert store.fetch(unknown(), force=True).path.read_bytes() == DATA
    assert [wanted for _, wanted in storage(hub).requests] == [None, "bytes=1200000-"]


def test_other_bytes_than_the_publisher_says_are_refused(hub: Site, models: Path) -> None:
    storage(hub).files["/blob"] = content(len(DATA), seed=4)
    with pytest.raises(DownloadError, match=r"sends other bytes \(SHA-256"):
        store.fetch(unknown())
    assert [path for path in models.iterdir() if not path.name.startswith(".")] == []


def test_a_publisher_that_knows_no_digest_is_not_trusted(hub: Site) -> None:
    hub.redirects.clear()
    hub.files[MAIN] = DATA
    hub.headers[MAIN] = {"ETag": '"' + 40 * "a" + '"'}
    with pytest.raises(DownloadError, match="does not say which bytes"):
        store.fetch(unknown())
    # Without the detour over another host, the answer's own headers count.
    hub.headers[MAIN] = {"ETag": said(DATA)["X-Linked-Etag"]}
    assert store.fetch(unknown()).path.read_bytes() == DATA


def test_a_file_that_was_replaced_since_the_catalogue_was_written_is_not_fetched(hub: Site) -> None:
    old = unknown(sha256=hashlib.sha256(b"old").hexdigest())
    with pytest.raises(DownloadError, match="has another file now"):
        store.fetch(old)
    assert hub.requests == []


def test_a_digest_of_the_catalogue_is_enough_for_an_endpoint_that_says_nothing(hub: Site) -> None:
    known = Variant(
        filename="tiny.safetensors",
        precision="float16",
        bytes=len(DATA),
        sha256=hashlib.sha256(DATA).hexdigest(),
        sources=(replace(SOURCE, revision=COMMIT),),
    )
    hub.redirects.clear()
    hub.headers.clear()
    hub.files[PINNED] = DATA
    assert store.fetch(card(known)).path.read_bytes() == DATA
    assert (hub.heads, [path for path, _ in hub.requests]) == ([PINNED], [PINNED])


@pytest.mark.parametrize("says", [True, False])
def test_a_digest_and_about_a_size_are_enough(says: bool, hub: Site, models: Path) -> None:
    pinned = replace(SOURCE, revision=COMMIT)
    rough = unknown(pinned, sha256=hashlib.sha256(DATA).hexdigest())
    if not says:
        hub.redirects.clear()
        hub.headers.clear()
        hub.files[PINNED] = DATA
    assert store.fetch(rough).path.read_bytes() == DATA
    assert store.find(rough) is not None
    (models / "tiny.safetensors").write_bytes(DATA[:-1])
    with pytest.raises(ModelIntegrityError, match="SHA-256"):
        store.find(rough)


def test_a_branch_that_has_other_bytes_is_passed_over_for_the_next_source(hub: Site) -> None:
    hub.headers[MAIN] = said(content(len(DATA), seed=5))
    known = Variant(
        filename="tiny.safetensors",
        precision="float16",
        bytes=len(DATA),
        sha256=hashlib.sha256(DATA).hexdigest(),
        sources=(SOURCE, replace(SOURCE, revision=COMMIT)),
    )
    lines: list[str] = []
    assert store.fetch(card(known), announce=lines.append).path.read_bytes() == DATA
    assert "has another file now" in lines[1]
    # Not a byte of the other file was fetched.
    assert (hub.heads, [path for path, _ in hub.requests]) == ([MAIN, PINNED], [PINNED])


def test_an_md5_and_about_a_size_are_enough(site: Site, models: Path) -> None:
    site.files["/tiny"] = DATA
    site.cuts = [1_500_000]
    url = UrlSource(url=f"{site.url}/tiny")
    rough = Variant(
        filename="tiny.pth",
        precision="float32",
        bytes=1_990_000,
        exact=False,
        md5=hashlib.md5(DATA, usedforsecurity=False).hexdigest(),
        sources=(url,),
    )
    assert store.fetch(card(rough)).path.read_bytes() == DATA
    assert [wanted for _, wanted in site.requests] == [None, "bytes=1500000-"]
    assert store.find(card(rough)) is not None
    (models / "tiny.pth").write_bytes(DATA[:-1])
    with pytest.raises(ModelIntegrityError, match="MD5"):
        store.find(card(rough))
    # Complete but not yet moved when the process was killed: nothing is fetched again.
    (models / "tiny.pth").unlink()
    (models / "tiny.pth.part").write_bytes(DATA)
    site.requests.clear()
    assert store.fetch(card(rough)).path.read_bytes() == DATA
    assert site.sent == len(DATA)


def test_a_gated_file_says_how_to_get_access_and_comes_with_a_token(
    hub: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    gated = unknown(replace(SOURCE, gated=True))
    hub.tokens = {MAIN: TOKEN, PINNED: TOKEN}
    with pytest.raises(
        DownloadError, match=r"it is gated: agree to its terms at https://huggingface\.co/some/model,.*set HF_TOKEN"
    ):
        store.fetch(gated)
    monkeypatch.setenv("HF_TOKEN", "hf_of_somebody_else")
    with pytest.raises(DownloadError, match=r"has no access: agree to the terms at https://huggingface\.co/some/model"):
        store.fetch(gated)
    monkeypatch.delenv("HF_TOKEN")
    (tmp_path / "huggingface").mkdir()
    (tmp_path / "huggingface" / "token").write_text(f"{TOKEN}\n")
    hub.authorizations.clear()
    storage(hub).authorizations.clear()
    assert store.fetch(gated).path.read_bytes() == DATA
    # The token stays with the endpoint: the storage host that it sends us to never sees it.
    assert hub.authorizations == [f"Bearer {TOKEN}"] * 2
    assert storage(hub).authorizations == [None]


def test_the_token_goes_to_no_other_host(hub: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    elsewhere = Variant(
        filename="tiny.onnx",
        precision="float32",
        bytes=len(DATA),
        sha256=hashlib.sha256(DATA).hexdigest(),
        sources=(UrlSource(url=f"{storage(hub).url}/blob"),),
    )
    monkeypatch.setenv("GOSSAMER_MIRROR", f"{storage(hub).url}/none, {storage(hub).url}/neither")
    assert store.fetch(card(elsewhere)).path.read_bytes() == DATA
    assert [path for path, _ in storage(hub).requests] == ["/none/tiny.onnx", "/neither/tiny.onnx", "/blob"]
    assert storage(hub).authorizations == [None] * 3


def test_a_redirect_within_the_host_keeps_the_token(hub: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    renamed = "/new/model/resolve/main/sub/model.safetensors"
    hub.redirects[renamed] = hub.redirects[MAIN]
    hub.headers[renamed] = hub.headers.pop(MAIN)
    hub.redirects[MAIN] = renamed
    hub.tokens = {MAIN: TOKEN, renamed: TOKEN}
    assert store.fetch(unknown()).path.read_bytes() == DATA
    assert hub.heads == [MAIN, renamed]


def test_a_file_that_is_not_public_says_so(hub: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.tokens = {MAIN: TOKEN}
    with pytest.raises(DownloadError, match=r"HTTP 401 .*it is not public any more"):
        store.fetch(unknown())
    monkeypatch.setenv("HF_TOKEN", "expired")
    with pytest.raises(DownloadError, match="the token in HF_TOKEN is not accepted; renew it"):
        store.fetch(unknown())


def test_no_mirror_vouches_for_what_only_the_publisher_knows(hub: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOSSAMER_MIRROR", f"{storage(hub).url}/mirror")
    store.fetch(unknown())
    assert [path for path, _ in storage(hub).requests] == ["/blob"]


def test_both_offline_switches_hold(hub: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for switch in ("GOSSAMER_OFFLINE", "HF_HUB_OFFLINE"):
        with monkeypatch.context() as context:
            context.setenv(switch, "1")
            with pytest.raises(ModelNotFound, match=rf"{switch} forbids it.*Download {hub.url}{MAIN} and put it"):
                store.fetch(unknown())
    assert hub.requests == []


def test_the_cache_names_files_after_their_digests(home: Path, tmp_path: Path) -> None:
    repository = tmp_path / "hub/models--some--model"
    blob = repository / "blobs" / hashlib.sha256(DATA).hexdigest()
    link = repository / "snapshots" / COMMIT / "sub/model.safetensors"
    for file in (blob, link):
        file.parent.mkdir(parents=True)
    blob.write_bytes(DATA)
    link.symlink_to(Path("../../../blobs") / blob.name)
    found = store.find(unknown())
    assert found is not None
    assert (found.path, found.warnings) == (link, ())
    blob.write_bytes(DATA[:-1] + b"x")
    assert store.find(unknown()) is None


def test_what_cannot_be_checked_is_used_with_a_warning(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOSSAMER_MODEL_PATH", str(tmp_path))
    (tmp_path / "tiny.safetensors").write_bytes(DATA)
    found = store.find(unknown())
    assert found is not None
    assert found.warnings == (
        f"{tmp_path / 'tiny.safetensors'} is used unchecked: no digest of it is known on this machine.",
    )
    (tmp_path / "tiny.safetensors").write_bytes(DATA[:1_000_000])
    assert store.find(unknown()) is None


@pytest.mark.parametrize(
    ("endpoint", "shown"),
    [
        ("https://user:secret-word@", "https://"),
        ("https://", "https://"),
        ("huggingface.co", "huggingface.co"),
        ("ftp://a.example", "ftp://a.example"),
        ("https://a.example:99999", "https://a.example:99999"),
        ("https://[::1", "https://[::1"),
        ("https://user:secret-word@a b", "https://a b"),
        ("https://a.example?x=1", "https://a.example?x=1"),
    ],
)
def test_an_endpoint_that_is_no_address_is_named(
    hub: Site, monkeypatch: pytest.MonkeyPatch, endpoint: str, shown: str
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    with pytest.raises(DownloadError) as caught:
        store.fetch(unknown())
    expected = f"HF_ENDPOINT is no address of a server ({shown}): set it to one such as https://huggingface.co."
    assert expected in str(caught.value)
    assert f"Download https://huggingface.co/{SOURCE.repo}/resolve/" in caught.value.remedy
    assert "secret-word" not in str(caught.value)
