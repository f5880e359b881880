"""Record the calls of kernels with all that they read and write, for replay.c to make them again elsewhere."""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gossamer import native

_KINDS = {ctypes.c_int64: "i", ctypes.c_float: "s", ctypes.c_double: "r"}


class Recorder:
    """Kernels that write down their first few calls."""

    MOST = 3  # calls of a kernel with the same sizes are alike

    def __init__(self, patch: pytest.MonkeyPatch, variant: str) -> None:
        self.calls: list[bytes] = []
        self.names: dict[str, int] = {}
        bound = native._bound.__wrapped__

        def recording(name: str, kind: str | None, arguments: tuple[Any, ...], result: Any) -> Any:
            arguments = tuple(native.PLACE if given is native.FOUND else given for given in arguments)
            symbol = f"gossamer_{name}{'_avx2' if variant == 'avx2' else ''}"
            return self._recorded(symbol, bound(name, variant, arguments, result), arguments, result)

        patch.setattr(native, "_bound", recording)
        patch.setattr(native, "places", lambda *arrays: arrays)

    def _recorded(self, name: str, kernel: Any, kinds: tuple[Any, ...], result: Any) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            if self.names.get(name, 0) >= self.MOST:
                return kernel(*arguments)
            self.names[name] = self.names.get(name, 0) + 1
            before = [_copy(value) for value in arguments]
            returned = kernel(*arguments)
            parts = [name.encode().ljust(64, b"\0"), struct.pack("<qq", ord(_KINDS.get(result, "v")), len(arguments))]
            parts.append(_word(_KINDS.get(result, "v"), returned))
            for number, (kind, value, was) in enumerate(zip(kinds, arguments, before, strict=True)):
                first = next(i for i, other in enumerate(arguments) if other is value)
                letter = _KINDS.get(kind) or _letter(value)
                parts.append(struct.pack("<q", ord(letter)))
                if kind in _KINDS:
                    parts.append(_word(letter, value))
                elif value is None:
                    parts.append(struct.pack("<q", -1))
                elif first < number:  # the same array again
                    parts.append(struct.pack("<q", -2 - first))
                else:
                    now = _copy(value)
                    parts += [struct.pack("<q", len(now)), was, now]
            self.calls.append(b"".join(parts))
            return returned

        return call

    def write(self, path: Path) -> None:
        """Write all calls in turn."""
        path.write_bytes(struct.pack("<q", len(self.calls)) + b"".join(self.calls))


def _letter(value: Any) -> str:
    return {"float32": "f", "float64": "d"}.get(str(value.dtype), "b") if isinstance(value, np.ndarray) else "b"


def _copy(value: Any) -> bytes:
    return value.tobytes() if isinstance(value, np.ndarray) else value if isinstance(value, bytes) else b""


def _word(kind: str, value: Any) -> bytes:
    if kind == "s":
        return struct.pack("<fi", value, 0)
    return struct.pack("<d", value) if kind == "r" else struct.pack("<q", int(value or 0))


def run_layers(random: np.random.Generator) -> None:
    """Run a small network with every kind of layer."""
    from gossamer.native import COUNT, PLACE, layer_function
    from gossamer.networks.layer_graph import Graph, Layer
    from gossamer.networks.layer_plan import planned_layers
    from gossamer.networks.layer_weights import kinds_of, places_of, write_weights

    sizes = {"a": (32, 3, 3), "b": (48, 32, 3), "c": (400, 48, 3), "d": (1, 400, 3), "e": (1, 2, 1)}
    weights = {
        name: random.normal(0, 0.1, (out, of, side, side)).astype("f4") for name, (out, of, side) in sizes.items()
    }
    layers = [
        Layer("convolution", ("picture",), "first", (32, 11, 9), "a", stride=2),
        Layer("pool", ("first",), "pooled", (32, 6, 5)),
        Layer("convolution", ("pooled",), "wide", (48, 6, 5), "b", step=2, relu=True),
        Layer("convolution", ("wide",), "wider", (400, 6, 5), "c"),
        Layer("resize", ("wider",), "large", (400, 11, 9)),
        Layer("convolution", ("large",), "one", (1, 11, 9), "d"),
        Layer("resize", ("one",), "small", (1, 5, 6)),
        Layer("resize", ("one",), "same", (1, 5, 6)),
        Layer("join", ("small", "same"), "both", (2, 5, 6)),
        Layer("convolution", ("both",), "mixed", (1, 5, 6), "e"),
        Layer("sigmoid", ("mixed",), "mask", (1, 5, 6)),
    ]
    graph = Graph((), weights, "picture", "mask", None, memoryview(mmap.mmap(-1, 1)))
    kinds = kinds_of(graph, layers)
    assert kinds is not None
    assert {kind for _, kind in kinds.values()} == {"first", "tiles", "outputs", "narrow", "point"}
    places, floats = places_of(graph, kinds)
    packed = np.zeros(floats, np.float32)
    write_weights(graph, kinds, packed)
    plan = planned_layers(layers, kinds, places, "picture", (3, 21, 17))
    assert plan is not None
    maps, scratch = np.zeros(plan.floats, np.float32), np.zeros(plan.scratch, np.float32)
    maps[plan.picture : plan.picture + 3 * 21 * 17] = random.normal(0, 1, 3 * 21 * 17)
    count = len(plan.operations)
    begun, done, stop = (np.zeros(size, np.int64) for size in (count, count, 1))
    run = layer_function("run_layers", PLACE, COUNT, *[PLACE] * 6)
    run(plan.operations, count, maps, packed, scratch, begun, done, stop)
    assert np.array_equal(done, plan.operations["items"])


def run_recurrent(random: np.random.Generator) -> None:
    """Run the network that mattes clips on a small frame, as bytes and as floats."""
    from gossamer.networks.recurrence import Recurrence
    from gossamer.networks.recurrent_graph import Weights
    from gossamer.networks.recurrent_layers import STEPS
    from gossamer.networks.recurrent_native import RecurrentNative
    from gossamer.networks.recurrent_plan import packed_weights
    from gossamer.progress import Progress

    def drawn(outputs: int, inputs: int, side: int) -> Weights:
        # So small that also what Winograd's sums cancel is as exact as results have to be.
        scale = 0.4 / np.sqrt(inputs * side * side)
        return random.normal(0, scale, (outputs, inputs, side, side)).astype("f4"), np.full(outputs, 0.03, "f4")

    weights = []
    for step in STEPS:
        if step.weights is not None and step.kind != "refined":
            sides = {"tiles": 3, "first": 3, "channelwise": step.side}
            weights.append(drawn(len(step.weights.outputs), len(step.weights.inputs), sides.get(step.kind, 1)))
    weights += [drawn(4, 16, 1), drawn(4, 1, 3), drawn(16, 24, 1), drawn(16, 16, 1), drawn(4, 16, 1)]
    network = RecurrentNative(*packed_weights(weights))
    network._memory = np.zeros(1 << 21, np.float32)  # what is read and not used is the same everywhere
    frame = random.integers(0, 256, (37, 45, 3)).astype(np.uint8)
    _, after = network.run(frame, Recurrence(), 0.9, Progress())
    network.run(frame.astype("f4") / 255, after, 0.9, Progress())


def sample_deformed(random: np.random.Generator) -> None:
    """Sample what a deformable convolution sees, in both precisions."""
    from gossamer.native import COUNT, PLACE, function

    sample = function("deformed", *[PLACE] * 3, *[COUNT] * 10, *[PLACE] * 2)
    x, moves = random.normal(size=(7, 9, 11)).astype(np.float32), random.normal(0, 3, (9, 2, 63)).astype(np.float32)
    weights = random.random((9, 63)).astype(np.float32)
    sizes = 7, 9, 11, 3, 3, 1, 7, 9, 5, 50
    sample(x, moves, weights, *sizes, np.zeros((50, 9, 11), np.float32), None)
    sample(x, moves, weights, *sizes, None, np.zeros((50, 9, 11), np.uint16))


def main(path: str, variant: str) -> None:
    """Make every kernel work on small pictures; write what they did to `path`."""
    # On one core, and so in one thread: what another one writes meanwhile is not this call's.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    recorder = Recorder(pytest.MonkeyPatch(), variant)
    # Some modules take their kernels when they are imported.
    from gossamer import resampling
    from gossamer.foreground import blur_fusion, estimate_foreground, soft_band
    from gossamer.foreground.soft_band import solver as band_solver
    from gossamer.image.png import encode_png
    from gossamer.matting import matte_from_mask
    from gossamer.matting.closed_form import multigrid as closed_form_multigrid
    from gossamer.matting.from_mask import estimate as from_mask_estimate
    from gossamer.networks.binary_convolution import BinaryConvolution
    from gossamer.video.over_bytes import over_bytes

    random = np.random.default_rng(0)
    y, x = np.mgrid[:72, :86]
    alpha = np.clip(4 - np.hypot(y - 36, x - 43) / 6, 0, 1).astype(np.float32)
    layers = np.float32((0.2, 0.4, 0.8)), np.float32((0.7, 0.3, 0.2))
    image = alpha[..., None] * layers[0] + (1 - alpha[..., None]) * layers[1]
    image = np.clip(image + random.normal(0, 0.03, image.shape), 0, 1).astype(np.float32)
    small = np.rint(image * 255).astype(np.uint8)
    closed_form_multigrid._DIRECT = 40  # unknowns: more than one coarse level
    matte_from_mask(image, (alpha > 0.5).astype(np.float32))
    from_mask_estimate.WORK_AREA = 4000
    matte_from_mask(image, (alpha > 0.5).astype(np.float32))
    blur_fusion(image, alpha, 31, 6)
    estimate_foreground(image, alpha, "blur_fusion")
    soft_band(image, alpha)
    band_solver.LARGE = 100
    soft_band(small, alpha, eight_bit=True)
    estimate_foreground(image, alpha)
    for picture in (image, small):
        resampling.skimage_resize(picture, 20, 24)
    large = np.tile(small, (4, 4, 1))  # more than a block of deflate
    for noise in (0, 3, 60):
        pixels = np.clip(large + random.integers(0, noise + 1, large.shape), 0, 255).astype(np.uint8)
        encode_png(lambda top, bottom, out, pixels=pixels: np.copyto(out, pixels[top:bottom]), pixels.shape, 8)
    signs = random.choice(np.int8((-1, 1)), (8, 40, 3, 3))
    none, one = np.zeros(40, np.float32), np.ones(8, np.float32)
    BinaryConvolution(signs, none, one, none[:8], padding=1)(random.normal(size=(40, 12, 14)).astype(np.float32))
    run_layers(random)
    run_recurrent(random)
    over_bytes(image, alpha, layers[0])
    sample_deformed(random)
    recorder.write(Path(path))
    Path(path).with_suffix(".names").write_text("\n".join(sorted(recorder.names)))


if __name__ == "__main__":
    main(*sys.argv[1:])
