"""Fine-tuning, from a folder of pictures to the best weights that it came to."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gossamer
from gossamer.errors import InputError
from gossamer.parallel.patience import Begun
from gossamer.paths import source_path
from gossamer.progress import Progress, ProgressCallback
from gossamer.prompting.families import family_of
from gossamer.settings.dataset import Data
from gossamer.settings.training import Training
from gossamer.training.bases import Base, base_of, check_packages
from gossamer.training.lessons import Lessons, lessons_of
from gossamer.training.run_folder import RunFolder

if TYPE_CHECKING:
    from gossamer.training.sam2_decoder import DecoderTrainer
    from gossamer.training.trainer import Trainer

__all__ = ["FinetuneReport", "finetune"]

_NOTICE = 0.15  # seconds in which a training that was stopped should notice: whoever asked for it waits no longer


@dataclass(frozen=True)
class FinetuneReport:
    """What a training came to.

    Attributes
    ----------
    out : str
        Its folder.
    base : str
    steps : int
        How many were done, over all runs.
    best_step : int
        After which the kept weights were reached; 0: nothing was better than the base.
    before, after : dict of str to float
        What the validation measured with the base's and with the kept weights; of the general data with ``general_``.
    resumed : int
        Steps that an earlier run had done.
    stopped_early : bool
    seconds : float
    warnings : tuple of str
    share : float
        How far the kept weights are on the way from the base's to the trained ones, see
        :mod:`gossamer.training.interpolation`.
    walk : tuple of dict
        What the validation measured on that way, by ``share``.
    made : str
        Of a SAM 2: the folder of the whole network with its best decoder.
    """

    out: str
    base: str
    steps: int
    best_step: int
    before: dict[str, float]
    after: dict[str, float]
    resumed: int
    stopped_early: bool
    seconds: float
    warnings: tuple[str, ...] = ()
    share: float = 1.0
    walk: tuple[dict[str, float], ...] = ()
    made: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain types, ready for JSON."""
        return {**vars(self), "warnings": list(self.warnings), "walk": list(self.walk)}


def finetune(
    data: str | Path,
    out: str | Path,
    settings: Training | None = None,
    *,
    model: str = "u2netp",
    architecture: str = "auto",
    dataset: Data | None = None,
    general: str | Path | None = None,
    backgrounds: str | Path | None = None,
    photographs: str | Path | None = None,
    resume: bool = False,
    accept_licence: bool = False,
    progress: ProgressCallback | Progress | None = None,
    announce: Callable[[str], object] | None = None,
) -> FinetuneReport:
    """Fine-tune a network on one's own pictures.

    Everything lies in `out`: the weights that validated best in ``best.safetensors``, a checkpoint of each validation
    (the last two are kept), curves, the worst masks of each validation, what was asked and measured. A run that was
    ended, however hard, goes on with `resume` and comes to the same numbers as one that was not.

    Parameters
    ----------
    data : path
        Pictures with masks, cut-outs, COCO or a table, see :func:`gossamer.training.dataset.read_dataset`; clips for a
        model of clips, see :func:`gossamer.training.clips.reading.find_clips`.
    out : path
        A new folder, or with `resume` one that has been begun.
    settings : Training, optional
    model : str
        What to begin with: an id of the catalogue, or a file of weights. Of a SAM 2.1, or a folder that
        ``save_pretrained`` wrote, the mask decoder is trained, see :mod:`gossamer.training.sam2_decoder`; the whole
        lies in ``model`` then, for :func:`gossamer.prompting.sam2.load_sam2`.
    architecture : str
        For a file: what feeds it, where that is not its network's usual way.
    dataset : Data, optional
        How data is read and split.
    general : path, optional
        Pictures of anything with their masks, which keep the network from forgetting: some of each batch are of them,
        and weights that have lost more than 1 % on them are not kept: where the trained ones have, those on a
        part of the way to them are.
    backgrounds : path, optional
        A folder of pictures that cut-outs are laid over.
    photographs : path, optional
        A folder of pictures of anything, without masks: the network is held to what the base finds in them, and
        weights that find something else in those set aside are not kept.
    resume : bool
        Go on with what is in `out`.
    accept_licence : bool
        Accept a licence that does not allow commercial use.
    progress : callable, optional
        ``progress(fraction, message)``; raising :class:`gossamer.Cancelled` in it stops the work.
    announce : callable, optional
        Called with one sentence of what people should know at once.

    Returns
    -------
    FinetuneReport

    Raises
    ------
    InputError
        Data or settings cannot be used.
    ModelError
        The loss became no number; what was seen is told.
    WorkerError
        Of several processes that train together one has ended.
    OutputError
        `out` cannot be written to, or the disk is full. What was there is still whole.
    ModelNotFound, LicenceError, DownloadError, DeviceError, MissingExtra
        The base cannot be had or run.
    """
    check_packages()
    steps, tell = Progress.of(progress), announce or (lambda sentence: None)
    chosen, reading = settings or Training(), dataset or Data()
    folder = RunFolder(out)
    if family_of(model) == "sam2":
        if general is not None or photographs is not None:
            raise InputError(
                "The mask decoder of SAM 2 is trained on its domain alone.",
                "Leave --general-data and --general-photographs out.",
            )
        return _of_sam2(model, data, folder, chosen, reading, backgrounds, resume, steps, tell)
    from gossamer.training.processes import Processes

    processes = Processes(_on(chosen))
    say = tell
    if processes.is_first:
        folder.check(resume)
    else:  # one of them speaks
        steps, say = Progress(), lambda sentence: None
    base = base_of(model, architecture, accept_licence=accept_licence, progress=steps, announce=say)
    say_licence(base, say)
    chosen = base.medium.settled(chosen, (processes.device or _on(chosen)).startswith("cuda"))
    lessons = base.medium.lessons_of(data, general, backgrounds, reading, steps, say, photographs)
    asked = _asked(base, chosen, reading, lessons, data, general, backgrounds, photographs)
    if resume:
        _check_same(folder.asked(), asked)
    with ExitStack() as stack:
        if processes.is_first:
            stack.enter_context(folder.taken())
            if not resume:
                folder.write_run(asked)
        processes.wait()
        stack.callback(processes.end)
        from gossamer.training.trainer import Trainer

        trainer = Trainer(base, lessons, chosen, folder, processes, say)
        return _watched(trainer, asked, steps, resume)


def _of_sam2(
    model: str,
    data: str | Path,
    folder: RunFolder,
    settings: Training,
    reading: Data,
    backgrounds: str | Path | None,
    resume: bool,
    steps: Progress,
    say: Callable[[str], object],
) -> FinetuneReport:
    """Fine-tune the mask decoder of a SAM 2."""
    from gossamer.prompting.families import load_member
    from gossamer.training.sam2_decoder import DecoderTrainer, check_settings

    check_settings(settings)
    folder.check(resume)
    loaded = load_member(model, "sam2", progress=steps, announce=say)
    lessons = lessons_of(data, None, backgrounds, reading, steps, say)
    asked = {
        "gossamer": gossamer.__version__,
        "base": {"id": loaded.name, "network": "sam2", "licence": None},
        **_data_asked(data, None, backgrounds, None),
        "seed": settings.seed,
        "settings": settings.model_dump(),
        "dataset": reading.model_dump(),
        "split": lessons.names(),
    }
    if resume:
        _check_same(folder.asked(), asked)
    with folder.taken():
        if not resume:
            folder.write_run(asked)
        return _watched(DecoderTrainer(loaded, lessons, settings, folder, say), asked, steps, resume)


def say_licence(base: Base, say: Callable[[str], object]) -> None:
    """Say what the base's licence lets one do with what comes of it."""
    card = base.card
    if card is None:
        say(f"{base.id} comes without a licence that Gossamer knows: what comes of it is under that of its authors.")
    elif not card.commercial:
        say(
            f"{card.title} has the licence {card.licence}, which does not allow commercial use: that binds what is "
            f"trained from it as well. See {card.licence_url}"
        )
    elif card.terms:
        say(f"{card.title} is under {card.licence}, and so is what is trained from it: {card.terms}.")


def _watched(trainer: Trainer | DecoderTrainer, asked: dict[str, Any], steps: Progress, resume: bool) -> FinetuneReport:
    """Train on a thread of its own, with a chance to cancel twenty times a second."""
    begun = time.monotonic()

    class Relay(Progress):
        """Shows the trainer's state whenever the wait for it ticks."""

        def tick(self) -> None:
            steps(*trainer.state)

    work = Begun(lambda: trainer.run(resume))
    try:
        result = work.result(Relay())
    except BaseException:
        trainer.stop()
        trainer.ended.wait(_NOTICE)  # it ends between two layers, and writes nothing any more
        raise
    report = FinetuneReport(
        out=str(trainer.folder.path),
        base=asked["base"]["id"],
        seconds=time.monotonic() - begun,
        **result,
    )
    if trainer.processes.is_first:
        trainer.folder.write_run({**asked, "result": {**report.as_dict(), "seconds": round(report.seconds, 1)}})
    return report


def _asked(
    base: Base,
    settings: Training,
    reading: Data,
    lessons: Lessons,
    data: str | Path,
    general: str | Path | None,
    backgrounds: str | Path | None,
    photographs: str | Path | None,
) -> dict[str, Any]:
    """Return what a run writes down of what it was asked."""
    return {
        "gossamer": gossamer.__version__,
        "base": base.as_dict(),
        "medium": base.medium.many,
        **_data_asked(data, general, backgrounds, photographs),
        "seed": settings.seed,
        "settings": settings.model_dump(),
        "dataset": reading.model_dump(),
        "split": lessons.names(),
    }


def _data_asked(
    data: str | Path, general: str | Path | None, backgrounds: str | Path | None, photographs: str | Path | None
) -> dict[str, str | None]:
    """Return where everything is read from."""
    given = {"data": data, "general": general, "backgrounds": backgrounds, "photographs": photographs}
    return {
        name: None if path is None else os.path.abspath(source_path(path, name.replace("general", "general data")))
        for name, path in given.items()
    }


_MAY_DIFFER = ("steps", "readers", "parts", "worst")  # what no number depends on, or how far it goes


def _check_same(was: dict[str, Any], now: dict[str, Any]) -> None:
    """Raise InputError where a run would go on with something else than it was begun with."""
    remedy = "Give what the run was begun with, or begin anew in another folder."
    if (was.get("base") or {}).get("id") != now["base"]["id"]:
        raise InputError(
            f"The run was begun with {(was.get('base') or {}).get('id')}, not {now['base']['id']}.", remedy
        )
    for key in ("data", "general", "backgrounds", "photographs"):
        if was.get(key) != now[key]:
            raise InputError(
                f"The run was begun with {was.get(key) or 'no'} as {key}, not {now[key] or 'none'}.", remedy
            )
    for kind in ("settings", "dataset"):
        for name, value in now[kind].items():
            before = (was.get(kind) or {}).get(name)
            if before != value and name not in _MAY_DIFFER:
                raise InputError(f"The run was begun with {name.replace('_', '-')} {before}, not {value}.", remedy)
    if was.get("split") != now["split"]:
        raise InputError("The pictures are no more those that the run was begun with.", remedy)
    if (was.get("settings") or {}).get("steps") != now["settings"]["steps"] and now["settings"][
        "schedule"
    ] != "constant":
        raise InputError(
            f"The rate of the run was planned for {(was.get('settings') or {}).get('steps')} steps, not "
            f"{now['settings']['steps']}.",
            remedy,
        )


def _on(settings: Training) -> str:
    """Return where a training is to run."""
    from gossamer.networks.devices import cuda_is_available

    if settings.device != "auto":
        return settings.device
    return "cuda" if cuda_is_available("torch") else "cpu"
