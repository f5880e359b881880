from __future__ import annotations

import itertools
import shutil
import time
from collections import namedtuple
from pathlib import Path

import filelock
import pytest

from gossamer.errors import Cancelled, DownloadError, ModelIntegrityError, ModelNotFound, OutputError
from gossamer.weights import store
from gossamer.weights.catalogue import HuggingFaceSource, UrlSource
from gossamer.weights.fetch import download
from tests.weights.cards import card, content, url_card, variant
from tests.weights.server import Site

DATA = content(3_000_000)


def left(models: Path) -> set[str]:
    return {path.name for path in models.iterdir() if not path.name.startswith(".")}


def test_it_comes_over_http_with_progress_and_one_line_for_people(site: Site, home: Path) -> None:
    site.files["/tiny.onnx"] = DATA
    lines: list[str] = []
    seen: list[tuple[float, str]] = []
    tiny = url_card(DATA, f"{site.url}/tiny.onnx")
    weights = store.fetch(tiny, announce=lines.append, progress=lambda f, m: seen.append((f, m)))
    assert weights.path == home / "models" / "tiny.onnx"
    assert weights.path.read_bytes() == DATA
    assert lines == ["Fetching Tiny test model (3.0 MB, licence CC0-1.0) from 127.0.0.1"]
    assert seen[-1][0] == 1.0
    assert any(message == "Fetching tiny 3.0 of 3.0 MB" for _, message in seen)
    assert left(home / "models") == {"tiny.onnx"}
    # The second time, nothing is asked of anybody.
    assert store.fetch(tiny, announce=lines.append) == weights
    assert len(lines) == len(site.requests) == 1


def test_a_broken_connection_is_taken_up_where_it_ended(site: Site, home: Path) -> None:
    site.files["/tiny.onnx"] = DATA
    site.etag = '"v1"'
    site.cuts = [1_000_000, 500_000]
    weights = store.fetch(url_card(DATA, f"{site.url}/tiny.onnx"))
    assert weights.path.read_bytes() == DATA
    assert [wanted for _, wanted in site.requests] == [None, "bytes=1000000-", "bytes=1500000-"]
    assert site.if_range == [None, '"v1"', '"v1"']
    assert site.sent == len(DATA)


def test_a_server_that_cannot_resume_starts_again(site: Site, home: Path) -> None:
    site.files["/tiny.onnx"] = DATA
    site.ranges = False
    site.cuts = [1_000_000]
    assert store.fetch(url_card(DATA, f"{site.url}/tiny.onnx")).path.read_bytes() == DATA
    assert site.sent == len(DATA) + 1_000_000


def test_a_part_of_other_bytes_is_discarded(site: Site, models: Path) -> None:
    site.files["/tiny.onnx"] = DATA
    tiny = url_card(DATA, f"{site.url}/tiny.onnx")
    (models / "tiny.onnx.part").write_bytes(content(1000, seed=9))
    assert store.fetch(tiny).path.read_bytes() == DATA
    assert [wanted for _, wanted in site.requests] == ["bytes=1000-", None]
    (models / "tiny.onnx").unlink()
    (models / "tiny.onnx.part").write_bytes(DATA + b"more")
    assert store.fetch(tiny).path.read_bytes() == DATA


def test_a_complete_part_needs_no_network(models: Path) -> None:
    (models / "tiny.onnx.part").write_bytes(DATA)
    assert store.fetch(url_card(DATA, "http://127.0.0.1:9/tiny.onnx")).path.read_bytes() == DATA


@pytest.mark.long
def test_passing_troubles_are_retried_twice(site: Site, home: Path) -> None:
    site.files["/tiny.onnx"] = DATA
    site.statuses = [503, 500]
    assert store.fetch(url_card(DATA, f"{site.url}/tiny.onnx")).path.read_bytes() == DATA
    store.path(url_card(DATA)).unlink()
    site.statuses = [503] * 3
    with pytest.raises(DownloadError, match=r"127\.0\.0\.1: HTTP 503"):
        store.fetch(url_card(DATA, f"{site.url}/tiny.onnx"))
    assert len(site.requests) == 6


def test_every_source_has_its_turn_and_every_reason_is_told(site: Site, home: Path) -> None:
    site.files["/short"] = DATA[:-5]
    site.files["/other"] = content(len(DATA), seed=5)
    site.redirects["/unsafe"] = "http://example.invalid/tiny.onnx"
    site.redirects["/file"] = "file:///etc/passwd"
    names = ("missing", "short", "other", "unsafe", "file")
    tiny = url_card(DATA, "http://example.invalid/", *(f"{site.url}/{name}" for name in names))
    lines: list[str] = []
    with pytest.raises(DownloadError) as caught:
        store.fetch(tiny, announce=lines.append)
    reasons = (
        "example.invalid: is not an https address",
        "HTTP 404 Not Found",
        "has 2999995 bytes instead of 3000000",
        "sends other bytes",
        "redirects to an address that is not https",
        "HTTP 302",
    )
    for reason in reasons:
        assert reason in caught.value.message
    assert f"put it as tiny.onnx into {home / 'models'}" in caught.value.remedy
    assert len(lines) == 6
    assert lines[2].startswith("127.0.0.1: HTTP 404 Not Found. Fetching Tiny test model (3.0 MB")
    assert left(home / "models") == set()
    site.files["/good"] = DATA
    assert store.fetch(url_card(DATA, f"{site.url}/missing", f"{site.url}/good")).path.read_bytes() == DATA


def test_a_redirect_within_this_machine_is_followed(site: Site, home: Path) -> None:
    site.files["/there"] = DATA
    site.redirects["/here"] = f"{site.url}/there"
    assert store.fetch(url_card(DATA, f"{site.url}/here")).path.read_bytes() == DATA


def test_a_dead_host_costs_little_time(site: Site, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site.files["/tiny.onnx"] = DATA
    start = time.monotonic()
    store.fetch(url_card(DATA, "http://127.0.0.1:9/tiny.onnx", f"{site.url}/tiny.onnx"))
    assert time.monotonic() - start < 2
    # A host that takes the call and says nothing: given up after ANSWER_SECONDS, while progress is reported.
    site.silent = True
    monkeypatch.setattr(download, "ANSWER_SECONDS", 0.5)
    ticks: list[float] = []
    with pytest.raises(DownloadError, match="no answer in"):
        store.fetch(url_card(DATA, f"{site.url}/x"), force=True, progress=lambda *_: ticks.append(time.monotonic()))
    assert len(ticks) >= 4
    assert max(late - early for early, late in itertools.pairwise(ticks)) < 0.3


def test_the_mirror_comes_first(site: Site, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site.files["/models/half.onnx"] = DATA[:9]
    monkeypatch.setenv("GOSSAMER_MIRROR", f"{site.url}/models/")
    half = variant(DATA[:9], name="half.onnx", precision="float16")
    tiny = card(variant(DATA, UrlSource(url=f"{site.url}/elsewhere")), half)
    assert store.fetch(tiny).path == home / "models" / "half.onnx"
    assert [path for path, _ in site.requests] == ["/models/tiny.onnx", "/models/half.onnx"]


def test_hugging_face_files_come_from_its_endpoint(site: Site, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site.files["/some/model/resolve/abc/sub/model.onnx"] = DATA
    monkeypatch.setenv("HF_ENDPOINT", site.url)
    source = HuggingFaceSource(repo="some/model", revision="abc", filename="sub/model.onnx")
    assert store.fetch(card(variant(DATA, source))).path.read_bytes() == DATA


def test_cancelling_is_quick_and_leaves_a_part_to_go_on_with(site: Site, home: Path) -> None:
    site.files["/tiny.onnx"] = DATA
    site.pause = 0.02
    tiny = url_card(DATA, f"{site.url}/tiny.onnx")

    def stop(fraction: float, _message: str) -> None:
        if fraction > 0.2:
            raise Cancelled

    with pytest.raises(Cancelled):
        store.fetch(tiny, progress=stop)
    assert left(home / "models") == {"tiny.onnx.part"}
    have = (home / "models" / "tiny.onnx.part").stat().st_size
    assert 0.2 * len(DATA) < have < 0.5 * len(DATA)
    site.pause = 0
    assert store.fetch(tiny).path.read_bytes() == DATA
    assert site.requests[-1][1] == f"bytes={have}-"


def test_waiting_for_another_program_can_be_cancelled(site: Site, models: Path) -> None:
    def stop(_fraction: float, message: str) -> None:
        assert message == "Waiting for another program that is fetching tiny"
        raise Cancelled

    with filelock.FileLock(models / ".tiny.lock"), pytest.raises(Cancelled):
        store.fetch(url_card(DATA, f"{site.url}/tiny.onnx"), progress=stop)
    assert site.requests == []


def test_offline_says_how_to_get_it_by_hand(site: Site, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = url_card(DATA, f"{site.url}/tiny.onnx")
    monkeypatch.setenv("GOSSAMER_OFFLINE", "1")
    with pytest.raises(ModelNotFound) as caught:
        store.fetch(tiny)
    assert caught.value.remedy == f"Download {site.url}/tiny.onnx and put it as tiny.onnx into {home / 'models'}"
    assert site.requests == []
    # And what was put there by hand is used.
    (home / "models").mkdir(parents=True)
    (home / "models" / "tiny.onnx").write_bytes(DATA)
    assert store.fetch(tiny).path == home / "models" / "tiny.onnx"


def test_force_replaces_a_damaged_file_and_clears_damaged_variants(site: Site, models: Path) -> None:
    site.files["/tiny.onnx"] = DATA
    half = variant(DATA[:9], name="half.onnx", precision="float16")
    tiny = card(variant(DATA, UrlSource(url=f"{site.url}/tiny.onnx")), half)
    (models / "tiny.onnx").write_bytes(b"damaged")
    (models / "half.onnx").write_bytes(b"damaged")
    with pytest.raises(ModelIntegrityError):
        store.fetch(tiny)
    assert store.fetch(tiny, force=True).path.read_bytes() == DATA
    assert left(models) == {"tiny.onnx"}
    store.fetch(tiny, force=True)
    assert len(site.requests) == 2


def test_a_full_disk_is_told_before_the_download(site: Site, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site.files["/tiny.onnx"] = DATA
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9 - 10**6, 10**6))
    with pytest.raises(OutputError, match=r"has 1\.0 MB free and the model needs 3\.0 MB.*GOSSAMER_HOME"):
        store.fetch(url_card(DATA, f"{site.url}/tiny.onnx"))
    assert site.requests == []


def test_a_home_that_cannot_be_written_to_is_told(site: Site, tmp_path: Path, home: Path) -> None:
    home.write_bytes(b"a file where the folder should be")
    with pytest.raises(OutputError, match="GOSSAMER_HOME"):
        store.fetch(url_card(DATA, f"{site.url}/tiny.onnx"))
    assert home.read_bytes() == b"a file where the folder should be"
