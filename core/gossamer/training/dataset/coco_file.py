"""COCO's file of annotations: pictures, and the polygons or runs of pixels of what is in them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gossamer.errors import InputError
from gossamer.paths import read_text
from gossamer.settings.dataset import Data
from gossamer.spelling import did_you_mean
from gossamer.training.dataset.examples import Example
from gossamer.training.dataset.grouping import group_of
from gossamer.training.dataset.outlines import Outlines

__all__ = ["in_coco", "is_coco"]

_REMEDY = "Export the annotations as COCO JSON, with images and annotations."


def is_coco(path: Path) -> bool:
    """Tell whether a JSON file is COCO's."""
    data = _read(path)
    return isinstance(data, dict) and isinstance(data.get("images"), list) and "annotations" in data


def in_coco(path: Path, settings: Data) -> tuple[list[Example], list[tuple[str, str]]]:
    """Find the pictures of a COCO file that have annotations; all those of a picture are its subject.

    Parameters
    ----------
    path : Path
    settings : Data
        Categories, the folder of the pictures, and groups.

    Returns
    -------
    list of Example, list of (str, str)
        The second: the pictures without a subject, which are no fault of the data, and why.

    Raises
    ------
    InputError
        The file is none of COCO's, or a category is not in it.
    """
    data = _read(path)
    if not isinstance(data, dict) or not isinstance(data.get("images"), list):
        raise InputError(f"{path} is no file of COCO's.", _REMEDY)
    wanted = _categories(data, settings.categories)
    shapes: dict[str, list[Any]] = {}
    annotations = data.get("annotations") or []
    if not isinstance(annotations, list):
        raise InputError(f"{path} has no list of annotations.", _REMEDY)
    for one in annotations:
        if not isinstance(one, Mapping):
            raise InputError(f"{path} has an annotation that is no table.", _REMEDY)
        if (wanted is None or str(one.get("category_id")) in wanted) and one.get("segmentation"):
            shapes.setdefault(str(one.get("image_id")), []).append(one["segmentation"])
    examples, passed_over = [], []
    root = Path(settings.photos).expanduser() if settings.photos else path.parent
    named: set[str] = set()
    for number, image in enumerate(data["images"], 1):
        if not isinstance(image, Mapping) or not isinstance(image.get("file_name"), str):
            raise InputError(f"Image {number} of {path} has no file_name.", _REMEDY)
        picture = _picture(root, image["file_name"])
        name = Path(image["file_name"]).with_suffix("").as_posix()
        name = name if name not in named else f"{name} ({image.get('id')})"
        named.add(name)
        width, height = image.get("width"), image.get("height")
        if not isinstance(width, int) or not isinstance(height, int):
            raise InputError(f"Image {number} of {path} has no width and height.", _REMEDY)
        found = shapes.get(str(image.get("id")))
        if not found:
            passed_over.append((name, "Nothing is annotated in it."))
        else:
            outlines = Outlines(width, height, tuple(found))
            group = group_of(settings.group, picture, root, name, image)
            examples.append(Example(name, group, picture, None, "coco", outlines))
    return examples, passed_over


def _read(path: Path) -> Any:
    try:
        return json.loads(read_text(path, "annotations", _REMEDY))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is no valid JSON: {error}.", _REMEDY) from None


def _picture(root: Path, name: str) -> Path:
    """Return where a picture lies: below the folder, or in the folder ``images`` that exports often have beside."""
    for folder in (root, root / "images", root.parent / "images", root.parent):
        if (folder / name).is_file():
            return folder / name
    return root / name


def _categories(data: Mapping[str, Any], names: str) -> set[str] | None:
    """Return the ids of the categories that are wanted, None for all."""
    if not names.strip():
        return None
    listed = data.get("categories")
    tables = [one for one in listed if isinstance(one, Mapping)] if isinstance(listed, list) else []
    known = {str(one.get("name")): str(one.get("id")) for one in tables}
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    for name in wanted:
        if name not in known:
            hint = did_you_mean(name, known)
            raise InputError(f"There is no category {name!r}.", f"{hint}The file has: {', '.join(known) or 'none'}.")
    return {known[name] for name in wanted}
