"""Networks in torch: weights loaded strictly, on CPU or CUDA, in the precision that was asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.errors import DeviceError, InputError, ModelError, first_line
from gossamer.networks.architectures.networks import NETWORKS
from gossamer.networks.batches import BatchSize, Exhausted
from gossamer.networks.devices import started_device
from gossamer.networks.memory import card_memory, require_memory_for
from gossamer.networks.network import Sizes
from gossamer.networks.pictures import Reading, packed
from gossamer.networks.state_dict import load_network
from gossamer.networks.torch_module import TorchModule, checked_bfloat16, placed
from gossamer.platform import available_memory
from gossamer.progress import Progress
from gossamer.settings.model_choice import PRECISIONS

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

__all__ = ["TorchNetwork"]


class TorchNetwork:
    """A network in torch.

    Parameters
    ----------
    path : Path
        Its weights: .safetensors, .pth, .pt, .ckpt or .onnx.
    network : str
        A key of :data:`~gossamer.networks.architectures.networks.NETWORKS`.
    device : {"auto", "cpu", "cuda", "mps", "xpu"}
        Where to run. What is named raises when it does not start; ``"auto"`` goes on to the next and says so.
    precision : {"auto", "float32", "float16", "bfloat16"}
        ``"auto"``: float32 on the CPU, whatever the file's precision, and float16 on CUDA. float16 is refused
        on the CPU, which has no fast arithmetic for it.
    rename : sequence of (str, str)
        Regular expression and replacement for the file's state-dict keys; see
        :func:`~gossamer.networks.state_dict.load_network`.
    compile : bool
        Compile the network: the first run of every picture size takes a minute or more and cannot be cancelled,
        later ones are faster.

    Attributes
    ----------
    device : str
        Where it really runs, such as ``"cpu"`` or ``"cuda"``.
    precision : str
        ``"float32"``, ``"float16"`` or ``"bfloat16"``.
    warnings : tuple of str
        What its user should know.

    Raises
    ------
    ModelError
        The weights do not fit the network; the message names them.
    DeviceError
        The device or the precision cannot be had.
    InputError, ModelNotFound, MissingExtra
        Impossible arguments, no such file, no torch.
    """

    def __init__(
        self,
        path: Path,
        network: str,
        *,
        device: str = "auto",
        precision: str = "auto",
        rename: Sequence[tuple[str, str]] = (),
        compile: bool = False,
    ) -> None:
        if precision not in PRECISIONS:
            raise InputError(f"There is no precision {precision!r}.", f"Choose one of: {', '.join(PRECISIONS)}.")
        self.device, self._warnings = started_device(device)
        import torch

        spec, title = NETWORKS[network], NETWORKS[network].title

        def loaded() -> nn.Module:
            self.precision = _resolved_precision(precision, self.device, spec.half)
            module = _folded(load_network(path, network, rename))
            # Channels last is what fast convolutions read.
            how = {"dtype": getattr(torch, self.precision), "memory_format": torch.channels_last}
            return placed(module, title, self.device, **how)

        _resolved_precision(precision, self.device, spec.half)  # what cannot be had is no reason to go elsewhere
        try:
            module = loaded()
        except DeviceError as error:
            if device != "auto" or self.device == "cpu" or precision == "float16":  # which the CPU does not have
                raise
            self._warnings += (f"{error.message.rstrip('.')} on {self.device}; it runs on the CPU.",)
            self.device = "cpu"
            module = loaded()
        if device == "auto" and self.device not in ("cpu", "cuda"):
            # The younger devices of torch lack operators: seen now, not in the middle of many pictures.
            problem = _problem_there(module, self.device, self.precision, 256 if spec.any_size else 1024)
            if problem:
                self._warnings += (f"{title} does not run on {self.device} ({problem}); it runs on the CPU.",)
                self.device = "cpu"
                module = loaded()
        self._warnings += _order_warnings(module, network, path)
        # On CUDA that is also a graph of all its kernels, which the card starts as one.
        mode = "reduce-overhead" if self.device == "cuda" else "default"
        call = torch.compile(module, mode=mode) if compile else None
        self._module = TorchModule(module, title, self.device, precision=self.precision, call=call)
        self._batches = BatchSize()
        self._memory = spec.memory * getattr(torch, self.precision).itemsize // 4
        self.sizes = Sizes(spec.multiple)

    @property
    def engine(self) -> str:
        """What runs it, and in which precision."""
        return f"torch {self.precision}"

    @property
    def warnings(self) -> tuple[str, ...]:
        """What its user should know."""
        return (*self._warnings, *self._batches.warnings)

    @property
    def modules(self) -> tuple[Any, ...]:
        """Its torch module; none once it is unloaded."""
        return self._module.modules

    @property
    def bytes(self) -> int:
        """How much memory its weights take."""
        return self._module.bytes

    def run(self, batch: Array, progress: Progress) -> Array:
        """Map a batch to the network's mask, all at once, or in smaller parts where memory runs out.

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
            The network could not be run on this size, its result is not finite, or it was unloaded.
        """
        maps: Array = self._batches.run(batch, progress, self._run_part)
        if not np.isfinite(maps).all():
            raise self._no_number()
        return maps

    @property
    def takes_pictures(self) -> bool:
        """Whether pictures are brought to where it runs as they are: to a card, which does all that is done to them."""
        return self.device != "cpu"

    def read(self, pixels: NDArray[np.uint8], reading: Reading, progress: Progress) -> NDArray[np.uint8]:
        """Make on the device what is wanted of pictures: they are copied there once, and that is copied back once.

        Parameters
        ----------
        pixels : (N, H, W, 3) uint8
        reading : Reading
            What is wanted.
        progress : Progress
            As for :meth:`run`.

        Returns
        -------
        (N, …) uint8
            For :func:`~gossamer.networks.pictures.unpacked`.

        Raises
        ------
        DeviceError, ModelError
            As :meth:`run`.
        """
        wide = sum(plane.bytes for plane in reading.planes)
        rows: NDArray[np.uint8] = self._batches.run(
            pixels, progress, lambda part, steps: self._read_part(part, reading, steps), pixels.shape[1:3]
        )
        if not rows[:, wide].all():
            raise self._no_number()
        return rows

    def _no_number(self) -> ModelError:
        return ModelError(
            f"The model's prediction in {self.precision} is not a number.",
            "Fetch its weights again." if self.precision == "float32" else "Choose --precision float32.",
        )

    def unload(self) -> None:
        """Free the memory that the network holds, once nothing runs on it; it cannot be run any more."""
        self._module.unload()

    def _run_part(self, part: Array, progress: Progress) -> Array:
        import torch

        count, _, height, width = part.shape
        self._require_room(count, height, width)

        def work(forward: Callable[[Any], Any]) -> Array:
            pixels = torch.from_numpy(np.require(part, np.float32, ["C", "W"])).to(self.device)
            maps: Array = self._forward(forward, pixels).cpu().numpy()
            return maps

        return self._module.run(work, progress, f"pictures of {width} x {height}")

    def _read_part(self, part: NDArray[np.uint8], reading: Reading, progress: Progress) -> NDArray[np.uint8]:
        import torch

        def work(forward: Callable[[Any], Any]) -> NDArray[np.uint8]:
            sound = []

            def through(pictures: Tensor) -> Tensor:
                self._require_room(*(pictures.shape[axis] for axis in (0, 2, 3)))
                maps = self._forward(forward, pictures)
                sound.append(torch.isfinite(maps).flatten(1).all(dim=1, keepdim=True).to(torch.uint8))
                return maps

            pixels = torch.from_numpy(np.require(part, np.uint8, ["C", "W"])).to(self.device)
            planes = reading.work(pixels, through)
            rows: NDArray[np.uint8] = packed([*planes, *sound]).cpu().numpy()
            return rows

        return self._module.run(work, progress, f"pictures of {part.shape[2]} x {part.shape[1]}")

    def _forward(self, forward: Callable[[Any], Any], pictures: Tensor) -> Tensor:
        """Map (n, 3, h, w) on the device to (n, h', w') float32 there."""
        import torch

        dtype: torch.dtype = getattr(torch, self.precision)
        maps: Tensor = forward(pictures.to(dtype).contiguous(memory_format=torch.channels_last)).float()
        if maps.ndim != 4 or maps.shape[:2] != (len(pictures), 1):
            raise ModelError(f"The model's output has the shape {tuple(maps.shape)}.", "Check its architecture.")
        return maps[:, 0]

    def _require_room(self, count: int, height: int, width: int) -> None:
        """Raise Exhausted where several pictures do not fit, DeviceError where the processor has no room for one."""
        on_cpu = self.device == "cpu"
        left = available_memory() if on_cpu else card_memory(self.device)
        if count > 1 and left is not None and count * height * width * self._memory > left:
            raise Exhausted
        if on_cpu:  # which gives out memory that it does not have, and ends who uses it; a card says so
            require_memory_for(height * width * self._memory, height, width)


def _folded(module: nn.Module) -> nn.Module:
    """Fold what can be folded, before the weights are rounded to a lower precision."""
    for layer in module.modules():
        fold = getattr(layer, "fold", None)
        if callable(fold):
            fold()
    return module


def _problem_there(module: nn.Module, device: str, precision: str, side: int) -> str:
    """Return what is wrong with a network on its device, by one small picture; "" where nothing is."""
    import torch

    try:
        with torch.inference_mode():
            picture = torch.zeros((1, 3, side, side), dtype=getattr(torch, precision), device=device)
            mask = module(picture.contiguous(memory_format=torch.channels_last))
            return "" if bool(torch.isfinite(mask).all()) else "its mask is not a number"
    except (RuntimeError, TypeError, ValueError) as error:  # NotImplementedError is a RuntimeError
        return first_line(error)


def _order_warnings(module: nn.Module, network: str, path: Path) -> tuple[str, ...]:
    """Say where weights showed that they were trained with patches in another order than their network's."""
    spec = NETWORKS[network]
    if spec.module != "birefnet":
        return ()
    shown, named = module.get_submodule("decoder").patches, spec.arguments[1]
    if shown == named:
        return ()
    return (
        f"The weights in {path.name} show that they were trained with the picture's patches in {shown}, not in "
        f"{named} as the network {network} has them: they run in {shown}.",
    )


def _resolved_precision(precision: str, device: str, half: bool) -> str:
    if precision == "auto":
        return "float16" if device == "cuda" and half else "float32"
    if precision == "int8":
        raise DeviceError("torch runs nothing in int8.", "Choose another precision, or the runtime openvino.")
    if precision == "float16" and device == "cpu":
        raise DeviceError(
            "float16 does not run on the CPU.",
            "Choose --precision auto or float32 (weights stored in half precision are fine), or --device cuda.",
        )
    if precision == "float16" and not half:
        raise DeviceError("This model was never proved in float16.", "Choose --precision bfloat16 or float32.")
    if precision == "bfloat16" and device == "cuda":
        checked_bfloat16()
    return precision
