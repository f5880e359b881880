"""Families of prompted models: which of a family is taken, and its folder loaded."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from gossamer.errors import ModelError, is_lack_of_memory
from gossamer.networks.transformers_loading import (
    AGAIN,
    load_classes,
    load_pretrained,
    quiet_transformers,
    read_settings,
    require_packages,
)
from gossamer.parallel.patience import patiently
from gossamer.paths import expanded
from gossamer.progress import Progress, ProgressCallback
from gossamer.weights.catalogue import folder_cards
from gossamer.weights.folders import forbidding_switch
from gossamer.weights.model_folder import CONFIG, installed_folder, model_folder

__all__ = [
    "Family",
    "LoadedModel",
    "family_of",
    "find_member",
    "find_weights",
    "installed_weights",
    "load_member",
]

_log = logging.getLogger("gossamer")

Family: TypeAlias = Literal["grounding-dino", "sam2", "sam3"]


@dataclass(frozen=True)
class _Kind:
    """What is to be known of a family to load one of it.

    Attributes
    ----------
    what, extra : str
        What messages call it, and the extra of ours that brings what it needs.
    network, config, tokenizer : str
        Classes of transformers; the tokenizer's is "" where there is none.
    types, changes, tied : mapping
        As for :func:`gossamer.networks.transformers_loading.load_pretrained`.
    """

    what: str
    extra: str
    network: str
    config: str
    types: Mapping[str, str]
    tokenizer: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)
    tied: Mapping[str, str] = field(default_factory=dict)


_KINDS: Mapping[Family, _Kind] = {
    "grounding-dino": _Kind(
        what="Grounding DINO",
        extra="prompts",
        network="GroundingDinoForObjectDetection",
        config="GroundingDinoConfig",
        tokenizer="BertTokenizerFast",
        types={"grounding-dino": ""},
        # Otherwise transformers may look for a compiled kernel elsewhere; the results are the same without it.
        changes={"disable_custom_kernels": True},
    ),
    "sam2": _Kind(
        what="SAM 2",
        extra="prompts",
        network="Sam2Model",
        config="Sam2Config",
        # The published folders are those of the video models: theirs holds the picture's model, with more around it.
        types={"sam2": "", "sam2_video": ""},
        # Saved twice by transformers 5, once by transformers 4.
        tied={"prompt_encoder.shared_embedding.positional_embedding": "shared_image_embedding.positional_embedding"},
    ),
    "sam3": _Kind(
        what="SAM 3 (in transformers since 5.0, without torchvision since 5.16 at the latest)",
        extra="sam3",
        network="Sam3Model",
        config="Sam3Config",
        tokenizer="CLIPTokenizerFast",
        types={"sam3": "", "sam3_video": "detector_config"},
    ),
}


@dataclass(frozen=True)
class LoadedModel:
    """A network of transformers with its weights, and what belongs to it.

    Attributes
    ----------
    name : str
        Its id, or the name of its folder.
    folder : pathlib.Path
    network : torch.nn.Module
    tokenizer : tokenizer of transformers, or None
    """

    name: str
    folder: Path
    network: Any
    tokenizer: Any


def family_of(model: str | Path) -> Family | None:
    """Return the family of a published model, by its id or repository, or of the model in a folder; else None.

    Raises
    ------
    ModelError
        The folder's configuration is damaged, or that of another model.
    """
    for family in _KINDS:
        if any(str(model) in (one.id, one.repo) for one in folder_cards(family)):
            return family
    folder = expanded(model)
    if not os.path.isfile(folder / CONFIG):  # False, too, for what no file can be named
        return None
    settings = read_settings(folder)
    kind = settings.get("model_type") if isinstance(settings, dict) else None
    for family, known in _KINDS.items():
        if kind in known.types:
            return family
    raise ModelError(
        f"{folder} holds no {', '.join(_KINDS)} model, but {kind}.", "Give another folder that save_pretrained wrote."
    )


def find_weights(
    model: str | Path,
    family: Family,
    *,
    folders: Iterable[str | Path] = (),
    progress: ProgressCallback | Progress | None = None,
    announce: Callable[[str], object] | None = None,
) -> tuple[str, Path]:
    """Return a model's name and the folder that holds it, fetching it first where it is missing.

    Parameters
    ----------
    model : str or path
        ``"auto"`` (the best of the family that is installed), an id of the catalogue, a repository of Hugging
        Face (``facebook/sam2.1-hiera-tiny``), or a folder that ``save_pretrained`` wrote.
    family : {"grounding-dino", "sam2", "sam3"}
    folders : iterable of path
        Where weights are looked for besides the usual folders.
    progress : callable, optional
        Progress of a download; may raise to cancel.
    announce : callable, optional
        Told in one line what is fetched from where, how large and under which licence, before it is. Without it that
        goes to the logger ``gossamer``, which shows it: nothing is downloaded in silence.

    Raises
    ------
    ModelNotFound, ModelError, ModelIntegrityError, DownloadError, OutputError
        As :func:`gossamer.weights.model_folder.model_folder`.
    """
    return model_folder(
        model,
        folder_cards(family),
        family,
        progress=Progress.of(progress),
        announce=announce or _log.warning,
        extra_folders=_paths(folders),
    )


def installed_weights(
    family: Family, model: str = "auto", *, folders: Iterable[str | Path] = ()
) -> tuple[str, Path] | None:
    """Return name and folder of what :func:`find_weights` finds without fetching, or None.

    Raises
    ------
    ModelIntegrityError
        A file in Gossamer's own folder has the wrong content.
    """
    return installed_folder(model, folder_cards(family), progress=Progress.of(None), extra_folders=_paths(folders))


def find_member(
    model: str | Path,
    family: Family,
    *,
    folders: Iterable[str | Path] = (),
    progress: ProgressCallback | Progress | None = None,
    announce: Callable[[str], object] | None = None,
) -> tuple[tuple[Any, ...], str, Path]:
    """Do all of :func:`load_member` that may be refused, and load nothing: for before another model is loaded.

    Parameters and errors are those of :func:`load_member`.

    Returns
    -------
    tuple
        The classes of transformers, the model's name, and its folder.
    """
    kind, steps, extra = _KINDS[family], Progress.of(progress), tuple(folders)
    names = (kind.network, kind.config, *filter(None, [kind.tokenizer]))
    require_packages(kind.what, kind.extra)
    if forbidding_switch() is not None:  # told before transformers is imported, which takes seconds
        find_weights(model, family, folders=extra, progress=steps, announce=announce)
    classes = patiently(lambda: load_classes(kind.what, kind.extra, *names), steps)
    return classes, *find_weights(model, family, folders=extra, progress=steps, announce=announce)


def load_member(
    model: str | Path,
    family: Family,
    *,
    folders: Iterable[str | Path] = (),
    progress: ProgressCallback | Progress | None = None,
    announce: Callable[[str], object] | None = None,
) -> LoadedModel:
    """Load a model, fetching its weights first where they are not on this machine.

    Parameters
    ----------
    model, family, folders, progress, announce
        As for :func:`find_weights`.

    Returns
    -------
    LoadedModel
        In float32, on the CPU.

    Raises
    ------
    MissingExtra
        torch or transformers is not installed, or transformers is too old.
    ModelNotFound, ModelError, ModelIntegrityError, DownloadError, OutputError
        The weights cannot be had, or are damaged.
    """
    kind, steps = _KINDS[family], Progress.of(progress)
    classes, name, folder = find_member(model, family, folders=folders, progress=steps, announce=announce)

    def load() -> LoadedModel:
        network = load_pretrained(
            folder, model=classes[0], config=classes[1], types=kind.types, changes=kind.changes, tied=kind.tied
        )
        return LoadedModel(name, folder, network, _tokenizer(folder, classes[2]) if kind.tokenizer else None)

    return patiently(load, steps)


def _paths(folders: Iterable[str | Path]) -> tuple[Path, ...]:
    return tuple(expanded(folder) for folder in folders)


def _tokenizer(folder: Path, tokenizer: Any) -> Any:
    """Return a tokenizer from a folder's own files; raises ModelError where it is damaged."""
    with quiet_transformers():
        try:
            return tokenizer.from_pretrained(folder, local_files_only=True)
        except Exception as error:  # tokenizers raises bare Exception for damaged files
            if is_lack_of_memory(error):
                raise
            reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
            raise ModelError(f"The tokenizer in {folder} could not be read: {reason}.", AGAIN) from error
