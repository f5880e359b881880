"""Robust Video Matting with MobileNetV3 as layers that our kernels know, for frames of any size.

A map whose channels are no whole blocks of 16 is filled up with zeros, and so is each half of those that the decoder
halves. Maps that are joined lie side by side from the start: what the decoder takes is written where it takes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gossamer.networks.architectures.mobilenetv3 import BLOCKS, DEEPEST, TAPS, squeezed
from gossamer.networks.layer_kernels import AS_IT_IS, BLOCK, HARD_SIGMOID, HARD_SWISH, RELU, SIGMOID

__all__ = ["FINE", "MAPS", "ONE", "STATES", "STEPS", "Filter", "Map", "Step", "filled"]

FINE, ONE = -1, -2
"""Levels of maps: of the whole frame's size, and of one pixel. The others count halvings of the small frame."""

STATES = (16, 20, 40, 64)
"""Channels of what is remembered, at the levels 1 to 4."""

_FEATURES = (0, 16, 24, 40)
"""Channels that the encoder gives the decoder at levels 1 to 3."""

_COLOURS = 3


def filled(channels: int) -> int:
    """Return how many channels there are in whole blocks."""
    return -(-channels // BLOCK) * BLOCK


@dataclass(frozen=True)
class Map:
    """Where a map lies: `channels` floats a pixel, in another map from a channel on, or by itself."""

    level: int
    channels: int
    inside: str = ""
    start: int = 0


@dataclass(frozen=True, eq=False)
class Filter:
    """A convolution's true weights in those of the kernel, whose other weights are zero.

    Attributes
    ----------
    kind : str
        As the kernel reads them: "tiles", "first", "mixed", "channelwise", "dense", or "refined", which is all that are
        left.
    number : int
        In the file.
    outputs, inputs : array of int
        Which of the kernel's outputs and inputs the file's are.
    size : (int, int)
        How many of each the kernel has.
    """

    kind: str
    number: int
    outputs: NDArray[np.int64]
    inputs: NDArray[np.int64]
    size: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Step:
    """One kernel's work: names of maps, and what it has to know.

    Attributes
    ----------
    kind : str
        Of :data:`~gossamer.networks.layer_kernels.KINDS`.
    takes, gives, added, shared, gate : str
        Maps.
    weights : Filter, optional
    becomes : int
        Its activation.
    side, apart, stride : int
        Of a convolution of each channel by itself.
    first : int
        The channel from which on plain maps are written.
    """

    kind: str
    takes: str
    gives: str
    added: str = ""
    shared: str = ""
    gate: str = ""
    weights: Filter | None = None
    becomes: int = AS_IT_IS
    side: int = 0
    apart: int = 1
    stride: int = 1
    first: int = 0


@dataclass
class _Walk:
    """Goes through the network, in the order in which its weights are in the file."""

    maps: dict[str, Map] = field(default_factory=dict)
    convolutions: int = 0

    def steps(self) -> Iterator[Step]:
        self._map("frame", FINE, 0)
        self._map("told", ONE, 1 + 2 * _COLOURS)
        self._map("seen", 0, 2 * _COLOURS)
        self._map("small", 0, _COLOURS, "seen")
        self._map("normal", 0, _COLOURS, "seen", _COLOURS)
        yield Step("shrunk", "frame", "seen", shared="told")
        yield from self._encoder()
        yield from self._pyramid()
        for level in (1, 2, 3):
            self._map(f"small{level}", level, _COLOURS)
            yield Step("halved", f"small{level - 1}" if level > 1 else "small", f"small{level}")
        for level in (4, 3, 2, 1):
            if level < 4:
                yield from self._up(level)
            yield from self._recurrent(level)
        yield from self._output()

    def _map(self, name: str, level: int, channels: int, inside: str = "", start: int = 0) -> str:
        self.maps[name] = Map(level, channels, inside, start)
        return name

    def _weights(
        self,
        kind: str,
        outputs: NDArray[np.int64] | int,
        inputs: NDArray[np.int64] | int,
        size: tuple[int, int] | None = None,
    ) -> Filter:
        """Return the next of the file's; its channels are the kernel's first ones where only their number is given."""
        outs, ins = (np.arange(one) if isinstance(one, int) else one for one in (outputs, inputs))
        found = Filter(kind, self.convolutions, outs, ins, size or (filled(len(outs)), filled(len(ins))))
        self.convolutions += 1
        return found

    def _encoder(self) -> Iterator[Step]:
        for level in (1, 2, 3):  # what the decoder takes: the level below, twice as large, the encoder's, the frame's
            own, below = filled(_FEATURES[level]), 2 * filled(STATES[level])
            room = 0 if _FEATURES[level] % BLOCK else BLOCK  # the frame's channels lie where the encoder's leave room
            self._map(f"joined{level}", level, below + own + room)
            self._map(f"feature{level}", level, own, f"joined{level}", below)
        self._map("encoded0", 1, 16)
        weights = self._weights("first", 16, _COLOURS, (16, _COLOURS))
        yield Step("first", "normal", "encoded0", weights=weights, becomes=HARD_SWISH, stride=2)
        x, into, level = "encoded0", 16, 1
        for number, block in enumerate(BLOCKS, 1):
            becomes, wide, before = HARD_SWISH if block.hard else RELU, block.wide, x
            if wide != into:
                name = self._map(f"wide{number}", level, filled(wide))
                yield Step("mixed", x, name, weights=self._weights("mixed", wide, into), becomes=becomes)
                x = name
            stride = block.stride if block.dilation == 1 else 1
            level += stride - 1
            name = self._map(f"seen{number}", level, filled(wide))
            yield Step(
                "channelwise",
                x,
                name,
                weights=self._weights("channelwise", wide, 1, (filled(wide), 1)),
                becomes=becomes,
                side=block.kernel,
                apart=block.dilation,
                stride=stride,
            )
            x = name
            if block.squeezes:
                fewer = squeezed(wide)
                yield from self._weighed(number, x, ((fewer, wide, RELU), (wide, fewer, HARD_SIGMOID)))
            name = f"feature{level}" if number in TAPS else self._map(f"encoded{number}", level, filled(block.out))
            added = before if block.stride == 1 and into == block.out else ""
            yield Step("mixed", x, name, added=added, weights=self._weights("mixed", block.out, wide))
            x, into = name, block.out
        self._map("deepest", level, DEEPEST)
        yield Step("mixed", x, "deepest", weights=self._weights("mixed", DEEPEST, into), becomes=HARD_SWISH)

    def _weighed(self, number: int, x: str, layers: tuple[tuple[int, int, int], ...], of: str = "") -> Iterator[Step]:
        """Weigh a map's channels by what layers make of the means of its own, or of another map's."""
        vector = self._map(f"mean{number}", ONE, self.maps[of or x].channels)
        yield Step("average", of or x, vector)
        for place, (outputs, inputs, becomes) in enumerate(layers):
            name = self._map(f"dense{number}.{place}", ONE, filled(outputs))
            yield Step("dense", vector, name, weights=self._weights("dense", outputs, inputs), becomes=becomes)
            vector = name
        yield Step("scaled", x, x, shared=vector)

    def _halves(self, level: int) -> None:
        """Let three maps lie in one: half of the channels, which stays, the other half, and the state."""
        state = filled(STATES[level - 1])
        self._map(f"unit{level}", level, 3 * state)
        self._map(f"halves{level}", level, 2 * state, f"unit{level}")
        self._map(f"shared{level}", level, state, f"unit{level}", state)
        self._map(f"gated{level}", level, state, f"unit{level}", 2 * state)
        self._map(f"gru{level}", level, 2 * state, f"unit{level}", state)

    def _pyramid(self) -> Iterator[Step]:
        self._halves(4)
        out = 2 * STATES[3]
        yield Step("mixed", "deepest", "halves4", weights=self._weights("mixed", out, DEEPEST), becomes=RELU)
        yield from self._weighed(len(BLOCKS) + 1, "halves4", ((out, DEEPEST, SIGMOID),), "deepest")

    def _recurrent(self, level: int) -> Iterator[Step]:
        channels = STATES[level - 1]
        room = filled(channels)
        self._map(f"before{level}", level, channels)
        self._map(f"after{level}", level, channels)
        self._map(f"state{level}", level, room)
        self._map(f"gates{level}", level, 2 * room)
        self._map(f"reset{level}", level, room, f"gates{level}")
        self._map(f"update{level}", level, room, f"gates{level}", room)
        self._map(f"candidate{level}", level, room)
        both = _halves_of(channels)
        yield Step("blocked", f"before{level}", f"state{level}")
        yield Step("blocked", f"before{level}", f"gated{level}")
        yield Step(
            "tiles", f"gru{level}", f"gates{level}", weights=self._weights("tiles", both, both, (2 * room, 2 * room))
        )
        yield Step("reset", f"reset{level}", f"gated{level}", shared=f"state{level}")
        yield Step(
            "tiles",
            f"gru{level}",
            f"candidate{level}",
            weights=self._weights("tiles", channels, both, (room, 2 * room)),
        )
        yield Step("renewed", f"candidate{level}", f"shared{level}", shared=f"state{level}", gate=f"update{level}")
        yield Step("plain", f"shared{level}", f"after{level}")

    def _up(self, level: int) -> Iterator[Step]:
        below = 2 * filled(STATES[level])
        feature = below + np.arange(_FEATURES[level])
        place = below + _FEATURES[level]
        self._halves(level)
        yield from self._doubled(level, f"joined{level}", below, place)
        inputs = np.r_[_halves_of(STATES[level]), feature, place + np.arange(_COLOURS)]
        size = 2 * filled(STATES[level - 1]), self.maps[f"joined{level}"].channels
        weights = self._weights("tiles", _halves_of(STATES[level - 1]), inputs, size)
        yield Step("tiles", f"joined{level}", f"halves{level}", weights=weights, becomes=RELU)

    def _doubled(self, level: int, joined: str, below: int, place: int) -> Iterator[Step]:
        self._map(f"doubled{level}", level, below, joined)
        yield Step("doubled", f"halves{level + 1}", f"doubled{level}")
        yield Step("blocked", f"small{level}" if level else "small", joined, first=place)

    def _output(self) -> Iterator[Step]:
        below = 2 * filled(STATES[0])
        self._map("joined0", 0, below + BLOCK)
        yield from self._doubled(0, "joined0", below, below)
        inputs = np.r_[_halves_of(STATES[0]), below + np.arange(_COLOURS)]
        for name, takes in (("hidden", "joined0"), ("last", "hidden")):
            self._map(name, 0, BLOCK)
            weights = self._weights("tiles", BLOCK, inputs, (BLOCK, self.maps[takes].channels))
            yield Step("tiles", takes, name, weights=weights, becomes=RELU)
            inputs = np.arange(BLOCK)
        self._map("lines", 0, 2)
        self._map("alpha", FINE, 1)
        yield Step("refined", "last", "lines", shared="small", weights=self._weights("refined", 0, 0))
        yield Step("fine", "lines", "alpha", shared="frame")


def _halves_of(channels: int) -> NDArray[np.int64]:
    """Return where two halves lie, each of so many channels, that are filled up with zeros."""
    return np.concatenate([np.arange(channels), filled(channels) + np.arange(channels)])


def _walked() -> tuple[tuple[Step, ...], dict[str, Map]]:
    walk = _Walk()
    return tuple(walk.steps()), walk.maps


STEPS, MAPS = _walked()
"""The network's steps in their order, and its maps by their names."""
