"""What a cut-out is finished to: its canvas, its shadow and its file. Every default changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from gossamer.colours import read_colour
from gossamer.errors import InputError
from gossamer.lengths import read_aspect, read_margin, read_size, read_span
from gossamer.settings.base import Settings

__all__ = ["Canvas", "Output", "Shadow"]

_LARGEST_KB = 100_000


def _readable(read: Callable[[str], Any], value: str) -> str:
    """Return `value` where it can be read; else raise what a validator may, the remedy as its words."""
    try:
        read(value)
    except InputError as error:
        raise ValueError(f"{error.remedy[:1].lower()}{error.remedy[1:].rstrip('.')}") from None
    return value.strip()


class Canvas(Settings):
    """The frame of the finished picture, and how the subject stands in it."""

    crop: Annotated[
        Literal["auto", "frame", "subject", "head"],
        Field(
            title="Crop",
            description="What the canvas is made around. subject: the subject's box; head: from the crown to the chin, "
            "for passport photographs; frame: the whole photograph; auto: the subject as soon as margin, aspect, size "
            "or fill is given, else the frame.",
        ),
    ] = "auto"
    margin: Annotated[
        str,
        Field(
            title="Margin",
            description="Room around it: one to four lengths as in CSS (top, right, bottom, left), in pixels (20px) or "
            "in percent of the finished picture's height or width (5%).",
        ),
    ] = ""
    aspect: Annotated[
        str,
        Field(
            title="Aspect ratio",
            description="Width:height of the finished picture, such as 4:5; room is added, nothing is cut off.",
        ),
    ] = ""
    size: Annotated[
        str,
        Field(
            title="Size",
            description="Size of the finished picture: width x height in pixels, one number for a square, or "
            "millimetres such as 35x45mm (at dpi, or 300).",
        ),
    ] = ""
    fill: Annotated[
        float,
        Field(
            ge=0.0,
            le=100.0,
            title="Fill",
            description="How much of the finished picture's width or height, whichever it fills more, the subject "
            "takes; of a head, how much of the height. 0: as margins and size have it.",
            json_schema_extra={"unit": "%"},
        ),
    ] = 0.0
    align: Annotated[
        Literal["auto", "centre", "mass", "bottom"],
        Field(
            title="Align",
            description="Where the subject stands in what margins leave free. centre: the middle of its box; mass: its "
            "centre of mass; bottom: its foot; auto: the middle, but what the photograph's edge cuts off stays at the "
            "edge.",
        ),
    ] = "auto"
    too_small: Annotated[
        Literal["keep", "shrink", "enlarge"],
        Field(
            title="Too small",
            description="Where the subject has too few pixels for the size. keep: it gets more room around it; shrink: "
            "the canvas becomes smaller; enlarge: the subject is enlarged, with a warning.",
        ),
    ] = "keep"
    sharpen: Annotated[
        float,
        Field(
            ge=0.0,
            le=200.0,
            title="Sharpen",
            description="Sharpen the subject, but not its edge, after it was scaled down.",
            json_schema_extra={"unit": "%"},
        ),
    ] = 0.0
    dpi: Annotated[
        int,
        Field(
            ge=0,
            le=10_000,
            title="Resolution",
            description="Dots per inch that the file tells; 0: as the photograph's, and 300 for a size in millimetres.",
        ),
    ] = 0
    head: Annotated[
        str,
        Field(
            title="Head",
            description="For the crop head, where the crown and the chin are, from the photograph's top: 12% 58% or "
            "240px 910px; without it the outline tells.",
        ),
    ] = ""

    haze: Annotated[
        float,
        Field(
            ge=0.0,
            le=50.0,
            title="Haze",
            description="Clear alpha up to this where nothing solid is near, so that a background is what it is said "
            "to be; strands of hair, which are less faint, stay.",
            json_schema_extra={"unit": "%"},
        ),
    ] = 0.0

    @field_validator("margin", "aspect", "size", "head", mode="before")
    @classmethod
    def _numbers_are_their_text(cls, value: Any) -> Any:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return f"{value:g}" if number else value

    @field_validator("margin")
    @classmethod
    def _margins_are_lengths(cls, value: str) -> str:
        return _readable(read_margin, value)

    @field_validator("aspect")
    @classmethod
    def _aspects_are_ratios(cls, value: str) -> str:
        return _readable(read_aspect, value)

    @field_validator("size")
    @classmethod
    def _sizes_are_sizes(cls, value: str) -> str:
        return _readable(read_size, value)

    @field_validator("head")
    @classmethod
    def _heads_have_two_ends(cls, value: str) -> str:
        return _readable(read_span, value)

    @property
    def around(self) -> Literal["frame", "subject", "head"]:
        """What the canvas is made around, ``auto`` decided."""
        if self.crop != "auto":
            return self.crop
        return "subject" if self.margin or self.aspect or self.size or self.fill else "frame"

    @property
    def is_the_photograph(self) -> bool:
        """Whether the finished picture has the photograph's own frame and size."""
        return self.around == "frame" and not (self.margin or self.aspect or self.size or self.fill)

    @property
    def changes_nothing(self) -> bool:
        """Whether nothing is to be done at all."""
        return self.is_the_photograph and not self.haze and not self.dpi


class Shadow(Settings):
    """The subject's shadow or reflection, made from its alpha; a part of the picture, also of a transparent one."""

    kind: Annotated[
        Literal["none", "drop", "contact", "reflection"],
        Field(
            title="Shadow",
            description="drop: on a wall behind the subject; contact: on the ground that it stands on, under an "
            "overcast sky; reflection: on polished ground; none.",
            json_schema_extra={"main": True},
        ),
    ] = "none"
    opacity: Annotated[
        float,
        Field(
            ge=0.0,
            le=100.0,
            title="Shadow opacity",
            description="How dark the shadow is at its darkest, how clear the reflection at the foot.",
            json_schema_extra={"unit": "%"},
        ),
    ] = 50.0
    softness: Annotated[
        float,
        Field(
            ge=0.0,
            le=50.0,
            title="Shadow softness",
            description="Half the width of a drop shadow's soft edge; how blurred a reflection becomes. A contact "
            "shadow is as soft as the sky makes it.",
            json_schema_extra={"unit": "% of the subject's longer side"},
        ),
    ] = 3.0
    distance: Annotated[
        float,
        Field(
            ge=0.0,
            le=100.0,
            title="Shadow distance",
            description="How far a drop shadow is moved.",
            json_schema_extra={"unit": "% of the subject's longer side"},
        ),
    ] = 4.0
    angle: Annotated[
        float,
        Field(
            ge=0.0,
            le=360.0,
            title="Light's angle",
            description="Where the light of a drop shadow comes from: 0: the right, 90: above, 180: the left.",
            json_schema_extra={"unit": "°"},
        ),
    ] = 120.0
    tilt: Annotated[
        float,
        Field(
            ge=1.0,
            le=60.0,
            title="Camera's tilt",
            description="How steeply the camera looks down at the ground of a contact shadow.",
            json_schema_extra={"unit": "°"},
        ),
    ] = 15.0
    reach: Annotated[
        float,
        Field(
            ge=1.0,
            le=100.0,
            title="Reflection's reach",
            description="How much of the subject's height a reflection shows before it is gone.",
            json_schema_extra={"unit": "%"},
        ),
    ] = 35.0
    colour: Annotated[
        str,
        Field(title="Shadow's colour", description="The colour of a drop or contact shadow, such as #000000."),
    ] = "#000000"

    @field_validator("colour")
    @classmethod
    def _colours_are_opaque_colours(cls, value: str) -> str:
        def read(text: str) -> None:
            colour = read_colour(text)
            if colour is None or colour.alpha < 1:
                raise InputError("", "Give an opaque colour such as #000000.")

        return _readable(read, value)


class Output(Settings):
    """What the file holds besides the pixels, and how large it may be."""

    quality: Annotated[
        int,
        Field(ge=1, le=100, title="JPEG quality", description="Quality of a JPEG file, without chroma subsampling."),
    ] = 95
    max_kb: Annotated[
        int,
        Field(
            ge=0,
            le=_LARGEST_KB,
            title="Largest file",
            description="A JPEG file gets the best quality, up to the one above, of which it is not larger; other "
            "formats are refused where they are larger. 0: any size.",
            json_schema_extra={"unit": "kB (1000 bytes)"},
        ),
    ] = 0
    metadata: Annotated[
        Literal["strip", "keep"],
        Field(
            title="Metadata",
            description="keep: the photograph's EXIF and XMP; strip: none of it. The IPTC digital source type, which "
            "tells pictures made by AI, is kept in any case.",
        ),
    ] = "strip"
    srgb: Annotated[
        bool,
        Field(title="sRGB", description="Convert the colours to sRGB, which shops and browsers take for granted."),
    ] = False
