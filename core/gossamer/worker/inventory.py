"""Which models are on this machine: asked of the store once, and again when one of the folders has changed.

And which of them a wish means: nothing is fetched unless a client's user was asked.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gossamer.errors import ModelError, ModelNotFound
from gossamer.progress import Progress

if TYPE_CHECKING:
    from gossamer.settings import ModelChoice
    from gossamer.settings.recipe import Matting
    from gossamer.weights.card import ModelCard
    from gossamer.weights.folder_card import FolderCard

__all__ = ["Inventory", "NotHere"]

_Stamp = tuple[tuple[str, int], ...]


class NotHere(ModelNotFound):
    """A model would have to be fetched, and nobody has agreed to that yet.

    Attributes
    ----------
    needs : dict
        What :meth:`Inventory.told` says of it.
    """

    def __init__(self, needs: dict[str, Any]) -> None:
        sizes = dict.fromkeys(f"{needs[name] / 1e6:.0f}" for name in ("fewest", "bytes"))  # one where they are alike
        size = f"{' to '.join(sizes)} MB, licence {needs['licence']}"
        super().__init__(
            f"The model {needs['title']} is not on this machine ({size}).",
            f"To fetch it, type: gossamer models get {needs['id']}",
        )
        self.needs = needs


class Inventory:
    """What the store found, for as long as nothing is put into its folders or taken out."""

    def __init__(self) -> None:
        self._asking = threading.Lock()
        self._places: tuple[Path, ...] | None = None
        self._found: tuple[_Stamp, frozenset[str]] | None = None

    def installed(self) -> frozenset[str]:
        """Return the ids of the models whose weights are here; files that are not what they should be do not count."""
        return self._looked()[1]

    def reads_text(self) -> bool:
        """Return whether words for a subject are understood: a model for them is here, and nothing fetched for it."""
        from gossamer.prompting.choice import is_installed

        try:
            return is_installed("grounded-sam2") or is_installed("sam3")
        except ModelError:
            return False

    def check_matting(self, matting: Matting) -> None:
        """Raise NotHere where a matting's network would have to be fetched."""
        from gossamer.networks.transformers_loading import has_packages
        from gossamer.weights.catalogue import folder_cards
        from gossamer.weights.model_folder import to_fetch

        if matting.method != "vitmatte" or not has_packages():  # without them it is refused, and nothing fetched
            return
        card = to_fetch(matting.model, folder_cards("vitmatte"), progress=Progress())
        if card is not None:
            raise NotHere(self.told(card))

    def state(self) -> object:
        """Return what is equal for as long as nothing has changed."""
        return self._looked()[0]

    def decided(self, choice: ModelChoice) -> ModelChoice:
        """Return what a choice means, with ids of models that are here.

        Parameters
        ----------
        choice : ModelChoice
            Ids with commas between them, ``auto`` among them or not; a file of weights stands for itself.

        Raises
        ------
        NotHere
            One of them would have to be fetched.
        ModelNotFound
            There is no such model.
        """
        from gossamer.weights.catalogue import load_catalogue, model_card

        if choice.model.strip() == "auto":
            choice = self.automatic(choice)
        names = []
        for name in (part.strip() for part in choice.model.split(",")):
            if name == "auto":
                name = self._first(choice)
            card = load_catalogue().get(name)
            if card is None and not any(mark in name for mark in "./\\"):
                card = model_card(name)
            if card is not None and card.id not in self.installed():
                raise NotHere(self.told(card))
            names.append(name)
        return choice.model_copy(update={"model": ",".join(names)})

    def automatic(self, choice: ModelChoice) -> ModelChoice:
        """Return what ``auto`` takes, as :func:`gossamer.load_model` would: a model's id, and int8 where that is best.

        Whoever names no quality is served with what is there.
        """
        from gossamer.segmentation.loading import in_bytes_where_faster

        choice = choice.model_copy(update={"model": "auto"})
        found = in_bytes_where_faster(choice)
        return found if found.model != "auto" else choice.model_copy(update={"model": self._first(choice)})

    def _first(self, choice: ModelChoice) -> str:
        from gossamer.networks.runtimes import likely_device
        from gossamer.weights.choice import ranking

        ranked = ranking(choice.quality, "any", likely_device(choice.device, "auto"))
        installed = self.installed()
        cards = ranked.fitting if choice.quality != "balanced" else (*ranked.fitting, *ranked.costlier)
        here = [card.id for card in cards if card.id in installed]
        if here and (choice.quality == "balanced" or here[0] == ranked.fitting[0].id):
            return here[0]
        return ranked.fitting[0].id

    def told(self, card: ModelCard | FolderCard) -> dict[str, Any]:
        """Return what a client's user should know of a model, ready for JSON."""
        from gossamer.weights import licences
        from gossamer.weights.card import COST
        from gossamer.weights.folder_card import FolderCard
        from gossamer.weights.inventory import usable

        about = {
            "id": card.id,
            "title": card.title,
            "licence": card.licence,
            "licence_url": card.licence_url,
            "commercial": card.commercial,
        }
        if isinstance(card, FolderCard):
            return about | {
                "accepted": True,  # where terms are to be agreed to, that is done on its page
                "bytes": card.bytes,
                "fewest": card.bytes,
                "installed": _is_installed(card),
                "wants_card": True,
            }
        variants = usable(card) or card.weights
        return about | {
            "accepted": licences.is_accepted(card),
            "bytes": max(variant.bytes for variant in variants),
            "fewest": min(variant.bytes for variant in variants),
            "installed": card.id in self.installed(),
            "wants_card": COST[card.cost] > COST["small"],  # what the quality "balanced" does not take without one
        }

    def about(self, model: str) -> dict[str, Any] | None:
        """Return the same of what a mask is from, for the line below the subject; None for none of the catalogue."""
        from gossamer.weights.catalogue import load_catalogue

        card = load_catalogue().get(model)
        return None if card is None else self.told(card)

    def overview(self, device: str) -> dict[str, Any]:
        """Return what is known of all models, and what each quality takes on a device, ready for JSON.

        Those that transformers loads (for words, and the matting by a network) are among them where that is here.
        """
        from gossamer.networks.transformers_loading import has_packages
        from gossamer.settings import ModelChoice
        from gossamer.settings.model_choice import QUALITIES
        from gossamer.weights.catalogue import folder_cards, load_catalogue

        wishes = {quality: ModelChoice.of(quality=quality, device=device) for quality in QUALITIES}
        folders = folder_cards() if has_packages() else ()
        models: list[ModelCard | FolderCard] = [*load_catalogue().values()]
        models += [card for card in folders if card.is_pinned and not card.gated]
        return {
            "models": [self.told(card) for card in models],
            "automatic": {quality: self.automatic(wish).model for quality, wish in wishes.items()},
        }

    def _looked(self) -> tuple[_Stamp, frozenset[str]]:
        from gossamer.weights import store
        from gossamer.weights.catalogue import load_catalogue

        with self._asking:
            stamp = self._stamp()
            if self._found is None or self._found[0] != stamp:
                installed = set()
                for card in load_catalogue().values():
                    try:
                        if store.find(card) is not None:
                            installed.add(card.id)
                    except ModelError:
                        continue
                self._found = stamp, frozenset(installed)
            return self._found

    def _stamp(self) -> _Stamp:
        """Return when each folder was changed that can hold weights: to look at them is a hundredth of the search."""
        if self._places is None:
            from gossamer.weights.catalogue import load_catalogue
            from gossamer.weights.folders import candidates

            files = [
                file for card in load_catalogue().values() for variant in card.weights for file in candidates(variant)
            ]
            # And those above: a new folder (a snapshot of Hugging Face's cache) changes the one that it is put into.
            self._places = tuple(sorted({place for file in files for place in (file.parent, file.parent.parent)}))
        return tuple((str(place), _changed(place)) for place in self._places)


def _is_installed(card: FolderCard) -> bool:
    from gossamer.weights.model_folder import find_installed

    try:
        return find_installed(card, progress=Progress()) is not None
    except ModelError:
        return False


def _changed(place: Path) -> int:
    try:
        return os.stat(place).st_mtime_ns
    except OSError:
        return 0
