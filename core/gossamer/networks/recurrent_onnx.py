"""Recurrent video matting in ONNX: a frame and what is remembered in, alpha and what is remembered out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.errors import DeviceError, ModelError, first_line, is_lack_of_memory, memory_remedy
from gossamer.networks.batches import one_thread, watched
from gossamer.networks.devices import failed_run
from gossamer.networks.onnx_session import CPU, is_of_a_run, open_session, session_options, started_session
from gossamer.networks.recurrence import Recurrence, planes_of
from gossamer.parallel.forks import PerProcess
from gossamer.progress import Progress
from gossamer.telemetry import onnxruntime

__all__ = ["RecurrentOnnx"]

_INPUTS = ("src", "r1i", "r2i", "r3i", "r4i", "downsample_ratio")
_OUTPUTS = ("fgr", "pha", "r1o", "r2o", "r3o", "r4o")
_WANTED = _OUTPUTS[1:]  # its colours differ from the picture's also where nothing shows through: edges get others later


class RecurrentOnnx:
    """RVM as its authors export it: inputs src, r1i to r4i and downsample_ratio; outputs fgr, pha, r1o to r4o.

    Parameters
    ----------
    path : Path
        The .onnx file.
    device : str
        As for :class:`~gossamer.networks.onnx_network.OnnxNetwork`.

    Raises
    ------
    ModelError
        The file is no ONNX model, or another one.
    DeviceError
        A device was asked for and cannot be had.
    """

    def __init__(self, path: Path, device: str = "auto") -> None:
        self._path, self._asked = path, device
        self.warnings: tuple[str, ...] = ()
        self.bytes = path.stat().st_size
        self.modules: tuple[Any, ...] = ()  # its weights are ONNX Runtime's
        session = self._opened()
        names = tuple(one.name for one in session.get_inputs()), tuple(one.name for one in session.get_outputs())
        if names != (_INPUTS, _OUTPUTS):
            raise ModelError(
                f"{path.name} is no network of Robust Video Matting.", "Give the file that its authors export."
            )
        self._type = np.float16 if session.get_inputs()[0].type == "tensor(float16)" else np.float32
        self._session: PerProcess[Any] | None = PerProcess(self._opened, session)
        self._thread = PerProcess(one_thread)

    def run(
        self, frame: NDArray[np.generic], remembered: Recurrence, ratio: float, progress: Progress
    ) -> tuple[Array, Recurrence]:
        """Matte one frame.

        Parameters
        ----------
        frame : (H, W, 3) uint8 or float32
            RGB, of 255 or in [0, 1].
        remembered : Recurrence
            What the frame before gave.
        ratio : float
            How small the network sees the frame, in (0, 1].
        progress : Progress
            Called while it runs; what it raises stops the run and passes through.

        Returns
        -------
        alpha : (H, W) float32
        remembered : Recurrence

        Raises
        ------
        ModelError, DeviceError
            It cannot be run; memory does not hold it.
        """
        own = self._session
        if own is None:
            raise ModelError("The model was unloaded.", "Load it again.")
        session, options = own(), onnxruntime().RunOptions()
        height, width = frame.shape[:2]
        fitting = remembered.fitting(height, width)
        states = fitting.states or tuple(np.zeros((1, 1, 1, 1), np.float32) for _ in range(4))
        feeds = {
            "src": planes_of(frame).astype(self._type, copy=False),
            "downsample_ratio": np.array([ratio], np.float32),
        }
        feeds |= {name: state.astype(self._type) for name, state in zip(_INPUTS[1:5], states, strict=True)}

        def stop() -> None:
            options.terminate = True

        try:
            found = watched(lambda: session.run(_WANTED, feeds, options), progress, stop, thread=self._thread())
        except Exception as error:
            if not is_of_a_run(error):
                raise
            if is_lack_of_memory(error):
                raise DeviceError(
                    f"There is not enough memory to run this model on frames of {width} x {height}.",
                    memory_remedy("Give a smaller size or working ratio."),
                ) from None
            raise failed_run(first_line(error), self.device, "Try another working ratio.") from None
        alpha, *after = (np.asarray(one, dtype=np.float32) for one in found)
        return alpha[0, 0], Recurrence(tuple(after), (height, width))

    def unload(self) -> None:
        """Free the memory that the network holds."""
        self._session = None

    def _opened(self) -> Any:
        def on_cpu() -> Any:
            return open_session(self._path, session_options(), [CPU])

        session, self.device, self.warnings = started_session(self._path, self._asked, session_options, on_cpu)
        return session
