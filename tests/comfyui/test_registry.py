# SPDX-License-Identifier: GPL-3.0-or-later
"""What ComfyUI's registry asks of a node pack, and what its archive holds."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from PIL import Image

from tests.comfyui.install import REPOSITORY, comfyui

# What a clone needs to work: the registry's archive must hold all of it.
NEEDED = ("__init__.py", "install.py", "requirements.txt", "pyproject.toml", "LICENSE", "core", "comfyui_nodes")


def shipped() -> list[Path]:
    """Return the files of the repository that are in the registry's archive."""

    def listed(*more: str) -> set[str]:
        command = ["git", "-C", REPOSITORY, "ls-files", "--cached", *more]
        return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines())

    kept = listed() - listed("--ignored", f"--exclude-from={REPOSITORY / '.comfyignore'}")
    return [REPOSITORY / name for name in sorted(kept)]


def test_the_archive_holds_what_is_needed_and_not_much_else() -> None:
    names = {file.relative_to(REPOSITORY).parts[0] for file in shipped()}
    assert set(NEEDED) <= names
    assert not names & {"tests", "docs", "gimp_plugin", "tools", ".ci"}
    assert sum(file.stat().st_size for file in shipped() if file.is_file()) < 20_000_000


def test_nothing_evaluates_code_or_installs_packages() -> None:
    sources = [file for file in shipped() if file.suffix == ".py"]
    assert len(sources) > 100
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", "--select", "S102,S307,E702"]
    done = subprocess.run([*command, *sources], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    for file in sources:
        for part in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(part, ast.List | ast.Tuple):
                words = [one.value for one in part.elts if isinstance(one, ast.Constant)]
                assert not {"pip", "install"} <= set(words), f"{file}:{part.lineno}"


def test_what_the_registry_shows() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    comfy = project["tool"]["comfy"]
    assert {"PublisherId", "DisplayName", "Icon", "Banner", "requires-comfyui", "includes"} <= set(comfy)
    for name in ("name", "version", "description", "license", "dependencies"):
        assert project["project"][name]
    for name, ratio, widest in (("icon", 1, 400), ("banner", 21 / 9, 2000)):
        with Image.open(REPOSITORY / "comfyui_nodes" / "pictures" / f"{name}.png") as picture:
            assert picture.width / picture.height == pytest.approx(ratio, rel=0.01)
            assert picture.width <= widest


def test_loading_the_pack_imports_nothing_heavy() -> None:
    """ComfyUI's start waits for every pack."""
    installation = comfyui()
    script = Path(__file__).with_name("imported.py")
    done = subprocess.run(
        [installation.python, script, installation.root, REPOSITORY], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    names = set(done.stdout.split())
    assert "gossamer" in names
    heavy = ("cv2", "onnxruntime", "pymatting", "scipy", "skimage", "tifffile", "transformers")
    heavy += ("gossamer.matting", "gossamer.segmentation", "gossamer.pipeline", "gossamer.networks", "gossamer.image")
    assert not [name for name in names if name.startswith(heavy)]
