"""Debian's packages that tests need: installed as root where they are missing, by one process at a time."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

from filelock import FileLock

_LISTS = Path("/var/lib/apt/lists")
_NEW = 3600  # seconds: lists that another test has just fetched are not fetched again


def debian(command: str, *packages: str, recommended: bool = False) -> str:
    """Return the path of a command, with the packages that have it installed.

    Two processes at once would find apt's locks taken, and fail.

    Raises
    ------
    RuntimeError
        Where it is missing and this is not root's process, or where apt fails.
    """
    if (path := shutil.which(command)) is not None:
        return path
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        raise RuntimeError(f"This test needs {command}. Type: sudo apt-get install {' '.join(packages)}")
    cache = Path(os.environ.get("GOSSAMER_TEST_CACHE") or "~/.cache/gossamer-tests").expanduser().absolute()
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / "apt.lock"):
        if shutil.which(command) is None:
            mark = cache / "apt.lists"
            if not mark.exists() or time.time() - mark.stat().st_mtime > _NEW or not any(_LISTS.glob("*Packages*")):
                _apt("update")
                mark.touch()
            _apt("install", "--yes", *(() if recommended else ("--no-install-recommends",)), *packages)
    path = shutil.which(command)
    assert path is not None
    return path


def _apt(*arguments: str) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        ["apt-get", "-o", "DPkg::Lock::Timeout=600", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"apt-get {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout[-4000:]}")
