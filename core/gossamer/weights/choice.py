"""From quality to a model: which are tried, and in which order, for a device and a subject."""

from __future__ import annotations

from dataclasses import dataclass

from gossamer.errors import InputError
from gossamer.settings.model_choice import QUALITIES, SUBJECTS, Quality, Subject
from gossamer.weights.card import COST, Cost
from gossamer.weights.catalogue import ModelCard, load_catalogue
from gossamer.weights.inventory import AnyRuntime, Weights, usable

__all__ = ["Choice", "Ranking", "ranking"]

# What one picture may cost. On a 2-core CPU a Swin-L takes half a minute; on a GPU it takes a twentieth of a second.
_BUDGETS: dict[str, dict[Quality, Cost]] = {
    "cpu": {"fast": "tiny", "balanced": "small", "best": "large"},
    "cuda": {"fast": "small", "balanced": "large", "best": "huge"},
}

_CARDS = ("cuda", "tensorrt", "xpu", "mps", "directml", "openvino:GPU")


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


@dataclass(frozen=True)
class Ranking:
    """The models for a task, the preferred first.

    Attributes
    ----------
    fitting : tuple of ModelCard
        Those that cost no more than the quality allows.
    costlier : tuple of ModelCard
        The others, the cheapest first: better than nothing where one of them is installed.
    purpose : str
        The task for people, such as "best quality on a GPU for hair".
    """

    fitting: tuple[ModelCard, ...]
    costlier: tuple[ModelCard, ...]
    purpose: str


def ranking(
    quality: Quality = "balanced",
    subject: Subject = "any",
    device: str = "cpu",
    runtime: AnyRuntime = "auto",
) -> Ranking:
    """Rank the models that ``auto`` may choose for a task.

    These have a rank in the catalogue: all of them allow commercial use. Those that are made for the subject come
    before the general ones.

    Parameters
    ----------
    quality : {"fast", "balanced", "best"}
        How much one picture may cost: on a CPU up to U²-Net small, IS-Net and BiRefNet, on a GPU up to IS-Net,
        BiRefNet and BiRefNet HR.
    subject : {"any", "portrait", "hair", "anime", "camouflaged"}
        What the picture shows.
    device : str
        Where the model will run, such as ``"cpu"`` or ``"cuda"``.
    runtime : {"auto", "onnx", "torch", "any"}
        Models that it cannot run are left out.

    Returns
    -------
    Ranking

    Raises
    ------
    InputError
        For a quality or subject that there is not.
    """
    if quality not in QUALITIES:
        raise InputError(f"There is no quality {quality!r}.", f"Choose one of: {', '.join(QUALITIES)}.")
    if subject not in SUBJECTS:
        raise InputError(f"There is no subject {subject!r}.", f"Choose one of: {', '.join(SUBJECTS)}.")
    gpu = device in _CARDS or device.startswith("cuda:")
    budget = COST[_BUDGETS["cuda" if gpu else "cpu"][quality]]
    cards = [card for card in load_catalogue().values() if card.rank is not None and usable(card, runtime)]
    cards = [card for card in cards if subject in card.subjects or "general" in card.subjects]

    def preference(card: ModelCard) -> tuple[bool, bool, int]:
        # What is made for the subject first of all, then what is also good at it, then everything else.
        return card.subjects[0] != subject, subject not in card.subjects, card.rank or 0

    cards.sort(key=preference)
    costlier = [card for card in cards if COST[card.cost] > budget]
    return Ranking(
        fitting=tuple(card for card in cards if COST[card.cost] <= budget),
        costlier=tuple(sorted(costlier, key=lambda card: COST[card.cost])),
        purpose=f"{quality} quality on a {'GPU' if gpu else 'CPU'}{'' if subject == 'any' else f' for {subject}'}",
    )
