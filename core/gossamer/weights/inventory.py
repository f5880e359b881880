"""Weights on this machine: which files of a model can be used here, and whether one is what it should be."""

from __future__ import annotations

import errno
import importlib.util
import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from gossamer.errors import InputError, MissingExtra, ModelIntegrityError, ModelNotFound
from gossamer.progress import Progress
from gossamer.settings.model_choice import RuntimeChoice
from gossamer.weights.catalogue import ModelCard, Variant
from gossamer.weights.digests import Unreadable, memory_fault, published
from gossamer.weights.fetch.transfer import Proof
from gossamer.weights.folders import candidates, models_folder

__all__ = ["AnyRuntime", "Weights", "fault", "known_proof", "require_usable", "search", "torch_is_here", "usable"]

AnyRuntime: TypeAlias = RuntimeChoice | Literal["any"]
"""``auto``: what can run here, torch's files first where torch is installed; ``any``: also what cannot."""

_Digest: TypeAlias = Callable[[Path, Progress, str, Literal["sha256", "md5"]], str]


@dataclass(frozen=True)
class Weights:
    """Weights that lie on this machine and are what the catalogue says.

    Attributes
    ----------
    card : ModelCard
    variant : Variant
        Which of the card's files this is.
    path : pathlib.Path
    warnings : tuple of str
        One sentence for each file that was passed over because it has the name but not the content, and
        whatever else the user should know of these weights.
    """

    card: ModelCard
    variant: Variant
    path: Path
    warnings: tuple[str, ...] = ()


def torch_is_here() -> bool:
    """Return whether torch is installed, without loading it."""
    return importlib.util.find_spec("torch") is not None


def usable(card: ModelCard, runtime: AnyRuntime = "auto") -> tuple[Variant, ...]:
    """Return those of a model's variants that a runtime can run, in the order in which they are fetched.

    That is the order of the catalogue, which has torch's files first where torch serves a model better.

    Parameters
    ----------
    card : ModelCard
    runtime : {"auto", "onnx", "torch", "openvino", "any"}

    Returns
    -------
    tuple of Variant
        None where the runtime cannot run the model, or ``auto`` would need torch, which is not installed.
    """
    torch = torch_is_here()
    runtime = _files_of(runtime)
    if runtime == "torch":
        native = sorted(card.weights, key=lambda variant: variant.runtime != "torch")
        return tuple(variant for variant in native if card.network and torch and "torch" in variant.runtimes)
    if runtime == "onnx" or (runtime == "auto" and not torch):
        return tuple(variant for variant in card.weights if "onnx" in variant.runtimes)
    return card.weights if torch else tuple(sorted(card.weights, key=lambda variant: variant.runtime != "onnx"))


def _files_of(runtime: AnyRuntime) -> AnyRuntime:
    """Return the runtime whose files one takes: OpenVINO reads those of ONNX Runtime."""
    return "onnx" if runtime == "openvino" else runtime


def require_usable(card: ModelCard, runtime: AnyRuntime) -> tuple[Variant, ...]:
    """Return :func:`usable`, or raise MissingExtra, InputError or ModelNotFound where that is nothing."""
    if not card.weights:
        raise ModelNotFound(
            f"The weights of {card.title} cannot be fetched: no file of them is known that could be checked.",
            f"Download {card.by_hand}, and name that file where weights of your own are asked for.",
        )
    if found := usable(card, runtime):
        return found
    runtime = _files_of(runtime)
    if runtime == "onnx":
        raise InputError(f"{card.title} is not published for ONNX Runtime.", "Choose the runtime auto or torch.")
    if runtime == "torch" and card.network is None:
        raise InputError(f"{card.title} runs in ONNX Runtime only.", "Choose the runtime auto or onnx.")
    if not torch_is_here():
        raise MissingExtra(f"Running {card.title} in torch", "torch")
    raise InputError(f"{card.title} is not published for torch.", "Choose the runtime auto or onnx.")


def search(
    card: ModelCard,
    progress: Progress,
    digest: _Digest,
    extra: tuple[Path, ...],
    variants: tuple[Variant, ...],
) -> tuple[Weights | None, tuple[str, ...]]:
    """Look for any of several variants of a model; also return the warnings about files that were passed over.

    Raises
    ------
    ModelIntegrityError
        When nothing is found but a file in Gossamer's own folder that is not what it should be.
    """
    own = models_folder()
    faults: dict[Path, str] = {}
    damaged: ModelIntegrityError | None = None
    for variant in sorted(variants, key=lambda variant: variant.precision != "float32"):
        for file in candidates(variant, extra):
            if not os.path.exists(file):
                continue
            proof = known_proof(variant, file)
            wrong = _implausible(file, variant) if proof is None else fault(file, proof, progress, digest, card.id)
            if wrong is None:
                # Two variants can have one name: what is wrong as the one may be right as the other.
                faults.pop(file, None)
                warnings = tuple(f"{path} was passed over: it {reason}." for path, reason in faults.items())
                if memory := memory_fault():
                    warnings += (memory,)
                if proof is None:
                    warnings += (f"{file} is used unchecked: no digest of it is known on this machine.",)
                return Weights(card, variant, file, warnings), warnings
            if file.parent == own and file.name == variant.filename and damaged is None:
                damaged = ModelIntegrityError(
                    f"{file} is not {card.title} as it should be: it {wrong}.",
                    f"To fetch it again, type: gossamer models get {card.id} --force",
                )
            faults[file] = wrong
    if damaged is not None:
        raise damaged
    return None, tuple(f"{path} was passed over: it {reason}." for path, reason in faults.items())


def known_proof(variant: Variant, file: Path | None = None) -> Proof | None:
    """Return what shows that a file is this variant: the catalogue's digest, or else the publisher's.

    Hugging Face's cache names its files after the publisher's digest.
    """
    if proof := Proof.of(variant):
        return proof
    for source in variant.hugging_face:
        if said := published(source):
            return Proof(said.bytes, said.sha256)
    if file is not None and os.path.islink(file):
        blob = Path(os.readlink(file))
        if blob.parent.name == "blobs" and re.fullmatch(r"[0-9a-f]{64}", blob.name):
            return Proof(None, blob.name)
    return None


def fault(file: Path, proof: Proof, progress: Progress, digest: _Digest, model: str) -> str | None:
    """Return what is wrong with a file of weights, or None."""
    try:
        size = _size(file)
        if proof.bytes is not None and size != proof.bytes:
            return f"has {size} bytes instead of {proof.bytes}"
    except OSError as error:
        return f"could not be read ({error.strerror})"
    try:
        found = digest(file, progress, f"Checking {model}", proof.kind)
    except Unreadable as error:
        return f"could not be read ({error.reason})"
    if found != proof.digest:
        return f"has the {proof.label} {found[:12]}… instead of {proof.digest[:12]}…"
    return None


def _implausible(file: Path, variant: Variant) -> str | None:
    """Return what is wrong with a file of which nothing is known but about its size, or None."""
    try:
        size = _size(file)
    except OSError as error:
        return f"could not be read ({error.strerror})"
    if abs(size - variant.bytes) > 0.01 * variant.bytes:
        return f"has {size} bytes instead of about {variant.bytes}"
    return None


def _size(file: Path) -> int:
    """Return how many bytes a file has; OSError also for what is no file, such as a folder or a pipe."""
    status = file.stat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is not a file")
    return status.st_size
