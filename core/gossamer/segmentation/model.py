"""A loaded segmentation model: pictures in, masks out, as its authors' own code gives them."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gossamer.arrays import Array, as_rgb
from gossamer.clock import Clock
from gossamer.errors import InputError
from gossamer.networks.network import Network, Sizes
from gossamer.networks.pictures import Further, Plane, Reading, TakesPictures, takes_pictures, unpacked
from gossamer.networks.together import are_of_one_size, run_together
from gossamer.progress import Progress, ProgressCallback
from gossamer.resampling import Pixels
from gossamer.segmentation.detail import add_detail
from gossamer.segmentation.postprocessing import postprocess
from gossamer.segmentation.preprocessing import at_resolution, network_size, preprocess
from gossamer.segmentation.tensors import fed, feeds, read_masks
from gossamer.warm import Loadable, warm
from gossamer.weights.catalogue import InputSpec, OutputSpec

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["SegmentationModel"]


class SegmentationModel:
    """A loaded model that finds the subject of a picture.

    Parameters
    ----------
    model : str
        Its id.
    network : Loadable or Network
        What runs it: borrowed from :data:`gossamer.warm.warm` for each run, or the caller's own.
    spec : tuple of InputSpec and OutputSpec
        How its authors feed and read it.
    warnings : tuple of str
        What its user should know, besides the network's own.
    progress : Progress, optional
        Called while the network is loaded for the first time, which happens here.

    Attributes
    ----------
    id : str
        The catalogue id, or the stem of the file's name.
    device : str
        Where it really runs, such as ``"cpu"`` or ``"cuda"``.
    engine : str
        What runs it, and in which precision, such as ``"torch bfloat16"``.
    takes_pictures : bool
        Whether pictures are brought to where it runs, and masks made there.
    resolution : int
        Side in pixels at which it sees pictures; 0: as its authors chose.
    """

    resolution = 0

    def __init__(
        self,
        model: str,
        network: Loadable[Network] | Network,
        spec: tuple[InputSpec, OutputSpec],
        warnings: tuple[str, ...] = (),
        *,
        progress: Progress | None = None,
    ) -> None:
        self.id = model
        self._network = network
        self._authors, self._output = spec
        self._input = self._authors
        self._warnings = warnings
        with self._lent(progress) as lent:
            self._sizes = lent.sizes

    @property
    def warnings(self) -> tuple[str, ...]:
        """What its user should know."""
        return (*self._warnings, *self._of_network)

    def predict(
        self,
        image: ArrayLike,
        progress: ProgressCallback | Progress | None = None,
        *,
        flips: bool = False,
        detail: bool = False,
        clock: Clock | None = None,
    ) -> Array:
        """Return the mask of one picture.

        Parameters
        ----------
        image : (H, W, 3) array
            RGB, uint8, uint16 or float in [0, 1].
        progress : callable, optional
            Called also while the network runs; what it raises stops the run and passes through.
        flips : bool
            Take the mean with the mask of the mirrored picture: twice the time, less noise.
        detail : bool
            Look at uncertain edges again, closer, where the picture is larger than the network sees it; see
            :func:`gossamer.segmentation.detail.add_detail`.
        clock : Clock, optional
            Counts the time of that as the stage ``"detail"``.

        Returns
        -------
        (H, W) float32
            1 = foreground. The same picture and options give the same mask.

        Raises
        ------
        InputError
            The picture has another shape or values outside [0, 1].
        ModelError
            The network could not be run.
        """
        rgb = _pixels(image)
        steps = Progress.of(progress)
        steps(0.0, f"Finding the subject with {self.id}")
        start = time.perf_counter()
        mask = self._masks([rgb], steps.part(0.0, 0.3 if detail else 1.0), flips)[0]
        once = time.perf_counter() - start
        if detail:
            size = network_size(self._input, *rgb.shape[:2])

            def closer(crops: Sequence[Pixels], part: Progress) -> list[Array]:
                return self._masks(crops, part, flips, whole=False)

            with (clock or Clock())("detail"):
                mask = add_detail(rgb, mask, size, closer, steps.part(0.3, 1.0), each=once)
        steps(1.0)
        return mask

    def predict_further(
        self, pixels: NDArray[np.uint8], further: Further, progress: ProgressCallback | Progress | None = None
    ) -> list[NDArray[Any]] | None:
        """Return the mask of one picture and what else is made of it where the network runs.

        Parameters
        ----------
        pixels : (H, W, 3) uint8
        further : Further
        progress : callable, optional
            As for :meth:`predict`.

        Returns
        -------
        list of array, or None
            The mask, (H, W) float32, and the planes of `further`; None where pictures are not brought to the network.

        Raises
        ------
        ModelError
            As :meth:`predict`.
        """
        steps = Progress.of(progress)
        steps(0.0, f"Finding the subject with {self.id}")
        read = self._read([pixels], steps, True, further)
        return None if read is None else read[0]

    def predict_batch(
        self,
        images: Sequence[ArrayLike],
        progress: ProgressCallback | Progress | None = None,
        *,
        flips: bool = False,
        batch_size: int = 4,
    ) -> list[Array]:
        """Return the masks of several pictures, run through the network together where they have one size there.

        Parameters
        ----------
        images : sequence of (H, W, 3) array
            RGB, uint8, uint16 or float in [0, 1]; of any sizes.
        progress : callable, optional
            As for :meth:`predict`.
        flips : bool
            As for :meth:`predict`.
        batch_size : int
            The most pictures in one run: what fits the device's memory and still makes it faster.

        Returns
        -------
        list of (H, W) float32
            In the order of `images`. Each equals what :meth:`predict` gives but for the rounding of sums
            that a device adds up in another order.

        Raises
        ------
        InputError, ModelError
            As :meth:`predict`.
        """
        steps = Progress.of(progress)
        steps(0.0, f"Finding the subjects with {self.id}")
        masks = self._masks([_pixels(image) for image in images], steps, flips, batch_size)
        steps(1.0)
        return masks

    def at(self, resolution: int) -> SegmentationModel:
        """Return this model, seeing pictures in another size; they share the network.

        Parameters
        ----------
        resolution : int
            Side in pixels, see :func:`gossamer.segmentation.preprocessing.at_resolution`; 0 for the size that its
            authors chose.

        Raises
        ------
        InputError
            The network does not take that size; the remedy names one that it takes.
        """
        seeing = copy.copy(self)
        seeing._input = at_resolution(self._authors, resolution) if resolution else self._authors
        seeing.resolution = 0 if seeing._input == self._authors else resolution
        if seeing.resolution:
            _check_takes(self.id, self._sizes, resolution)
        return seeing

    def unload(self) -> None:
        """Free the memory that the network takes, once no run needs it; the next picture loads it again."""
        if isinstance(self._network, Loadable):
            warm.unload(self._network.key)

    def _masks(
        self, pictures: Sequence[Pixels], progress: Progress, flips: bool, batch_size: int = 1, *, whole: bool = True
    ) -> list[Array]:
        """Return the masks of checked pictures, or of parts of such."""
        masks: list[Array | None] = [None] * len(pictures)
        groups: dict[tuple[int, int], list[int]] = {}
        for number, picture in enumerate(pictures):
            groups.setdefault(network_size(self._input, *picture.shape[:2]), []).append(number)
        together = [group[i : i + batch_size] for group in groups.values() for i in range(0, len(group), batch_size)]
        for number, group in enumerate(together):
            part = progress.part(number / len(together), (number + 1) / len(together))
            for one, mask in zip(group, self._together([pictures[i] for i in group], part, flips, whole), strict=True):
                masks[one] = mask
        return [mask for mask in masks if mask is not None]

    def _together(self, pictures: list[Pixels], progress: Progress, flips: bool, whole: bool) -> list[Array]:
        """Return the masks of pictures that the network sees at one size."""
        if not flips and (read := self._read(pictures, progress, whole)) is not None:
            return [planes[0] for planes in read]
        batch = np.concatenate([preprocess(picture, self._input) for picture in pictures])
        maps = self._run(batch, progress.part(0.0, 0.5 if flips else 1.0))
        seen: Sequence[Array | None] = list(batch) if whole else [None] * len(batch)
        masks = [self._mask(*one) for one in zip(maps, pictures, seen, strict=True)]
        if flips:
            # Mirrored before the network, not before the resizing: that gives the same and copies nothing large.
            maps = self._run(np.ascontiguousarray(batch[..., ::-1]), progress.part(0.5, 1.0))
            for mask, one, picture in zip(masks, maps, pictures, strict=True):
                if mask.any():  # else nothing is there, or nothing that could be believed
                    mask += self._mask(np.ascontiguousarray(one[:, ::-1]), picture, None)
                    mask *= np.float32(0.5)
        return masks

    def _read(
        self, pictures: Sequence[Pixels], progress: Progress, whole: bool, further: Further | None = None
    ) -> list[list[NDArray[Any]]] | None:
        """Return for each picture its mask, made where the network runs; None where that is not how it is done."""
        shape = pictures[0].shape
        if not self.takes_pictures or not feeds(self._input, self._output) or not are_of_one_size():
            return None
        if any(each.dtype != np.uint8 or each.shape != shape for each in pictures):
            return None
        fed_as, output = self._input, self._output

        def work(pixels: Tensor, forward: Callable[[Tensor], Tensor]) -> list[Tensor]:
            seen = fed(pixels, fed_as)
            masks = read_masks(forward(seen), seen if whole else None, output, (shape[0], shape[1]), fed_as)
            return [masks, *(further.work(pixels, masks) if further else ())]

        wanted = self._network
        own = wanted.key if isinstance(wanted, Loadable) else id(wanted)
        key = (own, fed_as, output, whole, further and further.key)
        planes = (Plane((shape[0], shape[1]), "float32"), *(further.planes if further else ()))
        reading = Reading(key, planes, work)

        def run(batch: NDArray[Any], steps: Progress) -> NDArray[np.uint8]:
            with self._lent(steps) as network:
                return cast(TakesPictures, network).read(batch, reading, steps)

        batch = pictures[0][None] if len(pictures) == 1 else np.stack(pictures)
        rows = run_together(reading.key, batch, progress, run)
        return [unpacked(row, reading.planes) for row in rows]

    def _run(self, batch: Array, progress: Progress) -> Array:
        wanted = self._network

        def run(batch: Array, steps: Progress) -> Array:
            with self._lent(steps) as network:
                return network.run(batch, steps)

        maps: Array = run_together(wanted.key if isinstance(wanted, Loadable) else id(wanted), batch, progress, run)
        return maps

    def _mask(self, prediction: Array, picture: Pixels, seen: Array | None) -> Array:
        return postprocess(prediction, self._output, *picture.shape[:2], fed=self._input, seen=seen)

    @contextmanager
    def _lent(self, progress: Progress | None = None) -> Iterator[Network]:
        """Lend the network for one run."""
        wanted = self._network
        with warm.lent(wanted, progress) if isinstance(wanted, Loadable) else nullcontext(wanted) as network:
            try:
                yield network
            finally:
                # A run may have moved it, and have something to say.
                self.device, self.engine = network.device, network.engine
                self.takes_pictures = takes_pictures(network) is not None
                self._of_network = tuple(network.warnings)


def _check_takes(model: str, sizes: Sizes, side: int) -> None:
    """Raise InputError where a network does not take squares of that side."""
    if sizes.only is not None and sizes.only != (side, side):
        height, width = sizes.only
        raise InputError(
            f"The ONNX file of {model} takes pictures of {width} x {height} pixels only, and not of {side} x {side}.",
            "Leave the resolution at 0, or choose a model that runs in torch (the runtime torch): it takes others.",
        )
    if side % sizes.multiple:
        nearest = max(1, round(side / sizes.multiple)) * sizes.multiple
        raise InputError(
            f"{model} takes sides that are multiples of {sizes.multiple} pixels, and not {side}.",
            f"The nearest resolution that it takes is {nearest}.",
        )


def _pixels(image: ArrayLike) -> Pixels:
    """Return a checked picture; bytes stay bytes, a quarter of the memory."""
    array = np.asarray(image)
    if array.dtype == np.uint8 and array.ndim == 3 and array.shape[2] == 3 and array.size:
        return array
    return as_rgb(image)
