"""Packages that the tests lay over the installed ones, fetched once into the tests' cache."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from filelock import FileLock

ROOT = Path(__file__).parent.parent


def overlay(*packages: str) -> Path:
    """Return a folder with just these packages, to be put before others in PYTHONPATH; it is named after the first."""
    cache = Path(os.environ.get("GOSSAMER_TEST_CACHE") or Path.home() / ".cache" / "gossamer-tests").absolute()
    cache.mkdir(parents=True, exist_ok=True)
    name = f"{packages[0].replace('==', '-')}-python{sys.version_info.major}.{sys.version_info.minor}"
    folder = cache / name
    with FileLock(cache / f"{name}.lock"):
        if not (folder / "complete").exists():
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--upgrade", "--no-deps", "--target", str(folder)]
            pip.append("--no-compile")  # all of it takes longer than what is used of it
            subprocess.run([*pip, *packages], check=True, stdout=subprocess.DEVNULL)
            (folder / "complete").touch()
    return folder


def run_tests_over(folder: Path, *tests: str, also: Path | None = None, may_skip: bool = False) -> str:
    """Run tests in a process that has an overlay, or two; they all have to pass, and none may be skipped.

    Returns
    -------
    str
        Why one was skipped, where that is allowed; else nothing.
    """
    folders = [str(each) for each in (folder, also) if each is not None]
    path = os.pathsep.join([*folders, *filter(None, [os.environ.get("PYTHONPATH")])])
    # Ray's workers give way to whatever else runs: beside other tests they would have a thirtieth of a core.
    environment = {**os.environ, "PYTHONPATH": path, "RAY_worker_niceness": "0"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "0", *tests]
    pipe = subprocess.PIPE
    done = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=pipe, stderr=pipe, text=True, start_new_session=True
    )
    try:
        stdout, stderr = done.communicate()
    except BaseException:  # too late, or stopped: what it started would keep others from their cores
        done.kill()
        if sys.platform != "win32":
            with suppress(OSError):
                os.killpg(done.pid, signal.SIGKILL)
        raise
    assert done.returncode == 0, stdout[-4000:] + stderr[-2000:]
    skipped = next((line for line in stdout.splitlines() if line.startswith("SKIPPED")), "")
    assert may_skip or not skipped, skipped
    return skipped.partition(": ")[2]
