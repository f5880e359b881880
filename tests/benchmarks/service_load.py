"""A load test of the service: many clients, some of whom leave or send rubbish; and its speed beside ``rembg s``.

``python -m tests.benchmarks.service_load`` starts a service and asks it for 5,000 small and 100 twelve-megapixel
cut-outs by 32 clients, of which a tenth leave early and a twentieth is rubbish. Nothing may be lost: every request that
stays gets its answer, a cut-out of its own picture or a refusal in its form; 429 is waited for as it says. It reports
p50, p95 and p99 and the memory on the way, and exits with 1 where an answer is lost or wrong, or memory grows by more
than 5 % from the half to the end. ``--beside PYTHON`` compares with ``rembg s`` of that Python: both are asked in turns
by 8 clients with the same model.
"""

from __future__ import annotations

import argparse
import io
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import PIL.Image

_MATTING = {"matting": "none", "foreground": "none"}


@dataclass
class Tally:
    """What came of it."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: {"small": [], "large": []})
    counts: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    memory: list[tuple[int, float]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


def picture(number: int, width: int, height: int) -> bytes:
    """Return a JPEG of a disc in a colour and place of its own, so that answers can be told apart."""
    random_ = np.random.default_rng(number)
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    middle = random_.uniform(0.4, 0.6, 2) * (height, width)
    inside = (rows - middle[0]) ** 2 + (columns - middle[1]) ** 2 < (0.3 * min(height, width)) ** 2
    pixels = np.full((height, width, 3), (228, 232, 236), np.uint8)
    pixels[inside] = random_.integers(0, 160, 3)
    made = io.BytesIO()
    PIL.Image.fromarray(pixels).save(made, "JPEG", quality=90)
    return made.getvalue()


def scaled(path: Path, width: int, height: int) -> bytes:
    """Return a photograph as a JPEG of a size."""
    made = io.BytesIO()
    with PIL.Image.open(path) as photo:
        photo.convert("RGB").resize((width, height)).save(made, "JPEG", quality=92)
    return made.getvalue()


def is_of(data: bytes, sent: bytes) -> bool:
    """Return whether a cut-out is one of that picture: its size, and its colour in the middle."""
    with PIL.Image.open(io.BytesIO(data)) as cut, PIL.Image.open(io.BytesIO(sent)) as own:
        if cut.size != own.size or cut.mode != "RGBA":
            return False
        at = (own.width // 2, own.height // 2)
        cut_colour, own_colour = cut.getpixel(at), own.convert("RGB").getpixel(at)
    return max(abs(a - b) for a, b in zip(cut_colour[:3], own_colour, strict=True)) < 12  # type: ignore[index, arg-type]


class Server:
    """A process that serves, and how much memory it and its children have."""

    def __init__(self, command: list[str], pattern: str, environment: dict[str, str], url: str = "") -> None:
        self.log = Path(tempfile.mkdtemp()) / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **environment})
        end = time.monotonic() + 180
        while not (found := re.search(pattern, self.log.read_text(errors="replace"))):
            if self.process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"{command[0]} does not serve: {self.log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)
        self.url = url or found[1]

    def processor(self) -> float:
        """Return the seconds of processor time that the process and its children have taken, on Linux."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        ticks = 0
        for pid in (str(self.process.pid), *children):
            told = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(told[11]) + int(told[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def end(self) -> int:
        """End it."""
        self.process.terminate()
        return self.process.wait(120)


def memory(pid: int) -> int:
    """Return the bytes that a process and its children have, shared ones counted by their part; 0 where none tells."""
    total = 0
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for each in (str(pid), *children):
            found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{each}/smaps_rollup").read_text(), re.M)
            total += 1024 * int(found[1]) if found else 0
    except OSError:
        pass  # not Linux, or a child has gone meanwhile
    return total


def one(client: httpx.Client, url: str, kind: str, data: bytes, tally: Tally, chance: random.Random) -> None:
    """Ask once, as a client that leaves, sends rubbish, or stays; who leaves closes the connection."""
    fate = chance.random()
    files = {"image": ("a.jpg", data[: len(data) // 3] if fate < 0.05 else data)}
    start = time.perf_counter()
    try:
        if 0.05 <= fate < 0.15:
            patience = httpx.Timeout(60, read=chance.uniform(0.001, 0.2))
            client.post(f"{url}/v1/cutouts", files=files, data=_MATTING, timeout=patience)
            tally.counts["stayed after all"] += 1
            return
        while True:
            answered = client.post(f"{url}/v1/cutouts", files=files, data=_MATTING, timeout=600)
            if answered.status_code != 429:
                break
            tally.counts["told to come again"] += 1
            time.sleep(min(2.0, float(answered.headers["retry-after"])) * chance.uniform(0.5, 1.0))
    except httpx.ReadTimeout:
        with tally.lock:
            tally.counts["left"] += 1
        return
    except httpx.HTTPError as error:
        with tally.lock:
            tally.lost.append(f"{kind}: {type(error).__name__}")
        return
    with tally.lock:
        if fate < 0.05:
            # A third of a JPEG is read as far as it goes, or refused: both are answers.
            good = answered.status_code in (200, 400, 422)
            tally.counts["rubbish"] += 1
        else:
            good = answered.status_code == 200 and is_of(answered.content, data)
            tally.counts[kind] += 1
            tally.seconds[kind].append(time.perf_counter() - start)
        if not good:
            tally.lost.append(f"{kind}: {answered.status_code} {answered.text[:200]!r}")


def load(server: Any, small: int, large: int, clients: int) -> Tally:
    """Ask for all of it."""
    tally, chance = Tally(), random.Random(1)  # noqa: S311 - the same every time
    smalls = [picture(number, 320, 240) for number in range(16)]
    larges = [picture(number, 4000, 3000) for number in range(3)]
    wishes = [("small", smalls[n % 16]) for n in range(small)] + [("large", larges[n % 3]) for n in range(large)]
    chance.shuffle(wishes)
    done = 0
    seen: list[float] = []

    def work(number: int) -> None:
        nonlocal done
        kind, data = wishes[number]
        one(client, server.url, kind, data, tally, random.Random(number))  # noqa: S311
        with tally.lock:
            done += 1
            if done % max(1, len(wishes) // 200) == 0:
                seen.append(memory(server.process.pid) / 1e6)
            if done % max(1, len(wishes) // 20) == 0:
                # The least of some: what stays, not what the pictures in hand just take.
                tally.memory.append((done, min(seen, default=0.0)))
                print(f"{done} of {len(wishes)}, {tally.memory[-1][1]:.0f} MB", flush=True)
                seen.clear()

    # One for all: each new one reads the certificates of the whole web, which takes longer than an answer.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=clients)
    with httpx.Client(limits=limits) as client, ThreadPoolExecutor(clients) as pool:
        list(pool.map(work, range(len(wishes))))
    return tally


def throughput(ask: Any, pictures: list[bytes], clients: int = 8) -> float:
    """Return how many pictures a second are answered to so many clients."""
    start = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        for data in pool.map(ask, pictures):
            with PIL.Image.open(io.BytesIO(data)) as cut:
                assert cut.mode == "RGBA"
    return len(pictures) / (time.perf_counter() - start)


def beside(python: str, ours: Server, told: argparse.Namespace) -> None:
    """Compare with rembg's own server, in turns."""
    model, count, home, rounds = told.model, told.pictures, told.home, told.rounds
    width, height = (int(side) for side in told.size.split("x"))
    port = 7001
    theirs = Server(
        [python, "-c", "from rembg.cli import main; main()", "s", "--host", "127.0.0.1", "--port", str(port)],
        r"(Uvicorn running)",
        {"U2NET_HOME": home},
        f"http://127.0.0.1:{port}",
    )
    if told.photos:  # of real things: a disc's edge is little work for a matting
        pictures = [scaled(path, width, height) for path in sorted(Path(told.photos).iterdir())[:count]]
    else:
        pictures = [picture(number, width, height) for number in range(count)]

    def ask(url: str, **fields: str) -> Any:
        def go(data: bytes) -> bytes:
            answered = httpx.post(f"{url}/api/remove", files={"file": ("a.jpg", data)}, data=fields, timeout=600)
            answered.raise_for_status()
            return answered.content

        return go

    try:
        clients = {
            "ours": ask(ours.url),
            "ours, mask alone": lambda data: _plain(ours.url, data),
            "rembg": ask(theirs.url, model=model),
        }
        for each in clients.values():
            throughput(each, pictures[:2])  # their networks are loaded
        speeds: dict[str, list[float]] = {name: [] for name in clients}
        costs = dict.fromkeys(clients, 0.0)
        for _ in range(rounds):
            for name, each in clients.items():
                server = theirs if name == "rembg" else ours
                before = server.processor()
                speeds[name].append(throughput(each, pictures))
                costs[name] += (server.processor() - before) / rounds / len(pictures)
        means = {name: sum(each) / len(each) for name, each in speeds.items()}
        for name, each in means.items():
            # Where others use the processor too, its seconds tell more than those of the clock.
            times, saved = each / means["rembg"], costs["rembg"] / costs[name]
            print(f"{name}: {each:.2f} pictures/s, {times:.2f} times rembg s")
            print(f"  {costs[name]:.2f} s of processor a picture, rembg s takes {saved:.2f} times that")
    finally:
        theirs.end()


def _plain(url: str, data: bytes) -> bytes:
    answered = httpx.post(f"{url}/v1/cutouts", files={"image": ("a.jpg", data)}, data=_MATTING, timeout=600)
    answered.raise_for_status()
    return answered.content


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", type=int, default=5000)
    parser.add_argument("--large", type=int, default=100)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--workers", default="1")
    parser.add_argument("--model", default="u2netp")
    parser.add_argument("--beside", metavar="PYTHON", help="one that has rembg with its server")
    parser.add_argument("--home", default="", help="the folder of rembg's weights")
    parser.add_argument("--pictures", type=int, default=16, help="for each turn beside rembg")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--size", default="1200x900", help="of pictures beside rembg")
    parser.add_argument("--photos", help="a folder of photographs to send in place of discs, scaled to that size")
    told = parser.parse_args()
    command = [sys.executable, "-m", "gossamer", "serve", "--port", "0", "--model", told.model, "--queue", "24"]
    server = Server([*command, "--workers", told.workers], r"Serving at (http://\S+)", {})
    try:
        if told.beside:
            beside(told.beside, server, told)
            return 0
        start = time.perf_counter()
        tally = load(server, told.small, told.large, told.clients)
        seconds = time.perf_counter() - start
    finally:
        status = server.end()
    print(f"{sum(tally.counts.values())} requests in {seconds:.0f} s: {dict(tally.counts)}")
    for kind, each in tally.seconds.items():
        if each:
            p50, p95, p99 = (1000 * float(np.percentile(each, share)) for share in (50, 95, 99))
            print(f"{kind}: p50 {p50:.0f} ms, p95 {p95:.0f} ms, p99 {p99:.0f} ms of {len(each)}")
    half = [each for done, each in tally.memory if done >= (told.small + told.large) / 2]
    growth = half[-1] / half[0] - 1 if len(half) > 1 else 0.0
    print(f"memory: {[round(each) for _, each in tally.memory]} MB, {100 * growth:+.1f} % from the half to the end")
    for lost in tally.lost[:10]:
        print(f"lost: {lost}")
    log = server.log.read_text()
    print(f"exit status {status}, {log.count('Traceback')} tracebacks in the log")
    return 0 if not tally.lost and status == 0 and "Traceback" not in log and growth < 0.05 else 1


if __name__ == "__main__":
    raise SystemExit(main())
