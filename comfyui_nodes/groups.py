# SPDX-License-Identifier: GPL-3.0-or-later
"""The masks of a batch: several pictures in one run of a network on a graphics card, fewer where memory runs out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .log import warn
from .progress import Bar
from .tensors import Images

if TYPE_CHECKING:
    from gossamer.arrays import Array
    from gossamer.progress import Progress

__all__ = ["TOGETHER", "are_faster", "masks"]

TOGETHER = 4
"""Pictures in one run of a network on a graphics card; a processor is as fast one by one."""


def are_faster(model: Any, detail: bool) -> bool:
    """Whether a model looks at several pictures at once sooner than at one after the other."""
    return bool(model.device == "cuda" and not detail)


def masks(
    model: Any, images: Images, bar: Bar, *, flips: bool, detail: bool, share: float = 1.0
) -> Iterator[tuple[int, Array, Progress]]:
    """Yield the number of each picture, its mask and the progress of what is still to be done with it.

    Parameters
    ----------
    model : gossamer.SegmentationModel or several as one
    images : Images
    bar : Bar
    flips, detail : bool
        As for :meth:`gossamer.SegmentationModel.predict`.
    share : float
        The part of a picture's work that finding its mask is.
    """
    from gossamer.errors import is_lack_of_memory
    from gossamer.progress import Progress

    most = TOGETHER if are_faster(model, detail) else 1
    start = 0
    while start < len(images):
        group = range(start, min(start + most, len(images)))
        count = len(group)
        steps = Progress.of(bar.pictures(start, count))
        part = steps.part(0.0, share)
        if count == 1:
            found = [model.predict(images.rgb(start), part, flips=flips, detail=detail)]
        else:
            try:
                pictures = [images.rgb(i) for i in group]
                found = model.predict_batch(pictures, part, flips=flips, batch_size=count)
            except Exception as error:
                if not is_lack_of_memory(error):
                    raise
                most = count // 2
                warn((f"There is not enough memory for {count} pictures at once: from here on {most}.",))
                continue
        for place, (index, mask) in enumerate(zip(group, found, strict=True)):
            done = (share + (1 - share) * (place + side) / count for side in (0, 1))
            yield index, mask, steps.part(*done)
        start += count
