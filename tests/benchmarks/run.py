"""Every benchmark in one command: the tables as Markdown, and a chart as SVG.

    python tests/benchmarks/run.py [--data FOLDER] [--rembg PYTHON] [--only NAME ...] [--rounds 5] [--out FOLDER]

FOLDER of ``--data`` holds ``input/*.png``, ``alpha/*.png`` and ``trimap1/*.png`` of the same names (the training set of
alphamatting.com is laid out so); without it only what can be made up is measured. ``--rembg`` names an interpreter with
``rembg[cpu,cli]``; without it the whole pipeline is left out. With ``--out`` the tables go to benchmarks.md there and
the chart to benchmarks.svg; they are printed in any case. Leave the machine alone meanwhile: it takes minutes.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
from pathlib import Path

from rows import Row, chart, load, table

HERE = Path(__file__).parent
NAMES = ("foreground", "closed_form", "kernels", "mask_to_matte", "pipeline", "batch")


def commands(options: argparse.Namespace) -> dict[str, list[str]]:
    """Return what is run of each benchmark that can be."""
    data = [str(options.data)] if options.data else []
    rounds = str(options.rounds)
    found = {
        "foreground": ["--rounds", rounds, *(["--data", *data] if data else [])],
        "closed_form": ["--repeats", rounds, *(["--narrow", *data] if data else [])],
    }
    found["kernels"] = ["--rounds", rounds]
    if data:
        found["mask_to_matte"] = data
    if options.rembg:
        found["pipeline"] = ["--rembg", options.rembg, "--rounds", rounds]
        found["batch"] = ["--rembg", options.rembg]
    return {name: each for name, each in found.items() if name in options.only}


def machine() -> str:
    """Say what this was measured on."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    names = [line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith("model name")]
    name = names[0] if names else platform.processor()
    return f"{len(names) or 1} × {name}, Python {platform.python_version()}"


def main() -> None:
    """Run everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--rembg")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows: list[Row] = []
    for name, arguments in commands(options).items():
        print(f"… {name}", file=sys.stderr, flush=True)
        command = [sys.executable, str(HERE / f"{name}.py"), "--json", *arguments]
        rows += load(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    head = "# Benchmarks\n\nMedians, each pair measured in one run; the ratio says how many times better ours is.\n"
    text = f"{head}{machine()}.\n\n{table(rows)}"
    print(text)
    if options.out:
        peers = [row for row in rows if row.peer not in ("allowed", "a later one")]
        shown = [row for row in peers if row.unit == "s" and "processor" not in row.what]
        (options.out / "benchmarks.md").write_text(text, encoding="utf-8")
        svg = chart(shown, "How many times as fast as the peer")
        (options.out / "benchmarks.svg").write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
