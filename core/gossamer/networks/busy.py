"""Picture after picture: whether networks keep their working memory between two runs.

ONNX Runtime's activations take 150 MB for U²-Net small and 450 MB for IS-Net. A single cut-out gives them back to the
stages that come next. Who has picture after picture would only fetch them again from the system, page by page: that
takes a fifth of U²-Net small's processor time, and holds up the other threads, which fetch pages of their own.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["SMALL", "is_busy", "picture_after_picture"]

SMALL = 512 * 512
"""Pixels that a network of the U²-Net family sees, and up to which several networks' working memory is no burden."""

_lock = threading.Lock()
_limits: list[float] = []


@contextmanager
def picture_after_picture(most: float = math.inf) -> Iterator[None]:
    """Let networks of this process keep their working memory while a ``with`` lasts; the next run returns it.

    Parameters
    ----------
    most : float
        Pixels that a network sees at most for this: who does not know which networks are asked for gives
        :data:`SMALL`, as each keeps memory of its own.
    """
    with _lock:
        _limits.append(most)
    try:
        yield
    finally:
        with _lock:
            _limits.remove(most)


def is_busy(pixels: int) -> bool:
    """Tell whether somebody has picture after picture for a network that sees so many pixels."""
    with _lock:
        return any(pixels <= most for most in _limits)
