"""Tokens and passwords are sent where they belong, and shown nowhere."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from gossamer.errors import DownloadError, GossamerError, ModelNotFound
from gossamer.weights import store
from gossamer.weights.catalogue import HuggingFaceSource, ModelCard
from gossamer.weights.secrets import without_secrets
from tests.weights.cards import card, content, url_card, variant
from tests.weights.server import Site, serve

DATA = content(2000)
FILE = "/some/model/resolve/main/tiny.onnx"
TOKEN = "hf_AbCdEf123456"  # noqa: S105
PASSWORD = "pass-word/9%&"  # noqa: S105


def hugging_face() -> ModelCard:
    return card(variant(DATA, HuggingFaceSource(repo="some/model", revision="main", filename="tiny.onnx")))


def said_of_failure(model: ModelCard, *secrets: str) -> str:
    """Return all that is told of a fetch that fails; none of the secrets is in it."""
    lines: list[str] = []
    with pytest.raises(GossamerError) as caught:
        store.fetch(model, announce=lines.append)
    text = " ".join([*lines, str(caught.value), repr(caught.value)])
    for secret in secrets:
        assert secret not in text
    return text


@pytest.mark.parametrize("ending", ["\n", "\r\n", " \n", "\n\n"])
def test_a_line_break_at_the_end_of_a_token_does_not_count(
    ending: str, site: Site, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", site.url)
    site.files[FILE], site.tokens = DATA, {FILE: TOKEN}
    monkeypatch.setenv("HF_TOKEN", TOKEN[:6] + "\n" + TOKEN[6:] + ending)
    assert store.fetch(hugging_face()).path.read_bytes() == DATA
    monkeypatch.delenv("HF_TOKEN")
    (tmp_path / "huggingface").mkdir()
    (tmp_path / "huggingface" / "token").write_text(TOKEN + ending)
    assert store.fetch(hugging_face(), force=True).path.read_bytes() == DATA


@pytest.mark.parametrize("bad", ["hf_Ab\tCdEf1", "hf_Äbcdef", "hf_one two", "hf_\x00abcdef", "\udcff\udcfehf_abc"])
def test_a_token_that_cannot_be_sent_is_told_without_it(
    bad: str, site: Site, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", site.url)
    (tmp_path / "token").write_text(bad, errors="surrogateescape")
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "token"))
    text = said_of_failure(hugging_face(), bad, repr(bad)[1:-1])
    assert f"the token in {tmp_path / 'token'} has characters that no token has: set it anew" in text
    if "\x00" not in bad:
        monkeypatch.setenv("HF_TOKEN", bad)
        assert "the token in HF_TOKEN has characters" in said_of_failure(hugging_face(), bad, repr(bad)[1:-1])
    assert site.authorizations == []


def test_a_token_that_is_refused_is_told_without_it(site: Site, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", site.url)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    site.tokens = {FILE: "another"}
    assert "the token in HF_TOKEN is not accepted; renew it" in said_of_failure(hugging_face(), TOKEN)


@pytest.mark.parametrize("name", ["HF_ENDPOINT", "GOSSAMER_MIRROR"])
@pytest.mark.parametrize(
    "address",
    [
        "https://me:{}@127.0.0.1:9",
        "https://me:{}@127.0.0.1:bad",
        "http://me:{}@example.invalid",
        "ftp://me:{}@example.invalid/x",
        "me:{}@example.invalid",
        "https://{}@[::1",
    ],
)
def test_passwords_in_addresses_are_never_shown(
    name: str, address: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for password in ("pass-word.9", "pass-w%2Ford"):
        monkeypatch.setenv(name, address.format(password))
        model = hugging_face() if name == "HF_ENDPOINT" else url_card(DATA, "https://127.0.0.1:9/tiny.onnx")
        said_of_failure(model, "pass-w", "me:")
        monkeypatch.setenv("GOSSAMER_OFFLINE", "1")
        with pytest.raises(ModelNotFound):
            store.fetch(model)
        said_of_failure(model, "pass-w", "me:")
        monkeypatch.delenv("GOSSAMER_OFFLINE")


def test_passwords_of_proxies_are_never_shown(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for address in ("http://me:pass-word@127.0.0.1:9", "http://me:pass-word@127.0.0.1:x", "socks5://me:pass-word@x"):
        for name in ("https_proxy", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, address)
        said_of_failure(url_card(DATA, "https://example.invalid/tiny.onnx"), "pass-word")


def test_a_name_and_password_in_an_address_are_sent_and_go_to_no_other_host(
    site: Site, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve() as other:
        other.files["/blob"] = DATA
        site.redirects["/tiny.onnx"] = f"{other.url}/blob"
        monkeypatch.setenv("GOSSAMER_MIRROR", site.url.replace("//", "//me:pass%20word@"))
        lines: list[str] = []
        assert store.fetch(url_card(DATA), announce=lines.append).path.read_bytes() == DATA
        assert site.authorizations == ["Basic " + base64.b64encode(b"me:pass word").decode()]
        assert other.authorizations == [None]
        assert "from 127.0.0.1" in lines[0]


def test_a_redirect_with_a_password_is_not_shown(site: Site, home: Path) -> None:
    site.redirects["/tiny.onnx"] = "https://me:pass-word@127.0.0.1:9/x"
    said_of_failure(url_card(DATA, f"{site.url}/tiny.onnx"), "pass-word")


def test_what_hides_secrets_leaves_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("PIP_INDEX_URL", "https://me:abcd-efgh@index.invalid/simple")
    assert without_secrets(f"Bearer {TOKEN}, b'{TOKEN}'") == "Bearer ***, b'***'"
    assert without_secrets("at https://me:x@index.invalid/simple: abcd-efgh") == "at https://index.invalid/simple: ***"
    plain = "npm pack @imgly/background-removal-node@1.4.5 failed at 12:30, HTTP 404 (a@b.invalid)"
    assert without_secrets(plain) == plain


def test_every_source_still_has_its_turn(site: Site, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that cannot be sent to Hugging Face is no matter for other hosts."""
    monkeypatch.setenv("HF_TOKEN", "hf_one two")
    site.files["/tiny.onnx"] = DATA
    monkeypatch.setenv("GOSSAMER_MIRROR", site.url)
    assert store.fetch(hugging_face()).path.read_bytes() == DATA
    monkeypatch.delenv("GOSSAMER_MIRROR")
    with pytest.raises(DownloadError, match="set it anew"):
        store.fetch(hugging_face(), force=True)
