"""Pictures that clients have opened: their numbers, the subject's mask, and how many may lie here."""

from __future__ import annotations

import threading
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gossamer.errors import InputError, WorkerError, memory_remedy
from gossamer.platform import available_memory, physical_memory
from gossamer.worker.brushing import Patch
from gossamer.worker.requests import OpenRequest

if TYPE_CHECKING:
    from gossamer.image import Image
    from gossamer.session import Session

__all__ = ["DTYPES", "Found", "OpenedPicture", "Shelf", "from_unit"]

DTYPES: dict[str, type[Any]] = {"u8": np.uint8, "u16": np.uint16, "float32": np.float32}

_OWN = 4  # pictures that one client may have open
_PART = 3  # of the machine's memory, one part may be pictures
_FALLBACK = 6 << 30  # bytes of memory where the system does not tell
_STRIP = 1 << 17  # numbers that are converted at a time
_FLOATS = 16  # bytes a pixel that a picture comes to need besides its own: mask, colours as floats, previews


class Shelf:
    """How much memory opened pictures take, of all clients together."""

    def __init__(self) -> None:
        self._room = (physical_memory() or _FALLBACK) // _PART
        self._taken = 0
        self._changing = threading.Lock()

    def take(self, request: OpenRequest, already: int) -> int:
        """Reserve room for a picture before its bytes are received; return how much.

        Parameters
        ----------
        request : OpenRequest
        already : int
            How many pictures its client has open.

        Raises
        ------
        WorkerError
            There is no room for it.
        """
        if already >= _OWN:
            raise WorkerError(f"A client has {already} pictures open, the most that there can be.", "Close one.")
        wanted = request.payload + _FLOATS * request.width * request.height
        free = available_memory()
        if free is not None and wanted > free:
            raise WorkerError(
                "There is not enough memory for this picture.", memory_remedy("Close programs, or scale it down.")
            )
        with self._changing:
            if self._taken and self._taken + wanted > self._room:
                raise WorkerError("Too many large pictures are open at once.", "Finish with another one first.")
            self._taken += wanted
        return wanted

    def give_back(self, room: int) -> None:
        """Return what :meth:`take` reserved."""
        with self._changing:
            self._taken -= room


@dataclass(frozen=True)
class Found:
    """A subject's mask and where it is from.

    Attributes
    ----------
    mask : (H, W) float32
        1 = foreground.
    model, device : str
        As for :class:`gossamer.Report`.
    seconds : dict of str to float
    warnings : tuple of str
    hints : (H, W) float32 or None
        What the user marked: 1 is foreground, 0 background, between nothing.
    solved : bool
        The mask is a matte already: nothing is solved at its edge.
    """

    mask: NDArray[np.float32]
    model: str = ""
    device: str = "cpu"
    seconds: dict[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    hints: NDArray[np.float32] | None = None
    solved: bool = False


class OpenedPicture:
    """One picture of a client, read once.

    Parameters
    ----------
    request : OpenRequest
    data : (N,) uint8
        Its rows.

    Attributes
    ----------
    image : Image
        What the library sees of it.
    own_alpha : (H, W) array or None
        Its alpha as it came, where the client multiplies it itself.
    beyond : (H, W, 3) float32 or None
        What of the colours lies outside [0, 1] (highlights, wide gamut): cut off for the models only.
    found : Found or None
        The subject's mask that was asked for last.
    kept : dict
        What previews have computed, by what it depends on.
    patches : list of Patch
        What the brush had solved again.
    shown : (H, W) uint8 or None
        The preview that the client has, where it asks for changes.
    session : Session or None
        What prompted models remember of it.

    Raises
    ------
    InputError
        The picture holds numbers that are not finite, or is larger than the library takes.
    """

    def __init__(self, request: OpenRequest, data: NDArray[np.uint8]) -> None:
        from gossamer.image import Image, read_image
        from gossamer.image.limits import check_size

        self.request = request
        pixels = np.frombuffer(data, DTYPES[request.dtype]).reshape(request.height, request.width, request.channels)
        keep = request.existing_alpha == "keep"
        given = pixels[..., :3] if keep else pixels
        self.beyond: NDArray[np.float32] | None = None
        if request.dtype == "float32":
            unit = _to_unit(given)
            beyond = given[..., :3] - unit[..., :3]
            self.beyond = beyond if beyond.any() else None
            given = unit
        # Whole numbers stay what they are: bytes take a quarter of the memory. Floats are a host's own.
        if given.dtype == np.uint8 and given.shape[2] == 3:
            check_size(request.width, request.height, "The picture")
            colours = np.ascontiguousarray(given)  # nobody else has them: another copy would be for nothing
            colours.flags.writeable = False
            self.image: Image = Image(colours)
        else:
            self.image = read_image(given)
        self.own_alpha = pixels[..., 3].copy() if keep and request.channels == 4 else None
        self.found: Found | None = None
        self.wish: Hashable = None
        self.kept: dict[Hashable, Any] = {}
        self.patches: list[Patch] = []
        self.shown: NDArray[np.uint8] | None = None
        self.session: Session | None = None

    def close(self) -> None:
        """Free what models take that were needed for it alone."""
        if self.session is not None:
            self.session.unload()
            self.session = None

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.request.height, self.request.width

    def plane(self, data: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return a plane of bytes as (H, W) float32 in [0, 1]."""
        return np.frombuffer(data, np.uint8).reshape(self.shape).astype(np.float32) / np.float32(255)

    def see(self, wish: Hashable, found: Found) -> None:
        """Remember the mask that a wish led to, and forget what depended on the last one."""
        self.wish, self.found = wish, found
        self.kept = {key: value for key, value in self.kept.items() if key == "small"}
        self.patches = []

    def sought(self) -> Found:
        """Return the mask; raises InputError where none was asked for yet."""
        if self.found is None:
            raise InputError("The picture has no mask yet.", "Ask for one first.")
        return self.found


def _to_unit(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return floats clipped to [0, 1]; raises InputError where one is NaN or infinite."""
    if not np.isfinite(pixels).all():
        raise InputError(
            "The picture holds numbers that are not finite.",
            "Repair it, or change it to 8 or 16 bits a channel.",
        )
    unit: NDArray[np.float32] = np.clip(pixels, 0, 1)
    return unit


def from_unit(values: NDArray[np.float32], dtype: str) -> NDArray[Any]:
    """Return float32 in [0, 1] as `dtype`, rounded to the nearest."""
    if dtype == "float32":
        return values.astype(np.float32, copy=False)
    kind = DTYPES[dtype]
    result = np.empty(values.shape, kind)
    rows = max(1, _STRIP // max(1, values[0].size)) if len(values) else 1
    for top in range(0, len(values), rows):  # what is between stays in the processor's cache
        scaled = values[top : top + rows] * np.float32(np.iinfo(kind).max)
        scaled += np.float32(0.5)
        result[top : top + rows] = scaled  # cut off, which rounds
    return result
