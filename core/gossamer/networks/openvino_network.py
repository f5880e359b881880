"""ONNX models through OpenVINO: on processors in float32, bfloat16 or int8, on Intel's graphics and NPUs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gossamer.arrays import Array
from gossamer.errors import DeviceError, ModelError, is_lack_of_memory, memory_remedy
from gossamer.native.processor import has_bfloat16
from gossamer.networks.batches import BatchSize, Exhausted, filled_up, one_mask, one_thread, watched
from gossamer.networks.busy import is_busy
from gossamer.networks.devices import device_kind, failed_run, resolve_device
from gossamer.networks.network import Sizes
from gossamer.parallel.forks import PerProcess
from gossamer.parallel.threads import thread_count
from gossamer.platform import return_memory
from gossamer.progress import Progress
from gossamer.telemetry import openvino

__all__ = ["OpenVinoNetwork"]

_HINTS = {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}


class OpenVinoNetwork:
    """A network stored as ONNX, or made of such a file in 8-bit integers, run by OpenVINO.

    Parameters
    ----------
    path : Path
        The .onnx file; for int8 the .xml file that :func:`gossamer.networks.quantised_graph.quantise_graph` wrote.
    device : {"auto", "cpu", "openvino:GPU", "openvino:NPU"}
        Where to run. ``"auto"`` is the processor.
    precision : {"auto", "float32", "float16", "bfloat16", "int8"}
        ``"auto"``: float32 on the processor, and what OpenVINO chooses elsewhere. ``"int8"``: what of the file is not
        in integers runs in bfloat16 where the processor has it, else in float32.
    output : int
        Which of the outputs is the mask.
    cache : Path, optional
        A folder for what is compiled, so that the next start is faster; made where it is missing.

    Attributes
    ----------
    device : str
        ``"cpu"``, ``"openvino:GPU"`` or ``"openvino:NPU"``.
    precision : str
        What it runs in, as OpenVINO says after compiling.

    Raises
    ------
    ModelError
        The file is no ONNX model or does not take one batch of RGB pictures.
    DeviceError
        The device or the precision cannot be had.
    MissingExtra
        OpenVINO is not installed.
    """

    def __init__(
        self,
        path: Path,
        device: str = "auto",
        precision: str = "auto",
        output: int = 0,
        cache: Path | None = None,
    ) -> None:
        self.device = resolve_device(device, "openvino")
        if self.device == "cpu" and precision == "float16":
            raise DeviceError("float16 does not run on the CPU.", "Choose --precision auto, float32 or bfloat16.")
        if self.device == "cpu" and precision == "bfloat16" and not has_bfloat16():
            raise DeviceError("This processor has no bfloat16.", "Choose --precision auto or float32.")
        if self.device == "cpu" and precision == "auto":
            precision = "float32"
        self._whole = precision == "int8"
        if self._whole:
            precision = "bfloat16" if has_bfloat16() else "float32"
        self._path, self._cache, self._hint = path, cache, _HINTS.get(precision)
        self._warnings: tuple[str, ...] = ()
        weights = path.with_suffix(".bin") if self._whole else path
        self._bytes = weights.stat().st_size
        compiled = self._compiled()
        self._requests: PerProcess[Any] | None = PerProcess(
            lambda: self._compiled().create_infer_request(), compiled.create_infer_request()
        )
        if len(compiled.inputs) != 1 or len(compiled.inputs[0].partial_shape) != 4:
            raise ModelError(
                f"{path.name} does not take one batch of pictures.",
                "Give a segmentation model of a known architecture.",
            )
        names = {value: key for key, value in _HINTS.items()}
        kinds = {"float": "float32", "float32": "float32", "float16": "float16", "bfloat16": "bfloat16"}
        said = str(compiled.get_property("INFERENCE_PRECISION_HINT")).strip("<>").replace("Type: ", "").strip("'")
        self.precision = "int8" if self._whole else kinds.get(said, names.get(self._hint or "", "float32"))
        self._type = compiled.inputs[0].element_type.to_dtype()
        self._output = range(len(compiled.outputs))[output]
        size = compiled.inputs[0].partial_shape[0]
        sides = compiled.inputs[0].partial_shape[2:]
        fixed = not any(side.is_dynamic for side in sides)
        self.sizes = Sizes(only=(sides[0].get_length(), sides[1].get_length()) if fixed else None)
        self._fixed = 0 if size.is_dynamic else int(size.get_length())
        self._batches = BatchSize(self._fixed or None)
        self._thread = PerProcess(one_thread)

    @property
    def engine(self) -> str:
        """What runs it, and in which precision."""
        return f"openvino {self.precision}"

    @property
    def warnings(self) -> tuple[str, ...]:
        """What its user should know."""
        return (*self._warnings, *self._batches.warnings)

    @property
    def modules(self) -> tuple[Any, ...]:
        """None: its weights are OpenVINO's."""
        return ()

    @property
    def bytes(self) -> int:
        """About how much memory its weights take: what their file does."""
        return self._bytes

    def run(self, batch: Array, progress: Progress) -> Array:
        """Map a batch to the mask output, in smaller parts where the graph or memory wants it.

        Parameters
        ----------
        batch : (N, 3, h, w) float32
            Normalised as the network's authors do.
        progress : Progress
            Called while the network runs; what it raises stops the run and passes through.

        Returns
        -------
        (N, h', w') float32

        Raises
        ------
        DeviceError
            Memory does not hold even one picture.
        ModelError
            The graph does not take this size, its output is no mask, or the model was unloaded.
        """
        own = self._requests
        if own is None:
            raise ModelError("The model was unloaded.", "Load it again.")
        request = own()
        return self._batches.run(batch, progress, lambda part, steps: self._run_part(request, part, steps))

    def unload(self) -> None:
        """Free the memory that the network holds, once nothing runs on it; it cannot be run any more."""
        self._requests = None

    def _compiled(self) -> Any:
        """Return the model, compiled for its device; from the cache where that has it."""
        settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
        if self.device == "cpu":
            settings["INFERENCE_NUM_THREADS"] = thread_count()
        if self._hint:
            settings["INFERENCE_PRECISION_HINT"] = self._hint
        if self._cache is not None and _is_writable(self._cache):
            settings["CACHE_DIR"] = str(self._cache)
        package = openvino()
        # Asked first: a file that is no ONNX it would offer to all its readers, which write to the terminal.
        kind = "ir" if self._whole else "onnx"
        if not package.frontend.FrontEndManager().load_by_framework(kind).supported(str(self._path)):
            raise ModelError(
                f"{self._path.name} is not a model that OpenVINO can load.",
                "Fetch it again with: gossamer models get ID --force",
            )
        name = device_kind(self.device).openvino
        try:  # by its path: what is compiled already is then found without reading the model
            return package.Core().compile_model(str(self._path), name, settings)
        except RuntimeError as error:
            if is_lack_of_memory(error):
                raise DeviceError(
                    f"There is not enough memory to load {self._path.name}.",
                    memory_remedy("Free memory, or choose a smaller model."),
                ) from None
            raise DeviceError(
                f"OpenVINO could not compile {self._path.name} for {name} ({_last_line(error)}).",
                "Check the driver, or choose --runtime onnx.",
            ) from None
        finally:
            return_memory()

    def _run_part(self, request: Any, part: Array, progress: Progress) -> Array:
        count = len(part)
        pictures = filled_up(np.ascontiguousarray(part, self._type), self._fixed)

        def work() -> Array:
            request.infer([pictures], share_inputs=True)
            return np.array(request.get_output_tensor(self._output).data, np.float32)

        try:
            result = watched(work, progress, request.cancel, thread=self._thread())
        except RuntimeError as error:
            if is_lack_of_memory(error):
                raise Exhausted from None
            remedy = "Check that the file fits the architecture that was named."
            raise failed_run(_last_line(error), self.device, remedy) from None
        if self.device == "cpu" and not is_busy(part.shape[2] * part.shape[3]):
            return_memory()
        return one_mask(result[:count])


def _is_writable(folder: Path) -> bool:
    """Return whether a folder can be written to, having made it: without a cache only the start takes longer."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


def _last_line(error: BaseException) -> str:
    """Return what OpenVINO says at last: before it come the places in its source."""
    text: Sequence[str] = [line for line in str(error).strip().splitlines() if line.strip()]
    return text[-1].strip()[:200] if text else type(error).__name__
