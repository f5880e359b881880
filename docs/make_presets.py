"""Writes the table of presets into docs/finishing.md: python docs/make_presets.py."""

from __future__ import annotations

from pathlib import Path

from gossamer.canvas import Preset, load_presets

_PAGE = Path(__file__).parent / "finishing.md"
_BEGIN, _END = "<!-- presets -->\n", "<!-- end of presets -->\n"


def table() -> str:
    """Return the table in Markdown."""
    rows = ["| Preset | What it makes | What is checked in the file | As of |", "|---|---|---|---|"]
    rows += [
        f"| `{one.id}` [{one.title}]({one.source}) | {_makes(one)} | {_checks(one)} | {one.date} |"
        for one in load_presets().values()
    ]
    return "\n".join(rows) + "\n"


def page(text: str) -> str:
    """Return the page with today's table."""
    before, _, rest = text.partition(_BEGIN)
    return before + _BEGIN + table() + _END + rest.partition(_END)[2]


def _makes(one: Preset) -> str:
    canvas, fill = one.settings["canvas"], one.settings["background"]["fill"]
    what = "head" if canvas.get("crop") == "head" else "subject"
    return f"{canvas['size']} at most, {what} {canvas['fill']} %, {fill}, sRGB"


def _checks(one: Preset) -> str:
    rules = one.rules
    parts = {
        "longest side at least {}": rules.min_longest,
        "shortest side at least {}": rules.min_shortest,
        "longest side at most {}": rules.max_longest,
        "longest side advised {}": rules.advised_longest,
        "shortest side advised {}": rules.advised_shortest,
        "at most {:g} megapixels": rules.max_megapixels,
        "at most {:g} MB": rules.max_mb,
        "ratio {}": rules.aspect,
        "fill at least {:g} %": rules.min_fill,
        "fill at most {:g} %": rules.max_fill,
        "white is 255": rules.white,
        "not enlarged": not rules.enlarging,
    }
    told = [words.format(value) for words, value in parts.items() if value]
    return "; ".join([*told, ", ".join(rules.formats)])


if __name__ == "__main__":
    _PAGE.write_text(page(_PAGE.read_text("utf-8")), "utf-8")
