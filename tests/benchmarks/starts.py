"""What a network costs when it starts: loading, the first run beside the second, and where a run's time goes.

    python tests/benchmarks/starts.py [--model ID] [--runtimes onnx torch …] [--rounds N] [--runs N] [--operators]

Each round is a process of its own, so that what a package keeps from an earlier load does not count; the file's pages
are in memory. The first two loads of a file in ONNX Runtime make the graph ready, later ones map it. `--operators`:
the share of each kind of operator in a run, as ONNX Runtime's own profile has it.
"""

from __future__ import annotations

import argparse
import collections
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

RUNS = 3


def once(name: str, runtime: str, runs: int) -> None:
    """Load a model, run it, and print the seconds of each: by the clock, and of the processor."""
    import gossamer
    from gossamer.networks.busy import picture_after_picture
    from gossamer.progress import Progress
    from gossamer.warm import warm

    if runtime == "torch":
        import torch  # noqa: F401  (its import is no part of the load)
    elif runtime == "openvino":
        from gossamer.telemetry import openvino

        openvino()
    else:
        from gossamer.telemetry import onnxruntime

        onnxruntime()
    width, height = gossamer.model_card(name).input.size or (0, 0)
    batch = np.random.default_rng(0).standard_normal((1, 3, height, width), dtype=np.float32) * 0.3
    load = gossamer.load_model  # which imports what it takes
    found = []

    def clocked(call):
        started = time.perf_counter(), time.process_time()
        result = call()
        found.append((time.perf_counter() - started[0], time.process_time() - started[1]))
        return result

    model = clocked(lambda: load(name, runtime=runtime, precision="float32", device="cpu"))
    with picture_after_picture(), warm.lent(model._network, None) as lent:
        for _ in range(runs):
            clocked(lambda: lent.run(batch, Progress()))
    print(json.dumps(found))


def operators(name: str) -> None:
    """Print what share of a run each kind of operator takes."""
    import gossamer
    from gossamer.networks.onnx_session import CPU, open_session, session_options
    from gossamer.weights import store

    card = gossamer.model_card(name)
    width, height = card.input.size or (0, 0)
    batch = np.zeros((1, 3, height, width), np.float32)
    with tempfile.TemporaryDirectory() as folder:
        options = session_options()
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = open_session(store.path(card), options, [CPU])
        outputs = [session.get_outputs()[card.output.index].name]
        for _ in range(RUNS):
            session.run(outputs, {session.get_inputs()[0].name: batch})
        events = json.loads(Path(session.end_profiling()).read_text("utf-8"))
    taken: collections.Counter[str] = collections.Counter()
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            taken[event["args"]["op_name"]] += event["dur"]
    whole = sum(taken.values())
    print(f"{name}: " + ", ".join(f"{kind} {part / whole:.1%}" for kind, part in taken.most_common(8)))


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="isnet-general-use")
    parser.add_argument("--runtimes", nargs="+", default=["onnx", "torch", "openvino"])
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--runs", type=int, default=RUNS, help="after each load")
    parser.add_argument("--operators", action="store_true")
    parser.add_argument("--once", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.once:
        once(options.model, options.runtimes[0], options.runs)
        return
    if options.operators:
        operators(options.model)
        return
    for runtime in options.runtimes:
        rounds = []
        for _ in range(options.rounds):
            command = [sys.executable, __file__, "--once", "--model", options.model, "--runtimes", runtime]
            command += ["--runs", str(options.runs)]
            rounds.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
        for step, title in enumerate(["load", *(f"run {number + 1}" for number in range(options.runs))]):
            clock, processor = zip(*(each[step] for each in rounds), strict=True)
            print(
                f"{options.model} {runtime:9} {title:6} {statistics.median(clock):.3f} s, least {min(clock):.3f}; "
                f"processor {statistics.median(processor):.3f} s; each: {', '.join(f'{x:.3f}' for x in clock)}",
                flush=True,
            )


if __name__ == "__main__":
    main()
