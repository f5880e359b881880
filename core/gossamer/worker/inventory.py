"""Which models are on this machine: asked of the store once, and again when one of the folders has changed."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from gossamer.errors import ModelError

__all__ = ["Inventory"]

_Stamp = tuple[tuple[str, int], ...]


class Inventory:
    """What the store found, for as long as nothing is put into its folders or taken out."""

    def __init__(self) -> None:
        self._asking = threading.Lock()
        self._places: tuple[Path, ...] | None = None
        self._found: tuple[_Stamp, frozenset[str]] | None = None

    def installed(self) -> frozenset[str]:
        """Return the ids of the models whose weights are here; files that are not what they should be do not count."""
        return self._looked()[1]

    def state(self) -> object:
        """Return what is equal for as long as nothing has changed."""
        return self._looked()[0]

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


def _changed(place: Path) -> int:
    try:
        return os.stat(place).st_mtime_ns
    except OSError:
        return 0
