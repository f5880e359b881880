"""A set of clips from whatever holds it: folders of numbered pictures, films, and stills that will move."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from gossamer.errors import GossamerError, InputError
from gossamer.parallel.patience import patiently
from gossamer.paths import source_path
from gossamer.progress import Progress, ProgressCallback
from gossamer.settings.dataset import Data
from gossamer.training.clips.examples import ClipExample, Film
from gossamer.training.dataset import Dataset, Example, split
from gossamer.training.dataset.checking import faults_of, inspect
from gossamer.training.dataset.duplicates import look_at
from gossamer.training.dataset.folders import MASKS, PICTURES, holds_pictures, in_folder, listed, plain
from gossamer.training.dataset.grouping import group_of
from gossamer.training.dataset.reading import check_share, find_examples

__all__ = ["ClipSet", "ClipSplit", "check_clips", "find_clips", "look_into_clips", "read_clips", "split_clips"]

_FILMS = (".mov", ".mp4", ".m4v", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".ogv")
_SUBJECTS = frozenset(("fgr", "foreground", "foregrounds"))
_NUMBER = re.compile(r"(\d+)$")
_LOOKED_AT = 5  # frames of each clip, the first and the last among them
_NAMED = 3  # frames, in one sentence


@dataclass(frozen=True)
class ClipSet:
    """What was found; as :class:`~gossamer.training.dataset.Dataset`, of clips."""

    clips: tuple[ClipExample, ...]
    left_out: tuple[tuple[str, str], ...] = ()
    notes: tuple[tuple[str, str], ...] = ()
    passed_over: tuple[tuple[str, str], ...] = ()


class ClipSplit(NamedTuple):
    """The parts of a set of clips."""

    train: tuple[ClipExample, ...]
    validation: tuple[ClipExample, ...]
    test: tuple[ClipExample, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the names in each part, ready for JSON."""
        return {name: [one.name for one in part] for name, part in self._asdict().items()}


def read_clips(
    source: str | os.PathLike[str],
    settings: Data | None = None,
    progress: Progress | ProgressCallback | None = None,
) -> ClipSet:
    """Read a set of clips: find them with their truth, look at some frames of each, and leave out what cannot be used.

    Parameters
    ----------
    source : path
        A folder, see :func:`find_clips`; or whatever :func:`~gossamer.training.dataset.read_dataset` reads, whose
        pictures are stills then.
    settings : Data, optional
    progress : callable, optional
        May raise to cancel.

    Raises
    ------
    InputError
        There is nothing of that kind, or more than `settings.left_out` of it cannot be used.
    """
    chosen = settings or Data()
    whole = look_into_clips(find_clips(source, chosen), Progress.of(progress))
    check_clips(whole, chosen)
    return whole


def check_clips(found: ClipSet, settings: Data) -> None:
    """Raise InputError where nothing is left, or more was left out than may be."""
    # Reckoned as for pictures: of the clips that stay only their number counts.
    stay = tuple(Example(one.name, one.group, one.path, None, one.source) for one in found.clips)
    check_share(Dataset(stay, found.left_out, (), found.passed_over), settings, what="clips")


def find_clips(source: str | os.PathLike[str], settings: Data) -> ClipSet:
    """Find the clips of a set, unread.

    A clip is a folder of numbered pictures whose mattes have the same names, or which have alpha
    (``images/NAME/0001.png`` and ``masks/NAME/0001.png``, or ``NAME/images/…`` and ``NAME/masks/…``); or a film with
    one of its mattes (``clips/a.mp4`` and ``masks/a.mp4``, or ``a.mp4`` and ``a-matte.mp4``), or with alpha. Whatever
    pictures lie elsewhere are stills.

    Raises
    ------
    InputError
        There is nothing of that kind.
    """
    root = Path(os.path.abspath(source_path(source, "data set")))
    if not root.is_dir():
        found = find_examples(root, settings)
        return ClipSet(tuple(_still(one) for one in found.examples), found.left_out, (), found.passed_over)
    films, faults = _films(root, settings)
    examples: list[Example] = []
    unpaired: list[tuple[str, str]] = []
    if holds_pictures(root):
        examples, unpaired = in_folder(root, settings)
    elif not films and not faults:
        raise InputError(f"{root} holds neither clips nor pictures.", "Give a folder of clips with their mattes.")
    clips, more, notes = _gathered(root, examples, unpaired, settings)
    ordered = sorted([*films, *clips], key=lambda one: one.name)
    return ClipSet(tuple(ordered), tuple(sorted([*faults, *more])), tuple(notes))


def look_into_clips(found: ClipSet, progress: Progress) -> ClipSet:
    """Return a set of which some frames of each clip were looked at, without what cannot be used."""
    clips, left_out, notes = [], list(found.left_out), list(found.notes)
    for number, clip in enumerate(found.clips):
        part = progress.part(number / len(found.clips), (number + 1) / len(found.clips))
        part(0.0, f"Looking at the clips: {number} of {len(found.clips)}")
        seen, fault, odd = patiently(functools.partial(_looked_at, clip), part)
        if fault:
            left_out.append((clip.name, fault))
            continue
        clips.append(seen)
        notes += [(clip.name, note) for note in odd]
    return ClipSet(tuple(clips), tuple(sorted(left_out)), tuple(sorted(notes)), found.passed_over)


def split_clips(clips: Sequence[ClipExample], settings: Data, progress: Progress | None = None) -> ClipSplit:
    """Split clips as :func:`~gossamer.training.dataset.split` does pictures: no clip, group or footage is in two parts.

    Raises
    ------
    InputError
        There are fewer families of clips than parts.
    """
    # Each of its frames that were looked at may be nearly alike to another clip's; all of them are of one group.
    examples = [
        Example(f"{clip.name}\0{place}", clip.group, clip.path, None, "clip", look=look)
        for clip in clips
        for place, look in enumerate(clip.looks)
    ]
    parts = split(examples, settings, progress, what="clips", count=len(clips))

    def of(part: Iterable[Example]) -> tuple[ClipExample, ...]:
        names = {one.name.partition("\0")[0] for one in part}
        return tuple(one for one in clips if one.name in names)

    return ClipSplit(of(parts.train), of(parts.validation), of(parts.test))


def _still(example: Example) -> ClipExample:
    return ClipExample(example.name, example.group, (example,), is_cutout=example.is_cutout, length=1)


def _gathered(
    root: Path, examples: list[Example], unpaired: list[tuple[str, str]], settings: Data
) -> tuple[list[ClipExample], list[tuple[str, str]], list[tuple[str, str]]]:
    """Return clips of the pictures in a folder, what is left out, and notes."""
    folders: dict[Path, list[Example]] = {}
    clips: list[ClipExample] = []
    for one in examples:
        folder = one.picture.parent
        if settings.numbered == "clips" and _NUMBER.search(one.picture.stem) and _is_own(folder, root):
            folders.setdefault(folder, []).append(one)
        else:
            clips.append(_still(one))
    notes: list[tuple[str, str]] = []
    missing: dict[str, list[str]] = {}
    for name, _ in unpaired:
        missing.setdefault(Path(name).parent.as_posix(), []).append(Path(name).name)
    left_out: list[tuple[str, str]] = []
    known: set[str] = set()
    for folder, frames in folders.items():
        if len(frames) == 1:
            clips.append(_still(frames[0]))
            continue
        name = folder.relative_to(root).as_posix() if root in folder.parents else folder.name
        beside = {
            frame.alpha.parent.relative_to(root).as_posix()
            for frame in frames
            if frame.alpha and root in frame.alpha.parents
        }
        lone = [one for place in {name, *beside} for one in missing.get(place, ())]
        known |= {name, *beside}
        if lone:
            left_out.append((name, f"{_listed(sorted(set(lone)))} has no matte, or is a matte without its frame."))
            continue
        ordered = sorted(frames, key=lambda one: (_number(one), one.name))
        if gaps := _gaps([_number(one) for one in ordered]):
            notes.append((name, f"Its numbers leave out {_listed(gaps)}: what follows is taken for the next frame."))
        group = _group_of(settings, folder, root, name)
        alone = _is_subjects(folder, root) or all(one.is_cutout for one in ordered)
        clips.append(ClipExample(name, group, tuple(ordered), is_cutout=alone, length=len(ordered)))
    left_out += [(name, why) for name, why in unpaired if Path(name).parent.as_posix() not in known]
    return clips, left_out, notes


def _group_of(settings: Data, path: Path, root: Path, name: str) -> str:
    return f"clip {name}" if settings.group == "none" else group_of(settings.group, path, root, name)


def _is_own(folder: Path, root: Path) -> bool:
    """Tell whether a folder can hold the frames of one clip: it is neither the set nor that of all its pictures."""
    if folder == root or root not in folder.parents:
        return False
    return folder.name.casefold() not in PICTURES or folder.parent != root


def _is_subjects(folder: Path, root: Path) -> bool:
    parts = folder.relative_to(root).parts if root in folder.parents else ()
    return any(part.casefold() in _SUBJECTS for part in parts)


def _number(example: Example) -> int:
    found = _NUMBER.search(example.picture.stem)
    return int(found[1]) if found else 0


def _gaps(numbers: Sequence[int]) -> list[str]:
    """Return which numbers are left out, where they go up by one otherwise."""
    steps = Counter(later - before for before, later in itertools.pairwise(numbers))
    if not steps or steps.most_common(1)[0][0] != 1:
        return []
    there = set(numbers)
    return [str(one) for one in range(numbers[0], numbers[-1]) if one not in there]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"


def _films(root: Path, settings: Data) -> tuple[list[ClipExample], list[tuple[str, str]]]:
    """Return the films of a folder with their mattes, and those that have no partner."""
    given = Path(os.path.abspath(os.path.expanduser(settings.masks))) if settings.masks else None
    files = sorted(
        file
        for place in dict.fromkeys((root, given or root))
        for file in place.rglob("*")
        if file.suffix.lower() in _FILMS and not file.name.startswith(".") and file.is_file()
    )
    mattes: dict[str, list[Path]] = {}
    pictures = []
    for file in files:
        folders = {part.casefold() for part in file.relative_to(root).parts[:-1]} if root in file.parents else set()
        is_matte = bool(folders & MASKS) or plain(file.stem) != file.stem
        if is_matte or (given is not None and given in file.parents):
            mattes.setdefault(plain(file.stem).casefold(), []).append(file)
        else:
            pictures.append(file)
    clips, faults = [], []
    inverted, used = settings.white == "background", set()
    for file in pictures:
        name = file.relative_to(root).as_posix()
        found = mattes.get(file.stem.casefold(), [])
        used.update(found)
        if len(found) > 1:
            faults.append((name, f"It has {len(found)} possible mattes: {listed(found, root)}."))
            continue
        film = Film(file, found[0] if found else None, inverted)
        alone = not found or _is_subjects(file.parent, root)
        clips.append(ClipExample(name, _group_of(settings, file, root, name), film=film, is_cutout=alone))
    for file in (one for same in mattes.values() for one in same if one not in used):
        name = file.relative_to(root).as_posix() if root in file.parents else file.name
        faults.append((name, f"{file.name} has no film."))
    return clips, faults


def _looked_at(clip: ClipExample) -> tuple[ClipExample, str, tuple[str, ...]]:
    """Return a clip with what was seen of it, why it cannot be used, and what is odd."""
    if clip.is_still:
        one = inspect(clip.frames[0])
        looks = () if one.example.look is None else (one.example.look,)
        still = dataclasses.replace(clip, frames=(one.example,), size=one.example.size, looks=looks)
        return still, one.fault, one.notes
    try:
        length = clip.length
        if clip.film is not None:
            length, mattes = clip.film.count()
            if length != mattes:
                return clip, f"It has {length} frames, and {mattes} mattes.", ()
            if length < 2:
                return clip, "It has a single frame.", ()
        places = sorted({round(one * (length - 1) / (_LOOKED_AT - 1)) for one in range(_LOOKED_AT)})
        if fault := _other_sizes(clip):
            return clip, fault, ()
        found = clip.read(places) if clip.film is None else [clip.read([place])[0] for place in places]
    except GossamerError as error:
        return clip, error.message, ()
    except MemoryError:
        return clip, "There is not enough memory for its frames.", ()
    seen = [faults_of(rgb, alpha, cutout=clip.is_cutout) for rgb, alpha in found]
    # A subject may come late or leave: what holds for a clip holds in most of the frames that were seen of it.
    fault = _common([[fault] for fault, _ in seen])
    if fault:
        return clip, fault, ()
    height, width = found[0][1].shape
    shown = tuple(look_at(rgb) for rgb, _ in found)
    whole = dataclasses.replace(clip, length=length, size=(width, height), looks=shown)
    odd = _common([notes for _, notes in seen])
    return whole, "", (odd,) if odd else ()


def _common(told: Sequence[Sequence[str]]) -> str:
    """Return what was told most often, where it was of more than half; or ""."""
    counts = Counter(one for each in told for one in each if one)
    if not counts:
        return ""
    said, count = counts.most_common(1)[0]
    return said if count > len(told) // 2 else ""


def _other_sizes(clip: ClipExample) -> str:
    """Return which frame has another size than the first, a sentence; or "". Heads alone are read."""
    from PIL import Image as Pillow

    first: tuple[int, int] | None = None
    for example in clip.frames:
        for file in (example.picture, example.alpha):
            if file is None:
                continue
            try:
                with Pillow.open(file) as picture:
                    size = picture.size
            except Exception:  # noqa: S112 - our own reader says what is wrong with it, or reads it
                continue
            if first is not None and size != first:
                return f"{file.name} has {size[0]} x {size[1]} pixels and the first frame {first[0]} x {first[1]}."
            first = first or size
    return ""
