"""Robust Video Matting fine-tuned on things that are no people: before and after, on clips that no training saw.

    python tests/benchmarks/finetune_clips.py OUT --photos FOLDER [--cutouts FOLDER] [--clips 48] [--steps N]

``--photos``: some hundred photographs. Two fifths of them are behind the clips of the training, and give things their
surfaces; two fifths do the same for the clips that are tested. Those in which the base finds a person for certain are
the general set, with what it finds for their truth. Things are own_domains.py's, smooth, with corners, fur or hair;
clips are moving_scenes.py's, exact, 24 frames long. ``--cutouts``: a folder with ``input`` and ``alpha`` of real
things, which are tested as well, over the photographs of the test.

The sets are made once. ``--run`` names a training beside others on the same, ``--hold`` holds it to its base on the
general set.

Prints what ``promote`` would, for each set, and how much processor time the training took; OUT gets a sheet of each.
"""

from __future__ import annotations

import argparse
import shutil
import time
from pathlib import Path

import cv2
import numpy as np
from moving_scenes import scenes
from own_domains import made

from gossamer.arrays import unit_float
from gossamer.networks.recurrence import Recurrence
from gossamer.progress import Progress
from gossamer.settings import ModelChoice, Recipe
from gossamer.settings.dataset import Data
from gossamer.settings.promotion import Promotion
from gossamer.settings.training import Training
from gossamer.settings.video import Video
from gossamer.sheets.changes import Compared, change_sheet
from gossamer.training.bases import base_of
from gossamer.training.clips.medium import Clips
from gossamer.training.clips.proof import ClipModel, clip_samples_of
from gossamer.training.clips.reading import read_clips, split_clips
from gossamer.training.loop import finetune
from gossamer.training.proof import prove
from gossamer.video import Frame
from gossamer.video.matters import load_matter

MODEL = "rvm-mobilenetv3"
WIDTH, FRAMES, TESTED, SHEET = 320, 24, 24, 6
READING = Data(test=30.0, validation=15.0)
"""Of the general set the test's part is measured, held or not: what no training saw."""


def write_clips(folder: Path, cutouts: Path, photos: Path, count: int) -> None:
    """Write moving scenes as a user would have them: folders of frames, and of mattes; those that are there stay."""
    wanted = [one for one in range(count) if not (folder / "masks" / f"clip{one:03d}" / f"{FRAMES:04d}.png").exists()]
    for number, scene in zip(wanted, scenes(cutouts, photos, WIDTH, FRAMES, wanted), strict=True):
        for kind in ("images", "masks"):
            (folder / kind / f"clip{number:03d}").mkdir(parents=True, exist_ok=True)
        for place, (frame, alpha) in enumerate(zip(scene.frames, scene.alphas, strict=True), 1):
            name = f"clip{number:03d}/{place:04d}.png"
            cv2.imwrite(str(folder / "images" / name), frame[..., ::-1])
            cv2.imwrite(str(folder / "masks" / name), np.rint(alpha * 255).astype(np.uint8))


def write_things(folder: Path, files: list[Path], count: int, seed: int) -> None:
    """Write cut-outs of things as moving_scenes.py reads them."""
    photos = [cv2.imread(str(file))[..., ::-1].astype(np.float32) / 255 for file in files]
    for kind in ("input", "alpha"):
        (folder / kind).mkdir(parents=True)
    for number, one in enumerate(made("general", count, photos, seed)):
        cv2.imwrite(str(folder / "input" / f"{number:03d}.png"), one.rgb[..., ::-1])
        cv2.imwrite(str(folder / "alpha" / f"{number:03d}.png"), np.rint(one.alpha * 255).astype(np.uint8))


def write_general(folder: Path, files: list[Path]) -> int:
    """Write the photographs in which the base finds somebody for certain, and what it finds; return how many."""
    shutil.rmtree(folder, ignore_errors=True)
    quiet = Progress.of(None)
    model = load_matter(ModelChoice.of(MODEL), Recipe(), Video(ratio=0.5), quiet, print)
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    count = 0
    for file in files:
        picture = np.ascontiguousarray(cv2.imread(str(file))[..., ::-1])
        alpha = model.matte(Frame(0, 0, picture), Recurrence(), quiet).alpha  # type: ignore[arg-type]
        found = alpha[alpha > 0.1]
        if (alpha > 0.5).mean() > 0.04 and float(np.abs(2 * found - 1).mean()) > 0.94:
            cv2.imwrite(str(folder / "images" / f"{file.stem}.png"), picture[..., ::-1])
            cv2.imwrite(str(folder / "masks" / f"{file.stem}.png"), np.rint(alpha * 255).astype(np.uint8))
            count += 1
    return count


def prepared(out: Path, photos: Path, cutouts: Path | None, count: int) -> None:
    """Write all sets below a folder."""
    files = sorted(file for file in photos.iterdir() if file.suffix.lower() in (".jpg", ".png"))
    files = [files[place] for place in np.random.default_rng(0).permutation(len(files))]
    fifth = len(files) // 5
    parts = {"train": files[: 2 * fifth], "test": files[-2 * fifth :]}
    for name, part in parts.items():
        if not (out / f"photos-{name}").exists():
            (out / f"photos-{name}").mkdir(parents=True)
            for file in part:
                shutil.copy(file, out / f"photos-{name}")
    for name, many, seed in (("train", count, 1), ("test", TESTED, 2)):
        if not (out / f"things-{name}").exists():
            write_things(out / f"things-{name}", parts[name][:60], many, seed)
    write_clips(out / "train", out / "things-train", out / "photos-train", count)
    write_clips(out / "test", out / "things-test", out / "photos-test", TESTED)
    if cutouts is not None:
        there = len(list((cutouts / "input").glob("*.png")))
        write_clips(out / "real", cutouts, out / "photos-test", there)
    print(f"general photographs: {write_general(out / 'general', files)}", flush=True)
    (out / "ready").touch()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--cutouts", type=Path)
    parser.add_argument("--clips", type=int, default=48)
    parser.add_argument("--steps", type=int, default=240)
    parser.add_argument("--side", type=int, default=160)
    parser.add_argument("--length", type=int, default=4)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--every", type=int, default=60)
    parser.add_argument("--proved", type=int, default=TESTED, help="of each set, so many clips at most are measured")
    parser.add_argument("--run", default="run", help="the folder of the training below OUT")
    parser.add_argument("--hold", action="store_true", help="hold the network to its base on the general set")
    parser.add_argument("--only-proof", action="store_true", help="measure the last training")
    parser.add_argument("--only-data", action="store_true", help="write the sets and end")
    arguments = parser.parse_args()
    out: Path = arguments.out
    if not (out / "ready").exists():
        prepared(out, arguments.photos, arguments.cutouts, arguments.clips)
    if arguments.only_data:
        return
    if not arguments.only_proof:
        train(out, arguments)
    proved(out, arguments.run, arguments.proved)


def train(out: Path, arguments: argparse.Namespace) -> None:
    """Train as the command would, and say what the validation saw."""
    settings = Training.of(
        steps=arguments.steps,
        worst=0,
        side=arguments.side,
        length=arguments.length,
        batch=arguments.batch,
        rate=arguments.rate,
        validate_every=arguments.every,
    )
    begun = time.process_time()
    report = finetune(
        out / "train",
        out / arguments.run,
        settings,
        model=MODEL,
        dataset=READING,
        general=out / "general" if arguments.hold else None,
        resume=(out / arguments.run / "run.json").exists(),
        progress=lambda fraction, message: None,
        announce=print,
    )
    print(f"{report.steps} steps, {time.process_time() - begun:.0f} s of processor, best after {report.best_step}")
    print(f"validated: {report.before} -> {report.after}, {report.share:g} of the way", flush=True)


def proved(out: Path, run: str, most: int) -> None:
    """Say what both networks do on each set, and draw the test's frames in which they differ most."""
    models = (
        ClipModel(base_of(MODEL).path, "rvm_mobilenetv3"),
        ClipModel(out / run / "best.safetensors", "rvm_mobilenetv3"),
    )
    held = {one.name for one in split_clips(read_clips(out / "general").clips, READING.for_general()).test}
    settings, medium = Promotion(proof_side=512), Clips()
    for name in ("test", "real", "general"):
        if not (out / name).exists():
            continue
        clips = [one for one in read_clips(out / name).clips if name != "general" or one.name in held]
        samples = clip_samples_of(clips[:most], (), settings)
        proof = prove(*models, samples, settings, medium=medium)
        print(f"{name}: {len(proof.pictures)} clips")
        for change in proof.changes:
            gain = change.gain
            print(
                f"  {change.measure}: {change.before:.3f} -> {change.after:.3f} "
                f"({gain.middle:+.3f}, {gain.low:+.3f} to {gain.high:+.3f})",
                flush=True,
            )
        rows = []
        for sample in samples[:SHEET]:
            rgb, truth, before, after = medium.shown(sample, models, settings, Progress.of(None))
            rows.append(Compared(sample.name, unit_float(rgb), truth, before, after))
        cv2.imwrite(str(out / f"{name}-{run}.png"), np.rint(change_sheet(rows)[..., ::-1] * 255).astype(np.uint8))


if __name__ == "__main__":
    main()
