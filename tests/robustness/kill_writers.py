"""Kills writers at random moments, and looks whether a file was lost, half-written or left over.

``python tests/robustness/kill_writers.py --seconds 3600`` goes on for an hour; what went wrong is printed and makes the
exit status 1. Every writer is the command line as people start it, in a process of its own, ended by SIGKILL.
"""

from __future__ import annotations

import argparse
import collections
import io
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # when it is started by its path

from tests.weights.cards import content  # noqa: E402
from tests.weights.server import Site, serve  # noqa: E402

SIZE = 3_000_000
MARK = "user's own"


@dataclass
class Tally:
    """What was seen."""

    kills: collections.Counter[str] = field(default_factory=collections.Counter)
    in_time: collections.Counter[str] = field(default_factory=collections.Counter)
    """Kills of a writer that had not ended by itself."""
    swept: int = 0
    """Files and folders that were left, and gone after the next run."""
    faults: list[str] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """Yield what to tell people."""
        for name, kills in sorted(self.kills.items()):
            yield f"{name}: {kills} started, {self.in_time[name]} killed before they ended"
        yield f"{self.swept} pieces were left and swept by the next run; {len(self.faults)} faults"
        yield from self.faults


class Writers:
    """Every writer, and what must hold after it was killed; each works in a folder of its own.

    Parameters
    ----------
    folder : Path
        Where all happens.
    site : Site
        The server that models are fetched from.
    seed : int
        Of the moments.
    """

    def __init__(self, folder: Path, site: Site, seed: int) -> None:
        self._folder, self._random, self.tally = folder, random.Random(seed), Tally()  # noqa: S311
        self._environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT / "core"), str(ROOT / "gimp_plugin"), str(ROOT)]),
            "GOSSAMER_HOME": str(folder / "home"),
            "GOSSAMER_OFFLINE": "",
            "no_proxy": "127.0.0.1,localhost",
        }
        rng = np.random.default_rng(seed)
        self._photo, self._mask = folder / "photo.png", folder / "mask.png"
        Image.fromarray(rng.integers(0, 256, (700, 900, 3), dtype=np.uint8)).save(self._photo)
        mask = np.zeros((700, 900), np.uint8)
        mask[100:600, 200:700] = 255
        Image.fromarray(mask).save(self._mask)
        self._site = site
        site.files["/tiny.onnx"] = content(SIZE)
        self._lasts: dict[str, float] = {}
        self._watched: tuple[Path, ...] = ()

    def names(self) -> list[str]:
        """Return what the writers are called."""
        return ["remove", "remove --force", "refine --force", "models get", "licence", "gimp install", "library"]

    def round(self, name: str) -> None:
        """Start one writer, kill it, look, let it run to its end, and look again."""
        getattr(self, "_" + name.replace(" --", "_").replace(" ", "_"))(name)

    # -- writers -----------------------------------------------------------------------------------------

    def _remove(self, name: str) -> None:
        out = self._empty("new") / "out.png"
        self._kill(name, self._cutting("remove", out))
        if out.exists():
            self._is_picture(name, out)
        command = self._cutting("remove", out, *(["--force"] if out.exists() else []))
        self._next(name, command, out.parent, {"out.png"})
        self._is_picture(name, out)

    def _remove_force(self, name: str) -> None:
        self._replacing(name, "remove")

    def _refine_force(self, name: str) -> None:
        self._replacing(name, "refine")

    def _replacing(self, name: str, command: str) -> None:
        out = self._empty(command) / "out.png"
        Image.new("RGBA", (900, 700)).save(out)
        out.chmod(0o600)
        self._kill(name, self._cutting(command, out, "--force"))
        self._is_picture(name, out)
        self._next(name, self._cutting(command, out, "--force"), out.parent, {"out.png"})
        self._is_picture(name, out)
        self._check(name, out.stat().st_mode & 0o777 == 0o600, "the file is not private any more")

    def _models_get(self, name: str) -> None:
        home = self._empty("home")
        code = (
            "import sys\nfrom gossamer.weights import store\nfrom tests.weights.cards import content, url_card\n"
            f"print(store.fetch(url_card(content({SIZE}), sys.argv[1])).path)"
        )
        command = [sys.executable, "-c", code, f"{self._site.url}/tiny.onnx"]
        self._kill(name, command)
        file = home / "models" / "tiny.onnx"
        whole = content(SIZE)
        self._check(name, not file.exists() or file.read_bytes() == whole, "half a model has its name")
        part = home / "models" / "tiny.onnx.part"
        self._check(name, not part.exists() or whole.startswith(part.read_bytes()), "the part is not a part")
        self._next(name, command, file.parent, {"tiny.onnx", ".tiny.lock"})
        self._check(name, file.read_bytes() == whole, "the model is not whole")
        self._is_table(name, home / "verified.json", str(file))
        self._left(name, home, {"models", "verified.json", ".verified.lock"})

    def _licence(self, name: str) -> None:
        home = self._empty("home")
        home.mkdir(exist_ok=True)
        (home / "licences.json").write_text(json.dumps({"before": {"licence": "x"}}))
        code = (
            "import sys\nfrom gossamer.weights import licences\nfrom gossamer.weights.catalogue import load_catalogue\n"
            "for card in load_catalogue().values(): licences.accept(card)"
        )
        command = [sys.executable, "-c", code]
        self._kill(name, command)
        self._is_table(name, home / "licences.json", "before")
        self._next(name, command, home, {"licences.json", ".licences.lock"})
        for key in ("before", "silueta"):
            self._is_table(name, home / "licences.json", key)

    def _gimp_install(self, name: str) -> None:
        config = self._empty("gimp")
        command = [sys.executable, "-m", "gossamer", "gimp", "install", "--folder", str(config)]
        subprocess.run(command, env=self._environment, capture_output=True, check=True)
        place = config / "plug-ins" / "gossamer_gimp"
        ours = {path.name for path in place.iterdir()}
        theirs = {f"mine-{number}.txt" for number in range(30)}
        for mine in theirs:
            (place / mine).write_text(MARK)
        self._kill(name, command)
        found = {path.name for path in place.iterdir()} if place.is_dir() else set()
        self._check(name, ours <= found, f"after the kill there is no whole plug-in: {sorted(ours - found)}")
        self._check(name, all((place / one).stat().st_size for one in ours & found), "a file of the plug-in is empty")
        everywhere = {path.name for path in place.parent.rglob("mine-*")}
        self._check(name, everywhere == theirs, f"lost: {sorted(theirs - everywhere)}")
        self._next(name, command, place.parent, {"gossamer_gimp"})
        self._left(name, place, ours | theirs)
        self._check(name, all((place / one).read_text() == MARK for one in theirs), "somebody's file was changed")

    def _library(self, name: str) -> None:
        """One process after the other that does nothing but write, without the time that a command takes to start."""
        folder = self._empty("library")
        code = (
            "import sys\nfrom pathlib import Path\n"
            "from gossamer.files import change_json, staging_folder, write_bytes\n"
            "folder = Path(sys.argv[1])\nprint('go', flush=True)\n"
            "for n in range(int(sys.argv[2])):\n"
            "    letter = b'%d' % (n % 10)\n"
            f"    write_bytes(folder / 'old', letter * {SIZE // 10}, force=True)\n"
            f"    write_bytes(folder / 'new', letter * {SIZE // 10})\n    (folder / 'new').unlink()\n"
            "    change_json(folder / 'table.json', lambda table: {**table, str(n): [n] * 1000}, 60)\n"
            "    with staging_folder(folder) as staging: (staging / 'x').write_bytes(letter * 1000)\n"
        )
        command = [sys.executable, "-c", code, str(folder)]
        (folder / "old").write_bytes(b"0" * (SIZE // 10))
        for _ in range(10):
            writer = subprocess.Popen([*command, "1000000"], env=self._environment, stdout=subprocess.PIPE)
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(self._random.expovariate(30))
            writer.send_signal(signal.SIGKILL)
            writer.communicate()
            self.tally.kills[name] += 1
            self.tally.in_time[name] += 1
            for path in (folder / "old", folder / "new"):
                found = path.read_bytes() if path.exists() or path.name == "old" else b"0" * (SIZE // 10)
                self._check(name, len(found) == SIZE // 10 and len(set(found)) == 1, f"{path} is not whole")
            if (folder / "table.json").exists():
                self._is_table(name, folder / "table.json", "")
            (folder / "new").unlink(missing_ok=True)
        self._next(name, [*command, "1"], folder, {"old", "table.json", ".table.lock"})

    # -- what they share ---------------------------------------------------------------------------------

    def _cutting(self, command: str, out: Path, *more: str) -> list[str]:
        mask = [str(self._mask)] if command == "refine" else []
        prompt = [] if command == "refine" else ["--prompt-mask", str(self._mask), "--prompt-model", "grabcut"]
        plain = ["--matting", "none", "--foreground", "none", "--quiet"]
        # --out names what --force replaces; OUT alone spares what is no earlier result.
        target = ["--out", str(out)]
        return [sys.executable, "-m", "gossamer", command, str(self._photo), *mask, *target, *prompt, *plain, *more]

    def _empty(self, name: str) -> Path:
        folder = self._folder / f"{name}-{sum(self.tally.kills.values())}"
        folder.mkdir()
        self._watched = (folder, folder / "models", folder / "plug-ins")
        self._environment["GOSSAMER_HOME"] = str(folder if name == "home" else self._folder / "home")
        return folder

    def _kill(self, name: str, command: list[str]) -> None:
        """Start a writer and kill it: some milliseconds after it is seen to write, or at any moment of its time."""
        before, start = self._pieces(), time.monotonic()
        writer = subprocess.Popen(command, env=self._environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        usual = self._lasts.get(name, 0.0)
        if usual and self._random.random() < 0.3:
            moment = start + usual * self._random.triangular(0.3, 1.2, 0.95)
            while writer.poll() is None and time.monotonic() < moment:
                time.sleep(0.001)
        else:
            while writer.poll() is None and self._pieces() <= before:
                time.sleep(0.0002)
            time.sleep(self._random.choice((0.0, self._random.expovariate(300), self._random.expovariate(20))))
        if writer.poll() is None:
            writer.send_signal(signal.SIGKILL)
            self.tally.in_time[name] += 1
        said = writer.communicate()[1].decode(errors="replace")
        self.tally.kills[name] += 1
        if writer.returncode == 0:
            lasted = time.monotonic() - start
            self._lasts[name] = 0.5 * (usual + lasted) if usual else lasted
        self._check(name, writer.returncode in (0, -signal.SIGKILL), f"it failed: {said}")

    def _pieces(self) -> set[str]:
        """Return what is being written in the folder that is watched."""
        found: set[str] = set()
        for folder in self._watched:
            with suppress(OSError):
                found |= {name for name in os.listdir(folder) if name.startswith(".gossamer") or ".part" in name}
        return found

    def _next(self, name: str, command: list[str], folder: Path, expected: set[str]) -> None:
        """Run a writer to its end; nothing but what it is for may be there then."""
        before = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
        start = time.monotonic()
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True, check=False)
        self._lasts[name] = 0.7 * self._lasts.get(name, 0.0) + 0.3 * (time.monotonic() - start)
        self._check(name, done.returncode == 0, f"the next run failed: {done.stderr}")
        self.tally.swept += len(before - expected)
        self._left(name, folder, expected)

    def _left(self, name: str, folder: Path, expected: set[str]) -> None:
        found = {path.name for path in folder.iterdir()}
        self._check(
            name, found == expected, f"{folder} has {sorted(found - expected)}, lacks {sorted(expected - found)}"
        )

    def _is_picture(self, name: str, path: Path) -> None:
        try:
            with Image.open(io.BytesIO(path.read_bytes())) as picture:
                picture.load()
        except (OSError, SyntaxError) as error:
            self._check(name, False, f"{path} is not a whole picture: {error}")

    def _is_table(self, name: str, path: Path, key: str) -> None:
        try:
            table = json.loads(path.read_text())
            self._check(name, not key or key in table, f"{path} has lost {key}")
        except (OSError, ValueError) as error:
            self._check(name, False, f"{path}: {error}")

    def _check(self, name: str, good: bool, what: str) -> None:
        if not good:
            self.tally.faults.append(f"FAULT {name}: {what}")


@contextmanager
def writers(seed: int) -> Iterator[Writers]:
    """Lend the writers, in a folder of their own and with a server."""
    with tempfile.TemporaryDirectory(prefix="kill-writers-") as folder, serve() as site:
        site.pause = 0.005  # so that a download can be cut off
        yield Writers(Path(folder), site, seed)


def go_on(some: Writers, seconds: float, tell: Callable[[str], object]) -> Tally:
    """Kill one writer after the other until the time is over, but each once at least."""
    end, number = time.monotonic() + seconds, 0
    while time.monotonic() < end or number < len(some.names()):
        some.round(some.names()[number % len(some.names())])
        number += 1
        for fault in some.tally.faults[:]:
            tell(fault)
    return some.tally


def main() -> int:
    """Run as a command."""
    parser = argparse.ArgumentParser(description="Kill writers at random moments and look at what is left.")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    told: set[str] = set()

    def tell(fault: str) -> None:
        if fault not in told:
            told.add(fault)
            print(fault, flush=True)

    with writers(arguments.seed) as some:
        tally = go_on(some, arguments.seconds, tell)
    print(*tally.lines(), sep="\n")
    return 1 if tally.faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
