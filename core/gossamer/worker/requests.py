"""What a client asks for, checked field by field before anything is done with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gossamer.worker.protocol import ProtocolError

__all__ = [
    "MAX_PIXELS",
    "SIZES",
    "BrushRequest",
    "ClipRequest",
    "FetchRequest",
    "FinishRequest",
    "OpenRequest",
    "RefineRequest",
    "SegmentRequest",
]

MAX_PIXELS = 1 << 29
SIZES: Mapping[str, int] = {"u8": 1, "u16": 2, "float32": 4}
"""Bytes of one number; 255, 65535 and 1.0 are white."""

_SOURCES = ("automatic", "mask", "box", "scribbles", "trimap", "text")
_PLANES = ("mask", "scribbles", "trimap")
_QUALITIES = ("fast", "balanced", "best")
_SMALLEST = 0.01
_LONGEST = 1000  # characters of a description


@dataclass(frozen=True)
class OpenRequest:
    """A picture to be opened.

    Attributes
    ----------
    width, height : int
        The picture's size.
    channels : {3, 4}
        RGB, or RGB and straight alpha.
    dtype : {"u8", "u16", "float32"}
        Of the picture, and of exact answers.
    existing_alpha : {"multiply", "keep"}
        ``multiply``: the picture's alpha multiplies the answered alpha. ``keep``: the answered alpha is the
        matte alone, and the picture's alpha comes back, bit for bit, as fourth channel of the foreground (for
        a host that multiplies the two itself, as a layer mask does).
    """

    width: int
    height: int
    channels: int
    dtype: str
    existing_alpha: str

    @classmethod
    def of(cls, header: Mapping[str, Any]) -> OpenRequest:
        """Check a request's header; raises ProtocolError where a field is missing, of a wrong type or impossible."""
        request = cls(
            width=header.get("width", 0),
            height=header.get("height", 0),
            channels=header.get("channels", 3),
            dtype=header.get("dtype", "u8"),
            existing_alpha=header.get("existing_alpha", "multiply"),
        )
        _check(
            width=_is_int(request.width) and request.width >= 1,
            height=_is_int(request.height) and request.height >= 1,
            channels=_is_int(request.channels) and request.channels in (3, 4),
            dtype=isinstance(request.dtype, str) and request.dtype in SIZES,
            existing_alpha=request.existing_alpha in ("multiply", "keep"),
        )
        if request.width * request.height > MAX_PIXELS:
            raise ProtocolError(f"The picture has more than {MAX_PIXELS >> 20} million pixels.", "Scale it down.")
        return request

    @property
    def payload(self) -> int:
        """How many bytes the picture has."""
        return self.width * self.height * self.channels * SIZES[self.dtype]


@dataclass(frozen=True)
class SegmentRequest:
    """A wish for the subject's mask.

    Attributes
    ----------
    picture : int
    source : {"automatic", "mask", "box", "scribbles", "trimap", "text"}
        What tells the subject: a model alone; the payload, a mask of bytes; a box; the payload, bytes that are 255 on
        the subject, 0 on the background and 128 where nothing was marked; the payload, such bytes of which all between
        is to be solved; words for it.
    box : tuple of float or None
        Left, top, right, bottom, in pixels.
    text : str
        Words for the subject, several with commas between them.
    limit : bool
        The payload is a mask beyond which there is no subject (with the source ``automatic``).
    model, quality, device : str
        As :class:`gossamer.ModelChoice` takes them; an empty device is the worker's own.
    options : Mapping
        Settings by their flat names; those of the segmentation count, and those of the matting for a trimap. What
        another matting lacks is refused as well, before the model runs, where it is among them.
    """

    picture: int
    source: str
    box: tuple[float, float, float, float] | None
    text: str
    limit: bool
    model: str
    quality: str
    device: str
    options: Mapping[str, Any]

    @classmethod
    def of(cls, header: Mapping[str, Any]) -> SegmentRequest:
        """Check a request's header; raises ProtocolError where a field is missing, of a wrong type or impossible."""
        box = header.get("box")
        request = cls(
            picture=header.get("picture", 0),
            source=header.get("source", "automatic"),
            box=tuple(box) if isinstance(box, list) and len(box) == 4 else None,
            text=header.get("text", ""),
            limit=header.get("limit", False),
            model=header.get("model", "auto"),
            quality=header.get("quality", "balanced"),
            device=header.get("device", ""),
            options=header.get("options", {}),
        )
        numbers = request.box is not None and all(
            isinstance(edge, (int, float)) and not isinstance(edge, bool) for edge in request.box
        )
        _check(
            picture=_is_int(request.picture),
            source=request.source in _SOURCES,
            box=numbers if request.source == "box" else box is None,
            text=isinstance(request.text, str)
            and len(request.text) <= _LONGEST
            and bool(request.text.strip()) == (request.source == "text"),
            limit=isinstance(request.limit, bool) and not (request.limit and request.source != "automatic"),
            model=isinstance(request.model, str) and bool(request.model),
            quality=request.quality in _QUALITIES,
            device=isinstance(request.device, str),
            options=isinstance(request.options, dict),
        )
        return request

    @property
    def with_plane(self) -> bool:
        """Whether the payload is a plane of bytes of the picture's size."""
        return self.limit or self.source in _PLANES


@dataclass(frozen=True)
class RefineRequest:
    """A wish for the matte of a picture that has a mask.

    Attributes
    ----------
    picture : int
    options : Mapping
        Settings by their flat names, see :func:`gossamer.settings.parameters.parameters`.
    scale : float
        1 for the exact answer; below, up to 0.01, for a preview that is computed on so small a picture.
    region : tuple of int or None
        Left, top, width and height of the part that is wanted, in pixels; None for the whole.
    foreground : bool
        Answer with the subject's colours too.
    background : bool
        Answer with what is behind the subject too, filled in; of exact answers only.
    shadow : bool
        Answer with the photograph's own shadow too, where one is found; of whole exact answers only.
    rgba : bool
        Of an exact answer: its colours have four channels, the last of them opaque where the picture has no alpha.
    dtype : str
        Of the answer; empty: the picture's.
    draft : bool
        Of a preview: make do with a rougher one where the better one would take long.
    changes : bool
        Of a whole preview in bytes: answer with those parts of the matte alone that differ from the last such answer.
    """

    picture: int
    options: Mapping[str, Any]
    scale: float
    region: tuple[int, int, int, int] | None
    foreground: bool
    background: bool
    shadow: bool
    rgba: bool
    dtype: str
    draft: bool
    changes: bool

    @classmethod
    def of(cls, header: Mapping[str, Any]) -> RefineRequest:
        """Check a request's header; raises ProtocolError where a field is missing, of a wrong type or impossible."""
        region, scale = header.get("region"), header.get("scale", 1.0)
        good = isinstance(region, list) and len(region) == 4 and all(_is_int(edge) for edge in region)
        request = cls(
            picture=header.get("picture", 0),
            options=header.get("options", {}),
            scale=scale,
            region=tuple(region) if good else None,  # type: ignore[arg-type]
            foreground=header.get("foreground", False),
            background=header.get("background", False),
            shadow=header.get("shadow", False),
            rgba=header.get("rgba", False),
            dtype=header.get("dtype", ""),
            draft=header.get("draft", False),
            changes=header.get("changes", False),
        )
        possible = isinstance(scale, (int, float)) and not isinstance(scale, bool) and _SMALLEST <= scale <= 1
        preview = possible and scale < 1
        small = preview and region is None and request.dtype == "u8"
        _check(
            picture=_is_int(request.picture),
            options=isinstance(request.options, dict),
            scale=possible,
            region=good or region is None,
            foreground=isinstance(request.foreground, bool),
            background=isinstance(request.background, bool) and not (request.background and preview),
            shadow=isinstance(request.shadow, bool) and not (request.shadow and (preview or good)),
            rgba=isinstance(request.rgba, bool) and not (request.rgba and preview),
            dtype=request.dtype == "" or (isinstance(request.dtype, str) and request.dtype in SIZES),
            draft=isinstance(request.draft, bool),
            changes=isinstance(request.changes, bool) and (small or not request.changes),
        )
        return request


@dataclass(frozen=True)
class BrushRequest:
    """A stroke of the brush that has hair solved again.

    Attributes
    ----------
    picture : int
    region : tuple of int or None
        Left, top, width and height of the payload, a plane of bytes that are not 0 where the brush went; None, and no
        payload, to have every stroke forgotten.
    """

    picture: int
    region: tuple[int, int, int, int] | None

    @classmethod
    def of(cls, header: Mapping[str, Any]) -> BrushRequest:
        """Check a request's header; raises ProtocolError where a field is missing, of a wrong type or impossible."""
        region = header.get("region")
        good = isinstance(region, list) and len(region) == 4 and all(_is_int(edge) for edge in region)
        good = good and min(region[:2]) >= 0 and min(region[2:]) >= 1  # type: ignore[index]
        request = cls(header.get("picture", 0), tuple(region) if good else None)  # type: ignore[arg-type]
        _check(picture=_is_int(request.picture), region=good or region is None)
        return request

    @property
    def payload(self) -> int:
        """How many bytes the plane has."""
        return 0 if self.region is None else self.region[2] * self.region[3]


@dataclass(frozen=True)
class FinishRequest:
    """A wish for the finished picture that a shop asks for.

    Attributes
    ----------
    picture : int
    options : Mapping
        Settings by their flat names.
    preset : str
        An id of :func:`gossamer.canvas.presets.load_presets`.
    """

    picture: int
    options: Mapping[str, Any]
    preset: str

    @classmethod
    def of(cls, header: Mapping[str, Any]) -> FinishRequest:
        """Check a request's header; raises ProtocolError where a field is missing, of a wrong type or impossible."""
        request = cls(header.get("picture", 0), header.get("options", {}), header.get("preset", ""))
        _check(
            picture=_is_int(request.picture),
            options=isinstance(request.options, dict),
            preset=isinstance(request.preset, str) and bool(request.preset),
        )
        return request


@dataclass(frozen=True)
class ClipRequest:
    """Frames that are to be cut out and held still.

    Attributes
    ----------
    width, height : int
        Of all of them.
    dtype : {"u8", "u16"}
        Of the frames, which have four channels, and of what comes back.
    model, quality, device : str
        As for :class:`SegmentRequest`.
    options : Mapping
        Settings by their flat names.
    """

    width: int
    height: int
    dtype: str
    model: str
    quality: str
    device: str
    options: Mapping[str, Any]

    @classmethod
    def of(cls, header: Mapping[str, Any]) -> ClipRequest:
        """Check a request's header; raises ProtocolError where a field is missing, of a wrong type or impossible."""
        opened = OpenRequest.of({**header, "channels": 4})
        request = cls(
            opened.width,
            opened.height,
            opened.dtype,
            header.get("model", "auto"),
            header.get("quality", "balanced"),
            header.get("device", ""),
            header.get("options", {}),
        )
        _check(
            dtype=request.dtype in ("u8", "u16"),
            model=isinstance(request.model, str) and bool(request.model),
            quality=request.quality in _QUALITIES,
            device=isinstance(request.device, str),
            options=isinstance(request.options, dict),
        )
        return request

    @property
    def payload(self) -> int:
        """How many bytes a frame has."""
        return self.width * self.height * 4 * SIZES[self.dtype]


@dataclass(frozen=True)
class FetchRequest:
    """A model to be fetched, to which the client's user has agreed.

    Attributes
    ----------
    model : str
        An id of the catalogue.
    accept_licence : bool
        The user accepts its licence, which does not allow commercial use.
    """

    model: str
    accept_licence: bool

    @classmethod
    def of(cls, header: Mapping[str, Any]) -> FetchRequest:
        """Check a request's header; raises ProtocolError where a field is missing, of a wrong type or impossible."""
        request = cls(model=header.get("model", ""), accept_licence=header.get("accept_licence", False))
        _check(
            model=isinstance(request.model, str) and bool(request.model),
            accept_licence=isinstance(request.accept_licence, bool),
        )
        return request


def _check(**checks: object) -> None:
    for name, good in checks.items():
        if not good:
            raise ProtocolError(f"The request's {name} cannot be used.")


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
