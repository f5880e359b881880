"""`gossamer segment`: find what a prompt means; masks, boxes and scores, and a picture to look at."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

import gossamer
from gossamer.cli.console import Console
from gossamer.cli.cutting import read_picture
from gossamer.cli.modelling import model_choice_of
from gossamer.cli.naming import add_more, add_out_flag, check_result, check_source, names_of, several
from gossamer.cli.parser import Parser, add_flags
from gossamer.cli.prompting import add_prompt_flags, finding_of, prompt_of
from gossamer.cli.terminal import check_stdout, show_json, tell, warn
from gossamer.errors import InputError, OutputError, OutputExists
from gossamer.image import check_folder, check_size_for, encode_image, write_bytes
from gossamer.parallel.patience import patiently
from gossamer.paths import source_path, target_path
from gossamer.progress import Progress
from gossamer.prompting.protocol import Subject
from gossamer.session import Session
from gossamer.settings.model_choice import ModelChoice

__all__ = ["run"]


def run(argv: list[str]) -> int:
    """Run the command."""
    arguments = _parser().parse(argv)
    prefix = _prefix(arguments)
    source = check_source(arguments.input)
    if arguments.json:
        check_stdout()
    prompt = prompt_of(arguments)
    if prompt is None:
        raise InputError("Nothing says what to find.", "Give --text, --box, --point, --prompt-mask or --scribbles.")
    finding = finding_of(arguments)
    if finding.combine != "prompt":
        raise InputError(
            "gossamer segment writes masks as the prompt's model draws them.", "For an intersection: gossamer remove"
        )
    outputs = {"json": f"{prefix}.json"}
    if arguments.preview:
        outputs["preview"] = f"{prefix}-preview.png"
    # What would make the writing fail is found before the work is done.
    another = "Choose another OUT."
    check_result(f"{prefix}-1.png", arguments.force, another)
    if arguments.preview:
        check_result(outputs["preview"], arguments.force, another)
    check_folder(Path(outputs["json"]))
    check_folder(Path(f"{prefix}-1000.png"))  # for so many the name must not be too long
    if os.path.lexists(outputs["json"]) and not arguments.force:
        raise OutputExists(f"{outputs['json']} exists already.", "Choose another OUT, or add --force.")
    with Console(arguments.quiet) as console:
        steps = Progress(console.progress)
        picture = read_picture(source, steps.part(0.0, 0.05))
        check_size_for("png", picture.width, picture.height)
        session = Session(picture, finding=finding, choice=model_choice_of(arguments))
        found = session.subjects(prompt, progress=steps.part(0.05, 0.9), announce=console.say)
        names = [f"{prefix}-{number}.png" for number in range(1, len(found.subjects) + 1)]
        for name in names:
            check_result(name, arguments.force, another)
        report = {
            "gossamer": gossamer.__version__,
            "input": arguments.input,
            "width": picture.width,
            "height": picture.height,
            "model": found.model,
            "device": found.device,
            "found": found.found,
            "seconds": found.seconds,
            "warnings": list(found.warnings),
            "preview": outputs.get("preview"),
            "subjects": patiently(
                lambda: [_entry(one, name) for one, name in zip(found.subjects, names, strict=True)], steps
            ),
        }
        for subject, name in zip(found.subjects, names, strict=True):
            data = encode_image(None, subject.mask, "png", progress=steps.part(0.9, 0.95))
            write_bytes(name, data, force=arguments.force)
        if arguments.preview:
            from gossamer.arrays import unit_float
            from gossamer.sheets.annotations import annotate

            drawn = patiently(lambda: unit_float(annotate(picture.rgb, found.subjects, found.prompt)), steps)
            part = steps.part(0.95, 1.0)
            data = encode_image(drawn, None, "png", icc_profile=picture.icc_profile, progress=part)
            write_bytes(outputs["preview"], data, force=arguments.force)
        text = json.dumps(report, indent=2)
        write_bytes(outputs["json"], (text + "\n").encode(), force=arguments.force)
    if not arguments.quiet:
        for warning in found.warnings:
            warn(warning)
        count = len(found.subjects)
        tell(f"Wrote {outputs['json']} and {count} mask{'' if count == 1 else 's'} ({found.model} on {found.device})")
    if arguments.json:
        show_json(report)
    return 0


def _entry(subject: Subject, path: str) -> dict[str, Any]:
    from gossamer.prompting.coco import encode_rle
    from gossamer.prompting.places import around

    extent = around(subject.mask)
    return {
        "label": subject.label,
        "score": round(subject.score, 6),
        "prompt_box": None if subject.box is None else [round(edge, 2) for edge in subject.box],
        "box": None if extent is None else [int(edge) for edge in extent],
        "area": int((subject.mask > 0.5).sum()),
        "mask": path,
        "rle": encode_rle(subject.mask),
    }


def _prefix(arguments: argparse.Namespace) -> str:
    """Return what the names of all outputs begin with: OUT, what --out names, or the source's name."""
    names = names_of(arguments, "input")
    chosen = arguments.output if arguments.out is None else arguments.out
    if chosen is not None:
        path = target_path(chosen)
        if chosen.endswith(("/", os.sep)):
            raise OutputError(
                f"{chosen} is a folder.",
                f"Give what the names of all results begin with, such as {chosen}lamp",
            )
        if os.path.isfile(path):
            hint = several("segment", names)
            raise OutputError(
                f"{path} is a file.", f"Give what the names of all results begin with, such as lamp; {hint}"
            )
        return str(path)
    if arguments.input == "-":
        return "segment"
    path = source_path(arguments.input)
    return str(path.with_name(f"{path.stem}-segment"))


def _parser() -> Parser:
    parser = Parser("segment", description="Find what a prompt means: masks, boxes, scores and a picture to look at.")
    parser.add_argument("input", metavar="IMAGE", help="JPEG, PNG, WebP, TIFF, BMP, AVIF or HEIC; - reads stdin")
    parser.add_argument(
        "output",
        metavar="OUT",
        nargs="?",
        help="writes OUT-1.png, ... (masks), OUT.json and OUT-preview.png (default: IMAGE-segment)",
    )
    add_more(parser, "segment")
    add_out_flag(parser, "what the names of all results begin with", "PREFIX")
    add_prompt_flags(parser)
    add_flags(parser, ModelChoice, "model", only=("device",))
    parser.add_argument("--no-preview", dest="preview", action="store_false", help="write no annotated picture")
    parser.add_argument("--force", action="store_true", help="replace earlier results")
    parser.add_argument("--quiet", action="store_true", help="say nothing unless it fails")
    parser.add_argument("--json", action="store_true", help="print the JSON too")
    return parser
