"""ONNX models through ONNX Runtime, with the provider verified and runs that can be cancelled."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from pathlib import Path

import numpy as np

from gossamer.arrays import Array
from gossamer.errors import DeviceError, ModelError
from gossamer.progress import Progress
from gossamer.runtime.devices import resolve_device
from gossamer.threads import thread_count

__all__ = ["OnnxNetwork"]

_POLL = 0.05  # seconds between looks at a running inference; progress is promised ten times a second


class OnnxNetwork:
    """A network stored as ONNX.

    Parameters
    ----------
    path : Path
        The .onnx file.
    device : {"auto", "cpu", "cuda"}
        Where to run. ``"cuda"`` raises when CUDA does not start; ``"auto"`` falls back to the CPU and says so.
    output : int
        Which of the outputs is the mask.

    Raises
    ------
    ModelError
        The file is no ONNX model or does not take one batch of RGB pictures.
    DeviceError
        CUDA was asked for and cannot be had.
    """

    def __init__(self, path: Path, device: str = "auto", output: int = 0) -> None:
        import onnxruntime

        wanted = resolve_device(device)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = thread_count()
        options.log_severity_level = 3
        # Spinning threads burn the cores of whoever comes next, and a plan for one contiguous arena holds a second
        # copy of every activation; neither makes a run here faster.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.enable_mem_pattern = False
        providers = ["CUDAExecutionProvider"] if wanted == "cuda" else []
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=[*providers, "CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's exceptions share no base class
            raise ModelError(
                f"{path.name} is not a model that ONNX Runtime can load ({_first_line(error)}).",
                "Fetch it again with: gossamer models get ID --force",
            ) from None
        self.device = "cuda" if self._session.get_providers()[0] == "CUDAExecutionProvider" else "cpu"
        self.warnings: tuple[str, ...] = ()
        if self.device != wanted:
            problem = "CUDA could not be started"
            if device == "cuda":
                raise DeviceError(
                    f"{problem}.", "Check the driver and the CUDA and cuDNN versions with: gossamer doctor"
                )
            self.warnings = (f"{problem}; the model runs on the CPU.",)
        self._input = self._session.get_inputs()[0]
        if len(self._session.get_inputs()) != 1 or len(self._input.shape) != 4:
            raise ModelError(
                f"{path.name} does not take one batch of pictures.",
                "Give a segmentation model of a known architecture.",
            )
        self._output = self._session.get_outputs()[output].name

    def run(self, batch: Array, progress: Progress) -> Array:
        """Map (N, 3, h, w) float32 to the mask output, (N, h', w') float32, picture by picture.

        `progress` is called while the network runs; what it raises stops the run and passes through.
        """
        maps = []
        for i in range(len(batch)):
            maps.append(self._run_one(batch[i : i + 1], progress.part(i / len(batch), (i + 1) / len(batch))))
        return np.concatenate(maps)

    def _run_one(self, picture: Array, progress: Progress) -> Array:
        import onnxruntime

        options = onnxruntime.RunOptions()
        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(self._session.run, [self._output], {self._input.name: picture}, options)
            try:
                while True:
                    try:
                        result = future.result(timeout=_POLL)[0]
                        break
                    except FutureTimeout:
                        progress.tick()
            except BaseException as error:
                options.terminate = True  # the pool's exit waits until the run has noticed
                if type(error).__module__.startswith("onnxruntime"):
                    raise ModelError(
                        f"The model could not be run ({_first_line(error)}).",
                        "Check that the file fits the architecture that was named.",
                    ) from None
                raise
        array = np.asarray(result, dtype=np.float32)
        if array.ndim == 4 and array.shape[1] == 1:
            array = array[:, 0]
        if array.ndim != 3:
            raise ModelError(f"The model's output has the shape {array.shape}.", "Give a model that predicts one mask.")
        return array


def _first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return text[0][:200] if text else type(error).__name__
