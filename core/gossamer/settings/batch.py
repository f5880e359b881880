"""How a batch goes: what its outputs are called, and what happens to those that the checks flag."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from gossamer.settings.base import Settings

__all__ = ["SUFFIXES", "Batch", "OnFlag", "OutputFormat"]

OutputFormat: TypeAlias = Literal["png", "webp", "tiff", "jpeg"]
OnFlag: TypeAlias = Literal["keep", "retry", "set-aside"]

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
