"""Clips as they are taught: a few frames that follow each other, with alpha and the subject's own colours."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array, unit_float
from gossamer.errors import InputError
from gossamer.progress import Progress
from gossamer.settings.dataset import Data
from gossamer.settings.training import Training
from gossamer.training.clips.examples import ClipExample
from gossamer.training.clips.motion import Matrix, drawn_frames, drawn_motion
from gossamer.training.clips.reading import read_clips, split_clips
from gossamer.training.dataset import Example
from gossamer.training.dataset.backgrounds import background, backgrounds_in
from gossamer.training.dataset.composing import filled_subject, subject_of
from gossamer.training.feeding import shrunk
from gossamer.training.lessons import Lessons, check_enough, tell_left_out

__all__ = ["ClipLesson", "Excerpt", "clip_lessons_of"]

SHOWN = 16
"""How many frames of a clip a validation or a proof sees."""

_LONGEST = 512  # pixels at which those are seen: what the network sees of a clip, whatever its size
_COMPOSED = 384  # pixels of a side of what has a background only since it was composed
_ROOM = 1.5  # what is read is no larger than so many sides of what is fed
_ALONE, _OF_CLIPS, _CAMERA, _BEHIND = 0.95, 0.3, 0.3, 0.6  # how often subject, camera and background move
_OVER_ANOTHER = 0.5  # of stills with a background are laid over another, where they can move by themselves
_TOUCHES = 0.02  # the share of a border's length from which on the subject is cut off by it
_GRAIN, _GRAINED, _GREY, _LIT, _DRIFT = 0.02, 0.1, 0.02, 0.5, 0.1


@dataclass(frozen=True, eq=False)
class Excerpt:
    """Frames that follow each other, and their truth.

    Attributes
    ----------
    frames : (T, 3, h, w) float32
        In [0, 1].
    truth : (T, 4, h, w) float32
        The subject's straight colours, and alpha.
    """

    frames: Array
    truth: Array


@dataclass(frozen=True)
class ClipLesson:
    """A clip, as it is taught; conforms to :class:`gossamer.training.feeding.Taught`, with a row of frames for one."""

    clip: ClipExample
    backgrounds: tuple[Path, ...] = ()

    drawn = True

    @property
    def name(self) -> str:
        """What people know it by."""
        return self.clip.name

    def load(self, seed: int = 0, longest: int = _LONGEST) -> tuple[NDArray[np.uint8], Array]:
        """Return frames to be measured on, the same for a seed: (T, H, W, 3) uint8 and (T, H, W) float32 in [0, 1].

        Raises
        ------
        InputError
            It cannot be read.
        """
        clip = self.clip
        if clip.is_still or clip.is_cutout:
            # They move, and the more calmly the easier it would be: as in the training, but for colours and speed.
            lots = self._lots(seed)
            frames = [0] * SHOWN if clip.is_still else list(range(min(SHOWN, clip.length)))
            side = min(longest, _COMPOSED)
            whole = Training(crop=0.0)
            made = self._composed(frames, side, lots) if clip.is_cutout else self._taken(frames, side, whole, lots)
            return np.rint(made.frames.transpose(0, 2, 3, 1) * 255).astype(np.uint8), made.truth[:, 3]
        first = max(0, (clip.length - SHOWN) // 2)
        read = clip.read(range(first, min(first + SHOWN, clip.length)))
        small = [shrunk(rgb, np.clip(alpha, 0, 1).astype(np.float32), longest) for rgb, alpha in read]
        return np.stack([rgb for rgb, _ in small]), np.stack([alpha for _, alpha in small])

    def sequence(self, length: int, side: int, settings: Training, seed: int) -> Excerpt:
        """Return frames to learn from.

        Parameters
        ----------
        length, side : int
            How many frames, and how wide and high.
        settings : Training
            What is changed of colours, and whether it is mirrored and cut.
        seed : int
            Decides where anything is drawn.

        Raises
        ------
        InputError
            It cannot be read.
        """
        lots = self._lots(seed)
        clip = self.clip
        frames = [0] * length if clip.is_still else drawn_frames(clip.length, length, lots)
        over_another = clip.is_still and lots.random() < _OVER_ANOTHER
        if clip.is_cutout or over_another:
            made = self._composed(frames, side, lots)
        else:
            made = self._taken(frames, side, settings, lots)
        return _changed(made, settings, lots)

    def _lots(self, seed: int) -> np.random.Generator:
        name = hashlib.sha256(self.name.encode("utf-8", "surrogateescape")).digest()
        return np.random.default_rng([seed, int.from_bytes(name[:8], "little")])

    # -- as it was photographed -------------------------------------------------------------------------------

    def _taken(self, frames: list[int], side: int, settings: Training, lots: np.random.Generator) -> Excerpt:
        """Return frames as they were photographed, a square of them, seen by a camera that may move a little more."""
        import cv2

        from gossamer import foreground

        read = self.clip.read(frames)
        moves = _ALONE if self.clip.is_still else _CAMERA
        camera = drawn_motion(lots, float(lots.random() < moves))
        share, places = 1 - settings.crop * float(lots.random()), lots.random(2)
        cut: Matrix | None = None
        shown, truth = [], []
        for place, one in enumerate(read):
            rgb, alpha = _smaller(*one, _ROOM * side)
            height, width = alpha.shape
            if cut is None:
                cut = _cut(alpha, share, places, side)
            matrix = (cut @ camera.at(place / max(1, len(frames) - 1), width, height))[:2]
            how = {"flags": cv2.INTER_LINEAR, "borderMode": cv2.BORDER_REFLECT_101}
            picture = np.asarray(cv2.warpAffine(rgb, matrix, (side, side), **how), np.uint8)
            matte = np.asarray(cv2.warpAffine(alpha, matrix, (side, side), **how), np.float32).clip(0, 1)
            colours = np.asarray(foreground.soft_band(picture, matte), np.float32)
            shown.append(unit_float(picture).transpose(2, 0, 1))
            truth.append(np.concatenate([colours.transpose(2, 0, 1), matte[None]]))
        return Excerpt(np.stack(shown), np.stack(truth))

    # -- over another background ------------------------------------------------------------------------------

    def _composed(self, frames: list[int], side: int, lots: np.random.Generator) -> Excerpt:
        """Return the subject over a background, each of which moves by itself."""
        import cv2

        clip = self.clip
        own = drawn_motion(lots, float(lots.random() < (_ALONE if clip.is_still else _OF_CLIPS)))
        camera = drawn_motion(lots, float(lots.random() < _CAMERA))
        other = drawn_motion(lots, float(lots.random() < _BEHIND))
        grown, shift = float(lots.uniform(0.6, 1.05)), lots.uniform(-0.15, 0.15, 2)
        subjects = _subjects(clip, frames, round(_ROOM * side))
        sure = np.concatenate([colours[alpha > 0.9][:4096] for colours, alpha in (subjects[0], subjects[-1])])
        wide = round(1.4 * side)
        behind = background(self.backgrounds, sure, (wide, wide), lots)
        shown, truth = [], []
        for place, (colours, alpha) in enumerate(subjects):
            time = place / max(1, len(frames) - 1)
            height, width = alpha.shape
            seen_by = camera.at(time, side, side)
            stands = seen_by @ _stands(alpha, side, grown, shift) @ own.at(time, width, height)
            stands = _kept_at_borders(stands, alpha, side)
            size = (side, side)
            matte = cv2.warpAffine(alpha, stands[:2], size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
            mine = cv2.warpAffine(colours, stands[:2], size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            middle = np.array([[1, 0, (side - wide) / 2], [0, 1, (side - wide) / 2], [0, 0, 1.0]])
            moved = (seen_by @ middle @ other.at(time, wide, wide))[:2]
            back = cv2.warpAffine(behind, moved, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
            matte, mine = np.clip(matte, 0, 1)[None], np.clip(np.asarray(mine, np.float32).transpose(2, 0, 1), 0, 1)
            back = np.asarray(back, np.float32).transpose(2, 0, 1)
            shown.append(back + matte * (mine - back))
            truth.append(np.concatenate([mine, matte]))
        return Excerpt(np.stack(shown).clip(0, 1), np.stack(truth))


def clip_lessons_of(
    data: str | Path,
    general: str | Path | None,
    backgrounds: str | Path | None,
    reading: Data,
    progress: Progress,
    announce: Callable[[str], object],
    photographs: str | Path | None = None,
) -> Lessons:
    """Read and split clips that a network is taught with; as :func:`gossamer.training.lessons.lessons_of`.

    Raises
    ------
    InputError
        A set cannot be used, or leaves nothing to train on or to validate on.
    """
    if photographs is not None:
        raise InputError(
            "Photographs without masks do not teach a network for clips.",
            "Give clips or pictures of anything with their mattes as --general-data.",
        )
    behind = backgrounds_in(backgrounds) if backgrounds is not None else ()
    train, validation, test = _parts(data, reading, behind, progress, announce)
    check_enough(data, train, validation, "clips")
    anything = reading.for_general()
    own, held, tested = ((), (), ()) if general is None else _parts(general, anything, behind, progress, announce)
    if general is not None and not (own and held):
        raise InputError(f"{general} leaves too few clips.", "Give more, or leave --general-data out.")
    return Lessons(train, validation, own, held, test, tested)


def _parts(
    source: str | Path,
    reading: Data,
    behind: tuple[Path, ...],
    progress: Progress,
    announce: Callable[[str], object],
) -> tuple[tuple[ClipLesson, ...], tuple[ClipLesson, ...], tuple[str, ...]]:
    found = read_clips(source, reading, progress)
    tell_left_out(source, found.left_out, announce, "gossamer dataset check --clips")
    parts = split_clips(found.clips, reading, progress)
    lesson = functools.partial(_lessons, behind=behind)
    return lesson(parts.train), lesson(parts.validation), tuple(one.name for one in parts.test)


def _lessons(clips: Sequence[ClipExample], behind: tuple[Path, ...]) -> tuple[ClipLesson, ...]:
    return tuple(ClipLesson(one, behind) for one in clips)


def _subjects(clip: ClipExample, frames: list[int], longest: int) -> list[tuple[Array, Array]]:
    """Return straight colours, (H, W, 3), and alpha, (H, W), float32, of each frame."""
    if clip.film is None:
        found = {number: _subject(clip.frames[number], longest) for number in sorted(set(frames))}
        return [found[number] for number in frames]
    small = [shrunk(rgb, alpha, longest) for rgb, alpha in clip.read(frames)]
    return [filled_subject(unit_float(rgb), alpha, cutout=clip.film.matte is None) for rgb, alpha in small]


@functools.lru_cache(maxsize=16)
def _subject(example: Example, longest: int) -> tuple[Array, Array]:
    """Return :func:`subject_of`, remembered: the same still is drawn again and again, and nobody writes into it."""
    return subject_of(example, longest)


def _smaller(rgb: NDArray[np.uint8], alpha: Array, shortest: float) -> tuple[NDArray[np.uint8], Array]:
    """Return a frame whose shorter side is no longer than that."""
    alpha = np.clip(alpha, 0, 1).astype(np.float32, copy=False)
    return shrunk(rgb, alpha, max(1, round(shortest * max(alpha.shape) / min(alpha.shape))))


def _cut(alpha: Array, share: float, places: NDArray[np.float64], side: int) -> Matrix:
    """Return what brings a square of a frame, some of the subject in it, to the side that is fed."""
    height, width = alpha.shape
    edge = share * min(height, width)
    left, top = places[0] * (width - edge), places[1] * (height - edge)
    if (subject := np.argwhere(alpha[::8, ::8] > 0.5)).size:
        row, column = 8 * subject[int(places[1] * (len(subject) - 1e-9))]
        left, top = (
            float(np.clip(np.clip(begin, at - 0.8 * edge, at - 0.2 * edge), 0, room - edge))
            for begin, at, room in ((left, column, width), (top, row, height))
        )
    zoom = side / edge
    return np.array([[zoom, 0, -left * zoom], [0, zoom, -top * zoom], [0, 0, 1.0]])


def _stands(alpha: Array, side: int, grown: float, shift: NDArray[np.float64]) -> Matrix:
    """Return what brings a subject's picture to the middle of a square, so large and a little beside it."""
    height, width = alpha.shape
    zoom = grown * side / max(height, width)
    across, down = side / 2 + shift * side - zoom * np.array([width, height]) / 2
    return np.array([[zoom, 0, across], [0, zoom, down], [0, 0, 1.0]])


def _kept_at_borders(matrix: Matrix, alpha: Array, side: int) -> Matrix:
    """Return a matrix that leaves a subject at the borders that cut it off: nothing of it ends in mid-air."""
    height, width = alpha.shape
    corners = np.array([[0, width, 0, width], [0, 0, height, height], [1, 1, 1, 1]], np.float64)
    across, down = (matrix @ corners)[:2]
    moved = matrix.copy()
    top, bottom, left, right = (
        float((line > 0.5).mean()) > _TOUCHES for line in (alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1])
    )
    if bottom:
        moved[1, 2] += max(0.0, side - min(down[2], down[3]))
    elif top:
        moved[1, 2] -= max(0.0, max(down[0], down[1]))
    if right:
        moved[0, 2] += max(0.0, side - min(across[1], across[3]))
    elif left:
        moved[0, 2] -= max(0.0, max(across[0], across[2]))
    return moved


def _changed(made: Excerpt, settings: Training, lots: np.random.Generator) -> Excerpt:
    """Return frames whose light, grain and sides are changed at random, the subject's colours as the frames'."""
    frames, colours, alpha = made.frames, made.truth[:, :3], made.truth[:, 3:]
    length, _, height, width = frames.shape
    mirrored, lit, grained, grey = lots.random(4) < (settings.flip, _LIT, _GRAINED, _GREY)
    gain, offset = lots.uniform(-settings.light, settings.light, 2) * (1.0, 0.3)
    drift = lots.uniform(-1, 1, 2) * _DRIFT * settings.light
    strength, cells = float(lots.uniform(0, _GRAIN)), int(lots.integers(1, 4))
    if lit:
        time = np.linspace(0, 1, length, dtype=np.float32)[:, None, None, None]
        times = 1 + np.float32(gain) + np.float32(drift[0]) * time
        more = np.float32(offset) + np.float32(drift[1]) * time
        frames, colours = (np.clip(one * times + more, 0, 1) for one in (frames, colours))
    if grey:
        weights = np.array([0.299, 0.587, 0.114], np.float32)[None, :, None, None]
        frames, colours = ((one * weights).sum(1, keepdims=True).repeat(3, 1) for one in (frames, colours))
    if grained:
        noise = lots.standard_normal((length, 3, -(-height // cells), -(-width // cells)), np.float32)
        grain = noise.repeat(cells, 2).repeat(cells, 3)[:, :, :height, :width] * np.float32(strength)
        frames, colours = (np.clip(one + grain, 0, 1) for one in (frames, colours))
    truth = np.concatenate([colours, alpha], axis=1)
    if mirrored:
        frames, truth = frames[..., ::-1], truth[..., ::-1]
    return Excerpt(*(np.ascontiguousarray(one, np.float32) for one in (frames, truth)))
