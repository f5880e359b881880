"""Models that are folders, as the transformers package writes them: found, fetched and checked."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from gossamer.errors import DownloadError, ModelError, ModelIntegrityError, ModelNotFound
from gossamer.models.card import HuggingFaceSource, Variant
from gossamer.models.download import ask, download
from gossamer.models.fetching import locked
from gossamer.models.folders import candidates, forbidding_switch, models_folder
from gossamer.models.publisher import address, credentials, in_words, page
from gossamer.models.sources import attempts, obtain, origin
from gossamer.models.transfer import Proof, Refused, SourceFailed, Transfer, megabytes, remove_quietly, writing
from gossamer.models.verified import checked_digest
from gossamer.progress import Progress

__all__ = ["CONFIG", "FolderFile", "PublishedFolder", "find_folder", "own_folder"]

CONFIG = "config.json"
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
# Any of these is enough: transformers 5 writes the first alone, published folders have others too.
_TOKENIZERS = ("tokenizer.json", "vocab.txt", "vocab.json")
_PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json")


@dataclass(frozen=True)
class FolderFile:
    """One file of a published folder.

    Attributes
    ----------
    name : str
    bytes : int
        Its size; 0 where that is not known.
    sha256 : str
        Empty where only Hugging Face can tell: it is then asked at the download.
    """

    name: str
    bytes: int = 0
    sha256: str = ""


@dataclass(frozen=True)
class PublishedFolder:
    """A folder on Hugging Face that transformers can load.

    Attributes
    ----------
    id, title : str
        Key and name for people; the key is also the folder's name in Gossamer's own folder.
    repo, revision : str
        Its repository there and the commit that has these files.
    licence, licence_url : str
    files : tuple of FolderFile
        What is fetched.
    gated : bool
        Whether its terms must be agreed to on its page and a token be sent.
    tokenizer : bool
        Whether it cannot be used without the files of a tokenizer.
    comfyui : tuple of str
        Folders below ComfyUI's ``models`` in which node packs keep it under its repository's name.
    """

    id: str
    title: str
    repo: str
    revision: str
    licence: str
    licence_url: str
    files: tuple[FolderFile, ...]
    gated: bool = False
    tokenizer: bool = False
    comfyui: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The repository's name without its owner."""
        return self.repo.partition("/")[2]

    @property
    def bytes(self) -> int:
        """What is fetched in all, as far as it is known."""
        return sum(file.bytes for file in self.files)

    @property
    def by_hand(self) -> str:
        """How to fetch it without Gossamer's help."""
        files = " ".join(file.name for file in self.files)
        terms = f"agree to the terms at https://huggingface.co/{self.repo}, then " if self.gated else ""
        into = models_folder() / self.id
        return (
            f"Where there is a network {terms}type: hf download {self.repo} {files} --revision {self.revision} "
            f"--local-dir {into}"
        )

    def source(self, file: FolderFile) -> HuggingFaceSource:
        """Return where one of its files is."""
        return HuggingFaceSource(repo=self.repo, revision=self.revision, filename=file.name, gated=self.gated)

    def variant(self, file: FolderFile) -> Variant:
        """Return one of its files in the catalogue's words."""
        return Variant(
            filename=f"{self.id}/{file.name}",
            precision="float32",
            bytes=file.bytes,
            exact=bool(file.bytes),
            sha256=file.sha256 or None,
            aliases=(f"{self.name}/{file.name}",),
            elsewhere=tuple(f"{folder}/{self.name}/{file.name}" for folder in self.comfyui),
            sources=(self.source(file),),
        )


def find_folder(
    published: PublishedFolder,
    *,
    progress: Progress,
    announce: Callable[[str], object],
    extra_folders: Iterable[Path] = (),
    fetch: bool = True,
) -> Path | None:
    """Return the folder that holds a published model, fetching it first where it is missing.

    Looked for in Gossamer's own folder, ``$GOSSAMER_MODEL_PATH``, ComfyUI's model folders, the Hugging Face cache
    (its own revision first) and `extra_folders`. What lies in Gossamer's own folder is compared with its digests
    once; folders of other programs may hold other revisions.

    Parameters
    ----------
    published : PublishedFolder
    progress : Progress
    announce : callable
        Told in one line what is fetched from where, how large and under which licence, before each attempt.
    extra_folders : iterable of pathlib.Path, optional
    fetch : bool
        Otherwise None is returned where no folder has it.

    Raises
    ------
    ModelNotFound
        It would have to be fetched, and ``GOSSAMER_OFFLINE`` or ``HF_HUB_OFFLINE`` forbids that.
    ModelIntegrityError
        A file in Gossamer's own folder has the wrong content.
    DownloadError, OutputError
        It could not be fetched (for a gated one: how to get access), or not be written.
    """
    config = published.variant(FolderFile(CONFIG))
    for folder in dict.fromkeys(file.parent for file in candidates(config, extra_folders)):
        if not _missing(folder, published.tokenizer):
            if folder == models_folder() / published.id:
                _verify(published, folder, progress)
            return folder
    if not fetch:
        return None
    if switch := forbidding_switch():
        raise ModelNotFound(f"{published.title} would have to be fetched, and {switch} forbids it.", published.by_hand)
    return _fetch(published, progress, announce)


def own_folder(folder: Path, *, tokenizer: bool = False) -> Path:
    """Return a folder that somebody gave, having looked whether it can be loaded.

    Raises
    ------
    ModelNotFound
        It is no folder, or lacks files.
    ModelError
        It has its weights as a pickle only, which is not read.
    """
    if not folder.is_dir():
        raise ModelNotFound(f"There is no folder {str(folder)!r}.", "Give a folder that save_pretrained wrote.")
    missing = _missing(folder, tokenizer)
    if not missing:
        return folder
    if missing == _WEIGHTS[0] and any((folder / name).is_file() for name in _PICKLES):
        raise ModelError(
            f"{folder} has its weights as a pickle only, which is not read.",
            "Save it again with save_pretrained of transformers, which writes safetensors.",
        )
    raise ModelNotFound(f"{folder} holds no {missing}.", "Give a folder that save_pretrained of transformers wrote.")


def _missing(folder: Path, tokenizer: bool) -> str:
    """Return the name of a file that a folder lacks, or ""."""
    needs: list[Collection[str]] = [(CONFIG,), _WEIGHTS, *([_TOKENIZERS] if tokenizer else [])]
    for names in needs:
        if not any((folder / name).is_file() for name in names):
            return next(iter(names))
    return ""


def _verify(published: PublishedFolder, folder: Path, progress: Progress) -> None:
    for one in published.files:
        file = folder / one.name
        if not file.is_file():  # of a tokenizer that is here in another form
            continue
        wrong = bool(one.bytes) and file.stat().st_size != one.bytes
        if wrong or (one.sha256 and checked_digest(file, progress, f"Checking {published.id}") != one.sha256):
            raise ModelIntegrityError(f"{file} has not the content that it should have.", f"Delete {folder}.")


def _fetch(published: PublishedFolder, progress: Progress, announce: Callable[[str], object]) -> Path:
    folder = models_folder() / published.id
    writing(folder, folder.mkdir, parents=True, exist_ok=True)
    with locked(published.id, folder.parent, progress):
        total = published.bytes or 1
        done = 0
        # The configuration last: a folder that has it is complete.
        for file in sorted(published.files, key=lambda one: one.name == CONFIG):
            part = progress.part(min(1.0, done / total), min(1.0, (done + file.bytes) / total))
            if not (folder / file.name).is_file():
                _obtain_any(published, file, folder, part, announce)
            done += file.bytes
    _verify(published, folder, progress)
    return folder


def _obtain_any(
    published: PublishedFolder, file: FolderFile, folder: Path, progress: Progress, announce: Callable[[str], object]
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
            writing(folder, os.replace, part, folder / file.name)
            return
        except SourceFailed as error:
            failures.append(f"{origin(source)}: {error}")
    remedy = published.by_hand
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
