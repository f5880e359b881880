"""Pictures that somebody else made, written as a clip: with alpha where the format has it, and with sound."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

from gossamer.errors import InputError, OutputError
from gossamer.files import check_place, move_into_place, staging_folder
from gossamer.paths import source_path, target_path
from gossamer.progress import Progress, ProgressCallback
from gossamer.settings.video import Video
from gossamer.video.ahead import Behind
from gossamer.video.animation import animate
from gossamer.video.formats import format_for
from gossamer.video.frames import clip_of_arrays
from gossamer.video.joining import Voice, join
from gossamer.video.segment import FilmPlan, Picture, open_segment

__all__ = ["save_frames"]

_BEHIND = 3  # pictures that wait to be encoded


def save_frames(
    pictures: Iterable[Picture],
    out: str | Path,
    height: int,
    width: int,
    settings: Video | None = None,
    *,
    transparent: bool = True,
    sound: str | Path | None = None,
    count: int = 0,
    progress: ProgressCallback | Progress | None = None,
) -> tuple[str, ...]:
    """Write pictures as a clip, whole or not at all.

    Parameters
    ----------
    pictures : iterable of Picture
        One at a time, each after the one before; in sRGB.
    out : path
        As for :func:`gossamer.video.cut_video`; there must be nothing of that name.
    height, width : int
        Of the pictures.
    settings : Video, optional
        ``format``, ``crf`` and ``fps`` (0: 25).
    transparent : bool
        Whether the pictures' alpha is written; else they are shown as they are.
    sound : path, optional
        A file whose sound is laid beside, from its beginning to the last picture.
    count : int
        How many pictures there are, for the progress.
    progress : callable, optional
        ``progress(fraction, message)``; raising :class:`gossamer.Cancelled` in it stops the work.

    Returns
    -------
    tuple of str
        Warnings.

    Raises
    ------
    InputError
        There is no picture, or the format has no transparency.
    OutputExists, OutputError
        Something of that name is there already, or it cannot be written.
    MissingExtra
        PyAV is not installed.
    """
    settings, steps, goal = settings or Video(), Progress.of(progress), target_path(out)
    rate = settings.rate or Fraction(25)
    clip = clip_of_arrays(height, width, rate)
    plan = FilmPlan.of(
        clip, format_for(goal, settings, transparent=transparent), settings.crf, rate, "cutout", not transparent
    )
    if plan.format.is_folder and goal.exists():
        raise OutputError(f"{goal} is there already.", "Give a new folder.")
    check_place(goal)
    times: list[Fraction] = []
    with staging_folder(goal.parent) as staging:
        suffix = "" if plan.format.is_folder else ".mkv" if plan.format.animated else goal.suffix.lower()
        piece = staging / f"pictures{suffix}"
        segment = open_segment(piece, plan, 0)
        try:
            with Behind(_BEHIND, steps) as behind:
                for picture in pictures:
                    steps(0.95 * min(1.0, len(times) / max(count, 1)), f"Picture {len(times) + 1}")
                    behind.do(lambda picture=picture: segment.add(picture))  # type: ignore[misc]
                    times.append(picture.time)
                if not times:
                    raise InputError("There is no picture to write.", "Give one at least.")
                behind.do(segment.close)
        except BaseException:
            segment.discard()
            raise
        if plan.format.is_folder:
            piece.rename(goal)
            return ()
        made = staging / f"joined{goal.suffix}"
        part = steps.part(0.95, 1.0)
        if plan.format.animated:  # it holds no sound
            warnings = [*animate([piece], times, plan, made, goal, part)]
        else:
            voice = None if sound is None else Voice(source_path(sound, "sound"), Fraction(0), False)
            warnings = join([piece], times, plan, voice, made, goal, part)
        check_place(goal)
        move_into_place(made, goal, force=False)
    if plan.format.even and (width % 2 or height % 2):
        warnings.append(f"A row or column was added: {plan.format.title} takes even sides only.")
    return tuple(warnings)
