"""The whole way from JPEG bytes to PNG bytes beside rembg, with the same weights: time and peak memory in one run.

    python tests/benchmarks/pipeline.py [--models u2netp u2net] [--megapixels 12] [--rounds 7] [--picture FILE]
                                        [--rembg PYTHON] [--foreground METHOD] [--its-matting ROUNDS] [--json]

Warm: each program runs in a process of its own that has its model loaded and has cut out the picture once; rounds
alternate between the two, while the other one sleeps. Ours also estimates the foreground's colours, rembg's
`remove` does not. Cold: a command line from nothing on a small picture, beside `rembg i`. Memory is the peak of
resident memory of the warm processes, Python and libraries included. With ``--its-matting`` the first model is measured
once more beside `remove(alpha_matting=True)`, so many rounds of it, which takes half a minute each.

Cold, both have the bytecode of their modules on the disk, as after any installation, whatever the caller's environment
says of that: compiling Gossamer's anew takes half a second.

Wanted is an interpreter with ``rembg[cpu,cli]``; ``--rembg`` names it where that is not this one. The weights are
found (or fetched) by Gossamer and lent to rembg as links.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rows import Row, dump, table

GOALS = {"u2netp": 2.2, "u2net": 2.2}  # so many times as fast as rembg
ITS_MATTING_GOAL = 12.0  # beside its own alpha matting
COLD_GOAL, MEMORY_GOAL = 0.6, 0.5  # of what rembg takes


# -- in the measured process: nothing but the standard library and what is measured -------------------------


def serve(program: str, model: str, picture: str, foreground: str) -> None:
    """Cut out the picture for every line on stdin; answer with a line of JSON each."""
    data = Path(picture).read_bytes()
    run = {"gossamer": _gossamer, "rembg": _rembg, "rembg-matting": _rembg_matting}[program](model, foreground)
    run(data)  # the first one sets up threads, caches and arenas
    print(json.dumps({"ready": True}), flush=True)
    for _ in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        png, stages = run(data)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        answer = {"wall": wall, "cpu": cpu, "bytes": len(png), "stages": stages, "peak": _peak()}
        print(json.dumps(answer), flush=True)


def _gossamer(model: str, foreground: str) -> Callable[[bytes], tuple[bytes, dict[str, float]]]:
    import gossamer

    recipe = gossamer.Recipe.model_validate({"foreground": {"method": foreground}} if foreground else {})
    pipeline = gossamer.Pipeline(recipe, model=model, device="cpu")
    pipeline.load()

    def run(data: bytes) -> tuple[bytes, dict[str, float]]:
        cutout = pipeline.run(data)
        start = time.perf_counter()
        png = cutout.encode("png")
        return png, {**cutout.report.seconds, "encode": time.perf_counter() - start}

    return run


def _rembg_matting(model: str, foreground: str) -> Callable[[bytes], tuple[bytes, dict[str, float]]]:
    return _rembg(model, foreground, alpha_matting=True)


def _rembg(model: str, foreground: str, **how: bool) -> Callable[[bytes], tuple[bytes, dict[str, float]]]:
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # in its interpreter there is no gossamer to switch it off
    import rembg

    session = rembg.new_session(model, providers=["CPUExecutionProvider"])
    return lambda data: (rembg.remove(data, session=session, **how), {})


def _peak() -> float:
    """Return the peak of this process's resident memory in MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmHWM in /proc/self/status")


# -- the measuring process -----------------------------------------------------------------------------------


class Contestant:
    """A process that cuts out a picture whenever it is asked to."""

    def __init__(self, python: str, program: str, model: str, picture: Path, foreground: str, env: Any) -> None:
        command = [python, __file__, "--serve", program, model, str(picture), foreground]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
        self.rounds: list[dict[str, Any]] = []
        self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        raise SystemExit(f"{self._process.args} ended with {self._process.wait()}")

    def run(self) -> None:
        """Ask once and keep the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        self.rounds.append(self._answer())

    def end(self) -> None:
        """Let the process end."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def median(self, what: str) -> float:
        """Return the median of all rounds."""
        return statistics.median(each[what] for each in self.rounds)


def photograph(megapixels: float) -> bytes:
    """Return a JPEG of so many megapixels, 4 to 3, of the astronaut that scikit-image ships."""
    import skimage.data
    from PIL import Image

    width = round((megapixels * 1e6 * 4 / 3) ** 0.5)
    picture = Image.fromarray(skimage.data.astronaut()).crop((0, 0, 512, 384))
    stream = io.BytesIO()
    picture.resize((width, round(width * 3 / 4)), Image.Resampling.LANCZOS).save(stream, "JPEG", quality=92)
    return stream.getvalue()


def lent_weights(models: list[str], folder: Path) -> dict[str, str]:
    """Lay out the weights as rembg expects them; returns the environment in which it finds them."""
    from gossamer.weights import store

    for model in models:
        path = store.choose(model).weights.path
        (folder / "models" / model).mkdir(parents=True)
        (folder / "models" / model / f"{model}.onnx").symlink_to(path)
    environment = {name: value for name, value in os.environ.items() if name not in ("U2NET_HOME", "XDG_DATA_HOME")}
    return {**environment, "REMBG_HOME": str(folder)}


def warm(
    model: str, picture: Path, options: argparse.Namespace, environment: dict[str, str], peer: str = "rembg"
) -> dict[str, Any]:
    """Measure both programs with their models in memory."""
    ours = Contestant(sys.executable, "gossamer", model, picture, options.foreground, None)
    theirs = Contestant(options.rembg, peer, model, picture, "", environment)
    for number in range(options.rounds if peer == "rembg" else options.its_matting):
        for contestant in (ours, theirs) if number % 2 else (theirs, ours):
            contestant.run()
    ours.end()
    theirs.end()
    stages = {
        name: statistics.median(each["stages"][name] for each in ours.rounds) for name in ours.rounds[0]["stages"]
    }
    return {
        "model": model,
        **{what: (theirs.median(what), ours.median(what)) for what in ("wall", "cpu", "bytes", "peak")},
        "stages": {name: round(seconds, 3) for name, seconds in stages.items()},
    }


def cold(model: str, options: argparse.Namespace, environment: dict[str, str], folder: Path) -> dict[str, Any]:
    """Measure both command lines on a picture of 0.7 megapixels."""
    small = folder / "small.jpg"
    small.write_bytes(photograph(0.7))
    extra = ["--foreground", options.foreground] if options.foreground else []
    flags = ["--model", model, "--device", "cpu", "--quiet", "--force"]
    program = Path(options.rembg).with_name("rembg")
    bytecode = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment = {name: value for name, value in environment.items() if name in bytecode or name == "REMBG_HOME"}
    commands = [
        ([str(program), "i", "-m", model, str(small), str(folder / "rembg.png")], environment),
        (
            [sys.executable, "-m", "gossamer", "remove", *extra, *flags, str(small), str(folder / "gossamer.png")],
            bytecode,
        ),
    ]
    seconds: list[list[tuple[float, float]]] = [[], []]
    for number in range(options.rounds + 1):
        for which, (command, env) in enumerate(commands):
            before, start = os.times(), time.perf_counter()
            subprocess.run(command, check=True, env=env)
            wall, after = time.perf_counter() - start, os.times()
            cpu = after.children_user + after.children_system - before.children_user - before.children_system
            if number > 0:  # the first round fills the disk's cache
                seconds[which].append((wall, cpu))
    medians = [[statistics.median(each[i] for each in program) for program in seconds] for i in (0, 1)]
    return {"model": model, "wall": tuple(medians[0]), "cpu": tuple(medians[1])}


def rows(
    warm_results: list[dict[str, Any]], cold_result: dict[str, Any] | None, matted: dict[str, Any] | None
) -> list[Row]:
    """Return the table."""
    topic, found = "JPEG bytes to PNG bytes, beside rembg", []
    if matted is not None:
        name, peer = f"warm, {matted['model']}", "rembg with its alpha matting"
        found.append(Row(topic, name, peer, "s", *matted["wall"], ITS_MATTING_GOAL))
    for each in warm_results:
        model = each["model"]
        for what, name, unit, goal in (
            ("wall", f"warm, {model}", "s", GOALS.get(model)),
            ("cpu", f"warm, {model}, processor time", "s", None),
            ("peak", f"warm, {model}, peak memory", "MiB", 1 / MEMORY_GOAL),
            ("bytes", f"warm, {model}, size of the PNG", "B", None),
        ):
            found.append(Row(topic, name, "rembg", unit, *each[what], goal))
    if cold_result is None:
        return found
    model = cold_result["model"]
    found.append(Row(topic, f"cold, {model}, 0.7 MP", "rembg i", "s", *cold_result["wall"], 1 / COLD_GOAL))
    found.append(Row(topic, f"cold, {model}, processor time", "rembg i", "s", *cold_result["cpu"]))
    return found


def main() -> None:
    """Run everything."""
    if sys.argv[1:2] == ["--serve"]:
        serve(*sys.argv[2:6])
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["u2netp", "u2net"])
    parser.add_argument("--megapixels", type=float, default=12.0)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--picture", type=Path, help="a JPEG instead of the enlarged photograph of scikit-image")
    parser.add_argument("--rembg", default=sys.executable, help="an interpreter with rembg[cpu,cli]")
    parser.add_argument("--foreground", default="", help="instead of the recipe's default method")
    parser.add_argument("--its-matting", type=int, default=0, help="rounds beside rembg's own alpha matting")
    parser.add_argument("--no-cold", action="store_true", help="leave the command lines out")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = lent_weights(options.models, folder / "rembg")
        picture = folder / "picture.jpg"
        picture.write_bytes(options.picture.read_bytes() if options.picture else photograph(options.megapixels))
        warm_results = [warm(model, picture, options, environment) for model in options.models]
        matted = None
        if options.its_matting:
            matted = warm(options.models[0], picture, options, environment, "rembg-matting")
        cold_result = None if options.no_cold else cold(options.models[0], options, environment, folder)
    result = rows(warm_results, cold_result, matted)
    print(dump(result) if options.json else table(result))
    if not options.json:
        for each in warm_results:
            stages = ", ".join(f"{name} {seconds:.3f}" for name, seconds in each["stages"].items())
            print(f"{each['model']}, our stages in seconds: {stages}")


if __name__ == "__main__":
    main()
