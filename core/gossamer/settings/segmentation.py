"""How the model looks for the subject."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gossamer.settings.base import Settings

__all__ = ["Segmentation"]


class Segmentation(Settings):
    """How the model looks for the subject."""

    detail: Annotated[
        bool,
        Field(
            title="Detail",
            description="Look at uncertain edges again, closer, in tiles: finer edges where the picture is larger than "
            "the model sees it; several times slower. With the quality best it happens unless it is turned off.",
        ),
    ] = False
    flips: Annotated[
        bool,
        Field(
            title="Flips",
            description="Take the mean with the mask of the mirrored picture: less noise, twice the time.",
        ),
    ] = False
    resolution: Annotated[
        int,
        Field(
            ge=0,
            le=2560,
            multiple_of=32,
            title="Process resolution",
            description="Side of the square in which the model sees the picture, a multiple of 32; 0: the size that "
            "its authors chose, which is usually best. Models that keep the aspect ratio take it as the limit of the "
            "longer side, MODNet as the shorter side.",
            json_schema_extra={"unit": "px"},
        ),
    ] = 0

    def looks_closer(self, best: bool) -> bool:
        """Return whether edges are looked at again: as it was said, else where the `best` quality is asked for."""
        return self.detail or (best and "detail" not in self.model_fields_set)
