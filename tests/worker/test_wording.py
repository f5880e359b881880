"""No error of the library, told in GIMP, names a flag or a command that its user does not have."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from gossamer import errors
from gossamer.errors import GossamerError
from gossamer.worker.wording import remedy_in_gimp, warning_in_gimp

CORE = Path(errors.__file__).parent
# The command line's own, and what is nobody's at work in GIMP.
ELSEWHERE = {"cli", "evaluation", "contact_sheet.py", "session.py"}
FLAG = re.compile(r"(?<![\w-])--[a-z]|\bgossamer (?!gimp install\b)[a-z]+ |\bpip install|[A-Z]+_[A-Z]+")


def remedies() -> Iterator[tuple[str, GossamerError]]:
    """Yield every error that the source raises, with placeholders for what is only known when it is raised."""
    for path in sorted(CORE.rglob("*.py")):
        if path.relative_to(CORE).parts[0] in ELSEWHERE or path.name == "gimp.py":
            continue
        tree = ast.parse(path.read_text("utf-8"))
        constants = {
            node.targets[0].id: node.value
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) == 2:
                kind = getattr(errors, node.func.id, None)
                if isinstance(kind, type) and issubclass(kind, GossamerError):
                    yield f"{path.name}:{node.lineno}", kind("It went wrong.", text(node.args[1], constants))


def text(node: ast.expr, constants: dict[str, ast.expr]) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(text(part, constants) for part in node.values)
    if isinstance(node, ast.Name) and node.id in constants:
        return text(constants[node.id], constants)
    if isinstance(node, ast.IfExp):
        return text(node.body, constants) + " " + text(node.orelse, constants)
    if isinstance(node, ast.BinOp):
        return text(node.left, constants) + text(node.right, constants)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "memory_remedy":
        return text(node.args[0], constants)
    return "X"


def test_every_remedy_of_the_library_is_one_in_gimp() -> None:
    found = list(remedies())
    assert len(found) > 100
    assert any(FLAG.search(error.remedy) for _, error in found)  # what there is to say otherwise
    wrong = {where: told for where, error in found if FLAG.search(told := remedy_in_gimp(error))}
    assert wrong == {}


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (errors.InputError("x", "Make it smaller."), "Make it smaller."),
        (errors.DeviceError("x", "Free memory, or choose --device cpu."), "choose a smaller model in the dialog"),
        (errors.LicenceError("x", "type: gossamer models get rmbg --accept-licence"), "Choose another model"),
        (
            errors.ModelNotFound("ViTMatte", "type: hf download a --local-dir b"),
            "another model or method in the dialog",
        ),
        (errors.MissingExtra("ViTMatte", "vitmatte"), "another model or method in the dialog"),
        (errors.WorkerError("x", "Open a terminal and type: gossamer gimp install"), "gossamer gimp install"),
    ],
)
def test_a_remedy_in_gimp(error: GossamerError, told: str) -> None:
    assert told in remedy_in_gimp(error)


def test_a_warning_keeps_what_is_about_the_picture() -> None:
    kept = "The model runs on the CPU."
    assert warning_in_gimp(f"{kept} To see why, type: gossamer doctor") == kept
    assert warning_in_gimp(kept) == kept
