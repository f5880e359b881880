"""What bfloat16 and int8 win and cost: every runtime that is installed, beside ONNX Runtime in float32, in one run.

    python tests/benchmarks/precisions.py --data FOLDER [--only MODEL ...] [--runs N]
    python tests/benchmarks/precisions.py --rates [--authors FOLDER] [--only MODEL ...] [--runs N]

Each picture goes through every runtime in turn, so that others on the machine slow all of them down alike; times are
medians of the network with its resizing, differences those of the masks at the picture's size (at most 1200 pixels)
from ONNX Runtime's. The catalogue's `bfloat16` is the mean difference of torch, in 255ths, over all pictures of FOLDER.
int8 is among them for models of which `gossamer models quantise` has made one.

`--rates`: the network alone, picture after picture, beside the call that rembg makes, the authors' own code and the
rate at which this machine multiplies matrices of 2048 x 2048, by the best of NumPy, torch and OpenVINO.
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import cv2
import numpy as np
from networks import random_weights

import gossamer
import gossamer.weights.store
from gossamer.evaluation.boundary import boundary_iou
from gossamer.networks.busy import picture_after_picture
from gossamer.networks.export import export_onnx
from gossamer.networks.layer_kernels import runs_layers
from gossamer.networks.state_dict import load_network
from gossamer.progress import Progress
from gossamer.telemetry import onnxruntime, openvino
from gossamer.warm import warm
from gossamer.weights.quantised import find_quantised

MODELS = ("u2netp", "u2net", "isnet-general-use")
RANDOM = "birefnet-general-lite"
"""Measured by `--rates`, with random weights."""
WORK = {"u2netp": 39.5, "u2net": 117.2, "isnet-general-use": 319.2, "birefnet-general-lite": 611.0}
"""Thousand million operations of the convolutions in one picture: two for each product."""
AUTHORS = {
    "u2netp": ("U-2-Net/model/u2net.py", "U2NETP"),
    "u2net": ("U-2-Net/model/u2net.py", "U2NET"),
    "isnet-general-use": ("DIS/IS-Net/models/isnet.py", "ISNetDIS"),
}
"""Where in their repositories their networks are."""
SIDE = 2048
PICTURES = {".jpg", ".jpeg", ".png", ".webp"}


def pictures(folder: Path) -> list[np.ndarray]:
    """Return the pictures of a folder, none larger than 1200 pixels."""
    found = []
    for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURES):
        pixels = gossamer.read_image(path).pixels
        scale = min(1.0, 1200 / max(pixels.shape[:2]))
        size = (round(pixels.shape[1] * scale), round(pixels.shape[0] * scale))
        found.append(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))
    return found


def ways_of(name: str) -> list[tuple[str, str]]:
    """Return the runtimes and precisions that a model can be run in here."""
    ways = [("onnx", "float32")]
    if runs_layers() and name in WORK and name != RANDOM:
        ways += [("auto", "float32")]  # our own kernels, where they know all that is in it
    for runtime in ("torch", "openvino"):
        if importlib.util.find_spec(runtime) is not None:
            ways += [(runtime, "float32"), (runtime, "bfloat16")]
    if importlib.util.find_spec("openvino") is not None and find_quantised(gossamer.model_card(name)) is not None:
        ways += [("openvino", "int8")]
    return ways


def measure(name: str, found: list[np.ndarray], runs: int) -> None:
    """Print a line for each runtime and precision of a model."""
    ways = ways_of(name)
    models = {way: gossamer.load_model(name, runtime=way[0], precision=way[1], device="cpu") for way in ways}
    seconds: dict[tuple[str, str], list[float]] = {way: [] for way in ways}
    apart: dict[tuple[str, str], list[tuple[float, float, float]]] = {way: [] for way in ways}
    for number, picture in enumerate(found):
        truth = models[ways[0]].predict(picture)
        for way, model in models.items():
            if number and way[1] == "float32" and number > runs:
                continue
            started = time.perf_counter()
            mask = model.predict(picture)
            seconds[way].append(time.perf_counter() - started)
            solid, true = mask > 0.5, truth > 0.5
            iou = float((solid & true).sum() / max(1, (solid | true).sum()))
            edge = boundary_iou(solid.astype(np.float32), true.astype(np.float32))
            apart[way].append((float(np.abs(mask - truth).mean()) * 255, iou, edge))
    usual = statistics.median(seconds[ways[0]][1:] or seconds[ways[0]])
    for way in ways:
        median = statistics.median(seconds[way][1:] or seconds[way])
        difference, iou, edge = np.array(apart[way]).T
        print(
            f"{name:18} {' '.join(way):18} {median:7.3f} s {usual / median:5.2f} x   mean difference "
            f"{difference.mean():.4f}/255, worst {difference.max():.3f}; IoU {iou.mean():.4f}, worst {iou.min():.4f}; "
            f"boundary IoU {edge.mean():.4f}, worst {edge.min():.4f}",
            flush=True,
        )


class Seconds(NamedTuple):
    """What a call took: by the clock, and of the processor, on which others on the machine have less influence."""

    clock: float
    processor: float


def taken(call: Callable[[], object]) -> Seconds:
    """Call something, and return what it took."""
    started = Seconds(time.perf_counter(), time.process_time())
    call()
    return Seconds(time.perf_counter() - started.clock, time.process_time() - started.processor)


def best_of(call: Callable[[], object], times: int = 7) -> Seconds:
    """Return the least seconds of several calls, the first left out."""
    call()
    each = [taken(call) for _ in range(times)]
    return Seconds(min(one.clock for one in each), min(one.processor for one in each))


def products() -> dict[str, dict[str, Callable[[], object]]]:
    """Return what multiplies two matrices of SIDE x SIDE, by precision and by whose code it is."""
    import torch

    numbers = np.random.default_rng(0).uniform(-1, 1, (SIDE, SIDE)).astype(np.float32)
    whole = torch.from_numpy(np.rint(numbers * 127).astype(np.int8))
    single, half = torch.from_numpy(numbers), torch.from_numpy(numbers).bfloat16()
    found: dict[str, dict[str, Callable[[], object]]] = {
        "float32": {"numpy": lambda: numbers @ numbers, "torch": lambda: single @ single},
        "bfloat16": {"torch": lambda: half @ half},
        "int8": {"torch": lambda: torch._int_mm(whole, whole)},
    }
    if importlib.util.find_spec("openvino") is not None:
        for precision in found:
            found[precision]["openvino"] = openvinos_product(numbers, precision)
    return found


def openvinos_product(numbers: np.ndarray, precision: str) -> Callable[[], object]:
    """Return OpenVINO's product of a matrix by a constant one; int8 as it finds it in a quantised network."""
    package = openvino()
    ops = package.opset13
    given = ops.parameter([SIDE, SIDE], np.float32)
    value, constant = given, ops.constant(numbers)
    if precision == "int8":
        ends = [ops.constant(np.float32(end)) for end in (-1, 127 / 128, -1, 127 / 128)]
        value = ops.fake_quantize(given, *ends, 256)
        whole = ops.constant(np.rint(numbers * 127).astype(np.int8))
        constant = ops.multiply(ops.convert(whole, "f32"), ops.constant(np.float32(1 / 127)))
    model = package.Model([ops.matmul(value, constant, False, False).output(0)], [given], "product")
    hint = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32" if precision == "float32" else "bf16"}
    request = package.Core().compile_model(model, "CPU", hint).create_infer_request()
    return lambda: request.infer([numbers], share_inputs=True)


def matrix_rates() -> dict[str, float]:
    """Return thousand million operations in products in a second of one core: the best of all libraries."""
    rates = {}
    work = 2 * SIDE**3 / 1e9
    for precision, calls in products().items():
        each = {whose: best_of(call) for whose, call in calls.items()}
        rates[precision] = max(work / one.processor for one in each.values())
        listed = ", ".join(f"{whose} {work / one.processor:.0f}" for whose, one in each.items())
        whole = max(work / one.clock for one in each.values())
        print(f"matrices in {precision}: {rates[precision]:.0f} GFLOP/s a core ({listed}); {whole:.0f} by the clock")
    return rates


def rembgs_call(path: Path) -> Callable[[np.ndarray], object]:
    """Return the network as rembg runs it: ONNX Runtime as it comes, all outputs."""
    session = onnxruntime().InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda batch: session.run(None, {session.get_inputs()[0].name: batch})


def authors_call(name: str, folder: Path) -> Callable[[np.ndarray], object]:
    """Return the network by its authors' own code, from clones of their repositories, in torch as they call it.

    Its weights are not set, which takes no more and no less time.
    """
    import torch

    file, kind = AUTHORS[name]
    # IS-Net's file imports it and uses nothing of it.
    sys.modules.setdefault("torchvision", SimpleNamespace(models=None))  # type: ignore[arg-type]
    spec = importlib.util.spec_from_file_location("authors", folder / file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        spec.loader.exec_module(module)
    network = getattr(module, kind)(3, 1).eval()

    def call(batch: np.ndarray) -> object:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return network(torch.from_numpy(batch))

    return call


def random_files(network: str, folder: Path) -> dict[str, Path]:
    """Return a network with random weights, for torch and exported to ONNX: the time does not depend on them."""
    weights, graph = folder / "random.safetensors", folder / "random.onnx"
    random_weights(network, weights)
    module = load_network(weights, network)
    export_onnx(module, network, graph, size=(1024, 1024), dynamic_batch=False, dynamic_size=False)
    return {"torch": weights, "onnx": graph, "openvino": graph}


def measure_rates(name: str, options: argparse.Namespace, rates: dict[str, float], folder: Path) -> None:
    """Print how many pictures a second each way runs, and how far it is from the machine's rate."""
    width, height = gossamer.model_card(name).input.size or (0, 0)
    batch = np.random.default_rng(0).standard_normal((1, 3, height, width), dtype=np.float32) * 0.3
    files = {} if name in MODELS else random_files(gossamer.model_card(name).network or "", folder)
    calls: dict[tuple[str, str], Callable[[np.ndarray], object]] = {
        ("rembg's call", "float32"): rembgs_call(
            files.get("onnx") or gossamer.weights.store.path(gossamer.model_card(name))
        )
    }
    if options.authors is not None and name in AUTHORS:
        calls["authors' code", "float32"] = authors_call(name, options.authors)
    for way in ways_of(name):
        model = str(files[way[0]]) if files else name
        named = {"architecture": name} if files else {}
        loaded = gossamer.load_model(model, runtime=way[0], precision=way[1], device="cpu", **named)
        way = (loaded.engine.split()[0], way[1]) if way[0] == "auto" else way
        calls[way] = functools.partial(run_alone, loaded._network)  # without the resizing around it
    for runtime in ("onnx", "native"):
        if (runtime, "float32") in calls:
            calls[f"{runtime}, alone", "float32"] = calls[runtime, "float32"]
    seconds: dict[tuple[str, str], list[Seconds]] = {way: [] for way in calls}
    for number in range(options.runs + 1):
        for way, call in calls.items():
            # Between two pictures a network keeps its working memory; one alone gives it back, and fetches it anew.
            with nullcontext() if "alone" in way[0] else picture_after_picture():
                if way[0].startswith(("onnx", "native")):
                    call(batch)  # what the other of the two ways has left
                found = taken(functools.partial(call, batch))
            if number:
                seconds[way].append(found)
    medians = {way: Seconds(*map(statistics.median, zip(*each, strict=True))) for way, each in seconds.items()}
    usual = medians["rembg's call", "float32"]
    for way, median in medians.items():
        least = min(one.clock for one in seconds[way])
        rate = WORK[name] / median.processor
        part = f", {rate / rates[way[1]]:.0%} of matrices'" if way[1] in rates else ""
        title = f"{name:18} {' '.join(way):22}"
        clock = f"{median.clock:.3f} s (least {least:.3f}), {1 / median.clock:.2f} pictures/s"
        processor = f"processor {median.processor:.3f} s {usual.processor / median.processor:.2f} x"
        print(f"{title} {clock} {usual.clock / median.clock:.2f} x; {processor}, {rate:.0f} GFLOP/s a core{part}")


def run_alone(network: Any, batch: np.ndarray) -> object:
    """Run a network that Gossamer keeps loaded."""
    with warm.lent(network, None) as lent:
        return lent.run(batch, Progress())


def main() -> None:
    """Measure each model in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--rates", action="store_true", help="the network alone, beside the machine's rate")
    parser.add_argument("--authors", type=Path, help="holds clones of their repositories, DIS and U-2-Net")
    parser.add_argument("--only", nargs="+", choices=(*MODELS, RANDOM), default=MODELS)
    parser.add_argument("--runs", type=int, default=8, help="pictures that float32 is timed on")
    options = parser.parse_args()
    if options.rates:
        rates = matrix_rates()
        with tempfile.TemporaryDirectory() as folder:
            for name in options.only:
                measure_rates(name, options, rates, Path(folder))
        return
    if options.data is None:
        parser.error("--data is missing")
    found = pictures(options.data)
    for name in options.only:
        measure(name, found, options.runs)


if __name__ == "__main__":
    main()
