"""Finds subjects and their mattes for the worker's clients, one at a time."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gossamer.errors import InputError
from gossamer.progress import Progress, ProgressCallback
from gossamer.worker.inventory import Inventory
from gossamer.worker.pictures import DTYPES, Found, OpenedPicture, from_unit
from gossamer.worker.requests import FetchRequest, RefineRequest, SegmentRequest

if TYPE_CHECKING:
    from gossamer.image import Image
    from gossamer.pipeline import Pipeline
    from gossamer.settings import Recipe
    from gossamer.weights.catalogue import ModelCard

__all__ = ["Answer", "Cutter"]

_log = logging.getLogger("gossamer.worker")

_KEPT = 16  # choices that are remembered; what they load belongs to gossamer.warm
_WAIT = 0.1  # seconds between chances to cancel while another picture is worked on
_MARGIN = 64  # pixels around a region that its edge may depend on


@dataclass(frozen=True)
class Answer:
    """What a client asked for.

    Attributes
    ----------
    left, top : int
        Where it lies in the picture.
    alpha : (H, W) array
        In the dtype that was asked for.
    foreground : (H, W, C) array or None
        In the same dtype.
    report : dict
        What was done, see :class:`gossamer.Report`.
    """

    left: int
    top: int
    alpha: NDArray[Any]
    foreground: NDArray[Any] | None
    report: dict[str, Any]


class Cutter:
    """Works on opened pictures, one at a time.

    Parameters
    ----------
    inventory : Inventory
        Which models are here.
    device : {"auto", "cpu", "cuda"}
        Where models run when a request does not say.

    Attributes
    ----------
    device : str
    """

    def __init__(self, inventory: Inventory, device: str = "auto") -> None:
        self._inventory = inventory
        self.device = device
        self._turn = threading.Lock()
        self._pipelines: OrderedDict[tuple[str, str, str], Pipeline] = OrderedDict()

    @property
    def busy(self) -> bool:
        """Whether a picture is being worked on."""
        return self._turn.locked()

    def segment(
        self, picture: OpenedPicture, request: SegmentRequest, plane: bytearray, progress: ProgressCallback
    ) -> Found:
        """Find the subject of a picture, which keeps its mask.

        Parameters
        ----------
        picture : OpenedPicture
        request : SegmentRequest
        plane : bytearray
            The request's payload.
        progress : callable
            ``progress(fraction, message)``; called also while waiting for others; what it raises stops the work.

        Raises
        ------
        NotHere
            The model would have to be fetched.
        InputError
            A setting is unknown or impossible, or nothing was found.
        ModelError
            The model cannot be run.
        """
        from gossamer.settings.parameters import recipe_from_flat

        recipe = recipe_from_flat(request.options)
        device = request.device or self.device
        with self._my_turn(progress):
            models: tuple[str, ...] = ()
            if request.source == "automatic":
                models = self._inventory.models_for(request.model, request.quality, device)
            wish = (request.source, request.box, models, request.quality, device, recipe.segmentation, bytes(plane))
            if wish == picture.wish and picture.found is not None:
                return picture.found
            steps = Progress.of(progress)
            if request.source == "automatic":
                found = self._seen(picture, ",".join(models), request.quality, device, recipe, steps)
                if request.limit:
                    mask = np.minimum(found.mask, picture.plane(plane))
                    found = Found(mask, found.model, found.device, found.seconds, found.warnings)
            elif request.source == "mask":
                found = Found(picture.plane(plane))
            else:
                found = self._pointed_at(picture, request, plane, device, steps)
            picture.see(wish, found)
        return found

    def refine(self, picture: OpenedPicture, request: RefineRequest, progress: ProgressCallback) -> Answer:
        """Make the matte, and the subject's colours, of a picture that has a mask.

        Parameters
        ----------
        picture : OpenedPicture
        request : RefineRequest
        progress : callable
            As for :meth:`segment`.

        Raises
        ------
        InputError
            A setting is unknown or impossible, the region lies outside, or there is no mask yet.
        """
        from gossamer.settings.parameters import recipe_from_flat

        # The client composites; colours that nobody asked for are not worth their time.
        unused = {"background": "transparent"} | ({} if request.foreground else {"foreground": "none"})
        # The answer takes the place of the client's layer.
        recipe = recipe_from_flat(unused, recipe_from_flat(request.options)).unfinished()
        picture.sought()
        height, width = picture.shape
        left, top, wide, high = request.region or (0, 0, width, height)
        if wide < 1 or high < 1 or left < 0 or top < 0 or left + wide > width or top + high > height:
            raise InputError("The region lies outside of the picture.", "Give one within it.")
        part = (slice(top, top + high), slice(left, left + wide))
        dtype = request.dtype or picture.request.dtype
        with self._my_turn(progress):
            steps = Progress.of(progress)
            if request.scale < 1:
                return self._preview(picture, recipe, request, part, dtype, steps)
            return self._exact(picture, recipe, request, part, dtype, steps)

    def fetch(self, request: FetchRequest, progress: ProgressCallback) -> ModelCard:
        """Fetch a model that the client's user wants to have.

        Raises
        ------
        ModelError
            There is no such model, or it cannot be had.
        OutputError
            The disk is full or cannot be written to.
        """
        from gossamer.weights import store
        from gossamer.weights.catalogue import model_card

        card = model_card(request.model)
        store.fetch(card, progress=progress, announce=_log.info, accept_licence=request.accept_licence)
        return card

    @contextmanager
    def _my_turn(self, progress: ProgressCallback) -> Iterator[None]:
        while not self._turn.acquire(timeout=_WAIT):
            progress(0.0, "Waiting for another picture")
        try:
            yield
        finally:
            self._turn.release()

    def _seen(
        self, picture: OpenedPicture, model: str, quality: str, device: str, recipe: Recipe, steps: Progress
    ) -> Found:
        """Return what a model sees by itself, as :meth:`gossamer.Pipeline.run` asks it."""
        from gossamer.pipeline import Pipeline
        from gossamer.segmentation.ensemble import Ensemble

        clock = time.perf_counter()
        key = (model, quality, device)
        if key not in self._pipelines:
            pipeline = Pipeline(model=model, quality=quality, device=device)
            pipeline.load(steps.part(0.0, 0.3), _log.info)
            self._pipelines[key] = pipeline  # only one whose model could be loaded
        self._pipelines.move_to_end(key)
        while len(self._pipelines) > _KEPT:
            self._pipelines.popitem(last=False)
        loaded = self._pipelines[key].load()
        seconds = {"load": -clock + (clock := time.perf_counter())}
        settings = recipe.segmentation
        look = {"flips": settings.flips, "detail": settings.looks_closer(quality == "best")}
        part = steps.part(0.3, 1.0)
        if isinstance(loaded, Ensemble):
            mask = loaded.predict_all(picture.image.pixels, part, **look).mask
        else:
            mask = loaded.predict(picture.image.pixels, part, **look)
        seconds["segment"] = time.perf_counter() - clock
        rounded = {name: round(value, 4) for name, value in seconds.items()}
        return Found(mask, loaded.id, loaded.device, rounded, tuple(loaded.warnings))

    def _pointed_at(
        self, picture: OpenedPicture, request: SegmentRequest, plane: bytearray, device: str, steps: Progress
    ) -> Found:
        """Return what a box or scribbles mean."""
        from gossamer.prompting.combining import union
        from gossamer.prompting.prompt import Prompt
        from gossamer.session import Session

        hints = None
        if request.source == "box":
            prompt = Prompt(boxes=(request.box,) if request.box else ())
        else:
            hints = picture.plane(plane)
            if not (hints >= 0.9).any():
                raise InputError("Nothing is marked as the subject.", "Paint over a part of it in white.")
            prompt = Prompt(scribbles=hints)
        session = Session(picture.image, device=device)
        try:
            found = session.subjects(prompt, progress=steps, announce=_log.info)
        finally:
            session.unload()
        mask = union([subject.mask for subject in found.subjects])
        return Found(mask, found.model, found.device, found.seconds, found.warnings, hints)

    def _preview(
        self,
        picture: OpenedPicture,
        recipe: Recipe,
        request: RefineRequest,
        part: tuple[slice, slice],
        dtype: str,
        steps: Progress,
    ) -> Answer:
        from gossamer.worker.previewing import preview

        made = preview(picture, recipe, request.scale, colours=request.foreground, draft=request.draft, steps=steps)
        alpha = np.ascontiguousarray(_as(made.alpha[part], dtype))
        colours = None if made.colours is None else np.ascontiguousarray(_as(made.colours[part], dtype))
        report = {"coverage": float(made.alpha.mean()) / 255, "warnings": list(made.warnings)}
        return Answer(part[1].start, part[0].start, alpha, colours, report)

    def _exact(
        self,
        picture: OpenedPicture,
        recipe: Recipe,
        request: RefineRequest,
        part: tuple[slice, slice],
        dtype: str,
        steps: Progress,
    ) -> Answer:
        """Finish the mask as :func:`gossamer.refine` does, or the part of it that is wanted."""
        from gossamer.compositing import read_backdrop
        from gossamer.cutout import Origin
        from gossamer.pipeline import Runs, finish

        found, image, beyond = picture.sought(), picture.image, picture.beyond
        mask, hints, own = found.mask, found.hints, picture.own_alpha
        inner = (slice(None), slice(None))
        if request.region is not None:
            around, inner = _around(part, picture.shape)
            image, mask = _cropped(image, around), mask[around].copy()
            hints = None if hints is None else hints[around]
        origin = Origin(found.model, found.device, found.seconds, found.warnings)
        runs = Runs(self.device, _log.info)
        cutout = finish(image, mask, recipe, read_backdrop(recipe.background), origin, steps, runs, hints)
        foreground = None
        if request.foreground:
            colours = cutout.pixels if cutout.pixels.dtype == DTYPES[dtype] else cutout.foreground
            colours = colours[inner]
            if beyond is not None and dtype == "float32":
                colours = colours + beyond[part]
            foreground = colours if colours.dtype == np.uint8 else from_unit(colours, dtype)
            if own is not None:
                foreground = np.dstack([foreground, _as(own[part], dtype)])
            foreground = np.ascontiguousarray(foreground)
        alpha = np.ascontiguousarray(from_unit(cutout.alpha[inner], dtype))
        return Answer(part[1].start, part[0].start, alpha, foreground, cutout.report.as_dict())


def _around(part: tuple[slice, slice], shape: tuple[int, int]) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Return a region with what its edge depends on, and where the region lies in that."""
    wide = [
        slice(max(0, one.start - _MARGIN), min(size, one.stop + _MARGIN)) for one, size in zip(part, shape, strict=True)
    ]
    inner = [slice(one.start - more.start, one.stop - more.start) for one, more in zip(part, wide, strict=True)]
    return (wide[0], wide[1]), (inner[0], inner[1])


def _cropped(image: Image, part: tuple[slice, slice]) -> Image:
    alpha = None if image.alpha is None else np.ascontiguousarray(image.alpha[part])
    return replace(image, pixels=np.ascontiguousarray(image.pixels[part]), alpha=alpha)


def _as(numbers: NDArray[Any], dtype: str) -> NDArray[Any]:
    """Return numbers in the dtype of the answer."""
    if numbers.dtype == DTYPES[dtype]:
        return numbers
    most = 1.0 if numbers.dtype == np.float32 else float(np.iinfo(numbers.dtype).max)
    return from_unit(numbers.astype(np.float32) / np.float32(most), dtype)
