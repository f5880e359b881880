"""Finds subjects and their mattes for the worker's clients, one at a time."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gossamer.clock import Clock
from gossamer.errors import InputError
from gossamer.progress import Progress, ProgressCallback
from gossamer.worker.brushing import brushed, solve_again
from gossamer.worker.finishing import Answer, Colours, as_dtype, exact_answer, shop_picture
from gossamer.worker.inventory import Inventory
from gossamer.worker.pictures import Found, OpenedPicture
from gossamer.worker.requests import (
    BrushRequest,
    ClipRequest,
    FetchRequest,
    FinishRequest,
    RefineRequest,
    SegmentRequest,
)

if TYPE_CHECKING:
    from gossamer.pipeline import Pipeline
    from gossamer.settings import ModelChoice, Recipe
    from gossamer.weights.catalogue import ModelCard
    from gossamer.weights.folder_card import FolderCard
    from gossamer.worker.clips import OpenedClip

__all__ = ["Cutter"]

_log = logging.getLogger("gossamer.worker")

_KEPT = 16  # choices that are remembered; what they load belongs to gossamer.warm
_WAIT = 0.1  # seconds between chances to cancel while another picture is worked on
_READING = (
    "Choose another subject, or install the packages torch and transformers in Gossamer's Python, and fetch "
    "Grounding DINO tiny and SAM 2.1 tiny in Filters > Gossamer > Set-up…"
)


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
        self._pipelines: OrderedDict[ModelChoice, Pipeline] = OrderedDict()

    @property
    def busy(self) -> bool:
        """Whether a picture is being worked on."""
        return self._turn.locked()

    def segment(
        self, picture: OpenedPicture, request: SegmentRequest, plane: NDArray[np.uint8], progress: ProgressCallback
    ) -> Found:
        """Find the subject of a picture, which keeps its mask.

        Parameters
        ----------
        picture : OpenedPicture
        request : SegmentRequest
        plane : (N,) uint8
            The request's payload.
        progress : callable
            ``progress(fraction, message)``; called also while waiting for others; what it raises stops the work.

        Raises
        ------
        NotHere
            The model, or the matting's network, would have to be fetched.
        InputError
            A setting is unknown or impossible, or nothing was found.
        ModelError
            The model cannot be run.
        """
        from gossamer.matting.preparing import prepare_matting
        from gossamer.settings.parameters import recipe_from_flat

        recipe = recipe_from_flat(request.options)
        device = request.device or self.device
        with self._my_turn(progress):
            choice: ModelChoice | None = None
            self._inventory.check_matting(recipe.matting)
            if request.source == "automatic":
                choice = self._decided(request, device)
            settings = (recipe.segmentation, recipe.matting if request.source == "trimap" else None)
            wish = (request.source, request.box, request.text, choice, request.quality, device, settings, bytes(plane))
            if wish == picture.wish and picture.found is not None:
                return picture.found
            steps = Progress.of(progress)
            prepare_matting(recipe.matting, progress=steps, device=device, announce=_log.info)
            if choice is not None:
                found = self._seen(picture, choice, recipe, steps)
                if request.limit:
                    mask = np.minimum(found.mask, picture.plane(plane))
                    found = Found(mask, found.model, found.device, found.seconds, found.warnings)
            elif request.source == "mask":
                found = Found(picture.plane(plane))
            elif request.source == "trimap":
                found = self._solved(picture, picture.plane(plane), device, recipe, steps)
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
        NotHere
            The matting's network would have to be fetched.
        InputError
            A setting is unknown or impossible, the region lies outside, or there is no mask yet.
        """
        from gossamer.settings.parameters import recipe_from_flat

        # The client composites; colours that nobody asked for are not worth their time.
        unused = {"background": "transparent"} | ({} if request.foreground else {"foreground": "none"})
        # The answer takes the place of the client's layer.
        recipe = recipe_from_flat(unused, recipe_from_flat(request.options)).unfinished()
        picture.sought()
        self._inventory.check_matting(recipe.matting)
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
            return exact_answer(picture, recipe, request, part, dtype, self.device, steps)

    def brush(
        self, picture: OpenedPicture, request: BrushRequest, plane: NDArray[np.uint8], progress: ProgressCallback
    ) -> None:
        """Solve the matte again below a stroke, for all answers to come.

        Parameters
        ----------
        picture : OpenedPicture
        request : BrushRequest
        plane : (N,) uint8
            The request's payload.
        progress : callable
            As for :meth:`segment`.

        Raises
        ------
        InputError
            The region lies outside, there is no mask yet, or nothing near the stroke tells what belongs to the subject.
        """
        if request.region is None:
            picture.patches = []
            return
        found = picture.sought()
        left, top, width, height = request.region
        if left + width > picture.shape[1] or top + height > picture.shape[0]:
            raise InputError("The region lies outside of the picture.", "Give one within it.")
        stroke = np.frombuffer(plane, np.uint8).reshape(height, width)
        if not stroke.any():
            return
        with self._my_turn(progress):
            mattes = list(picture.kept.get("matte", {}).values())
            base = mattes[-1].alpha if mattes else found.mask  # what was seen when the brush went there
            if picture.patches:
                size, whole = base.shape[::-1], picture.shape[::-1]
                base = brushed(base, [patch.scaled(size, whole) for patch in picture.patches])
            patch = solve_again(picture.image.pixels, base, stroke, left, top, Progress.of(progress))
        if patch is None:
            raise InputError(
                "The stroke could not be solved: the mask has no sure subject and background.",
                "Choose another subject first.",
            )
        picture.patches.append(patch)

    def finish(
        self, picture: OpenedPicture, request: FinishRequest, progress: ProgressCallback
    ) -> tuple[Colours, dict[str, Any]]:
        """Return the finished picture of a preset, in the picture's dtype, and the report.

        Raises
        ------
        NotHere
            The matting's network would have to be fetched.
        InputError
            There is no such preset, a setting is unknown or impossible, or there is no mask yet.
        """
        from gossamer.canvas.presets import preset
        from gossamer.settings.parameters import recipe_from_flat

        recipe = preset(request.preset).recipe(recipe_from_flat(request.options))
        self._inventory.check_matting(recipe.matting)
        with self._my_turn(progress):
            return shop_picture(picture, recipe, self.device, Progress.of(progress))

    def clip(self, request: ClipRequest, progress: ProgressCallback) -> OpenedClip:
        """Begin to cut out frames.

        Raises
        ------
        NotHere
            The model, or the matting's network, would have to be fetched.
        InputError
            A setting is unknown or impossible.
        ModelError
            The model cannot be loaded.
        """
        from gossamer.settings.parameters import recipe_from_flat
        from gossamer.worker.clips import OpenedClip

        self._inventory.check_matting(recipe_from_flat(request.options).matting)
        device = request.device or self.device
        with self._my_turn(progress):
            return OpenedClip(request, self._decided(request, device), progress)

    def frames(
        self, clip: OpenedClip, data: NDArray[np.uint8] | None, progress: ProgressCallback
    ) -> list[NDArray[Any]]:
        """Return the frames that are cut out after the next one, `data`, or after the last.

        Raises
        ------
        GossamerError
            As :meth:`gossamer.video.FrameCutter.add`.
        """
        with self._my_turn(progress):
            return list(clip.rest(progress) if data is None else clip.add(data, progress))

    def fetch(self, request: FetchRequest, progress: ProgressCallback) -> ModelCard | FolderCard:
        """Fetch a model that the client's user wants to have.

        Raises
        ------
        ModelError
            There is no such model, or it cannot be had.
        OutputError
            The disk is full or cannot be written to.
        """
        from gossamer.weights import store
        from gossamer.weights.catalogue import any_card
        from gossamer.weights.folder_card import FolderCard
        from gossamer.weights.model_folder import find_folder

        card = any_card(request.model)
        if isinstance(card, FolderCard):
            find_folder(card, progress=Progress.of(progress), announce=_log.info)
        else:
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

    def _decided(self, request: SegmentRequest | ClipRequest, device: str) -> ModelChoice:
        from gossamer.settings import ModelChoice

        return self._inventory.decided(ModelChoice.of(model=request.model, quality=request.quality, device=device))

    def _seen(self, picture: OpenedPicture, choice: ModelChoice, recipe: Recipe, steps: Progress) -> Found:
        """Return what a model sees by itself, as :meth:`gossamer.Pipeline.run` asks it."""
        from gossamer.pipeline import Pipeline
        from gossamer.segmentation.ensemble import Ensemble

        clock = Clock()
        with clock("load"):
            if choice not in self._pipelines:
                pipeline = Pipeline(choice=choice)
                pipeline.load(steps.part(0.0, 0.3), _log.info)
                self._pipelines[choice] = pipeline  # only one whose model could be loaded
            self._pipelines.move_to_end(choice)
            while len(self._pipelines) > _KEPT:
                self._pipelines.popitem(last=False)
            loaded = self._pipelines[choice].load().at(recipe.segmentation.resolution)
        settings = recipe.segmentation
        look = {"flips": settings.flips, "detail": settings.looks_closer(choice.quality == "best")}
        part = steps.part(0.3, 1.0)
        with clock("segment"):
            if isinstance(loaded, Ensemble):
                mask = loaded.predict_all(picture.image.pixels, part, **look, clock=clock).mask
            else:
                mask = loaded.predict(picture.image.pixels, part, **look, clock=clock)
        return Found(mask, loaded.id, loaded.device, clock.seconds, tuple(loaded.warnings))

    def _pointed_at(
        self, picture: OpenedPicture, request: SegmentRequest, plane: NDArray[np.uint8], device: str, steps: Progress
    ) -> Found:
        """Return what a box, scribbles or words mean."""
        from gossamer.prompting.combining import union
        from gossamer.prompting.prompt import Prompt
        from gossamer.session import Session

        hints = None
        if request.source == "box":
            prompt = Prompt(boxes=(request.box,) if request.box else ())
        elif request.source == "text":
            if not self._inventory.reads_text():
                raise InputError("No model that reads text is installed.", _READING)
            prompt = Prompt(text=tuple(part.strip() for part in request.text.split(",") if part.strip()))
        else:
            hints = picture.plane(plane)
            if not (hints >= 0.9).any():
                raise InputError("Nothing is marked as the subject.", "Paint over a part of it in white.")
            prompt = Prompt(scribbles=hints)
        if picture.session is None or picture.session.choice.device != device:
            picture.session = Session(picture.image, device=device)
        # It stays: a further mark costs only what depends on it.
        found = picture.session.subjects(prompt, progress=steps, announce=_log.info)
        mask = union([subject.mask for subject in found.subjects])
        return Found(mask, found.model, found.device, found.seconds, found.warnings, hints)

    def _solved(
        self, picture: OpenedPicture, trimap: NDArray[np.float32], device: str, recipe: Recipe, steps: Progress
    ) -> Found:
        """Return the matte of a trimap, by the matting of the settings where that takes one."""
        from gossamer.matting.from_trimap import TRIMAP_METHODS, trimap_alpha

        wanted = recipe.matting.method
        method = wanted if wanted in TRIMAP_METHODS else "closed_form"
        warnings: list[str] = []
        clock = time.perf_counter()
        mask = trimap_alpha(
            picture.image.pixels,
            trimap,
            method,
            model=recipe.matting.model,
            device=device,
            progress=steps,
            warn=warnings.append,
            announce=_log.info,
        )
        seconds = {"matting": round(time.perf_counter() - clock, 4)}
        return Found(mask, seconds=seconds, warnings=tuple(warnings), solved=True)

    def _preview(
        self,
        picture: OpenedPicture,
        recipe: Recipe,
        request: RefineRequest,
        part: tuple[slice, slice],
        dtype: str,
        steps: Progress,
    ) -> Answer:
        import cv2

        from gossamer.worker.previewing import changed, preview

        made = preview(picture, recipe, request.scale, colours=request.foreground, draft=request.draft, steps=steps)
        alpha = np.ascontiguousarray(as_dtype(made.alpha[part], dtype))
        colours = None if made.colours is None else Colours(as_dtype(made.colours[part], dtype), dtype)
        report = {"coverage": cv2.mean(made.alpha)[0] / 255, "warnings": list(made.warnings)}
        boxes = None
        if request.changes:
            boxes = None if picture.shown is None else changed(picture.shown, made.alpha)
            picture.shown = made.alpha
        return Answer(part[1].start, part[0].start, alpha, colours, report, boxes=boxes)
