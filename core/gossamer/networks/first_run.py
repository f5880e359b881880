"""A device that was found and not named: what fails there at a network's first run moves it to the processor."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.errors import DeviceError, ModelError
from gossamer.networks.network import Network, Sizes
from gossamer.networks.pictures import Reading, TakesPictures, takes_pictures
from gossamer.progress import Progress

__all__ = ["UntilItRuns"]

_T = TypeVar("_T")


class UntilItRuns:
    """A network on a device that nobody named, of which the first run has yet to show that it serves.

    A card may hold a network and not one picture in it, lack what one of its layers wants, or be gone. Where the first
    run says so, the processor takes its place, with a warning; what has run once stays where it is, so that the
    pictures of a batch are never of two devices.

    Parameters
    ----------
    network : Network
        On another device than the processor.
    on_processor : callable
        Loads it there.
    """

    def __init__(self, network: Network, on_processor: Callable[[], Network]) -> None:
        self._network, self._on_processor = network, on_processor
        self._warnings: tuple[str, ...] = ()
        self._is_proven = False
        self._moving = threading.Lock()

    @property
    def device(self) -> str:
        """Where it runs."""
        return self._network.device

    @property
    def engine(self) -> str:
        """What runs it, and in which precision."""
        return self._network.engine

    @property
    def warnings(self) -> tuple[str, ...]:
        """What its user should know."""
        return (*self._warnings, *self._network.warnings)

    @property
    def modules(self) -> tuple[Any, ...]:
        """Its torch modules, if any."""
        return self._network.modules

    @property
    def bytes(self) -> int:
        """About how much memory its weights take."""
        return self._network.bytes

    @property
    def sizes(self) -> Sizes:
        """Which sizes of pictures it takes."""
        return self._network.sizes

    @property
    def takes_pictures(self) -> bool:
        """Whether pictures are brought to where it runs."""
        return takes_pictures(self._network) is not None

    def run(self, batch: Array, progress: Progress) -> Array:
        """Map a batch to the network's mask, as :meth:`gossamer.networks.network.Network.run`.

        Raises
        ------
        DeviceError
            It fails on the processor as well, which then says why, or on a device on which it has run before.
        """
        return self._first(lambda network: network.run(batch, progress))

    def read(self, pixels: NDArray[np.uint8], reading: Reading, progress: Progress) -> NDArray[np.uint8]:
        """Make what is wanted of pictures, as :meth:`gossamer.networks.pictures.TakesPictures.read`.

        Raises
        ------
        DeviceError
            As :meth:`run`.
        """
        # torch reads pictures on the processor as well, which is where they may have to go.
        return self._first(lambda network: cast(TakesPictures, network).read(pixels, reading, progress))

    def _first(self, run: Callable[[Network], _T]) -> _T:
        network = self._network
        try:
            found = run(network)
        except (DeviceError, ModelError) as error:
            if self._network is network:  # else another thread has moved it meanwhile, and unloaded this one
                if self._is_proven or network.device == "cpu" or not isinstance(error, DeviceError):
                    raise
                self._move(network, error)
            return run(self._network)
        self._is_proven = True
        return found

    def unload(self) -> None:
        """Free the memory that the network holds; it cannot be run any more."""
        self._network.unload()

    def _move(self, failed: Network, error: DeviceError) -> None:
        with self._moving:
            if self._network is not failed:  # another thread has done it
                return
            try:
                serving = self._on_processor()
            except DeviceError:  # of what was asked for only the device has: its own words say more
                raise error from None
            self._warnings = (*failed.warnings, f"{error.message.rstrip('.')}; the model runs on the CPU.")
            self._network = serving
            failed.unload()
