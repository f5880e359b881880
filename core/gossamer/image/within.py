"""The best quality of a JPEG file that is not larger than it may be."""

from __future__ import annotations

from collections.abc import Callable

from gossamer.errors import OutputError

__all__ = ["best_within"]

_WORST = 35  # below it blocks are plain to see: rather no file than such a one


def best_within(encode: Callable[[int], bytes], quality: int, most: int) -> bytes:
    """Return the file of the best quality that has room.

    Parameters
    ----------
    encode : callable
        ``encode(quality)`` returns a file.
    quality : int
        The best that is wanted.
    most : int
        Bytes.

    Raises
    ------
    OutputError
        Even the worst quality that can be shown takes more.
    """
    data = encode(quality)
    if len(data) <= most:
        return data
    low, high = min(_WORST, quality), quality  # `high` is too large
    best = encode(low)
    if len(best) > most:
        raise OutputError(
            f"The picture takes {len(best) / 1000:.0f} kB as JPEG of quality {low}, more than {most / 1000:.0f}.",
            "Give a smaller canvas, or allow a larger file.",
        )
    while high - low > 1:
        middle = (low + high) // 2
        data = encode(middle)
        if len(data) <= most:
            low, best = middle, data
        else:
            high = middle
    return best
