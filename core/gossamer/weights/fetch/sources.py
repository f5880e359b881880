"""The sources of weights: which are tried, what they are called, and how each is used."""

from __future__ import annotations

import os
import re
import urllib.parse
from collections.abc import Iterable, Iterator
from dataclasses import replace

from gossamer.weights.catalogue import (
    HuggingFaceSource,
    ModelCard,
    NpmSource,
    PipSource,
    Source,
    UrlSource,
    Variant,
)
from gossamer.weights.digests import Published, file_digest, remember_published
from gossamer.weights.fetch.download import download
from gossamer.weights.fetch.packages import from_npm, from_pip
from gossamer.weights.fetch.publisher import address, address_by_hand, credentials, in_words, said_by_publisher
from gossamer.weights.fetch.transfer import Proof, Refused, SourceFailed, Transfer, remove_quietly
from gossamer.weights.folders import models_folder
from gossamer.weights.secrets import without_secrets

__all__ = ["attempts", "by_hand", "obtain", "origin"]


def attempts(variants: Iterable[Variant]) -> Iterator[tuple[Variant, Source]]:
    """Yield all that can be tried to fetch one of several variants.

    ``$GOSSAMER_MIRROR`` comes first: one or more addresses, with a comma or a space between them. What only its
    publisher can vouch for is not asked of a mirror.
    """
    variants = tuple(variants)
    for mirror in re.split(r"[,\s]+", os.environ.get("GOSSAMER_MIRROR", "")):
        if mirror:
            for variant in variants:
                if Proof.of(variant):
                    yield variant, UrlSource(url=f"{mirror.rstrip('/')}/{variant.filename}")
    for variant in variants:
        for source in variant.sources:
            yield variant, source


def obtain(source: Source, transfer: Transfer) -> Proof:
    """Fill the transfer's part from one source with the right bytes; return what they were compared with."""
    part, commit = transfer.part, ""
    if isinstance(source, HuggingFaceSource):
        said = _agreed(source, transfer)
        if said is not None:
            remember_published(source, said)
            transfer, commit = replace(transfer, proof=Proof(said.bytes, said.sha256)), said.commit
    proof = transfer.proof
    if proof is None:
        raise SourceFailed("does not say which bytes the file should have, so it could not be checked")
    while True:
        resumed = part.exists()
        _fill(source, transfer, commit)
        digest = file_digest(part, transfer.progress.part(1.0, 1.0), f"Checking {transfer.model}", proof.kind)
        if digest == proof.digest:
            return proof
        remove_quietly(part)
        if not resumed:
            raise SourceFailed(f"sends other bytes ({proof.label} {digest[:12]}…)")


def _agreed(source: HuggingFaceSource, transfer: Transfer) -> Published | None:
    """Return what the publisher says of the file; SourceFailed where that contradicts the catalogue.

    So a file that was replaced is known before it is fetched, not after.
    """
    said = said_by_publisher(source, transfer.progress)
    proof = transfer.proof
    if said is not None and proof is not None and proof.kind == "sha256" and proof.digest != said.sha256:
        raise SourceFailed(f"has another file now (SHA-256 {said.sha256[:12]}…)")
    return said


def _fill(source: Source, transfer: Transfer, commit: str) -> None:
    match source:
        case PipSource():
            from_pip(source, transfer)
        case NpmSource():
            from_npm(source, transfer)
        case UrlSource():
            download(source.url, transfer)
        case HuggingFaceSource():
            # What was asked about is what is fetched, also when the branch moves on meanwhile.
            url = address(source, commit)
            try:
                download(url, transfer, credentials(url))
            except Refused as error:
                raise SourceFailed(in_words(error, source)) from error


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
            return _host(source.url)


def _host(url: str) -> str:
    try:
        return urllib.parse.urlsplit(url).hostname or without_secrets(url)
    except ValueError:
        return without_secrets(url)


def by_hand(card: ModelCard, variants: Iterable[Variant] | None = None) -> str:
    """Return how to install a model, or one of some of its variants, without Gossamer's help."""
    folder = models_folder()
    variants = tuple(variants or card.weights)
    for variant in variants:
        for source in variant.sources:
            if isinstance(source, UrlSource | HuggingFaceSource):
                url = source.url if isinstance(source, UrlSource) else address_by_hand(source)
                return f"Download {without_secrets(url)} and put it as {variant.filename} into {folder}"
    names = " or ".join(variant.filename for variant in variants)
    return f"Copy {names} from a machine that has it into {folder}"
