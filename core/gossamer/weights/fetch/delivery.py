"""One model's weights into Gossamer's own folder: one process at a time, and never half a file."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from gossamer.errors import DownloadError
from gossamer.files import lock_file, move_into_place, share
from gossamer.progress import Progress
from gossamer.weights.catalogue import ModelCard, Variant
from gossamer.weights.digests import checked_digest, remember
from gossamer.weights.fetch.sources import attempts, by_hand, obtain, origin
from gossamer.weights.fetch.transfer import Proof, SourceFailed, Transfer, announced_size, remove_quietly, writing
from gossamer.weights.inventory import fault, known_proof

__all__ = ["fetch_any", "locked", "tidy"]


@contextmanager
def locked(model: str, folder: Path, progress: Progress) -> Iterator[None]:
    """Hold the lock on fetching a model into `folder`, waiting for it as long as it takes or until cancelled."""
    file = folder / f".{model}.lock"
    lock = writing(file, lock_file, file)
    while not writing(file, _acquired, lock):
        progress(0.0, f"Waiting for another program that is fetching {model}")
        time.sleep(0.1)
    try:
        yield
    finally:
        lock.release()


def fetch_any(
    card: ModelCard,
    variants: tuple[Variant, ...],
    folder: Path,
    progress: Progress,
    announce: Callable[[str], object] | None,
) -> Variant:
    """Try all sources of some variants; return the variant that now lies in `folder`.

    Raises
    ------
    DownloadError
        When every source failed; it names each with its reason.
    OutputError
        When the disk is full or the folder cannot be written to.
    """
    for variant in card.weights:
        for stale in folder.glob(f"{variant.filename}.*.part"):
            remove_quietly(stale)  # of a process that was killed: whoever is here holds the lock
    failures: list[str] = []
    for variant, source in attempts(variants):
        place = origin(source)
        if announce is not None:
            before = f"{failures[-1]}. " if failures else ""
            what = f"{card.title} ({announced_size(variant)}, licence {card.licence})"
            announce(f"{before}Fetching {what} from {place}")
        part = folder / f"{variant.filename}.part"
        if not os.access(part, os.W_OK):  # begun by another user of this folder
            remove_quietly(part)
        try:
            proof = obtain(source, Transfer(card.id, variant, part, progress, Proof.of(variant)))
        except SourceFailed as error:
            failures.append(f"{place}: {error}")
            continue
        final = folder / variant.filename
        share(part)
        writing(final, move_into_place, part, final, force=True)
        remember(final, proof.digest, proof.kind)
        return variant
    raise DownloadError(
        f"{card.title} could not be fetched: {'; '.join(failures) or 'it has no sources'}.", by_hand(card, variants)
    )


def tidy(card: ModelCard, folder: Path, progress: Progress) -> None:
    """Remove what is of no use once a variant is installed: parts, and damaged files of other variants."""
    for variant in card.weights:
        remove_quietly(folder / f"{variant.filename}.part")
        file = folder / variant.filename
        proof = known_proof(variant, file)
        if proof and file.exists() and fault(file, proof, progress, checked_digest, card.id):
            remove_quietly(file)


def _acquired(lock: filelock.BaseFileLock) -> bool:
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        return False
    return True
