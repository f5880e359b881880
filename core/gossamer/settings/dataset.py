"""How training data is read, checked and split."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from gossamer.errors import InputError
from gossamer.settings.base import Settings

__all__ = ["Data"]


class Data(Settings):
    """How pictures with masks are found, what of them is left out, and how they are split."""

    masks: Annotated[
        str,
        Field(
            title="Masks",
            description="The folder of masks, where it is neither beside the pictures nor named as usual.",
            json_schema_extra={"remedy": "Give a folder of masks that have the pictures' names."},
        ),
    ] = ""
    photos: Annotated[
        str,
        Field(
            title="Photos",
            description="The folder that names in a COCO file or a table count from, where it is not the file's own.",
            json_schema_extra={"remedy": "Give the folder of the pictures that the file names."},
        ),
    ] = ""
    white: Annotated[
        Literal["subject", "background"],
        Field(title="White", description="What is white in the masks."),
    ] = "subject"
    categories: Annotated[
        str,
        Field(
            title="Categories",
            description="Of COCO: the names of categories that are the subject, with commas; empty: all.",
            json_schema_extra={"remedy": "Give names of categories with commas between them."},
        ),
    ] = ""
    numbered: Annotated[
        Literal["clips", "stills"],
        Field(
            title="Numbered",
            description="Where clips are read: what numbered pictures in a folder of their own are, the frames of one "
            "clip or pictures that have nothing to do with each other.",
        ),
    ] = "clips"
    group: Annotated[
        str,
        Field(
            title="Group",
            description="Pictures that belong together and stay in one part of a split. none: each alone; folder; "
            "prefix (the name up to its last dash, underscore, blank or digits); column:NAME of a table; or a "
            "regular expression, whose first group (or all of it) in the file's path is the group's name. Pictures "
            "that are nearly alike stay together in any case.",
            json_schema_extra={"remedy": "Give none, folder, prefix, column:NAME or a regular expression."},
        ),
    ] = "none"
    left_out: Annotated[
        float,
        Field(
            ge=0.0,
            le=100.0,
            title="Left out",
            description="The share of pictures that may be left out (unreadable, without a mask, of another size, with "
            "an empty or inverted mask) before that is an error.",
            json_schema_extra={"unit": "%"},
        ),
    ] = 10.0
    validation: Annotated[
        float,
        Field(
            ge=0.0,
            le=90.0,
            title="Validation",
            description="The share of pictures that training measures itself on.",
            json_schema_extra={"unit": "%"},
        ),
    ] = 15.0
    test: Annotated[
        float,
        Field(
            ge=0.0,
            le=90.0,
            title="Test",
            description="The share of pictures that nothing sees before the proof.",
            json_schema_extra={"unit": "%"},
        ),
    ] = 15.0
    split_seed: Annotated[
        int,
        Field(ge=0, le=2**31 - 1, title="Split seed", description="Another number makes another split."),
    ] = 0

    @field_validator("group")
    @classmethod
    def _can_be_searched_for(cls, value: str) -> str:
        import re

        if value in ("none", "folder", "prefix") or value.startswith("column:"):
            return value
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"no regular expression: {error}") from None
        if not value:
            raise ValueError("it is empty")
        return value

    @model_validator(mode="after")
    def _something_is_left(self) -> Data:
        if self.validation + self.test > 90:
            raise InputError(
                f"Validation and test together are {self.validation + self.test:g} % of the pictures.",
                "Leave a tenth or more for training: give smaller shares.",
            )
        return self

    def for_general(self) -> Data:
        """Return how a general set beside this data is read: where masks, names and groups are is the domain's own."""
        shares = ("left_out", "validation", "test", "split_seed")
        return Data(**{name: getattr(self, name) for name in shares})
