"""What one picture costs by each network: the processor's seconds that docs/choosing.md says.

    python tests/benchmarks/networks.py [--only NAME ...]

U²-Net, U²-Net small and IS-Net run in ONNX Runtime with their true weights, the others in torch with random ones: the
time does not depend on them. The picture has one megapixel; resizing it and the mask is in the time. Seconds are the
processor's, of all threads together, so that others on the machine count little: the better of two runs, after the
network was loaded.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

import gossamer
from gossamer.networks.architectures.networks import build
from gossamer.weights.catalogue import model_card

TRUE = ("u2netp", "u2net", "isnet-general-use")
RANDOM = (
    *("modnet-photographic", "inspyrenet-fast", "birefnet-lite-matting", "birefnet-512", "inspyrenet-base"),
    *("ben2-base", "birefnet-general", "birefnet-lite-2k", "birefnet-hr"),
)


def random_weights(network: str, path: Path) -> None:
    """Write weights that keep the signal finite."""
    drawn = torch.Generator().manual_seed(0)
    state = build(network).state_dict()
    for name, value in state.items():
        if value.is_floating_point():
            plain = torch.zeros if name.endswith(("bias", "running_mean")) else torch.ones
            state[name] = 0.02 * torch.randn(value.shape, generator=drawn) if value.ndim > 1 else plain(value.shape)
    save_file({name: value.clone() for name, value in state.items()}, path)


def seconds(model: gossamer.SegmentationModel, picture: np.ndarray) -> float:
    """Return the processor's seconds for one picture."""
    found = []
    for _ in range(2):
        started = time.process_time()
        model.predict(picture)
        found.append(time.process_time() - started)
    model.unload()
    return min(found)


def main() -> None:
    """Measure each in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=TRUE + RANDOM, default=TRUE + RANDOM)
    options = parser.parse_args()
    picture = np.random.default_rng(0).integers(0, 256, (1000, 1000, 3), np.uint8)
    for name in options.only:
        if name in TRUE:
            print(f"{name}: {seconds(gossamer.load_model(name, runtime='onnx'), picture):.2f} s", flush=True)
            continue
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "random.safetensors"
            random_weights(model_card(name).network or "", file)
            model = gossamer.load_model(str(file), architecture=name, runtime="torch")
            print(f"{name}: {seconds(model, picture):.2f} s", flush=True)


if __name__ == "__main__":
    main()
