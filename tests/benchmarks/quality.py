"""Checks of cut-outs, measured: planted faults found, false alarms, and the score's order against that of the error.

    python tests/benchmarks/quality.py FOLDER --photos PHOTOS [--first 100] [--each 3] [--scenes 24] [--masks MASKS]
        [--only faults|scores] [--verbose]

FOLDER holds ``input/*.png`` and ``alpha/*.png`` of the same names; PHOTOS photographs. True subjects of FOLDER are
turned, made smaller and laid over PHOTOS, `--each` of them as many times, and `--scenes` scenes are drawn (see
thin_scenes.py), all from the seed `--first` on: thresholds were chosen on seeds below 100. Into each one fault is
planted at a time. Printed are, per fault, the share that was flagged as such, and per flag the share of true mattes
that got it. Then the pictures of FOLDER get masks of many qualities, with and without matting, and the score's rank
correlation (Spearman) with the sum of absolute differences is printed. MASKS is a folder of more masks,
``KIND-NAME.npy``, such as those of networks.
"""

from __future__ import annotations

import argparse
import collections
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from scipy.stats import spearmanr
from thin_scenes import THINGS, Array, scene

import gossamer
from gossamer.foreground.estimation import estimate_foreground
from gossamer.matting.auto.alpha import auto_alpha
from gossamer.matting.closed_form.alpha import closed_form_alpha
from gossamer.matting.from_mask.alpha import matte_from_mask
from gossamer.matting.guided import guided_alpha
from gossamer.matting.signed_distance import signed_distance
from gossamer.matting.trimap import trimap_from_mask


class Picture(NamedTuple):
    """A photograph (H, W, 3) with its true alpha and the subject's colours, float32 in [0, 1]."""

    name: str
    photo: Array
    alpha: Array
    colours: Array


class Planted(NamedTuple):
    """A cut-out with a fault, the photograph it is of, and the mask it was made of, where it is told."""

    fault: str
    alpha: Array
    colours: Array
    photo: Array
    mask: Array | None = None


Tally = dict[str, tuple[list[bool], list[bool]]]

HITS = {
    "halo: colours left alone": {"halo"},
    "halo: too wide": {"halo"},
    "premultiplied": {"premultiplied"},
    "hole": {"hole"},
    "cut off, straight": {"cut", "outline"},
    "cut off, slanting": {"cut", "outline"},
    "cut off by the frame": {"frame"},
    "wrong subject: mirrored": {"outline", "doubt"},
    "wrong subject: elsewhere": {"outline", "doubt"},
    "haze everywhere": {"haze"},
    "haze in clouds": {"haze"},
    "lost hair, mask told": {"lost"},
    "lost hair, photograph alone": {"lost", "outline"},
    "jagged: black and white": {"jagged"},
    "jagged: blocks": {"jagged"},
    "jagged: teeth": {"jagged"},
}


def disc(radius: int) -> np.ndarray:
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    return (x * x + y * y <= radius * radius + radius / 2).astype(np.uint8)


def read(path: Path) -> Array:
    return np.ascontiguousarray(cv2.imread(str(path))[:, :, ::-1].astype(np.float32) / 255)


def truths(folder: Path) -> Iterator[tuple[str, Array, Array]]:
    for path in sorted((folder / "input").glob("*.png")):
        alpha = cv2.imread(str(folder / "alpha" / path.name), cv2.IMREAD_GRAYSCALE).astype(np.float32) / 255
        yield path.stem, read(path), alpha


def behind(photo: Array, height: int, width: int) -> Array:
    """Return a photograph made as large as is needed, and cropped."""
    scale = max(height / photo.shape[0], width / photo.shape[1])
    size = (int(np.ceil(photo.shape[1] * scale)), int(np.ceil(photo.shape[0] * scale)))
    return cv2.resize(photo, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)[:height, :width]


def composed(folder: Path, photos: list[Array], first: int, each: int) -> Iterator[Picture]:
    """Lay true subjects, turned and made smaller, over photographs."""
    for number, (name, image, alpha) in enumerate(truths(folder)):
        colours = estimate_foreground(image, alpha).foreground
        height, width = alpha.shape
        for turn in range(each):
            random = np.random.default_rng((first + turn) * 1000 + number)
            flipped = random.random() < 0.5
            angle, scale = random.uniform(-25, 25), random.uniform(0.55, 0.95)
            matrix = cv2.getRotationMatrix2D((width / 2, height / 2), angle, scale)
            matrix[:, 2] += random.uniform(-0.05, 0.05, 2) * (width, height)
            planes = [np.ascontiguousarray(plane[:, ::-1]) if flipped else plane for plane in (alpha, colours)]
            # What the frame had cut off must not end in the picture: it fades out as if it went on behind something.
            matte = cv2.warpAffine(planes[0], matrix, (width, height), flags=cv2.INTER_AREA)
            reach = cv2.warpAffine(np.ones_like(alpha), matrix, (width, height), flags=cv2.INTER_LINEAR)
            own = cv2.warpAffine(planes[1], matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
            matte = np.clip(matte, 0, 1) * np.clip(cv2.erode(reach, disc(2)), 0, 1)
            back = behind(photos[random.integers(len(photos))], height, width)
            if random.random() < 0.4:
                back = cv2.GaussianBlur(back, (0, 0), 3)
            yield over(f"{name}/{first + turn}", matte, np.clip(own, 0, 1), back, random)


def over(name: str, alpha: Array, colours: Array, back: Array, random: np.random.Generator) -> Picture:
    image = alpha[..., None] * colours + (1 - alpha[..., None]) * back
    return Picture(name, eight_bit(image + random.normal(0, 0.005, image.shape)), eight_bit(alpha), colours)


def drawn(photos: list[Array], first: int, count: int) -> Iterator[Picture]:
    for number in range(count):
        made = scene(list(THINGS)[number % len(THINGS)], photos, first + number, 0.48, 1024)
        colours = estimate_foreground(made.image, made.alpha).foreground
        yield Picture(made.name, made.image, eight_bit(made.alpha), colours)


def eight_bit(plane: np.ndarray) -> Array:
    return (np.round(np.clip(plane, 0, 1) * 255) / 255).astype(np.float32)


def planted(true: Picture) -> Iterator[Planted]:
    """Plant every fault that there is room for; "" is none."""
    _, photo, alpha, colours = true
    random = np.random.default_rng(sum(map(ord, true.name)))
    height, width = alpha.shape
    diagonal = float(np.hypot(height, width))
    y, x = np.mgrid[:height, :width]
    yield Planted("", alpha, colours, photo)
    yield Planted("halo: colours left alone", alpha, photo, photo)
    yield Planted("halo: too wide", cv2.dilate(alpha, disc(3)), photo, photo)
    yield Planted("premultiplied", alpha, alpha[..., None] * colours, photo)
    deep = cv2.distanceTransform((alpha > 0.9).astype(np.uint8), cv2.DIST_L2, 5)
    places = np.argwhere(deep > 0.02 * diagonal)
    if len(places):
        row, column = places[random.integers(len(places))]
        radius = min(deep[row, column] * 0.7, random.uniform(0.012, 0.04) * diagonal)
        turn, flat = random.uniform(0, np.pi), random.uniform(0.6, 1)
        along = (x - column) * np.cos(turn) + (y - row) * np.sin(turn)
        across = (y - row) * np.cos(turn) - (x - column) * np.sin(turn)
        left = np.clip((np.hypot(along, across / flat) - radius) / 2 + 0.5, 0, 1)
        yield Planted("hole", alpha * left, colours, photo)
    rows, columns = np.nonzero(alpha > 0.5)
    share, side = random.uniform(0.15, 0.4), random.integers(4)
    where, there = (x, columns) if side < 2 else (y, rows)
    limit = np.quantile(there, share if side % 2 else 1 - share)
    yield Planted("cut off, straight", alpha * ((where >= limit) if side % 2 else (where < limit)), colours, photo)
    angle = random.uniform(0, 2 * np.pi)
    limit = np.quantile(columns * np.cos(angle) + rows * np.sin(angle), 0.7)
    slanting = np.clip(limit - (x * np.cos(angle) + y * np.sin(angle)) + 0.5, 0, 1)
    yield Planted("cut off, slanting", alpha * slanting, colours, photo)
    if max(alpha[0].max(), alpha[-1].max(), alpha[:, 0].max(), alpha[:, -1].max()) < 0.5:
        top = int(rows.min() + 0.15 * np.ptp(rows))
        yield Planted("cut off by the frame", alpha[top:], colours[top:], photo[top:])
    mirrored = alpha[:, ::-1]
    if np.minimum(alpha, mirrored).sum() < 0.9 * np.maximum(alpha, mirrored).sum():  # else it is the same subject
        yield Planted("wrong subject: mirrored", mirrored, photo, photo)
    shift = random.uniform(0.12, 0.3, 2) * random.choice([-1, 1], 2) * (height, width)
    yield Planted("wrong subject: elsewhere", np.roll(alpha, shift.astype(int), (0, 1)), photo, photo)
    yield Planted("haze everywhere", np.maximum(alpha, random.uniform(0.02, 0.07)), colours, photo)
    clouds = cv2.GaussianBlur(random.standard_normal((height, width)), (0, 0), 0.05 * diagonal)
    yield Planted("haze in clouds", np.maximum(alpha, np.clip(clouds / clouds.std() * 0.03, 0, 0.07)), colours, photo)
    opened = cv2.morphologyEx(alpha, cv2.MORPH_OPEN, disc(max(2, round(0.004 * diagonal))))
    if (alpha - opened).sum() > 0.02 * alpha.sum() and opened.max() > 0.5:
        yield Planted("lost hair, mask told", opened, colours, photo, alpha)
        yield Planted("lost hair, photograph alone", opened, colours, photo)
    yield Planted("jagged: black and white", (alpha > 0.5).astype(np.float32), colours, photo)
    block = int(random.integers(3, 6))
    small = cv2.resize(alpha, (width // block, height // block), interpolation=cv2.INTER_AREA)
    blocks = cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST)
    yield Planted("jagged: blocks", blocks, colours, photo)
    noise = cv2.GaussianBlur(random.standard_normal((height, width)), (0, 0), 1.5)
    teeth = np.clip(signed_distance(alpha) + 2 * noise / noise.std() + 0.5, 0, 1)
    yield Planted("jagged: teeth", teeth, colours, photo)


def rgba(colours: Array, alpha: Array) -> np.ndarray:
    return np.dstack([eight_bit(colours), eight_bit(alpha)]) * np.float32(255) + np.float32(0.5)


def faults(pictures: Iterator[Picture], verbose: bool) -> None:
    """Print hits and false alarms, of true subjects and of drawn scenes."""
    hits: Tally = collections.defaultdict(lambda: ([], []))
    alarms: Tally = collections.defaultdict(lambda: ([], []))
    for true in pictures:
        group = 0 if "/" in true.name else 1
        for each in planted(true):
            cut = rgba(each.colours, each.alpha).astype(np.uint8)
            found = gossamer.check(cut, eight_bit(each.photo), each.mask)
            names = {flag.id for flag in found.flags}
            if each.fault:
                seen = bool(names & HITS[each.fault])
                hits[each.fault][group].append(seen)
                hits["all"][group].append(seen)
                if verbose and not seen:
                    print(f"  {true.name}: {each.fault} not seen; {sorted(names)}", flush=True)
                continue
            touches = max(side.max() for side in (each.alpha[0], each.alpha[-1], each.alpha[:, 0], each.alpha[:, -1]))
            for name in sorted({name for names in HITS.values() for name in names}):
                if name != "frame" or touches < 0.5:
                    alarms[name][group].append(name in names)
            faulty = [flag.reason for flag in found.flags if flag.severity == "fault"]
            alarms["any fault"][group].append(bool(faulty))
            if verbose and (faulty or found.score < 50):
                print(f"  {true.name}: true, score {found.score}: {[flag.reason for flag in found.flags]}", flush=True)
    for title, tally, names in (
        ("planted, and flagged as such", hits, [*HITS, "all"]),
        ("flag on true mattes", alarms, sorted(alarms)),
    ):
        print(f"\n| {title} | true subjects | | drawn scenes | |\n|---|---:|---:|---:|---:|")
        for name in names:
            cells = [f"{len(row)} | {np.mean(row):.1%}" if row else "0 | " for row in tally[name]]
            print(f"| {name} | {' | '.join(cells)} |")


def degraded(image: Array, alpha: Array, random: np.random.Generator) -> dict[str, Array]:
    """Return masks of many qualities."""
    height, width = alpha.shape
    found = {"true": alpha, "hard": (alpha > 0.5).astype(np.float32)}
    for sigma in (1.5, 4, 10):
        found[f"blur {sigma}"] = cv2.GaussianBlur(alpha, (0, 0), sigma)
    for radius in (2, 6):
        found |= {f"wide {radius}": cv2.dilate(alpha, disc(radius)), f"narrow {radius}": cv2.erode(alpha, disc(radius))}
    for away in (3, 12):
        matrix = np.float32([[1, 0, away * 0.8], [0, 1, away * 0.6]])
        found[f"shift {away}"] = cv2.warpAffine(alpha, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    for factor in (8, 24):
        small = cv2.resize(alpha, (width // factor, height // factor), interpolation=cv2.INTER_AREA)
        found[f"low {factor}"] = np.clip(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), 0, 1)
    edge = cv2.morphologyEx((alpha > 0.5).astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    y, x = np.mgrid[:height, :width]
    for share in (0.06, 0.15):
        for what in ("loss", "more"):
            row, column = random.choice(np.argwhere(edge))
            away = np.hypot(y - row, x - column) - share * np.hypot(height, width)
            part = np.clip(away / 2 + 0.5, 0, 1).astype(np.float32)
            found[f"{what} {share}"] = alpha * part if what == "loss" else np.maximum(alpha, 1 - part)
    found["opened"] = cv2.morphologyEx(alpha, cv2.MORPH_OPEN, disc(4))
    found["half"] = np.where(x < width / 2, alpha, 0).astype(np.float32)
    size = (
        (256, 256)
        if height == width
        else ((256, 256 * height // width) if width > height else (256 * width // height, 256))
    )
    small = cv2.GaussianBlur(cv2.resize(found["hard"], size, interpolation=cv2.INTER_AREA), (0, 0), 1.5)
    rough = (cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR) > 0.5).astype(np.float32)
    found |= {"rough": rough, "rough, guided": guided_alpha(image, rough, radius=10)}
    found["rough, from_mask"] = matte_from_mask(image, rough)
    found["rough, closed form"] = closed_form_alpha(image, trimap_from_mask(rough, band=8))
    return found


def scores(folder: Path, masks: Path | None, verbose: bool) -> None:
    """Print how far the score's order is that of the error."""
    rows = []
    for number, (name, image, alpha) in enumerate(truths(folder)):
        kinds = degraded(image, alpha, np.random.default_rng(number))
        for path in sorted(masks.glob(f"*-{name}.npy")) if masks else []:
            kind = path.stem.removesuffix(f"-{name}")
            kinds[kind] = np.load(path).astype(np.float32)
            kinds[f"{kind}, auto"] = auto_alpha(image, kinds[kind])
        for kind, mask in kinds.items():
            colours = estimate_foreground(image, mask).foreground
            found = gossamer.check(rgba(colours, mask).astype(np.uint8), image)
            blind = gossamer.check(rgba(colours, mask).astype(np.uint8))
            error = float(np.abs(eight_bit(mask) - alpha).sum()) / 1000
            rows.append((name, kind, error, found.score, blind.score))
            if verbose:
                flags = [flag.id for flag in found.flags]
                print(f"  {name} {kind:20} SAD {error:7.2f} score {found.score:5.1f} {flags}", flush=True)
    print(
        "\n| pictures | masks | Spearman, all | mean of the pictures' own | without the photograph |"
        "\n|---|---:|---:|---:|---:|"
    )
    names = sorted({row[0] for row in rows})
    for title, some in (("all", names), ("every other", names[::2]), ("the others", names[1::2])):
        part = [row for row in rows if row[0] in some]
        errors, found, blind = (np.array([row[at] for row in part]) for at in (2, 3, 4))
        own = [spearmanr(*zip(*[(-r[2], r[3]) for r in part if r[0] == name], strict=True))[0] for name in some]
        together, unseen = (spearmanr(-errors, values)[0] for values in (found, blind))
        print(f"| {title} | {len(part)} | {together:.3f} | {np.mean(own):.3f} | {unseen:.3f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--photos", type=Path, action="append", default=[], help="photographs for backgrounds; repeat it"
    )
    parser.add_argument("--first", type=int, default=100, help="the first seed")
    parser.add_argument("--each", type=int, default=3, help="pictures made of each true subject")
    parser.add_argument("--scenes", type=int, default=24, help="drawn scenes")
    parser.add_argument("--masks", type=Path, help="more masks: KIND-NAME.npy")
    parser.add_argument("--only", choices=("faults", "scores"))
    parser.add_argument("--verbose", action="store_true", help="a line for every miss, false alarm and score")
    arguments = parser.parse_args()
    paths = sorted(path for folder in arguments.photos for path in folder.iterdir())
    photos = [read(path) for path in paths if path.suffix.lower() in (".jpg", ".jpeg", ".png")]
    if arguments.only != "scores" and photos:

        def pictures() -> Iterator[Picture]:
            yield from composed(arguments.folder, photos, arguments.first, arguments.each)
            yield from drawn(photos, arguments.first, arguments.scenes)

        faults(pictures(), arguments.verbose)
    if arguments.only != "faults":
        scores(arguments.folder, arguments.masks, arguments.verbose)


if __name__ == "__main__":
    main()
