"""Models that remember on frames: their network lent, their memory passed in and out."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gossamer.arrays import Array
from gossamer.errors import DeviceError, InputError
from gossamer.networks.devices import resolve_device
from gossamer.networks.recurrence import Recurrence
from gossamer.parallel.patience import patiently
from gossamer.paths import check_readable
from gossamer.progress import Progress
from gossamer.settings import ModelChoice
from gossamer.settings.video import Video
from gossamer.video.clip import Frame
from gossamer.warm import Loadable, warm
from gossamer.weights import store
from gossamer.weights.catalogue import video_cards

__all__ = ["FIRST", "Matted", "RecurrentMatter", "resized_memory", "usual_ratio"]

_log = logging.getLogger("gossamer")

FIRST = 5
"""How often the first frame is looked at: from nothing remembered a subject fades in over some frames."""

_LONGEST = 512  # px: what RVM's authors shrink the longer side to, unless told otherwise


@dataclass(frozen=True, eq=False)
class Matted:
    """What was found in one frame.

    Attributes
    ----------
    alpha : (H, W) float32
        1 = foreground.
    remembered : Recurrence
        For the next frame.
    """

    alpha: Array
    remembered: Recurrence


class RecurrentMatter:
    """Robust Video Matting, or BiMatting.

    Raises
    ------
    InputError, ModelNotFound
        The file of weights that the settings name is not there, or none of this model's.
    GossamerError
        As :func:`gossamer.load_model`.
    """

    remembers = True

    def __init__(
        self,
        choice: ModelChoice,
        settings: Video,
        progress: Progress,
        announce: Callable[[str], object] | None,
    ) -> None:
        self.id, self._ratio = choice.model, settings.ratio
        self._network, told = _loadable(choice, settings.weights, progress, announce)
        with warm.lent(self._network, progress) as network:
            self.device: str = network.device
            self._warnings: tuple[str, ...] = (*told, *network.warnings)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What its user should know."""
        return self._warnings

    def matte(self, frame: Frame, remembered: Recurrence, progress: Progress) -> Matted:
        """Find the subject in a frame."""
        height, width = frame.pixels.shape[:2]
        ratio = self._ratio or usual_ratio(height, width)
        pixels = frame.pixels if frame.pixels.dtype == np.uint8 else frame.rgb
        with warm.lent(self._network, progress) as network:
            after = remembered.fitting(height, width)
            for _ in range(1 if after.states else FIRST):
                alpha, after = network.run(pixels, after, ratio, progress)
        return Matted(np.ascontiguousarray(alpha), after)


def usual_ratio(height: int, width: int) -> float:
    """Return how small frames are seen unless told otherwise, in (0, 1]."""
    return min(_LONGEST / max(height, width), 1.0)


def resized_memory(remembered: Recurrence, height: int, width: int, ratio: float) -> Recurrence:
    """Return what is remembered of frames as that of frames of another size, seen at the same ratio.

    Its maps are halvings of what the network saw, rounded up. Where they are not, nothing is remembered.
    """
    import cv2

    def sides(height: int, width: int, halvings: int) -> tuple[int, int]:
        part = 2**halvings
        return -(-int(height * ratio) // part), -(-int(width * ratio) // part)

    if remembered.size == (height, width) or not remembered.states:
        return remembered
    states = []
    for halvings, state in enumerate(remembered.states, 1):
        if state.shape[2:] != sides(*remembered.size, halvings):
            return Recurrence()
        down, across = sides(height, width, halvings)
        maps = [cv2.resize(one, (across, down), interpolation=cv2.INTER_LINEAR) for one in state[0]]
        states.append(np.ascontiguousarray(np.stack(maps)[None], np.float32))
    return Recurrence(tuple(states), (height, width))


@dataclass(frozen=True)
class _Loader:
    path: Path
    runtime: str
    device: str
    network: str
    native: bool

    def __call__(self, progress: Progress) -> Any:
        progress(0.0, "Loading the model")
        return patiently(self._load, progress)

    def _load(self) -> Any:
        if self.native:
            from gossamer.networks.recurrent_native import RecurrentNative

            if (network := RecurrentNative.opened(self.path)) is not None:
                return network
        if self.runtime == "onnx":
            from gossamer.networks.recurrent_onnx import RecurrentOnnx

            return RecurrentOnnx(self.path, self.device)
        from gossamer.networks.recurrent_torch import RecurrentTorch

        return RecurrentTorch(self.path, self.device, self.network)


def _loadable(
    choice: ModelChoice, own: str, progress: Progress, announce: Callable[[str], object] | None
) -> tuple[Loadable[Any], tuple[str, ...]]:
    """Return the network of a model for video, its weights fetched where needed, and what is said of them."""
    if choice.precision not in ("auto", "float32"):
        raise DeviceError(f"{choice.model} runs in float32.", "Choose the precision auto or float32.")
    if choice.compile:
        raise InputError(f"{choice.model} is not compiled.", "Leave --compile out.")
    card = video_cards()[choice.model]
    told: tuple[str, ...] = ()
    if own:
        path = Path(own)
        check_readable(path, "file of weights")
        usual = "onnx" if path.suffix.lower() == ".onnx" else "torch"
    else:
        # The store says what of a licence has to be known, also of weights that another program has fetched.
        weights = store.choose(choice, progress=progress, announce=announce or _log.warning).weights
        path, usual, told = weights.path, weights.variant.runtime, weights.warnings
    runtime = usual if choice.runtime == "auto" else choice.runtime
    if own and runtime == "onnx" and usual != "onnx":
        raise InputError(f"{path.name} is not for ONNX Runtime.", "Leave --runtime out, or choose torch.")
    resolved = resolve_device(choice.device, "onnx" if runtime == "onnx" else "torch")
    device = "cpu" if resolved == "cpu" else choice.device
    status = path.stat()
    native = (runtime, device, choice.runtime) == ("onnx", "cpu", "auto")
    loader = _Loader(path, runtime, device, card.network or "", native)
    key = ("video", loader, status.st_mtime_ns, status.st_size)
    return Loadable(key, loader, 2 * status.st_size), told
