"""ViTMatte's weights: which are published, and a network loaded from their folders as tensors only."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gossamer.errors import ModelError
from gossamer.networks.transformers_loading import load_classes, load_pretrained, read_settings
from gossamer.progress import Progress
from gossamer.weights.model_folder import CONFIG, WEIGHTS, FolderFile, PublishedFolder, model_folder

__all__ = ["PUBLISHED", "find_folder", "load_network", "require_extra"]

_SMALL, _BASE = (384, 103_294_572), (768, 386_782_180)
"""Width of the transformer, and size of the ``model.safetensors``."""


def configuration(hidden_size: int) -> dict[str, Any]:
    """Return the published ``config.json``, by transformers' convert_vitmatte_to_hf.py (files of this size follow)."""
    backbone = {
        "model_type": "vitdet",
        "num_channels": 4,
        "image_size": 512,
        "pretrain_image_size": 224,
        "patch_size": 16,
        "hidden_size": hidden_size,
        "num_attention_heads": hidden_size // 64,
        "use_absolute_position_embeddings": True,
        "use_relative_position_embeddings": True,
        "window_size": 14,
        "window_block_indices": [0, 1, 3, 4, 6, 7, 9, 10],
        "residual_block_indices": [2, 5, 8, 11],
        "out_features": ["stage12"],
    }
    return {"model_type": "vitmatte", "hidden_size": hidden_size, "backbone_config": backbone, **_SIZES}


# transformers 5 has tuples as defaults of these, and then fails to add them to lists.
_SIZES: Mapping[str, list[int]] = {
    "convstream_hidden_sizes": [48, 96, 192],
    "fusion_hidden_sizes": [256, 128, 64, 32],
}


def _published(name: str, hidden_size: int, size: int, revision: str, sha256: str = "") -> PublishedFolder:
    # Its digest is not known, and what it says is: so the configuration is written.
    config = FolderFile(CONFIG, text=json.dumps(configuration(hidden_size), indent=1))
    return PublishedFolder(
        id=name,
        title=f"hustvl/{name}",
        repo=f"hustvl/{name}",
        revision=revision,
        licence="Apache-2.0 (its code: MIT)",
        licence_url="https://github.com/hustvl/ViTMatte/blob/main/LICENSE",
        files=(config, FolderFile(WEIGHTS, size, sha256)),
    )


_FOLDERS = (
    # The best first: SAD on Composition-1k 20.33 and 21.46, by the authors. The other two were trained on other
    # pictures (Distinctions-646), and their numbers (17.05 and 21.22) are those of another test.
    _published("vitmatte-base-composition-1k", *_BASE, "refs/pr/3"),
    _published(
        "vitmatte-small-composition-1k",
        *_SMALL,
        "6a58ad7646403c1df626fbd746900aec7361ea1d",
        "bda9289db1bb6762d978b42d1c62ae3f34daf7497171a347a1d09657efd788cb",
    ),
    _published("vitmatte-base-distinctions-646", *_BASE, "b58373f8dbbfbeb58157456e2e4949f9f872aa18"),
    _published("vitmatte-small-distinctions-646", *_SMALL, "11a82cf49c566221520f371452b91c8ef9f9c8a8"),
)

PUBLISHED = {folder.id: folder for folder in _FOLDERS}
"""The models of github.com/hustvl/ViTMatte, in the order in which ``auto`` takes what is installed."""

_FETCHED = "vitmatte-small-composition-1k"
"""What ``auto`` fetches where none is installed."""


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
        ``"auto"``, an id of :data:`PUBLISHED` (with or without ``hustvl/``), or a folder.
    progress : Progress
    announce : callable
        Told in one line what is fetched from where, how large and under which licence, before each attempt.

    Raises
    ------
    ModelNotFound, ModelError, ModelIntegrityError, DownloadError, OutputError
        As :func:`gossamer.weights.model_folder.model_folder`.
    """
    known = tuple(PUBLISHED.values())
    return model_folder(model, known, _FETCHED, "ViTMatte", progress=progress, announce=announce)


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
    _check_backbone(folder)
    return load_pretrained(
        folder, model=network, config=lambda **settings: config(**{**_SIZES, **settings}), types={"vitmatte": ""}
    )


def _check_backbone(folder: Path) -> None:
    """Refuse what is no ViTMatte, and what would make transformers fetch a backbone from somewhere else."""
    settings = read_settings(folder)
    backbone = settings.get("backbone_config") if isinstance(settings, dict) else None
    if not isinstance(backbone, dict) or settings.get("model_type") != "vitmatte":
        raise ModelError(f"{folder} holds no ViTMatte model.", "Give another folder as matting model.")
    foreign = settings.get("backbone") or settings.get("use_pretrained_backbone") or settings.get("use_timm_backbone")
    if foreign or backbone.get("model_type") != "vitdet" or backbone.get("num_channels") != 4:
        raise ModelError(
            f"{folder} has another backbone than the published ViTMatte.", "Give another folder as matting model."
        )
