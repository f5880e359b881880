"""Automatic segmentation: a network finds the subject, fed and read exactly as its authors do."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from gossamer.arrays import Array, as_rgb, bilinear, normalise, skimage_resize
from gossamer.errors import DeviceError, InputError, ModelError, ModelNotFound
from gossamer.models.catalogue import InputSpec, OutputSpec
from gossamer.models.catalogue import architecture as known_architecture
from gossamer.progress import Progress, ProgressCallback
from gossamer.runtime.base import Network
from gossamer.runtime.onnx_runtime import OnnxNetwork

__all__ = ["PRECISIONS", "SegmentationModel", "load_model", "postprocess", "preprocess"]

_log = logging.getLogger("gossamer")

PRECISIONS = ("auto", "float32", "float16")


def preprocess(image: Array, spec: InputSpec) -> Array:
    """Turn a picture into what a network was trained on.

    Parameters
    ----------
    image : (H, W, 3) float32
        sRGB in [0, 1].
    spec : InputSpec
        The authors' own steps, see the catalogue.

    Returns
    -------
    (1, 3, h, w) float32
    """
    width, height = spec.size
    if spec.quantize == "truncate":
        # The authors interpolate whole numbers and cut the fraction off: only the same whole numbers round alike.
        image = np.rint(image * np.float32(255)).astype(np.float32, copy=False)
    if spec.resize == "skimage":
        small = skimage_resize(image, height, width)
    elif spec.resize == "bilinear":
        small = bilinear(image, height, width)
    else:
        raise ModelError(f"The resizing {spec.resize!r} is not supported.", "Install a newer Gossamer.")
    if spec.quantize == "truncate":
        small = (np.floor(small) / 255).astype(np.float32, copy=False)
    if spec.scale == "max":
        small = small / np.float32(max(float(small.max()), 1e-6))
    scaled = (small - np.asarray(spec.mean, np.float32)) / np.asarray(spec.std, np.float32)
    return np.ascontiguousarray(scaled.transpose(2, 0, 1)[None], dtype=np.float32)


def postprocess(prediction: Array, spec: OutputSpec, height: int, width: int) -> Array:
    """Turn a network's output into a mask of the picture's size.

    Parameters
    ----------
    prediction : (h, w) float32
        The network's output.
    spec : OutputSpec
        The authors' own steps, see the catalogue.
    height, width : int
        The picture's size.

    Returns
    -------
    (height, width) float32
        1 = foreground.

    Raises
    ------
    ModelError
        The prediction is not finite.
    """
    if not np.isfinite(prediction).all():
        raise ModelError("The model's prediction is not a number.", "Fetch its weights again, or try --device cpu.")
    if spec.activation == "sigmoid":
        prediction = (1 / (1 + np.exp(-prediction))).astype(np.float32)
    if spec.normalise == "before_resize":
        prediction = normalise(prediction)
    mask = bilinear(prediction, height, width)
    if spec.normalise == "after_resize":
        mask = normalise(mask)
    return np.clip(mask, 0, 1)


class SegmentationModel:
    """A loaded model that finds the subject of a picture.

    Attributes
    ----------
    id : str
        The catalogue id, or the stem of the file's name.
    device : str
        ``"cpu"`` or ``"cuda"``: where it really runs.
    warnings : tuple of str
        What its user should know.
    """

    def __init__(
        self, model: str, network: Network, spec: tuple[InputSpec, OutputSpec], warnings: tuple[str, ...] = ()
    ) -> None:
        self.id = model
        self.device = network.device
        self.warnings = (*warnings, *network.warnings)
        self._network = network
        self._input, self._output = spec

    def predict(self, image: ArrayLike, progress: ProgressCallback | Progress | None = None) -> Array:
        """Return the mask of one picture.

        Parameters
        ----------
        image : (H, W, 3) array
            RGB, uint8, uint16 or float in [0, 1].
        progress : callable, optional
            Called also while the network runs; what it raises stops the run and passes through.

        Returns
        -------
        (H, W) float32
            1 = foreground.

        Raises
        ------
        InputError
            The picture has another shape or values outside [0, 1].
        ModelError
            The network could not be run.
        """
        rgb = as_rgb(image)
        steps = Progress.of(progress)
        steps(0.0, f"Finding the subject with {self.id}")
        prediction = self._network.run(preprocess(rgb, self._input), steps)[0]
        mask = postprocess(prediction, self._output, *rgb.shape[:2])
        steps(1.0)
        return mask


def load_model(
    model: str = "auto",
    *,
    device: str = "auto",
    precision: str = "auto",
    architecture: str | None = None,
    folders: Iterable[str | Path] = (),
    progress: ProgressCallback | Progress | None = None,
    announce: Callable[[str], object] | None = None,
) -> SegmentationModel:
    """Load a model, fetching its weights first where they are not on this machine.

    Parameters
    ----------
    model : str
        A catalogue id, ``auto`` (the best that is installed, else the first that can be fetched), or the path
        of an .onnx file.
    device : {"auto", "cpu", "cuda"}
        Where it runs.
    precision : {"auto", "float32", "float16"}
        ONNX models run in the precision that they are stored in: ``float16`` is refused.
    architecture : str, optional
        For an .onnx file that is not in the catalogue: how to feed it, e.g. ``isnet``.
    folders : iterable of path
        Where weights are looked for besides the usual folders, before anything is fetched.
    progress : callable, optional
        ``progress(fraction, message)`` while weights are fetched.
    announce : callable, optional
        Called with one sentence that says what is fetched, how big and under which licence, and with one that
        says which model ``auto`` took and why. Without it both go to the logger ``gossamer``, the first as a
        warning, which Python shows by itself: nothing is downloaded in silence.

    Returns
    -------
    SegmentationModel

    Raises
    ------
    InputError
        An impossible combination of arguments.
    ModelNotFound, DownloadError, ModelIntegrityError
        The weights cannot be had, or are damaged.
    DeviceError
        The device or precision cannot be had.
    """
    if precision not in PRECISIONS:
        raise InputError(f"There is no precision {precision!r}.", f"Choose one of: {', '.join(PRECISIONS)}.")
    if precision == "float16":
        raise DeviceError(
            "ONNX models run in the precision that they are stored in.",
            "Choose the precision auto or float32.",
        )
    if _is_file(model):
        return _load_file(Path(model).expanduser(), device, architecture)
    if architecture is not None:
        raise InputError(
            f"{model!r} is a model of the catalogue, which knows its architecture.",
            "Leave --architecture out, or give the path of an .onnx file.",
        )
    from gossamer.models import store

    choice = store.choose(
        model,
        extra_folders=tuple(Path(folder) for folder in folders),
        progress=progress,
        announce=announce or _log.warning,
    )
    if model == "auto":
        (announce or _log.info)(f"Model {choice.reason}")
    weights = choice.weights
    card = weights.card
    network = OnnxNetwork(weights.path, device, card.output.index)
    return SegmentationModel(card.id, network, (card.input, card.output), weights.warnings)


def _is_file(model: str) -> bool:
    return model.lower().endswith(".onnx") or "/" in model or "\\" in model


def _load_file(path: Path, device: str, architecture: str | None) -> SegmentationModel:
    if not path.is_file():
        raise ModelNotFound(
            f"There is no model file {path}.", "Check the path, or see the catalogue: gossamer models list"
        )
    if path.suffix.lower() != ".onnx":
        raise InputError(f"{path.name} is not an .onnx file.", "Give weights in the ONNX format.")
    if architecture is None:
        raise InputError(f"Nothing says how to feed {path.name}.", "Add its architecture, e.g. --architecture isnet")
    family = known_architecture(architecture)
    return SegmentationModel(path.stem, OnnxNetwork(path, device, family.output.index), (family.input, family.output))
