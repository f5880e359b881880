"""Which prediction belongs to which truth, and reading the opacity that a file stands for."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from gossamer.arrays import Array
from gossamer.errors import InputError
from gossamer.image import read_mask
from gossamer.paths import cannot_read

__all__ = ["Pair", "Pairing", "find_pairs", "read_opacity"]

SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".avif", ".heic", ".heif"))
ENDINGS = tuple(sign + word for sign in "-_" for word in ("mask", "cutout", "alpha", "matte", "trimap"))
"""What tools put behind a picture's name (Gossamer: -mask and -cutout): the name is the same without it."""


@dataclass(frozen=True)
class Pair:
    """One prediction and its truth."""

    name: str
    """Stem of the truth's file."""
    prediction: Path
    truth: Path
    trimap: Path | None = None


@dataclass(frozen=True)
class Pairing:
    """The pairs of two folders and what has no partner."""

    pairs: tuple[Pair, ...]
    missing: tuple[str, ...]
    """One sentence for each file without a partner."""


def find_pairs(
    predictions: str | os.PathLike[str],
    truth: str | os.PathLike[str],
    trimaps: str | os.PathLike[str] | None = None,
) -> Pairing:
    """Pair the pictures of two folders (or two files) by their names.

    Two files belong together where their names without suffix (.png ...) are equal, else where they are equal
    without an ending such as ``-mask``, ``-cutout`` or ``_alpha`` as well. Other files, hidden ones and folders in
    the folders are passed over.

    Returns
    -------
    Pairing
        Sorted by name.

    Raises
    ------
    InputError
        If a folder does not exist or holds no picture, a file has several possible partners, or there are no pairs.
    """
    truths = _pictures(Path(truth))
    predicted = _pictures(Path(predictions))
    if Path(truth).is_file() and Path(predictions).is_file():
        partners: dict[Path, Path] = {truths[0]: predicted[0]}
    else:
        partners = _partners(truths, predicted, "predictions")
    missing = [f"{path} has no prediction." for path in truths if path not in partners]
    used = set(partners.values())
    missing += [f"{path} has no truth." for path in predicted if path not in used]
    if not partners:
        raise InputError(
            f"No picture in {predictions} has a partner in {truth}.",
            "Give them the same names; the kind of file may differ.",
        )
    regions: dict[Path, Path] = {}
    if trimaps is not None:
        found = _pictures(Path(trimaps))
        single = len(partners) == 1 and Path(trimaps).is_file()
        regions = {next(iter(partners)): found[0]} if single else _partners(list(partners), found, "trimaps")
        missing += [f"{path} has no trimap." for path in partners if path not in regions]
        partners = {path: partner for path, partner in partners.items() if path in regions}
        if not partners:
            raise InputError(f"No picture in {trimaps} has a partner in {truth}.", "Give them the same names.")
    pairs = tuple(Pair(path.stem, partner, path, regions.get(path)) for path, partner in partners.items())
    return Pairing(pairs, tuple(missing))


def read_opacity(path: str | os.PathLike[str], guessed: list[str] | None = None) -> Array:
    """Read the mask or matte that a file stands for, as :func:`gossamer.image.read_mask` does.

    Parameters
    ----------
    path : path
    guessed : list of str, optional
        Gets a sentence for everything that was lost or guessed.

    Returns
    -------
    (H, W) float32
        0 to 1.

    Raises
    ------
    InputError
        If it cannot be read, or is a colour picture without alpha.
    """
    found = read_mask(path, measured=True)
    if guessed is not None:
        guessed += found.warnings
    return found.plane


def _pictures(path: Path) -> list[Path]:
    try:
        if path.is_file():
            return [path]
        files = sorted(
            file
            for file in path.iterdir()
            if file.suffix.lower() in SUFFIXES and not file.name.startswith(".") and file.is_file()
        )
    except (OSError, ValueError) as error:
        raise cannot_read(path, error) from error
    if not files:
        raise InputError(f"{path} holds no pictures.", "Give a folder of PNG, JPEG, WebP, TIFF or BMP files.")
    return files


def _plain(stem: str) -> str:
    for ending in ENDINGS:
        if stem.lower().endswith(ending) and len(stem) > len(ending):
            return stem[: -len(ending)]
    return stem


def _partners(truths: Iterable[Path], others: Iterable[Path], what: str) -> dict[Path, Path]:
    """Return the partner of each truth that has one: of the same stem, else of the same stem without ending."""
    exact: dict[str, list[Path]] = {}
    plain: dict[str, list[Path]] = {}
    for path in others:
        exact.setdefault(path.stem, []).append(path)
        plain.setdefault(_plain(path.stem), []).append(path)
    partners: dict[Path, Path] = {}
    owners: dict[Path, Path] = {}
    for path in truths:
        found = exact.get(path.stem) or plain.get(_plain(path.stem), [])
        if len(found) > 1:
            names = ", ".join(file.name for file in found)
            raise InputError(f"{path.name} has {len(found)} possible {what}: {names}.", "Leave one of them.")
        if not found:
            continue
        if found[0] in owners:
            raise InputError(
                f"{found[0].name} would belong to {owners[found[0]].name} and to {path.name}.",
                "Leave one of them.",
            )
        partners[path] = found[0]
        owners[found[0]] = path
    return partners
