# SPDX-License-Identifier: GPL-3.0-or-later
"""ComfyUI's clips and sounds as the library's: a VIDEO's file, a batch's frames, an AUDIO as a file."""

from __future__ import annotations

import os
import shutil
import tempfile
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import folder_paths
import numpy as np
import torch
from comfy_api.latest import InputImpl, io, ui

from .log import warn
from .progress import Bar
from .tensors import Images

if TYPE_CHECKING:
    from gossamer import Recipe
    from gossamer.video import Frame

__all__ = ["Target", "clip_file", "components", "frames_of", "is_clip", "shown", "sound_file"]

_PLAYED = (".webm", ".mp4")  # what browsers play


@dataclass(frozen=True)
class Target:
    """A file in ComfyUI's output folder that is not there yet.

    Attributes
    ----------
    path : Path
    subfolder : str
        Of the output folder.
    """

    path: Path
    subfolder: str

    @classmethod
    def of(cls, prefix: str, suffix: str, width: int, height: int) -> Target:
        """Return the next free name, numbered as ComfyUI's own nodes number theirs; raises InputError."""
        from gossamer import InputError

        try:
            folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(
                prefix, folder_paths.get_output_directory(), width, height
            )
        except Exception:
            raise InputError(
                f"{prefix!r} is no name in ComfyUI's output folder.", "Give one such as video/cutout."
            ) from None
        while (path := Path(folder) / f"{name}_{counter:05}_{suffix}").exists():
            counter += 1
        return cls(path, subfolder)

    def discard(self) -> None:
        """Remove what an ended run left beside it."""
        shutil.rmtree(self.path.with_name(f"{self.path.name}.parts"), ignore_errors=True)


@contextmanager
def clip_file(video: Any) -> Iterator[tuple[Path, str, str]]:
    """Lend the file of a VIDEO that was made of one, and its in and out points in seconds ("" where none is).

    Raises
    ------
    InputError
        It is no VIDEO.
    """
    from gossamer import InputError

    if not hasattr(video, "get_stream_source"):
        raise InputError(
            f"The video is no VIDEO but of the type {type(video).__name__}.", "Connect Load Video's output."
        )
    start, length = video.get_active_trim_window() if hasattr(video, "get_active_trim_window") else (0.0, 0.0)
    points = f"{start:.6f}" if start else "", f"{start + length:.6f}" if length else ""
    source = video.get_stream_source()
    if isinstance(source, str | os.PathLike):
        yield Path(source), *points
        return
    folder_made = Path(tempfile.mkdtemp(prefix="gossamer-", dir=_temporary()))
    try:
        copy = folder_made / "clip"
        with copy.open("wb") as file:
            shutil.copyfileobj(source, file)
        yield copy, *points
    finally:
        shutil.rmtree(folder_made, ignore_errors=True)


def components(video: Any) -> Any:
    """Return images, sound and rate of a VIDEO that was made of tensors, None for one of a file."""
    return video.get_components() if isinstance(video, InputImpl.VideoFromComponents) else None


def is_clip(images: Images, recipe: Recipe, bar: Bar) -> bool:
    """Tell whether a batch is a clip's frames, where the recipe makes a difference of it, and say so in the log."""
    from gossamer.video import are_frames

    if recipe.matting.method != "auto" or not are_frames(images.rgb, len(images), _unmoved(bar)):
        return False
    warn(
        (
            "The batch is taken for the frames of a clip, as its pictures resemble each other from one to the next: "
            "what the model half saw is left as it is, or it would come and go. Remove Background from Video Frames "
            "also holds frames still.",
        )
    )
    return True


def _unmoved(bar: Bar) -> Callable[[float, str], None]:
    """Return a callback that only hears interrupts."""
    report = bar.picture(0)
    return lambda fraction, message: report(0.0, message)


def frames_of(images: Images, rate: Fraction = Fraction(25), begin: Fraction = Fraction(0)) -> Iterator[Frame]:
    """Yield pictures as frames, the first shown at `begin`: in 8 bits where they come from such, else in 16."""
    from gossamer.video import Frame

    for index in range(len(images)):
        alpha = images.alpha(index)
        whole = None if alpha is None else (alpha * np.float32(65535) + np.float32(0.5)).astype(np.uint16)
        yield Frame(index, begin + index / rate, _whole(images.rgb(index)), whole)


def _whole(picture: np.ndarray) -> np.ndarray:
    numbers = picture * np.float32(255)
    near = np.rint(numbers)
    if np.abs(numbers - near).max() < 1e-3:
        return near.astype(np.uint8)
    return (picture * np.float32(65535) + np.float32(0.5)).astype(np.uint16)


@contextmanager
def sound_file(audio: Any) -> Iterator[Path | None]:
    """Lend an AUDIO as a file, None for none; raises InputError for what is no AUDIO."""
    from gossamer import InputError

    if audio is None:
        yield None
        return
    try:
        waves, rate = audio["waveform"], int(audio["sample_rate"])
        waves = waves[0].detach().to("cpu", torch.float32)
        channels, length = waves.shape
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        raise InputError("The audio is no AUDIO.", "Connect Get Video Components' or Load Audio's output.") from None
    if not length or not channels:
        yield None
        return
    folder = Path(tempfile.mkdtemp(prefix="gossamer-", dir=_temporary()))
    try:
        path = folder / "sound.wav"
        with wave.open(str(path), "wb") as file:
            file.setnchannels(channels)
            file.setsampwidth(2)
            file.setframerate(rate)
            file.writeframes((waves.clamp(-1, 1) * 32767).round().to(torch.int16).T.contiguous().numpy().tobytes())
        yield path
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def shown(target: Target, still: torch.Tensor) -> Any:
    """Return what a node shows of a clip: the clip where browsers play it, else a still, (1, H, W, C)."""
    if target.path.suffix in _PLAYED:
        return ui.PreviewVideo([ui.SavedResult(target.path.name, target.subfolder, io.FolderType.output)])
    return ui.PreviewImage(still)


def _temporary() -> str:
    folder = folder_paths.get_temp_directory()
    os.makedirs(folder, exist_ok=True)
    return folder
