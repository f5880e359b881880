"""Whether a batch is the frames of a clip, which picture by picture may flicker."""

from __future__ import annotations

import re
from pathlib import Path

from gossamer.batch.plan import Plan
from gossamer.errors import GossamerError
from gossamer.image import read_image
from gossamer.progress import Progress, ProgressCallback
from gossamer.video.likeness import are_frames

__all__ = ["footage"]

_FEW = 8  # pictures: fewer are no clip worth another command
_LOOKED_AT = 4  # of them, from the first on: they are decoded for it


def footage(plan: Plan, progress: Progress | ProgressCallback | None = None) -> Path | None:
    """Return the folder that holds a batch's pictures where these look like the frames of a clip.

    They do where their names differ in numbers alone, and the first few show the same, moved. What is made of each does
    not depend on it: a picture's result follows from the picture, whatever lies beside it.

    Parameters
    ----------
    plan : Plan
    progress : callable, optional
        Called as ``progress(fraction, message)``; an exception that it raises stops the work and passes through.
    """
    paths = [item.source.path for item in plan.items if isinstance(item.source.path, Path)]
    alike = {(path.parent, re.sub(r"\d+", "0", path.name)) for path in paths}
    if len(paths) < max(_FEW, len(plan.items)) or len(alike) != 1 or len({path.name for path in paths}) < len(paths):
        return None
    try:
        moves = are_frames(lambda number: read_image(paths[number]).pixels, _LOOKED_AT, progress)
    except GossamerError:  # which is told when its turn comes
        return None
    return paths[0].parent if moves else None
