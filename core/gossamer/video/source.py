"""Reading a clip: whatever FFmpeg reads, upright, as RGB, each frame with its exact time, one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer.errors import InputError
from gossamer.video.clip import Clip, Frame
from gossamer.video.libav import libav, reading
from gossamer.video.tags import ColourTags

__all__ = ["VideoSource", "scaled_sides"]

_FLAGS = ("BICUBIC", "ACCURATE_RND", "FULL_CHR_H_INT", "FULL_CHR_H_INP")
_ASKEW = 0.02  # of a quarter turn's own: so much beside it is more than rounding
_NAMED_PROFILES = ("png", "apng")  # whose decoders give a colour profile its name
_EARLIER = (Fraction(0), Fraction(4), Fraction(20))  # seconds before what is wanted that are tried, then the beginning
_MISSING = Fraction(3, 2)  # frames: what rounding and odd ends make
_DAMAGED = 50  # packets in a row that cannot be decoded: what follows is no video


class VideoSource:
    """A clip that is open for reading; closed at the end of its ``with``.

    Parameters
    ----------
    path : Path
        Any file that FFmpeg reads.
    size : (int or None, int or None)
        Width and height that frames are scaled to, upright; None: as the clip has it, or as the other one asks for.

    Attributes
    ----------
    clip : Clip
        Of the frames as they come out, scaled.
    warnings : list of str
        What was guessed or left out in reading, so far.

    Raises
    ------
    InputError
        It is no video, damaged, or its codec is not known here.
    MissingExtra
        PyAV is not installed.
    """

    _threads = "AUTO"
    _otherwise = "Convert it to H.264 first."
    _lasts: float | None = None  # seconds that its own stream lasts, where the file says so
    _is_within = False  # whether it was sought: packets before the first whole picture show nothing

    def __init__(self, path: Path, size: tuple[int | None, int | None] = (None, None)) -> None:
        av = libav()
        self.warnings: list[str] = []
        self._path = path
        with reading(path):
            self._container = av.open(str(path), metadata_errors="replace")
        try:
            with reading(path):
                self._open(av, size)
        except BaseException:
            self._container.close()
            raise

    def __enter__(self) -> VideoSource:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def _open(self, av: Any, size: tuple[int | None, int | None]) -> None:
        pictures = [one for one in self._container.streams.video if not one.disposition & one.disposition.attached_pic]
        if not pictures:
            raise InputError(f"{self._path} holds no video.", "Give a clip that shows pictures.")
        self._stream = stream = pictures[0]
        if len(pictures) > 1:
            self.warnings.append(f"{self._path.name} holds {len(pictures)} videos: the first one is taken.")
        if self._container.streams.subtitles:
            self.warnings.append(f"{self._path.name} has subtitles, which are left out.")
        context = stream.codec_context
        if context is None or not context.width or not context.height or context.pix_fmt is None:
            raise InputError(
                f"{self._path} holds video that is damaged, or that this FFmpeg cannot decode.", self._otherwise
            )
        stream.thread_type = self._threads
        self._decoder = self._chosen_decoder(av)
        first = self._first_frame()
        self._places = places = _Places.of(first, context.name)
        turned = places.turned
        if places.is_askew:
            self.warnings.append(f"{self._path.name} is to be shown askew: it was turned to the nearest quarter.")
        layout = first.format
        rgb = layout.is_rgb
        depth = max((component.bits for component in layout.components), default=8)
        width, height = (first.height, first.width) if turned else (first.width, first.height)
        aspect = Fraction(stream.sample_aspect_ratio or 1) or Fraction(1)
        if turned and aspect:
            aspect = 1 / aspect
        wide, tall = scaled_sides(width, height, size)
        self._scaled_to = (tall, wide) if turned else (wide, tall)
        self._alpha = any(component.is_alpha for component in layout.components)
        self._alpha_bits = next((one.bits for one in layout.components if one.is_alpha), 8)
        self._deep = depth > 8
        self._tags = ColourTags.of(first, context, height, rgb)
        if first.interlaced_frame:
            self.warnings.append(f"{self._path.name} is interlaced: deinterlace it first for clean edges.")
        if self._tags.is_hdr:
            self.warnings.append(
                f"{self._path.name} is HDR: its numbers are kept as they are, and models see a flat picture."
            )
        rate = stream.average_rate or stream.guessed_rate or stream.base_rate or Fraction(25)
        self._rate = Fraction(rate)
        self._timed = first.pts is not None
        self._begin: Fraction = _time_of(first, stream, Fraction(0))
        seconds = self._lasts = self._length()
        if seconds is None and self._container.duration:
            seconds = self._container.duration / av.time_base
        self.clip = Clip(
            path=self._path,
            width=wide,
            height=tall,
            rate=self._rate,
            time_base=Fraction(stream.time_base),
            seconds=seconds,
            depth=depth,
            aspect=aspect if None in size else Fraction(1),
            tags=self._tags,
            has_alpha=self._alpha,
            has_sound=bool(self._container.streams.audio),
            codec=context.name,
        )

    @property
    def begin(self) -> Fraction:
        """When its first frame is shown, in the file's own seconds: sound counts from 0, too."""
        return self._begin

    def frames(
        self,
        start: Fraction = Fraction(0),
        end: Fraction | None = None,
        done: tuple[int, Fraction] | None = None,
    ) -> Iterator[Frame]:
        """Yield the frames between two points, one at a time.

        Parameters
        ----------
        start, end : Fraction
            Seconds from the clip's first frame: the first frame at or after `start` has the number 0; the one at
            `end` is left out. Their times count from `start`.
        done : (int, Fraction), optional
            Number and time of the first frame that is wanted: those before it were had already.

        Raises
        ------
        InputError
            The file is damaged from here on.
        """
        # What has times of its own can be entered anywhere; where they are counted it takes all frames from the start.
        number, ready = done if done is not None and self._timed else (0, Fraction(0))
        wanted = self._begin + start
        with reading(self._path):
            self._rewind(wanted + ready if self._timed else self._begin)
            last, shown = None, Fraction(0)
            for frame in self._decoded():
                time = _time_of(frame, self._stream, None)
                if time is None:  # AVI and raw streams: no time but the place in the row
                    time = self._begin if last is None else last + 1 / self._rate
                if last is not None and time <= last:
                    time = last + self._stream.time_base
                last, shown = time, (frame.duration or 0) * Fraction(self._stream.time_base)
                if time < wanted + ready:
                    continue
                if end is not None and time - self._begin >= end:
                    return
                if done is None or number >= done[0]:
                    yield self._upright(frame, number, time - wanted)
                number += 1
            if last is not None:
                self._check_end(last - self._begin, shown)

    def _length(self) -> float | None:
        """Return how many seconds its stream says that it lasts; None where it does not."""
        if self._stream.duration:
            return float(self._stream.duration * self._stream.time_base)
        told = _told_end(self._stream)
        return None if told is None else max(0.0, told - max(0.0, float(self._begin)))

    def _check_end(self, last: Fraction, shown: Fraction) -> None:
        """Say where frames end long before the file says: it was cut off where that can be read all the same."""
        ends = float(last + max(shown, 1 / self._rate) + _MISSING / self._rate)
        if self._lasts is not None and self._lasts > ends:
            self.warnings.append(
                f"{self._path.name} says that it lasts {self._lasts:.3g} s, and its last frame comes at "
                f"{float(last):.3g} s: it may be cut off."
            )

    def _upright(self, frame: Any, number: int, time: Fraction) -> Frame:
        from av.video.reformatter import ColorRange, Interpolation

        flags = 0
        for flag in _FLAGS:
            flags |= getattr(Interpolation, flag)
        width, height = self._scaled_to
        layout = ("rgba64le" if self._alpha else "rgb48le") if self._deep else ("rgba" if self._alpha else "rgb24")
        full = self._tags.full or frame.format.name.startswith("yuvj") or frame.format.is_rgb
        array = frame.reformat(
            width=width,
            height=height,
            format=layout,
            src_colorspace=self._tags.swscale,
            dst_colorspace=self._tags.swscale,
            interpolation=flags,
            src_color_range=ColorRange.JPEG if full else ColorRange.MPEG,
            dst_color_range=ColorRange.JPEG,
        ).to_ndarray()
        array = np.ascontiguousarray(self._places.upright(array))
        if self._alpha:
            alpha = np.ascontiguousarray(array[..., 3])
            if self._deep and self._alpha_bits < 16:  # FFmpeg shifts 10 bits to 16: all of them come to 65472
                most = (1 << 16) - (1 << (16 - self._alpha_bits))
                alpha = np.rint(alpha * np.float32(65535 / most)).astype(np.uint16)
            return Frame(number, time, np.ascontiguousarray(array[..., :3]), alpha)
        return Frame(number, time, array)

    def _chosen_decoder(self, av: Any) -> Any:
        """Return a decoder of our own where FFmpeg's usual one drops the alpha: VP8's and VP9's; None else."""
        name = self._stream.codec_context.name
        told = {key.lower(): value for key, value in self._stream.metadata.items()}
        if name not in ("vp8", "vp9") or told.get("alpha_mode") != "1":
            return None
        try:
            decoder = av.CodecContext.create(f"libvpx-{name}" if name == "vp9" else "libvpx", "r")
        except (av.error.FFmpegError, ValueError, LookupError):
            self.warnings.append(f"The transparency of {self._path.name} is lost: this FFmpeg has no libvpx.")
            return None
        return decoder

    def _decoded(self) -> Iterator[Any]:
        """Yield frames from where the file stands; single damaged packets are left out, and told."""
        av = libav()
        damaged = in_a_row = 0
        incomplete = False  # what was read last: it counts where something follows, at the end the clip is cut off
        for packet in self._container.demux(self._stream):
            if self._is_within and packet.size and not packet.is_keyframe:
                continue  # it builds on pictures before
            self._is_within = False
            if packet.size:
                damaged, incomplete = damaged + incomplete, False
            try:
                if self._decoder is None:
                    found = packet.decode()
                else:
                    found = self._decoder.decode(None if packet.size == 0 else packet)
            except (av.error.InvalidDataError, av.error.EOFError):
                damaged += 1
                in_a_row += 1
                if in_a_row >= _DAMAGED:
                    break
                continue
            if found:
                in_a_row = 0
                incomplete = bool(packet.is_corrupt)  # and decoded all the same
            for frame in found:
                if self._decoder is not None:
                    frame.time_base = self._stream.time_base
                yield frame
        if damaged:
            places = f"{damaged} place{'s' * (damaged > 1)}"
            told = f"{self._path.name} is damaged in {places}: frames are missing there, or wrong."
            if told not in self.warnings:
                self.warnings.append(told)

    def _first_frame(self) -> Any:
        for frame in self._decoded():
            return frame
        raise InputError(f"{self._path} holds not a single frame.", "Give a clip with pictures in it.")

    def _rewind(self, time: Fraction) -> None:
        """Go to a place at or before a time from where decoding can begin.

        What has no index, as MPEG-TS of cameras and broadcasts, is sought by guess, and often past the picture that the
        others build on: from there on nothing could be decoded up to the next one.
        """
        for earlier in _EARLIER:
            if time - earlier <= self._begin or not self._sought(time - earlier, time):
                continue
            if self._decoder is not None:
                self._decoder = self._chosen_decoder(libav())
            else:
                self._stream.codec_context.flush_buffers()
            return
        self._reopen()

    def _sought(self, target: Fraction, time: Fraction) -> bool:
        """Seek, and return whether the first whole picture from there on is shown at or before a time."""
        place = int(target / self._stream.time_base)
        try:
            self._container.seek(place, stream=self._stream, backward=True, any_frame=False)
            first = next((one for one in self._container.demux(self._stream) if one.size and one.is_keyframe), None)
            if first is None or first.pts is None or first.pts * self._stream.time_base > time:
                return False
            self._container.seek(place, stream=self._stream, backward=True, any_frame=False)
        except libav().error.FFmpegError:  # what cannot be sought
            return False
        self._is_within = True
        return True

    def _reopen(self) -> None:
        """Go to the very beginning."""
        index = self._stream.index  # its memory goes with the container
        self._container.close()
        self._container = libav().open(str(self._path), metadata_errors="replace")
        self._stream = self._container.streams[index]
        self._stream.thread_type = self._threads
        self._decoder = self._chosen_decoder(libav())
        self._is_within = False


@dataclass(frozen=True)
class _Places:
    """Where the pixels of a picture are shown: as they lie, or its columns as rows, and either side mirrored."""

    turned: bool = False
    mirrored: bool = False
    overturned: bool = False
    is_askew: bool = False

    @classmethod
    def of(cls, frame: Any, codec: str) -> _Places:
        """Return what a frame of PyAV says: a matrix, x to the right and y down, as cameras of phones write it."""
        (xx, xy), (yx, yy) = _matrix(frame, codec)
        straight, across = abs(xx) + abs(yy), abs(yx) + abs(xy)
        turned = bool(across > straight)
        askew = bool(min(straight, across) > _ASKEW * max(straight, across))
        return cls(turned, bool((yx if turned else xx) < 0), bool((xy if turned else yy) < 0), askew)

    def upright(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Return pixels, (H, W, n), as they are shown."""
        shown = pixels.transpose(1, 0, 2) if self.turned else pixels
        return shown[:: -1 if self.overturned else 1, :: -1 if self.mirrored else 1]


def _matrix(frame: Any, codec: str) -> NDArray[np.float64]:
    """Return the (2, 2) matrix by which a frame is shown, up to its scale.

    PyAV frees the name of a PNG's colour profile twice once its `side_data` were looked at, which ends the process, and
    stops at what it has no name for (EXIF, and the views of films in 3D). It tells the angle all the same: what is
    lost there is whether a frame is to be mirrored, which such clips do not say.
    """
    from av.sidedata.sidedata import Type

    if codec not in _NAMED_PROFILES:
        try:
            told = frame.side_data.get(Type.DISPLAYMATRIX)
        except ValueError:
            pass
        else:
            return np.eye(2) if told is None else np.frombuffer(told, np.int32)[:9].reshape(3, 3)[:2, :2].astype(float)
    angle = np.deg2rad(frame.rotation)
    return np.array(((np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))))


def _told_end(stream: Any) -> float | None:
    """Return when a stream of Matroska ends by its tags, in seconds of the file; None where they do not tell."""
    told = {key.upper(): value for key, value in stream.metadata.items()}.get("DURATION", "")
    try:
        hours, minutes, seconds = (float(part) for part in told.split(":"))
    except ValueError:
        return None
    return 3600 * hours + 60 * minutes + seconds


def _time_of(frame: Any, stream: Any, otherwise: Fraction | None) -> Any:
    base = frame.time_base or stream.time_base
    return otherwise if frame.pts is None or base is None else frame.pts * Fraction(base)


def scaled_sides(width: int, height: int, size: tuple[int | None, int | None]) -> tuple[int, int]:
    """Return the sides that frames are scaled to."""
    wide, tall = size
    if wide is None and tall is None:
        return width, height
    if wide is None and tall is not None:
        wide = max(16, round(width * tall / height))
    if tall is None and wide is not None:
        tall = max(16, round(height * wide / width))
    return wide or width, tall or height
