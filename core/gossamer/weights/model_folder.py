"""Models that are folders, as the transformers package writes them: found, fetched and checked."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gossamer.errors import DownloadError, ModelError, ModelIntegrityError, ModelNotFound
from gossamer.progress import Progress
from gossamer.weights.card import HuggingFaceSource, Variant
from gossamer.weights.digests import checked_digest
from gossamer.weights.fetch.delivery import locked
from gossamer.weights.fetch.download import ask, download
from gossamer.weights.fetch.publisher import address, credentials, in_words, page
from gossamer.weights.fetch.sources import attempts, obtain, origin
from gossamer.weights.fetch.transfer import Proof, Refused, SourceFailed, Transfer, megabytes, remove_quietly, writing
from gossamer.weights.folders import candidates, forbidding_switch, models_folder

__all__ = ["CONFIG", "WEIGHTS", "FolderFile", "PublishedFolder", "find_folder", "installed_folder", "model_folder"]

CONFIG, WEIGHTS = "config.json", "model.safetensors"
_WEIGHTS = (WEIGHTS, f"{WEIGHTS}.index.json")
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
    text : str
        What it says, where that is known without fetching it: it is then written.
    """

    name: str
    bytes: int = 0
    sha256: str = ""
    text: str = ""


@dataclass(frozen=True)
class PublishedFolder:
    """A folder on Hugging Face that transformers can load.

    Attributes
    ----------
    id, title : str
        Key and name for people; the key is also the folder's name in Gossamer's own folder.
    repo, revision : str
        Its repository there and the commit that has these files; or the pull request (``refs/pr/1``) that has them as
        safetensors where the repository itself has a pickle. Whoever wrote that can change it, so it is looked for,
        but takes a person to fetch.
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
    def is_fetched(self) -> bool:
        """Whether its revision is a commit, which nobody can change."""
        return "/" not in self.revision

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


def model_folder(
    model: str | Path,
    known: Sequence[PublishedFolder],
    automatic: str,
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
    known : sequence of PublishedFolder
        The best first.
    automatic : str
        The id of what ``auto`` fetches where none is installed.
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
        folder = Path(model).expanduser()
        if not folder.is_dir():
            raise ModelNotFound(
                f"There is no {what} model and no folder {str(folder)!r}.",
                "Give a folder that save_pretrained wrote (hf download makes one of a repository), or one of: auto, "
                f"{', '.join(one.id for one in known)}.",
            )
        return folder.name, _complete(folder, tokenizer=known[0].tokenizer)
    found = installed_folder(model, known, progress=progress, extra_folders=extra)
    if found is not None:
        return found
    one = next(one for one in chosen if str(model) != "auto" or one.id == automatic)
    return one.id, find_folder(one, progress=progress, announce=announce, extra_folders=extra)


def installed_folder(
    model: str | Path,
    known: Sequence[PublishedFolder],
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


def find_folder(
    published: PublishedFolder,
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
    published : PublishedFolder
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
    if not published.is_fetched:
        for folder in _places(published, extra):
            if _is_pickled(folder):
                raise _pickled(folder, published.by_hand)
        raise ModelNotFound(
            f"{published.title} is published as a pickle only, which is not fetched.", published.by_hand
        )
    if switch := forbidding_switch():
        raise ModelNotFound(f"{published.title} would have to be fetched, and {switch} forbids it.", published.by_hand)
    return _fetch(published, progress, announce)


def _chosen(model: str | Path, known: Sequence[PublishedFolder]) -> list[PublishedFolder]:
    return [one for one in known if str(model) in ("auto", one.id, one.repo)]


def _places(published: PublishedFolder, extra: Iterable[Path]) -> list[Path]:
    """Return the folders that may hold a published model, the preferred first."""
    config = published.variant(FolderFile(CONFIG))
    return list(dict.fromkeys(file.parent for file in candidates(config, extra)))


def _installed(published: PublishedFolder, progress: Progress, extra: Iterable[Path]) -> Path | None:
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
    return any((folder / name).is_file() for name in _PICKLES)


def _pickled(folder: Path, remedy: str) -> ModelError:
    return ModelError(f"{folder} has its weights as a pickle only, which is not read.", remedy)


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
            if not (folder / file.name).is_file() and file.text:
                writing(folder, (folder / file.name).write_text, file.text, "utf-8")
            elif not (folder / file.name).is_file():
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
