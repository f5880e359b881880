"""The weights on this machine: found where they already lie, fetched where they do not, verified once."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import filelock

from gossamer.errors import DownloadError, ModelIntegrityError, ModelNotFound
from gossamer.models.catalogue import ModelCard, Variant, load_catalogue, model_card
from gossamer.models.folders import candidates, folders, home, models_folder
from gossamer.models.sources import attempts, by_hand, obtain, origin
from gossamer.models.transfer import SourceFailed, Transfer, megabytes, remove_quietly, writing
from gossamer.models.verified import Unreadable, checked_digest, file_digest, remember
from gossamer.progress import Progress, ProgressCallback

__all__ = [
    "Announce",
    "Choice",
    "Weights",
    "choose",
    "fetch",
    "find",
    "folders",
    "home",
    "path",
    "verify",
]

Announce: TypeAlias = Callable[[str], object]
"""Called with one line for people, before something that takes time or uses their network."""

_ProgressLike: TypeAlias = Progress | ProgressCallback | None


@dataclass(frozen=True)
class Weights:
    """Weights that lie on this machine and are what the catalogue says.

    Attributes
    ----------
    card : ModelCard
    variant : Variant
        Which of the card's files this is.
    path : pathlib.Path
    warnings : tuple of str
        One sentence for each file that was passed over because it has the name but not the content.
    """

    card: ModelCard
    variant: Variant
    path: Path
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Choice:
    """A model that was chosen, and why.

    Attributes
    ----------
    weights : Weights
    reason : str
        One sentence, such as "isnet-general-use: the best model that is installed."
    """

    weights: Weights
    reason: str


def find(card: ModelCard, *, progress: _ProgressLike = None, extra_folders: Iterable[Path] = ()) -> Weights | None:
    """Look for a model's weights in :func:`folders`.

    A file counts when its name, its size and its SHA-256 are those of the catalogue. The SHA-256 is computed
    once and then remembered in ``verified.json`` in :func:`home` until size or time of change differ.
    float32 is preferred to float16.

    Parameters
    ----------
    card : ModelCard
    progress : callable, optional
        Progress of the checking; may raise to cancel.
    extra_folders : iterable of pathlib.Path, optional
        More folders to look in, after :func:`folders`.

    Returns
    -------
    Weights or None
        None when no folder has them.

    Raises
    ------
    ModelIntegrityError
        When a file in Gossamer's own folder has the wrong content. In the folders of other programs such a
        file is passed over, with a line in `Weights.warnings`.
    """
    return _search(card, Progress.of(progress), checked_digest, tuple(extra_folders))[0]


def path(card: ModelCard) -> Path:
    """Return where a model's weights lie.

    Parameters
    ----------
    card : ModelCard

    Returns
    -------
    pathlib.Path

    Raises
    ------
    ModelNotFound
        When they are not on this machine.
    ModelIntegrityError
        As :func:`find`.
    """
    return _installed(card, find(card)).path


def verify(card: ModelCard, *, progress: _ProgressLike = None) -> Weights:
    """Read a model's weights in full and compare them with the catalogue, whatever was remembered of them.

    Parameters
    ----------
    card : ModelCard
    progress : callable, optional
        Progress of the reading; may raise to cancel.

    Returns
    -------
    Weights
        The weights, which are right.

    Raises
    ------
    ModelNotFound
        When they are not on this machine.
    ModelIntegrityError
        When the file in Gossamer's own folder has the wrong content.
    """
    return _installed(card, _search(card, Progress.of(progress), file_digest, ())[0])


def fetch(
    card: ModelCard,
    *,
    progress: _ProgressLike = None,
    announce: Announce | None = None,
    force: bool = False,
    extra_folders: Iterable[Path] = (),
) -> Weights:
    """Return a model's weights, fetching them first where they are not on this machine.

    The sources of the catalogue are tried in order, after ``$GOSSAMER_MIRROR/<file name>`` where that is
    set. What comes is checked by its SHA-256 and only then moved into place. A download that was cut off is
    taken up again. Of several processes that want the same model, one fetches and the others wait for it.

    Parameters
    ----------
    card : ModelCard
    progress : callable, optional
        Told of fractions and messages such as "Fetching u2net 61.2 of 176.0 MB"; may raise to cancel.
    announce : callable, optional
        Told in one line, before each attempt, what is fetched from where under which licence.
    force : bool
        Fetch even where weights are found, and replace those in Gossamer's own folder.
    extra_folders : iterable of pathlib.Path, optional
        More folders to look in, after :func:`folders`.

    Returns
    -------
    Weights

    Raises
    ------
    ModelNotFound
        When they are not here and ``GOSSAMER_OFFLINE`` is set.
    ModelIntegrityError
        As :func:`find`, without `force`.
    DownloadError
        When every source failed; it names each with its reason.
    OutputError
        When the disk is full or the folder cannot be written to.
    """
    progress = Progress.of(progress)
    extra_folders = tuple(extra_folders)
    warnings: tuple[str, ...] = ()
    if not force:
        found, warnings = _search(card, progress, checked_digest, extra_folders)
        if found is not None:
            return found
    if os.environ.get("GOSSAMER_OFFLINE", "").lower() not in ("", "0", "false", "no"):
        raise ModelNotFound(f"{card.title} would have to be fetched, and GOSSAMER_OFFLINE forbids it.", by_hand(card))
    folder = models_folder()
    writing(folder, folder.mkdir, parents=True, exist_ok=True)
    with _locked(card, folder, progress):
        if not force:  # another process may have fetched it since
            found, warnings = _search(card, progress, checked_digest, extra_folders)
            if found is not None:
                return found
        variant = _fetch_any(card, folder, progress, announce)
        _tidy(card, folder, progress)
    return Weights(card, variant, folder / variant.filename, warnings)


def choose(
    model: str = "auto",
    *,
    progress: _ProgressLike = None,
    announce: Announce | None = None,
    extra_folders: Iterable[Path] = (),
) -> Choice:
    """Choose a model and return its weights, fetching them where necessary.

    Parameters
    ----------
    model : str
        An id of the catalogue, or ``"auto"``: the best that is installed, else the best that can be fetched.
    progress, announce, extra_folders : optional
        As for :func:`fetch`.

    Returns
    -------
    Choice

    Raises
    ------
    ModelNotFound
        For an unknown id, and as :func:`fetch`.
    ModelIntegrityError, DownloadError, OutputError
        As :func:`fetch`.
    """
    extra = tuple(extra_folders)
    if model != "auto":
        weights = fetch(model_card(model), progress=progress, announce=announce, extra_folders=extra)
        return Choice(weights, f"{model}: the model that was asked for.")
    cards = sorted((card for card in load_catalogue().values() if card.rank), key=lambda card: card.rank or 0)
    passed_over: tuple[str, ...] = ()
    for card in cards:
        found, warnings = _search(card, Progress.of(progress), checked_digest, extra)
        passed_over += warnings
        if found is not None:
            better = f" {cards[0].id} is better: gossamer models get {cards[0].id}" * (card is not cards[0])
            weights = replace(found, warnings=passed_over)
            return Choice(weights, f"{card.id}: the best model that is installed.{better}")
    failures: list[DownloadError] = []
    for card in cards:
        try:
            weights = fetch(card, progress=progress, announce=announce, extra_folders=extra)
        except DownloadError as error:
            failures.append(error)
            continue
        failed = f", as better ones could not be fetched: {failures[0].message}" if failures else "."
        return Choice(weights, f"{card.id}: the best model that could be fetched{failed}")
    raise failures[0]


def _installed(card: ModelCard, weights: Weights | None) -> Weights:
    if weights is None:
        raise ModelNotFound(
            f"{card.title} is not on this machine.", f"To fetch it, type: gossamer models get {card.id}"
        )
    return weights


def _search(
    card: ModelCard,
    progress: Progress,
    digest: Callable[[Path, Progress, str], str],
    extra: tuple[Path, ...],
) -> tuple[Weights | None, tuple[str, ...]]:
    """Look for any variant of a model; also return the warnings about files that were passed over."""
    own = models_folder()
    warnings: list[str] = []
    for variant in sorted(card.weights, key=lambda variant: variant.precision != "float32"):
        for file in candidates(card, variant, extra):
            if not os.path.exists(file):
                continue
            fault = _fault(file, variant, progress, digest, f"Checking {card.id}")
            if fault is None:
                return Weights(card, variant, file, tuple(warnings)), tuple(warnings)
            if file.parent == own:
                raise ModelIntegrityError(
                    f"{file} is not {card.title} as it should be: it {fault}.",
                    f"To fetch it again, type: gossamer models get {card.id} --force",
                )
            warnings.append(f"{file} was passed over: it {fault}.")
    return None, tuple(warnings)


def _fault(
    file: Path,
    variant: Variant,
    progress: Progress,
    digest: Callable[[Path, Progress, str], str],
    message: str,
) -> str | None:
    """Return what is wrong with a file of weights, or None."""
    try:
        size = file.stat().st_size
        if size != variant.bytes:
            return f"has {size} bytes instead of {variant.bytes}"
    except OSError as error:
        return f"could not be read ({error.strerror})"
    try:
        found = digest(file, progress, message)
    except Unreadable as error:
        return f"could not be read ({error.reason})"
    if found != variant.sha256:
        return f"has the SHA-256 {found[:12]}… instead of {variant.sha256[:12]}…"
    return None


@contextmanager
def _locked(card: ModelCard, folder: Path, progress: Progress) -> Iterator[None]:
    """Hold the lock on fetching a model, waiting for it as long as it takes or until cancelled."""
    file = folder / f".{card.id}.lock"
    lock = filelock.FileLock(file)
    while not writing(file, _acquired, lock):
        progress(0.0, f"Waiting for another program that is fetching {card.id}")
        time.sleep(0.1)
    try:
        yield
    finally:
        lock.release()


def _tidy(card: ModelCard, folder: Path, progress: Progress) -> None:
    """Remove what is of no use once a variant is installed: parts, and damaged files of other variants."""
    for variant in card.weights:
        remove_quietly(folder / f"{variant.filename}.part")
        file = folder / variant.filename
        if file.exists() and _fault(file, variant, progress, checked_digest, f"Checking {card.id}"):
            remove_quietly(file)


def _move_durably(part: Path, final: Path) -> None:
    """Move a file into place so that after a power failure it is either complete or not there."""
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    os.replace(part, final)


def _acquired(lock: filelock.BaseFileLock) -> bool:
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        return False
    return True


def _fetch_any(card: ModelCard, folder: Path, progress: Progress, announce: Announce | None) -> Variant:
    """Try all sources of all variants; return the variant that now lies in `folder`."""
    for variant in card.weights:
        for stale in folder.glob(f"{variant.filename}.*.part"):
            remove_quietly(stale)  # of a process that was killed: whoever is here holds the lock
    failures: list[str] = []
    for variant, source in attempts(card):
        place = origin(source)
        if announce is not None:
            before = f"{failures[-1]}. " if failures else ""
            size = megabytes(variant.bytes)
            announce(f"{before}Fetching {card.title} ({size}, licence {card.licence}) from {place}")
        transfer = Transfer(card.id, variant, folder / f"{variant.filename}.part", progress)
        try:
            obtain(source, transfer)
        except SourceFailed as error:
            failures.append(f"{place}: {error}")
            continue
        final = folder / variant.filename
        writing(final, _move_durably, transfer.part, final)
        remember(final, variant.sha256)
        return variant
    raise DownloadError(
        f"{card.title} could not be fetched: {'; '.join(failures) or 'it has no sources'}.", by_hand(card)
    )
