"""The formats that a clip can be written in: containers, codecs, layouts of pixels, and what is put into them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from gossamer.errors import InputError, OutputError
from gossamer.settings.video import Video, VideoFormatName
from gossamer.spelling import did_you_mean
from gossamer.video.libav import libav

__all__ = ["VIDEO_FORMATS", "VideoFormat", "format_for"]


@dataclass(frozen=True)
class VideoFormat:
    """A way to write a clip.

    Attributes
    ----------
    id, title : str
    suffixes : tuple of str
        Of its files, the usual one first; none for pictures in a folder.
    codec : str
        FFmpeg's encoder; for pictures the suffix of their files.
    clear, opaque, grey : str
        Layouts of pixels with alpha (empty: it has none), without, and for a matte alone.
    deep : (str, str, str)
        The same for clips of more than 8 bits.
    options : mapping of str to str
        Of the encoder.
    sounds : tuple of str
        Sound that is copied as it is; "*" is any.
    sound : str
        What other sound is encoded as.
    even : bool
        Whether sides have to be even.
    lossy : bool
        Whether ``crf`` counts.
    animated : bool
        Whether it is a picture of several frames: layouts and options are then those of its segments, FFV1.
    """

    id: str
    title: str
    suffixes: tuple[str, ...]
    codec: str
    clear: str
    opaque: str
    grey: str
    deep: tuple[str, str, str]
    options: Mapping[str, str] = field(default_factory=dict)
    sounds: tuple[str, ...] = ()
    sound: str = ""
    even: bool = False
    lossy: bool = False
    animated: bool = False

    @property
    def is_folder(self) -> bool:
        """Whether it is pictures in a folder."""
        return not self.suffixes

    def layout(self, *, alpha: bool, grey: bool, deep: bool) -> str:
        """Return the layout of pixels for what is shown."""
        clear, opaque, matte = self.deep if deep else (self.clear, self.opaque, self.grey)
        return matte if grey else clear if alpha else opaque


_PCM = ("pcm_s16le", "pcm_s24le", "pcm_s16be", "pcm_s24be", "pcm_s32le", "pcm_f32le")
_PRORES = ("yuva444p10le", "yuv444p10le", "yuv444p10le")
_H26X = ("", "yuv420p", "yuv420p")
_ANIMATED = ("bgra", "bgr0", "gray")
_EXR = ("gbrapf32le", "gbrpf32le", "grayf32le")

VIDEO_FORMATS: Mapping[str, VideoFormat] = MappingProxyType(
    {
        "prores4444": VideoFormat(
            id="prores4444",
            title="ProRes 4444",
            suffixes=(".mov",),
            codec="prores_ks",
            clear=_PRORES[0],
            opaque=_PRORES[1],
            grey=_PRORES[2],
            deep=_PRORES,
            # apl0: Apple's own programs take it for theirs; 16 bits of alpha are stored without loss.
            options={"profile": "4444", "vendor": "apl0", "alpha_bits": "16"},
            sounds=(*_PCM, "aac", "alac", "mp3", "ac3", "eac3"),
            sound="pcm_s16le",
        ),
        "vp9": VideoFormat(
            id="vp9",
            title="VP9",
            suffixes=(".webm",),
            codec="libvpx-vp9",
            clear="yuva420p",
            opaque="yuv420p",
            grey="yuv420p",
            deep=("yuva420p", "yuv420p", "yuv420p"),
            # Hidden reference frames and alpha do not go together.
            options={"auto-alt-ref": "0", "row-mt": "1", "deadline": "good", "cpu-used": "4", "b": "0"},
            sounds=("opus", "vorbis"),
            sound="libopus",
            lossy=True,
        ),
        "ffv1": VideoFormat(
            id="ffv1",
            title="FFV1",
            suffixes=(".mkv",),
            codec="ffv1",
            clear="bgra",
            opaque="bgr0",
            grey="gray",
            deep=("gbrap16le", "gbrp16le", "gray16le"),
            options={"level": "3", "slicecrc": "1", "g": "1"},
            sounds=("*",),
            sound="flac",
        ),
        "h264": VideoFormat(
            id="h264",
            title="H.264",
            suffixes=(".mp4", ".m4v"),
            codec="libx264",
            clear=_H26X[0],
            opaque=_H26X[1],
            grey=_H26X[2],
            deep=_H26X,
            # Without B-frames packets stand in the order of their times: segments join exactly.
            options={"preset": "medium", "bf": "0"},
            sounds=("aac", "mp3", "ac3", "eac3", "alac", "opus"),
            sound="aac",
            even=True,
            lossy=True,
        ),
        "hevc": VideoFormat(
            id="hevc",
            title="HEVC",
            suffixes=(".mp4", ".m4v"),
            codec="libx265",
            clear=_H26X[0],
            opaque=_H26X[1],
            grey=_H26X[2],
            deep=("", "yuv420p10le", "yuv420p10le"),
            options={"preset": "fast", "x265-params": "log-level=none:bframes=0"},
            sounds=("aac", "mp3", "ac3", "eac3", "alac", "opus"),
            sound="aac",
            even=True,
            lossy=True,
        ),
        "png": VideoFormat("png", "PNG", (), "png", "rgba", "rgb24", "gray", ("rgba64", "rgb48", "gray16")),
        "tiff": VideoFormat("tiff", "TIFF", (), "tif", "rgba", "rgb24", "gray", ("rgba64", "rgb48", "gray16")),
        "exr": VideoFormat(
            "exr",
            "OpenEXR",
            (),
            "exr",
            "gbrapf32le",
            "gbrpf32le",
            "grayf32le",
            ("gbrapf32le", "gbrpf32le", "grayf32le"),
        ),
        "gif": VideoFormat("gif", "GIF", (".gif",), "gif", *_ANIMATED, _ANIMATED, animated=True),
        "webp": VideoFormat("webp", "WebP", (".webp",), "libwebp_anim", *_ANIMATED, _ANIMATED, animated=True),
        "apng": VideoFormat("apng", "APNG", (".apng",), "apng", *_ANIMATED, _ANIMATED, animated=True),
    }
)
"""Every format, by the name that the settings give it."""

_USUAL: Mapping[str, VideoFormatName] = MappingProxyType(
    {
        ".mov": "prores4444",
        ".webm": "vp9",
        ".mkv": "ffv1",
        ".mp4": "h264",
        ".m4v": "h264",
        ".gif": "gif",
        ".webp": "webp",
        ".apng": "apng",
        "": "png",
    }
)
"""What a suffix means where nothing else is said."""

_MORE = {".mp4": ("h264", "hevc"), ".m4v": ("h264", "hevc"), ".mov": ("prores4444", "h264", "hevc"), ".mkv": ()}
"""Suffixes that hold several codecs, the usual one first; .mkv holds any."""


def format_for(out: Path, settings: Video, *, transparent: bool) -> VideoFormat:
    """Return the format that an output is written in.

    Parameters
    ----------
    out : Path
        A file whose suffix tells, or a folder for pictures.
    settings : Video
    transparent : bool
        Whether the result has alpha.

    Raises
    ------
    OutputError
        The suffix is unknown, or the format does not go into such a file.
    InputError
        The format has no transparency, or this FFmpeg cannot write it.
    """
    suffix, name = out.suffix.lower(), settings.format
    known = {one for each in VIDEO_FORMATS.values() for one in each.suffixes}
    if name == "auto":
        name = _USUAL.get(suffix, "auto")
        if name == "auto":
            if suffix in (".png", ".tif", ".tiff", ".exr"):
                raise OutputError(
                    f"A clip is not written into one picture, {out.name}.",
                    f"Give a folder, e.g. {out.stem or 'frames'}/, or .mov, .webm, .mkv, .mp4, .gif, .webp or .apng.",
                )
            close = did_you_mean(suffix, sorted(known)) if suffix else ""
            raise OutputError(
                f"{out.name} has no suffix of a video that can be written.",
                f"{close}Give .mov, .webm, .mkv or .mp4, or a folder for pictures.",
            )
    chosen = VIDEO_FORMATS[name]
    if chosen.is_folder != (suffix not in known):
        what = "a folder" if chosen.is_folder else f"a file that ends in {chosen.suffixes[0]}"
        raise OutputError(f"{chosen.title} goes into {what}, not {out.name}.", "Give another name or format.")
    if (
        not chosen.is_folder
        and (suffix != ".mkv" or chosen.animated)
        and suffix not in chosen.suffixes
        and name not in _MORE.get(suffix, ())
    ):
        other = "" if chosen.animated else ", or .mkv"
        raise OutputError(f"{chosen.title} does not go into {suffix}.", f"Write {chosen.suffixes[0]}{other}.")
    if transparent and not chosen.clear:
        raise InputError(
            f"{chosen.title} cannot hold a transparent background.",
            "Write .mov, .webm or .mkv, give a background (--background white), or --show matte.",
        )
    _check_codec(chosen)
    return chosen


def _check_codec(chosen: VideoFormat) -> None:
    if chosen.is_folder and chosen.id != "exr":
        return
    av = libav()
    try:
        av.codec.Codec(chosen.codec, "w")
    except (av.error.FFmpegError, ValueError, LookupError):
        raise InputError(
            f"This FFmpeg cannot write {chosen.title}: it has no {chosen.codec}.",
            "Choose another format; pip's own PyAV has all of them.",
        ) from None
