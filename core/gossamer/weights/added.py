"""Models of one's own beside the catalogue: a card and its weights in Gossamer's folder, listed by every face at once.

A model comes as a folder with ``card.json``, whose key ``model`` is what ``catalogue.toml`` has as ``[[model]]``, and
the files that it names; ``gossamer promote`` writes such a folder. Its card becomes ``ID.model.json`` beside its
weights in the folder that weights are fetched into, and there it is found by whoever asks for the catalogue.
"""

from __future__ import annotations

import functools
import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any

from gossamer.errors import GossamerError, InputError, ModelError, ModelIntegrityError, ModelNotFound, OutputExists
from gossamer.files import make_folder, write_bytes
from gossamer.paths import read_text, source_path
from gossamer.progress import Progress
from gossamer.weights.card import ModelCard
from gossamer.weights.digests import file_digest, remember
from gossamer.weights.fetch.transfer import remove_quietly, require_space, writing
from gossamer.weights.folders import home, models_folder

__all__ = ["CARD", "add_model", "added_cards", "card_table", "read_card", "remove_model"]

CARD = "card.json"
"""What a folder with a model has it described in."""

_SUFFIX = ".model.json"
_PIECE = 1 << 22
_REMEDY = "Give the folder that gossamer promote wrote."
_log = logging.getLogger("gossamer")

_Stamp = tuple[tuple[str, int, int], ...]


def added_cards() -> Mapping[str, ModelCard]:
    """Return the models that were added here, by id; a card that cannot be read is told of once, and left out."""
    return _read(_stamp())


def read_card(folder: Path) -> tuple[ModelCard, dict[str, Any]]:
    """Return the model that a folder holds, and all that its card says.

    Raises
    ------
    InputError
        It holds none.
    ModelError
        Its card is damaged.
    """
    if not (folder / CARD).is_file():
        what = f"holds no {CARD}" if folder.is_dir() else "is no folder"
        raise InputError(f"{folder} {what}.", _REMEDY)
    return _parsed(folder / CARD)


def add_model(folder: str | os.PathLike[str], *, force: bool = False, progress: Progress | None = None) -> ModelCard:
    """Put a model beside the catalogue.

    Parameters
    ----------
    folder : path
        With ``card.json`` and the weights that it names.
    force : bool
        Replace a model of that id that was added before.
    progress : Progress, optional
        May raise to cancel; then nothing was added.

    Returns
    -------
    ModelCard

    Raises
    ------
    InputError, ModelError
        It is no such folder, or its card is damaged.
    ModelIntegrityError
        A file is not what the card says.
    OutputExists
        There is a model of that id already.
    OutputError
        It cannot be written.
    """
    from gossamer.weights.catalogue import published_ids

    source = source_path(folder, "folder of the model")
    card, told = read_card(source)
    steps = progress or Progress()
    if card.id in published_ids():
        raise InputError(f"{card.id} is a model of the catalogue.", "Promote it again under another id.")
    if card.id in added_cards() and not force:
        raise OutputExists(
            f"There is a model {card.id} already.", "Promote it under another id, or add --force to replace it."
        )
    target = models_folder()
    for number, variant in enumerate(card.weights):
        part = steps.part(0.5 * number / len(card.weights), 0.5 * (number + 1) / len(card.weights))
        file = source / variant.filename
        if not file.is_file():
            raise ModelNotFound(f"{source} holds no {variant.filename}, which its card names.", _REMEDY)
        if file_digest(file, part, f"Checking {card.id}") != variant.sha256:
            raise ModelIntegrityError(f"{file} is not the file that {CARD} is about.", "Promote it again.")
        if not _stem_is(variant.filename, card.id):  # or it could take the place of another model's file
            raise ModelError(f"{variant.filename} is not named after the model {card.id}.", _REMEDY)
    writing(target, make_folder, target)
    require_space(target, sum(variant.bytes for variant in card.weights))
    for number, variant in enumerate(card.weights):
        part = steps.part(0.5 + 0.5 * number / len(card.weights), 0.5 + 0.5 * (number + 1) / len(card.weights))
        write_bytes(target / variant.filename, _pieces(source / variant.filename, variant.bytes, part), force=True)
        remember(target / variant.filename, str(variant.sha256))
    # The card last: with it the model is there.
    write_bytes(target / f"{card.id}{_SUFFIX}", json.dumps(told, indent=2).encode(), force=True)
    steps(1.0)
    return card


def remove_model(name: str) -> ModelCard:
    """Take a model away that was added: its card first, then its weights.

    Raises
    ------
    InputError
        It is one of the catalogue's.
    ModelNotFound
        There is none of that id.
    OutputError
        It may not be removed.
    """
    from gossamer.weights.catalogue import model_card, published_ids

    if name in published_ids():
        raise InputError(
            f"{name} is a model of the catalogue, not one that was added.",
            "Only its weights can be deleted, and fetched again.",
        )
    card = model_card(name)
    for folder in _folders():
        file = folder / f"{card.id}{_SUFFIX}"
        if file.is_file():
            writing(file, file.unlink)
            for variant in card.weights:
                remove_quietly(folder / variant.filename)
    return card


def card_table(card: ModelCard) -> dict[str, Any]:
    """Return a card as ``card.json`` has it: what :func:`read_card` makes it from."""
    table = asdict(card)
    for side in ("input", "output"):
        table[side] = {name: value for name, value in table[side].items() if value is not None}
    table["weights"] = [
        {name: value for name, value in variant.items() if value not in (None, (), [])} | {"sources": []}
        for variant in table["weights"]
    ]
    return {name: value for name, value in table.items() if value is not None}


def _stem_is(filename: str, model: str) -> bool:
    return filename.rpartition(".")[0] == model


def _pieces(file: Path, total: int, progress: Progress) -> Iterator[bytes]:
    done = 0
    with file.open("rb") as stream:
        while piece := stream.read(_PIECE):
            yield piece
            done += len(piece)
            progress(done / max(total, 1), f"Copying {file.name}")


def _parsed(file: Path) -> tuple[ModelCard, dict[str, Any]]:
    from gossamer.weights.catalogue import parse_card

    try:
        told = json.loads(read_text(file, "card", _REMEDY))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{file} is no valid JSON: {error}.", _REMEDY) from None
    if not isinstance(told, dict) or not isinstance(told.get("model"), dict):
        raise ModelError(f"{file} describes no model.", _REMEDY)
    card = parse_card(told["model"], str(file))
    if any(variant.sha256 is None or not variant.exact for variant in card.weights):
        raise ModelError(f"{file} has weights without SHA-256.", _REMEDY)
    if card.rank is not None:
        raise ModelError(f"{file} gives a rank: auto chooses of the catalogue alone.", _REMEDY)
    return card, told


def _folders() -> tuple[Path, ...]:
    try:
        return tuple(dict.fromkeys((models_folder(), home() / "models")))
    except InputError:  # no home: nothing was added
        return ()


def _stamp() -> _Stamp:
    """Return which cards there are, and when each was written."""
    found = []
    for folder in _folders():
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(_SUFFIX) and not entry.name.startswith("."):
                    status = entry.stat()
                    found.append((entry.path, status.st_mtime_ns, status.st_size))
    return tuple(sorted(found))


@functools.lru_cache(maxsize=8)
def _read(stamp: _Stamp) -> Mapping[str, ModelCard]:
    cards: dict[str, ModelCard] = {}
    for name, *_ in stamp:
        try:
            card, _told = _parsed(Path(name))
        except GossamerError as error:
            _log.warning("A model that was added is left out: %s", error)
            continue
        if Path(name).name == f"{card.id}{_SUFFIX}":
            cards.setdefault(card.id, card)
    return MappingProxyType(cards)
