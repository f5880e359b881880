"""Loading a model: from the catalogue or a file, in the runtime that fits, fed as its authors feed it."""

from __future__ import annotations

import importlib.util
import logging
import shutil
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from gossamer.errors import DeviceError, InputError, MissingExtra, ModelNotFound
from gossamer.networks.devices import PRECISIONS, cuda_is_available
from gossamer.networks.network import Network
from gossamer.progress import Progress, ProgressCallback
from gossamer.segmentation.ensemble import Combination, Ensemble
from gossamer.segmentation.model import SegmentationModel
from gossamer.weights.catalogue import InputSpec, OutputSpec, architecture_of, load_catalogue
from gossamer.weights.catalogue import architecture as known_architecture
from gossamer.weights.choice import Quality
from gossamer.weights.inventory import RuntimeChoice, Weights

__all__ = ["PRECISIONS", "RUNTIMES", "load_model", "load_models", "model_of"]

_log = logging.getLogger("gossamer")

RUNTIMES = ("auto", "onnx", "torch")
_SUFFIXES = (".onnx", ".safetensors", ".pth", ".pt", ".ckpt")


def load_model(
    model: str = "auto",
    *,
    device: str = "auto",
    precision: str = "auto",
    architecture: str | None = None,
    runtime: RuntimeChoice = "auto",
    compile: bool = False,
    quality: Quality = "balanced",
    subject: str | None = None,
    accept_licence: bool = False,
    folders: Iterable[str | Path] = (),
    progress: ProgressCallback | Progress | None = None,
    announce: Callable[[str], object] | None = None,
) -> SegmentationModel:
    """Load a model, fetching its weights first where they are not on this machine.

    Parameters
    ----------
    model : str
        A catalogue id, ``auto`` (what `quality` and `subject` choose), or the path of a file of weights: .onnx,
        .safetensors, .pth, .pt or .ckpt.
    device : {"auto", "cpu", "cuda"}
        Where it runs.
    precision : {"auto", "float32", "float16", "bfloat16"}
        For torch; ONNX models run in the precision that they are stored in: other ones are refused.
    architecture : str, optional
        For a file: what it is, and so how to feed it. An architecture or network of ours (``isnet``,
        ``birefnet_swin_l``), or the catalogue id of a model that is fed alike (``birefnet-hr``). Without it
        the file's own keys and shapes tell.
    runtime : {"auto", "onnx", "torch"}
        What runs it; ``auto``: what the file is made for.
    compile : bool
        Compile a torch network, see :class:`gossamer.networks.torch_network.TorchNetwork`.
    quality : {"fast", "balanced", "best"}
        What ``auto`` chooses.
    subject : str, optional
        What ``auto`` chooses a model for, e.g. ``hair``.
    accept_licence : bool
        Accept a licence that does not allow commercial use, once and for all.
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
        An impossible combination of arguments, or nothing tells what a file is.
    ModelError
        A file holds other weights than its architecture has, is damaged, or holds code.
    ModelNotFound, DownloadError, ModelIntegrityError
        The weights cannot be had, or are damaged.
    LicenceError
        The licence was not accepted.
    DeviceError
        The device or precision cannot be had.
    MissingExtra
        The runtime is not installed.
    """
    for value, known, name in ((precision, PRECISIONS, "precision"), (runtime, RUNTIMES, "runtime")):
        if value not in known:
            raise InputError(f"There is no {name} {value!r}.", f"Choose one of: {', '.join(known)}.")
    if _is_file(model):
        return _load_file(Path(model).expanduser(), architecture, runtime, device, precision, compile)
    if architecture is not None:
        raise InputError(
            f"{model!r} is a model of the catalogue, which knows its architecture.",
            "Leave --architecture out, or give the path of a file of weights.",
        )
    from gossamer.weights import store

    choice = store.choose(
        model,
        runtime=runtime,
        quality=quality,
        subject=subject,
        device=_likely_device(device, runtime),
        accept_licence=accept_licence,
        extra_folders=tuple(Path(folder) for folder in folders),
        progress=progress,
        announce=announce or _log.warning,
    )
    if model == "auto":
        (announce or _log.info)(f"Model {choice.reason}")
    return model_of(choice.weights, runtime=runtime, device=device, precision=precision, compile=compile)


def model_of(
    weights: Weights, *, runtime: str = "auto", device: str = "auto", precision: str = "auto", compile: bool = False
) -> SegmentationModel:
    """Load a model of the catalogue from weights that are on this machine.

    Parameters
    ----------
    weights : Weights
        What the store found or fetched; what its file differs in from others of its model is respected.
    runtime, device, precision, compile
        As for :func:`load_model`.

    Returns
    -------
    SegmentationModel

    Raises
    ------
    InputError, ModelError, DeviceError, MissingExtra
        As :func:`load_model`.
    """
    card, variant = weights.card, weights.variant
    chosen = variant.runtime if runtime == "auto" else runtime
    output = card.output
    if variant.activation is not None and variant.runtime == chosen:
        output = replace(output, activation=variant.activation)
    network = _Network(weights.path, chosen, device, precision, card.network, output.index, variant.rename, compile)
    return _model(card.id, network, (card.input, output), weights.warnings)


def load_models(
    models: str = "auto",
    *,
    combine: Combination = "mean",
    device: str = "auto",
    precision: str = "auto",
    architecture: str | None = None,
    runtime: RuntimeChoice = "auto",
    compile: bool = False,
    quality: Quality = "balanced",
    subject: str | None = None,
    accept_licence: bool = False,
    folders: Iterable[str | Path] = (),
    progress: ProgressCallback | Progress | None = None,
    announce: Callable[[str], object] | None = None,
) -> SegmentationModel | Ensemble:
    """Load one model, or several that work together.

    Parameters
    ----------
    models : str
        One model as for :func:`load_model`, or several with commas between them.
    combine : {"mean", "max", "vote"}
        How several masks become one, see :func:`gossamer.segmentation.ensemble.combine_masks`.
    device, precision, architecture, runtime, compile, quality, subject, accept_licence, folders, progress, announce
        As for :func:`load_model`; `architecture` counts for the files among them.

    Returns
    -------
    SegmentationModel or Ensemble

    Raises
    ------
    GossamerError
        As :func:`load_model`, and InputError for a name between commas that is empty.
    """
    # A file may have a comma in its name.
    names = [models] if _is_file(models) and Path(models).expanduser().is_file() else models.split(",")
    names = [name.strip() for name in names]
    if not all(names):
        raise InputError(f"{models!r} names no model in one place.", "Give ids with single commas between them.")
    steps = Progress.of(progress)
    folders = tuple(folders)
    loaded = [
        load_model(
            name,
            device=device,
            precision=precision,
            architecture=architecture if len(names) == 1 or _is_file(name) else None,
            runtime=runtime,
            compile=compile,
            quality=quality,
            subject=subject,
            accept_licence=accept_licence,
            folders=folders,
            progress=steps.part(number / len(names), (number + 1) / len(names)),
            announce=announce,
        )
        for number, name in enumerate(names)
    ]
    return loaded[0] if len(loaded) == 1 else Ensemble(loaded, combine)


def _likely_device(device: str, runtime: str) -> str:
    """Return ``"cpu"`` or ``"cuda"``: where a model that is not chosen yet would run."""
    if device != "auto":
        return device
    if runtime != "torch" and cuda_is_available("onnx"):
        return "cuda"
    # Importing torch takes seconds: only where there is a driver, so that there can be a use for it.
    driver = shutil.which("nvidia-smi") or Path("/proc/driver/nvidia/version").exists()
    if runtime == "onnx" or not driver or importlib.util.find_spec("torch") is None:
        return "cpu"
    return "cuda" if cuda_is_available("torch") else "cpu"


class _Network:
    """What it takes to make a network: called when a model is loaded, and again after it was unloaded."""

    def __init__(
        self,
        path: Path,
        runtime: str,
        device: str,
        precision: str,
        network: str | None,
        output: int,
        rename: tuple[tuple[str, str], ...],
        compile: bool,
    ) -> None:
        self._path, self._runtime, self._device, self._precision = path, runtime, device, precision
        self._network, self._output, self._rename, self._compile = network, output, rename, compile

    def __call__(self) -> Network:
        if self._runtime == "onnx":
            if self._precision not in ("auto", "float32"):
                raise DeviceError(
                    "ONNX models run in the precision that they are stored in.",
                    "Choose the precision auto or float32, or --runtime torch.",
                )
            if self._compile:
                raise InputError("ONNX models are not compiled.", "Leave --compile out, or choose --runtime torch.")
            from gossamer.networks.onnx_network import OnnxNetwork

            return OnnxNetwork(self._path, self._device, self._output)
        if self._network is None:
            raise InputError(f"There is no torch network for {self._path.name}.", "Choose --runtime onnx.")
        from gossamer.networks.torch_network import TorchNetwork

        return TorchNetwork(
            self._path,
            self._network,
            device=self._device,
            precision=self._precision,
            rename=self._rename,
            compile=self._compile,
        )


def _model(
    name: str, network: _Network, spec: tuple[InputSpec, OutputSpec], warnings: tuple[str, ...] = ()
) -> SegmentationModel:
    return SegmentationModel(name, network(), spec, warnings, reload=network)


def _is_file(model: str) -> bool:
    return model.lower().endswith(_SUFFIXES) or "/" in model or "\\" in model


def _load_file(
    path: Path, architecture: str | None, runtime: str, device: str, precision: str, compile: bool
) -> SegmentationModel:
    if not path.is_file():
        raise ModelNotFound(
            f"There is no model file {path}.", "Check the path, or see the catalogue: gossamer models list"
        )
    suffix = path.suffix.lower()
    if suffix not in _SUFFIXES:
        raise InputError(f"{path.name} is not a file of weights.", f"Give one that ends in {', '.join(_SUFFIXES)}.")
    if runtime == "auto":
        runtime = "onnx" if suffix == ".onnx" else "torch"
    if runtime == "onnx" and suffix != ".onnx":
        raise InputError(f"{path.name} is not an .onnx file.", "Choose --runtime torch, or give an .onnx file.")
    network, spec = _identified(path, architecture, runtime)
    made = _Network(path, runtime, device, precision, network, spec[1].index, (), compile)
    return _model(path.stem, made, spec)


def _identified(path: Path, name: str | None, runtime: str) -> tuple[str | None, tuple[InputSpec, OutputSpec]]:
    """Return which torch network a file holds, where that matters, and how it is fed and read."""
    from gossamer.networks.architectures.networks import NETWORKS
    from gossamer.networks.state_dict import recognise_file

    if name is None:
        try:
            network = recognise_file(path)
        except MissingExtra:
            if runtime == "torch":
                raise
            network = None  # reading the shapes in an .onnx file takes a package that running it does not
        if network is None:
            raise InputError(
                f"Nothing says what {path.name} is and how to feed it.", "Name its architecture, e.g. isnet."
            )
        family = architecture_of(network)
        return network, (family.input, family.output)
    card = load_catalogue().get(name)
    if name in NETWORKS:
        family = architecture_of(name)
    else:
        family = known_architecture(card.architecture if card else name)
    spec = (card.input, card.output) if card else (family.input, family.output)
    if runtime == "onnx":
        return None, spec
    found = recognise_file(path)
    if found not in family.networks:  # loading as what was named says exactly what does not fit
        found = name if name in NETWORKS else card.network if card else next(iter(family.networks), None)
    return found, spec
