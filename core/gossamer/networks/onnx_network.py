"""ONNX models through ONNX Runtime, with the provider verified and runs that can be cancelled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.errors import ModelError, first_line, is_lack_of_memory
from gossamer.networks.batches import BatchSize, Exhausted, filled_up, one_mask, one_thread, watched
from gossamer.networks.busy import is_busy
from gossamer.networks.devices import failed_run
from gossamer.networks.network import Sizes
from gossamer.networks.onnx_session import (
    CPU,
    is_of_a_run,
    open_session,
    session_options,
    started_session,
)
from gossamer.networks.plain_graph import without_detours
from gossamer.networks.prepared_graph import PreparedGraph
from gossamer.parallel.forks import PerProcess
from gossamer.platform import return_memory
from gossamer.progress import Progress
from gossamer.telemetry import onnxruntime

__all__ = ["OnnxNetwork"]

# What a graph's input may hold; pictures are converted to it.
_INPUT_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}


class OnnxNetwork:
    """A network stored as ONNX.

    Parameters
    ----------
    path : Path
        The .onnx file.
    device : str
        Where to run: ``"auto"`` or one of :data:`~gossamer.networks.devices.DEVICE_TABLE`. What is named raises when it
        does not start; ``"auto"`` goes on to the next, at last to the CPU, and says so.
    output : int
        Which of the outputs is the mask.
    prepared : Path, optional
        The folder of graphs that are made ready for this machine, see
        :class:`~gossamer.networks.prepared_graph.PreparedGraph`; none are without it.

    Raises
    ------
    ModelError
        The file is no ONNX model or does not take one batch of RGB pictures.
    DeviceError
        A device was asked for and cannot be had.
    MemoryError
        There is no room for its weights.
    """

    def __init__(self, path: Path, device: str = "auto", output: int = 0, prepared: Path | None = None) -> None:
        self._path, self._asked, self._prepared, self._index = path, device, prepared, output
        self._warnings: tuple[str, ...] = ()
        self._bytes = path.stat().st_size
        session = self._opened()
        # A process that was forked from this one has none of the session's threads: it opens its own.
        self._session: PerProcess[Any] | None = PerProcess(self._opened, session)
        inputs = session.get_inputs()
        if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].type not in _INPUT_TYPES:
            raise ModelError(
                f"{path.name} does not take one batch of pictures.",
                "Give a segmentation model of a known architecture.",
            )
        self._input: str = inputs[0].name
        self._type = _INPUT_TYPES[inputs[0].type]
        outputs = session.get_outputs()  # of a graph that was made plain only the mask is left
        self._output: str = outputs[output if len(outputs) > 1 else 0].name
        # A dimension that is a name or None takes any size; exporters' usual fixed batch is 1.
        size, _, *sides = inputs[0].shape
        self.sizes = Sizes(only=(sides[0], sides[1]) if all(isinstance(side, int) for side in sides) else None)
        self._batches = BatchSize(size if isinstance(size, int) else None)
        self._fixed = size if isinstance(size, int) else 0
        # Always the same thread: glibc has an arena for each, and keeps some 35 MB in every one that ran the graph.
        self._thread = PerProcess(one_thread)
        self._results: dict[tuple[int, ...], tuple[tuple[int, ...], np.dtype[Any]]] = {}  # of shapes of pictures

    @property
    def engine(self) -> str:
        """What runs it, and in which precision."""
        return f"onnx {np.dtype(self._type).name}"

    @property
    def warnings(self) -> tuple[str, ...]:
        """What its user should know."""
        return (*self._warnings, *self._batches.warnings)

    @property
    def modules(self) -> tuple[Any, ...]:
        """None: its weights are ONNX Runtime's."""
        return ()

    @property
    def bytes(self) -> int:
        """About how much memory its weights take: what their file does."""
        return self._bytes

    def run(self, batch: Array, progress: Progress) -> Array:
        """Map a batch to the mask output: at once where the graph allows it, in smaller parts where memory runs out.

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
        own = self._session
        if own is None:
            raise ModelError("The model was unloaded.", "Load it again.")
        session = own()  # whatever is unloaded meanwhile, this run keeps what it began with
        return self._batches.run(batch, progress, lambda part, steps: self._run_part(session, part, steps))

    def unload(self) -> None:
        """Free the memory that the network holds, once nothing runs on it; it cannot be run any more."""
        self._session = None
        return_memory()

    def _opened(self) -> Any:
        """Return a new session, having noted where it runs."""
        session, self.device, self._warnings = started_session(self._path, self._asked, _options, self._on_cpu)
        return_memory()  # the weights as they lay in the file, of which the session has made its own copy
        return session

    def _on_cpu(self) -> Any:
        """Return a new session on the CPU, of the graph that was made ready before where there is one."""
        kept = PreparedGraph(self._path, self._prepared, onnxruntime().__version__, self._index)
        if graph := kept.ready():
            options = _options()
            options.graph_optimization_level = onnxruntime().GraphOptimizationLevel.ORT_DISABLE_ALL
            try:
                return open_session(graph, options, [CPU])
            except ModelError:
                kept.discard()
        try:
            with kept.made_by(options := _options()):
                return open_session(self._path, options, [CPU], without_detours(self._path, self._index))
        except (ModelError, OSError):  # perhaps of the keeping: a full disk
            return open_session(self._path, _options(), [CPU])

    def _run_part(self, session: Any, part: Array, progress: Progress) -> Array:
        options = onnxruntime().RunOptions()
        options.log_severity_level = 4
        thrifty = self.device == "cpu" and not is_busy(part.shape[2] * part.shape[3])
        if thrifty:
            return_memory()  # of the stages before; who has picture after picture would only fetch it again
            # Give the activations' memory back, 450 MB for IS-Net, to the stages that come next. A first run takes
            # as long as without it; later ones a tenth to two fifths longer, as they ask the system for it again.
            options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        count = len(part)
        pictures = filled_up(part.astype(self._type, copy=False), self._fixed)

        def stop() -> None:
            options.terminate = True

        try:
            result = watched(lambda: self._output_of(session, pictures, options), progress, stop, thread=self._thread())
        except Exception as error:
            if not is_of_a_run(error):
                raise
            if is_lack_of_memory(error):
                raise Exhausted from None
            remedy = "Check that the file fits the architecture that was named."
            raise failed_run(first_line(error), self.device, remedy) from None
        if thrifty:
            return_memory()
        return one_mask(result[:count])

    def _output_of(self, session: Any, pictures: NDArray[Any], options: Any) -> NDArray[Any]:
        """Run the graph; where its output's shape is known from another run, without a place in the arena for it.

        The arena gives its memory back at the end of a run, but not the part in which the output still lies.
        """
        known = self._results.get(pictures.shape) if self.device == "cpu" else None
        if known is None:
            result: NDArray[Any] = session.run([self._output], {self._input: pictures}, options)[0]
            self._results[pictures.shape] = result.shape, result.dtype
            return result
        result = np.empty(*known)
        binding = session.io_binding()
        binding.bind_cpu_input(self._input, pictures)
        binding.bind_output(self._output, "cpu", 0, result.dtype, result.shape, result.ctypes.data)
        session.run_with_iobinding(binding, options)
        return result


def _options() -> Any:
    options = session_options()
    # A plan for one contiguous arena holds a second copy of every activation, and makes no run here faster.
    options.enable_mem_pattern = False
    return options
