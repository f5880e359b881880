"""SAM 3 on clips: what a box, a point or a mask on one frame means is followed through the others, forth and back.

Carion et al., "SAM 3: Segment Anything with Concepts" (2025): its tracker remembers as SAM 2.1's does, and looks with
SAM 3's eyes. It is a part of what is published (github.com/facebookresearch/sam3), run by the transformers package.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer.networks.transformers_loading import load_classes, load_pretrained
from gossamer.parallel.patience import patiently
from gossamer.progress import Progress, ProgressCallback
from gossamer.prompting.families import find_weights
from gossamer.prompting.sam2_video import TIED, Sam2Tracker
from gossamer.prompting.sam3 import preprocess

__all__ = ["Sam3Tracker", "load_sam3_tracker"]

_TYPES = {"sam3_video": "tracker_config"}


class Sam3Tracker(Sam2Tracker):
    """A loaded SAM 3 that remembers frames.

    Parameters
    ----------
    module : Sam3TrackerVideoModel
        Of transformers.
    id, device, precision : str
        As for :class:`~gossamer.prompting.sam.Sam`.
    """

    what = "SAM 3"
    session = "Sam3TrackerVideoInferenceSession"

    def prepared(self, small: NDArray[np.uint8]) -> Any:
        """Return what :meth:`small` gave as the network takes it, a tensor (1, 3, side, side)."""
        return preprocess(small, self.side)


def load_sam3_tracker(
    model: str | Path = "auto",
    *,
    device: str = "auto",
    precision: str = "auto",
    folders: Iterable[str | Path] = (),
    progress: ProgressCallback | Progress | None = None,
    announce: Callable[[str], object] | None = None,
) -> Sam3Tracker:
    """Load a SAM 3 for clips, fetching its weights first where they are not on this machine.

    Parameters
    ----------
    model, device, precision, folders, progress, announce
        As for :func:`gossamer.prompting.sam3.load_sam3`, which raises the same. A folder has to hold the video's model,
        as the published one does.
    """
    steps = Progress.of(progress)
    names = ("Sam3TrackerVideoModel", "Sam3TrackerVideoConfig")
    classes = patiently(lambda: load_classes("SAM 3 on clips", "sam3", *names), steps)
    name, folder = find_weights(model, "sam3", folders=folders, progress=steps, announce=announce)

    def load() -> Sam3Tracker:
        module = load_pretrained(folder, model=classes[0], config=classes[1], types=_TYPES, tied=TIED)
        return Sam3Tracker(module, name, device=device, precision=precision)

    return patiently(load, steps)
