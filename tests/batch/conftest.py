"""Small photographs before a green screen, which need no weights, and the command line in this process."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gossamer.cli import main

KEYED = ("--model", "none", "--matting", "key")


def photograph(path: Path, seed: int = 0, size: tuple[int, int] = (60, 80)) -> Path:
    """Write a red box before green."""
    height, width = size
    generator = np.random.default_rng(seed)
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[...] = (40, 180, 60)
    y, x = height // 4 + seed % 5, width // 4 + seed % 7
    box = pixels[y : y + height // 2, x : x + width // 2]
    box[...] = (190, 30 + seed % 50, 60)
    box += generator.integers(0, 12, box.shape, dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


@dataclass
class Shown:
    """What a command did and showed."""

    status: int
    out: str
    err: str
    summary: dict[str, Any] = field(default_factory=dict)


Batch = Callable[..., Shown]


@pytest.fixture
def batch(capsys: pytest.CaptureFixture[str]) -> Iterator[Batch]:
    """Return what runs `gossamer batch` with the matting key, which finds green by itself."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def call(*arguments: str | os.PathLike[str], keyed: bool = True) -> Shown:
        capsys.readouterr()
        status = main(["batch", *(os.fspath(each) for each in arguments), *(KEYED if keyed else ())])
        shown = capsys.readouterr()
        summary = json.loads(shown.out) if "--json" in arguments else {}
        return Shown(status, shown.out, shown.err, summary)

    yield call
    for number, handler in before.items():
        signal.signal(number, handler)
