"""A clip's sound beside new pictures: copied as it is where the file can hold it, else encoded anew."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from gossamer.video.formats import VideoFormat
from gossamer.video.libav import libav

__all__ = ["Sound"]

_SPEAKERS = {1: "mono", 2: "stereo", 3: "2.1", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}  # as FFmpeg takes them
_ANY_RATE = 48000  # Hz: what every encoder takes


class Sound:
    """All tracks of sound of a clip, on their way into a new container.

    Parameters
    ----------
    source : av.container.InputContainer
        The clip, opened for this alone.
    out : av.container.OutputContainer
        Gets a stream for each track.
    format : VideoFormat
    begin : Fraction
        What of the source's time is 0 in the new file.
    end : Fraction
        When the pictures end in the new file; sound ends there, too.
    trimmed : bool
        Whether an in point was given: sound before it is left out.

    Attributes
    ----------
    warnings : list of str
    """

    def __init__(
        self, source: Any, out: Any, format: VideoFormat, begin: Fraction, end: Fraction, trimmed: bool
    ) -> None:
        self.warnings: list[str] = []
        self._source, self._begin, self._end = source, begin, end
        # Matroska has no times before 0: it would move the pictures to make room for a codec's priming.
        self._from_zero = trimmed or out.format.name in ("matroska", "webm")
        self._streams: dict[int, tuple[Any, Any, _Coder | None]] = {}
        for track in source.streams.audio:
            # Of the codec, not of who decodes it: FFmpeg's decoder of MP3 is called otherwise.
            name = track.codec_context.codec.canonical_name if track.codec_context is not None else "unknown"
            if not (("*" in format.sounds or name in format.sounds) and self._is_copied(out, track)):
                self._add_encoded(out, track, format.sound, name)

    def _is_copied(self, out: Any, track: Any) -> bool:
        """Add a track as it is, and return whether that can be: what holds nearly anything tells itself what not."""
        try:
            self._streams[track.index] = (track, out.add_stream_from_template(track), None)
        except ValueError:
            return False
        return True

    def _add_encoded(self, out: Any, track: Any, codec: str, name: str) -> None:
        av = libav()
        context = track.codec_context
        if context is None or not context.sample_rate:
            self.warnings.append(f"A track of sound ({name}) cannot be decoded here and was left out.")
            return
        try:
            layout, rate = _encodable(codec, context)
            stream = out.add_stream(codec, rate=rate)
            stream.codec_context.layout = layout
            kind = stream.codec_context.codec.audio_formats[0].name
            stream.codec_context.format = kind
            resampler = av.AudioResampler(format=kind, layout=layout, rate=rate)
        except (av.error.FFmpegError, ValueError, LookupError) as error:
            self.warnings.append(f"The sound ({name}) could not be encoded as {codec} ({error}) and was left out.")
            return
        self._streams[track.index] = (track, stream, _Coder(resampler, rate))
        self.warnings.append(f"The sound was encoded anew, from {name} to {codec}: this file does not hold {name}.")
        channels = context.layout.nb_channels
        if _SPEAKERS[2] == layout and channels > 2:
            self.warnings.append(f"Its {channels} channels were mixed to two: {codec} does not take as many.")

    def packets(self) -> Iterator[tuple[Fraction, Any]]:
        """Yield packets for the new container with their times, in the order of the source."""
        av = libav()
        tracks = [track for track, _, _ in self._streams.values()]
        if not tracks:
            return
        done: set[int] = set()
        try:
            for packet in self._source.demux(tracks):
                if len(done) == len(tracks):
                    break
                if packet.pts is None:
                    continue
                _, stream, coder = self._streams[packet.stream.index]
                time = packet.pts * packet.time_base - self._begin
                if time >= self._end:
                    done.add(packet.stream.index)
                    continue
                if coder is None:
                    if time < 0 and self._from_zero:
                        continue
                    yield self._moved(packet, stream, time)
                else:
                    yield from self._encoded(packet, stream, coder)
        except av.error.FFmpegError:
            self.warnings.append("The sound is damaged: what comes after that is silent.")
        for _, stream, coder in self._streams.values():
            if coder is not None:
                yield from self._drained(stream, coder)

    def _moved(self, packet: Any, stream: Any, time: Fraction) -> tuple[Fraction, Any]:
        base = packet.time_base
        shift = round(self._begin / base)
        packet.pts -= shift
        packet.dts = packet.pts if packet.dts is None else packet.dts - shift
        packet.stream = stream
        return time, packet

    def _encoded(self, packet: Any, stream: Any, coder: _Coder) -> Iterator[tuple[Fraction, Any]]:
        av = libav()
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            return
        for frame in frames:
            if frame.pts is None:
                continue
            time = frame.pts * frame.time_base - self._begin
            if time + Fraction(frame.samples, frame.sample_rate) <= 0 or time >= self._end:
                continue
            coder.add(frame, time)
        for made in coder.frames(stream.codec_context.frame_size or 1024):
            yield from self._out(stream, made)

    def _drained(self, stream: Any, coder: _Coder) -> Iterator[tuple[Fraction, Any]]:
        for made in coder.frames(0):
            yield from self._out(stream, made)
        yield from self._out(stream, None)

    def _out(self, stream: Any, frame: Any) -> Iterator[tuple[Fraction, Any]]:
        for packet in stream.encode(frame):
            base = packet.time_base or stream.time_base
            yield Fraction(0) if packet.pts is None else packet.pts * base, packet


class _Coder:
    """Samples on their way to an encoder, which wants them in pieces of one length.

    A clip's times are rounded and a codec counts samples: after the first one they follow each other.
    """

    def __init__(self, resampler: Any, rate: int) -> None:
        self._resampler, self._rate = resampler, rate
        self._waiting = libav().AudioFifo()
        self._at: int | None = None  # when the first that waits is heard, in samples

    def add(self, frame: Any, time: Fraction) -> None:
        """Take a decoded frame that is heard at a time, in seconds; what is before 0 is left out."""
        if self._at is None:
            self._at = round(time * self._rate)
        frame.pts = None
        for one in self._resampler.resample(frame):
            one.pts = None  # the queue takes times from 0 on alone
            self._waiting.write(one)
        if self._at < 0 and self._waiting.samples:
            early = min(-self._at, self._waiting.samples)
            self._waiting.read(early)
            self._at += early

    def frames(self, size: int) -> Iterator[Any]:
        """Yield what waits in pieces of so many samples; 0: all of it, at the end."""
        while self._waiting.samples and self._waiting.samples >= size:
            made = self._waiting.read(size, True)
            made.pts, made.time_base = self._at, Fraction(1, self._rate)
            self._at = (self._at or 0) + made.samples
            yield made


def _encodable(codec: str, context: Any) -> tuple[str, int]:
    """Return the nearest to a track's layout of channels and rate that an encoder takes.

    Some containers tell how many channels there are and not which: those are taken in the usual order. Raises
    FFmpegError where it takes none.
    """
    av = libav()
    own, usual = context.layout.name, _SPEAKERS.get(context.layout.nb_channels, _SPEAKERS[2])
    layouts = dict.fromkeys((usual if own.endswith("channels") else own, usual, _SPEAKERS[2]))
    rates = dict.fromkeys((_ANY_RATE if codec == "libopus" else context.sample_rate, _ANY_RATE))
    refused: Exception | None = None
    for layout in layouts:
        for rate in rates:
            tried = av.CodecContext.create(codec, "w")
            tried.sample_rate, tried.layout, tried.format = rate, layout, tried.codec.audio_formats[0].name
            try:
                tried.open()
            except (av.error.FFmpegError, ValueError) as error:
                refused = error
            else:
                return layout, rate
    assert refused is not None  # noqa: S101 - something was tried
    raise refused
