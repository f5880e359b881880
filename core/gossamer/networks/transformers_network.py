"""Networks of the transformers package: where and in what precision they run, watched so that they can be stopped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from gossamer.arrays import as_rgb
from gossamer.errors import DeviceError, InputError, memory_remedy
from gossamer.networks.batches import Exhausted
from gossamer.networks.devices import started_device
from gossamer.networks.torch_module import TorchModule, checked_bfloat16, placed
from gossamer.progress import Progress
from gossamer.resampling import Pixels
from gossamer.settings.model_choice import PRECISIONS

__all__ = ["TransformersModel", "TransformersNetwork", "checked_pixels"]

_T = TypeVar("_T")


class TransformersNetwork:
    """A loaded network, on its device.

    Parameters
    ----------
    module : torch.nn.Module
        In float32; it stays so. Lower precisions are those of torch's autocast, as the authors of SAM 2 run theirs:
        layers that need float32 keep it.
    title : str
        What messages call it.
    device : {"auto", "cpu", "cuda"}
    precision : {"auto", "float32", "float16", "bfloat16"}
    automatic : {"float32", "bfloat16"}
        What ``auto`` is on CUDA; on the CPU it is float32.

    Attributes
    ----------
    device : str
        ``"cpu"`` or ``"cuda"``: where it really runs.
    precision : str
    warnings : tuple of str
        What its user should know.

    Raises
    ------
    InputError
        There is no such device or precision.
    DeviceError
        They cannot be had here, or memory does not hold the network.
    """

    def __init__(
        self, module: Any, title: str, *, device: str = "auto", precision: str = "auto", automatic: str = "float32"
    ) -> None:
        if precision not in PRECISIONS:
            raise InputError(f"There is no precision {precision!r}.", f"Choose one of: {', '.join(PRECISIONS)}.")
        self.device, self.warnings = started_device(device)
        self.precision = _resolved(precision, self.device, automatic)
        self.title = title
        # An embedding outlives its run and is read again in later ones.
        self._module = TorchModule(
            placed(module, title, self.device),
            title,
            self.device,
            precision=self.precision,
            autocast=True,
            remembers=True,
        )

    @property
    def module(self) -> Any:
        """The module itself; raises ModelError once it is unloaded."""
        return self._module.module

    def run(self, work: Callable[[Any], _T], progress: Progress) -> _T:
        """Return ``work(module)``, run on a thread of its own.

        Parameters
        ----------
        work : callable
            It may run as many layers as it likes; nothing that it returns can be trained.
        progress : Progress
            Called ten times a second and more; what it raises stops the work between two layers and passes through.

        Raises
        ------
        DeviceError
            Memory does not hold it.
        ModelError
            The network could not be run.
        """
        try:
            return self._module.run(work, progress)
        except Exhausted:
            raise DeviceError(
                f"There is not enough memory to run {self.title}.",
                memory_remedy(
                    "Free memory, choose a smaller model, or choose --device cpu where a graphics card is full."
                ),
            ) from None

    @property
    def modules(self) -> tuple[Any, ...]:
        """Its torch module; none once it is unloaded."""
        return self._module.modules

    @property
    def bytes(self) -> int:
        """How much memory its weights take."""
        return self._module.bytes

    def unload(self) -> None:
        """Free the memory that the network holds; it cannot be run any more."""
        self._module.unload()

    def tensor(self, array: Any, dtype: Any = None) -> Any:
        """Return an array or nested list as a tensor on the network's device."""
        return self._module.tensor(array, dtype)


class TransformersModel:
    """What every model around such a network tells of itself.

    Parameters
    ----------
    network : TransformersNetwork
    id : str
        What it is called.

    Attributes
    ----------
    id, device, precision : str
    """

    def __init__(self, network: TransformersNetwork, id: str) -> None:
        self.id = id
        self.device, self.precision = network.device, network.precision
        self._network = network

    @property
    def warnings(self) -> tuple[str, ...]:
        """What its user should know."""
        return self._network.warnings

    @property
    def modules(self) -> tuple[Any, ...]:
        """Its torch module; none once it is unloaded."""
        return self._network.modules

    @property
    def bytes(self) -> int:
        """How much memory its weights take."""
        return self._network.bytes

    def unload(self) -> None:
        """Free that memory; the model cannot be used any more."""
        self._network.unload()


def checked_pixels(image: ArrayLike) -> Pixels:
    """Return a checked picture, (H, W, 3); bytes stay bytes, a quarter of the memory.

    Raises
    ------
    InputError
        It has another shape or values outside [0, 1].
    """
    array = np.asarray(image)
    if array.dtype == np.uint8 and array.ndim == 3 and array.shape[2] == 3 and array.size:
        return array
    return as_rgb(image)


def _resolved(precision: str, device: str, automatic: str) -> str:
    if precision == "auto":
        precision = automatic if device == "cuda" else "float32"
        if precision == "bfloat16" and not _has_bfloat16():
            return "float32"
        return precision
    if precision == "int8":
        raise DeviceError("torch runs nothing in int8.", "Choose --precision auto, float32 or bfloat16.")
    if precision == "float16" and device == "cpu":
        raise DeviceError(
            "float16 does not run on the CPU.", "Choose --precision auto, float32 or bfloat16, or --device cuda."
        )
    if precision == "bfloat16" and device == "cuda":
        checked_bfloat16()
    return precision


def _has_bfloat16() -> bool:
    import torch

    return bool(torch.cuda.is_bf16_supported())
