"""Write the tables of models into models.md and choosing.md: ``python docs/make_models.py``."""

from __future__ import annotations

import re
from pathlib import Path

from gossamer.weights.catalogue import (
    HuggingFaceSource,
    InputSpec,
    ModelCard,
    UrlSource,
    folder_cards,
    published_models,
)
from gossamer.weights.fetch.sources import origin
from gossamer.weights.fetch.transfer import announced_size, megabytes

HERE = Path(__file__).parent
BEGIN, END = "<!-- table -->\n", "<!-- /table -->\n"

# The processor's seconds for a picture of one megapixel, by network and size, from tests/benchmarks/networks.py.
SECONDS = {
    ("u2netp", (320, 320)): "0.5",
    ("u2net", (320, 320)): "1.1",
    ("isnet", (1024, 1024)): "3",
    ("modnet", None): "0.7",
    ("inspyrenet", (384, 384)): "3",
    ("inspyrenet", (1024, 1024)): "22",
    ("birefnet_swin_t", (1024, 1024)): "11",
    ("birefnet_swin_t", (2560, 1440)): "60",
    ("birefnet_swin_l", (512, 512)): "8",
    ("birefnet_swin_l", (1024, 1024)): "29",
    ("ben2", (1024, 1024)): "31",
}


def choices() -> str:
    """Return the table to choose from, in Markdown."""
    head = "| model | for | download | licence | commercial use | cost | see-through | hair | anime |"
    lines = [head, "|---|---|---:|---|---|---|:-:|:-:|:-:|"]
    for card in published_models().values():
        licence = f"[{card.licence}]({card.licence_url})"
        marks = ("●" if subject in card.subjects else "" for subject in ("transparent", "hair", "anime"))
        size = announced_size(card.weights[0])
        cells = (f"`{card.id}`", card.good_for, size, licence, _commercial(card), _cost(card), *marks)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def table() -> str:
    """Return the table, in Markdown."""
    lines = ["| id | for | licence | commercial use | trained size | published metric |", "|---|---|---|---|---|---|"]
    for card in published_models().values():
        licence = f"[{card.licence}]({card.licence_url})"
        cells = (f"`{card.id}`", card.good_for, licence, _commercial(card), _size(card.input), card.metric or "-")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def files() -> str:
    """Return the list of files with their sizes, digests and sources, in Markdown."""
    lines = ["| file | runs in | size | SHA-256 | from |", "|---|---|---|---|---|"]
    for card in published_models().values():
        for variant in card.weights:
            digest = f"`{variant.sha256[:16]}…`" if variant.sha256 else f"md5 `{variant.md5}`" if variant.md5 else ""
            places = []
            for source in variant.sources:
                match source:
                    case UrlSource():
                        places.append(f"[{origin(source)}]({source.url})")
                    case HuggingFaceSource():
                        url = f"https://huggingface.co/{source.repo}/blob/{source.revision}/{source.filename}"
                        places.append(f"[{source.repo}]({url}){' (gated)' * source.gated}")
                    case _:
                        places.append(origin(source))
            cells = (
                f"`{variant.filename}`",
                ", ".join(variant.runtimes),
                announced_size(variant),
                digest or "asked for at the download",
                ", ".join(places),
            )
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def folders() -> str:
    """Return the table of the models that are folders, in Markdown."""
    lines = ["| id | for | licence | commercial use | size | published metric |", "|---|---|---|---|---|---|"]
    for card in folder_cards():
        licence = f"[{card.licence}]({card.licence_url})"
        size = megabytes(card.bytes) + " (gated)" * card.gated
        place = f"[`{card.id}`](https://huggingface.co/{card.repo})"
        lines.append(f"| {place} | {card.good_for} | {licence} | yes | {size} | {card.metric or '-'} |")
    return "\n".join(lines) + "\n"


PAGES = {"models.md": (table, folders, files), "choosing.md": (choices,)}


def page(name: str) -> str:
    """Return a page with the tables as the catalogue has them now."""
    parts = iter([make() for make in PAGES[name]])
    text = (HERE / name).read_text("utf-8")
    return re.sub(f"{BEGIN}.*?{END}", lambda _: BEGIN + next(parts) + END, text, flags=re.DOTALL)


def _size(spec: InputSpec) -> str:
    if spec.size is not None:
        return "×".join(map(str, spec.size))
    if spec.shortest == spec.longest:
        return f"shorter side {spec.shortest}"
    return f"any, {spec.shortest} to {spec.longest}"


def _cost(card: ModelCard) -> str:
    size = card.input.size
    seconds = SECONDS.get(((card.network or "").removesuffix("_columns"), size))
    return f"{card.cost}, {seconds} s" if seconds else card.cost


def _commercial(card: ModelCard) -> str:
    if card.commercial:
        return "yes"
    return "no: nobody gave a licence" if card.licence == "unclear" else "**no**"


if __name__ == "__main__":
    for name in PAGES:
        (HERE / name).write_text(page(name), "utf-8")
