# SPDX-License-Identifier: GPL-3.0-or-later
"""What the library says, in words of ComfyUI: a node, a widget or a folder in the place of a flag or a command."""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

__all__ = ["in_comfyui", "spoken"]

Result = TypeVar("Result")

_LOAD = "Load Model (Gossamer)"
_RULES = (
    (
        r"type: gossamer models get \S+ --accept-licence(?: \(in Python: accept_licence=True\))?",
        f"switch on accept_licence in {_LOAD}.",
    ),
    (
        r"(?:To fetch it again, type:|Fetch it again with:) gossamer models get \S+ --force\.?",
        "Delete the file and run the graph again, which fetches it.",
    ),
    (r"To see all models, type: gossamer models list\.?", f"All models are in the list of {_LOAD}."),
    (r"see the catalogue: gossamer models list\.?", f"choose one of the list of {_LOAD}."),
    (r"To fetch it, type: gossamer models get (\S+?)\.?$", rf"Choose \1 in {_LOAD}: it is fetched then."),
    (r"(?:type: )?gossamer models get (\S+?)(?=[\s.]|$)", rf"choose \1 in {_LOAD}"),
    (r"type: python -m gossamer\.native\b", "type `python install.py` in this node pack's folder, in ComfyUI's Python"),
    (r" with: gossamer doctor\b", " with nvidia-smi"),
    (r" and gossamer doctor\b", ""),
    (r"See: gossamer remove --help\.?", "See the node's help page."),
    (r"Cut it out first: gossamer remove, or refine with a mask\.", "Connect the mask of Refine (Gossamer)."),
    (r": see --output-[a-z-]+\.", "."),
    (r": if its edges become too bright, say --colours straight\.", "."),
    (r", or give the clip to: gossamer video\.", "."),
    (r"--canvas-(crop|fill|head)\b", r"canvas_\1"),
    (r"--refinement-([a-z]+)-([a-z]+)( [\d.]*\d)?", r"refinement_\1_\2\3 in Refine (Gossamer)"),
    (r"--refinement-smooth( [\d.]*\d)?", r"refinement_smooth\1 in Refine (Gossamer)"),
    (r"gossamer refine, --foreground auto", "Refine (Gossamer), foreground auto"),
    (r"gossamer refine PHOTO MASK\b", "Refine (Gossamer)"),
    (r"(over black and white): gossamer compare\b", r"\1 with Composite (Gossamer)"),
    (r"Give others with --start and --end\b", "Give others in start and end"),
    (
        r"Make (?:it|them again): gossamer models quantise \S+ --photos FOLDER(?: --force)?",
        f"Choose the precision auto in {_LOAD}",
    ),
    (r"Leave --architecture out\b", f"Choose the architecture auto in {_LOAD}"),
)


def spoken(sentence: str) -> str:
    """Return a sentence of the library as it is said in ComfyUI."""
    from gossamer.remedies import without_flags

    for pattern, words in _RULES:
        sentence = re.sub(pattern, words, sentence)
    sentence = re.sub(r"Type: pip install 'gossamer\[(\w+)\]'\.?", _packages, sentence)
    named = without_flags(sentence)
    if named != sentence and _LOAD not in named:
        named = f"{named.rstrip('.')}: see {_LOAD}."
    return named


def in_comfyui(execute: Callable[..., Result]) -> Callable[..., Result]:
    """Let the library's errors of a node's `execute` say their remedies as :func:`spoken`; their kind stays."""

    @functools.wraps(execute)
    def told(*args: Any, **inputs: Any) -> Result:
        from gossamer import GossamerError

        try:
            return execute(*args, **inputs)
        except GossamerError as error:
            error.message, error.remedy = spoken(error.message), spoken(error.remedy)
            raise

    return told


def _packages(found: re.Match[str]) -> str:
    """Return what to install: a clone has no package ``gossamer`` whose extras pip could know."""
    project = Path(__file__).resolve().parents[1] / "pyproject.toml"
    extras: dict[str, list[str]] = tomllib.loads(project.read_text("utf-8"))["project"]["optional-dependencies"]

    def of(extra: str) -> list[str]:
        wanted = []
        for line in extras.get(extra, []):
            inner = re.fullmatch(r"gossamer\[(.+)\]", line)
            wanted += [one for name in inner[1].split(",") for one in of(name)] if inner else [line]
        return wanted

    names = " ".join(f'"{line}"' for line in of(found[1]) if not line.startswith("torch>"))  # ComfyUI brings torch
    return f"Install it into ComfyUI's Python and restart: python -m pip install {names}"
