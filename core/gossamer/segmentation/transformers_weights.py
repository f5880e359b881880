"""Weights of the prompted models: the published ones, which of them is taken, and their folders loaded."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

from gossamer.errors import MissingExtra, ModelError, ModelNotFound
from gossamer.models.transformers_folder import CONFIG, FolderFile, PublishedFolder, find_folder, own_folder
from gossamer.models.transformers_loading import load_pretrained, quiet_transformers
from gossamer.progress import Progress, ProgressCallback

__all__ = ["PUBLISHED", "Family", "find_weights", "load_classes", "load_tokenizer", "load_weights", "published"]

_log = logging.getLogger("gossamer")

Family: TypeAlias = Literal["grounding-dino", "sam2", "sam3"]

_APACHE = "https://www.apache.org/licenses/LICENSE-2.0"
_MODEL = "model.safetensors"

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
        FolderFile(_MODEL, 933_400_872, "5548f844c928c4b6f411fa8cbcc2bfa8dbbba437cb1d513975519f93c2a9ed21"),
    ),
    _grounding_dino(
        "tiny",
        "a2bb814dd30d776dcf7e30523b00659f4f141c71",
        FolderFile(CONFIG, 0, "eec82c5ab66e16df12a9a212e68ac011779927c2536cf9078658e35d85f0c67a"),
        FolderFile(_MODEL, 689_359_096, "1a2412ef99bd74bcd3c2a246fa1e48581f8889a1300c9051974741314fc042f3"),
    ),
    # ... and by size.
    _sam2(
        "large",
        "665f8e2ad61cf5f53d65644ff27c8ee525124610",
        FolderFile(CONFIG, 5_705, "00446988cf4d617118d2d347eabe2c46aebed744628facdd540508be30b69ec3"),
        FolderFile(_MODEL, 897_897_416, "dc407dce21301fd94abb395c5099b4f2c455fdc8a8f261ac3d0ea6d4cd197230"),
    ),
    _sam2(
        "base-plus",
        "b7320756a13354e7530a63935656d35b2f91a290",
        FolderFile(CONFIG, 5_705, "8e24a93b6a40d4dad86eaec383ce7b4044f37ec6360136460f5ff2ce55f87390"),
        FolderFile(_MODEL, 323_476_296, "2012733a0de5d03efd1bba550a2847c4551be9ef2e0d497c83074df66189f780"),
    ),
    _sam2(
        "small",
        "ee5bba1d82bb8749febdf90f45e84b687142ba03",
        FolderFile(CONFIG, 5_698, "97ff9f65b76d107acda4247885f0a5555d0048850ae3c5f97183df289aaecde9"),
        FolderFile(_MODEL, 184_305_280, "0a4067b11ce1e23d5229203f11c718a823060d15a4b23fa2372a7d4b77cbbc60"),
    ),
    _sam2(
        "tiny",
        "de431c4043854a71d8101e17995dfe596bf101a5",
        FolderFile(CONFIG, 5_695, "860aff9751b139d83a4ad7df1e5535416fded533e0ead02625edbefcb9953cce"),
        FolderFile(_MODEL, 155_908_064, "48c14467e5cf9e51870511feb72c89688e82dd74523142c0538b663e193ac2a7"),
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
            FolderFile(_MODEL, 3_439_938_512, "6d06f0a5f84e435071fe6603e61d0b4cc7b40e0d39d487cfd4d67d8cc11cc14a"),
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

# What ``auto`` fetches where none of a family is installed: what a computer without a graphics card can still run.
_FETCHED: Mapping[Family, str] = {
    "grounding-dino": "grounding-dino-tiny",
    "sam2": "sam2.1-hiera-base-plus",
    "sam3": "sam3",
}

_TYPES: Mapping[Family, Mapping[str, str]] = {
    "grounding-dino": {"grounding-dino": ""},
    # The published folders are those of the video models: theirs holds the picture's model, with more around it.
    "sam2": {"sam2": "", "sam2_video": ""},
    "sam3": {"sam3": "", "sam3_video": "detector_config"},
}


_TIED: Mapping[Family, Mapping[str, str]] = {
    # Saved twice by transformers 5, once by transformers 4.
    "sam2": {
        "prompt_encoder.shared_embedding.positional_embedding": "shared_image_embedding.positional_embedding",
    },
}


def published(family: Family) -> tuple[PublishedFolder, ...]:
    """Return the published models of a family, the best first."""
    prefix = "sam2.1-" if family == "sam2" else family
    return tuple(folder for folder in _FOLDERS if folder.id.startswith(prefix))


def find_weights(
    model: str | Path,
    family: Family,
    *,
    folders: Iterable[str | Path] = (),
    progress: ProgressCallback | Progress | None = None,
    announce: Callable[[str], object] | None = None,
    fetch: bool = True,
) -> tuple[str, Path] | None:
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
    fetch : bool
        Otherwise None is returned for published models that are not here.

    Raises
    ------
    ModelNotFound
        There is no such model or folder, or it would have to be fetched and that is forbidden.
    ModelIntegrityError, ModelError, DownloadError, OutputError
        As :func:`gossamer.models.transformers_folder.find_folder` and ``own_folder``.
    """
    steps, say = Progress.of(progress), announce or _log.warning
    extra = tuple(Path(folder).expanduser() for folder in folders)
    known = published(family)
    chosen = [one for one in known if str(model) in ("auto", one.id, one.repo)]
    if not chosen:
        return _given(Path(model).expanduser(), family, known)
    for one in chosen:
        found = find_folder(one, progress=steps, announce=say, extra_folders=extra, fetch=False)
        if found is not None:
            return one.id, found
    if not fetch:
        return None
    one = PUBLISHED[_FETCHED[family]] if str(model) == "auto" else chosen[0]
    fetched = find_folder(one, progress=steps, announce=say, extra_folders=extra)
    return None if fetched is None else (one.id, fetched)


def _given(folder: Path, family: Family, known: tuple[PublishedFolder, ...]) -> tuple[str, Path]:
    if not folder.exists():
        names = ", ".join(one.id for one in known)
        raise ModelNotFound(
            f"There is no {family} model and no folder {str(folder)!r}.",
            f"Give a folder that save_pretrained wrote (hf download makes one of a repository), or one of: auto, "
            f"{names}.",
        )
    return folder.name, own_folder(folder, tokenizer=family != "sam2")


def load_classes(what: str, extra: str, *names: str) -> tuple[Any, ...]:
    """Return classes of transformers.

    Parameters
    ----------
    what : str
        What needs them, for messages.
    extra : str
        The extra of ours that brings them.
    *names : str

    Raises
    ------
    MissingExtra
        torch or transformers is not installed, or transformers is too old.
    """
    try:
        import torch  # noqa: F401
        import transformers
    except ImportError:
        raise MissingExtra(what, extra) from None
    with quiet_transformers():
        try:
            return tuple(getattr(transformers, name) for name in names)
        # AttributeError: this version has no such class. Others: what it itself needs is not there.
        except (AttributeError, ImportError, RuntimeError):
            raise MissingExtra(f"{what} (transformers {transformers.__version__} lacks it) still", extra) from None


def load_weights(
    folder: Path, family: Family, model: Any, config: Any, changes: Mapping[str, Any] | None = None
) -> Any:
    """Return a network of transformers with a folder's weights, see ``gossamer.models.transformers_folder``."""
    return load_pretrained(
        folder, model=model, config=config, types=_TYPES[family], changes=changes, tied=_TIED.get(family)
    )


def load_tokenizer(folder: Path, tokenizer: Any) -> Any:
    """Return a tokenizer from a folder's own files.

    Raises
    ------
    ModelError
        It is damaged.
    """
    with quiet_transformers():
        try:
            return tokenizer.from_pretrained(folder, local_files_only=True)
        except Exception as error:  # tokenizers raises bare Exception for damaged files
            reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
            raise ModelError(
                f"The tokenizer in {folder} could not be read: {reason}.",
                "Delete the folder and fetch the model again, or give another one.",
            ) from error
