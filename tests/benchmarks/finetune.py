"""Fine-tune a published network on two domains made from exact truths, and measure what it gains and what it forgets.

    python tests/benchmarks/finetune.py OUT [--photos FOLDER] [--general FOLDER] [--pictures 160] [--domain thin]

OUT gets the data sets and the runs, and rows.jsonl: for each domain and number of pictures the weighted F on unseen
pictures before and after, the same on general pictures, processor seconds and steps. ``--general`` is a folder with
``input/*.png`` and ``alpha/*.png`` of photographs with true alpha, to measure on alone; without it general pictures are
composed as well. ``--budget`` ends a training after so many processor seconds, whatever the machine does beside it;
``--overfit`` instead has a seeded BiRefNet on Swin-T learn eight pictures by heart.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from own_domains import Made, made, photographs

from gossamer.errors import Cancelled
from gossamer.evaluation import evaluate_mask
from gossamer.networks.architectures.birefnet import birefnet
from gossamer.networks.state_dict import load_network
from gossamer.settings.dataset import Data
from gossamer.settings.training import LOSSES, Training, teaching_of
from gossamer.training.bases import base_of
from gossamer.training.loop import finetune
from gossamer.training.parts import prepare
from gossamer.training.stepping import Stepper, optimiser_of
from gossamer.training.supervision import outputs_of
from gossamer.training.terms import iou
from gossamer.training.validation import mask_of

SETTINGS = {"steps": 220, "batch": 8, "loss": "thin", "rate": 4e-4, "average": 0.9, "general": 0.25, "tail": False}


def written(folder: Path, pictures: list[Made]) -> Path:
    """Write pictures and their masks, as people have them."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, one in enumerate(pictures):
        cv2.imwrite(str(folder / f"{number:04}.jpg"), one.rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
        cv2.imwrite(str(folder / f"{number:04}.png"), np.rint(one.alpha * 255).astype(np.uint8))
    return folder


def photographed(folder: Path) -> list[Made]:
    found = []
    for path in sorted((folder / "input").glob("*.png")):
        rgb = cv2.imread(str(path))[..., ::-1]
        alpha = cv2.imread(str(folder / "alpha" / path.name), cv2.IMREAD_GRAYSCALE)
        scale = 512 / max(alpha.shape)
        rgb, alpha = (cv2.resize(one, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) for one in (rgb, alpha))
        found.append(Made(path.stem, np.ascontiguousarray(rgb), alpha.astype(np.float32) / 255))
    return found


def measured(weights: Path, network: str, base: Any, pictures: list[Made]) -> float:
    module = load_network(weights, network)
    scores = []
    for one in pictures:
        mask = mask_of(module, one.rgb, base.input, base.output, logits=base.logits)
        scores.append(evaluate_mask(mask, one.alpha, measures=["weighted_f"]).values["weighted_f"])
    return float(np.mean(scores))


def trained(data: Path, general: Path, out: Path, model: str, budget: float, settings: Training) -> tuple[float, int]:
    """Train, for so many processor seconds at most; return these and the last validated step."""
    begun = time.process_time()

    def within(fraction: float, message: str) -> None:
        if time.process_time() - begun > budget:
            raise Cancelled

    try:
        finetune(
            data,
            out,
            settings,
            model=model,
            general=general,
            dataset=Data(validation=10, test=0),
            progress=within,
            announce=print,
        )
    except Cancelled:
        print("The budget is spent.")
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return time.process_time() - begun, max(int(row["step"]) for row in rows)


def learnt_by_heart(seconds: float) -> dict[str, Any]:
    """A seeded BiRefNet on Swin-T learns eight pictures, with and without recomputing, until IoU 0.98."""
    torch.manual_seed(0)
    network = birefnet("swin_t")
    for name, one in network.named_parameters():
        if one.dim() > 1 and "bias_table" not in name:
            torch.nn.init.trunc_normal_(one, std=0.02) if "bb." in name else torch.nn.init.kaiming_normal_(one)
    settings = Training(batch=8, rate=3e-4, recompute=True, normalisation="trained", clip=100)
    teaching = teaching_of("birefnet_swin_t")
    prepare(network, settings, teaching)
    stepper = Stepper(network, optimiser_of(network, settings, teaching), settings)
    from gossamer.training.feeding import Batch

    pictures = made("general", 8, photographs(None), 3, 96)
    rgb = np.stack([cv2.resize(one.rgb, (96, 96), interpolation=cv2.INTER_AREA) for one in pictures])
    alpha = np.stack([cv2.resize(one.alpha, (96, 96), interpolation=cv2.INTER_AREA) > 0.5 for one in pictures])
    inputs = (rgb.astype(np.float32).transpose(0, 3, 1, 2) / 255 - 0.45) / 0.225
    batch = Batch(np.ascontiguousarray(inputs), alpha[:, None].astype(np.float32), tuple(one.name for one in pictures))
    begun, step, reached = time.process_time(), 0, 0.0
    while reached < 0.98 and time.process_time() - begun < seconds:
        made_step = stepper.step(step, batch, 3e-4, LOSSES["birefnet_general"])
        step += 1
        if step % 10 == 0:
            with torch.no_grad():
                found = outputs_of(network, torch.from_numpy(batch.pictures)).maps[-1]
            reached = 1 - float(iou((found > 0).float(), torch.from_numpy(batch.truths))) / 8
            print(
                f"step {step}: loss {made_step.loss:.3f}, IoU {reached:.4f}, {time.process_time() - begun:.0f} s",
                flush=True,
            )
    return {"overfit": "birefnet_swin_t", "steps": step, "iou": reached, "seconds": time.process_time() - begun}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--photos", type=Path, default=None)
    parser.add_argument("--general", type=Path, default=None)
    parser.add_argument("--pictures", type=int, nargs="+", default=[160, 40])
    parser.add_argument("--domain", nargs="+", choices=["thin", "hidden"], default=["thin", "hidden"])
    parser.add_argument("--model", default="u2netp")
    parser.add_argument("--unseen", type=int, default=24)
    parser.add_argument("--budget", type=float, default=3000.0, help="processor seconds of a training")
    parser.add_argument("--steps", type=int, default=SETTINGS["steps"])
    parser.add_argument("--overfit", action="store_true")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    rows = arguments.out / "rows.jsonl"

    def note(row: dict[str, Any]) -> None:
        print(json.dumps(row), flush=True)
        with rows.open("a") as file:
            file.write(json.dumps(row) + "\n")

    if arguments.overfit:
        note(learnt_by_heart(arguments.budget))
        return
    photos = photographs(arguments.photos)
    order = np.random.default_rng(0).permutation(len(photos))
    half = max(2, len(photos) // 2)
    own, other = ([photos[i] for i in part] for part in (order[:half], order[-half:]))
    base = base_of(arguments.model, announce=print)
    general = written(arguments.out / "general", made("general", 80, own, 2))
    aside = photographed(arguments.general) if arguments.general else made("general", 16, other, 102)
    forgotten = measured(base.path, base.network, base, aside)
    settings = Training.of(**{**SETTINGS, "steps": arguments.steps, "validate_every": max(1, arguments.steps // 4)})
    for domain in arguments.domain:
        unseen = made(domain, arguments.unseen, other, 101)
        before = measured(base.path, base.network, base, unseen)
        for count in arguments.pictures:
            name = f"{domain}-{count}-{os.getpid()}"
            data = written(arguments.out / "data" / name, made(domain, count, own, 1))
            run = arguments.out / name
            seconds, steps = trained(data, general, run, arguments.model, arguments.budget, settings)
            after = measured(run / "best.safetensors", base.network, base, unseen)
            still = measured(run / "best.safetensors", base.network, base, aside)
            row = {"domain": domain, "pictures": count, "steps": steps, "processor_seconds": round(seconds)}
            row |= {"before": before, "after": after, "gain": after - before}
            note(row | {"general_before": forgotten, "general_after": still, "general": still / forgotten - 1})


if __name__ == "__main__":
    main()
