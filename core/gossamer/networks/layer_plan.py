"""What our kernels do for one size of picture: every layer's work in parts, and where each map lies in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer.networks.layer_graph import Layer, Shape
from gossamer.networks.layer_kernels import ACROSS, BLOCK, KINDS, OPERATION
from gossamer.networks.layer_weights import Kind, Kinds, Packed, is_blocked

__all__ = ["TILES", "Plan", "arranged", "planned_layers", "tiles_scratch"]

TILES, _PASS, _BAND = 24, 264, 528
"""Tiles of 4 x 4 outputs: so many are convolved at once with weights that are ready, so many with weights that are made
for it, and of so many at most the transformed inputs are kept. Each fits a processor's caches, and is whole for every
kernel (12 or 6 at a time)."""

_FEW, _DEPTH = 64, 128
"""Of few tiles, weights are made for so many inputs at a time: they then stay in a core's own cache."""

_PLACES = 36


@dataclass(frozen=True)
class Plan:
    """A network's work for one size of picture.

    Attributes
    ----------
    operations : (n,) of OPERATION
    shares : (n + 1,) float64
        How much of all work is done when each begins, and at the end.
    floats : int
        Of memory for maps.
    scratch : int
        Floats that each thread needs for itself.
    picture, mask : int
        Where they lie.
    shape : (int, int, int)
        Of the mask.
    """

    operations: NDArray[Any]
    shares: NDArray[np.float64]
    floats: int
    scratch: int
    picture: int
    mask: int
    shape: Shape


def planned_layers(
    layers: Sequence[Layer], kinds: Kinds, places: Mapping[str, Packed], picture: str, size: Shape
) -> Plan | None:
    """Plan a network's layers for pictures of a size.

    None where maps would have to be copied to lie side by side, or plain ones pooled: there is no kernel for that.
    """
    shapes = {picture: size, **{layer.gives: layer.shape for layer in layers}}
    inside = _side_by_side(layers, shapes)
    if inside is None or any(layer.kind == "pool" and not is_blocked(layer.shape[0]) for layer in layers):
        return None
    writer = _Writer(layers, shapes, inside, kinds, picture)
    for at, layer in enumerate(layers):
        if layer.kind == "convolution":
            writer.convolution(at, layer, kinds[layer.gives][1], places[layer.gives])
        elif layer.kind != "join":
            writer.other(layer)
    mask = layers[-1].gives
    operations = np.array(writer.rows, OPERATION)
    work = np.cumsum(1.0 + operations["inputs"] * operations["outputs"] * (operations["tiles"] + 1.0))
    return Plan(
        operations,
        np.r_[0.0, work] / work[-1],
        writer.floats,
        writer.scratch,
        writer.place(picture),
        writer.place(mask),
        shapes[mask],
    )


def _side_by_side(layers: Sequence[Layer], shapes: Mapping[str, Shape]) -> dict[str, tuple[str, int]] | None:
    """Return for each map that is joined to others in which map it lies, and how many floats from its beginning."""
    inside: dict[str, tuple[str, int]] = {}
    made = {layer.gives for layer in layers}
    for layer in layers:
        if layer.kind != "join":
            continue
        start = 0
        for name in layer.takes:
            channels, height, width = shapes[name]
            if name in inside or name not in made or is_blocked(channels) != is_blocked(layer.shape[0]):
                return None
            inside[name] = layer.gives, start
            start += channels * height * width
    return inside


class _Writer:
    """Writes operations, and finds places for maps: what is no longer needed makes way for what comes."""

    def __init__(
        self,
        layers: Sequence[Layer],
        shapes: Mapping[str, Shape],
        inside: Mapping[str, tuple[str, int]],
        kinds: Kinds,
        picture: str,
    ) -> None:
        self._shapes, self._inside, self._kinds = shapes, inside, kinds
        self.rows: list[tuple[int, ...]] = []
        self.scratch = 0
        first: dict[str, int] = {}
        last: dict[str, int] = {}
        needed = [(picture, -1)]
        for at, layer in enumerate(layers):
            if layer.kind != "join":
                needed += [(name, at) for name in (*layer.takes, layer.gives, layer.added) if name]
        for name, at in (*needed, (layers[-1].gives, len(layers))):
            whole = self._whole(name)[0]
            first.setdefault(whole, at)
            last[whole] = at
        spans = [(first[name], last[name], int(np.prod(shapes[name])), name) for name in first]
        # Inputs that a layer has transformed for all threads need a place as well, while it lasts.
        spans += [(at, at, self._transformed(layer), f"\0{at}") for at, layer in enumerate(layers)]
        self._places, self.floats = arranged(spans)

    def place(self, name: str) -> int:
        """Return where a map lies."""
        whole, start = self._whole(name)
        return self._places[whole] + start

    def convolution(self, at: int, layer: Layer, kind: Kind, packed: Packed) -> None:
        inputs, height, width = self._shapes[layer.takes[0]]
        outputs, high, wide = layer.shape
        told = {
            "from": self.place(layer.takes[0]),
            "to": self.place(layer.gives),
            "added": self.place(layer.added) if layer.added else -1,
            "weights": packed.weights,
            "bias": packed.bias,
            **{"inputs": inputs, "outputs": outputs, "height": height, "width": width},
            **{"step": layer.step, "relu": int(layer.relu), "high": high, "wide": wide},
        }
        if kind == "tiles":
            tiles = _tiles(layer)
            self._write(kind, -(-tiles // TILES), **told, tiles=tiles, size=TILES, depth=inputs)
            self._need(tiles_scratch(inputs, outputs))
        elif kind == "outputs":
            depth = inputs if _tiles(layer) > _FEW else min(inputs, _DEPTH)
            told |= {"across": ACROSS, "depth": depth, "shared": self._places[f"\0{at}"]}
            band = _even(_tiles(layer), _BAND)
            for start in range(0, _tiles(layer), band):
                tiles = min(band, _tiles(layer) - start)
                self._write("inputs", -(-tiles // TILES), **told, tiles=tiles, size=TILES, first=start)
                size = _even(tiles, _PASS)
                items = -(-tiles // size) * -(-outputs // ACROSS)
                self._write("outputs", items, **told, tiles=tiles, size=size, first=start)
            self._need(_PLACES * (_spread(depth * ACROSS) + _spread(_PASS * (ACROSS + BLOCK))))
        else:  # "first" writes all channels of a row at once, the others one
            self._write(kind, high if kind == "first" else high * outputs, **{**told, "step": layer.stride})

    def other(self, layer: Layer) -> None:
        channels, height, width = self._shapes[layer.takes[0]]
        _, high, wide = layer.shape
        blocked = is_blocked(channels)
        kind = "plain resize" if layer.kind == "resize" and not blocked else layer.kind
        self._write(
            kind,
            (channels // BLOCK if blocked and kind != "sigmoid" else channels) * high,
            **{"from": self.place(layer.takes[0]), "to": self.place(layer.gives)},
            **{"height": height, "width": width, "high": high, "wide": wide},
        )

    def _whole(self, name: str) -> tuple[str, int]:
        """Return the map that a map lies in, itself where it is none's part, and where in it."""
        start = 0
        while name in self._inside:
            name, more = self._inside[name]
            start += more
        return name, start

    def _write(self, kind: str, items: int, **told: int) -> None:
        row = {"kind": KINDS.index(kind), "items": items, "added": -1, **told}
        self.rows.append(tuple(row.get(name, 0) for name in OPERATION.names or ()))

    def _need(self, floats: int) -> None:
        self.scratch = max(self.scratch, floats)

    def _transformed(self, layer: Layer) -> int:
        """Return how many floats a layer's transformed inputs take at most."""
        if layer.kind != "convolution" or self._kinds[layer.gives][1] != "outputs":
            return 0
        tiles = _even(_tiles(layer), _BAND)
        return _PLACES * _spread(tiles * (self._shapes[layer.takes[0]][0] + BLOCK))


def tiles_scratch(inputs: int, outputs: int) -> int:
    """Return how many floats a thread needs for itself to convolve tiles with weights that are ready."""
    return _PLACES * (_spread(TILES * (inputs + BLOCK)) + _spread(TILES * (outputs + BLOCK)))


def _even(tiles: int, most: int) -> int:
    """Return into parts of how many tiles a number is divided, at most so many, that are about alike."""
    parts = -(-tiles // most)
    return -(-tiles // (parts * TILES)) * TILES


def _spread(floats: int) -> int:
    """Return how far places lie apart that are written together: ``spread`` of native/winograd.h."""
    return (floats - 80 + 1023) // 1024 * 1024 + 80


def _tiles(layer: Layer) -> int:
    """Return how many tiles of 4 x 4 a layer's result has; each phase of a dilated convolution has its own."""
    _, height, width = layer.shape
    side = layer.step * 4
    return -(-height // side) * -(-width // side) * layer.step**2


def arranged(spans: Sequence[tuple[int, int, int, str]]) -> tuple[dict[str, int], int]:
    """Return places for arrays, each needed from one step to another (both included), and how far they reach.

    The largest come first, each at the lowest place that is free as long as it is needed.
    """
    places: dict[str, int] = {}
    taken: list[tuple[int, int, int, int]] = []  # first step, last step, from, to
    for first, last, count, name in sorted(spans, key=lambda span: (-span[2], span[0])):
        start = 0
        for _, _, low, high in sorted(
            (each for each in taken if each[0] <= last and first <= each[1]), key=lambda e: e[2]
        ):
            if start + count <= low:
                break
            start = max(start, high)
        places[name] = start
        taken.append((first, last, start, start + -(-count // BLOCK) * BLOCK))
    return places, max((high for *_, high in taken), default=0)
