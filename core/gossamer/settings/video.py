"""What is done with a clip besides what is done with each of its pictures."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Annotated, Any, Literal, TypeAlias, get_args

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from gossamer.settings.base import Settings, validated

__all__ = ["FORMATS", "Live", "Video", "VideoFormatName", "read_region", "read_size", "read_time"]

VideoFormatName: TypeAlias = Literal[
    "auto", "prores4444", "vp9", "ffv1", "h264", "hevc", "png", "tiff", "exr", "gif", "webp", "apng"
]

FORMATS: tuple[VideoFormatName, ...] = get_args(VideoFormatName)

_MOST = 16384  # pixels a side: what the codecs take


def _a_size_is_one(value: str) -> str:
    if value.strip():
        read_size(value)
    return value.strip()


_Size = Annotated[str, AfterValidator(_a_size_is_one)]


class Video(Settings, strict=True):
    """How a clip is read, held still and written."""

    format: Annotated[
        VideoFormatName,
        Field(
            title="Format",
            description="auto: what the name of the output says (.mov: prores4444, .webm: vp9, .mkv: ffv1, .mp4: h264, "
            ".gif, .webp, .apng: themselves, a folder: png). h264 and hevc take a background; all others keep "
            "transparency, gif as all or nothing.",
        ),
    ] = "auto"
    show: Annotated[
        Literal["cutout", "matte", "side_by_side", "stacked"],
        Field(
            title="Show",
            description="cutout: the subject; matte: its alpha as grey; side_by_side and stacked: its colours, opaque, "
            "and the matte right of them or below, for programs that read no transparency.",
        ),
    ] = "cutout"
    start: Annotated[
        str,
        Field(
            title="Start",
            description="The in point: seconds, or h:mm:ss.",
            json_schema_extra={"remedy": "Give seconds, e.g. 12.5, or 0:01:12.5."},
        ),
    ] = ""
    end: Annotated[
        str,
        Field(
            title="End",
            description="The out point: seconds, or h:mm:ss, of the clip; the picture at it is left out.",
            json_schema_extra={"remedy": "Give seconds, e.g. 12.5, or 0:01:12.5."},
        ),
    ] = ""
    fps: Annotated[
        float,
        Field(
            ge=0.0,
            le=1000.0,
            title="Frames a second",
            description="Pictures a second of the result; 0: as the clip has them, also where they vary. For pictures "
            "in a folder, their rate (0: 25).",
        ),
    ] = 0.0
    size: Annotated[
        _Size,
        Field(
            title="Size",
            description="Width and height of the result: 1280x720, or one of them (1280x, x720), the other as the "
            "picture's sides ask for; empty: as the clip has them.",
            json_schema_extra={"unit": "px", "remedy": "Give e.g. 1280x720, 1280x or x720."},
        ),
    ] = ""
    sound: Annotated[
        Literal["copy", "none"],
        Field(title="Sound", description="copy: as it is, where the file holds such, else encoded anew; none: silent."),
    ] = "copy"
    hold: Annotated[
        Literal["auto", "none", "flow"],
        Field(
            title="Hold still",
            description="flow: the mattes of neighbouring frames, moved along by optical flow, take the flicker out "
            "of a matte where the picture says that they show the same; auto: flow for models of single pictures, none "
            "for those that remember.",
        ),
    ] = "auto"
    hold_strength: Annotated[
        float,
        Field(
            ge=0.0,
            le=0.95,
            title="Strength of holding",
            description="What weight a matte has one frame away, where the motion is certain; 0 changes nothing. "
            "While this and hold stay at their defaults, mattes of the method key take 0.5.",
        ),
    ] = 0.9
    ratio: Annotated[
        float,
        Field(
            ge=0.0,
            le=1.0,
            title="Working ratio",
            description="For models that remember: how small they see a frame, before they bring their matte back to "
            "its size; 0: their authors' rule, 512 px for the longer side.",
        ),
    ] = 0.0
    crf: Annotated[
        int,
        Field(
            ge=0,
            le=51,
            title="Loss",
            description="For vp9, h264, hevc and webp: how much may be lost; smaller is better and larger.",
        ),
    ] = 16

    weights: Annotated[
        str,
        Field(
            title="Weights",
            description="For models that remember: a file of the model's weights, in place of what is fetched, as for "
            "bimatting, whose weights are had by hand.",
            json_schema_extra={"remedy": "Give the path of a .pth, .safetensors or .onnx file."},
        ),
    ] = ""

    roi: Annotated[
        str,
        Field(
            title="Region",
            description="X0,Y0,X1,Y1 in pixels of the result's frames, or with % signs: models look at this part "
            "alone, with all of their resolution, and what is beyond it is background; empty: everything.",
            json_schema_extra={"remedy": "Give X0,Y0,X1,Y1, e.g. 1200,300,2600,2160 or 30%,10%,70%,100%."},
        ),
    ] = ""

    @field_validator("start", "end")
    @classmethod
    def _times_are_times(cls, value: str) -> str:
        if value.strip():
            read_time(value)
        return value.strip()

    @field_validator("roi")
    @classmethod
    def _a_region_is_one(cls, value: str) -> str:
        if value.strip():
            read_region(value)
        return value.strip()

    @field_validator("fps")
    @classmethod
    def _a_rate_is_one(cls, value: float, info: ValidationInfo) -> float:
        if 0 < value < 0.1:
            raise ValueError("give 0, or a number from 0.1 to 1000")
        return value

    @model_validator(mode="after")
    def _something_is_between(self) -> Video:
        begin, finish = self.span
        if finish is not None and finish <= begin:
            raise ValueError(f"the end has to come after the start, {float(begin):g} s")
        return self

    @property
    def span(self) -> tuple[Fraction, Fraction | None]:
        """In point and out point in seconds; None: the clip's end."""
        return (read_time(self.start) if self.start else Fraction(0)), (read_time(self.end) if self.end else None)

    @property
    def rate(self) -> Fraction | None:
        """Frames a second, None for the clip's own; 23.976 and its like mean 24000/1001."""
        if self.fps == 0:
            return None
        ntsc = Fraction(round(self.fps * 1.001) * 1000, 1001)
        return (
            ntsc
            if abs(float(ntsc) - self.fps) < 0.006 and self.fps != round(self.fps)
            else (Fraction(self.fps).limit_denominator(1001))
        )

    @classmethod
    def of(cls, base: Video | None = None, **settings: Any) -> Video:
        """Return settings, changed in some; raises InputError where one is unknown or impossible."""
        return validated(
            cls,
            {**(base or cls()).model_dump(exclude_unset=True), **settings},
            "the settings of a clip",
            "See gossamer.settings.video.Video; what is done with each picture is in gossamer.Recipe.",
        )


class Live(Settings, strict=True):
    """How a camera, or what comes as one does, is read, kept at its rate and shown."""

    rate: Annotated[
        float,
        Field(
            ge=0.0,
            le=240.0,
            title="Rate",
            description="Pictures a second that are wanted: asked of a camera, and kept by looking at smaller pictures "
            "where the machine is too slow; 0: as the source has them.",
        ),
    ] = 30.0
    seconds: Annotated[
        float,
        Field(ge=0.0, le=1e6, title="Seconds", description="How long; 0: until it ends or is ended."),
    ] = 0.0
    size: Annotated[
        _Size,
        Field(
            title="Size",
            description="Width and height of what is shown, and asked of a camera: 1280x720, or one of them (1280x, "
            "x720); of raw pictures that are read, both; empty: as the source has them.",
            json_schema_extra={"unit": "px", "remedy": "Give e.g. 1280x720, 1280x or x720."},
        ),
    ] = ""
    pace: Annotated[
        Literal["live", "all"],
        Field(
            title="Pace",
            description="live: the newest picture is taken, and those that nobody had time for are left out; all: "
            "every picture, at full size, as fast as it goes.",
        ),
    ] = "live"
    smallest: Annotated[
        float,
        Field(
            ge=0.1,
            le=1.0,
            title="Smallest working size",
            description="How far a picture may be made smaller for the model, to keep the rate; 1: not at all.",
        ),
    ] = 0.5
    read: Annotated[
        Literal["auto", "rgb24"],
        Field(
            title="Read",
            description="What comes through a pipe: auto: any container that FFmpeg knows; rgb24: raw pictures.",
        ),
    ] = "auto"
    write: Annotated[
        Literal["auto", "matroska", "mpegts", "rgb24", "yuv420p"],
        Field(
            title="Write",
            description="What goes into a pipe: H.264 in matroska (auto) or mpegts, or raw pictures, which carry no "
            "times.",
        ),
    ] = "auto"
    ratio: Annotated[
        float,
        Field(ge=0.0, le=1.0, title="Working ratio", description="As for a clip."),
    ] = 0.0
    weights: Annotated[
        str,
        Field(
            title="Weights",
            description="As for a clip: a file of the weights of a model that remembers.",
            json_schema_extra={"remedy": "Give the path of a .pth, .safetensors or .onnx file."},
        ),
    ] = ""

    @model_validator(mode="after")
    def _raw_pictures_have_a_size(self) -> Live:
        if self.read == "rgb24" and None in self.sides:
            raise ValueError("raw pictures need their width and height, e.g. size 640x480")
        return self

    @property
    def sides(self) -> tuple[int | None, int | None]:
        """Width and height that are asked for, None where one is left open."""
        return read_size(self.size) if self.size else (None, None)

    @property
    def video(self) -> Video:
        """What models for clips have to know of it."""
        return Video(hold="none", ratio=self.ratio, weights=self.weights, size=self.size)

    @classmethod
    def of(cls, base: Live | None = None, **settings: Any) -> Live:
        """Return settings, changed in some; raises InputError where one is unknown or impossible."""
        return validated(
            cls,
            {**(base or cls()).model_dump(), **settings},
            "the settings of a camera",
            "See gossamer.settings.video.Live; what is done with each picture is in gossamer.Recipe.",
        )


def read_time(text: str) -> Fraction:
    """Return the seconds of ``12.5``, ``1:12.5`` or ``0:01:12.5``; raises ValueError."""
    found = re.fullmatch(r"(?:(?:(\d{1,4}):)?(\d{1,2}):)?(\d{1,7}(?:\.\d{1,9})?)", text.strip())
    if found is None:
        raise ValueError("give seconds, e.g. 12.5, or 0:01:12.5")
    hours, minutes, seconds = found.groups()
    return Fraction(int(hours or 0) * 3600 + int(minutes or 0) * 60) + Fraction(seconds)


def read_size(text: str) -> tuple[int | None, int | None]:
    """Return the sides of ``1280x720``, ``1280x`` or ``x720``, None where one is left open; raises ValueError."""
    found = re.fullmatch(r"(\d{0,5})\s*[x×]\s*(\d{0,5})", text.strip().lower())
    sides = tuple(int(side) if side else None for side in found.groups()) if found else (None, None)
    if sides == (None, None) or any(side is not None and not 16 <= side <= _MOST for side in sides):
        raise ValueError(f"give e.g. 1280x720, 1280x or x720, each side from 16 to {_MOST}")
    return sides[0], sides[1]


def read_region(text: str) -> list[tuple[float, bool]]:
    """Return the four numbers of ``X0,Y0,X1,Y1``, each with whether it is of a hundred; raises ValueError."""
    found = [re.fullmatch(r"(\d{1,6}(?:\.\d{1,6})?)\s*(%?)", part.strip()) for part in text.split(",")]
    numbers = [(float(one[1]), bool(one[2])) for one in found if one]
    if len(found) != 4 or len(numbers) != 4:
        raise ValueError("give four numbers, X0,Y0,X1,Y1, e.g. 1200,300,2600,2160 or 30%,10%,70%,100%")
    for first, second in zip(numbers[:2], numbers[2:], strict=True):
        if first[1] == second[1] and second[0] <= first[0]:
            raise ValueError("X1 has to be larger than X0, and Y1 than Y0")
    return numbers
