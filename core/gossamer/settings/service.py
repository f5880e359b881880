"""How the HTTP service listens, and what it takes from strangers."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gossamer.settings.base import Settings

__all__ = ["Service"]


class Service(Settings):
    """What is true of a whole service, beside what each request asks for."""

    host: Annotated[
        str,
        Field(
            title="Host",
            description="The address to listen at. Only a loopback address works without keys.",
        ),
    ] = "127.0.0.1"
    port: Annotated[
        int,
        Field(ge=0, le=65535, title="Port", description="The port to listen at; 0: any that is free."),
    ] = 7860
    keys: Annotated[
        str,
        Field(
            title="Keys",
            description="A file with a line name:key or name:hash for everyone who may use the service; gossamer keys "
            "new NAME makes one. Without it everyone on this machine may.",
        ),
    ] = ""
    models: Annotated[
        str,
        Field(
            title="Models",
            description="The models that requests may ask for, ids with commas between them; installed: all whose "
            "weights are on this machine. Nothing is ever fetched for a request.",
        ),
    ] = "installed"
    model: Annotated[
        str,
        Field(title="Model", description="What a request gets that names no model: an id, or auto."),
    ] = "auto"
    max_mb: Annotated[
        int,
        Field(
            ge=1,
            le=4096,
            title="Largest request",
            description="Larger requests are refused while they arrive.",
            json_schema_extra={"unit": "MB (1,000,000 bytes)"},
        ),
    ] = 64
    max_megapixels: Annotated[
        int,
        Field(
            ge=1,
            le=300,
            title="Largest picture",
            description="Larger pictures are refused before they are decoded.",
            json_schema_extra={"unit": "million pixels"},
        ),
    ] = 50
    max_seconds: Annotated[
        float,
        Field(
            ge=0.1,
            le=86_400.0,
            title="Longest work",
            description="Work on a request that takes longer is stopped.",
            json_schema_extra={"unit": "s"},
        ),
    ] = 300.0
    queue: Annotated[
        int,
        Field(
            ge=1,
            le=10_000,
            title="Queue",
            description="How many requests may wait for their turn; the next one is told when to come again.",
        ),
    ] = 64
    rate: Annotated[
        int,
        Field(
            ge=0,
            le=1_000_000,
            title="Rate",
            description="How many cut-outs one key may ask for in a minute; 0: any number.",
        ),
    ] = 0
    workers: Annotated[
        int,
        Field(
            ge=1,
            le=64,
            title="Workers",
            description="How many processes work on pictures. 1: the service's own, on two pictures at once and on all "
            "cores; more: as many, each on one picture, with networks of its own and its part of the cores.",
        ),
    ] = 1
    batch: Annotated[
        int,
        Field(
            ge=0,
            le=64,
            title="Batch",
            description="How many pictures go through a network at once, where so many wait for it; 0: 4 on a graphics "
            "card, and 1 on processors, which gain nothing by it. Not for several workers.",
        ),
    ] = 0
    urls: Annotated[
        bool,
        Field(
            title="Addresses",
            description="Fetch pictures from the addresses that requests name (image_url, bg_image_url), public ones "
            "alone. Without it they are refused.",
        ),
    ] = False
    max_fetch_seconds: Annotated[
        float,
        Field(
            ge=0.1,
            le=600.0,
            title="Longest fetch",
            description="Fetching a picture from an address that takes longer is given up.",
            json_schema_extra={"unit": "s"},
        ),
    ] = 20.0
