"""Fine-tune a published network on two domains made from exact truths, and measure what it gains and what it forgets.

    python tests/benchmarks/finetune.py OUT --photos FOLDER --general FOLDER [--pictures 40] [--domain X] [--side 160]

OUT gets the runs, and rows.jsonl: for each domain and number of pictures the weighted F on unseen pictures before and
after, the same on general pictures, which part of the way was taken, processor seconds and steps. ``--photos`` is a
folder of any photographs, better hundreds than dozens. Over the first half is composed for training, over the other
half lie the unseen pictures. Of the first, up to 60 are set aside to validate by; in the others the network is to find
what it found. ``--general`` is a folder with ``input/*.png`` and ``alpha/*.png`` of photographs with true alpha.

General pictures to learn from, by their own masks: three of the photographs with true alpha, what is cut out of them
over other photographs and colours, composed solid and furry subjects, half of them over clutter. To validate by: four
others of these photographs, what is cut out of them and other composed subjects, over the photographs set aside, and
these. Measured on alone: every second photograph with true alpha (``general_photographs``), and composed subjects over
photographs that no training saw (``general_composed``); ``general`` is over both.

``--overfit`` instead has a seeded BiRefNet on Swin-T learn eight pictures by heart, in at most ``--steps`` steps and
``--budget`` processor seconds.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from own_domains import Array, Made, files_in, made, photographs
from torch import nn

from gossamer.networks.architectures.birefnet import birefnet
from gossamer.networks.state_dict import load_network
from gossamer.settings.training import LOSSES, Training, teaching_of
from gossamer.training.bases import Base, base_of
from gossamer.training.dataset import Example, compose
from gossamer.training.feeding import Batch, Taught
from gossamer.training.lessons import Lessons
from gossamer.training.parts import prepare
from gossamer.training.photographs import Photograph
from gossamer.training.processes import Processes
from gossamer.training.run_folder import RunFolder
from gossamer.training.schedules import rate_at
from gossamer.training.stepping import Stepper, optimiser_of
from gossamer.training.supervision import outputs_of
from gossamer.training.terms import iou
from gossamer.training.trainer import Trainer
from gossamer.training.validation import validated

SETTINGS = {"batch": 4, "loss": "thin", "worst": 0}
"""Of ``gossamer finetune``, as flags: ``--batch 4 --loss thin …``; everything else is what the command takes."""
HEIGHT = 320  # of what is made
VALIDATED = 24  # pictures of the domain
ASIDE = 60  # photographs without masks: of half of them, or fewer, the base is sure enough to be measured by
COMPOSED = 24  # general pictures, to learn from, to validate and to measure on


def sized(rgb: Any, alpha: Any, name: str, longest: int = 400) -> Made:
    scale = longest / max(rgb.shape[:2])
    rgb, alpha = (cv2.resize(one, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) for one in (rgb, alpha))
    return Made(name, np.ascontiguousarray(rgb), np.clip(alpha, 0, 1).astype(np.float32))


def photographed(folder: Path) -> list[Made]:
    found = []
    for path in sorted((folder / "input").glob("*.png")):
        alpha = cv2.imread(str(folder / "alpha" / path.name), cv2.IMREAD_GRAYSCALE)
        found.append(sized(cv2.imread(str(path))[..., ::-1], alpha.astype(np.float32) / 255, path.stem))
    return found


def cut_outs(folder: Path, names: list[str], behind: list[Path], count: int, seed: int) -> list[Made]:
    """Return what is cut out of photographs with true alpha, over other photographs and plain colours."""
    found = []
    for number in range(count):
        name = names[number % len(names)]
        example = Example(name, name, folder / "input" / f"{name}.png", folder / "alpha" / f"{name}.png", "folder")
        rgb, alpha = compose(example, behind, seed * 1000 + number, longest=400)
        found.append(Made(f"cut-out {seed}-{number}", rgb, alpha))
    return found


def general_sets(
    own: list[Array], other: list[Array], files: list[Path], folder: Path | None
) -> tuple[tuple[Taught, ...], tuple[Taught, ...], list[Made]]:
    """Return the general pictures to learn from, those to validate on, and the photographs that are measured on."""
    count = min(ASIDE, len(own) // 4)
    held, shown = own[:count], own[count:]
    behind = held if len(held) > 1 else own
    true = photographed(folder) if folder else made("general", 14, other, 102, HEIGHT)
    seen, aside = true[::2], true[1::2]
    learnt, checked = seen[:3], seen[3:]
    learnt, checked = (
        [*learnt, *made("general", 64, shown, 2, HEIGHT), *made("crowded", 64, shown, 3, HEIGHT)],
        [*checked, *made("general", COMPOSED, behind, 4, HEIGHT)],
    )
    if folder and files:
        names = [one.name for one in seen]
        learnt += cut_outs(folder, names[:3], files[count:], 48, 5)
        checked += cut_outs(folder, names[3:], files[:count], COMPOSED, 6)
    photos = [Photograph(path.name, path) for path in files]
    return (*photos[count:], *learnt), (*checked, *photos[:count]), aside


def measured(network: nn.Module, base: Base, pictures: list[Made], side: int) -> list[float]:
    seen = validated(network.eval(), pictures, base.input, base.output, logits=base.logits, side=side)
    return [one.values["weighted_f"] for one in seen]


def forgotten(before: list[list[float]], after: list[list[float]]) -> dict[str, float]:
    """Return weighted F of photographs, of composed pictures and of both as one, before, after and by how much."""
    told = {}
    for name, part in {"_photographs": slice(0, 1), "_composed": slice(1, 2), "": slice(None)}.items():
        old, new = (float(np.mean(np.concatenate(one[part]))) for one in (before, after))
        told |= {f"general{name}_before": old, f"general{name}_after": new, f"general{name}": new / old - 1}
    return told


def trained(base: Base, lessons: Lessons, out: Path, settings: Training) -> tuple[float, dict[str, Any]]:
    """Train; return processor seconds and what it came to."""
    folder = RunFolder(out)
    begun = time.process_time()
    with folder.taken():
        result = Trainer(base, lessons, settings, folder, Processes("cpu"), print).run(resume=False)
    return time.process_time() - begun, result


def learnt_by_heart(seconds: float, side: int, steps: int, lora: int) -> dict[str, Any]:
    """A seeded BiRefNet on Swin-T learns eight pictures by all its losses, recomputing, until IoU 0.98."""
    torch.manual_seed(0)
    network = birefnet("swin_t")
    for name, one in network.named_parameters():
        if one.dim() > 1 and "bias_table" not in name:
            torch.nn.init.trunc_normal_(one, std=0.02) if "bb." in name else torch.nn.init.kaiming_normal_(one)
    settings = Training(batch=8, rate=5e-4, recompute=True, normalisation="trained", steps=steps, lora=lora)
    teaching = teaching_of("birefnet_swin_t")
    prepare(network, settings, teaching)
    stepper = Stepper(network, optimiser_of(network, settings, teaching), settings, precision="bfloat16")
    pictures = made("general", 8, photographs(None), 3, 96)
    rgb = np.stack([cv2.resize(one.rgb, (side, side), interpolation=cv2.INTER_AREA) for one in pictures])
    alpha = np.stack([cv2.resize(one.alpha, (side, side), interpolation=cv2.INTER_AREA) > 0.5 for one in pictures])
    inputs = (rgb.astype(np.float32).transpose(0, 3, 1, 2) / 255 - 0.45) / 0.225
    batch = Batch(np.ascontiguousarray(inputs), alpha[:, None].astype(np.float32), tuple(one.name for one in pictures))
    begun, step, reached = time.process_time(), 0, 0.0
    while reached < 0.98 and step < steps and time.process_time() - begun < seconds:
        made_step = stepper.step(step, batch, rate_at(step, settings, settings.rate), LOSSES["birefnet_general"])
        step += 1
        if step % 10 == 0:
            with torch.no_grad():
                found = outputs_of(network, torch.from_numpy(batch.pictures)).maps[-1]
            reached = 1 - float(iou((found > 0).float(), torch.from_numpy(batch.truths))) / 8
            print(
                f"step {step}: loss {made_step.loss:.3f}, IoU {reached:.4f}, {time.process_time() - begun:.0f} s",
                flush=True,
            )
    row = {"overfit": "birefnet_swin_t", "side": side, "lora": lora, "steps": step}
    return row | {"iou": reached, "seconds": time.process_time() - begun}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--photos", type=Path, default=None)
    parser.add_argument("--general", type=Path, default=None)
    parser.add_argument("--pictures", type=int, nargs="+", default=[40, 160])
    parser.add_argument("--domain", nargs="+", choices=["thin", "hidden"], default=["thin", "hidden"])
    parser.add_argument("--model", default="u2netp")
    parser.add_argument("--unseen", type=int, default=48)
    parser.add_argument("--side", type=int, default=0, help="at which the network sees pictures; 0: its own")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--rate", type=float, default=0.0, help="0: what the command takes")
    parser.add_argument("--general-truth", choices=["base", "masks"], default="masks")
    parser.add_argument("--keep", type=float, default=10.0)
    parser.add_argument("--validations", type=int, default=2)
    parser.add_argument("--freeze", choices=["nothing", "kernels"], default="nothing")
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="bfloat16")
    parser.add_argument("--overfit", action="store_true")
    parser.add_argument("--lora", type=int, default=0, help="rank, of --overfit")
    parser.add_argument("--budget", type=float, default=3000.0, help="processor seconds of --overfit")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    rows = arguments.out / "rows.jsonl"

    def note(row: dict[str, Any]) -> None:
        print(json.dumps(row), flush=True)
        with rows.open("a") as file:
            file.write(json.dumps(row) + "\n")

    if arguments.overfit:
        note(learnt_by_heart(arguments.budget, arguments.side or 96, arguments.steps, arguments.lora))
        return
    photos, files = photographs(arguments.photos), files_in(arguments.photos)
    order = np.random.default_rng(0).permutation(len(photos))
    half = max(2, len(photos) // 2)
    own, other = ([photos[i] for i in part] for part in (order[:half], order[-half:]))
    base, side = base_of(arguments.model, announce=print), arguments.side
    plain = base.load()
    names = [files[i] for i in order[:half]] if files else []
    general, checked, aside = general_sets(own, other, names, arguments.general)
    general_test = [aside, made("general", COMPOSED, other, 103, HEIGHT)]
    known = [measured(plain, base, pictures, side) for pictures in general_test]
    flags = ("steps", "rate", "keep", "freeze", "precision", "side", "general_truth")
    asked = {name: getattr(arguments, name) for name in flags}
    settings = Training.of(
        **{**SETTINGS, **asked, "validate_every": math.ceil(arguments.steps / arguments.validations)}
    )
    for domain in arguments.domain:
        unseen = made(domain, arguments.unseen, other, 101, HEIGHT)
        before = float(np.mean(measured(plain, base, unseen, side)))
        held = tuple(made(domain, VALIDATED, own, 50, HEIGHT))
        for count in arguments.pictures:
            run = arguments.out / f"{domain}-{count}-{os.getpid()}"
            lessons = Lessons(tuple(made(domain, count, own, 1, HEIGHT)), held, general, checked)
            seconds, result = trained(base, lessons, run, settings)
            network = load_network(run / "best.safetensors", base.network)
            after = float(np.mean(measured(network, base, unseen, side)))
            still = [measured(network, base, pictures, side) for pictures in general_test]
            row = {"domain": domain, "pictures": count, "side": side, "steps": result["steps"]}
            row |= {"share": result["share"], "processor_seconds": round(seconds)}
            row |= {"before": before, "after": after, "gain": after - before}
            note(row | forgotten(known, still))


if __name__ == "__main__":
    main()
