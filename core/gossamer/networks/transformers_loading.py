"""Networks of the transformers package from folders: as tensors only, and complete."""

from __future__ import annotations

import importlib.util
import json
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gossamer.errors import MissingExtra, ModelError, first_line, import_failure, is_lack_of_memory
from gossamer.networks.torch_package import torch_package
from gossamer.telemetry import switch_off
from gossamer.weights.model_folder import CONFIG

__all__ = [
    "AGAIN",
    "has_packages",
    "load_classes",
    "load_pretrained",
    "quiet_transformers",
    "read_settings",
    "require_packages",
]

# Tables that follow from the configuration: transformers 4 saves and wants them, transformers 5 computes them.
_TABLES = ("relative_position_index", "position_ids")
AGAIN = "Delete the folder and fetch the model again, or give another one."
"""What to do about a damaged folder."""


def has_packages() -> bool:
    """Return whether torch and transformers are installed; imports neither, which takes seconds."""
    return all(
        sys.modules[name] is not None if name in sys.modules else importlib.util.find_spec(name) is not None
        for name in ("torch", "transformers")
    )


def require_packages(what: str, extra: str) -> None:
    """Raise MissingExtra where torch or transformers are not installed; imports neither.

    Parameters
    ----------
    what, extra : str
        As for :func:`load_classes`.
    """
    if not has_packages():
        raise MissingExtra(what, extra)


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
    switch_off()
    try:
        torch_package(what, extra)
        import transformers
    except ImportError as error:
        raise import_failure(error, what, extra) from None
    with quiet_transformers():
        try:
            return tuple(getattr(transformers, name) for name in names)
        # AttributeError: this version has no such class. Others: what it itself needs is not there.
        except (AttributeError, ImportError, RuntimeError):
            raise MissingExtra(f"{what} (transformers {transformers.__version__} lacks it) still", extra) from None


def load_pretrained(
    folder: Path,
    *,
    model: Any,
    config: Any,
    types: Mapping[str, str],
    changes: Mapping[str, Any] | None = None,
    tied: Mapping[str, str] | None = None,
) -> Any:
    """Return a network of transformers with the weights of a folder, in float32 and ready to run.

    Nothing is fetched, no code of the folder runs and no pickle is read, whatever its configuration asks for.

    Parameters
    ----------
    folder : pathlib.Path
    model : type
        A class of transformers.
    config : callable
        Its configuration's class, or what makes one from the same keywords.
    types : mapping of str to str
        The ``model_type`` that a folder may have, and which part of its configuration is the model's: "" for all.
    changes : mapping, optional
        Settings of the configuration that shall not be the folder's.
    tied : mapping of str to str, optional
        Tensors that are the same as others, so that some versions of transformers do not save them.

    Raises
    ------
    ModelError
        The folder's files are damaged, incomplete or of another architecture.
    """
    import torch

    settings = _configuration(folder, types)
    with quiet_transformers():
        try:
            made = config(**{**settings, **(changes or {})})
            network, loaded = model.from_pretrained(
                folder,
                config=made,
                local_files_only=True,
                use_safetensors=True,
                dtype=torch.float32,
                output_loading_info=True,
            )
        # transformers, safetensors and huggingface_hub raise some dozen unrelated types for damaged files
        except Exception as error:
            if is_lack_of_memory(error):
                raise MemoryError(first_line(error)) from None
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ModelError(f"The model in {folder} could not be loaded: {reason.rstrip('.')}.", AGAIN) from error
        missing = _completed(network, set(loaded["missing_keys"]), tied or {}, lambda: model(made))
    for faults in (missing, loaded["mismatched_keys"]):
        # transformers would go on with random numbers in their place
        if faults:
            raise ModelError(
                f"The weights in {folder} are not those of its {CONFIG}: {len(faults)} are wrong, such as "
                f"{sorted(map(str, faults))[0]}.",
                AGAIN,
            )
    network.eval()
    return network


def _completed(network: Any, missing: set[str], tied: Mapping[str, str], fresh: Callable[[], Any]) -> set[str]:
    """Fill in what other versions of transformers do not save but know; return the names of what is still missing."""
    for name in missing & tied.keys():
        if tied[name] not in missing:
            network.get_buffer(name).copy_(network.get_buffer(tied[name]))
            missing = missing - {name}
    tables = {name for name in missing if name.rpartition(".")[2] in _TABLES}
    if tables and tables == missing:
        new = fresh()
        for name in tables:
            network.get_buffer(name).copy_(new.get_buffer(name))
        return set()
    return missing


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep transformers' bars and notes off our users' terminal: what is wrong is raised."""
    import transformers

    logging: Any = transformers.utils.logging
    bars, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        with warnings.catch_warnings():
            # What its own libraries call deprecated is between them.
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def read_settings(folder: Path) -> Any:
    """Return what a folder's configuration says, whatever that is; raises ModelError where it is no JSON."""
    file = folder / CONFIG
    try:
        return json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{file} could not be read: {error}.", AGAIN) from None


def _configuration(folder: Path, types: Mapping[str, str]) -> dict[str, Any]:
    """Return a model's settings; refuse what is another model, or would be fetched from somewhere else."""
    settings = read_settings(folder)
    kind = settings.get("model_type") if isinstance(settings, dict) else None
    if not isinstance(kind, str) or kind not in types:
        raise ModelError(f"{folder} holds no {' or '.join(types)} model, but {kind}.", "Give another folder.")
    if types[kind]:
        settings = settings.get(types[kind])
        if not isinstance(settings, dict):
            raise ModelError(f"{folder / CONFIG} has no {types[kind]}.", AGAIN)
    for part in _parts(settings):
        if part.get("use_pretrained_backbone") or part.get("use_timm_backbone") or part.get("backbone"):
            raise ModelError(
                f"{folder} wants a backbone from elsewhere, which is not fetched.",
                "Save the model with its backbone: save_pretrained of transformers does.",
            )
    return {key: value for key, value in settings.items() if key not in ("model_type", "auto_map")}


def _parts(settings: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield settings
    for value in settings.values():
        if isinstance(value, dict):
            yield from _parts(value)
