"""When a model that was trained is good enough to be used."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gossamer.settings.base import Settings

__all__ = ["Promotion"]


class Promotion(Settings):
    """What a trained model has to prove, and how that is measured."""

    general_loss: Annotated[
        float,
        Field(
            ge=0.0,
            le=100.0,
            title="General loss",
            description="How much worse than before its weighted F may be on the general set.",
            json_schema_extra={"unit": "%"},
        ),
    ] = 1.0
    accept_worse: Annotated[
        bool,
        Field(
            title="Accept worse",
            description="Promote it whatever the proof says; the card tells what was proved and what was not.",
        ),
    ] = False
    proof_side: Annotated[
        int,
        Field(
            ge=64,
            le=8192,
            title="Proof side",
            description="The longer side at which pictures are measured; larger ones are made smaller.",
            json_schema_extra={"unit": "px"},
        ),
    ] = 1024
    composites: Annotated[
        int,
        Field(
            ge=1,
            le=100,
            title="Composites",
            description="Over how many backgrounds each cut-out of the test is put.",
        ),
    ] = 3
    resamples: Annotated[
        int,
        Field(
            ge=100,
            le=100000,
            title="Resamples",
            description="How often the pictures are drawn anew to know how sure a difference is.",
        ),
    ] = 5000
    proof_seed: Annotated[
        int,
        Field(
            ge=0, le=2**31 - 1, title="Proof seed", description="Another number draws other pictures and backgrounds."
        ),
    ] = 0
