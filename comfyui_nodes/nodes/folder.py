# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of a folder, one after the other, and back with their names. Ids and names of inputs are permanent."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import folder_paths
from comfy_api.latest import io, ui

from .. import widgets
from ..log import warn
from ..progress import Bar
from ..tensors import Images, empty, put
from ..wording import in_comfyui
from . import CATEGORY

if TYPE_CHECKING:
    import numpy as np
    import torch

__all__ = ["LoadFolder", "SaveFolder"]

_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".avif", ".heic", ".heif", ".jxl")
_FORMATS = ("png", "webp", "tiff")


class LoadFolder(io.ComfyNode):
    """Hands out the pictures of a folder, one by one, with their names."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return widgets.known(
            io.Schema,
            node_id="GossamerLoadFolder",
            display_name="Load Images from Folder, Names Kept (Gossamer)",
            category=CATEGORY,
            description="Hands out the pictures of a folder one after the other, each in its own size, with their "
            "names: what follows is run for each of them.",
            search_aliases=["folder", "batch", "load images", "directory", "bulk"],
            inputs=[
                widgets.known(
                    io.String.Input,
                    "folder",
                    default="",
                    display_name="folder",
                    tooltip="A folder of ComfyUI's input folder, or a whole path such as /home/me/photos.",
                ),
                widgets.known(
                    io.Boolean.Input,
                    "subfolders",
                    default=False,
                    display_name="subfolders",
                    tooltip="Those of the folders in it as well; their names keep the folder.",
                ),
                widgets.known(
                    io.Int.Input,
                    "first",
                    default=1,
                    min=1,
                    max=1_000_000,
                    display_name="first",
                    tooltip="The number of the first picture that is loaded, by name.",
                ),
                widgets.known(
                    io.Int.Input,
                    "count",
                    default=0,
                    min=0,
                    max=1_000_000,
                    display_name="count",
                    tooltip="How many are loaded; 0: all. All of them, and their results, lie in memory at once.",
                ),
            ],
            outputs=[
                io.Image.Output(
                    display_name="image", is_output_list=True, tooltip="One by one, upright; RGBA where it has alpha."
                ),
                io.String.Output(
                    display_name="name",
                    is_output_list=True,
                    tooltip="Its name without the suffix, for Save Images to Folder (Gossamer).",
                ),
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, folder: str, subfolders: bool, **_: Any) -> str:
        """Load anew what has changed."""
        try:
            found = _pictures(_folder(folder), subfolders)
            return repr([(str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in found])
        except Exception:  # execute says what is wrong; here an error would only end up in the log
            return folder

    @classmethod
    @in_comfyui
    def execute(cls, folder: str, subfolders: bool, first: int, count: int) -> io.NodeOutput:
        """Load picture by picture."""
        from gossamer import GossamerError, InputError, read_image

        place = _folder(folder)
        found = _pictures(place, subfolders)
        names = _names(found, place)
        chosen = list(zip(found, names, strict=True))[first - 1 :][: count or None]
        if not chosen:
            raise InputError(f"{place} holds {len(found)} pictures, none from number {first} on.", "Choose another.")
        images, kept, bar = [], [], Bar(len(chosen))
        for number, (path, name) in enumerate(chosen):
            bar.picture(number)(0.0, "")
            try:
                picture = read_image(path)
            except GossamerError as error:
                warn((f"{path.name} is left out: {error.message}",))
                continue
            images.append(_tensor(picture.pixels, picture.alpha))
            kept.append(name)
        if not images:
            raise InputError(f"None of the pictures of {place} can be read.", "Open one to see.")
        return io.NodeOutput(images, kept)


class SaveFolder(io.ComfyNode):
    """Saves pictures under the names that they had."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return widgets.known(
            io.Schema,
            node_id="GossamerSaveFolder",
            display_name="Save Images to Folder, Names Kept (Gossamer)",
            category=CATEGORY,
            description="Saves pictures into a folder of ComfyUI's output folder under the names that they had; "
            "nothing that is there is replaced unless you say so.",
            search_aliases=["folder", "batch", "save images", "directory", "bulk"],
            is_output_node=True,
            inputs=[
                widgets.known(
                    io.Image.Input,
                    "image",
                    display_name="image",
                    tooltip="RGB, or RGBA with straight alpha (1 = opaque).",
                ),
                widgets.known(
                    io.String.Input,
                    "name",
                    default="",
                    display_name="name",
                    tooltip="The name, from Load Images from Folder (Gossamer); several pictures get numbers.",
                ),
                widgets.known(
                    io.String.Input,
                    "folder",
                    default="cutouts",
                    display_name="folder",
                    tooltip="The folder in ComfyUI's output folder; it is made where it is missing.",
                ),
                widgets.known(
                    io.Combo.Input,
                    "format",
                    options=list(_FORMATS),
                    default=_FORMATS[0],
                    display_name="format",
                    tooltip="All of them keep transparency. webp: lossy, small.",
                ),
                widgets.known(
                    io.Boolean.Input,
                    "overwrite",
                    default=False,
                    display_name="overwrite",
                    tooltip="Replace files of the same name. Off: they are an error.",
                ),
            ],
            outputs=[io.String.Output(display_name="file", tooltip="The file, with its folder.")],
        )

    @classmethod
    @in_comfyui
    def execute(cls, image: torch.Tensor, name: str, folder: str, format: str, overwrite: bool) -> io.NodeOutput:
        """Write picture by picture."""
        from gossamer import InputError
        from gossamer.files import write_bytes
        from gossamer.image import encode_image

        if format not in _FORMATS:
            raise InputError(f"There is no format {format!r}.", f"Choose one of: {', '.join(_FORMATS)}.")
        images = Images.of(image, "image")
        root = Path(folder_paths.get_output_directory()).absolute()
        stem = _inside(root, root / _relative(folder, "folder", may_be_empty=True) / _relative(name, "name"))
        targets = [_numbered(stem, index, len(images), format) for index in range(len(images))]
        for target in targets:
            if target.exists() and not overwrite:
                raise InputError(
                    f"{target.relative_to(root)} is in the output folder already.",
                    "Give another folder, or switch on overwrite.",
                )
        saved, bar = [], Bar(len(images))
        for index, target in enumerate(targets):
            bar.picture(index)(0.0, "")
            data = encode_image(images.rgb(index), images.alpha(index), format)
            target.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(target, data, force=overwrite)
            place = target.parent.relative_to(root).as_posix()
            saved.append(ui.SavedResult(target.name, "" if place == "." else place, io.FolderType.output))
        return io.NodeOutput(str(targets[0]), ui=ui.SavedImages(saved))


def _folder(text: str) -> Path:
    """Return a folder that a text names; raises InputError where there is none."""
    from gossamer import InputError

    inputs = Path(folder_paths.get_input_directory())
    place = inputs / text.strip()  # a whole path stays as it is
    if not text.strip() or not place.is_dir():
        raise InputError(
            f"There is no folder {text!r} in ComfyUI's input folder, and none of that path."
            if text.strip()
            else "No folder is given.",
            f"Give the name of one in {inputs}, or a whole path.",
        )
    return place


def _pictures(place: Path, subfolders: bool) -> list[Path]:
    """Return the pictures of a folder as people sort them: 2 before 10."""
    found = place.rglob("*") if subfolders else place.iterdir()
    kept = [path for path in found if path.suffix.lower() in _SUFFIXES and not path.name.startswith(".")]
    return sorted((path for path in kept if path.is_file()), key=lambda path: _order(path.relative_to(place)))


def _order(path: Path) -> tuple[list[str], str]:
    pieces = [piece.zfill(12) if piece.isdigit() else piece.lower() for piece in re.split(r"(\d+)", str(path))]
    return pieces, str(path)


def _names(found: list[Path], place: Path) -> list[str]:
    """Return what each is called without its suffix; where two would be one, the suffix stays in the name."""
    plain = [path.relative_to(place).with_suffix("").as_posix() for path in found]
    folded = [name.casefold() for name in plain]
    return [
        name if folded.count(name.casefold()) == 1 else f"{name}_{path.suffix.lstrip('.').lower()}"
        for name, path in zip(plain, found, strict=True)
    ]


def _relative(text: str, what: str, *, may_be_empty: bool = False) -> Path:
    """Return a name that stays within the folder that it is put into; raises InputError."""
    from gossamer import InputError

    parts = [part for part in re.split(r"[\\/]+", text.strip()) if part not in ("", ".")]
    strange = any(part == ".." or re.search(r'[<>:"|?*\x00-\x1f]', part) for part in parts)
    if strange or text.strip().startswith(("/", "\\")) or not (parts or may_be_empty):
        raise InputError(f"{text!r} is no {what} in ComfyUI's output folder.", "Give one such as cutouts, without ...")
    return Path(*parts)


def _inside(root: Path, path: Path) -> Path:
    from gossamer import InputError

    if os.path.commonpath([os.path.realpath(root), os.path.realpath(path)]) != os.path.realpath(root):
        raise InputError(f"{path} is outside ComfyUI's output folder.", "Give a folder in it.")
    return path


def _numbered(stem: Path, index: int, count: int, format: str) -> Path:
    number = f"_{index + 1:05}" if count > 1 else ""
    return stem.with_name(f"{stem.name}{number}.{format}")


def _tensor(pixels: np.ndarray, alpha: np.ndarray | None) -> torch.Tensor:
    import numpy as np

    rgb = pixels if pixels.dtype == np.float32 else pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)
    result = empty(1, *rgb.shape[:2], 3 if alpha is None else 4)
    put(result[0, :, :, :3], rgb)
    if alpha is not None:
        put(result[0, :, :, 3], alpha)
    return result
