"""What is finished, in one file or folder and in its place: whole or not at all, with nothing of the user's lost."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from gossamer.errors import OutputError
from gossamer.files import check_place, move_into_place
from gossamer.progress import Progress
from gossamer.video.animation import animate
from gossamer.video.joining import Voice, join
from gossamer.video.parts import Piece
from gossamer.video.segment import FilmPlan

__all__ = ["assemble", "check_goal", "put_into_place"]


def check_goal(goal: Path, plan: FilmPlan, force: bool) -> None:
    """Refuse, before the work, a name that could not be given to the result after it.

    Raises
    ------
    OutputExists, OutputError
        Something else is there, or nothing can be written there.
    """
    if not plan.format.is_folder:
        check_place(goal, force)
        return
    if goal.is_dir() and not any(goal.iterdir()):
        return
    if goal.exists():
        raise OutputError(f"{goal} is there already and not empty.", "Give a new folder.")
    check_place(goal)


def assemble(
    pieces: Sequence[Piece], plan: FilmPlan, voice: Voice | None, made: Path, goal: Path, progress: Progress
) -> list[str]:
    """Make one of all pieces.

    Parameters
    ----------
    pieces : sequence of Piece
        In order; they stay.
    plan : FilmPlan
    voice : Voice or None
        Whose sound is laid beside.
    made : Path
        What is written, on the disk of the pieces.
    goal : Path
        What it is called in the end.
    progress : Progress
        Told how much is joined; may raise to cancel.

    Returns
    -------
    list of str
        Warnings.

    Raises
    ------
    OutputError
        It cannot be written.
    """
    progress(0.0, "Joining")
    films, times = [piece.path for piece in pieces], [time for piece in pieces for time in piece.times]
    if plan.format.animated:
        return animate(films, times, plan, made, goal, progress)
    if not plan.format.is_folder:
        return join(films, times, plan, voice, made, goal, progress)
    made.mkdir()
    for folder in films:
        for picture in sorted(folder.iterdir()):
            try:
                (made / picture.name).hardlink_to(picture)
            except OSError:  # file systems without links
                shutil.copyfile(picture, made / picture.name)
            progress.tick()
    return []


def put_into_place(made: Path, goal: Path, force: bool) -> None:
    """Give what was made its name.

    Raises
    ------
    OutputExists, OutputError
        Something else has got it meanwhile, or it cannot be.
    """
    if made.is_file():
        check_place(goal, force)
        move_into_place(made, goal, force=force)
        return
    if goal.exists():
        try:
            goal.rmdir()
        except OSError:
            raise OutputError(f"{goal} is no empty folder any more.", "Move it away, and add --resume.") from None
    made.rename(goal)
