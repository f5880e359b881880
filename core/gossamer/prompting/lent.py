"""A prompted model whose networks belong to :data:`gossamer.warm.warm`: borrowed for each embedding and prediction."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import partial
from typing import Any, Protocol

from numpy.typing import ArrayLike

from gossamer.progress import Progress, ProgressCallback
from gossamer.prompting.prompt import Prompt
from gossamer.prompting.protocol import Embedding, PromptedModel, Subjects
from gossamer.warm import Loadable, warm

__all__ = ["LentModel", "Loaded"]


class Loaded(PromptedModel, Protocol):
    """A prompted model that holds networks itself."""

    @property
    def modules(self) -> tuple[Any, ...]:
        """Their torch modules."""
        ...

    @property
    def bytes(self) -> int:
        """About how much memory they hold."""
        ...

    def unload(self) -> None:
        """Free it; the model cannot be used any more."""
        ...


class LentModel:
    """A prompted model of which only the name is kept.

    Parameters
    ----------
    key : hashable
        What tells its networks from others.
    load : callable
        ``load(announce, progress)`` loads it: here, for the first time, and after it was unloaded.
    announce : callable, optional
        Told here what is fetched.
    progress : Progress
        Called here.

    Attributes
    ----------
    id, device : str
    box_threshold : float
    warnings : tuple of str
    """

    def __init__(
        self,
        key: Hashable,
        load: Callable[[Callable[[str], object] | None, Progress], Loaded],
        announce: Callable[[str], object] | None,
        progress: Progress,
    ) -> None:
        self._wanted: Loadable[Loaded] = Loadable(key, partial(load, None))
        with warm.lent(Loadable(key, partial(load, announce)), progress) as model:
            self.id, self.device, self.box_threshold = model.id, model.device, model.box_threshold
            self.warnings = tuple(model.warnings)

    def embed(self, image: ArrayLike, progress: ProgressCallback | Progress | None = None) -> Embedding:
        """Do as :meth:`PromptedModel.embed` does."""
        steps = Progress.of(progress)
        with warm.lent(self._wanted, steps) as model:
            return model.embed(image, steps)

    def predict(
        self,
        embedding: Embedding,
        prompt: Prompt,
        *,
        progress: ProgressCallback | Progress | None = None,
        **settings: Any,
    ) -> Subjects:
        """Do as :meth:`PromptedModel.predict` does."""
        steps = Progress.of(progress)
        with warm.lent(self._wanted, steps) as model:
            return model.predict(embedding, prompt, progress=steps, **settings)

    def unload(self) -> None:
        """Free what its networks take, once nobody uses them; the next picture loads them again."""
        warm.unload(self._wanted.key)
