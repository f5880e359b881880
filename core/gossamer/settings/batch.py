"""How a batch goes: what its outputs are called, and what happens to those that the checks flag."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from gossamer.settings.base import Settings

__all__ = ["SUFFIXES", "Batch", "Cluster", "EngineName", "OnFlag", "OutputFormat"]

OutputFormat: TypeAlias = Literal["png", "webp", "tiff", "jpeg"]
OnFlag: TypeAlias = Literal["keep", "retry", "set-aside"]
EngineName: TypeAlias = Literal["local", "ray"]

SUFFIXES = {"png": ".png", "webp": ".webp", "tiff": ".tif", "jpeg": ".jpg"}
"""What the outputs of a format end in."""


class Batch(Settings):
    """What is true of all pictures of a batch beside their recipe."""

    format: Annotated[
        OutputFormat,
        Field(
            title="Format",
            description="What is written; jpeg needs a background.",
            json_schema_extra={"flat": "format"},
        ),
    ] = "png"
    name: Annotated[
        str,
        Field(
            title="Name",
            description="How outputs are called, below the folder that mirrors the source's: {stem} and {kind} (jpg) "
            "of the source, {suffix} of the format, {root} (the folder that was given), {number}, and the columns of "
            "a manifest. With / they go into folders.",
            json_schema_extra={"remedy": "Give e.g. {stem}-cutout{suffix}"},
        ),
    ] = "{stem}{suffix}"
    flat: Annotated[
        bool,
        Field(
            title="Flat", description="Put all outputs into one folder instead of mirroring the folders of the sources."
        ),
    ] = False
    shadow_layer: Annotated[
        bool,
        Field(
            title="Shadow's layer",
            description="Write the photograph's own shadow beside each cut-out, which is without it then: black with "
            "its alpha, to lie beneath. It is called like the cut-out, with -shadow before the suffix; where the "
            "background is not plain there is none.",
        ),
    ] = False
    check: Annotated[
        bool,
        Field(
            title="Check",
            description="Check every cut-out without knowing the truth: a score, and flags for what may be wrong.",
        ),
    ] = True
    on_flag: Annotated[
        OnFlag,
        Field(
            title="On a flag",
            description="What happens to a cut-out in which the checks find a fault. keep: the journal tells it; "
            "retry: better and slower recipes are tried in turn (detail, matting, another installed model) and the "
            "best by the checks is kept; set-aside: it goes into the folder set-aside.",
        ),
    ] = "keep"


class Cluster(Settings):
    """Who does the work of a batch: this process, or the processes of a cluster."""

    engine: Annotated[
        EngineName,
        Field(
            title="Engine",
            description="local: this process; ray: the processes of a cluster that Ray runs, on this machine or many.",
            json_schema_extra={"flat": "engine"},
        ),
    ] = "local"
    address: Annotated[
        str,
        Field(
            title="Address",
            description="Of the cluster for the engine ray: HOST:PORT or auto; nothing makes one of "
            "this machine alone, for this batch.",
            json_schema_extra={"flat": "address"},
        ),
    ] = ""
    workers: Annotated[
        int,
        Field(
            ge=0,
            le=100_000,
            title="Workers",
            description="How many processes the cluster may use at most, each with a warm model; 0 as many as fit.",
            json_schema_extra={"flat": "workers"},
        ),
    ] = 0
    worker_cpus: Annotated[
        float,
        Field(
            ge=0,
            le=1024,
            title="Cores a worker",
            description="How many cores a worker of the cluster takes; 0 all of the smallest machine.",
            json_schema_extra={"flat": "worker_cpus"},
        ),
    ] = 0.0
    worker_gpus: Annotated[
        float,
        Field(
            ge=0,
            le=64,
            title="GPUs a worker",
            description="How many GPUs a worker of the cluster takes; parts of one are possible.",
            json_schema_extra={"flat": "worker_gpus"},
        ),
    ] = 0.0
