"""Which prompted model serves a prompt: the one that was asked for, or the best that is installed."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gossamer.arguments import check_call
from gossamer.errors import InputError
from gossamer.progress import Progress, ProgressCallback
from gossamer.prompting.grabcut import GrabCut
from gossamer.prompting.lent import LentModel, Loaded
from gossamer.prompting.prompt import Prompt
from gossamer.prompting.protocol import PromptedModel
from gossamer.settings.finding import PROMPT_MODELS
from gossamer.settings.model_choice import ModelChoice
from gossamer.spelling import did_you_mean

if TYPE_CHECKING:
    from gossamer.prompting.families import Family

__all__ = ["check_prompt_model", "choose", "is_installed", "load_prompt_model"]

_log = logging.getLogger("gossamer")


def choose(prompt: Prompt, *, folders: Iterable[str | Path] = ()) -> tuple[str, str]:
    """Return the best model that can serve a prompt, and why in a few words.

    Text is for SAM 3, or together with boxes, masks or scribbles for Grounded SAM 2, which is named also where none
    of the two is installed: nothing smaller reads. All else is for SAM 2, and for GrabCut without it.
    """
    extra = tuple(folders)
    if prompt.text:
        plain = not (prompt.boxes or prompt.mask is not None or prompt.scribbles is not None)
        if plain and _installed(("sam3",), extra):
            return "sam3", "the best that is installed for text"
        if _installed(("grounding-dino", "sam2"), extra):
            return "grounded-sam2", "the best that is installed for text"
        return "grounded-sam2", "it reads text, and none that does is installed"
    if _installed(("sam2",), extra):
        return "sam2", "the best that is installed for boxes, points and masks"
    return "grabcut", "it needs no weights, and SAM 2 is not installed"


def is_installed(name: str) -> bool:
    """Return whether one of :data:`~gossamer.settings.finding.PROMPT_MODELS` can be used and nothing fetched for it."""
    needs: dict[str, tuple[Family, ...]] = {
        "sam2": ("sam2",),
        "sam3": ("sam3",),
        "grounded-sam2": ("grounding-dino", "sam2"),
    }
    return name in ("auto", "grabcut") or (name in needs and _installed(needs[name], ()))


def check_prompt_model(wanted: object) -> None:
    """Raise InputError where something is no prompt model and no name of one; loads nothing.

    Parameters
    ----------
    wanted : object
        A name as for :func:`load_prompt_model`, or a :class:`~gossamer.prompting.protocol.PromptedModel`.
    """
    if not isinstance(wanted, str):
        if not (hasattr(wanted, "embed") and hasattr(wanted, "predict")):
            raise InputError(f"{repr(wanted)[:80]} is no prompt model.", f"Choose: {', '.join(PROMPT_MODELS)}.")
    elif wanted not in PROMPT_MODELS:
        _members(wanted)


def load_prompt_model(
    name: str = "auto",
    prompt: Prompt | None = None,
    *,
    choice: ModelChoice | None = None,
    progress: ProgressCallback | Progress | None = None,
    announce: Callable[[str], object] | None = None,
    **settings: Any,
) -> PromptedModel:
    """Load a prompted model, fetching its weights first where they are not on this machine.

    Parameters
    ----------
    name : {"auto", "grabcut", "grounded-sam2", "sam2", "sam3"} or str
        Or a certain one of these: the id of a published model (``sam2.1-hiera-tiny``), its repository, or a folder that
        ``save_pretrained`` wrote. Grounding DINO and SAM 2 have a comma between them.
    prompt : Prompt, optional
        What ``auto`` chooses for; a box without it.
    choice : ModelChoice, optional
        Its device says where it runs, its folders where weights are looked for besides the usual ones. GrabCut starts
        from what its model sees: with ``auto`` the best that is installed, with ``none`` from the prompt alone.
    progress : callable, optional
        Progress of a download; what it raises stops the work and passes through.
    announce : callable, optional
        Told what is fetched and which model ``auto`` took. Without it both go to the logger ``gossamer``.
    **settings
        Fields of :class:`~gossamer.settings.ModelChoice`, instead of those in `choice`.

    Returns
    -------
    PromptedModel
        Its networks belong to :data:`gossamer.warm.warm`: loading the same again takes no time.

    Raises
    ------
    InputError
        There is no such model.
    GossamerError
        It cannot be had.
    """
    choice = ModelChoice.of(choice, **settings)
    check_call(announce, "announce", "announce(sentence)")
    members: dict[Family, str] = {}
    if name not in PROMPT_MODELS:
        members = _members(name)
        name = "grounded-sam2" if "grounding-dino" in members else next(iter(members))
    if name == "auto":
        name, reason = choose(prompt or Prompt(boxes=((0, 0, 1, 1),)), folders=choice.folders)
        (announce or _log.info)(f"Prompt model {name}: {reason}.")
    steps = Progress.of(progress)
    if name == "grabcut":
        return _grabcut(choice, steps, announce)
    loader = _Loader(name, tuple(members.items()), choice.device, choice.folders)
    return LentModel(("prompting", loader), loader, announce, steps)


@dataclass(frozen=True)
class _Loader:
    """What it takes to load a prompted model of the transformers package, now and after it was unloaded."""

    name: str
    members: tuple[tuple[Family, str], ...]
    device: str
    folders: tuple[str, ...]

    def __call__(self, announce: Callable[[str], object] | None, progress: Progress) -> Loaded:
        members = dict(self.members)
        how: dict[str, Any] = {
            "device": self.device,
            "folders": self.folders,
            "progress": progress,
            "announce": announce,
        }
        # Each imports torch and transformers.
        if self.name == "sam2":
            from gossamer.prompting.sam2 import load_sam2

            return load_sam2(members.get("sam2", "auto"), **how)
        if self.name == "sam3":
            from gossamer.prompting.sam3 import load_sam3

            return load_sam3(members.get("sam3", "auto"), **how)
        from gossamer.prompting.grounded_sam2 import load_grounded_sam2

        return load_grounded_sam2(members.get("grounding-dino", "auto"), members.get("sam2", "auto"), **how)


def _members(name: str) -> dict[Family, str]:
    """Return the models of the transformers package that a name gives, by family; raises InputError."""
    from gossamer.prompting.families import family_of
    from gossamer.weights.catalogue import folder_cards

    members: dict[Family, str] = {}
    for part in (part.strip() for part in name.split(",")):
        family = family_of(part)
        if family is None:
            close = did_you_mean(
                part, (*PROMPT_MODELS, *(card.id for card in folder_cards() if card.task == "prompting"))
            )
            raise InputError(
                f"There is no prompt model {part!r}.",
                f"{close}Choose one of: {', '.join(PROMPT_MODELS)}; or give an id such as sam2.1-hiera-tiny, or a "
                "folder that save_pretrained wrote.",
            )
        if family in members or (members and "sam3" in {family, *members}):
            raise InputError(f"{name} are no models that work together.", "Give one, or a Grounding DINO and a SAM 2.")
        members[family] = part
    return members


def _installed(families: tuple[Family, ...], folders: tuple[str | Path, ...]) -> bool:
    if importlib.util.find_spec("torch") is None or importlib.util.find_spec("transformers") is None:
        return False
    from gossamer.prompting.families import installed_weights

    return all(installed_weights(family, folders=folders) for family in families)


def _grabcut(choice: ModelChoice, progress: Progress, announce: Callable[[str], object] | None) -> GrabCut:
    """Return GrabCut with the model that was named, else the best that is installed, for which nothing is fetched."""
    from gossamer.segmentation.loading import load_models, model_of
    from gossamer.weights import store
    from gossamer.weights.choice import ranking

    if choice.model == "none":
        return GrabCut()
    if choice.model != "auto":
        named = load_models(choice, progress=progress, announce=announce)
        return GrabCut(named.predict, named.id, named.device)
    ranked = ranking()
    for card in (*ranked.fitting, *ranked.costlier):
        weights, _ = store.look(card, progress=progress, extra_folders=[Path(folder) for folder in choice.folders])
        if weights is not None:
            model = model_of(weights, ModelChoice(device=choice.device), progress=progress)
            return GrabCut(model.predict, model.id, model.device)
    return GrabCut()
