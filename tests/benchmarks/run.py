"""Every benchmark in one command: the tables as Markdown, and a chart as SVG.

    python tests/benchmarks/run.py [--data FOLDER] [--rembg PYTHON] [--only NAME ...] [--rounds 5] [--out FOLDER]

FOLDER of ``--data`` holds ``input/*.png``, ``alpha/*.png`` and ``trimap1/*.png`` of the same names (the training set of
alphamatting.com is laid out so); without it only what can be made up is measured. ``--rembg`` names an interpreter with
``rembg[cpu,cli]``; without it the whole pipeline is left out. With ``--out`` the tables go to benchmarks.md there,
between two marks, and the chart to benchmarks.svg; what else stands in benchmarks.md stays. They are printed in any
case. Leave the machine alone meanwhile: it takes minutes.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
from datetime import date
from pathlib import Path

from rows import Row, chart, load, table

HERE = Path(__file__).parent
MARKS = "<!-- made by tests/benchmarks/run.py -->", "<!-- until here -->"
NAMES = ("foreground", "closed_form", "kernels", "mask_to_matte", "pipeline", "batch")


def commands(options: argparse.Namespace) -> dict[str, list[str]]:
    """Return what is run of each benchmark that can be."""
    data = [str(options.data)] if options.data else []
    rounds = str(options.rounds)
    found = {
        "foreground": ["--rounds", rounds, *(["--data", *data] if data else [])],
        "closed_form": ["--repeats", rounds, *(["--narrow", *data] if data else [])],
    }
    found["kernels"] = ["--rounds", rounds, *(["--data", *data] if data else [])]
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


def between(page: str, text: str) -> str:
    """Return a page with a text between the marks; at its end, with marks, where there were none."""
    start, end = MARKS
    if not (start in page and end in page.split(start, 1)[1]):
        page += f"{start}\n{end}\n"
    before, rest = page.split(start, 1)
    return f"{before}{start}\n\n{text}\n{end}{rest.split(end, 1)[1]}"


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
    text = f"{machine()}, {date.today()}.\n\n{table(rows)}"
    print(text)
    if options.out:
        peers = [row for row in rows if row.peer not in ("allowed", "a later one")]
        shown = [row for row in peers if row.unit == "s" and "processor" not in row.what]
        page = options.out / "benchmarks.md"
        page.write_text(between(page.read_text(encoding="utf-8") if page.exists() else "", text), encoding="utf-8")
        svg = chart(shown, "How many times as fast as the peer")
        (options.out / "benchmarks.svg").write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
