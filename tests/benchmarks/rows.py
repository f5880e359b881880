"""What every benchmark hands over: a peer's number beside ours, the less the better; as a table and as a chart."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import NamedTuple
from xml.sax.saxutils import escape


class Row(NamedTuple):
    """One comparison, measured in one run.

    `theirs` and `ours` are medians in `unit`, of which less is better; `goal` is how many times better ours is to be.
    """

    topic: str
    what: str
    peer: str
    unit: str
    theirs: float
    ours: float
    goal: float | None = None

    @property
    def ratio(self) -> float:
        """How many times better ours is."""
        return self.theirs / self.ours if self.ours else math.inf


def dump(rows: Iterable[Row]) -> str:
    """Return rows as JSON."""
    return json.dumps([row._asdict() for row in rows], indent=1)


def load(text: str) -> list[Row]:
    """Return the rows of a JSON text."""
    return [Row(**each) for each in json.loads(text)]


def table(rows: list[Row]) -> str:
    """Return rows as tables in Markdown, one a topic."""
    lines = []
    for topic in dict.fromkeys(row.topic for row in rows):
        lines += [f"### {topic}", "", "| | peer | its median | ours | ratio | goal |", "|---|---|---:|---:|---:|---:|"]
        for row in rows:
            if row.topic == topic:
                theirs, ours = (f"{value:.3g} {row.unit}" for value in (row.theirs, row.ours))
                goal = f"{row.goal:.3g} ×" if row.goal else ""
                times = f"{row.ratio:.1f}" if row.ratio < 100 else f"{row.ratio:.0f}"
                lines.append(f"| {row.what} | {row.peer} | {theirs} | {ours} | **{times} ×** | {goal} |")
        lines.append("")
    return "\n".join(lines)


def chart(rows: list[Row], title: str) -> str:
    """Return bars of the ratios, on a logarithmic scale that begins at 1, as SVG for light and dark pages."""
    left, bar, step, head, width = 350, 16, 26, 44, 780
    most = max(2.0, *(row.ratio for row in rows))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{head + step * len(rows) + 12}" '
        f'font-family="sans-serif" font-size="13" role="img" aria-label="{escape(title)}">',
        "<style>text{fill:#24292f}.bar{fill:#2f81f7}.peer{fill:#8b949e}.axis{stroke:#8b949e}"
        "@media(prefers-color-scheme:dark){text{fill:#e6edf3}}</style>",
        f'<text x="8" y="22" font-size="15" font-weight="bold">{escape(title)}</text>',
        f'<line class="axis" x1="{left}" y1="{head - 8}" x2="{left}" y2="{head + step * len(rows)}"/>',
    ]
    for number, row in enumerate(rows):
        top, name = head + number * step, escape(f"{row.what}, beside {row.peer}")
        length = (width - left - 70) * max(0.0, math.log(max(row.ratio, 1.0)) / math.log(most))
        parts += [
            f'<text x="{left - 8}" y="{top + 13}" text-anchor="end">{name}</text>',
            f'<rect class="bar" x="{left}" y="{top}" width="{max(length, 1):.1f}" height="{bar}" rx="2"/>',
            f'<text x="{left + length + 6:.1f}" y="{top + 13}">{row.ratio:.1f} ×</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])
