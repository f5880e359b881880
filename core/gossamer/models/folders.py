"""Where weights lie: Gossamer's own folder and those of other programs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import platformdirs

from gossamer.models.catalogue import HuggingFaceSource, ModelCard, Variant, load_catalogue

__all__ = ["candidates", "folders", "home", "models_folder"]

_COMFYUI_FOLDERS = ("gossamer", "rembg", "background_removal", "BiRefNet", "RMBG")


def home() -> Path:
    """Return Gossamer's own folder.

    Returns
    -------
    pathlib.Path
        ``$GOSSAMER_HOME``, or the user's data folder of the platform; it need not exist yet.
    """
    if chosen := os.environ.get("GOSSAMER_HOME"):
        return Path(chosen).expanduser().absolute()
    return platformdirs.user_data_path("gossamer", appauthor=False)


def models_folder() -> Path:
    """Return the folder that weights are fetched into; it need not exist yet."""
    return home() / "models"


def folders() -> tuple[Path, ...]:
    """Return the folders in which weights are looked for, in this order.

    Gossamer's own ``models`` folder; each folder in ``$GOSSAMER_MODEL_PATH``; ComfyUI's model folders where
    ``$COMFYUI_PATH`` is set; the Hugging Face cache, as far as it holds repositories of the catalogue; the
    folders of rembg, new and old.

    Returns
    -------
    tuple of pathlib.Path
        Not all of them need exist.
    """
    return _search_path(load_catalogue().values())


def _search_path(cards: Iterable[ModelCard]) -> tuple[Path, ...]:
    """Return :func:`folders` as far as they can hold weights of these models."""
    cards = tuple(cards)
    found = [models_folder()]
    own = os.environ.get("GOSSAMER_MODEL_PATH", "")
    found += [Path(entry).expanduser().absolute() for entry in own.split(os.pathsep) if entry]
    if comfyui := os.environ.get("COMFYUI_PATH"):
        found += [Path(comfyui).expanduser() / "models" / name for name in _COMFYUI_FOLDERS]
    found += [folder for card in cards for folder in _snapshots(card)]
    rembg, old_rembg = _rembg_folders()
    # rembg names a model's folder after its file.
    found += [rembg / "models" / Path(variant.filename).stem for card in cards for variant in card.weights]
    found.append(old_rembg)
    return tuple(dict.fromkeys(found))


def candidates(card: ModelCard, variant: Variant, extra: Iterable[Path] = ()) -> Iterator[Path]:
    """Yield the files that may hold a variant of a model, the preferred first; not all of them exist.

    The folders in `extra` come after all others.
    """
    in_repository = [s.filename for s in variant.sources if isinstance(s, HuggingFaceSource)]
    for folder in dict.fromkeys((*_search_path([card]), *extra)):
        for name in in_repository if folder.parent.name == "snapshots" else variant.names:
            yield folder / name


def _snapshots(card: ModelCard) -> list[Path]:
    """Return the snapshot folders of the card's repositories in the Hugging Face cache."""
    cache = os.environ.get("HF_HUB_CACHE")
    if not cache:
        root = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
        cache = str(Path(root) / "hub")
    found = []
    for variant in card.weights:
        for source in variant.sources:
            if isinstance(source, HuggingFaceSource):
                repository = f"models--{source.repo.replace('/', '--')}"
                found += sorted((Path(cache).expanduser() / repository / "snapshots").glob("*/"))
    return found


def _rembg_folders() -> tuple[Path, Path]:
    """Return the root of today's rembg, and the flat folder of its earlier releases."""
    data = os.environ.get("XDG_DATA_HOME")
    if chosen := os.environ.get("U2NET_HOME"):
        old = new = Path(chosen)
    else:
        old = Path(data or "~") / ".u2net"
        new = Path(os.environ.get("REMBG_HOME") or (Path(data) / "rembg" if data else "~/.rembg"))
    return new.expanduser(), old.expanduser()
