"""What several pictures save that come together: one start for all of them, and one run of the network.

    python tests/benchmarks/batches.py [--models ID …] [--runtimes auto onnx torch] [--sizes 1 2 4 8] [--rounds N]
        [--starts N]

The network alone, on noise: every size of batch in turn in one process, working memory kept as `gossamer batch` keeps
it; pictures a second by the clock and processor time a picture, medians over the rounds. `--starts`: so many
pictures in a process each (imports, loading, one run) beside as many in one process.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time

import numpy as np


def rates(name: str, runtime: str, sizes: list[int], rounds: int) -> None:
    """Print what a picture takes in batches of each size."""
    import gossamer
    from gossamer.networks.busy import picture_after_picture
    from gossamer.progress import Progress
    from gossamer.warm import warm

    width, height = gossamer.model_card(name).input.size or (0, 0)
    noise = np.random.default_rng(0).standard_normal((max(sizes), 3, height, width), dtype=np.float32) * 0.3
    model = gossamer.load_model(name, runtime=runtime, precision="float32", device="cpu")
    found: dict[int, list[tuple[float, float]]] = {size: [] for size in sizes}
    with picture_after_picture(), warm.lent(model._network, None) as lent:
        lent.run(noise[:1], Progress())
        for _ in range(rounds):
            for size in sizes:
                started = time.perf_counter(), time.process_time()
                lent.run(noise[:size], Progress())
                taken = time.perf_counter() - started[0], time.process_time() - started[1]
                found[size].append((taken[0] / size, taken[1] / size))
    alone = [statistics.median(each) for each in zip(*found[sizes[0]], strict=True)]
    for size in sizes:
        clock, processor = (statistics.median(each) for each in zip(*found[size], strict=True))
        print(
            f"{name} {model.engine:16} batch {size}: {1 / clock:6.2f} pictures a second ({alone[0] / clock:.2f} x), "
            f"{processor:.3f} s of the processor each ({alone[1] / processor:.2f} x)",
            flush=True,
        )


def once(name: str, runtime: str, count: int) -> None:
    """Load a model and run it on so many pictures, one after the other, as a process of its own."""
    import gossamer

    picture = np.random.default_rng(0).integers(0, 256, (512, 512, 3), np.uint8)
    model = gossamer.load_model(name, runtime=runtime, precision="float32", device="cpu")
    for _ in range(count):
        model.predict(picture)


def starts(name: str, runtime: str, count: int, rounds: int) -> None:
    """Print what pictures take in a process each, and in one."""

    def taken(pictures: int) -> float:
        started = time.perf_counter()
        told = json.dumps([name, runtime, pictures])
        subprocess.run([sys.executable, __file__, "--once", told], check=True)
        return time.perf_counter() - started

    one, all_of_them = zip(*((taken(1), taken(count)) for _ in range(rounds)), strict=True)
    single, together = statistics.median(one), statistics.median(all_of_them)
    print(
        f"{name} {runtime:6} a process a picture: {single:.2f} s each; {count} in one: {together / count:.2f} s each, "
        f"{single * count / together:.1f} x",
        flush=True,
    )


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["u2netp", "u2net", "isnet-general-use"])
    parser.add_argument("--runtimes", nargs="+", default=["auto", "onnx", "torch"])
    parser.add_argument("--sizes", nargs="+", type=int, default=[1, 2, 4, 8])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--starts", type=int, default=0, help="pictures; 0: the network's batches instead")
    parser.add_argument("--once", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.once:
        once(*json.loads(options.once))
        return
    for name in options.models:
        for runtime in options.runtimes:
            if options.starts:
                starts(name, runtime, options.starts, options.rounds)
            else:
                rates(name, runtime, options.sizes, options.rounds)


if __name__ == "__main__":
    main()
