"""Where weights lie: Gossamer's own folder and those of other programs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

import platformdirs

from gossamer.errors import InputError
from gossamer.files import read_json
from gossamer.paths import expanded
from gossamer.weights.card import HuggingFaceSource, ModelCard, Variant

__all__ = [
    "candidates",
    "folders",
    "forbidding_switch",
    "home",
    "hugging_face_home",
    "models_folder",
    "seems_installed",
    "table_fault",
]

# Below ComfyUI's models folder: our own, its own, and those of the node packs that people have.
_COMFYUI_FOLDERS = (
    "gossamer",
    "background_removal",
    "BiRefNet",
    "birefnet",
    "RMBG",
    "RMBG/BiRefNet",
    "rembg",
    "transparent-background",
)


def home() -> Path:
    """Return Gossamer's own folder.

    Returns
    -------
    pathlib.Path
        ``$GOSSAMER_HOME``, or the user's data folder of the platform; it need not exist yet.

    Raises
    ------
    InputError
        There is neither that variable nor a home of the user.
    """
    if chosen := os.environ.get("GOSSAMER_HOME"):
        return expanded(chosen).absolute()
    folder = platformdirs.user_data_path("gossamer", appauthor=False)
    if not folder.is_absolute():
        raise InputError("This user has no home folder.", "Set GOSSAMER_HOME (or HOME) to a folder for the models.")
    return folder


def table_fault(file: Path) -> tuple[str, str] | None:
    """Return what is wrong with one of the tables in :func:`home` and what to do about it, a sentence each, or None.

    What cannot be read is never written over.
    """
    try:
        read_json(file)
    except OSError as error:
        if file.is_dir():
            return f"{file} is a folder, not a file.", "Remove or rename it."
        reason = error.strerror or str(error)
        return (
            f"{file} could not be read: {reason}.",
            "Have its permissions changed, or set GOSSAMER_HOME to a folder of yours.",
        )
    except ValueError as error:
        return f"{file} is damaged: {error}.", "Mend it, or move it away."
    return None


def models_folder() -> Path:
    """Return the folder that weights are fetched into: ``$GOSSAMER_MODELS``, else ``models`` in :func:`home`.

    It need not exist yet.
    """
    chosen = os.environ.get("GOSSAMER_MODELS")
    return expanded(chosen).absolute() if chosen else home() / "models"


def hugging_face_home() -> Path:
    """Return the folder of Hugging Face's own programs, ``$HF_HOME``."""
    root = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    return expanded(root)


def folders() -> tuple[Path, ...]:
    """Return the folders in which weights are looked for, in this order.

    The folder that weights are fetched into; Gossamer's own ``models`` folder; each folder in
    ``$GOSSAMER_MODEL_PATH``; ComfyUI's model folders where ``$COMFYUI_PATH`` is set; the Hugging Face cache; the
    folders of rembg, new and old; the folder of transparent-background.

    Returns
    -------
    tuple of pathlib.Path
        Not all of them need exist.
    """
    rembg, old_rembg = _rembg_folders()
    comfyui = _comfyui_models()
    found = [models_folder(), home() / "models", *_own_path()]
    found += [comfyui / name for name in _COMFYUI_FOLDERS] if comfyui else []
    found += [_hugging_face_cache(), rembg / "models", old_rembg, _transparent_background_folder()]
    return tuple(dict.fromkeys(found))


def candidates(variant: Variant, extra: Iterable[Path] = ()) -> Iterator[Path]:
    """Yield the files that may hold a variant, the preferred first; not all of them exist.

    The folders in `extra` come after all others.
    """
    yield from dict.fromkeys(_candidates(variant, extra))


def seems_installed(card: ModelCard, extra: Iterable[Path] = ()) -> bool:
    """Return whether a model's weights lie on this machine, by names and sizes alone: nothing is read.

    Parameters
    ----------
    card : ModelCard
    extra : iterable of Path
        More folders to look in.
    """
    folders = tuple(extra)
    for variant in card.weights:
        slack = 0 if variant.exact else variant.bytes // 100
        for file in candidates(variant, folders):
            try:
                if abs(file.stat().st_size - variant.bytes) <= slack:
                    return True
            except OSError:  # it is not there, or may not be looked at
                continue
    return False


def _candidates(variant: Variant, extra: Iterable[Path]) -> Iterator[Path]:
    names = variant.names
    for folder in (models_folder(), home() / "models", *_own_path()):
        yield from (folder / name for name in names)
    if comfyui := _comfyui_models():
        for name in _COMFYUI_FOLDERS:
            yield from _in_model_folder(comfyui / name, variant)
        yield from (comfyui / path for path in variant.elsewhere)
    for source in variant.hugging_face:
        yield from _in_cache(source)
    rembg, old_rembg = _rembg_folders()
    # rembg names a model's folder after its file.
    yield from (rembg / "models" / Path(name).stem / name for name in names)
    yield from (old_rembg / name for name in names)
    yield from (_transparent_background_folder() / name for name in names)
    for folder in extra:
        yield from _in_model_folder(folder, variant)
        inside = (PurePosixPath(path) for path in variant.elsewhere)
        yield from (folder.joinpath(*path.parts[1:]) for path in inside if path.parts[0] == folder.name)


def _in_model_folder(folder: Path, variant: Variant) -> Iterator[Path]:
    """Yield the places in a folder of node packs: the file itself, and in folders named after repositories."""
    yield from (folder / name for name in variant.names)
    yield from (folder / source.repo.partition("/")[2] / source.filename for source in variant.hugging_face)


def _in_cache(source: HuggingFaceSource) -> Iterator[Path]:
    """Yield the places of a file in the Hugging Face cache, that of its own revision first."""
    snapshots = _hugging_face_cache() / f"models--{source.repo.replace('/', '--')}" / "snapshots"
    yield snapshots / source.revision / source.filename
    with suppress(OSError):  # not for this user's eyes, or no folder
        yield from [snapshot / source.filename for snapshot in sorted(snapshots.glob("*/"))]


def _own_path() -> list[Path]:
    """Return the folders of $GOSSAMER_MODEL_PATH."""
    entries = os.environ.get("GOSSAMER_MODEL_PATH", "").split(os.pathsep)
    return [expanded(entry).absolute() for entry in entries if entry]


def _comfyui_models() -> Path | None:
    root = os.environ.get("COMFYUI_PATH")
    return expanded(root) / "models" if root else None


def _hugging_face_cache() -> Path:
    chosen = os.environ.get("HF_HUB_CACHE")
    return expanded(chosen) if chosen else hugging_face_home() / "hub"


def _rembg_folders() -> tuple[Path, Path]:
    """Return the root of today's rembg, and the flat folder of its earlier releases."""
    data = os.environ.get("XDG_DATA_HOME")
    if chosen := os.environ.get("U2NET_HOME"):
        old = new = Path(chosen)
    else:
        old = Path(data or "~") / ".u2net"
        new = Path(os.environ.get("REMBG_HOME") or (Path(data) / "rembg" if data else "~/.rembg"))
    return expanded(new), expanded(old)


def _transparent_background_folder() -> Path:
    root = os.environ.get("TRANSPARENT_BACKGROUND_FILE_PATH") or "~"
    return expanded(root) / ".transparent-background"


def forbidding_switch() -> str | None:
    """Return the environment variable that is set and forbids every download, or None."""
    for switch in ("GOSSAMER_OFFLINE", "HF_HUB_OFFLINE"):
        if os.environ.get(switch, "").lower() not in ("", "0", "false", "no", "off"):
            return switch
    return None
