"""ViTMatte's weights: found where they already lie, fetched where they do not, loaded as tensors only."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gossamer.errors import DownloadError, MissingExtra, ModelError, ModelIntegrityError, ModelNotFound
from gossamer.models.catalogue import HuggingFaceSource, Variant
from gossamer.models.fetching import locked
from gossamer.models.folders import folders, forbidding_switch, models_folder
from gossamer.models.sources import attempts, obtain, origin
from gossamer.models.transfer import Proof, SourceFailed, Transfer, megabytes, writing
from gossamer.models.transformers_loading import quiet_transformers
from gossamer.models.verified import checked_digest
from gossamer.progress import Progress

__all__ = ["PUBLISHED", "find_folder", "load_network", "require_extra"]

_LICENCE = "Apache-2.0 (its code: MIT)"
_CONFIG, _WEIGHTS = "config.json", "model.safetensors"


@dataclass(frozen=True)
class _Published:
    """A published model: where it is and what it is.

    Attributes
    ----------
    hidden_size : int
        Width of the transformer; its heads are 64 wide.
    bytes : int
        Size of its ``model.safetensors``.
    revision : str
        The revision of its Hugging Face repository that has that file.
    sha256 : str
        Empty where only Hugging Face can tell: it is then asked at the download.
    """

    hidden_size: int
    bytes: int
    revision: str
    sha256: str = ""

    def config(self) -> dict[str, Any]:
        """Return its ``config.json``, by transformers' convert_vitmatte_to_hf.py (it gives files of this very size)."""
        backbone = {
            "model_type": "vitdet",
            "num_channels": 4,
            "image_size": 512,
            "pretrain_image_size": 224,
            "patch_size": 16,
            "hidden_size": self.hidden_size,
            "num_attention_heads": self.hidden_size // 64,
            "use_absolute_position_embeddings": True,
            "use_relative_position_embeddings": True,
            "window_size": 14,
            "window_block_indices": [0, 1, 3, 4, 6, 7, 9, 10],
            "residual_block_indices": [2, 5, 8, 11],
            "out_features": ["stage12"],
        }
        return {
            "model_type": "vitmatte",
            "hidden_size": self.hidden_size,
            "backbone_config": backbone,
            "convstream_hidden_sizes": [48, 96, 192],
            "fusion_hidden_sizes": [256, 128, 64, 32],
        }


_SMALL, _BASE = (384, 103_294_572), (768, 386_782_180)

PUBLISHED = {
    # The best first: SAD on Composition-1k 20.33 and 21.46, by the authors. The other two were trained on other
    # pictures (Distinctions-646), and their numbers (17.05 and 21.22) are those of another test.
    "vitmatte-base-composition-1k": _Published(*_BASE, "refs/pr/3"),
    "vitmatte-small-composition-1k": _Published(
        *_SMALL,
        "6a58ad7646403c1df626fbd746900aec7361ea1d",
        "bda9289db1bb6762d978b42d1c62ae3f34daf7497171a347a1d09657efd788cb",
    ),
    "vitmatte-base-distinctions-646": _Published(*_BASE, "b58373f8dbbfbeb58157456e2e4949f9f872aa18"),
    "vitmatte-small-distinctions-646": _Published(*_SMALL, "11a82cf49c566221520f371452b91c8ef9f9c8a8"),
}
"""The models of github.com/hustvl/ViTMatte, in the order in which ``auto`` takes what is installed."""

_FETCHED = "vitmatte-small-composition-1k"
"""What ``auto`` fetches where none is installed."""


def find_folder(
    model: str | Path,
    *,
    progress: Progress,
    announce: Callable[[str], object],
) -> Path:
    """Return the folder that holds a model, fetching it first where it is missing.

    Parameters
    ----------
    model : str or path
        ``"auto"``, an id of :data:`PUBLISHED` (with or without ``hustvl/``), or a folder.
    progress : Progress
    announce : callable
        Told in one line what is fetched from where, how large and under which licence, before each attempt.

    Raises
    ------
    ModelNotFound
        There is no such model or folder, or it would have to be fetched and that is forbidden or not possible.
    ModelIntegrityError
        A file in Gossamer's own folder has the wrong content.
    ModelError
        A folder has the weights in a format that is not read.
    DownloadError, OutputError
        It could not be fetched, or not be written.
    """
    name = str(model).removeprefix("hustvl/")
    if name != "auto" and name not in PUBLISHED:
        return _own_folder(Path(model).expanduser())
    names = list(PUBLISHED) if name == "auto" else [name]
    pickles: list[Path] = []
    for candidate in names:
        for folder in _places(candidate):
            if _has_weights(folder):
                _verify(candidate, folder, progress)
                return folder
            if (folder / "pytorch_model.bin").is_file():
                pickles.append(folder)
    name = _FETCHED if name == "auto" else name
    if "/" in PUBLISHED[name].revision:
        # A pull request: whoever wrote it can change it, so it takes a person to decide.
        if pickles:
            raise _pickled(pickles[0], _by_hand(name))
        raise ModelNotFound(f"hustvl/{name} is published as a pickle only, which is not fetched.", _by_hand(name))
    if switch := forbidding_switch():
        raise ModelNotFound(f"hustvl/{name} would have to be fetched, and {switch} forbids it.", _by_hand(name))
    return _fetch(name, progress, announce)


def require_extra() -> None:
    """Raise MissingExtra where torch or transformers are not installed."""
    try:
        import torch  # noqa: F401
        from transformers import VitMatteForImageMatting  # noqa: F401
    except ImportError:
        raise MissingExtra("ViTMatte", "vitmatte") from None


def load_network(folder: Path) -> Any:
    """Return transformers' VitMatteForImageMatting with the weights of a folder, in float32 and ready to run.

    Nothing is fetched, no code of the folder runs and no pickle is read.

    Raises
    ------
    ModelError
        The folder's files are damaged, incomplete or of another architecture.
    """
    require_extra()
    import torch
    import transformers

    _check_config(folder)
    matting: Any = transformers.VitMatteForImageMatting
    configuration: Any = transformers.VitMatteConfig
    network: Any
    loaded: Any
    with quiet_transformers():
        try:
            config = configuration.from_pretrained(folder, local_files_only=True)
            # transformers 5 has tuples as defaults, and then fails to add them to lists.
            config.convstream_hidden_sizes = list(config.convstream_hidden_sizes)
            config.fusion_hidden_sizes = list(config.fusion_hidden_sizes)
            network, loaded = matting.from_pretrained(
                folder,
                config=config,
                local_files_only=True,
                use_safetensors=True,
                dtype=torch.float32,
                output_loading_info=True,
            )
        # transformers, safetensors and huggingface_hub raise some dozen unrelated types for damaged files
        except Exception as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ModelError(f"The weights in {folder} could not be loaded: {reason.rstrip('.')}.", _AGAIN) from error
    for kind in ("missing_keys", "mismatched_keys"):
        # transformers would go on with random numbers in their place
        if faults := loaded.get(kind):
            raise ModelError(
                f"The weights in {folder} are not those of its {_CONFIG}: {len(faults)} are wrong, such as "
                f"{sorted(map(str, faults))[0]}.",
                _AGAIN,
            )
    network.eval()
    return network


_AGAIN = "Delete the folder and fetch the model again, or give another one as matting model."


def _own_folder(folder: Path) -> Path:
    if not folder.is_dir():
        raise ModelNotFound(
            f"There is no ViTMatte model and no folder {str(folder)!r}.",
            f"Give a folder that save_pretrained wrote, or one of: auto, {', '.join(PUBLISHED)}.",
        )
    if _has_weights(folder):
        return folder
    if (folder / "pytorch_model.bin").is_file():
        raise _pickled(folder, "Save it again with save_pretrained of transformers, which writes safetensors.")
    raise ModelNotFound(
        f"{folder} holds no model: {_CONFIG} and {_WEIGHTS} are needed.",
        "Give a folder that save_pretrained of transformers wrote.",
    )


def _pickled(folder: Path, remedy: str) -> ModelError:
    return ModelError(f"{folder} has its weights as a pickle (pytorch_model.bin) only, which is not read.", remedy)


def _by_hand(name: str) -> str:
    command = f"hf download hustvl/{name} {_CONFIG} {_WEIGHTS} --revision {PUBLISHED[name].revision}"
    return f"Where there is a network type: {command} --local-dir {models_folder() / name}"


def _has_weights(folder: Path) -> bool:
    weights = (folder / _WEIGHTS, folder / f"{_WEIGHTS}.index.json")
    return (folder / _CONFIG).is_file() and any(file.is_file() for file in weights)


def _places(name: str) -> Iterator[Path]:
    """Yield the folders that may hold a published model, the preferred first."""
    for folder in folders():
        yield folder / name
    with suppress(ImportError):
        from huggingface_hub.constants import HF_HUB_CACHE

        snapshots = Path(HF_HUB_CACHE) / f"models--hustvl--{name}" / "snapshots"
        yield snapshots / PUBLISHED[name].revision
        yield from sorted(snapshots.glob("*/"))


def _verify(name: str, folder: Path, progress: Progress) -> None:
    """Check what was fetched into Gossamer's own folder; other folders may hold other revisions."""
    if folder.parent != models_folder():
        return
    file, published = folder / _WEIGHTS, PUBLISHED[name]
    wrong = file.stat().st_size != published.bytes
    if wrong or (published.sha256 and checked_digest(file, progress, f"Checking {name}") != published.sha256):
        raise ModelIntegrityError(f"{file} has not the content that it should have.", f"Delete {folder}.")


def _fetch(name: str, progress: Progress, announce: Callable[[str], object]) -> Path:
    published, folder = PUBLISHED[name], models_folder() / name
    writing(folder, folder.mkdir, parents=True, exist_ok=True)
    with locked(name, folder.parent, progress):
        if _has_weights(folder):  # another process has fetched it since
            return folder
        source = HuggingFaceSource(repo=f"hustvl/{name}", revision=published.revision, filename=_WEIGHTS)
        variant = Variant(
            filename=f"{name}/{_WEIGHTS}",
            precision="float32",
            bytes=published.bytes,
            sha256=published.sha256 or None,
            sources=(source,),
        )
        part = folder / f"{_WEIGHTS}.part"
        _obtain_any(Transfer(name, variant, part, progress, Proof.of(variant)), announce)
        writing(folder, os.replace, part, folder / _WEIGHTS)
        # Last: a folder with both files is complete.
        writing(folder, (folder / _CONFIG).write_text, json.dumps(published.config(), indent=1), "utf-8")
    _verify(name, folder, progress)
    return folder


def _obtain_any(transfer: Transfer, announce: Callable[[str], object]) -> None:
    failures: list[str] = []
    for variant, source in attempts([transfer.variant]):
        before = f"{failures[-1]}. " if failures else ""
        size = megabytes(variant.bytes)
        announce(f"{before}Fetching ViTMatte ({transfer.model}, {size}, licence {_LICENCE}) from {origin(source)}")
        try:
            obtain(source, transfer)
            return
        except SourceFailed as error:
            failures.append(f"{origin(source)}: {error}")
    raise DownloadError(f"{transfer.model} could not be fetched: {'; '.join(failures)}.", _by_hand(transfer.model))


def _check_config(folder: Path) -> None:
    """Refuse what is no ViTMatte, and what would make transformers fetch a backbone from somewhere else."""
    file = folder / _CONFIG
    try:
        config = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{file} could not be read: {error}.", _AGAIN) from None
    backbone = config.get("backbone_config") if isinstance(config, dict) else None
    if not isinstance(backbone, dict) or config.get("model_type") != "vitmatte":
        raise ModelError(f"{folder} holds no ViTMatte model.", "Give another folder as matting model.")
    foreign = config.get("backbone") or config.get("use_pretrained_backbone") or config.get("use_timm_backbone")
    if foreign or backbone.get("model_type") != "vitdet" or backbone.get("num_channels") != 4:
        raise ModelError(
            f"{folder} has another backbone than the published ViTMatte.", "Give another folder as matting model."
        )
