"""ViTMatte's weights: found, and a network loaded from their folder as tensors only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gossamer.errors import ModelError
from gossamer.networks.transformers_loading import has_packages, load_classes, load_pretrained, read_settings
from gossamer.progress import Progress
from gossamer.weights.catalogue import folder_cards
from gossamer.weights.model_folder import installed_folder, model_folder

__all__ = ["check_folder", "find_folder", "is_at_hand", "load_network", "require_extra"]

# transformers 5 has tuples as defaults of these, and then fails to add them to lists.
_SIZES: Mapping[str, list[int]] = {
    "convstream_hidden_sizes": [48, 96, 192],
    "fusion_hidden_sizes": [256, 128, 64, 32],
}


def find_folder(
    model: str | Path,
    *,
    progress: Progress,
    announce: Callable[[str], object],
) -> tuple[str, Path]:
    """Return a model's name and the folder that holds it, fetching it first where it is missing.

    Parameters
    ----------
    model : str or path
        ``"auto"``, an id of the catalogue (with or without ``hustvl/``), or a folder.
    progress : Progress
    announce : callable
        Told in one line what is fetched from where, how large and under which licence, before each attempt.

    Raises
    ------
    ModelNotFound, ModelError, ModelIntegrityError, DownloadError, OutputError
        As :func:`gossamer.weights.model_folder.model_folder`.
    """
    return model_folder(model, folder_cards("vitmatte"), "ViTMatte", progress=progress, announce=announce)


def is_at_hand(model: str | Path) -> bool:
    """Return whether a model can be loaded with what is on this machine, as far as can be seen without importing torch.

    Parameters
    ----------
    model
        As for :func:`find_folder`.
    """
    if not has_packages():
        return False
    published = folder_cards("vitmatte")
    known = {"auto", *(one.id for one in published), *(one.repo for one in published)}
    return str(model) not in known or installed_folder(model, published, progress=Progress()) is not None


def require_extra() -> tuple[Any, Any]:
    """Return the classes of the network and its configuration; MissingExtra without torch or transformers."""
    network, config = load_classes("ViTMatte", "vitmatte", "VitMatteForImageMatting", "VitMatteConfig")
    return network, config


def load_network(folder: Path) -> Any:
    """Return transformers' VitMatteForImageMatting with the weights of a folder, in float32 and ready to run.

    Nothing is fetched, no code of the folder runs and no pickle is read.

    Raises
    ------
    ModelError
        The folder's files are damaged, incomplete or of another architecture.
    """
    network, config = require_extra()
    check_folder(folder)
    return load_pretrained(
        folder, model=network, config=lambda **settings: config(**{**_SIZES, **settings}), types={"vitmatte": ""}
    )


def check_folder(folder: Path) -> None:
    """Refuse what is no ViTMatte, and what would make transformers fetch a backbone from somewhere else.

    Raises
    ------
    ModelError
        It is such a folder.
    """
    settings = read_settings(folder)
    backbone = settings.get("backbone_config") if isinstance(settings, dict) else None
    if not isinstance(backbone, dict) or settings.get("model_type") != "vitmatte":
        raise ModelError(f"{folder} holds no ViTMatte model.", "Give another folder as matting model.")
    foreign = settings.get("backbone") or settings.get("use_pretrained_backbone") or settings.get("use_timm_backbone")
    if foreign or backbone.get("model_type") != "vitdet" or backbone.get("num_channels") != 4:
        raise ModelError(
            f"{folder} has another backbone than the published ViTMatte.", "Give another folder as matting model."
        )
