"""What the library tells people to do, for those who have a graph or a window before them instead of a terminal."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import gossamer
from gossamer.errors import DeviceError, MissingExtra
from gossamer.remedies import without_flags
from gossamer.worker.protocol import error_frame

REPOSITORY = Path(__file__).resolve().parents[1]
CORE = REPOSITORY / "core" / "gossamer"
FLAG = re.compile(r"(?<![\w-])--[a-z]")
COMMAND = re.compile(r"\bgossamer (models|doctor|remove|refine|gimp|worker|segment)\b|'gossamer\[")
# Rooms whose messages no node and no dialog can show.
TERMINAL = ("batch", "cli", "worker", "evaluation", "hosts", "quantisation.py", "service", "training", "video")


@pytest.fixture(scope="module")
def spoken() -> Callable[[str], str]:
    """ComfyUI's wording, without ComfyUI."""
    spec = importlib.util.spec_from_file_location("wording", REPOSITORY / "comfyui_nodes" / "wording.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.spoken


def pieces(node: ast.AST) -> str:
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(pieces(value) if isinstance(value, ast.Constant) else "x" for value in node.values)
    if isinstance(node, ast.BinOp):
        return pieces(node.left) + pieces(node.right)
    return ""


def sentences() -> Iterator[tuple[str, str]]:
    """Every sentence of the library that names a flag or a command, and where it is."""
    for path in sorted(CORE.rglob("*.py")):
        if path.relative_to(CORE).parts[0] in TERMINAL:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        skipped = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr | ast.BinOp):
                skipped |= {id(part) for part in ast.walk(node) if part is not node}
        for node in ast.walk(tree):
            if id(node) in skipped or not isinstance(node, ast.Constant | ast.JoinedStr | ast.BinOp):
                continue
            text = pieces(node)
            said = " " in text and (text[0].isupper() or text[0] == " ") and "\\" not in text
            if said and (FLAG.search(text) or COMMAND.search(text)):
                yield f"{path.name}:{node.lineno}", text


@pytest.mark.long
def test_no_remedy_in_comfyui_names_a_flag_or_a_command_of_ours(spoken: Callable[[str], str]) -> None:
    found = dict(sentences())
    assert len(found) > 20
    for place, text in found.items():
        said = spoken(text)
        if "hf download" in said:
            continue  # a command of another package, whole
        assert not FLAG.search(said), (place, text, said)
        assert not COMMAND.search(said), (place, text, said)


@pytest.mark.parametrize(
    ("remedy", "said"),
    [
        ("Try --device cpu --precision float32.", "Try the device cpu and the precision float32: see Load Model"),
        ("To fetch it, type: gossamer models get u2net", "Choose u2net in Load Model (Gossamer): it is fetched then."),
        ("Fetch it again with: gossamer models get ID --force", "Delete the file and run the graph again"),
        (
            "Read x.org and, to accept it once, type: gossamer models get rmbg --accept-licence (in Python: "
            "accept_licence=True)",
            "Read x.org and, to accept it once, switch on accept_licence in Load Model (Gossamer).",
        ),
        ("Resize the mask to the size of the picture.", "Resize the mask to the size of the picture."),
        ("", ""),
    ],
)
def test_what_comfyui_says(spoken: Callable[[str], str], remedy: str, said: str) -> None:
    assert spoken(remedy).startswith(said)
    assert bool(spoken(remedy)) == bool(said)


def test_extras_are_packages_where_there_is_no_package_gossamer(spoken: Callable[[str], str]) -> None:
    said = spoken(MissingExtra("ViTMatte", "vitmatte").remedy)
    assert "python -m pip install" in said
    assert '"transformers>=' in said
    assert '"torch>' not in said


def test_the_worker_s_answer_names_no_flags() -> None:
    error = DeviceError("There is no graphics card.", "Check the driver, or choose --device cpu.")
    assert error_frame(error)["remedy"] == "Check the driver, or choose the device cpu."
    assert without_flags("Type: hf download a/b --revision c") == "Type: hf download a/b --revision c"
    assert gossamer.InputError("a", "Give b.").remedy == without_flags("Give b.")
