"""Weights of the prompted models: the published ones, which of them is taken, and their folders loaded."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from gossamer.errors import ModelError
from gossamer.networks.transformers_loading import (
    AGAIN,
    load_classes,
    load_pretrained,
    quiet_transformers,
    read_settings,
)
from gossamer.progress import Progress, ProgressCallback
from gossamer.weights.model_folder import (
    CONFIG,
    WEIGHTS,
    FolderFile,
    PublishedFolder,
    installed_folder,
    model_folder,
)

__all__ = [
    "PUBLISHED",
    "Family",
    "LoadedModel",
    "family_of",
    "find_weights",
    "installed_weights",
    "load_member",
    "published",
]

_log = logging.getLogger("gossamer")

Family: TypeAlias = Literal["grounding-dino", "sam2", "sam3"]

_APACHE = "https://www.apache.org/licenses/LICENSE-2.0"

# bert-base-uncased's, the same bytes in both Grounding DINOs.
_BERT = (
    FolderFile("vocab.txt", 231_508, "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"),
    FolderFile("tokenizer.json", 711_396, "d241a60d5e8f04cc1b2b3e9ef7a4921b27bf526d9f6050ab90f9267a1f9e5c66"),
    FolderFile("tokenizer_config.json", 1_237, "d40ab645b68211910b9170d22433d43186a6ec8ee6fd10ba170524b25bf4fb56"),
)


def _grounding_dino(size: str, revision: str, config: FolderFile, weights: FolderFile) -> PublishedFolder:
    return PublishedFolder(
        id=f"grounding-dino-{size}",
        title=f"Grounding DINO {size}",
        repo=f"IDEA-Research/grounding-dino-{size}",
        revision=revision,
        licence="Apache-2.0",
        licence_url=_APACHE,
        files=(config, weights, *_BERT),
        tokenizer=True,
        comfyui=("grounding-dino", "groundingdino", "grounding_dino"),
    )


def _sam2(size: str, revision: str, config: FolderFile, weights: FolderFile) -> PublishedFolder:
    return PublishedFolder(
        id=f"sam2.1-hiera-{size}",
        title=f"SAM 2.1 {size}",
        repo=f"facebook/sam2.1-hiera-{size}",
        revision=revision,
        licence="Apache-2.0",
        licence_url=_APACHE,
        files=(config, weights),
        comfyui=("sam2", "sams"),
    )


_FOLDERS = (
    # Within a family the best first: COCO AP 56.7 and 48.4 (zero-shot, by the authors) ...
    _grounding_dino(
        "base",
        "12bdfa3120f3e7ec7b434d90674b3396eccf88eb",
        FolderFile(CONFIG, 1_737, "eda416dae6f49419ff831b1c190ec430a060b19aae688dbaf2425a075b650608"),
        FolderFile(WEIGHTS, 933_400_872, "5548f844c928c4b6f411fa8cbcc2bfa8dbbba437cb1d513975519f93c2a9ed21"),
    ),
    _grounding_dino(
        "tiny",
        "a2bb814dd30d776dcf7e30523b00659f4f141c71",
        FolderFile(CONFIG, 0, "eec82c5ab66e16df12a9a212e68ac011779927c2536cf9078658e35d85f0c67a"),
        FolderFile(WEIGHTS, 689_359_096, "1a2412ef99bd74bcd3c2a246fa1e48581f8889a1300c9051974741314fc042f3"),
    ),
    # ... and by size.
    _sam2(
        "large",
        "665f8e2ad61cf5f53d65644ff27c8ee525124610",
        FolderFile(CONFIG, 5_705, "00446988cf4d617118d2d347eabe2c46aebed744628facdd540508be30b69ec3"),
        FolderFile(WEIGHTS, 897_897_416, "dc407dce21301fd94abb395c5099b4f2c455fdc8a8f261ac3d0ea6d4cd197230"),
    ),
    _sam2(
        "base-plus",
        "b7320756a13354e7530a63935656d35b2f91a290",
        FolderFile(CONFIG, 5_705, "8e24a93b6a40d4dad86eaec383ce7b4044f37ec6360136460f5ff2ce55f87390"),
        FolderFile(WEIGHTS, 323_476_296, "2012733a0de5d03efd1bba550a2847c4551be9ef2e0d497c83074df66189f780"),
    ),
    _sam2(
        "small",
        "ee5bba1d82bb8749febdf90f45e84b687142ba03",
        FolderFile(CONFIG, 5_698, "97ff9f65b76d107acda4247885f0a5555d0048850ae3c5f97183df289aaecde9"),
        FolderFile(WEIGHTS, 184_305_280, "0a4067b11ce1e23d5229203f11c718a823060d15a4b23fa2372a7d4b77cbbc60"),
    ),
    _sam2(
        "tiny",
        "de431c4043854a71d8101e17995dfe596bf101a5",
        FolderFile(CONFIG, 5_695, "860aff9751b139d83a4ad7df1e5535416fded533e0ead02625edbefcb9953cce"),
        FolderFile(WEIGHTS, 155_908_064, "48c14467e5cf9e51870511feb72c89688e82dd74523142c0538b663e193ac2a7"),
    ),
    PublishedFolder(
        id="sam3",
        title="SAM 3",
        repo="facebook/sam3",
        revision="3c879f39826c281e95690f02c7821c4de09afae7",
        licence="SAM License",
        licence_url="https://github.com/facebookresearch/sam3/blob/main/LICENSE",
        # Its pages are gated, so the digests of the small files are not public: Hugging Face is asked at the download.
        files=(
            FolderFile(CONFIG),
            FolderFile(WEIGHTS, 3_439_938_512, "6d06f0a5f84e435071fe6603e61d0b4cc7b40e0d39d487cfd4d67d8cc11cc14a"),
            FolderFile("vocab.json", 862_328),
            FolderFile("merges.txt", 524_619),
            FolderFile("tokenizer.json"),
            FolderFile("tokenizer_config.json"),
            FolderFile("special_tokens_map.json"),
        ),
        gated=True,
        tokenizer=True,
        comfyui=("sam3", "sams"),
    ),
)

PUBLISHED: Mapping[str, PublishedFolder] = {folder.id: folder for folder in _FOLDERS}
"""By id; within a family in the order in which ``auto`` takes what is installed."""


@dataclass(frozen=True)
class _Kind:
    """What is to be known of a family to load one of it.

    Attributes
    ----------
    what, extra : str
        What messages call it, and the extra of ours that brings what it needs.
    network, config, tokenizer : str
        Classes of transformers; the tokenizer's is "" where there is none.
    fetched : str
        What ``auto`` fetches where none of the family is installed: what a computer without a graphics card can run.
    types, changes, tied : mapping
        As for :func:`gossamer.networks.transformers_loading.load_pretrained`.
    """

    what: str
    extra: str
    network: str
    config: str
    fetched: str
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
        fetched="grounding-dino-tiny",
        types={"grounding-dino": ""},
        # Otherwise transformers may look for a compiled kernel elsewhere; the results are the same without it.
        changes={"disable_custom_kernels": True},
    ),
    "sam2": _Kind(
        what="SAM 2",
        extra="prompts",
        network="Sam2Model",
        config="Sam2Config",
        fetched="sam2.1-hiera-base-plus",
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
        fetched="sam3",
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


def published(family: Family) -> tuple[PublishedFolder, ...]:
    """Return the published models of a family, the best first."""
    prefix = "sam2.1-" if family == "sam2" else family
    return tuple(folder for folder in _FOLDERS if folder.id.startswith(prefix))


def family_of(model: str | Path) -> Family | None:
    """Return the family of a published model, by its id or repository, or of the model in a folder; else None.

    Raises
    ------
    ModelError
        The folder's configuration is damaged, or that of another model.
    """
    for family in _KINDS:
        if any(str(model) in (one.id, one.repo) for one in published(family)):
            return family
    folder = Path(model).expanduser()
    if not (folder / CONFIG).is_file():
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
        ``"auto"`` (the best of the family that is installed), an id of :data:`PUBLISHED`, a repository of Hugging
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
        published(family),
        _KINDS[family].fetched,
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
    return installed_folder(model, published(family), progress=Progress.of(None), extra_folders=_paths(folders))


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
    kind = _KINDS[family]
    classes = load_classes(kind.what, kind.extra, kind.network, kind.config, *filter(None, [kind.tokenizer]))
    name, folder = find_weights(model, family, folders=folders, progress=progress, announce=announce)
    network = load_pretrained(
        folder, model=classes[0], config=classes[1], types=kind.types, changes=kind.changes, tied=kind.tied
    )
    return LoadedModel(name, folder, network, _tokenizer(folder, classes[2]) if kind.tokenizer else None)


def _paths(folders: Iterable[str | Path]) -> tuple[Path, ...]:
    return tuple(Path(folder).expanduser() for folder in folders)


def _tokenizer(folder: Path, tokenizer: Any) -> Any:
    """Return a tokenizer from a folder's own files; raises ModelError where it is damaged."""
    with quiet_transformers():
        try:
            return tokenizer.from_pretrained(folder, local_files_only=True)
        except Exception as error:  # tokenizers raises bare Exception for damaged files
            reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
            raise ModelError(f"The tokenizer in {folder} could not be read: {reason}.", AGAIN) from error
