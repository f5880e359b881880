"""A batch that was run: photographs, their cut-outs and the journal, made without a model."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from gossamer.batch.journal import Failure, JournalWriter, Record, Run
from gossamer.batch.record import Layer

RED, BLUE = (200, 40, 30), (30, 60, 200)
HEIGHT, WIDTH = 180, 240
EVIL = (
    "<script>window.hacked=1</script>.jpg",
    "<img src=x onerror=window.hacked=1>.jpg",
    "\"quotes'&amp;</script>.jpg",
    "line\nbreak, and comma.jpg",
    "\u202egnp.exe.jpg",
    "{{data}}.jpg",
)
FAULT = {"name": "halo", "reason": "A halo: 80% is left.", "severity": "fault", "remedy": "Estimate colours."}
NOTE = {"name": "frame", "reason": "It touches the frame.", "severity": "note", "remedy": "Leave room."}


def disc(soft: float = 3.0) -> np.ndarray:
    """Return the alpha of a disc, float32, with an edge some pixels wide."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    distance = np.hypot(y - HEIGHT / 2, x - WIDTH / 2)
    return np.clip((60 - distance) / soft + 0.5, 0, 1).astype(np.float32)


def photograph() -> np.ndarray:
    """Return a red disc before blue, uint8."""
    alpha = disc()[..., None]
    return np.rint(alpha * np.float32(RED) + (1 - alpha) * np.float32(BLUE)).astype(np.uint8)


def cutout() -> np.ndarray:
    """Return the disc alone, uint8 RGBA, straight."""
    alpha = np.rint(disc() * 255).astype(np.uint8)
    return np.dstack([np.broadcast_to(np.uint8(RED), (HEIGHT, WIDTH, 3)), alpha])


class Finished:
    """A batch in `folder`: its photographs in ``in``, its outputs and journal in ``out``.

    The files of all pictures are links to one photograph and one cut-out.
    """

    def __init__(self, folder: Path) -> None:
        self.photos, self.out = folder / "in", folder / "out"
        self.photos.mkdir()
        self.out.mkdir()
        self._photo, self._cut = folder / "photo.jpg", folder / "cut.png"
        Image.fromarray(photograph()).save(self._photo, quality=95)
        Image.fromarray(cutout()).save(self._cut)
        self._writer = JournalWriter(self.out)
        self._count = 0

    def begin(self, pictures: int = 0) -> None:
        """Write the head of a run."""
        arguments = ["in", "--out", "out"]
        self._writer.begin(Run("0.1.0", "2026-11-28T14:02:11+00:00", arguments, model="u2netp", pictures=pictures))

    def add(self, source: str, flags: Sequence[dict[str, str]] = (), **changed: object) -> Record:
        """Add a picture that is done, or what `changed` says of its record."""
        self._count += 1
        target = str(changed.pop("target", f"{self._count}.png"))
        photo, output = self.photos / f"{self._count}.jpg", self.out / target
        os.link(self._photo, photo)
        output.parent.mkdir(parents=True, exist_ok=True)
        os.link(self._cut, output)
        status = photo.stat()
        record = Record(
            source=source,
            source_path=str(photo),
            target=target,
            output=target,
            state="done",
            score=90.0 - self._count % 50,
            flags=list(flags),
            measures={"coverage": 0.26, "halo": None},
            model="u2netp",
            seconds={"network": 0.4, "matting": 0.1},
            width=WIDTH,
            height=HEIGHT,
            bytes=output.stat().st_size,
            source_bytes=status.st_size,
            source_mtime=status.st_mtime_ns,
            finished=f"2026-11-28T14:{self._count // 60 % 60:02}:{self._count % 60:02}+00:00",
        )
        record = replace(record, **changed)
        self._writer.append(record)
        return record

    def add_with_shadow(self, source: str) -> Record:
        """Add a picture beside whose cut-out there is a layer with its shadow, a black blot."""
        name = f"{self._count + 1}-shadow.png"
        rows, columns = np.mgrid[:HEIGHT, :WIDTH]
        blot = np.clip(2 - np.hypot((columns - WIDTH / 2) / 60, (rows - HEIGHT * 0.8) / 14), 0, 1) * 150
        layer = np.dstack([np.zeros((HEIGHT, WIDTH, 3)), blot]).astype(np.uint8)
        Image.fromarray(layer).save(self.out / name)
        data = (self.out / name).read_bytes()
        return self.add(source, shadow=Layer(name, len(data), hashlib.sha256(data).hexdigest()))

    def fail(self, source: str, message: str = "It is damaged or cut off.") -> Record:
        """Add a picture that failed."""
        (self.photos / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing")
        record = Record(
            source, str(self.photos / "broken.jpg"), f"{source}.png", None, "failed", Failure(message, "Get another.")
        )
        self._writer.append(record)
        return record

    def intend(self, source: str) -> Record:
        """Add a picture of which nobody knows whether it is there."""
        record = Record(source, str(self.photos / "nowhere.jpg"), f"{source}.png", f"{source}.png", "done")
        self._writer.intend(record)
        return record

    def close(self) -> Path:
        """Return the folder of a journal that is closed."""
        self._writer.close()
        return self.out
