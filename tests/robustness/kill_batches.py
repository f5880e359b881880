"""Kills batches at random moments and resumes them, and looks whether a picture was lost, done twice or half-written.

``python tests/robustness/kill_batches.py --kills 200`` ends when so many were killed before they had ended; what went
wrong is printed and makes the exit status 1. Every batch is the command line as people start it, ended by SIGKILL.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

PICTURES = 30
OPTIONS = ("--model", "none", "--matting", "key", "--quiet")


@dataclass
class Tally:
    """What was seen."""

    batches: int = 0
    kills: int = 0
    """Of batches that had not ended by themselves."""
    between: int = 0
    """Kills after which an output was in place whose record was not."""
    faults: list[str] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """Yield what to tell people."""
        yield f"{self.kills} kills in {self.batches} batches of {PICTURES} pictures"
        yield f"{self.between} of them between output and record"
        yield f"{len(self.faults)} faults"
        yield from self.faults


def make_pictures(folder: Path) -> None:
    """Make small photographs before a green screen, in two folders."""
    generator = np.random.default_rng(5)
    for number in range(PICTURES):
        pixels = np.empty((90, 120, 3), np.uint8)
        pixels[...] = (40, 180, 60)
        y, x = generator.integers(5, 40), generator.integers(5, 60)
        pixels[y : y + 45, x : x + 50] = generator.integers(0, 255, (45, 50, 3)) // 2 + (100, 0, 60)
        place = folder / ("more" if number % 3 == 0 else ".") / f"p{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(place)


def start(source: Path, out: Path, *more: str) -> subprocess.Popen[bytes]:
    """Start a batch."""
    command = [sys.executable, "-m", "gossamer", "batch", str(source), "--out", str(out), *OPTIONS, *more]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def outputs(out: Path) -> dict[str, Path]:
    """Return the outputs, by their names below OUT."""
    return {
        path.relative_to(out).as_posix(): path
        for path in sorted(out.rglob("*"))
        if path.is_file() and not any(part.startswith(".gossamer") for part in path.relative_to(out).parts)
    }


def records(out: Path) -> list[dict[str, object]]:
    """Return the whole lines of a journal."""
    found = []
    with suppress(FileNotFoundError):
        for line in (out / ".gossamer" / "journal.jsonl").read_bytes().splitlines(keepends=True):
            if line.endswith(b"\n"):
                with suppress(ValueError):
                    found.append(json.loads(line))
    return found


def done(out: Path) -> collections.Counter[str]:
    """Return how often each picture was written down as done."""
    return collections.Counter(str(line["target"]) for line in records(out) if line.get("state") == "done")


def kill_batches(kills: int, seed: int, folder: Path) -> Tally:
    """Kill batches until so many were killed, and finish the last one."""
    chance, tally = random.Random(seed), Tally()  # noqa: S311 - chance alone
    source, whole = folder / "in", folder / "whole"
    make_pictures(source)
    began = time.monotonic()
    process = start(source, whole)
    _, said = process.communicate()
    usual = time.monotonic() - began
    assert process.returncode == 0, said.decode()
    wanted = {name: path.read_bytes() for name, path in outputs(whole).items()}
    assert len(wanted) == PICTURES
    originals = {path: path.read_bytes() for path in source.rglob("*.png")}
    while tally.kills < kills:
        tally.batches += 1
        _one_batch(source, folder / f"out{tally.batches}", wanted, kills, usual, chance, tally)
    tally.faults += [f"{path} was changed" for path, data in originals.items() if path.read_bytes() != data]
    return tally


def _one_batch(
    source: Path, out: Path, wanted: dict[str, bytes], kills: int, usual: float, chance: random.Random, tally: Tally
) -> None:
    kept: dict[str, tuple[int, int]] = {}
    while tally.kills < kills and len(kept) < PICTURES:
        process = start(source, out, "--resume")
        if chance.random() < 0.8:  # most kills while pictures are made, the others at any time
            before = len(records(out))
            while process.poll() is None and len(records(out)) <= before:
                time.sleep(0.002)
            time.sleep(chance.random() ** 2 * 0.4)
        else:
            time.sleep(chance.random() * usual)
        is_running = process.poll() is None
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL)
        _, said = process.communicate()
        tally.kills += is_running
        if not is_running and process.returncode != 0:
            tally.faults.append(f"{out.name} ended with {process.returncode}: {said.decode().strip()}")
            return
        told = done(out)
        for name, path in outputs(out).items():
            status = path.stat()
            if path.read_bytes() != wanted.get(name):
                tally.faults.append(f"{out.name}/{name} is not what it should be after a kill")
            if name in kept and kept[name] != (status.st_ino, status.st_mtime_ns):
                tally.faults.append(f"{out.name}/{name} was made twice")
            tally.between += name not in told
            kept[name] = status.st_ino, status.st_mtime_ns
        tally.faults += [f"{out.name}/{name} is told as done and not there" for name in told if name not in kept]
    process = start(source, out, "--resume")
    _, said = process.communicate()
    if process.returncode != 0:
        tally.faults.append(f"{out.name} could not be finished: {said.decode().strip()}")
    finished = outputs(out)
    tally.faults += [f"{out.name}/{name} is lost" for name in wanted if name not in finished]
    for name, path in finished.items():
        if path.read_bytes() != wanted.get(name):
            tally.faults.append(f"{out.name}/{name} is not what it should be in the end")
        if name in kept and kept[name] != (path.stat().st_ino, path.stat().st_mtime_ns):
            tally.faults.append(f"{out.name}/{name} was made twice")
    tally.faults += [f"{out.name}/{name} is told {count} times" for name, count in done(out).items() if count != 1]
    left = [path for path in out.rglob(".gossamer-*")]
    tally.faults += [f"{path} was left" for path in left]


def main() -> int:
    """Run as a program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory(prefix="kill-batches-") as folder:
        print(f"seed {arguments.seed}", flush=True)
        tally = kill_batches(arguments.kills, arguments.seed, Path(folder))
    print(*tally.lines(), sep="\n")
    return 1 if tally.faults else 0


if __name__ == "__main__":
    sys.exit(main())
