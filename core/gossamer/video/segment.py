"""A piece of the result on its way to the disk: some seconds of film, or some pictures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import as_rgb
from gossamer.compositing import Conversion, conversion
from gossamer.image import encode_image
from gossamer.image.exr_file import STRAIGHT
from gossamer.light import to_linear
from gossamer.video.clip import Clip
from gossamer.video.formats import VIDEO_FORMATS, VideoFormat
from gossamer.video.libav import libav, writing_to
from gossamer.video.tags import ColourTags

__all__ = ["FilmPlan", "Picture", "Segment", "container_of", "open_segment"]

_FLAGS = ("BICUBIC", "ACCURATE_RND", "FULL_CHR_H_INT", "FULL_CHR_H_INP")
_WRITER = b"writer\0string\0\4\0\0\0lavc"
_SHAPES = (".mov", ".mp4", ".m4v")  # whose writers take a pixel's shape from PyAV; Matroska's asks a stream for it


@dataclass(frozen=True)
class FilmPlan:
    """What all segments of a result share.

    Attributes
    ----------
    format : VideoFormat
    width, height : int
        Of what is shown.
    rate, time_base : Fraction
    aspect : Fraction
        Width of a pixel by its height.
    tags : ColourTags
    alpha, grey, deep : bool
        Whether it is transparent, a matte alone, and of more than 8 bits.
    crf : int
    icc_profile : bytes or None
        Of pictures; films have none, and get sRGB.
    """

    format: VideoFormat
    width: int
    height: int
    rate: Fraction
    time_base: Fraction
    aspect: Fraction
    tags: ColourTags
    alpha: bool
    grey: bool
    deep: bool
    crf: int
    icc_profile: bytes | None = None

    @classmethod
    def of(cls, clip: Clip, format: VideoFormat, crf: int, rate: Fraction | None, show: str, opaque: bool) -> FilmPlan:
        """Return the plan for a clip, `rate` being a new one, and `opaque` whether a background is behind it."""
        wide, tall = clip.width * (1 + (show == "side_by_side")), clip.height * (1 + (show == "stacked"))
        return cls(
            format=format,
            width=wide,
            height=tall,
            rate=rate or clip.rate,
            time_base=1 / rate if rate else clip.time_base,
            aspect=clip.aspect,
            tags=clip.tags,
            alpha=show == "cutout" and not opaque,
            grey=show == "matte",
            deep=clip.depth > 8 and not format.animated,
            crf=crf,
            icc_profile=clip.icc_profile,
        )

    @property
    def layout(self) -> str:
        """The layout of pixels that is encoded."""
        return self.format.layout(alpha=self.alpha, grey=self.grey, deep=self.deep)

    def losses(self, clip: Clip, name: Path) -> list[str]:
        """Return what a file of this name does not keep as a clip has it, each in a sentence."""
        told = []
        if self.converts:
            told.append(
                f"The colours of {clip.path.name} were converted from their profile to sRGB, in 8 bits: "
                f"{self.format.title} holds no profile."
            )
        if self.format.even and (self.width % 2 or self.height % 2):
            told.append(f"A row or column was added: {self.format.title} takes even sides only.")
        if self.aspect != 1 and (self.format.is_folder or name.suffix.lower() not in _SHAPES):
            told.append(
                f"The clip's pixels are {float(self.aspect):.3g} times as wide as high, and those of {name.name} are "
                f"square: give --size {round(clip.width * self.aspect)}x{clip.height} for the shape that players show."
            )
        return told

    @property
    def converts(self) -> bool:
        """Whether colours have a profile that the format cannot hold."""
        return self.icc_profile is not None and not self.grey and self.format.id not in ("png", "tiff")

    @property
    def eight_bit(self) -> bool:
        """Whether pictures are encoded in bytes."""
        return not (self.deep or "10" in self.layout or self.format.id == "exr")


@dataclass(frozen=True, eq=False)
class Picture:
    """What is shown at one time.

    Attributes
    ----------
    time : Fraction
        Seconds.
    rgb : (H, W, 3) float32 or uint8, or None
        In [0, 1], or of 255. None for a matte alone.
    alpha : (H, W) float32 or None
        In [0, 1]; None where it is opaque.
    """

    time: Fraction
    rgb: NDArray[Any] | None
    alpha: NDArray[np.float32] | None


class Segment(Protocol):
    """A piece that is being written."""

    def add(self, picture: Picture) -> None:
        """Write one picture more."""

    def close(self) -> None:
        """Finish it."""

    def discard(self) -> None:
        """Let go of it, unfinished."""


def open_segment(path: Path, plan: FilmPlan, number: int) -> Segment:
    """Begin a segment.

    Parameters
    ----------
    path : Path
        A file, or for pictures a new folder.
    plan : FilmPlan
    number : int
        Of its first picture in the whole clip.

    Raises
    ------
    OutputError
        It cannot be written, now or when a picture is added: the disk is full, and so on.
    """
    convert = conversion(plan.icc_profile, None) if plan.converts else None
    segment: Segment = (
        _Pictures(path, plan, number)
        if plan.format.is_folder
        else _Film(path, replace(plan, format=VIDEO_FORMATS["ffv1"]) if plan.format.animated else plan)
    )
    return segment if convert is None else _Converted(segment, convert)


class _Film:
    def __init__(self, path: Path, plan: FilmPlan) -> None:
        av = libav()
        self._path, self._plan = path, plan
        with writing_to(path):
            self._container = av.open(str(path), "w", format=container_of(path))
            try:
                self._stream = self._opened()
            except BaseException:
                self.discard()
                raise
        self._first: Fraction | None = None
        self._last = -1

    def _opened(self) -> Any:
        plan = self._plan
        options = dict(plan.format.options)
        if plan.format.lossy:
            options["crf"] = str(plan.crf)
        stream = self._container.add_stream(plan.format.codec, rate=plan.rate, options=options)
        context = stream.codec_context
        even = 2 if plan.format.even else 1
        context.width, context.height = -(-plan.width // even) * even, -(-plan.height // even) * even
        context.pix_fmt = plan.layout
        context.time_base = plan.time_base
        context.sample_aspect_ratio = plan.aspect
        plan.tags.put_on(context, rgb=plan.layout.startswith(("gb", "bg")))
        context.thread_type = "AUTO"
        if plan.alpha and plan.format.id == "vp9":
            stream.metadata["alpha_mode"] = "1"
        if plan.format.id == "hevc" and self._path.suffix != ".mkv":
            context.codec_tag = "hvc1"
        return stream

    def add(self, picture: Picture) -> None:
        with writing_to(self._path):
            for packet in self._stream.encode(self._frame(picture)):
                self._container.mux(packet)

    def _frame(self, picture: Picture) -> Any:
        av = libav()
        from av.video.reformatter import ColorRange, Interpolation

        plan, layout = self._plan, self._plan.layout
        array, given = _numbers(picture, plan, not plan.eight_bit)
        width, height = self._stream.width, self._stream.height
        if array.shape[:2] != (height, width):  # a copy of the last row or column makes sides even
            rest = [(0, height - array.shape[0]), (0, width - array.shape[1])]
            array = np.pad(array, [*rest, (0, 0)][: array.ndim], mode="edge")
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(array), format=given)
        flags = 0
        for flag in _FLAGS:
            flags |= getattr(Interpolation, flag)
        narrow = not layout.startswith(("gb", "bg", "gray"))
        frame = frame.reformat(
            format=layout,
            src_colorspace=plan.tags.swscale,
            dst_colorspace=plan.tags.swscale,
            interpolation=flags,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG if narrow else ColorRange.JPEG,
        )
        if narrow:
            _tag(frame, plan.tags)
        if self._first is None:
            self._first = picture.time
        frame.time_base = plan.time_base
        # Segments are joined by the order of their pictures: here times only have to grow.
        frame.pts = self._last = max(self._last + 1, round((picture.time - self._first) / plan.time_base))
        return frame

    def close(self) -> None:
        with writing_to(self._path):
            for packet in self._stream.encode():
                self._container.mux(packet)
            self._container.close()

    def discard(self) -> None:
        import contextlib

        with contextlib.suppress(Exception):
            self._container.close()


def _tag(frame: Any, tags: ColourTags) -> None:
    frame.colorspace, frame.color_range = tags.matrix, 1
    frame.color_primaries, frame.color_trc = tags.primaries, tags.transfer


class _Pictures:
    def __init__(self, path: Path, plan: FilmPlan, number: int) -> None:
        self._folder, self._plan, self._number = path, plan, number
        with writing_to(path):
            path.mkdir()

    def add(self, picture: Picture) -> None:
        plan = self._plan
        path = self._folder / f"{self._number:06d}.{plan.format.codec}"
        with writing_to(path):
            path.write_bytes(_exr(picture, plan) if plan.format.id == "exr" else _encoded(picture, plan))
        self._number += 1

    def close(self) -> None:
        pass

    def discard(self) -> None:
        pass


class _Converted:
    """Brings colours to sRGB on their way into a segment."""

    def __init__(self, segment: Segment, convert: Conversion) -> None:
        self._segment, self._convert = segment, convert
        self.close, self.discard = segment.close, segment.discard

    def add(self, picture: Picture) -> None:
        if picture.rgb is not None:
            picture = replace(picture, rgb=self._convert(as_rgb(picture.rgb)))
        self._segment.add(picture)


def _encoded(picture: Picture, plan: FilmPlan) -> bytes:
    depth = 16 if plan.deep else 8
    return encode_image(
        picture.rgb,
        picture.alpha,
        plan.format.id,
        bit_depth=depth,
        icc_profile=plan.icc_profile if picture.rgb is not None else None,
    )


def _exr(picture: Picture, plan: FilmPlan) -> bytes:
    """Return one picture as OpenEXR: linear light, straight alpha."""
    av = libav()
    planes = []
    if picture.rgb is None:
        assert picture.alpha is not None  # noqa: S101 - a picture has one of them
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture.alpha, np.float32), format="grayf32le")
    else:
        rgb = picture.rgb if picture.rgb.dtype == np.float32 else picture.rgb.astype(np.float32) / np.float32(255)
        planes = [to_linear(np.ascontiguousarray(rgb[..., channel])) for channel in range(3)]
        if plan.alpha and picture.alpha is not None:
            planes.append(picture.alpha)
        layout = "gbrapf32le" if len(planes) == 4 else "gbrpf32le"
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(np.dstack(planes)), format=layout)
    context = av.CodecContext.create("exr", "w")
    context.width, context.height, context.pix_fmt = frame.width, frame.height, frame.format.name
    context.time_base = Fraction(1, 25)
    context.options = {"compression": "zip16", "format": "float"}
    frame.pts = 0
    data = b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])
    return data.replace(_WRITER, _WRITER[:-4] + STRAIGHT, 1)  # in the header, which has it once


def _numbers(picture: Picture, plan: FilmPlan, deep: bool) -> tuple[NDArray[Any], str]:
    """Return the pixels as whole numbers, and what PyAV calls their layout."""
    kind = np.uint16 if deep else np.uint8
    if picture.rgb is None:
        assert picture.alpha is not None  # noqa: S101 - a picture has one of them
        return _whole(picture.alpha, kind), "gray16le" if deep else "gray"
    colours = _whole(picture.rgb, kind)
    if not plan.alpha:
        return colours, "rgb48le" if deep else "rgb24"
    alpha = np.ones(colours.shape[:2], np.float32) if picture.alpha is None else picture.alpha
    return np.dstack([colours, _whole(alpha, kind)]), "rgba64le" if deep else "rgba"


def _whole(numbers: NDArray[Any], kind: type[np.uint8] | type[np.uint16]) -> NDArray[Any]:
    if numbers.dtype == kind:
        return numbers
    if numbers.dtype == np.uint8:
        return numbers.astype(np.uint16) * np.uint16(257)
    most = np.float32(255 if kind is np.uint8 else 65535)
    return (np.clip(numbers, 0, 1) * most + np.float32(0.5)).astype(kind)


def container_of(path: Path) -> str:
    """Return FFmpeg's name of the container that a file's suffix means."""
    return {".mov": "mov", ".webm": "webm", ".mkv": "matroska"}.get(path.suffix.lower(), "mp4")
