# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights in ComfyUI's model folders, those of ``extra_model_paths.yaml`` included."""

from __future__ import annotations

import os
from pathlib import Path

import folder_paths

__all__ = [
    "catalogue_id",
    "is_local",
    "labels",
    "library_name",
    "local_models",
    "local_path",
    "model_folders",
    "register",
]

OWN = "gossamer"
# Other packs' folders: what a user has fetched for them need not be fetched again.
KEYS = (OWN, "rembg", "background_removal", "BiRefNet", "birefnet", "RMBG", "transparent-background")
SUFFIXES = (".onnx", ".safetensors", ".pth", ".ckpt")


def register() -> None:
    """Make ``models/gossamer`` one of ComfyUI's model folders, and the first of that name what is fetched goes to."""
    folder_paths.add_model_folder_path(OWN, os.path.join(folder_paths.models_dir, OWN))
    paths, suffixes = folder_paths.folder_names_and_paths[OWN]
    # add_model_folder_path gives an empty set, which means every file; never add to a set that others share.
    folder_paths.folder_names_and_paths[OWN] = (paths, {*suffixes, *SUFFIXES})
    os.environ.setdefault("GOSSAMER_MODELS", str(_folders(OWN)[0]))


def model_folders() -> list[Path]:
    """Return every folder that may hold weights: the library looks there before it fetches anything."""
    return [folder for key in KEYS for folder in _folders(key)]


def local_models() -> list[str]:
    """Return the names of all files of weights there, as ``key/path/in/folder.onnx``."""
    names = {
        f"{key}/{Path(name).as_posix()}"
        for key in KEYS
        for folder in _folders(key)
        for name in folder_paths.recursive_search(str(folder), excluded_dir_names=[".git"])[0]
        if name.lower().endswith(SUFFIXES)
    }
    return sorted(names)


def is_local(name: str) -> bool:
    """Return whether `name` names a file rather than a model of the catalogue."""
    return "/" in name or name.lower().endswith(SUFFIXES)


def local_path(name: str) -> Path:
    """Return the file that `name` of :func:`local_models` stands for.

    Raises
    ------
    ModelNotFound
        There is no such file.
    """
    from gossamer import ModelNotFound

    key, _, inside = name.partition("/")
    for folder in _folders(key) if key in KEYS else ():
        path = Path(os.path.normpath(folder / inside))
        if path.is_relative_to(folder) and path.suffix.lower() in SUFFIXES and path.is_file():
            return path
    raise ModelNotFound(
        f"There is no model file {name} in ComfyUI's model folders.",
        f"Put the file into {_folders(OWN)[0]}, press R to refresh and choose it, or choose another model.",
    )


def catalogue_id(path: Path) -> str | None:
    """Return the id of the catalogue's model whose weights `path` is by name and size, or None.

    The library finds them by that id only where they lie directly in a model folder.
    """
    from gossamer import load_catalogue

    if not any(path.parent == folder for key in KEYS for folder in _folders(key)):
        return None
    size = path.stat().st_size
    for card in load_catalogue().values():
        for variant in card.weights:
            slack = 0 if variant.exact else variant.bytes // 100
            if path.name in variant.names and abs(size - variant.bytes) <= slack:
                return card.id
    return None


def labels() -> dict[str, str]:
    """Return what is shown of each model of the catalogue: its id, size and licence, and a tick where it is here.

    What is here is told by names and sizes alone: this is asked whenever a page is opened.
    """
    from gossamer import load_catalogue, seems_installed, video_cards

    # Most of ComfyUI's model folders are on no machine, and this is part of every start.
    folders, told = [folder for folder in model_folders() if folder.is_dir()], {}
    for card in (*load_catalogue().values(), *video_cards().values()):
        if not card.weights:  # nobody publishes them
            continue
        size = min(one.bytes for one in card.weights) / 1e6
        licence = card.licence if card.commercial else f"{card.licence}, not commercial"
        told[card.id] = f"{card.id} · {size:.0f} MB · {licence}{' ✓' if seems_installed(card, folders) else ''}"
    return told


def library_name(name: str) -> str:
    """Return what the library calls a model that was chosen by its name in the list: an id, ``auto``, or a path.

    Raises
    ------
    ModelNotFound
        There is no such file.
    """
    if not is_local(name):
        return name
    path = local_path(name)
    return catalogue_id(path) or str(path)


def _folders(key: str) -> list[Path]:
    registered = folder_paths.folder_names_and_paths.get(key, ((), ()))[0]
    default = os.path.join(folder_paths.models_dir, key)
    return [Path(os.path.abspath(folder)) for folder in dict.fromkeys((*registered, default))]
