"""Models that are folders, as the transformers package writes them: found, fetched and checked."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeAlias

from gossamer.errors import DownloadError, ModelError, ModelIntegrityError, ModelNotFound
from gossamer.files import make_folder, move_into_place, share, write_bytes
from gossamer.paths import expanded
from gossamer.progress import Progress
from gossamer.spelling import did_you_mean
from gossamer.weights.card import HuggingFaceSource
from gossamer.weights.digests import checked_digest, file_digest
from gossamer.weights.fetch.delivery import locked
from gossamer.weights.fetch.download import ask, download
from gossamer.weights.fetch.publisher import address, credentials, in_words, page
from gossamer.weights.fetch.sources import attempts, obtain, origin
from gossamer.weights.fetch.transfer import Proof, Refused, SourceFailed, Transfer, megabytes, remove_quietly, writing
from gossamer.weights.folder_card import FolderCard, FolderFile
from gossamer.weights.folders import candidates, forbidding_switch, models_folder

__all__ = [
    "CONFIG",
    "WEIGHTS",
    "find_folder",
    "find_installed",
    "folder_path",
    "installed_folder",
    "model_folder",
    "to_fetch",
    "verify_folder",
]

CONFIG, WEIGHTS = "config.json", "model.safetensors"
_WEIGHTS = (WEIGHTS, f"{WEIGHTS}.index.json")
# Any of these is enough: transformers 5 writes the first alone, published folders have others too.
_TOKENIZERS = ("tokenizer.json", "vocab.txt", "vocab.json")
_Digest: TypeAlias = Callable[[Path, Progress, str, Literal["sha256", "md5"]], str]
_PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json")


def model_folder(
    model: str | Path,
    known: Sequence[FolderCard],
    what: str,
    *,
    progress: Progress,
    announce: Callable[[str], object],
    extra_folders: Iterable[Path] = (),
) -> tuple[str, Path]:
    """Return the name of a model of one kind and the folder that holds it, fetching it first where it is missing.

    Parameters
    ----------
    model : str or path
        ``"auto"`` (the first of the `known` that is installed), the id or repository of one of them, or a folder that
        ``save_pretrained`` wrote.
    known : sequence of FolderCard
        The best first.
    what : str
        What messages call the kind.
    progress, announce, extra_folders
        As for :func:`find_folder`.

    Raises
    ------
    ModelNotFound
        There is no such model or folder, a folder lacks files, or the model would have to be fetched and is not.
    ModelError
        A folder has its weights as a pickle only, which is not read.
    ModelIntegrityError, DownloadError, OutputError
        As :func:`find_folder`.
    """
    chosen, extra = _chosen(model, known), tuple(extra_folders)
    if not chosen:
        folder = expanded(model)
        if not os.path.isdir(folder):  # False, too, for what no folder can be named
            close = did_you_mean(str(model), [one.id for one in known])
            raise ModelNotFound(
                f"There is no {what} model and no folder {str(folder)!r}.",
                f"{close}Give a folder that save_pretrained wrote (hf download makes one of a repository), or one of: "
                f"auto, {', '.join(one.id for one in known)}.",
            )
        return folder.name, _complete(folder, tokenizer=known[0].tokenizer)
    found = installed_folder(model, known, progress=progress, extra_folders=extra)
    if found is not None:
        return found
    one = _fetched(model, chosen)
    return one.id, find_folder(one, progress=progress, announce=announce, extra_folders=extra)


def to_fetch(model: str | Path, known: Sequence[FolderCard], *, progress: Progress) -> FolderCard | None:
    """Return the published model that :func:`model_folder` would fetch; None where it would fetch nothing.

    Parameters and errors are those of :func:`installed_folder`.
    """
    chosen = _chosen(model, known)
    if not chosen or installed_folder(model, known, progress=progress) is not None:
        return None
    one = _fetched(model, chosen)
    return one if one.is_pinned else None


def installed_folder(
    model: str | Path,
    known: Sequence[FolderCard],
    *,
    progress: Progress,
    extra_folders: Iterable[Path] = (),
) -> tuple[str, Path] | None:
    """Return name and folder of the first published model that is meant and installed, or None; fetches nothing.

    Parameters
    ----------
    model, known, progress, extra_folders
        As for :func:`model_folder`.

    Raises
    ------
    ModelIntegrityError
        A file in Gossamer's own folder has the wrong content.
    """
    extra = tuple(extra_folders)
    for one in _chosen(model, known):
        found = _installed(one, progress, extra)
        if found is not None:
            return one.id, found
    return None


def find_installed(published: FolderCard, *, progress: Progress, extra_folders: Iterable[Path] = ()) -> Path | None:
    """Return the folder that holds a published model, or None; fetches nothing; raises ModelIntegrityError."""
    return _installed(published, progress, tuple(extra_folders))


def folder_path(published: FolderCard) -> Path:
    """Return the folder that holds a published model; raises ModelNotFound where none does, ModelIntegrityError."""
    found = _installed(published, Progress(), ())
    if found is None:
        raise _absent(published)
    return found


def find_folder(
    published: FolderCard,
    *,
    progress: Progress,
    announce: Callable[[str], object],
    extra_folders: Iterable[Path] = (),
) -> Path:
    """Return the folder that holds a published model, fetching it first where it is missing.

    Looked for in Gossamer's own folder, ``$GOSSAMER_MODEL_PATH``, ComfyUI's model folders, the Hugging Face cache
    (its own revision first) and `extra_folders`. What lies in Gossamer's own folder is compared with its digests
    once; folders of other programs may hold other revisions.

    Parameters
    ----------
    published : FolderCard
    progress : Progress
    announce : callable
        Told in one line what is fetched from where, how large and under which licence, before each attempt.
    extra_folders : iterable of pathlib.Path, optional

    Raises
    ------
    ModelNotFound
        It would have to be fetched, and ``GOSSAMER_OFFLINE`` or ``HF_HUB_OFFLINE`` forbids that, or only a pull
        request has it as safetensors.
    ModelError
        It is here as such a pickle.
    ModelIntegrityError
        A file in Gossamer's own folder has the wrong content.
    DownloadError, OutputError
        It could not be fetched (for a gated one: how to get access), or not be written.
    """
    extra = tuple(extra_folders)
    found = _installed(published, progress, extra)
    if found is not None:
        return found
    if not published.is_pinned:
        for folder in _places(published, extra):
            if _is_pickled(folder):
                raise _pickled(folder, by_hand(published))
        raise ModelNotFound(
            f"{published.title} is published as a pickle only, which is not fetched.", by_hand(published)
        )
    if switch := forbidding_switch():
        raise ModelNotFound(f"{published.title} would have to be fetched, and {switch} forbids it.", by_hand(published))
    return _fetch(published, progress, announce)


def verify_folder(published: FolderCard, *, progress: Progress) -> Path:
    """Read a published model's files in full and compare them with the catalogue, whatever was remembered of them.

    Raises
    ------
    ModelNotFound
        It is not on this machine.
    ModelIntegrityError
        A file has the wrong content.
    """
    for folder in _places(published, ()):
        if not _missing(folder, published.tokenizer):
            _verify(published, folder, progress, file_digest)
            return folder
    raise _absent(published)


def by_hand(published: FolderCard) -> str:
    """Return how to fetch a published model without Gossamer's help."""
    files = " ".join(file.name for file in published.files)
    terms = f"agree to the terms at https://huggingface.co/{published.repo}, then " if published.gated else ""
    into = models_folder() / published.id
    return (
        f"Where there is a network {terms}type: hf download {published.repo} {files} --revision {published.revision} "
        f"--local-dir {into}"
    )


def _absent(published: FolderCard) -> ModelNotFound:
    return ModelNotFound(
        f"{published.title} is not on this machine.", f"To fetch it, type: gossamer models get {published.id}"
    )


def _chosen(model: str | Path, known: Sequence[FolderCard]) -> list[FolderCard]:
    return [one for one in known if str(model) in ("auto", one.id, one.repo)]


def _fetched(model: str | Path, chosen: Sequence[FolderCard]) -> FolderCard:
    return next(one for one in chosen if str(model) != "auto" or one.fetched)


def _places(published: FolderCard, extra: Iterable[Path]) -> list[Path]:
    """Return the folders that may hold a published model, the preferred first."""
    config = published.variant(FolderFile(CONFIG))
    return list(dict.fromkeys(file.parent for file in candidates(config, extra)))


def _installed(published: FolderCard, progress: Progress, extra: Iterable[Path]) -> Path | None:
    for folder in _places(published, extra):
        if not _missing(folder, published.tokenizer):
            if folder == models_folder() / published.id:
                _verify(published, folder, progress)
            return folder
    return None


def _complete(folder: Path, *, tokenizer: bool) -> Path:
    """Return a folder that somebody gave, having looked whether it can be loaded."""
    missing = _missing(folder, tokenizer)
    if not missing:
        return folder
    if missing == WEIGHTS and _is_pickled(folder):
        raise _pickled(folder, "Save it again with save_pretrained of transformers, which writes safetensors.")
    raise ModelNotFound(f"{folder} holds no {missing}.", "Give a folder that save_pretrained of transformers wrote.")


def _is_pickled(folder: Path) -> bool:
    return any(os.path.isfile(folder / name) for name in _PICKLES)


def _pickled(folder: Path, remedy: str) -> ModelError:
    return ModelError(f"{folder} has its weights as a pickle only, which is not read.", remedy)


def _missing(folder: Path, tokenizer: bool) -> str:
    """Return the name of a file that a folder lacks, or ""."""
    needs: list[Collection[str]] = [(CONFIG,), _WEIGHTS, *([_TOKENIZERS] if tokenizer else [])]
    for names in needs:
        if not any(os.path.isfile(folder / name) for name in names):
            return next(iter(names))
    return ""


def _verify(published: FolderCard, folder: Path, progress: Progress, digest: _Digest = checked_digest) -> None:
    for one in published.files:
        file = folder / one.name
        if not file.is_file():  # of a tokenizer that is here in another form
            continue
        wrong = bool(one.bytes) and file.stat().st_size != one.bytes
        if wrong or (one.sha256 and digest(file, progress, f"Checking {published.id}", "sha256") != one.sha256):
            raise ModelIntegrityError(f"{file} has not the content that it should have.", f"Delete {folder}.")


def _fetch(published: FolderCard, progress: Progress, announce: Callable[[str], object]) -> Path:
    folder = models_folder() / published.id
    writing(folder.parent, make_folder, folder.parent)
    writing(folder, make_folder, folder)
    with locked(published.id, folder.parent, progress):
        total = published.bytes or 1
        done = 0
        # The configuration last: a folder that has it is complete.
        for file in sorted(published.files, key=lambda one: one.name == CONFIG):
            part = progress.part(min(1.0, done / total), min(1.0, (done + file.bytes) / total))
            if not (folder / file.name).is_file() and file.text:
                write_bytes(folder / file.name, file.text.encode(), force=True)
            elif not (folder / file.name).is_file():
                _obtain_any(published, file, folder, part, announce)
            done += file.bytes
    _verify(published, folder, progress)
    return folder


def _obtain_any(
    published: FolderCard, file: FolderFile, folder: Path, progress: Progress, announce: Callable[[str], object]
) -> None:
    """Fill one file from the mirror or from Hugging Face; large ones are announced."""
    variant = published.variant(file)
    part = folder / f"{file.name}.part"
    transfer = Transfer(published.id, variant, part, progress, Proof.of(variant))
    failures: list[str] = []
    for _, source in attempts([variant]):
        if file.name.endswith(".safetensors"):
            before = f"{failures[-1]}. " if failures else ""
            size, licence = megabytes(file.bytes), f"licence {published.licence}, {published.licence_url}"
            announce(f"{before}Fetching {published.title} ({size}, {licence}) from {origin(source)}")
        try:
            if transfer.proof is None and isinstance(source, HuggingFaceSource):
                _obtain_small(source, transfer)
            else:
                obtain(source, transfer)
            share(part)
            writing(folder, move_into_place, part, folder / file.name, force=True)
            return
        except SourceFailed as error:
            failures.append(f"{origin(source)}: {error}")
    remedy = by_hand(published)
    if published.gated:
        remedy = f"{remedy} (its page: {page(published.source(file))})"
    raise DownloadError(f"{published.title} could not be fetched: {file.name}: {'; '.join(failures)}.", remedy)


def _obtain_small(source: HuggingFaceSource, transfer: Transfer) -> None:
    """Fetch a file whose digest Hugging Face alone knows: of text files it is that of git, of large ones SHA-256."""
    url = address(source)
    try:
        _, head = ask(url, credentials(url), transfer.progress)
        tag = (head.get("X-Linked-Etag") or head.get("ETag") or "").removeprefix("W/").strip('"')
        if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", tag):
            raise SourceFailed("does not say which bytes the file should have, so it could not be checked")
        if len(tag) == 64:
            obtain(source, replace(transfer, proof=Proof(None, tag)))
            return
        download(url, transfer, credentials(url))
    except Refused as error:
        raise SourceFailed(in_words(error, source)) from error
    content = transfer.part.read_bytes()
    # What git calls a file: SHA-1 of its size and its content.
    if hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest() != tag:
        remove_quietly(transfer.part)
        raise SourceFailed(f"sends other bytes (git {tag[:12]}…)")
