"""What the package promises about itself."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import gossamer
from gossamer.cli import doctor

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def test_requirements_equal_the_dependencies() -> None:
    lines = [line for line in (ROOT / "requirements.txt").read_text("utf-8").splitlines() if line.strip()]
    assert lines == PYPROJECT["project"]["dependencies"]


def test_the_version_is_one() -> None:
    assert PYPROJECT["project"]["version"] == gossamer.__version__
    assert f"## {gossamer.__version__}" in (ROOT / "CHANGELOG.md").read_text("utf-8")


@pytest.mark.long
def test_import_gossamer_is_light() -> None:
    script = (
        "import sys, gossamer, gossamer.settings.recipe, gossamer.errors;"
        "heavy = {'torch', 'onnxruntime', 'numba', 'transformers', 'ray', 'fastapi', 'click', 'cv2'};"
        "heavy |= {'pymatting', 'scipy'};"
        "found = heavy & set(sys.modules); sys.exit(f'imported {found}' if found else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    pipeline = script.replace("import sys, gossamer,", "import sys, gossamer.pipeline, gossamer.cli,")
    done = subprocess.run([sys.executable, "-c", pipeline], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_public_names_exist() -> None:
    for name in gossamer.__all__:
        assert getattr(gossamer, name) is not None
    assert gossamer.foreground.blur_fusion is not None


@pytest.mark.long
def test_no_weights_and_no_unsafe_code_in_the_tree() -> None:
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    for name in filter(None, files.split("\0")):
        assert not re.search(r"\.(onnx|pth|pt|safetensors|ckpt)$", name), name
        if name.endswith(".py") and name.startswith(("core/", "comfyui_nodes/", "gimp_plugin/")):
            text = (ROOT / name).read_text("utf-8")
            assert len(text.splitlines()) <= 450, name
            for call in (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)):
                keywords = {keyword.arg: getattr(keyword.value, "value", None) for keyword in call.keywords}
                assert not any(keywords.get(unsafe) for unsafe in ("trust_remote_code", "allow_pickle", "shell")), name
                assert keywords.get("weights_only") is not False, name
                assert getattr(call.func, "id", "") not in ("eval", "exec"), name


def test_doctor_tells_of_every_extra() -> None:
    """SAM 3 has no package of its own, and nobody who uses Gossamer needs what its tests do."""
    named = {extra: package for extra, (package, _) in doctor._EXTRAS.items()}
    wanted = PYPROJECT["project"]["optional-dependencies"]
    assert set(named) == set(wanted) - {"dev", "sam3"}
    for extra, package in named.items():
        assert any(re.split(r"[\[<>=]", line)[0] == package for line in wanted[extra])
