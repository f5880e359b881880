"""A server of S3 on this machine, with pictures in it, and the command line beside it."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gossamer.batch.journal import FOLDER
from tests.batch.conftest import KEYED, photograph

ROOT = Path(__file__).parent.parent.parent
COUNT = 12
SECRET = "a-secret-that-nobody-may-see"  # noqa: S105 - of a server that is made here


@dataclass
class Store:
    """A server of S3, and the folder whose pictures lie in its bucket ``shop`` below ``in``."""

    address: str
    folder: Path
    files: Any
    server: Any

    def put(self, key: str, data: bytes) -> None:
        self.files.pipe_file(f"shop/{key}", data)

    def guarded(self, after: str) -> None:
        """Ask who it is that asks, from some request on."""
        address = f"{self.address}/moto-api/reset-auth"
        urllib.request.urlopen(urllib.request.Request(address, after.encode(), {"Content-Type": "text/plain"})).close()  # noqa: S310


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    s3fs, moto_server = pytest.importorskip("s3fs"), pytest.importorskip("moto.server")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    folder = tmp_path_factory.mktemp("pictures") / "in"
    for number in range(COUNT):
        photograph(folder / f"shelf{number % 3}" / f"p{number}.png", number)
    whole = (folder / "shelf0" / "p0.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "download (1)").write_bytes(whole)
    (folder / "words.txt").write_text("no picture")
    (folder / ".hidden.png").write_bytes(whole)
    server = moto_server.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    reset = urllib.request.Request(f"http://{host}:{port}/moto-api/reset", b"")
    urllib.request.urlopen(reset).close()  # noqa: S310 - what servers of one process hold is one
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "somebody")
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("AWS_MAX_ATTEMPTS", "1")
        s3fs.S3FileSystem.clear_instance_cache()  # those of another address
        files = s3fs.S3FileSystem(use_listings_cache=False)
        files.mkdir("shop")
        made = Store(f"http://{host}:{port}", folder, files, server)
        for path in folder.rglob("*"):
            if path.is_file():
                made.put(f"in/{path.relative_to(folder).as_posix()}", path.read_bytes())
        made.put("in/shelf0/", b"")  # what browsers of buckets make of a new folder
        yield made
    server.stop()


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "gossamer", "batch", *map(str, arguments), *KEYED]


def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {**os.environ, **environment}
    done = subprocess.run(
        command(*arguments), cwd=ROOT, env=variables, capture_output=True, text=True, check=False, timeout=300
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert SECRET not in done.stderr + done.stdout
    return done


def outputs(out: Path) -> dict[str, bytes]:
    paths = [path for path in out.rglob("*") if path.is_file() and FOLDER not in path.parts and path.suffix != ".tmp"]
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in sorted(paths)}
