"""From a training to a model that every face can use: proved, exported, described, in one folder."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gossamer.arrays import unit_float
from gossamer.errors import InputError, ModelNotFound
from gossamer.image import SHEET, encode_image
from gossamer.paths import source_path
from gossamer.progress import Progress, ProgressCallback
from gossamer.settings.dataset import Data
from gossamer.settings.promotion import Promotion
from gossamer.sheets.changes import Compared, change_sheet
from gossamer.training.bases import Base, base_of, check_packages
from gossamer.training.dataset.backgrounds import backgrounds_in
from gossamer.training.folder import check_new_folder, new_folder
from gossamer.training.media import Stills
from gossamer.training.model_card import Licence, in_markdown, inherited, table_of
from gossamer.training.proof import DECISIVE, Measured, Model, Proof, counted, prove
from gossamer.training.run_folder import RunFolder
from gossamer.weights.added import CARD, card_table
from gossamer.weights.card import Cost, ModelCard, Variant
from gossamer.weights.catalogue import published_ids

__all__ = ["FEWEST", "Promoted", "Refused", "objections_to", "promote"]

FEWEST = 5
"""So many groups of test pictures are needed at least: of fewer, chance says nothing."""

_SHOWN = 8
_LOST = 0.1  # the share of test pictures that may have gone since the training


@dataclass(frozen=True)
class Promoted:
    """What a training has become.

    Attributes
    ----------
    folder : Path
    card : ModelCard
    domain : Proof
    general : Proof or None
    objections : tuple of str
        What spoke against it, and was passed over because the settings say so.
    licence : Licence
    """

    folder: Path
    card: ModelCard
    domain: Proof
    general: Proof | None
    objections: tuple[str, ...]
    licence: Licence


class Refused(InputError):
    """A model has not proved that it is better.

    Attributes
    ----------
    objections : tuple of str
    domain : Proof
    general : Proof or None
    """

    def __init__(self, objections: Sequence[str], domain: Proof, general: Proof | None) -> None:
        super().__init__(
            f"It is not promoted: {' '.join(objections)}",
            "Train on more or other data, or add --accept-worse to promote it all the same.",
        )
        self.objections, self.domain, self.general = tuple(objections), domain, general


def objections_to(domain: Proof, general: Proof | None, settings: Promotion) -> tuple[str, ...]:
    """Return what speaks against promoting a model, a sentence each.

    It has to be better on the domain's test pictures, surely: the whole interval of the gain in weighted F lies above
    nothing. And it may have lost no more than `settings.general_loss` of the weighted F on the general set. Clips must
    not surely flicker more than before.
    """
    found = []
    change = domain.of(DECISIVE)
    if domain.groups < FEWEST:
        found.append(
            f"The test has {counted(domain.groups, 'groups')} of {domain.what}, and {FEWEST} are needed to know a gain "
            "from chance."
        )
    if change.gain.low <= 0:
        found.append(
            f"It is not surely better in its domain: weighted F {change.before:.3f} before and {change.after:.3f} "
            f"after, a gain between {change.gain.low:+.3f} and {change.gain.high:+.3f}."
        )
    steadiness = next((one for one in domain.changes if one.measure == "dtssd"), None)
    if steadiness is not None and steadiness.gain.high < 0:
        found.append(
            f"It surely flickers more in its domain: dtSSD {steadiness.before:.2f} before and {steadiness.after:.2f} "
            "after."
        )
    if general is None:
        found.append("Nothing says what it has forgotten: there is no general set.")
        return tuple(found)
    change = general.of(DECISIVE)
    if change.after < (1 - settings.general_loss / 100) * change.before:
        loss = 100 * (1 - change.after / change.before)
        found.append(
            f"It is {loss:.1f} % worse in general, and {settings.general_loss:g} % is allowed: weighted F "
            f"{change.before:.3f} before and {change.after:.3f} after."
        )
    return tuple(found)


def promote(
    run: str | os.PathLike[str],
    out: str | os.PathLike[str],
    settings: Promotion | None = None,
    *,
    model_id: str = "",
    title: str = "",
    data: str | os.PathLike[str] | None = None,
    general: str | os.PathLike[str] | None = None,
    data_licence: str = "",
    data_commercial: bool = True,
    onnx: bool = True,
    progress: Progress | ProgressCallback | None = None,
    announce: Callable[[str], object] | None = None,
) -> Promoted:
    """Prove that a trained model is better than what it began with, and write it down for use.

    The folder has the weights as safetensors and as ONNX, each checked against the other, ``card.json`` and
    ``README.md`` with data, recipe, proof and licence, curves and pictures. Nothing is written where it is refused.

    Parameters
    ----------
    run : path
        What ``gossamer finetune`` wrote.
    out : path
        A new folder.
    settings : Promotion, optional
    model_id, title : str
        By default of the base and the data's folder.
    data, general : path, optional
        Where the data sets are now, if they were moved; a general set that the training had none of.
    data_licence : str
        Under which the pictures are.
    data_commercial : bool
        Whether they may be used commercially.
    onnx : bool
        Write ONNX too.
    progress : callable, optional
        May raise to cancel; then nothing was written.
    announce : callable, optional
        Told what people should know at once.

    Returns
    -------
    Promoted

    Raises
    ------
    Refused
        It is not better in its domain, or too much worse in general.
    InputError
        The run, its data or the id cannot be used.
    OutputExists, OutputError
        `out` exists, or cannot be written.
    ModelError, ModelNotFound, MissingExtra, DownloadError
        The base cannot be had, or the network not be exported.
    """
    chosen, say, steps = settings or Promotion(), announce or (lambda sentence: None), Progress.of(progress)
    check_packages()
    check_new_folder(out)
    folder = RunFolder(source_path(run, "training"))
    told = _told(folder)
    base = base_of(_text(told["base"].get("id")), progress=steps.part(0, 0.05), announce=say)
    name = model_id or _id_of(base, told)
    _check_id(name)
    licence = inherited(base.card, _page_of(base), data_licence, data_commercial)
    if not licence.commercial:
        say(next(note for note in licence.notes if "commercially" in note or "no licence" in note))
    medium = base.medium
    samples = _samples(medium, told, data, told.get("data"), "test", chosen, steps.part(0.05, 0.1))
    given = general or told.get("general")
    others: tuple[Measured, ...] = ()
    if given:
        part = "general_test" if general is None else None
        others = _samples(medium, told, general, told.get("general"), part, chosen, steps.part(0.1, 0.15))
    with new_folder(out) as making:
        card = _exported(making, folder, base, name, title or _title_of(base, told), licence, told)
        before, after = medium.models(base, card, making / card.weights[0].filename, steps.part(0.15, 0.2), say)
        domain = prove(before, after, samples, chosen, steps.part(0.2, 0.6), medium=medium)
        held = prove(before, after, others, chosen, steps.part(0.6, 0.8), medium=medium) if others else None
        against = objections_to(domain, held, chosen)
        if against and not chosen.accept_worse:
            raise Refused(against, domain, held)
        exporting = steps.part(0.8, 0.95)
        card, files = _with_onnx(making, base, card, exporting, say) if onnx else (card, _files(making, card))
        pictures = _pictures(making, folder, medium, (before, after), samples, domain, chosen, steps.part(0.95, 1))
        table = table_of(card_table(card), told, licence, {"domain": domain, "general": held}, against, files)
        (making / CARD).write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")
        (making / "README.md").write_text(in_markdown(table, pictures), encoding="utf-8")
    steps(1.0)
    return Promoted(Path(os.path.abspath(out)), card, domain, held, against, licence)


def _told(folder: RunFolder) -> dict[str, Any]:
    """Return what a training says of itself."""
    if not folder.run.is_file():
        raise InputError(f"{folder.path} holds no training.", "Give the folder that gossamer finetune wrote to.")
    told = folder.asked()
    if isinstance(told.get("base"), dict) and told["base"].get("network") == "sam2":
        raise InputError(
            f"{folder.path} holds a SAM 2, which is found by prompts and not promoted.",
            f"Use it as it is: --prompt-model {folder.path / 'model'}",
        )
    if not folder.best.is_file():
        raise InputError(
            f"{folder.path} has no best.safetensors yet.", "Let the training go on: gossamer finetune with --resume."
        )
    if not isinstance(told.get("base"), dict) or not isinstance(told.get("split"), dict):
        raise InputError(f"{folder.run} does not say what was trained.", "Give what gossamer finetune wrote.")
    return told


def _samples(
    medium: Stills,
    told: Mapping[str, Any],
    moved: str | os.PathLike[str] | None,
    known: object,
    part: str | None,
    settings: Promotion,
    progress: Progress,
) -> tuple[Measured, ...]:
    """Return what is measured of a part of the training's split, or all of a set that it had nothing to do with."""
    reading = Data(**{**(told.get("dataset") or {}), "left_out": 100.0})
    reading = reading if part == "test" else reading.for_general()
    where = moved or _text(known)
    examples = medium.examples(where, reading, progress)
    if part is not None:
        names = set(told["split"].get(part) or ())
        examples = tuple(one for one in examples if one.name in names)
        if names and len(examples) < (1 - _LOST) * len(names):
            raise InputError(
                f"{len(names) - len(examples)} of the {len(names)} test {medium.many} are not in {where} any more.",
                "Say where the data is now: --data, and --general-data for the general set.",
            )
    if not examples:
        raise InputError(f"{where} has no test {medium.many}.", "Train with a larger --test.")
    backgrounds = told.get("backgrounds")
    cutouts = any(one.is_cutout for one in examples)
    behind = backgrounds_in(_text(backgrounds)) if backgrounds and cutouts else ()
    return medium.samples_of(examples, behind, settings)


def _exported(
    making: Path, folder: RunFolder, base: Base, name: str, title: str, licence: Licence, told: Mapping[str, Any]
) -> ModelCard:
    """Write the weights as safetensors, and return the model's card."""
    from gossamer.networks.export import export_safetensors

    file = making / f"{name}.safetensors"
    export_safetensors(base.loaded_from(folder.best), base.network, file)
    known = base.card
    cost: Cost = known.cost if known else "medium"
    return ModelCard(
        id=name,
        title=title,
        authors=f"{known.authors}; fine-tuned by its owner" if known else "its owner",
        homepage=_page_of(base),
        architecture=known.architecture if known else base.family.id,
        network=base.network,
        licence=licence.name,
        licence_url=licence.url,
        commercial=licence.commercial,
        terms=licence.terms,
        good_for=f"What {Path(_text(told.get('data'))).name or 'its data'} shows: made from {Path(base.id).name}.",
        subjects=known.subjects if known else (),
        cost=cost,
        input=base.medium.fed_by(base.input, (told.get("settings") or {}).get("side")),
        output=dataclasses.replace(base.output, index=0),
        weights=(_variant(file),),
    )


def _with_onnx(
    making: Path, base: Base, card: ModelCard, progress: Progress, say: Callable[[str], object]
) -> tuple[ModelCard, dict[str, Any]]:
    """Write the ONNX file of what the safetensors file holds, checked against that."""
    file = making / f"{card.id}.onnx"
    difference = base.medium.export_onnx(base, making / card.weights[0].filename, file, card, progress, say)
    both = (_variant(file), card.weights[0])
    card = dataclasses.replace(card, weights=both if base.runs_first_in_onnx else both[::-1])
    files = _files(making, card)
    files[file.name]["difference"] = difference
    return card, files


def _variant(file: Path) -> Variant:
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return Variant(filename=file.name, precision="float32", bytes=file.stat().st_size, sha256=digest, sources=())


def _files(making: Path, card: ModelCard) -> dict[str, Any]:
    return {one.filename: {"bytes": one.bytes, "sha256": one.sha256} for one in card.weights}


def _pictures(
    making: Path,
    folder: RunFolder,
    medium: Stills,
    models: tuple[Model, Model],
    samples: Sequence[Measured],
    domain: Proof,
    settings: Promotion,
    progress: Progress,
) -> list[tuple[str, str]]:
    """Write the card's pictures: the test's, from the largest gain to the largest loss, and those of the training."""
    order = sorted(
        range(len(samples)),
        key=lambda place: domain.pictures[place].before[DECISIVE] - domain.pictures[place].after[DECISIVE],
    )
    count = min(_SHOWN, len(order))
    spread = [order[round(place * (len(order) - 1) / max(count - 1, 1))] for place in range(count)]
    rows = []
    for number, place in enumerate(spread):
        progress(number / count, "Drawing the pictures of the card")
        rgb, truth, *found = medium.shown(samples[place], models, settings, progress)
        seen = domain.pictures[place]
        label = f"{seen.name}   weighted F {seen.before[DECISIVE]:.3f} before, {seen.after[DECISIVE]:.3f} after"
        rows.append(Compared(label, unit_float(rgb), truth, *found))
    sheet = encode_image(change_sheet(rows), None, "png", software=SHEET)
    (making / "before-after.png").write_bytes(sheet)
    made = [("Before and after: picture, truth, errors before, errors after", "before-after.png")]
    worst = sorted(folder.worst.glob("*.png"))
    for title, file in (("Curves", folder.path / "curves.png"), ("The worst at the end", worst[-1] if worst else None)):
        if file is not None and file.is_file():
            target = "curves.png" if title == "Curves" else "worst.png"
            shutil.copyfile(file, making / target)
            made.append((title, target))
    return made


def _page_of(base: Base) -> str:
    return base.card.homepage if base.card else base.family.reference.partition(" ")[0]


def _id_of(base: Base, told: Mapping[str, Any]) -> str:
    data = re.sub(r"[^a-z0-9.]+", "-", Path(_text(told.get("data"))).stem.lower()).strip("-.") or "own"
    family = base.card.id if base.card else base.network.replace("_", "-")
    return f"{family}-{data}"


def _title_of(base: Base, told: Mapping[str, Any]) -> str:
    family = base.card.title if base.card else base.network
    return f"{family}, fine-tuned on {Path(_text(told.get('data'))).stem}"


def _check_id(name: str) -> None:
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", name):
        raise InputError(f"{name!r} is no possible id.", "Give lower-case letters, digits, dashes and dots with --id.")
    if name in published_ids():
        raise InputError(f"{name} is a model of the catalogue.", "Give another --id.")


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ModelNotFound("The training does not say what it began with, or on which data.", "Train again.")
    return value
