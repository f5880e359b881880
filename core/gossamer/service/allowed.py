"""Which models requests may have: those on a list, of those whose weights are here. Nothing is fetched."""

from __future__ import annotations

from typing import Any

from gossamer.errors import ModelNotFound
from gossamer.service.refusals import Forbidden
from gossamer.settings import Finding, ModelChoice
from gossamer.settings.finding import PROMPT_MODELS
from gossamer.settings.recipe import Matting
from gossamer.worker.inventory import Inventory, NotHere

__all__ = ["Allowed", "refuse_fetching"]

_ALL = "installed"
_NONE = "none"  # the matting key needs no model


class Allowed:
    """The models of a service.

    Parameters
    ----------
    models : str
        As :class:`gossamer.settings.service.Service` has it.

    Raises
    ------
    ModelNotFound
        One of the list is unknown or not on this machine.
    """

    def __init__(self, models: str) -> None:
        self._inventory = Inventory()
        self._listed: tuple[str, ...] | None = None
        if models.strip() != _ALL:
            from gossamer.weights.catalogue import load_catalogue, model_card

            listed = tuple(part.strip() for part in models.split(",") if part.strip())
            for name in listed:
                card = load_catalogue().get(name) or model_card(name)
                if card.id not in self._inventory.installed():
                    raise NotHere(self._inventory.told(card))
            self._listed = listed

    def ids(self) -> tuple[str, ...]:
        """Return the models that requests may name."""
        here = self._inventory.installed()
        return tuple(sorted(here)) if self._listed is None else tuple(name for name in self._listed if name in here)

    def decided(self, choice: ModelChoice) -> ModelChoice:
        """Return a choice with ``auto`` decided.

        Raises
        ------
        ModelNotFound
            There is no such model here.
        Forbidden
            It is not on the list, or a file.
        """
        from gossamer.weights.catalogue import load_catalogue

        allowed = self.ids()
        if choice.model.strip() == "auto":
            best = self._inventory.automatic(choice)
            return (
                best if best.model in allowed else choice.model_copy(update={"model": self._instead(choice, allowed)})
            )
        names = []
        for name in (part.strip() for part in choice.model.split(",")):
            if name == "auto":
                name = self._inventory.automatic(choice.model_copy(update={"precision": "float32"})).model
                if name not in allowed:
                    name = self._instead(choice, allowed)
            elif name != _NONE and name not in allowed:
                remedy = f"Choose one of: {', '.join(('auto', *allowed))}."
                if name in load_catalogue():
                    raise Forbidden(f"The model {name} is not served here.", remedy)
                raise ModelNotFound(f"There is no model {name[:64]!r} here.", remedy)
            names.append(name)
        return choice.model_copy(update={"model": ",".join(names)})

    def _instead(self, choice: ModelChoice, allowed: tuple[str, ...]) -> str:
        """Return the best that is allowed, where the best of all is not."""
        from gossamer.networks.runtimes import likely_device
        from gossamer.weights.choice import ranking

        ranked = ranking(choice.quality, "any", likely_device(choice.device, "auto"))
        for card in (*ranked.fitting, *ranked.costlier):
            if card.id in allowed:
                return card.id
        if self._listed and allowed:
            return allowed[0]
        raise ModelNotFound("There is no model on this machine.", "Whoever keeps it types: gossamer models get u2net")

    def check_matting(self, matting: Matting) -> None:
        """Refuse a matting for which weights would have to be fetched; raises ModelNotFound."""
        if matting.method == "vitmatte":
            from gossamer.matting.vitmatte.weights import is_at_hand

            if not is_at_hand(matting.model):
                raise ModelNotFound("The matting vitmatte is not served here.", "Choose another matting, such as auto.")

    def check_prompt(self, finding: Finding, prompt: Any) -> None:
        """Refuse a prompt for which a model would have to be fetched; raises ModelNotFound."""
        from gossamer.prompting.choice import choose, is_installed

        wanted = finding.prompt_model if finding.prompt_model != "auto" else choose(prompt)[0]
        if not is_installed(wanted):
            raise ModelNotFound(
                f"The prompt model {wanted} is not served here.",
                "Give a box, a point or a mask, for which grabcut needs no weights.",
            )

    def told(self) -> dict[str, Any]:
        """Return all that a client should know, ready for JSON."""
        from gossamer.prompting.choice import is_installed
        from gossamer.weights.catalogue import load_catalogue

        keys = ("id", "title", "licence", "licence_url", "commercial")
        cards = [self._inventory.told(load_catalogue()[name]) for name in self.ids()]
        return {
            "models": [{key: card[key] for key in keys} for card in cards],
            "prompt_models": [name for name in PROMPT_MODELS if is_installed(name)],
        }


def refuse_fetching(sentence: str) -> None:
    """Stop what is about to be fetched: the callback that is told of it first."""
    if not sentence.startswith("Prompt model "):
        raise ModelNotFound("Weights are missing that a request cannot have fetched.", "Ask for another model.")
