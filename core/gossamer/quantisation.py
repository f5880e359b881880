"""A model in 8-bit integers, made on this machine and proved on photographs before anything is kept."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from gossamer.errors import DeviceError, InputError, MissingExtra, ModelError, OutputExists
from gossamer.evaluation.boundary import boundary_iou
from gossamer.evaluation.pairs import SUFFIXES
from gossamer.files import make_folder, staging_folder
from gossamer.image import read_image
from gossamer.native.processor import has_int8
from gossamer.networks.devices import is_installed
from gossamer.parallel.patience import patiently
from gossamer.paths import cannot_read, source_path
from gossamer.progress import Progress, ProgressCallback
from gossamer.resampling import Pixels, shrink
from gossamer.segmentation.loading import model_of
from gossamer.segmentation.model import SegmentationModel
from gossamer.segmentation.preprocessing import preprocess
from gossamer.weights import store
from gossamer.weights.card import COST
from gossamer.weights.catalogue import ModelCard, model_card
from gossamer.weights.digests import file_digest
from gossamer.weights.fetch.transfer import require_space, writing
from gossamer.weights.folders import models_folder
from gossamer.weights.quantised import Quantised, add_quantised, find_quantised

__all__ = ["DIFFERENCE", "FEWEST", "quantise_model"]

DIFFERENCE, IOU, BOUNDARY_IOU = 1.2, 0.985, 0.95
"""How far, in levels of 255, masks may be from the float file's on average, and how alike they must be."""

FEWEST, MOST = 12, 90
"""How many photographs it takes, and how many are looked at of a folder that has more."""

_SIDE = 1200  # pixels, of a photograph: what its network sees of more is the same


def quantise_model(
    model: str,
    photographs: str | os.PathLike[str],
    *,
    force: bool = False,
    progress: ProgressCallback | Progress | None = None,
    announce: Callable[[str], object] | None = None,
) -> Quantised:
    """Make a model in 8-bit integers of its float file, for OpenVINO on this machine's processor.

    Two of three photographs tell the ranges of what the network computes; on every third one the masks of both are
    compared. What is further off than :data:`DIFFERENCE` on average is not kept.

    Parameters
    ----------
    model : str
        Id of the catalogue; its weights are fetched where they are not here.
    photographs : path
        A folder of at least :data:`FEWEST`, like those that will be cut out. Nothing of them is kept.
    force : bool
        Replace what was made before.
    progress : callable, optional
        May raise to cancel; then nothing is kept.
    announce : callable, optional
        As for :func:`gossamer.load_model`.

    Returns
    -------
    Quantised

    Raises
    ------
    InputError
        There are too few photographs, or one cannot be read.
    ModelError
        The model cannot be quantised, or its masks are too far off.
    DeviceError
        This processor has no products of bytes.
    MissingExtra
        OpenVINO is not installed.
    OutputExists, OutputError
        It was made before, or cannot be written.
    ModelNotFound, DownloadError, ModelIntegrityError, LicenceError
        The weights cannot be had.
    """
    steps = Progress.of(progress)
    card = model_card(model)
    if COST[card.cost] > COST["small"]:
        raise ModelError(
            f"{card.title} cannot be made in int8: only networks of U²-Net's kind are.",
            "Choose isnet-general-use or u2net.",
        )
    if not is_installed("openvino"):
        raise MissingExtra("Making a model in int8", "openvino")
    if not has_int8():
        raise DeviceError(
            "This processor has no instructions for products of bytes: int8 would win little.",
            "Choose --precision float32, or a smaller model.",
        )
    if not force and find_quantised(card) is not None:
        raise OutputExists(f"{card.title} is here in int8 already.", "Add --force to make it again.")
    files = _photographs(source_path(photographs, "folder of photographs"))
    aside = files[2::3]
    shown = [file for number, file in enumerate(files) if number % 3 < 2]
    weights = store.fetch(card, progress=steps.part(0.0, 0.1), announce=announce, runtime="onnx")
    folder = models_folder()
    writing(folder, make_folder, folder)
    require_space(folder, weights.path.stat().st_size)
    steps(0.1, f"Reading {card.title}")
    with ExitStack() as stack:
        staging = writing(folder, stack.enter_context, staging_folder(folder))
        graph = staging / f"{card.id}-int8.xml"
        count = _made(card, weights.path, shown, graph, steps.part(0.1, 0.7))
        exact = model_of(weights, runtime="openvino", device="cpu", precision="float32")
        found = np.array(list(_compared(exact, _loaded(card, graph, steps), aside, steps.part(0.7, 1.0))))
        difference, iou, boundary = (float(value) for value in found.mean(axis=0))
        if difference > DIFFERENCE or iou < IOU or boundary < BOUNDARY_IOU:
            raise ModelError(
                f"{card.title} in int8 is too far from its float file on {len(aside)} of these photographs "
                f"(difference {difference:.2f}/255, IoU {iou:.4f}, boundary IoU {boundary:.4f}; at most {DIFFERENCE}, "
                f"at least {IOU} and {BOUNDARY_IOU}).",
                "Give more photographs, each with a clear subject, or choose --precision bfloat16.",
            )
        made = Quantised(
            model=card.id,
            source=str(weights.variant.sha256),
            graph=file_digest(graph, Progress(), ""),
            weights=file_digest(graph.with_suffix(".bin"), Progress(), ""),
            convolutions=count,
            looked_at=len(shown),
            proved_on=len(aside),
            difference=round(difference, 4),
            iou=round(iou, 5),
            boundary_iou=round(boundary, 5),
        )
        add_quantised(made, graph, force=force)
    steps(1.0)
    return made


def _photographs(folder: Path) -> list[Path]:
    """Return the pictures of a folder, evenly chosen where there are many."""
    try:
        files = sorted(
            file
            for file in folder.iterdir()
            if file.suffix.lower() in SUFFIXES and not file.name.startswith(".") and file.is_file()
        )
    except OSError as error:
        raise cannot_read(folder, error) from error
    if len(files) < FEWEST:
        raise InputError(
            f"{folder} holds {len(files)} pictures, and it takes {FEWEST} to quantise a model.",
            "Give a folder of photographs like those that will be cut out.",
        )
    return [files[number * len(files) // MOST] for number in range(MOST)] if len(files) > MOST else files


def _pixels(file: Path) -> Pixels:
    pixels = read_image(file).pixels
    height, width = pixels.shape[:2]
    part = min(1.0, _SIDE / max(height, width))
    return shrink(pixels, (max(1, round(width * part)), max(1, round(height * part)))) if part < 1 else pixels


def _made(card: ModelCard, path: Path, files: Sequence[Path], graph: Path, progress: Progress) -> int:
    from gossamer.networks.quantised_graph import quantise_graph

    pictures = (preprocess(_pixels(file), card.input) for file in files)
    return quantise_graph(path, card.output.index, pictures, len(files), graph, progress)


def _loaded(card: ModelCard, graph: Path, progress: Progress) -> SegmentationModel:
    from gossamer.networks.openvino_network import OpenVinoNetwork

    network = patiently(lambda: OpenVinoNetwork(graph, "cpu", "int8"), progress)
    return SegmentationModel(card.id, network, (card.input, card.output))


def _compared(
    exact: SegmentationModel, coarse: SegmentationModel, files: Sequence[Path], progress: Progress
) -> Iterator[tuple[float, float, float]]:
    """Yield how far the masks of two models are apart on each photograph: difference, IoU and boundary IoU."""
    for number, file in enumerate(files):
        part = progress.part(number / len(files), (number + 1) / len(files))
        part(0.0, f"Comparing masks, photograph {number + 1} of {len(files)}")
        pixels = _pixels(file)
        masks = [model.predict(pixels, part.part(at, at + 0.5)) for model, at in ((exact, 0.0), (coarse, 0.5))]
        truth, found = (mask > 0.5 for mask in masks)
        union = int((truth | found).sum())
        yield (
            float(np.abs(masks[0] - masks[1]).mean()) * 255,
            int((truth & found).sum()) / union if union else 1.0,
            boundary_iou(found, truth) if union else 1.0,
        )
