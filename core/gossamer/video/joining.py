"""Segments to one file: their packets as they are, each at its exact time, with the clip's sound beside them."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from gossamer.progress import Progress
from gossamer.video.libav import libav, reading, writing_to
from gossamer.video.segment import FilmPlan, container_of
from gossamer.video.sound import Sound

__all__ = ["Voice", "join"]


@dataclass(frozen=True)
class Voice:
    """Where sound comes from.

    Attributes
    ----------
    path : Path
        The clip.
    begin : Fraction
        What of its own time is the result's 0.
    trimmed : bool
        Whether that is an in point.
    """

    path: Path
    begin: Fraction
    trimmed: bool


def join(
    segments: Sequence[Path],
    times: Sequence[Fraction],
    plan: FilmPlan,
    voice: Voice | None,
    target: Path,
    name: Path,
    progress: Progress,
) -> list[str]:
    """Write one file of segments.

    Parameters
    ----------
    segments : sequence of Path
        In order; together they hold as many pictures as there are `times`.
    times : sequence of Fraction
        When each picture is shown, in seconds.
    plan : FilmPlan
    voice : Voice or None
        Whose sound is laid beside.
    target : Path
        The file to write, of any suffix.
    name : Path
        What it is called in the end: its suffix tells the container.
    progress : Progress
        Called for each picture; may raise to cancel.

    Returns
    -------
    list of str
        Warnings.

    Raises
    ------
    OutputError
        It cannot be written.
    """
    av = libav()
    warnings: list[str] = []
    with writing_to(name, "What is finished is kept."), av.open(str(target), "w", format=container_of(name)) as out:
        with av.open(str(segments[0])) as first:
            template = first.streams.video[0]
            stream = out.add_stream_from_template(template)
            stream.time_base = plan.time_base
            if plan.alpha and plan.format.id == "vp9":
                stream.metadata["alpha_mode"] = "1"
            if plan.aspect != 1:
                stream.codec_context.sample_aspect_ratio = plan.aspect
        end = times[-1] + 1 / plan.rate
        if voice is None:
            _mux(out, _pictures(segments, times, plan, stream, progress), progress)
            return warnings
        with reading(voice.path):  # this alone: what goes wrong below goes wrong in writing
            source = av.open(str(voice.path), metadata_errors="replace")
        with source:
            sound = Sound(source, out, plan.format, voice.begin, end, voice.trimmed)
            both = heapq.merge(
                _pictures(segments, times, plan, stream, progress), sound.packets(), key=lambda pair: pair[0]
            )
            _mux(out, both, progress)
        warnings += sound.warnings
    return warnings


def _mux(out: Any, packets: Iterator[tuple[Fraction, Any]], progress: Progress) -> None:
    for _, packet in packets:
        out.mux_one(packet)
        progress.tick()


def _pictures(
    segments: Sequence[Path], times: Sequence[Fraction], plan: FilmPlan, stream: Any, progress: Progress
) -> Iterator[tuple[Fraction, Any]]:
    """Yield the packets of all segments with exact times; none of the formats shows them in another order."""
    av = libav()
    number = 0
    for path in segments:
        with av.open(str(path)) as segment:
            for packet in segment.demux(video=0):
                if packet.size == 0:
                    continue
                time = times[number]
                following = times[number + 1] if number + 1 < len(times) else time + 1 / plan.rate
                packet.time_base = plan.time_base
                packet.pts = packet.dts = round(time / plan.time_base)
                packet.duration = max(1, round(following / plan.time_base) - packet.pts)
                packet.stream = stream
                number += 1
                progress(number / len(times))
                yield time, packet
