"""Clips with known answers, made in a moment: a red disc that moves over a green screen."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

GREEN = np.array([0.1, 0.7, 0.2], np.float32)
RED = np.array([0.8, 0.2, 0.15], np.float32)


def disc(number: int, width: int, height: int) -> np.ndarray:
    """Return the alpha of the disc in a frame, (H, W) float32, soft over three pixels."""
    down, across = np.mgrid[:height, :width].astype(np.float32)
    centre = width * 0.3 + 1.5 * number, height * 0.5
    return np.clip((min(width, height) * 0.25 - np.hypot(across - centre[0], down - centre[1])) / 3 + 0.5, 0, 1)


def frame_pixels(number: int, width: int, height: int) -> np.ndarray:
    """Return a frame, (H, W, 3) uint8."""
    alpha = disc(number, width, height)[..., None]
    return ((alpha * RED + (1 - alpha) * GREEN) * 255 + 0.5).astype(np.uint8)


def make_clip(
    path: Path,
    count: int = 12,
    width: int = 96,
    height: int = 64,
    *,
    codec: str = "ffv1",
    layout: str = "bgr0",
    times: Sequence[Fraction] | None = None,
    time_base: Fraction = Fraction(1, 1000),
    sound: str = "",
    channels: str = "mono",
    rate: int = 48000,
    silent: Fraction = Fraction(0),
    options: dict[str, str] | None = None,
    tags: tuple[int, int, int] = (1, 1, 1),
    aspect: Fraction = Fraction(1),
) -> list[Fraction]:
    """Write a clip; returns the times of its frames, which start at 0."""
    times = list(times) if times is not None else [Fraction(number, 25) for number in range(count)]
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=25, options=options or {})
        context = stream.codec_context
        context.width, context.height, context.pix_fmt, context.time_base = width, height, layout, time_base
        context.sample_aspect_ratio = aspect
        if layout.startswith("yuv"):
            context.color_primaries, context.color_trc, context.colorspace = tags
            context.color_range = 1
        voice = out.add_stream(sound, rate=rate, layout=channels) if sound else None
        for number, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(frame_pixels(number, width, height), format="rgb24")
            matrix = {1: 1, 6: 5, 9: 9}[tags[2]]
            frame = frame.reformat(format=layout, dst_colorspace=matrix, src_color_range=2, dst_color_range=1)
            frame.pts, frame.time_base = round(time / time_base), time_base
            for packet in stream.encode(frame):
                out.mux(packet)
        for packet in stream.encode():
            out.mux(packet)
        if voice is not None:
            seconds = float(times[-1]) + 0.04
            wave = np.sin(np.arange(int(rate * seconds)) * 0.05).astype(np.float32)
            every = np.repeat(wave[None], av.AudioLayout(channels).nb_channels, 0)
            one = av.AudioFrame.from_ndarray(every, format="fltp", layout=channels)
            one.rate, one.pts, one.time_base = rate, 0, Fraction(1, rate)
            late = round(silent * rate)  # sound begins then
            resampler = av.AudioResampler(format=voice.codec_context.format.name, layout=channels, rate=rate)
            fifo = av.AudioFifo()
            for piece in resampler.resample(one):
                fifo.write(piece)
            size = voice.codec_context.frame_size or 1024
            while fifo.samples:
                piece = fifo.read(min(size, fifo.samples))
                piece.pts += late
                for packet in voice.encode(piece):
                    out.mux(packet)
            for packet in voice.encode():
                out.mux(packet)
    return times


def sound_packets(path: Path) -> list[tuple[Fraction, bytes]]:
    """Return times and bytes of a file's packets of sound."""
    with av.open(str(path)) as clip:
        return [(p.pts * p.time_base, bytes(p)) for p in clip.demux(audio=0) if p.pts is not None]


def turn(path: Path, degrees: int, mirror: bool = False) -> None:
    """Write into an MP4 that players shall turn it clockwise, and then mirror it: its track's matrix."""
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd")
    version = data[place + 4]
    matrix = place + 4 + (52 if version else 40)
    sine, cosine = (round(0x10000 * wave(math.radians(degrees))) for wave in (math.sin, math.cos))
    side = -1 if mirror else 1
    data[matrix : matrix + 36] = struct.pack(">9i", side * cosine, sine, 0, -side * sine, cosine, 0, 0, 0, 0x40000000)
    path.write_bytes(data)
