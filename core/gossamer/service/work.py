"""What is done for a request, in any thread."""

from __future__ import annotations

import hashlib
import io
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gossamer.arrays import Array
from gossamer.compositing import Backdrop, conversion, read_backdrop
from gossamer.cutout import Cutout, Origin
from gossamer.errors import InputError
from gossamer.image import Image, read_image
from gossamer.image.limits import READABLE, at_most, check_size, kind_of, quiet
from gossamer.matting.preparing import prepare_matting
from gossamer.parallel.patience import patiently
from gossamer.pipeline import NO_MODEL, Pipeline, Runs, finish, profile_of
from gossamer.progress import Progress
from gossamer.prompting.prompt import Prompt
from gossamer.service.allowed import Allowed, refuse_fetching
from gossamer.service.wish import Wish
from gossamer.session import Session
from gossamer.settings import ModelChoice, Recipe
from gossamer.settings.canvas import Canvas
from gossamer.settings.recipe import Foreground, Matting, Refinement
from gossamer.settings.service import Service

__all__ = ["Region", "Workshop"]

_PIPELINES = 4  # choices of a model that are remembered; their networks are warm's
_MASKS, _MASK_BYTES, _MASK_SECONDS = 16, 256_000_000, 600.0  # that are kept for who adjusts settings; each so long
Region = Callable[[int, int], tuple[int, int, int, int]]
"""Of a picture's width and height the part that holds the subject: left, top, right, bottom, in pixels."""


@dataclass
class Workshop:
    """Makes what requests wish for.

    Attributes
    ----------
    allowed : Allowed
    pixels : int
        The most that a picture may have.
    """

    allowed: Allowed
    pixels: int

    def __post_init__(self) -> None:
        """Begin without a pipeline."""
        self._pipelines: OrderedDict[ModelChoice, Pipeline] = OrderedDict()
        self._masks: OrderedDict[Any, tuple[float, np.ndarray[Any, Any], Origin]] = OrderedDict()
        self._lock = threading.Lock()

    @classmethod
    def of(cls, settings: Service) -> Workshop:
        """Return the workshop of a service; raises ModelNotFound where one of its models is not here."""
        return cls(Allowed(settings.models), settings.max_megapixels * 1_000_000)

    def warm_up(self, model: str) -> None:
        """Load the network that most requests want, before the first; raises ModelError."""
        choice = self.allowed.decided(ModelChoice.of(model=model))
        if choice.model != NO_MODEL:
            self._pipeline(choice).load(announce=refuse_fetching)

    def glance(self, *pictures: bytes) -> int:
        """Refuse what is no picture or has too many pixels, by its first bytes: nobody waits in a queue for that.

        Returns
        -------
        int
            How many pixels they have, as far as they say.
        """
        pixels = 0
        for data in pictures:
            if kind_of(data[:64]) is None:
                raise InputError("The picture is not of a kind that Gossamer reads.", READABLE)
            with at_most(self.pixels):
                pixels += _check_header(data)
        return pixels

    def read(self, data: bytes, steps: Progress) -> Image:
        """Read a picture that a stranger sent: its header first, so that a trap costs nothing."""

        def work() -> Image:
            with at_most(self.pixels):
                _check_header(data)
                return read_image(data)

        return patiently(work, steps)

    def cut(
        self,
        wish: Wish,
        steps: Progress,
        *,
        region: Region | None = None,
        prepared: Callable[[Image, Wish], tuple[Image, Wish]] | None = None,
        framed: Callable[[Array, Canvas], Canvas] | None = None,
    ) -> Cutout:
        """Cut the subject out of a wish's picture.

        Parameters
        ----------
        wish : Wish
        steps : Progress
        region : callable, optional
            Where the subject is looked for; nothing else is foreground.
        prepared : callable, optional
            Given the picture and the wish, returns those that take their places.
        framed : callable, optional
            Given the matte and the wish's canvas, returns the one that takes its place.

        Raises
        ------
        GossamerError
            As the pipeline's, the session's and :class:`Allowed`'s.
        """
        self.allowed.check_matting(wish.recipe.matting)
        steps(0.0, "Reading the picture")
        image = self.read(wish.picture, steps)
        if prepared is not None:
            image, wish = patiently(lambda: prepared(image, wish), steps)
        backdrop = self._backdrop(wish, image, steps)
        choice = self.allowed.decided(wish.choice)
        if wish.prompt is not None:
            return self._prompted(wish, image, choice, backdrop, steps)
        return self._automatic(wish, image, choice, backdrop, steps, region, framed)

    def _pipeline(self, choice: ModelChoice) -> Pipeline:
        with self._lock:
            pipeline = self._pipelines.pop(choice, None) or Pipeline(choice=choice)
            self._pipelines[choice] = pipeline
            while len(self._pipelines) > _PIPELINES:
                self._pipelines.popitem(last=False)
            return pipeline

    def _automatic(
        self,
        wish: Wish,
        image: Image,
        choice: ModelChoice,
        backdrop: Backdrop,
        steps: Progress,
        region: Region | None,
        framed: Callable[[Array, Canvas], Canvas] | None = None,
    ) -> Cutout:
        recipe, pipeline = wish.recipe, self._pipeline(choice)
        if choice.model == NO_MODEL and recipe.matting.method != "key":
            return pipeline.run(image, steps, recipe=recipe)  # which says what is missing
        part = image
        if region is not None:
            left, top, right, bottom = region(image.width, image.height)
            pixels = image.pixels[top:bottom, left:right]
            part = read_image(np.ascontiguousarray(pixels))
        key = (wish.keeper, hashlib.sha256(wish.picture).digest(), choice, recipe.segmentation) if wish.keeper else None
        found = self._kept(key)
        if found is None:
            found = pipeline.find(part, recipe, steps.part(0.02, 0.7), announce=refuse_fetching)
            if key is not None and region is None:
                self._keep(key, *found)
        mask, origin = found
        if region is not None:
            whole = np.zeros((image.height, image.width), np.float32)
            whole[top:bottom, left:right] = mask
            mask = whole
        runs = Runs(choice.device, refuse_fetching)
        if framed is not None:
            stages = {name: getattr(recipe, name) for name in ("refinement", "matting")}
            bare = Recipe(**stages, foreground=Foreground(method="none"))
            plain = replace(image, alpha=None)  # which counts once, in the end
            rough = finish(plain, mask, bare, Backdrop(), origin, steps.part(0.7, 0.85), runs)
            canvas = framed(rough.alpha, recipe.canvas)
            # What is done is not done again: the matte is the mask of what is left.
            done = {"refinement": Refinement(), "matting": Matting(method="none"), "canvas": canvas}
            mask, recipe, steps = rough.alpha, recipe.model_copy(update=done), steps.part(0.85, 1.0)
            return finish(image, mask, recipe, backdrop, origin, steps, runs)
        return finish(image, mask, recipe, backdrop, origin, steps.part(0.7, 1.0), runs)

    def _kept(self, key: Any) -> tuple[np.ndarray[Any, Any], Origin] | None:
        """Return the mask that was found for the same picture a moment ago, where it was to be kept."""
        now = time.monotonic()
        with self._lock:
            for each in [each for each, (when, _, _) in self._masks.items() if now - when > _MASK_SECONDS]:
                del self._masks[each]
            found = self._masks.get(key)
            if found is None:
                return None
            self._masks[key] = (now, *found[1:])
            self._masks.move_to_end(key)
        return found[1].copy(), replace(found[2], seconds={})

    def _keep(self, key: Any, mask: np.ndarray[Any, Any], origin: Origin) -> None:
        with self._lock:
            if mask.nbytes <= _MASK_BYTES:
                self._masks[key] = (time.monotonic(), mask.copy(), origin)
            while len(self._masks) > _MASKS or sum(each.nbytes for _, each, _ in self._masks.values()) > _MASK_BYTES:
                self._masks.popitem(last=False)

    def _prompted(self, wish: Wish, image: Image, choice: ModelChoice, backdrop: Backdrop, steps: Progress) -> Cutout:
        prompt = patiently(lambda: self._prompt(wish), steps)
        self.allowed.check_prompt(wish.finding, prompt)
        session = Session(image, finding=wish.finding, choice=choice)
        # The session has no place for a backdrop that is no file: it makes the cut-out, and the backdrop comes then.
        if wish.backdrop is None:
            return session.cutout(prompt, recipe=wish.recipe, progress=steps, announce=refuse_fetching)
        prepare_matting(wish.recipe.matting, progress=steps, device=choice.device, announce=refuse_fetching)
        plain = Recipe.of({"matting": {"method": "none"}, "foreground": {"method": "none"}})
        rough = session.cutout(prompt, recipe=plain, progress=steps.part(0.0, 0.6), announce=refuse_fetching)
        told = rough.report
        origin = Origin(told.model, told.device, dict(told.seconds), told.warnings)
        runs = Runs(choice.device, refuse_fetching)
        return finish(image, rough.alpha, wish.recipe, backdrop, origin, steps.part(0.6, 1.0), runs, prompt.scribbles)

    def _prompt(self, wish: Wish) -> Prompt:
        fields = dict(wish.prompt or {})
        planes: dict[str, Any] = {
            name: fields.pop(name) for name in ("mask", "scribbles") if isinstance(fields.get(name), bytes)
        }
        with at_most(self.pixels):
            for data in planes.values():
                _check_header(data)
            prompt = Prompt.from_json(fields)
            own = {name: getattr(prompt, name) for name in ("text", "boxes", "points", "not_points", "unit")}
            return Prompt(**{**own, "mask": prompt.mask, "scribbles": prompt.scribbles, **planes})

    def _backdrop(self, wish: Wish, image: Image, steps: Progress) -> Backdrop:
        profile = profile_of(image, wish.recipe)
        if wish.backdrop is None:
            return read_backdrop(wish.recipe.background, profile)
        picture = self.read(wish.backdrop, steps)
        return Backdrop(
            picture=picture,
            linear_light=wish.recipe.background.linear_light,
            conversion=conversion(picture.icc_profile, profile),
            warnings=picture.warnings,
        )


def _check_header(data: bytes) -> int:
    """Return how many pixels a picture says that it has, 0 where it does not; refuse too many before it is decoded."""
    import PIL.Image

    try:
        with quiet(), PIL.Image.open(io.BytesIO(data)) as picture:
            width, height = picture.size
    except Exception:  # what is wrong with it is told when it is read
        return 0
    check_size(width, height, "The picture")
    return int(width * height)
