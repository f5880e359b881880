"""Catalogue cards of small made-up weights."""

from __future__ import annotations

import hashlib
import random

from gossamer.weights.catalogue import ModelCard, Source, UrlSource, Variant, load_catalogue


def content(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)  # noqa: S311


def variant(data: bytes, *sources: Source, name: str = "tiny.onnx", precision: str = "float32") -> Variant:
    return Variant(
        filename=name,
        precision=precision,
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        sources=sources,
    )


def card(
    *variants: Variant, model: str = "tiny", licence: str = "CC0-1.0", network: str | None = "u2netp"
) -> ModelCard:
    real = load_catalogue()["u2netp"]
    return ModelCard(
        id=model,
        title="Tiny test model",
        authors="nobody",
        homepage="https://example.invalid",
        architecture="u2net",
        licence=licence,
        licence_url="https://example.invalid/licence",
        commercial=licence == "CC0-1.0",
        good_for="tests",
        subjects=("general",),
        cost="tiny",
        network=network,
        input=real.input,
        output=real.output,
        weights=variants,
    )


def url_card(data: bytes, *urls: str) -> ModelCard:
    return card(variant(data, *(UrlSource(url=url) for url in urls)))
