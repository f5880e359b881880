"""Cuts out pictures for the worker's clients, one at a time."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gossamer.progress import Progress, ProgressCallback
from gossamer.worker.inventory import Inventory
from gossamer.worker.protocol import DTYPES, RemoveRequest, from_unit, to_unit

if TYPE_CHECKING:
    from gossamer.pipeline import Pipeline
    from gossamer.segmentation.ensemble import Ensemble
    from gossamer.segmentation.model import SegmentationModel

__all__ = ["Answer", "Cutter"]

_log = logging.getLogger("gossamer.worker")

_KEPT = 16  # choices that are remembered; what they load belongs to gossamer.warm
_WAIT = 0.1  # seconds between chances to cancel while another picture is worked on


@dataclass(frozen=True)
class Answer:
    """What a client asked for.

    Attributes
    ----------
    alpha : (H, W) array
        In the request's dtype.
    foreground : (H, W, C) array or None
        In the request's dtype.
    report : dict
        What was done, see :class:`gossamer.Report`; and ``fetched``, what the weights are where they were
        fetched for this picture: ``title``, ``licence`` and ``bytes``, else None.
    """

    alpha: NDArray[Any]
    foreground: NDArray[Any] | None
    report: dict[str, Any]


@dataclass
class _Chosen:
    """A pipeline whose model was found, and what was on this machine when that was chosen."""

    pipeline: Pipeline
    state: object


class Cutter:
    """Cuts out pictures, one at a time.

    Parameters
    ----------
    inventory : Inventory
        Which models are here.
    device : {"auto", "cpu", "cuda"}
        Where models run when a request does not say.
    """

    def __init__(self, inventory: Inventory, device: str = "auto") -> None:
        self._inventory = inventory
        self._device = device
        self._turn = threading.Lock()
        self._chosen: OrderedDict[tuple[str, str], _Chosen] = OrderedDict()

    @property
    def busy(self) -> bool:
        """Whether a picture is being worked on."""
        return self._turn.locked()

    def run(self, request: RemoveRequest, data: NDArray[np.uint8], progress: ProgressCallback) -> Answer:
        """Cut one picture out.

        Parameters
        ----------
        request : RemoveRequest
            What to do.
        data : (request.payload,) uint8
            The picture's bytes.
        progress : callable
            ``progress(fraction, message)``; called also while waiting for others; what it raises stops
            the work.

        Raises
        ------
        InputError
            A setting is unknown or impossible, or the picture cannot be used.
        ModelError
            The model cannot be had or run.
        """
        from gossamer.image import read_image
        from gossamer.settings.parameters import recipe_from_flat

        # The client composites; colours that nobody asked for are not worth their time.
        unused = {"background": "transparent"} | ({} if request.foreground else {"foreground": "none"})
        # The answer takes the place of the client's layer.
        recipe = recipe_from_flat(unused, recipe_from_flat(request.options)).unfinished()
        pixels = data.view(DTYPES[request.dtype]).reshape(request.height, request.width, request.channels)
        keep = request.existing_alpha == "keep"
        given = pixels[..., :3] if keep else pixels
        with self._my_turn(progress):
            # All that can be wrong with the wish is found out before a model that is loaded makes way for another.
            # Whole numbers stay what they are: bytes take a quarter of the memory. Floats are a host's own.
            picture = read_image(to_unit(given) if request.dtype == "float32" else given)
            steps = Progress.of(progress)
            pipeline, fetched = self._pipeline(request.model, request.device or self._device, steps.part(0.0, 0.3))
            cutout = pipeline.run(picture, steps.part(0.3, 1.0), recipe=recipe, announce=_log.info)
        report = {**cutout.report.as_dict(), "fetched": fetched}
        foreground = None
        if request.foreground:
            colours = cutout.pixels if cutout.pixels.dtype == DTYPES[request.dtype] else cutout.foreground
            if request.dtype == "float32":
                # What lay outside [0, 1] (highlights, wide gamut) was cut off for the models only.
                colours = colours + (pixels[..., :3] - np.clip(pixels[..., :3], 0, 1))
            foreground = colours if colours.dtype == np.uint8 else from_unit(colours, request.dtype)
            if keep and request.channels == 4:
                foreground = np.dstack([foreground, pixels[..., 3]])
        return Answer(from_unit(cutout.alpha, request.dtype), foreground, report)

    @contextmanager
    def _my_turn(self, progress: ProgressCallback) -> Iterator[None]:
        while not self._turn.acquire(timeout=_WAIT):
            progress(0.0, "Waiting for another picture")
        try:
            yield
        finally:
            self._turn.release()

    def _pipeline(self, model: str, device: str, steps: Progress) -> tuple[Pipeline, dict[str, Any] | None]:
        """Return a pipeline whose model is loaded, and what had to be fetched for it."""
        from gossamer.pipeline import Pipeline

        key = (model, device)
        state, before = self._inventory.state(), self._inventory.installed()
        chosen = self._chosen.get(key)
        if chosen is None or (chosen.state != state and "auto" in model.split(",")):
            pipeline = Pipeline(model=model, device=device)
            ids = _ids(pipeline.load(steps, _log.info))
        else:
            self._chosen.move_to_end(key)
            return chosen.pipeline, None
        fetched = next((_told(name) for name in ids if name not in before), None)
        self._chosen[key] = _Chosen(pipeline, self._inventory.state() if fetched else state)
        self._chosen.move_to_end(key)
        while len(self._chosen) > _KEPT:
            self._chosen.popitem(last=False)
        return pipeline, fetched


def _ids(model: SegmentationModel | Ensemble) -> tuple[str, ...]:
    return tuple(one.id for one in getattr(model, "models", (model,)))


def _told(name: str) -> dict[str, Any] | None:
    """Return what the user should know of a model that was fetched; None for a file of the user's."""
    from gossamer.weights.catalogue import load_catalogue
    from gossamer.weights.inventory import usable

    card = load_catalogue().get(name)
    if card is None:
        return None
    return {"title": card.title, "licence": card.licence, "bytes": (usable(card) or card.weights)[0].bytes}
