"""Cuts out pictures for the worker's clients, one at a time, keeping models warm."""

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

from gossamer.progress import ProgressCallback
from gossamer.worker.protocol import DTYPES, RemoveRequest, from_unit, to_unit

if TYPE_CHECKING:
    from gossamer.pipeline import Pipeline

__all__ = ["Answer", "Cutter"]

_log = logging.getLogger("gossamer.worker")

_KEPT = 2  # warm models: going back and forth between two stays quick, memory stays bounded
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


class Cutter:
    """Cuts out pictures, one at a time.

    Parameters
    ----------
    device : {"auto", "cpu", "cuda"}
        Where models run when a request does not say.
    """

    def __init__(self, device: str = "auto") -> None:
        self._device = device
        self._turn = threading.Lock()
        self._pipelines: OrderedDict[tuple[str, str], Pipeline] = OrderedDict()

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
        from gossamer.settings.parameters import recipe_from_flat

        # The client composites; colours that nobody asked for are not worth their time.
        unused = {"background": "transparent"} | ({} if request.foreground else {"foreground": "none"})
        recipe = recipe_from_flat(unused, recipe_from_flat(request.options))
        pixels = data.view(DTYPES[request.dtype]).reshape(request.height, request.width, request.channels)
        keep = request.existing_alpha == "keep"
        with self._my_turn(progress):
            given = pixels[..., :3] if keep else pixels
            # Whole numbers stay what they are: bytes take a quarter of the memory. Floats are a host's own.
            picture = to_unit(given) if request.dtype == "float32" else given
            pipeline = self._pipeline(request.model, request.device or self._device)
            missing = _missing_models()
            cutout = pipeline.run(picture, progress, recipe=recipe, announce=_log.info)
            report = {**cutout.report.as_dict(), "fetched": missing.get(cutout.report.model)}
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

    def _pipeline(self, model: str, device: str) -> Pipeline:
        from gossamer.pipeline import Pipeline

        key = (model, device)
        if key not in self._pipelines:
            while len(self._pipelines) >= _KEPT:
                self._pipelines.popitem(last=False)
            self._pipelines[key] = Pipeline(
                model=model,
                device=device,
            )
        self._pipelines.move_to_end(key)
        return self._pipelines[key]


def _missing_models() -> dict[str, dict[str, Any]]:
    """Return what the user should be told of each model, by id, that would have to be fetched."""
    from gossamer.weights import store
    from gossamer.weights.catalogue import load_catalogue
    from gossamer.weights.inventory import usable

    return {
        card.id: {"title": card.title, "licence": card.licence, "bytes": (usable(card) or card.weights)[0].bytes}
        for card in load_catalogue().values()
        if store.look(card)[0] is None
    }
