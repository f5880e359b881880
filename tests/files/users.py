"""Code that runs as another user of this machine, which only root can start."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ALICE, BOB = 54321, 54322

as_root = pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can be several users")


# This Python may lie where only root may read: what is needed is loaded, and used once, before the user is changed.
_AS_USER = """
import contextlib, ctypes, errno, fcntl, filelock, os, sys, tempfile
from pathlib import Path
from gossamer import files
from gossamer.weights import licences
from gossamer.weights import store
from gossamer.weights.catalogue import load_catalogue
load_catalogue()
with tempfile.TemporaryDirectory() as folder:
    files.change_json(Path(folder) / "x.json", dict, 1)
    files.write_bytes(Path(folder) / "x", b"")
user, code = int(sys.argv.pop(1)), sys.argv.pop(1)
os.umask(0o022)
os.setgroups([54000])
os.setgid(user)
os.setuid(user)
exec(code)
"""


def run_as(user: int, code: str, *arguments: object) -> None:
    """Run Python code as a user, of the group 54000 as well."""
    command = [sys.executable, "-c", _AS_USER, str(user), code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd="/", timeout=120, check=False)
    assert done.returncode == 0, done.stderr


@contextmanager
def common_folder(mode: int, group: int = 0) -> Iterator[Path]:
    """Lend a folder of root's that every user of this machine can reach, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="users-", dir="/tmp"))
    try:
        os.chown(folder, 0, group)
        folder.chmod(mode)
        yield folder
    finally:
        shutil.rmtree(folder)
