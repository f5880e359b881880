"""What the catalogue can say of a model that is a folder, as the transformers package writes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import ConfigDict, Field

from gossamer.weights.card import FileName, HuggingFaceSource, Sha256, Variant

__all__ = ["FolderCard", "FolderFile", "Task"]

_FORBID = ConfigDict(extra="forbid", frozen=True)

Task: TypeAlias = Literal["prompting", "matting"]
"""What a model that is a folder does; all others find a picture's subject."""


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

    __pydantic_config__: ClassVar[ConfigDict] = _FORBID

    name: FileName
    bytes: Annotated[int, Field(ge=0)] = 0
    sha256: Sha256 | Literal[""] = ""
    text: str = ""


@dataclass(frozen=True)
class FolderCard:
    """A model that is a folder on Hugging Face, which transformers can load.

    Attributes
    ----------
    id, title : str
        Key and name for people; the key is also the folder's name in Gossamer's own folder.
    repo, revision : str
        Its repository there and the commit that has these files; or the pull request (``refs/pr/1``) that has them as
        safetensors where the repository itself has a pickle. Whoever wrote that can change it, so it is looked for,
        but takes a person to fetch.
    licence, licence_url : str
        As for :class:`ModelCard`.
    files : tuple of FolderFile
        What is fetched.
    task, family : str
        What it does, and which of ours loads it: ``grounding-dino``, ``sam2``, ``sam3``, ``vitmatte``.
    authors, homepage, good_for, metric, commercial
        As for :class:`ModelCard`.
    fetched : bool
        Whether ``auto`` fetches it where none of its family is installed.
    gated : bool
        Whether its terms must be agreed to on its page and a token be sent.
    tokenizer : bool
        Whether it cannot be used without the files of a tokenizer.
    comfyui : tuple of str
        Folders below ComfyUI's ``models`` in which node packs keep it under its repository's name.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _FORBID

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")]
    title: str
    repo: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")]
    revision: Annotated[str, Field(pattern=r"^([0-9a-f]{40}|refs/pr/\d+)$")]
    licence: str
    licence_url: Annotated[str, Field(pattern=r"^https://")]
    files: Annotated[tuple[FolderFile, ...], Field(min_length=1)]
    task: Task = "prompting"
    family: str = ""
    authors: str = ""
    homepage: str = ""
    commercial: bool = True
    good_for: str = ""
    metric: str = ""
    fetched: bool = False
    gated: bool = False
    tokenizer: bool = False
    comfyui: tuple[FileName, ...] = ()

    @property
    def name(self) -> str:
        """The repository's name without its owner."""
        return self.repo.partition("/")[2]

    @property
    def is_pinned(self) -> bool:
        """Whether its revision is a commit, which nobody can change: nothing else is fetched."""
        return "/" not in self.revision

    @property
    def bytes(self) -> int:
        """What is fetched in all, as far as it is known."""
        return sum(file.bytes for file in self.files)

    def source(self, file: FolderFile) -> HuggingFaceSource:
        """Return where one of its files is."""
        return HuggingFaceSource(repo=self.repo, revision=self.revision, filename=file.name, gated=self.gated)

    def variant(self, file: FolderFile) -> Variant:
        """Return one of its files in the words of a :class:`ModelCard`."""
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
