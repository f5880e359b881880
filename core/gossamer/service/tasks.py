"""What is asked of the workshop: each a value that can go to another process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gossamer.progress import Progress
from gossamer.service.answers import Answer, answer
from gossamer.service.wish import Wish
from gossamer.service.work import Workshop
from gossamer.settings import Recipe

__all__ = ["Check", "Cut"]


@dataclass(frozen=True)
class Cut:
    """A cut-out.

    Attributes
    ----------
    wish : Wish
    """

    wish: Wish

    def __call__(self, shop: Workshop, steps: Progress) -> Answer:
        """Make it, and encode it as it was asked for."""
        wish = self.wish
        return answer(shop.cut(wish, steps), wish.format, part=wish.part, shadow_layer=wish.shadow_layer)


@dataclass(frozen=True)
class Check:
    """A look at a cut-out that somebody has.

    Attributes
    ----------
    pictures : mapping of str to bytes
        ``image`` and, where they are there, ``photo`` and ``mask``.
    recipe : Recipe
        Whose checks count.
    """

    pictures: Mapping[str, bytes]
    recipe: Recipe

    def __call__(self, shop: Workshop, steps: Progress) -> dict[str, Any]:
        """Look, and return what was seen, ready for JSON."""
        from gossamer.quality import check

        image, photo, mask = (
            shop.read(self.pictures[name], steps) if name in self.pictures else None
            for name in ("image", "photo", "mask")
        )
        assert image is not None  # noqa: S101 - refused before the queue
        return check(image, photo, mask, self.recipe, progress=steps).as_dict()
