"""How the report of a batch looks, and how large it may be."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from gossamer.settings.base import Settings, validated

__all__ = ["ReportChoice"]


class ReportChoice(Settings):
    """How the report of a batch looks, and how large it may be."""

    brand: Annotated[
        str,
        Field(
            title="Brand colour",
            description="The colour of your shop, one of the backgrounds that cut-outs are looked at over.",
            json_schema_extra={"remedy": "Write it as #rrggbb, e.g. #0a7d5c."},
        ),
    ] = "#e8b04b"
    megabytes: Annotated[
        int,
        Field(
            ge=1,
            le=1000,
            title="Megabytes",
            description="The page's size: what is flagged gets its large pictures first, then what scored lowest; all "
            "others are shown small.",
            json_schema_extra={"unit": "MB"},
        ),
    ] = 160
    columns: Annotated[
        int,
        Field(ge=1, le=12, title="Columns", description="Pictures beside one another on a contact sheet."),
    ] = 5

    @classmethod
    def of(cls, base: ReportChoice | None = None, **settings: Any) -> ReportChoice:
        """Return `base`, or the defaults, changed in some settings; raises InputError for an impossible one."""
        return validated(
            cls, {**(base or cls()).model_dump(), **settings}, "the settings of a report", "See its settings."
        )
