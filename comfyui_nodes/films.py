# SPDX-License-Identifier: GPL-3.0-or-later
"""Clips as nodes write them: the format and name that are asked for, what is written, and what is shown of it."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from comfy_api.latest import InputImpl, io

from . import clips, widgets
from .log import warn
from .progress import Bar

if TYPE_CHECKING:
    import torch

    from gossamer.settings.video import Video

__all__ = ["check", "format_input", "name_input", "output", "saved_outputs", "still", "suffix", "written"]

_NO_FILM = ("auto", "png", "tiff", "exr", "gif", "webp", "apng")  # ComfyUI has nodes of its own for these


def format_input() -> io.Input:
    """Return the choice of a format."""
    from gossamer.settings.video import FORMATS

    films = [one for one in FORMATS if one not in _NO_FILM]
    return widgets.known(
        io.Combo.Input,
        "format",
        options=films,
        default=films[0],
        display_name="format",
        tooltip="prores4444 (.mov): for editing, transparent; vp9 (.webm): for the web, transparent; ffv1 (.mkv): "
        "without loss, transparent; h264, hevc (.mp4): no transparency.",
    )


def name_input(default: str) -> io.Input:
    """Return the widget of the file's name."""
    return widgets.known(
        io.String.Input,
        "filename_prefix",
        default=default,
        display_name="filename prefix",
        tooltip="The name in ComfyUI's output folder; a number is added, and nothing is replaced.",
    )


def saved_outputs() -> list[io.Output]:
    """Return the outputs of every node that saves a clip."""
    return [
        io.Video.Output(display_name="video", tooltip="The clip that was saved."),
        io.String.Output(display_name="file", tooltip="Its file, with its folder."),
    ]


def check(wanted: Video, *, clear: bool) -> None:
    """Refuse a format that cannot hold what is to be written; newer servers alone check the list."""
    from gossamer import InputError
    from gossamer.video import VIDEO_FORMATS

    if wanted.format in _NO_FILM:
        raise InputError(f"{wanted.format} is no format of a clip.", "Choose prores4444, vp9, ffv1, h264 or hevc.")
    if clear and not VIDEO_FORMATS[wanted.format].clear:
        raise InputError(
            f"{VIDEO_FORMATS[wanted.format].title} cannot hold a transparent background.",
            "Choose the format prores4444, vp9 or ffv1, or put a background behind it.",
        )


def suffix(wanted: Video) -> str:
    """Return the suffix of a format's files."""
    from gossamer.video import VIDEO_FORMATS

    return VIDEO_FORMATS[wanted.format].suffixes[0]


def written(
    made: Any, size: tuple[int, int], count: int, wanted: Video, name: str, audio: Any, clear: bool, bar: Bar
) -> clips.Target:
    """Write pairs of colours and alpha as a clip."""
    from gossamer.video import Picture, save_frames

    rate = wanted.rate or Fraction(25)
    target = clips.Target.of(name, suffix(wanted), size[1], size[0])
    pictures = (Picture(number / rate, rgb, alpha if clear else None) for number, (rgb, alpha) in enumerate(made))
    with clips.sound_file(audio) as sound:
        warn(
            save_frames(
                pictures,
                target.path,
                *size,
                wanted,
                transparent=clear,
                sound=sound,
                count=count,
                progress=bar.pictures(0, count),
            )
        )
    return target


def still(target: clips.Target, seconds: float) -> torch.Tensor:
    """Return one picture of a clip that was written, from its middle, (1, H, W, C)."""
    import numpy as np
    import torch

    from gossamer.video import open_source

    with open_source(target.path) as source:
        frame = next(source.frames(Fraction(seconds / 2).limit_denominator(1000)), None) or next(source.frames())
    planes = frame.rgb if frame.alpha is None else np.dstack([frame.rgb, frame.alpha / np.iinfo(frame.alpha.dtype).max])
    return torch.from_numpy(np.ascontiguousarray(planes, np.float32))[None]


def output(target: clips.Target, still: torch.Tensor) -> io.NodeOutput:
    """Return the outputs of :func:`saved_outputs`."""
    return io.NodeOutput(InputImpl.VideoFromFile(str(target.path)), str(target.path), ui=clips.shown(target, still))
