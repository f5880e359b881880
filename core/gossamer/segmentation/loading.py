"""Loading a model: from the catalogue or a file, in the runtime that fits, fed as its authors feed it."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gossamer.arguments import check_call
from gossamer.errors import DeviceError, InputError, MissingExtra, ModelIntegrityError, ModelNotFound
from gossamer.native.processor import has_int8
from gossamer.networks.devices import Runtime, is_installed
from gossamer.networks.first_run import UntilItRuns
from gossamer.networks.layer_kernels import runs_layers, unmeasured
from gossamer.networks.network import Network
from gossamer.networks.runtimes import Plan, likely_device, openvino_may_serve, planned, runtime_for_files
from gossamer.networks.speeds import measured_faster
from gossamer.parallel.patience import patiently
from gossamer.paths import cannot_read, expanded, source_path
from gossamer.progress import Progress, ProgressCallback
from gossamer.segmentation.ensemble import Ensemble
from gossamer.segmentation.model import SegmentationModel
from gossamer.settings.finding import PROMPT_MODELS
from gossamer.settings.model_choice import ModelChoice
from gossamer.warm import Loadable
from gossamer.weights.card import COST
from gossamer.weights.catalogue import (
    InputSpec,
    ModelCard,
    OutputSpec,
    architecture_of,
    folder_cards,
    load_catalogue,
    video_cards,
)
from gossamer.weights.catalogue import architecture as known_architecture
from gossamer.weights.folders import home
from gossamer.weights.inventory import Weights
from gossamer.weights.quantised import find_quantised, require_quantised

__all__ = ["in_bytes_where_faster", "load_model", "load_models", "model_of"]

_log = logging.getLogger("gossamer")

_SUFFIXES = (".onnx", ".safetensors", ".pth", ".pt", ".ckpt")


def load_model(
    choice: ModelChoice | str = "auto",
    *,
    progress: ProgressCallback | Progress | None = None,
    announce: Callable[[str], object] | None = None,
    **settings: Any,
) -> SegmentationModel:
    """Load a model, fetching its weights first where they are not on this machine.

    Parameters
    ----------
    choice : ModelChoice or str
        Which one, and where and how it runs; the name of a model stands for a choice of it.
    progress : callable, optional
        ``progress(fraction, message)`` while weights are fetched and loaded.
    announce : callable, optional
        Called with one sentence that says what is fetched, how big and under which licence, and with one that
        says which model ``auto`` took and why. Without it both go to the logger ``gossamer``, the first as a
        warning, which Python shows by itself: nothing is downloaded in silence.
    **settings
        Fields of :class:`~gossamer.settings.ModelChoice`, instead of those in `choice`.

    Returns
    -------
    SegmentationModel
        Its network belongs to :data:`gossamer.warm.warm`: loading the same again takes no time.

    Raises
    ------
    InputError
        An impossible combination of settings, or nothing tells what a file is.
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
    choice = _choice(choice, settings, announce)
    steps = Progress.of(progress)
    if _is_file(choice.model):
        return _load_file(source_path(choice.model, "file of weights"), choice, steps)
    if choice.architecture != "auto":
        raise InputError(
            f"{choice.model!r} is a model of the catalogue, which knows its architecture.",
            "Leave --architecture out, or give the path of a file of weights.",
        )
    if choice.model in video_cards():
        raise ModelNotFound(
            f"{choice.model} is a model for clips: it needs the frames before.",
            "Choose a model for pictures, or give the clip to: gossamer video.",
        )
    from gossamer.weights import store

    choice = in_bytes_where_faster(choice, announce, steps)
    try:
        chosen = store.choose(
            ModelChoice.of(choice, runtime=runtime_for_files(choice)),
            device=patiently(lambda: likely_device(choice.device, choice.runtime), steps),
            progress=steps.part(0.0, 0.9),
            announce=announce or _log.warning,
        )
    except ModelNotFound:
        if "," in choice.model:
            raise InputError(
                f"{choice.model!r} names several models.", "Load them with load_models, which combines their masks."
            ) from None
        _check_kind_of(choice.model)
        raise
    if choice.model == "auto":
        (announce or _log.info)(f"Model {chosen.reason}")
    return model_of(chosen.weights, choice, progress=steps.part(0.9, 1.0))


def model_of(
    weights: Weights,
    choice: ModelChoice | None = None,
    *,
    progress: ProgressCallback | Progress | None = None,
    **settings: Any,
) -> SegmentationModel:
    """Load a model of the catalogue from weights that are on this machine.

    Parameters
    ----------
    weights : Weights
        What the store found or fetched; what its file differs in from others of its model is respected.
    choice : ModelChoice, optional
        Where and how it runs.
    progress, **settings
        As for :func:`load_model`.

    Returns
    -------
    SegmentationModel

    Raises
    ------
    InputError, ModelError, DeviceError, MissingExtra
        As :func:`load_model`.
    """
    choice = ModelChoice.of(choice, **settings)
    card, variant = weights.card, weights.variant
    steps = Progress.of(progress)
    file = _File(weights.path, variant.runtime, card.network, card.output.index, variant.rename)
    runtimes = _able(variant.runtimes if card.network else (variant.runtime,))
    # The first use of a runtime imports it, torch for seconds.
    plan = patiently(lambda: planned(runtimes, choice, card.bfloat16), steps)
    if plan.native:
        plan = _fastest(file, plan, openvino_may_serve(plan, runtimes, choice), card, steps)
    output = card.output
    if variant.activation is not None and (variant.runtime == "torch") == (plan.runtime == "torch"):
        output = replace(output, activation=variant.activation)
    file = replace(file, runtime=plan.runtime)
    if plan.precision == "int8":
        file = replace(file, path=require_quantised(card, steps).path, output=0)
    return _model(card.id, _Loader(file, plan, choice.compile), (card.input, output), steps, weights.warnings)


def in_bytes_where_faster(
    choice: ModelChoice, announce: Callable[[str], object] | None = None, progress: Progress | None = None
) -> ModelChoice:
    """Return a choice of the best model that was made in int8 here, where ``auto`` shall be fast on the processor.

    Parameters
    ----------
    choice : ModelChoice
        Returned as it is where it asks for something else, or nothing was made in int8.
    announce : callable, optional
        Told of a damaged one: nobody asked for it.
    progress : Progress, optional
        Called while files are looked at; what it raises passes through.
    """
    asked = choice.model, choice.quality, choice.precision, choice.subject
    anywhere = choice.runtime in ("auto", "openvino") and choice.device in ("auto", "cpu")
    if asked != ("auto", "fast", "auto", "any") or not anywhere or not is_installed("openvino") or not has_int8():
        return choice
    steps = progress or Progress()
    if patiently(lambda: likely_device(choice.device, choice.runtime), steps) != "cpu":
        return choice
    from gossamer.weights import store
    from gossamer.weights.choice import ranking

    folders = tuple(Path(folder) for folder in choice.folders)
    for card in ranking("balanced", "any", "cpu", "onnx").fitting:
        try:
            if find_quantised(card, steps) and store.look(card, extra_folders=folders, runtime="onnx")[0]:
                _log.info("Model %s: the best that is fast here, in int8.", card.id)
                return ModelChoice.of(choice, model=card.id, precision="int8")
        except ModelIntegrityError as error:
            (announce or _log.warning)(f"{error.message} {error.remedy}")
    return choice


def load_models(
    choice: ModelChoice | str = "auto",
    *,
    progress: ProgressCallback | Progress | None = None,
    announce: Callable[[str], object] | None = None,
    **settings: Any,
) -> SegmentationModel | Ensemble:
    """Load one model, or several that work together.

    Parameters
    ----------
    choice : ModelChoice or str
        As for :func:`load_model`; its model may be several with commas between them, whose masks are combined as it
        says. Its architecture counts for the files among them.
    progress, announce, **settings
        As for :func:`load_model`.

    Returns
    -------
    SegmentationModel or Ensemble

    Raises
    ------
    GossamerError
        As :func:`load_model`, and InputError for a name between commas that is empty, or there twice.
    """
    choice = _choice(choice, settings, announce)
    models = choice.model
    # A file may have a comma in its name.
    names = [models] if _is_file(models) and os.path.isfile(expanded(models)) else models.split(",")
    names = [name.strip() for name in names]
    if not all(names):
        raise InputError(f"{models!r} names no model in one place.", "Give ids with single commas between them.")
    if twice := [name for number, name in enumerate(names) if name in names[:number]]:
        raise InputError(f"The model {twice[0]} is named twice.", "Name each once: with itself it makes no other mask.")
    steps = Progress.of(progress)
    loaded = [
        load_model(
            choice,
            model=name,
            architecture=choice.architecture if len(names) == 1 or _is_file(name) else "auto",
            progress=steps.part(number / len(names), (number + 1) / len(names)),
            announce=announce,
        )
        for number, name in enumerate(names)
    ]
    return loaded[0] if len(loaded) == 1 else Ensemble(loaded, choice.combine)


@dataclass(frozen=True)
class _File:
    """A file of weights and what its runtime must know of it."""

    path: Path
    runtime: Runtime
    network: str | None
    output: int
    rename: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class _Loader:
    """What it takes to make a network: called when it is loaded, and again after it was unloaded."""

    file: _File
    plan: Plan
    compile: bool = False

    def check(self) -> None:
        """Raise for what cannot go together: nothing that is loaded makes way for it."""
        precision = self.plan.precision
        if self.file.runtime == "onnx" and precision not in ("auto", "float32"):
            other = "--runtime torch"
            if precision == "bfloat16":
                other = "have OpenVINO run it. Type: pip install 'gossamer[openvino]'"
            raise DeviceError(
                "ONNX Runtime runs models in the precision that they are stored in.",
                f"Choose the precision auto or float32, or {other}.",
            )
        if self.file.runtime != "torch":
            if self.compile:
                raise InputError("ONNX models are not compiled.", "Leave --compile out, or choose --runtime torch.")
        elif self.file.network is None:
            raise InputError(f"There is no torch network for {self.file.path.name}.", "Choose --runtime onnx.")

    def __call__(self, progress: Progress) -> Network:
        progress(0.0, "Loading the model")
        return patiently(self.load, progress)

    def load(self) -> Network:
        """Load the network."""
        network = self._loaded()
        if self.plan.device != "auto" or network.device == "cpu":
            return network
        return UntilItRuns(network, replace(self, plan=replace(self.plan, device="cpu"))._loaded)

    def _loaded(self) -> Network:
        file, plan = self.file, self.plan
        if file.runtime == "openvino":
            from gossamer.networks.openvino_network import OpenVinoNetwork

            return OpenVinoNetwork(file.path, plan.device, plan.precision, file.output, home() / "compiled")
        if file.runtime == "onnx" or file.network is None:
            from gossamer.networks.prepared_graph import prepared_folder

            if plan.native and plan.device == "cpu":
                from gossamer.networks.native_network import NativeNetwork

                if network := NativeNetwork.opened(file.path, file.output, prepared_folder()):
                    return network
            from gossamer.networks.onnx_network import OnnxNetwork

            return OnnxNetwork(file.path, plan.device, file.output, prepared_folder())
        from gossamer.networks.torch_network import TorchNetwork

        return TorchNetwork(
            file.path,
            file.network,
            device=plan.device,
            precision=plan.precision,
            rename=file.rename,
            compile=self.compile,
        )


def _able(runtimes: tuple[Runtime, ...]) -> tuple[Runtime, ...]:
    """Return all that can run a file that these can run: OpenVINO takes what ONNX Runtime takes."""
    return (*runtimes, "openvino") if "onnx" in runtimes else runtimes


def _fastest(file: _File, plan: Plan, openvino: bool, card: ModelCard, progress: Progress) -> Plan:
    """Return a plan with what runs a model fastest here of all that may serve, by a measurement.

    Nothing is measured where our own kernels are known to be fastest or nothing else may serve, nor where it would take
    long.
    """
    plans = {"onnx": plan}
    if plan.native and unmeasured() and runs_layers():
        plans = {"onnx": replace(plan, native=False), "native": plan}
    if openvino:
        plans["openvino"] = replace(plan, runtime="openvino", native=False)
    if len(plans) == 1 or COST[card.cost] > COST["small"] or card.input.size is None:
        return plans["onnx"]
    loaders = {name: _Loader(replace(file, runtime=each.runtime), each).load for name, each in plans.items()}
    return plans[measured_faster(file.path, card.input.size, loaders, progress)]


def _model(
    name: str,
    loader: _Loader,
    spec: tuple[InputSpec, OutputSpec],
    progress: Progress,
    warnings: tuple[str, ...] = (),
) -> SegmentationModel:
    loader.check()
    status = loader.file.path.stat()  # another file under the same name is another network
    key = ("segmentation", loader, status.st_mtime_ns, status.st_size)
    network = Loadable(key, loader, 2 * status.st_size)  # weights as they lie in the file, and once more in use
    return SegmentationModel(name, network, spec, warnings, progress=progress)


def _choice(choice: ModelChoice | str, settings: Mapping[str, Any], announce: object) -> ModelChoice:
    """Check what a caller gave: here a model that is None is a mistake, not the default."""
    check_call(announce, "announce", "announce(sentence)")
    return ModelChoice.of(**{"model": None, **settings}) if choice is None else ModelChoice.of(choice, **settings)


def _is_file(model: str) -> bool:
    return model.lower().endswith(_SUFFIXES) or "/" in model or "\\" in model


def _check_kind_of(model: str) -> None:
    """Refuse, by a sentence of its own, the name of a model that waits for a prompt."""
    if model in {*PROMPT_MODELS, *(card.id for card in folder_cards() if card.task == "prompting")} - {"auto"}:
        raise ModelNotFound(
            f"{model} finds what a prompt means, and is no model that works without one.",
            "Give it as the prompt model, with a text, a box or a point.",
        )


def _load_file(path: Path, choice: ModelChoice, progress: Progress) -> SegmentationModel:
    architecture = None if choice.architecture == "auto" else choice.architecture
    try:
        there = path.is_file()
    except OSError as error:
        raise cannot_read(path, error) from None
    if not there:
        raise ModelNotFound(
            f"There is no model file {path}.", "Check the path, or see the catalogue: gossamer models list"
        )
    suffix = path.suffix.lower()
    if suffix not in _SUFFIXES:
        raise InputError(f"{path.name} is not a file of weights.", f"Give one that ends in {', '.join(_SUFFIXES)}.")
    if choice.runtime in ("onnx", "openvino") and suffix != ".onnx":
        raise InputError(f"{path.name} is not an .onnx file.", "Choose --runtime torch, or give an .onnx file.")
    runtimes = _able(("onnx", "torch") if suffix == ".onnx" else ("torch",))
    if choice.precision == "int8":
        raise InputError(
            f"{path.name} is not a model of the catalogue, of which one in int8 can be made.",
            "Choose another precision, or give the id of a model.",
        )
    plan = patiently(lambda: planned(runtimes, choice), progress)
    network, spec = _identified(path, architecture, plan.runtime)
    file = _File(path, plan.runtime, network, spec[1].index)
    return _model(path.stem, _Loader(file, plan, choice.compile), spec, progress)


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
    if runtime != "torch":
        return None, spec
    found = recognise_file(path)
    if found not in family.networks:  # loading as what was named says exactly what does not fit
        found = name if name in NETWORKS else card.network if card else next(iter(family.networks), None)
    return found, spec
