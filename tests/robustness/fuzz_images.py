"""Reads spoilt pictures of every kind until something other than a picture or one clear sentence comes of it.

    python tests/robustness/fuzz_images.py --seconds 3600 --jobs 2
    python tests/robustness/fuzz_images.py --case 12345        # one again, written to case-12345.bin
    python tests/robustness/fuzz_images.py --of files          # masks, arrays, recipes, prompts, manifests, weights

Each case is made of its number, so that a finding can be had again. They are read in processes of their own, which
are watched for uncaught exceptions, signals, time, memory, words on stderr, and for pictures that are taken as whole
although their last rows never came.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))

import mutations
import numpy as np
import other_files

SECONDS = 20.0  # of processor time, a case: a hundred times what the slowest takes
MEBIBYTES = 1024  # a case, above what the process had before it
_BLANK_ROWS = 2
# Where wrong bytes may well give rows of one colour: a fax line, and a JPEG's ink, is what differs from the one before;
# a strip that is not compressed may be said to lie in a palette's zeros; VP8, AV1 and HEVC have no checksum.
_NOT_SEEN = ("webp-animated", "tiff-fax", "jpeg-cmyk", "tiff-palette", "avif", "avif-alpha", "heic", "heic10")
_KINDS = {"pictures": mutations, "files": other_files}


# -- in the process that reads -----------------------------------------------------------------------------


def case(number: int, whole: dict[str, bytes], of: str = "pictures") -> tuple[str, bytes]:
    """Make a case of its number."""
    random = Random(number)  # noqa: S311
    name = random.choice(sorted(whole))
    return name, _KINDS[of].mutate(name, whole[name], random)


def _peak() -> int:
    """Return the most MiB that this process has held, since the last call where the system can say that."""
    try:
        with open("/proc/self/status") as file:
            held = next(line for line in file if line.startswith("VmHWM"))
        Path("/proc/self/clear_refs").write_text("5")
        return int(held.split()[1]) >> 10
    except (OSError, StopIteration):
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> (20 if sys.platform == "darwin" else 10)


def _read(data: bytes, name: str = "", of: str = "pictures") -> tuple[str, str]:
    """Return what came of it, and a word on that."""
    import warnings

    from gossamer.errors import GossamerError
    from gossamer.image import read_image

    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        try:
            image = read_image(data) if of == "pictures" else other_files.read(name, data)
        except GossamerError as error:
            said = str(error)
            wrong = "\n" in said or not error.remedy or len(said) > 400
            return ("message" if wrong else "refused"), said[:200]
        except Exception as error:
            return "exception", f"{type(error).__name__}: {error}"[:200]
    if heard:
        return "warning", str(heard[0].message)[:200]
    if image is None:
        return "read", ""
    if not np.isfinite(image.rgb).all() or image.rgb.min() < 0 or image.rgb.max() > 1:
        return "range", f"{image.rgb.min()} to {image.rgb.max()}"
    return ("read", "") if name in _NOT_SEEN else _loss(image, name.startswith("jpeg"))


def _loss(image: Any, jpeg: bool) -> tuple[str, str]:
    """Tell rows at the end that are of one colour throughout, of mid-grey in a JPEG: no seed has such."""
    told = any(word in line for line in image.warnings for word in ("blank", "cover", "lacks", "missing"))
    pixels = np.asarray(image.pixels)
    blank = (
        (abs(pixels.astype(np.int16) - 128) <= 1).all(axis=(1, 2))
        if jpeg
        else (pixels == pixels[-1, -1]).all(axis=(1, 2))
    )
    if blank[-_BLANK_ROWS:].all() and not blank.all() and not told:
        return "loss", f"{image.width} x {image.height} {image.warnings}"
    return "read", ""


def work(of: str) -> None:
    """Read the numbers of cases from stdin; write a line of JSON before and after each."""
    import resource

    # A net under what is measured: an allocation beyond it fails, instead of taking the machine's memory.
    resource.setrlimit(resource.RLIMIT_AS, (12 << 30, 12 << 30))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    whole = _KINDS[of].seeds()
    for name, data in whole.items():
        if not name.startswith("array") and (found := _read(data, "" if of == "pictures" else name, of))[0] != "read":
            raise AssertionError(f"the seed {name} is not read: {found}")
    errors = os.fstat(2)
    for line in sys.stdin:
        number = int(line)
        name, data = case(number, whole, of)
        before = _peak()
        print(json.dumps({"start": number, "name": name}), flush=True)
        began = time.monotonic()
        result, detail = _read(data, name, of)
        seconds, grown = time.monotonic() - began, _peak() - before
        if (now := os.fstat(2)).st_size != errors.st_size:
            errors, result, detail = now, "stderr", detail
        if grown > MEBIBYTES:
            result, detail = "memory", f"{grown} MiB"
        print(
            json.dumps({"end": number, "result": result, "detail": detail, "seconds": seconds, "mib": grown}),
            flush=True,
        )


# -- in the process that watches ---------------------------------------------------------------------------


@dataclass
class Findings:
    """What came of all cases."""

    results: Counter[str] = field(default_factory=Counter)
    by_seed: Counter[str] = field(default_factory=Counter)
    bad: list[dict[str, Any]] = field(default_factory=list)
    slowest: tuple[float, int] = (0.0, -1)
    largest: tuple[int, int] = (0, -1)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, number: int, name: str, result: str, detail: str, seconds: float, mib: int) -> None:
        """Count a case."""
        with self.lock:
            self.results[result] += 1
            self.by_seed[name] += 1
            self.slowest = max(self.slowest, (seconds, number))
            self.largest = max(self.largest, (mib, number))
            if result not in ("read", "refused"):
                self.bad.append({"case": number, "seed": name, "result": result, "detail": detail})


class Numbers:
    """The numbers of the cases, given out one by one to several threads."""

    def __init__(self, first: int, end: int) -> None:
        self._next, self._end = first, end
        self._lock = threading.Lock()

    def take(self) -> int | None:
        """Return the next, or None after the last."""
        with self._lock:
            if self._next >= self._end:
                return None
            self._next += 1
            return self._next - 1

    def left(self) -> bool:
        """Return whether there are more."""
        return self._next < self._end

    def stop(self) -> None:
        """Give out no more."""
        with self._lock:
            self._end = self._next


def _watch(numbers: Numbers, findings: Findings, folder: Path, of: str) -> None:
    """Feed one process after another until there are no more cases."""
    while numbers.left():
        with tempfile.TemporaryFile(dir=folder) as errors:
            process = subprocess.Popen(
                [sys.executable, __file__, "--work", "--of", of],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
            assert process.stdin is not None
            assert process.stdout is not None
            lines: queue.Queue[str] = queue.Queue()
            reader = threading.Thread(target=_pass_on, args=(process.stdout, lines), daemon=True)
            reader.start()
            try:
                _feed(process, lines, numbers, findings)
            finally:
                process.kill()
                process.wait()
                reader.join()
                process.stdout.close()
                with suppress(BrokenPipeError):
                    process.stdin.close()


def _pass_on(stream: Any, lines: queue.Queue[str]) -> None:
    for line in stream:
        lines.put(line)
    lines.put("")


def _feed(process: subprocess.Popen[str], lines: queue.Queue[str], numbers: Numbers, findings: Findings) -> None:
    """Give `process` cases until it ends or hangs."""
    assert process.stdin is not None
    first = True
    while True:
        number = numbers.take()
        if number is None:
            return
        name = "?"
        try:
            process.stdin.write(f"{number}\n")
            process.stdin.flush()
            name = json.loads(_next(lines, process.pid, 120 if first else SECONDS))["name"]
            first = False
            found = json.loads(_next(lines, process.pid, SECONDS))
        except queue.Empty:
            findings.add(number, name, "time", f"more than {SECONDS} s", SECONDS, 0)
            return
        except (ValueError, BrokenPipeError):
            process.wait()
            findings.add(number, name, "signal", f"exit status {process.returncode}", 0.0, 0)
            return
        findings.add(number, name, found["result"], found["detail"], found["seconds"], found["mib"])


def _next(lines: queue.Queue[str], process: int, seconds: float) -> str:
    """Return the next line; raises queue.Empty after so many seconds of the process's own, or thirty times as many.

    On a machine that is busy with other things, or at low priority, a case may take a minute and be none the worse.
    """
    before, end = _spent(process), time.monotonic() + (30 * seconds)
    while True:
        try:
            return lines.get(timeout=seconds if before is None else 0.5)
        except queue.Empty:
            now = _spent(process)
            if before is None or now is None or now - before > seconds or time.monotonic() > end:
                raise


def _spent(process: int) -> float | None:
    """Return the seconds of processor time that a process has had, where the system tells."""
    try:
        told = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError, ValueError, AttributeError):
        return None


def run(cases: int, jobs: int, first: int = 0, seconds: float | None = None, of: str = "pictures") -> Findings:
    """Read cases from number `first` on: so many, or as many as fit into `seconds`; `of` pictures or other files."""
    findings, numbers = Findings(), Numbers(first, first + cases)
    with tempfile.TemporaryDirectory() as folder:
        threads = [threading.Thread(target=_watch, args=(numbers, findings, Path(folder), of)) for _ in range(jobs)]
        for thread in threads:
            thread.start()
        if seconds is not None:
            end = time.monotonic() + seconds
            with suppress(KeyboardInterrupt):  # what has been found is told all the same
                while time.monotonic() < end and any(thread.is_alive() for thread in threads):
                    time.sleep(0.2)
            numbers.stop()
        for thread in threads:
            thread.join()
    return findings


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--case", type=int, help="write this case to a file and read it here")
    parser.add_argument("--of", choices=_KINDS, default="pictures")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.of)
        return 0
    if options.case is not None:
        name, data = case(options.case, _KINDS[options.of].seeds(), options.of)
        Path(f"case-{options.case}.bin").write_bytes(data)
        print(name, *_read(data, name, options.of))
        return 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    findings = run(100_000_000 if options.seconds else 0, options.jobs, options.first, options.seconds, options.of)
    total = sum(findings.results.values())
    print(f"{total} cases: " + ", ".join(f"{count} {what}" for what, count in findings.results.most_common()))
    (seconds, slow), (mib, large) = findings.slowest, findings.largest
    print(f"slowest {seconds:.2f} s (case {slow}), largest {mib} MiB above the start (case {large})")
    for each in findings.bad:
        print(json.dumps(each))
    return 1 if findings.bad else 0


if __name__ == "__main__":
    sys.exit(main())
