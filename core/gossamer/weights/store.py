"""The weights on this machine: found where they already lie, fetched where they do not, verified once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

from gossamer.errors import DownloadError, MissingExtra, ModelIntegrityError, ModelNotFound
from gossamer.files import make_folder, sweep
from gossamer.progress import Progress, ProgressCallback
from gossamer.settings.model_choice import ModelChoice
from gossamer.weights import licences
from gossamer.weights.catalogue import ModelCard, model_card
from gossamer.weights.choice import Choice, ranking
from gossamer.weights.digests import checked_digest, file_digest
from gossamer.weights.fetch.delivery import fetch_any, locked, tidy
from gossamer.weights.fetch.sources import by_hand
from gossamer.weights.fetch.transfer import writing
from gossamer.weights.folders import folders, forbidding_switch, home, models_folder
from gossamer.weights.inventory import AnyRuntime, Weights, require_usable, search, usable

__all__ = [
    "Announce",
    "Choice",
    "Weights",
    "choose",
    "fetch",
    "find",
    "folders",
    "home",
    "look",
    "path",
    "verify",
]

Announce: TypeAlias = Callable[[str], object]
"""Called with one line for people, before something that takes time or uses their network."""

_ProgressLike: TypeAlias = Progress | ProgressCallback | None


def find(
    card: ModelCard,
    *,
    progress: _ProgressLike = None,
    extra_folders: Iterable[Path] = (),
    runtime: AnyRuntime = "auto",
) -> Weights | None:
    """Look for a model's weights in :func:`folders`.

    A file counts when its name, its size and its digest are those of the catalogue, or else of its publisher. The
    digest is computed once and then remembered in ``verified.json`` in :func:`home` until size or time of change
    differ. float32 is preferred to float16.

    Parameters
    ----------
    card : ModelCard
    progress : callable, optional
        Progress of the checking; may raise to cancel.
    extra_folders : iterable of pathlib.Path, optional
        More folders to look in, after :func:`folders`.
    runtime : {"auto", "onnx", "torch", "any"}
        Only files that it can run: ``auto`` those that can run here, ``any`` all.

    Returns
    -------
    Weights or None
        None when no folder has them.

    Raises
    ------
    ModelIntegrityError
        When all that is here is a file in Gossamer's own folder that has the wrong content. Where there is a good
        one as well, and in the folders of other programs, such a file is passed over, with a line in
        `Weights.warnings`.
    """
    return search(card, Progress.of(progress), checked_digest, tuple(extra_folders), usable(card, runtime))[0]


def look(
    card: ModelCard,
    *,
    progress: _ProgressLike = None,
    extra_folders: Iterable[Path] = (),
    runtime: AnyRuntime = "auto",
) -> tuple[Weights | None, str]:
    """Look for a model that nobody has asked for: one of many in a list, whose faults are no error.

    Parameters
    ----------
    card : ModelCard
    progress, extra_folders, runtime : optional
        As for :func:`find`.

    Returns
    -------
    tuple of Weights or None, and str
        What :func:`find` returns, and what is wrong with a damaged file, if that is all that is here.
    """
    try:
        return find(card, progress=progress, extra_folders=extra_folders, runtime=runtime), ""
    except ModelIntegrityError as error:
        return None, str(error)


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
    return _installed(card, find(card) or find(card, runtime="any")).path


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
    return _installed(card, search(card, Progress.of(progress), file_digest, (), usable(card, "any"))[0])


def fetch(
    card: ModelCard,
    *,
    progress: _ProgressLike = None,
    announce: Announce | None = None,
    force: bool = False,
    extra_folders: Iterable[Path] = (),
    runtime: AnyRuntime = "auto",
    accept_licence: bool = False,
) -> Weights:
    """Return a model's weights, fetching them first where they are not on this machine.

    The sources of the catalogue are tried in order, after ``$GOSSAMER_MIRROR/<file name>`` where that is
    set. What comes is checked by its digest and only then moved into place. A download that was cut off is
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
    runtime : {"auto", "onnx", "torch", "any"}
        What shall run them: ``auto`` prefers what is installed, then torch's files where torch is installed, and
        ONNX's where it is not; ``any`` also fetches what cannot run here.
    accept_licence : bool
        Accept, once and for all, a licence that does not allow commercial use.

    Returns
    -------
    Weights

    Raises
    ------
    ModelNotFound
        When they are not here and ``GOSSAMER_OFFLINE`` or ``HF_HUB_OFFLINE`` is set.
    LicenceError
        When they are not here, their licence does not allow commercial use and was never accepted.
    MissingExtra, InputError
        When the runtime cannot run them.
    ModelIntegrityError
        As :func:`find`, without `force`.
    DownloadError
        When every source failed; it names each with its reason.
    OutputError
        When the disk is full or the folder cannot be written to.
    """
    progress = Progress.of(progress)
    extra_folders = tuple(extra_folders)
    variants = require_usable(card, runtime)
    if accept_licence:
        licences.accept(card)
    warnings: tuple[str, ...] = ()
    if not force:
        found, warnings = search(card, progress, checked_digest, extra_folders, variants)
        if found is not None:
            return _with_licence(found)
    if switch := forbidding_switch():
        raise ModelNotFound(f"{card.title} would have to be fetched, and {switch} forbids it.", by_hand(card, variants))
    licences.require(card)
    folder = models_folder()
    writing(folder, make_folder, folder)
    sweep(folder)
    with locked(card.id, folder, progress):
        if not force:  # another process may have fetched it since
            found, warnings = search(card, progress, checked_digest, extra_folders, variants)
            if found is not None:
                return _with_licence(found)
        variant = fetch_any(card, variants, folder, progress, announce)
        tidy(card, folder, progress)
    return Weights(card, variant, folder / variant.filename, warnings)


def choose(
    choice: ModelChoice | str = "auto",
    *,
    device: str = "cpu",
    progress: _ProgressLike = None,
    announce: Announce | None = None,
    **settings: Any,
) -> Choice:
    """Choose a model and return its weights, fetching them where necessary.

    Parameters
    ----------
    choice : ModelChoice or str
        Its model is an id of the catalogue, or ``"auto"``: by quality, device and subject among those that allow
        commercial use. In balanced quality, for any subject, that is the best that is installed, else the best that
        can be fetched. Otherwise it is the best for the task, and what is installed only where that one cannot be
        fetched. Its licence is accepted for an id only.
    device : {"cpu", "cuda"}
        For ``auto``: where the model will run.
    progress, announce : optional
        As for :func:`fetch`.
    **settings
        Fields of :class:`~gossamer.settings.ModelChoice`, instead of those in `choice`.

    Returns
    -------
    Choice
        Its reason says what was picked and why.

    Raises
    ------
    ModelNotFound
        For an unknown id, and as :func:`fetch`.
    InputError
        For an impossible setting, and as :func:`fetch`.
    LicenceError, MissingExtra, ModelIntegrityError, DownloadError, OutputError
        As :func:`fetch`.
    """
    wanted = ModelChoice.of(choice, **settings)
    runtime, quality, subject = wanted.runtime, wanted.quality, wanted.subject
    extra = tuple(Path(folder) for folder in wanted.folders)
    if wanted.model != "auto":
        weights = fetch(
            model_card(wanted.model),
            progress=progress,
            announce=announce,
            extra_folders=extra,
            runtime=runtime,
            accept_licence=wanted.accept_licence,
        )
        return Choice(weights, f"{wanted.model}: the model that was asked for.")
    ranked = ranking(quality, subject, device, runtime)
    if not ranked.fitting:
        raise MissingExtra("Running models in torch", "torch")
    # Whoever names no quality and no subject is served at once with what is there.
    usual = quality == "balanced" and subject == "any"
    purpose = "" if usual else f", in {ranked.purpose}"
    first = ranked.fitting[0]
    installed = _best_installed((*ranked.fitting, *ranked.costlier), progress, extra, runtime)
    if installed is not None and (usual or installed.card is first):
        better = f" {first.id} is better: gossamer models get {first.id}" * (installed.card is not first)
        return Choice(installed, f"{installed.card.id}: the best model that is installed{purpose}.{better}")
    failures: list[DownloadError | ModelNotFound | ModelIntegrityError] = []
    damaged: tuple[str, ...] = ()
    for card in ranked.fitting:
        if installed is not None and card is installed.card:
            break
        try:
            weights = fetch(card, progress=progress, announce=announce, extra_folders=extra, runtime=runtime)
        except ModelIntegrityError as error:  # nobody asked for this one
            damaged += (str(error),)
            failures.append(error)
            continue
        except (DownloadError, ModelNotFound) as error:
            failures.append(error)
            if isinstance(error, ModelNotFound):  # offline: the others cannot be fetched either
                break
            continue
        failed = f", as better ones could not be fetched: {failures[0].message}" if failures else "."
        weights = replace(weights, warnings=(*damaged, *weights.warnings))
        return Choice(weights, f"{card.id}: the best model that could be fetched{purpose}{failed}")
    if installed is None:
        raise failures[0]
    failed = f", as better ones could not be fetched: {failures[0].message}" if failures else "."
    return Choice(installed, f"{installed.card.id}: the best model that is installed{purpose}{failed}")


def _best_installed(
    cards: Iterable[ModelCard], progress: _ProgressLike, extra: tuple[Path, ...], runtime: AnyRuntime
) -> Weights | None:
    """Return the first of several models that is here, with the warnings about those before it."""
    passed_over: tuple[str, ...] = ()
    for card in cards:
        try:
            found, warnings = search(card, Progress.of(progress), checked_digest, extra, usable(card, runtime))
        except ModelIntegrityError as error:
            passed_over += (str(error),)
            continue
        passed_over += warnings
        if found is not None:
            return replace(found, warnings=passed_over)
    return None


def _with_licence(weights: Weights) -> Weights:
    """Return weights that other programs have fetched with a word on their licence."""
    card = weights.card
    if licences.is_accepted(card):
        return weights
    said = f"{card.title} is not for commercial use: its licence is {card.licence} ({card.licence_url})."
    if card.commercial:
        said = f"{card.title} has the licence {card.licence} ({card.licence_url}): {card.terms}."
    return replace(weights, warnings=(*weights.warnings, said))


def _installed(card: ModelCard, weights: Weights | None) -> Weights:
    if weights is None:
        raise ModelNotFound(
            f"{card.title} is not on this machine.", f"To fetch it, type: gossamer models get {card.id}"
        )
    return weights
