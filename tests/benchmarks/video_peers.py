"""A clip from file to file, beside another program that does it with the same weights.

    python tests/benchmarks/video_peers.py CLIP --peer "backgroundremover -i {clip} -m u2netp -tv -o {out}.mov" \\
        --ours "--model u2netp" --ours "--model u2netp --matting none --hold none --foreground none" [--rounds 3]

The peer's command has ``{clip}`` and ``{out}`` in it. Each ``--ours`` is what ``gossamer video`` is given besides the
two files. All take turns; starting is included, as for whoever types it. Prints medians by the clock and of processors.
"""

from __future__ import annotations

import argparse
import resource
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def taken(command: list[str]) -> tuple[float, float]:
    """Return the seconds that a command takes, by the clock and of all processors."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after, end = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    return end - start, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--peer", required=True)
    parser.add_argument("--ours", action="append", required=True)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    gossamer = [sys.executable, "-m", "gossamer", "video", str(options.clip), "{out}.mov", "--force"]
    ways = {"the peer": shlex.split(options.peer)} | {each: [*gossamer, *shlex.split(each)] for each in options.ours}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for number in range(options.rounds):
        for name, command in ways.items():
            with tempfile.TemporaryDirectory() as folder:
                filled = [word.format(clip=options.clip, out=f"{folder}/{number}") for word in command]
                times[name].append(taken(filled))
    medians = {name: [statistics.median(one) for one in zip(*each, strict=True)] for name, each in times.items()}
    clock, processor = medians["the peer"]
    for name, (seconds, busy) in medians.items():
        print(
            f"{name}: {seconds:.1f} s ({clock / seconds:.1f} x), of processors {busy:.1f} s ({processor / busy:.1f} x)"
        )


if __name__ == "__main__":
    main()
