"""ViTMatte: a transformer that was trained to find alpha inside a trimap (Yao et al. 2023), through transformers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gossamer.arrays import Array, as_mask, as_rgb
from gossamer.errors import DeviceError, InputError, ModelError, memory_remedy
from gossamer.matting.vitmatte.tiles import GRID, Window, blended, tiles, window_around
from gossamer.networks.batches import Exhausted
from gossamer.networks.devices import started_device
from gossamer.networks.torch_module import TorchModule, placed
from gossamer.networks.transformers_loading import require_packages
from gossamer.parallel.patience import patiently
from gossamer.progress import Progress, ProgressCallback
from gossamer.settings.model_choice import PRECISIONS
from gossamer.weights.folders import forbidding_switch

__all__ = ["NORMALISATION", "TILE", "VitMatte", "vitmatte_alpha"]

_log = logging.getLogger("gossamer")

NORMALISATIONS = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
}
"""Mean and standard deviation of the colours that are subtracted and divided by, by name."""

NORMALISATION = "imagenet"
"""How colours are normalised: as the authors trained the published weights.

Two answers are in use, and the weights themselves could not be run where this was written:

- The authors' model normalises inside its ``forward``, in training and in testing alike, with ImageNet's mean and
  deviation (hustvl/ViTMatte, configs/common/model.py and modeling/meta_arch/vitmatte.py); their loader and their
  demo only divide by 255. These numbers are buffers that are not saved in the checkpoint.
- The conversion to transformers therefore lost them, and its image processor took the library's constants named
  IMAGENET_STANDARD, which are 0.5 and 0.5 (ImageNet's own are named IMAGENET_DEFAULT there). The converter's check
  compares the converted model, fed by that same processor, with nine alphas in the corner of one picture: numbers of
  nobody else's, so it is no evidence that 0.5 is what the weights want.

So the code that trained the weights says ImageNet, and nothing but a default says 0.5.
``tests/benchmarks/vitmatte_normalisation.py`` measures both where the weights are.
"""

TILE = 1024
"""Default longest side of a tile, in pixels: four of the 512 that ViTMatte was trained on.

The memory of its global attention grows with the fourth power of the side: in float32 on the CPU the small model's
peak was 1.9 GB above the loaded model and picture with this, and 0.8 GB with half of it.
"""

MARGIN = 128
"""How many known pixels around the unknown ones a large picture's cut-out keeps: eight of ViTMatte's patches."""

_SMALLEST = 256  # below half of its training's pictures alpha would be guessed from too little


class VitMatte:
    """A ViTMatte in memory.

    Use :meth:`load`.

    Attributes
    ----------
    id : str
        The name of the model's folder.
    device : str
        ``"cpu"`` or ``"cuda"``.
    precision : str
        ``"float32"``, ``"float16"`` or ``"bfloat16"``.
    """

    def __init__(self, network: TorchModule, model: str, precision: str, normalisation: str) -> None:
        self.id = model
        self.device = network.device
        self.precision = precision
        self._network = network
        self._mean, self._deviation = (np.asarray(v, np.float32) for v in NORMALISATIONS[normalisation])

    @classmethod
    def load(
        cls,
        model: str | Path = "auto",
        *,
        device: str = "auto",
        precision: str = "auto",
        normalisation: str = NORMALISATION,
        progress: Progress | ProgressCallback | None = None,
        announce: Callable[[str], object] | None = None,
    ) -> VitMatte:
        """Load a model, fetching its weights first where they are not on this machine.

        Parameters
        ----------
        model : str or path
            ``auto`` (the best published one that is installed, else the small one is fetched, 103 MB), a published one
            such as ``vitmatte-small-composition-1k``, or a folder that transformers' ``save_pretrained`` wrote.
        device : {"auto", "cpu", "cuda"}
            Where it runs.
        precision : {"auto", "float32", "float16", "bfloat16"}
            ``auto`` is float32: nobody has measured what the others cost in quality.
        normalisation : {"imagenet", "half"}
            See :data:`NORMALISATION`; ``half`` for a model that was trained through transformers' image processor.
        progress : callable, optional
            ``progress(fraction, message)``; raising in it stops the work.
        announce : callable, optional
            Called with one sentence before weights are fetched: what, how large, under which licence. Without it
            that sentence goes to the logger ``gossamer`` as a warning.

        Raises
        ------
        MissingExtra
            torch or transformers are not installed.
        InputError, DeviceError
            An unknown choice, or a device or precision that is not available.
        ModelError
            The model cannot be found, fetched or loaded.
        """
        from gossamer.matting.vitmatte.weights import load_network

        if normalisation not in NORMALISATIONS:
            raise InputError(
                f"There is no normalisation {normalisation!r}.", f"Choose one of: {', '.join(NORMALISATIONS)}."
            )
        steps = Progress.of(progress)
        name, folder, device, precision = _at_hand(model, device, precision, steps.part(0.0, 0.9), announce)
        steps(0.9, "Loading ViTMatte")
        module = patiently(lambda: load_network(folder), steps)
        import torch

        how = {"dtype": getattr(torch, precision)}
        module = patiently(lambda: placed(module, "ViTMatte", device, **how), steps)
        steps(1.0)
        return cls(TorchModule(module, "ViTMatte", device, precision=precision), name, precision, normalisation)

    @staticmethod
    def prepare(
        model: str | Path = "auto",
        *,
        device: str = "auto",
        precision: str = "auto",
        progress: Progress | ProgressCallback | None = None,
        announce: Callable[[str], object] | None = None,
    ) -> None:
        """Do all of :meth:`load` that may be refused, and load nothing: for before other work that would be in vain.

        Parameters and errors are those of :meth:`load`.
        """
        _at_hand(model, device, precision, Progress.of(progress), announce)

    @property
    def modules(self) -> tuple[Any, ...]:
        """Its torch module; none once it is unloaded."""
        return self._network.modules

    @property
    def bytes(self) -> int:
        """How much memory its weights take."""
        return self._network.bytes

    def unload(self) -> None:
        """Free that memory; it cannot be used any more."""
        self._network.unload()

    def predict(
        self,
        image: ArrayLike,
        trimap: ArrayLike,
        *,
        tile: int = TILE,
        progress: Progress | ProgressCallback | None = None,
        warn: Callable[[str], object] | None = None,
    ) -> Array:
        """Estimate alpha from a trimap.

        A picture that is not larger than a tile is seen as a whole, as by the authors. Of a larger one the unknown
        region and its surroundings are cut out, where necessary in tiles that overlap and fade into each other.

        Parameters
        ----------
        image : (H, W, 3) array
            RGB, uint8, uint16 or float in [0, 1].
        trimap : (H, W) array
            At most 0.1: background; at least 0.9: foreground; between: unknown.
        tile : int
            Longest side of a tile in pixels, at least 64; 0: the whole picture at once. Halved (down to 256) where
            memory runs out.
        progress : callable, optional
            ``progress(fraction, message)``, called ten times a second and more; raising in it stops the work between
            two of the network's layers.
        warn : callable, optional
            Called with one sentence where memory ran out and the tiles became smaller. Without it that goes to the
            logger ``gossamer`` as a warning.

        Returns
        -------
        (H, W) float32 ndarray
            Alpha in [0, 1]; exactly 0 and 1 where the trimap is known.

        Raises
        ------
        InputError
            Sizes differ, values lie outside [0, 1], or pixels are unknown and the trimap has no known foreground or
            background.
        DeviceError
            There is not enough memory even for small tiles.
        ModelError
            The network gives numbers that are none, as half precision may.
        """
        picture, foreground, unknown = _checked(image, trimap)
        if tile != 0 and tile < 64:
            raise InputError(f"A tile cannot be {tile} pixels.", "Give at least 64, or 0 for the whole picture.")
        steps = Progress.of(progress)
        steps(0.0, "Matting with ViTMatte")
        alpha: Array = foreground.astype(np.float32)
        if unknown.any():
            hints = np.where(unknown, np.float32(0.5), alpha)
            side = tile // GRID * GRID or None
            while True:
                window = window_around(unknown, MARGIN, side)
                try:
                    result = self._tiled(picture[window.slices], hints[window.slices], side, steps)
                    break
                except Exhausted:
                    side = self._smaller(side or max(window.shape), warn or _log.warning)
            inside = unknown[window.slices]
            alpha[window.slices][inside] = result[inside]
        steps(1.0)
        return alpha

    def _tiled(self, picture: Array, hints: Array, side: int | None, steps: Progress) -> Array:
        """Return alpha of a cut-out; raises Exhausted where memory runs out."""

        def run(number: int, count: int, window: Window) -> Array:
            part = steps.part(number / count, (number + 1) / count)
            part(0.0, "Matting with ViTMatte" + f", tile {number + 1} of {count}" * (count > 1))
            return self._run(picture[window.slices], hints[window.slices], part)

        return blended(hints.shape, tiles(hints.shape, side), hints == 0.5, run)

    def _run(self, picture: Array, hints: Array, steps: Progress) -> Array:
        """Return the network's alpha of one piece, (h, w) float32."""
        import torch

        height, width = hints.shape
        # Zeros after normalisation, at the right and the bottom, up to multiples of 32: as the authors do.
        batch = np.zeros((1, 4, -(-height // GRID) * GRID, -(-width // GRID) * GRID), np.float32)
        batch[0, :3, :height, :width] = ((picture - self._mean) / self._deviation).transpose(2, 0, 1)
        batch[0, 3, :height, :width] = hints
        tensor = self._network.tensor(batch, getattr(torch, self.precision))

        def work(network: Any) -> Array:
            found: Array = network(tensor).alphas[0, 0, :height, :width].float().cpu().numpy()
            return found

        alpha = self._network.run(work, steps)
        if not np.isfinite(alpha).all():
            raise ModelError("ViTMatte gave numbers that are none.", "Choose the precision float32.")
        return np.clip(alpha, 0, 1)

    def _smaller(self, side: int, warn: Callable[[str], object]) -> int:
        """Return half of a tile's side."""
        half = max(side // 2 // GRID * GRID, _SMALLEST)
        if half >= side:
            raise DeviceError(
                f"The device has not enough memory for ViTMatte, even in tiles of {side} pixels.",
                memory_remedy("Close other programs, choose the device cpu, or choose another matting method."),
            )
        warn(f"Memory ran out: ViTMatte works in tiles of {half} pixels, which may cost quality.")
        return half


def vitmatte_alpha(
    image: ArrayLike,
    trimap: ArrayLike,
    *,
    model: str | Path = "auto",
    device: str = "auto",
    precision: str = "auto",
    tile: int = TILE,
    progress: Progress | ProgressCallback | None = None,
    announce: Callable[[str], object] | None = None,
) -> Array:
    """Estimate alpha from a trimap with ViTMatte, a neural network.

    For several pictures use :class:`VitMatte`, which keeps the network in memory. Needs the extra ``vitmatte``.

    Parameters
    ----------
    image : (H, W, 3) array
        RGB, uint8, uint16 or float in [0, 1].
    trimap : (H, W) array
        At most 0.1: background; at least 0.9: foreground; between: unknown.
    model, device, precision, announce
        As for :meth:`VitMatte.load`.
    tile, progress
        As for :meth:`VitMatte.predict`.

    Returns
    -------
    (H, W) float32 ndarray
        Alpha in [0, 1]; exactly 0 and 1 where the trimap is known.

    Raises
    ------
    InputError, MissingExtra, ModelError, DeviceError
        As :meth:`VitMatte.load` and :meth:`VitMatte.predict`. The picture and the trimap are checked first.

    References
    ----------
    .. [1] Yao, Wang, Yang, Wang: "ViTMatte: boosting image matting with pretrained plain vision transformers",
       Information Fusion 103, 2024. https://github.com/hustvl/ViTMatte
    """
    picture, foreground, unknown = _checked(image, trimap)
    if not unknown.any():
        return foreground.astype(np.float32)
    steps = Progress.of(progress)
    network = VitMatte.load(model, device=device, precision=precision, progress=steps.part(0.0, 0.2), announce=announce)
    hints = np.where(unknown, np.float32(0.5), foreground.astype(np.float32))
    return network.predict(picture, hints, tile=tile, progress=steps.part(0.2, 1.0))


def _checked(image: ArrayLike, trimap: ArrayLike) -> tuple[Array, NDArray[np.bool_], NDArray[np.bool_]]:
    """Return the picture, the certain foreground and the unknown pixels."""
    picture = as_rgb(image, "picture")
    hints = as_mask(trimap, picture.shape, "trimap")
    foreground, unknown = hints >= 0.9, (hints > 0.1) & (hints < 0.9)
    if unknown.any() and (not foreground.any() or (foreground | unknown).all()):
        lacks = "foreground" if not foreground.any() else "background"
        raise InputError(
            f"The trimap has no known {lacks}, so there is nothing to tell the unknown pixels apart by.",
            f"Mark some pixels that are certainly {lacks} ({1 if lacks == 'foreground' else 0}) in the trimap.",
        )
    return picture, foreground, unknown


def _at_hand(
    model: str | Path, device: str, precision: str, steps: Progress, announce: Callable[[str], object] | None
) -> tuple[str, Path, str, str]:
    """Return a model's name, its folder, the device and the precision, having fetched what was missing."""
    from gossamer.matting.vitmatte.weights import check_folder, find_folder, require_extra

    require_packages("ViTMatte", "vitmatte")
    say = announce or _log.warning
    if forbidding_switch() is not None:  # told before torch is imported, which takes seconds
        find_folder(model, progress=steps, announce=say)
    patiently(require_extra, steps)  # before anything is fetched in vain
    device = patiently(lambda: started_device(device)[0], steps)
    precision = _resolved_precision(precision, device)
    name, folder = find_folder(model, progress=steps, announce=say)
    check_folder(folder)
    return name, folder, device, precision


def _resolved_precision(precision: str, device: str) -> str:
    if precision not in PRECISIONS:
        raise InputError(f"There is no precision {precision!r}.", f"Choose one of: {', '.join(PRECISIONS)}.")
    if precision == "int8":
        raise DeviceError("torch runs nothing in int8.", "Choose the precision float32.")
    if precision == "float16" and device == "cpu":
        raise DeviceError("ViTMatte does not run in float16 on the CPU.", "Choose the precision float32.")
    return "float32" if precision == "auto" else precision
