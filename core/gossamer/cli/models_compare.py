"""`gossamer models compare`: the masks of two models beside each other, with their differences and times."""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

from gossamer.arrays import Array
from gossamer.cli.console import Console
from gossamer.cli.modelling import model_choice_of
from gossamer.cli.parser import Parser, add_flags
from gossamer.cli.terminal import show, show_json
from gossamer.errors import InputError
from gossamer.image import SHEET, check_output, check_size_for, encode_image, read_image, write_bytes
from gossamer.paths import check_readable, source_path, target_path
from gossamer.segmentation.loading import load_model
from gossamer.segmentation.model import SegmentationModel
from gossamer.settings.model_choice import RUNTIMES, ModelChoice
from gossamer.sheets.differences import difference_picture, difference_size

__all__ = ["run"]

_VISIBLE = 8 / 255  # a difference of a mask that people see


def run(argv: list[str]) -> int:
    """Run the command."""
    arguments = _parser().parse(argv)
    if arguments.repeat < 1:
        raise InputError("--repeat is below 1.", "Give the number of timed runs, 1 or more.")
    folder = target_path(arguments.output)
    for name in arguments.pictures:
        check_readable(source_path(name))
    targets = [folder / f"{Path(name).stem}-difference.png" for name in arguments.pictures]
    if len(set(targets)) < len(targets):
        raise InputError("Two pictures have the same name.", "Compare them one after the other.")
    if not os.path.isdir(folder):
        raise InputError(f"There is no folder {folder}.", "Make it first, or name another with -o.")
    for target in targets:
        check_output(target, force=arguments.force)
    choice = model_choice_of(arguments)
    second = arguments.second_runtime or choice.runtime
    with Console(arguments.quiet) as console:
        models = [
            load_model(
                choice,
                model=name,
                precision=choice.precision if runtime != "onnx" else "auto",
                runtime=runtime,
                progress=console.progress,
                announce=console.say,
            )
            for name, runtime in ((arguments.first, choice.runtime), (arguments.second, second))
        ]
        for warning in dict.fromkeys(line for model in models for line in model.warnings):
            console.say(f"gossamer: warning: {warning}")
        rows = []
        for name, target in zip(arguments.pictures, targets, strict=True):
            rgb = np.asarray(read_image(name).rgb)
            check_size_for("png", *difference_size(rgb.shape))
            masks, times = _run(models, rgb, arguments.repeat, console)
            picture = difference_picture(rgb, *masks)
            write_bytes(target, encode_image(picture, None, "png", software=SHEET), force=arguments.force)
            rows.append({"picture": name, **_numbers(*masks), "seconds": times, "written": str(target)})
    if arguments.json:
        show_json({"first": arguments.first, "second": arguments.second, "pictures": rows})
    else:
        _show(rows)
    return 0


def _run(
    models: list[SegmentationModel], rgb: Array, repeat: int, console: Console
) -> tuple[list[Array], list[list[float]]]:
    """Return the mask of each model and the seconds of each of its timed runs, the models taking turns."""
    masks = [model.predict(rgb, console.progress) for model in models]  # the first run sets memory up: not timed
    times: list[list[float]] = [[] for _ in models]
    for _ in range(repeat):
        for model, seconds in zip(models, times, strict=True):
            start = time.perf_counter()
            model.predict(rgb, console.progress)
            seconds.append(round(time.perf_counter() - start, 4))
    return masks, times


def _numbers(first: Array, second: Array) -> dict[str, float]:
    difference = np.abs(first - second)
    return {
        "mean": float(difference.mean(dtype=np.float64)),
        "maximum": float(difference.max()),
        "visible": float((difference > _VISIBLE).mean()),
        "other_side": float(((first > 0.5) != (second > 0.5)).mean()),
    }


def _show(rows: list[dict[str, Any]]) -> None:
    show(f"{'picture':28} {'mean/255':>9} {'max/255':>8} {'> 8/255':>9} {'other side':>10} {'A s':>8} {'B s':>8}")
    for row in rows:
        first, second = (statistics.median(seconds) for seconds in row["seconds"])
        show(
            f"{Path(row['picture']).name[:28]:28} {255 * row['mean']:9.4f} {255 * row['maximum']:8.2f} "
            f"{100 * row['visible']:7.3f} % {100 * row['other_side']:8.3f} % {first:8.3f} {second:8.3f}"
        )
        show(f"  {row['written']}")


def _parser() -> Parser:
    parser = Parser(
        "models compare",
        description="Run two models on the same pictures: how far their masks are apart, how long they take, and for "
        "each picture NAME-difference.png: picture, mask A, mask B, and red where only A, blue where only B has "
        "foreground.",
    )
    parser.add_argument("first", metavar="A", help="id of the catalogue, or a file of weights")
    parser.add_argument("second", metavar="B", help="another one, or the same for another runtime")
    parser.add_argument("pictures", metavar="PICTURE", nargs="+", help="photographs")
    parser.add_argument("-o", "--output", "--out", metavar="FOLDER", default=".", help="where to write (default: here)")
    parser.add_argument("--second-runtime", choices=RUNTIMES, help="what runs B (default: as A)")
    add_flags(parser, ModelChoice, "model", only=("runtime", "device", "precision"))
    parser.add_argument(
        "--repeat", type=int, default=1, metavar="N", help="timed runs, after one that is not (default: 1)"
    )
    parser.add_argument("--force", action="store_true", help="replace files that exist")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quiet", action="store_true", help="say nothing unless it fails")
    return parser
