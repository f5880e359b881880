"""Lint, types and import layers: the same command that runs the tests runs them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        pytest.param(["mypy"], marks=pytest.mark.long),
        ["importlinter.cli", "lint", "--no-cache"],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_the_code_keeps_its_house_rules(command: list[str]) -> None:
    if command[0].startswith("importlinter"):
        command = [
            "-c",
            "from importlinter.cli import lint_imports_command; lint_imports_command()",
            "--no-cache",
        ]
    else:
        command = ["-m", *command]
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
