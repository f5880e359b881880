"""Folders of pictures with masks, and of cut-outs: which file belongs to which."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from gossamer.errors import InputError
from gossamer.evaluation.pairs import ENDINGS, SUFFIXES
from gossamer.settings.dataset import Data
from gossamer.training.dataset.examples import Example
from gossamer.training.dataset.grouping import group_of

__all__ = ["MASKS", "PICTURES", "holds_pictures", "in_folder", "listed", "plain"]

PICTURES = frozenset(
    "images image imgs img im pictures photos photo input inputs rgb source originals original original_image "
    "jpegimages data frames fgr foreground foregrounds clips videos".split()
)
"""What folders of pictures are called."""

MASKS = frozenset(
    "masks mask gt mattes matte alphas alpha pha labels label cutouts cutout ground_truth groundtruth segmentations "
    "segmentation annotations targets target".split()
)
"""What folders of their masks are called."""

_MORE = ("gt", "label", "pha", "seg", "segmentation")
_ENDINGS = (*ENDINGS, *(sign + word for sign in "-_" for word in _MORE))
_TRIMAP = ("trimap", "trimaps")
_SHOWN = 4  # files that a sentence names
_MASK_MODES = ("1", "L", "LA", "P", "PA", "RGBA", "I", "I;16", "I;16B", "F")

_Found = tuple[list[Example], list[tuple[str, str]]]


def in_folder(root: Path, settings: Data) -> _Found:
    """Find the pictures with masks, and the cut-outs, in a folder and all those within.

    A mask lies in a folder beside that of its picture (``images/a.jpg``, ``masks/a.png``; many names of such folders
    are known), in `settings.masks`, or beside the picture itself (``a.jpg``, ``a.png`` or ``a-mask.png``). What has
    an alpha of its own and no mask is a cut-out. Hidden files and trimaps are passed over.

    Returns
    -------
    list of Example, list of (str, str)
        Names are paths below `root` without suffix; the second, with a reason, has what has no partner.

    Raises
    ------
    InputError
        A folder cannot be read, or there are no pictures.
    """
    tree = _tree(root)
    if not any(tree.values()):
        raise InputError(f"{root} holds no pictures.", "Give a folder of pictures with masks, or of cut-outs.")
    pairs: dict[Path, list[Path]] = {}
    lone: list[Path] = []
    given = Path(os.path.abspath(os.path.expanduser(settings.masks))) if settings.masks else None
    if given is not None:
        masks = [file for files in _tree(given).values() for file in files]
        pictures = [file for folder, files in tree.items() if not _is_below(folder, given) for file in files]
        lone += _paired(pictures, masks, root, given, pairs)
        return _examples(root, pairs, lone, settings)
    beside, used = _mask_folders(tree, root)
    for folder, partner in beside.items():
        pictures = [file for one, files in tree.items() if one not in used and _is_below(one, folder) for file in files]
        pictures = [file for file in pictures if file not in pairs]
        masks = [file for one, files in tree.items() if _is_below(one, partner) for file in files]
        lone += _paired(pictures, masks, folder, partner, pairs)
    done = {*pairs, *lone, *(mask for masks in pairs.values() for mask in masks)}
    for folder, files in tree.items():
        if folder not in used:
            lone += _beside([file for file in files if file not in done], pairs)
    return _examples(root, pairs, lone, settings)


def holds_pictures(root: Path) -> bool:
    """Tell whether there are pictures in a folder or in those within; raises InputError where it cannot be read."""
    return any(_tree(root).values())


def _tree(root: Path) -> dict[Path, list[Path]]:
    """Return the pictures in each folder, both in the order of their names."""
    found: dict[Path, list[Path]] = {}

    def failed(error: OSError) -> None:
        raise InputError(f"{error.filename} could not be read: {error.strerror}.", "Check its permissions.")

    if not root.is_dir():
        raise InputError(f"{root} is no folder.", "Give a folder of pictures.")
    for folder, folders, files in os.walk(root, onerror=failed):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        names = (name for name in sorted(files) if not name.startswith("."))
        found[Path(folder)] = [Path(folder, name) for name in names if Path(name).suffix.lower() in SUFFIXES]
    return found


def _is_below(folder: Path, other: Path) -> bool:
    return folder == other or other in folder.parents


def _mask_folders(tree: dict[Path, list[Path]], root: Path) -> tuple[dict[Path, Path], set[Path]]:
    """Return for each folder of pictures that of its masks, and all folders that hold masks."""
    partners: dict[Path, Path] = {}
    for folder in tree:
        if folder == root or folder.name.casefold() not in MASKS:
            continue
        beside = [one for one in tree if one.parent == folder.parent and one != folder]
        named = [one for one in beside if one.name.casefold() in PICTURES]
        # Without a folder that is named so: the pictures lie above their masks.
        owner = named[0] if named else folder.parent
        partners.setdefault(owner, folder)
    for folder in tree:  # shoes/ and shoes-masks/
        for ending in _ENDINGS:
            for other in (f"{folder.name}{ending}", f"{folder.name}{ending}s"):
                if folder != root and folder.parent / other in tree:
                    partners.setdefault(folder, folder.parent / other)
    masks = {one for one in tree if any(_is_below(one, partner) for partner in partners.values())}
    return partners, masks


def _paired(
    pictures: Iterable[Path], masks: Iterable[Path], above: Path, beside: Path, pairs: dict[Path, list[Path]]
) -> list[Path]:
    """Pair files by their paths below two folders, else by their names; return those without a partner."""
    exact: dict[str, list[Path]] = {}
    loose: dict[str, list[Path]] = {}
    for mask in masks:
        if _is_trimap(mask):
            continue
        exact.setdefault(str(mask.relative_to(beside).with_suffix("")), []).append(mask)
        loose.setdefault(plain(mask.stem), []).append(mask)
    used: set[Path] = set()
    alone = []
    for picture in pictures:
        if _is_trimap(picture):
            continue
        name = str(picture.relative_to(above).with_suffix("")) if _is_below(picture, above) else picture.stem
        found = exact.get(name) or loose.get(picture.stem) or loose.get(plain(picture.stem), [])
        if found:
            pairs[picture] = found
            used.update(found)
        else:
            alone.append(picture)
    return alone + [mask for masks in exact.values() for mask in masks if mask not in used]


def _beside(files: list[Path], pairs: dict[Path, list[Path]]) -> list[Path]:
    """Pair the files of one folder; return those without a partner."""
    together: dict[str, list[Path]] = {}
    for file in files:
        if not _is_trimap(file):
            together.setdefault(plain(file.stem), []).append(file)
    alone = []
    for same in together.values():
        if len(same) == 1:
            alone += same
            continue
        masks = [file for file in same if plain(file.stem) != file.stem]
        rest = [file for file in same if file not in masks]
        if not masks:  # a.jpg and a.png: what can be a mask is one
            masks = [file for file in rest if _mode(file) in _MASK_MODES]
            rest = [file for file in rest if file not in masks]
        if len(rest) == 1 and masks:
            pairs[rest[0]] = masks
        else:
            alone += same
    return alone


def plain(stem: str) -> str:
    """Return a name without what tools put behind that of a mask."""
    for ending in _ENDINGS:
        if stem.lower().endswith(ending) and len(stem) > len(ending):
            return stem[: -len(ending)]
    return stem


def _is_trimap(file: Path) -> bool:
    return file.stem.lower().endswith(_TRIMAP) or file.parent.name.casefold() in _TRIMAP


def _mode(file: Path) -> str:
    """Return Pillow's name for what the pixels of a file are, "" of what it cannot open; reads its head alone."""
    from PIL import Image as Pillow

    try:
        with Pillow.open(file) as picture:
            return "RGBA" if "transparency" in picture.info and picture.mode == "RGB" else picture.mode
    except Exception:  # our own reader says what is wrong with it
        return ""


def _examples(root: Path, pairs: dict[Path, list[Path]], lone: list[Path], settings: Data) -> _Found:
    examples, left_out = [], []
    inverted = settings.white == "background"
    named: dict[str, Path] = {}
    for picture in sorted({*pairs, *lone}):
        name = _name(picture, root, named)
        masks = pairs.get(picture, [])
        if len(masks) > 1:
            left_out.append((name, f"It has {len(masks)} possible masks: {listed(masks, root)}."))
        elif masks:
            group = group_of(settings.group, picture, root, name)
            examples.append(Example(name, group, picture, masks[0], "folder", inverted=inverted))
        elif _mode(picture) in ("RGBA", "LA", "PA", "P", ""):  # the last: HEIC and what is damaged
            group = group_of(settings.group, picture, root, name)
            examples.append(Example(name, group, picture, None, "cut-out"))
        else:
            what = "picture" if plain(picture.stem) != picture.stem or _mode(picture) in ("1", "L") else "mask"
            left_out.append((name, f"{picture.name} has no {what}."))
    return examples, left_out


def listed(files: Sequence[Path], root: Path) -> str:
    """Return the first of some files of a data set in words, told apart by the folders below its root."""
    shown = ", ".join(_below(file, root).as_posix() for file in files[:_SHOWN])
    return shown + (" and others" if len(files) > _SHOWN else "")


def _below(file: Path, root: Path) -> Path:
    """Return a file's path below the root, or its name where it lies elsewhere."""
    return file.relative_to(root) if _is_below(file, root) else Path(file.name)


def _name(picture: Path, root: Path, named: dict[str, Path]) -> str:
    """Return the path below the root without suffix, with it where two have the same."""
    path = _below(picture, root)
    name = path.with_suffix("").as_posix()
    if named.setdefault(name, picture) != picture:
        name = path.as_posix()
        named[name] = picture
    return name
