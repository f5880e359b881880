"""Which normalisation ViTMatte's published weights want: settled on data, where the weights are.

    python tests/benchmarks/vitmatte_normalisation.py FOLDER [--model NAME_OR_FOLDER] [--device cpu] [--limit N]

FOLDER holds ``input/*.png``, ``alpha/*.png`` and ``trimap1/*.png`` of the same names (the training set of
alphamatting.com is laid out so). Two answers that do not depend on each other are printed:

1. SAD / 1000 in the unknown pixels for each normalisation, a picture and in total: the lower one is right.
2. How far the statistics that the first batch normalisation remembers from training lie from those of these pictures
   under each normalisation: the mean over its channels of the symmetric Kullback-Leibler divergence of two Gaussians.
   The trained-with normalisation gives the smaller number: with random convolutions whose statistics were taken from
   one half of alphamatting.com's pictures under either normalisation, the other half told it by a factor of 5 or more.

``gossamer.matting.vitmatte.network.NORMALISATION`` says what is the default and why.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from gossamer.matting.vitmatte.network import NORMALISATION, NORMALISATIONS, VitMatte


def remembered(network: Any) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance, a channel, of the first convolution's output as they were in training."""
    norm = network.decoder.convstream.convs[0].batch_norm
    return norm.running_mean.float().cpu().numpy(), norm.running_var.float().cpu().numpy()


def measured(network: Any, pictures: list[tuple[np.ndarray, np.ndarray]], normalisation: str) -> tuple[Any, Any]:
    """The same of these pictures, with their trimaps."""
    mean, deviation = (np.asarray(v, np.float32) for v in NORMALISATIONS[normalisation])
    convolution = network.decoder.convstream.convs[0].conv
    sums, squares, count = 0.0, 0.0, 0
    for image, trimap in pictures:
        planes = np.concatenate([(image - mean) / deviation, trimap[..., None]], axis=2).transpose(2, 0, 1)
        batch = torch.from_numpy(np.ascontiguousarray(planes, np.float32))[None].to(convolution.weight.device)
        with torch.inference_mode():
            answer = convolution(batch.to(convolution.weight.dtype))[0].double().flatten(1).cpu().numpy()
        sums, squares, count = sums + answer.sum(1), squares + (answer**2).sum(1), count + answer.shape[1]
    average = sums / count
    return average, squares / count - average**2


def divergence(first: tuple[Any, Any], second: tuple[Any, Any]) -> float:
    (m1, v1), (m2, v2) = first, second
    v1, v2 = np.maximum(v1, 1e-12), np.maximum(v2, 1e-12)
    return float(np.mean(0.25 * (v1 / v2 + v2 / v1 - 2 + (m1 - m2) ** 2 * (1 / v1 + 1 / v2))))


def read(file: Path, mode: int) -> np.ndarray:
    pixels = cv2.imread(str(file), mode)
    if pixels is None:
        raise SystemExit(f"{file} cannot be read.")
    return (pixels / 255).astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="auto")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--trimap", default="trimap1")
    parser.add_argument("--tile", type=int, default=0, help="0: the whole picture, as the authors evaluate")
    parser.add_argument("--limit", type=int, help="only so many pictures")
    arguments = parser.parse_args()
    models = {
        name: VitMatte.load(arguments.model, device=arguments.device, normalisation=name) for name in NORMALISATIONS
    }
    chosen = next(iter(models.values()))
    print(f"model {chosen.id} on {chosen.device}; the default is {NORMALISATION}")
    print(f"{'SAD / 1000':>20}" + "".join(f"{name:>12}" for name in models))
    total = dict.fromkeys(models, 0.0)
    seen: list[tuple[np.ndarray, np.ndarray]] = []
    for file in sorted((arguments.folder / "input").glob("*.png"))[: arguments.limit]:
        image = np.ascontiguousarray(read(file, cv2.IMREAD_COLOR)[..., ::-1])
        truth = read(arguments.folder / "alpha" / file.name, cv2.IMREAD_GRAYSCALE)
        trimap = read(arguments.folder / arguments.trimap / file.name, cv2.IMREAD_GRAYSCALE)
        trimap = np.where(trimap <= 0.1, 0, np.where(trimap >= 0.9, 1, 0.5)).astype(np.float32)
        seen.append((image, trimap))
        unknown = trimap == 0.5
        line = f"{file.name:>20}"
        for name, model in models.items():
            alpha = model.predict(image, trimap, tile=arguments.tile)
            error = float(np.abs(alpha - truth)[unknown].sum()) / 1000
            total[name] += error
            line += f"{error:12.2f}"
        print(line, flush=True)
    if not seen:
        raise SystemExit(f"There are no pictures in {arguments.folder / 'input'}.")
    print(f"{'mean':>20}" + "".join(f"{value / len(seen):12.2f}" for value in total.values()))
    memory = remembered(chosen._network)
    answers = [divergence(memory, measured(chosen._network, seen, name)) for name in models]
    print(f"{'distance to training':>20}" + "".join(f"{value:12.4f}" for value in answers))
    print(
        f"by SAD: {min(total, key=lambda name: total[name])}; by training statistics: "
        f"{list(models)[int(np.argmin(answers))]}"
    )


if __name__ == "__main__":
    main()
