"""Frames of a clip are told from different pictures."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage import data

from gossamer import Cancelled
from gossamer.video import are_frames
from tests.video.clips import disc

WIDTH, HEIGHT = 320, 240


def panned(count: int, step: int = 4) -> list[np.ndarray]:
    """Return frames of a disc that moves one way before a photograph that moves the other way."""
    behind, fore = data.chelsea()[:HEIGHT], cv2.resize(data.coffee(), (WIDTH, HEIGHT))
    frames = []
    for number in range(count):
        alpha = disc(number * step, WIDTH, HEIGHT)[..., None]
        view = behind[:, 100 - number * step :][:, :WIDTH]
        frames.append(np.rint(alpha * np.roll(fore, number * step, axis=1) + (1 - alpha) * view).astype(np.uint8))
    return frames


def photographs() -> list[np.ndarray]:
    names = ("astronaut", "chelsea", "coffee", "rocket")
    return [cv2.resize(getattr(data, name)(), (WIDTH, HEIGHT)) for name in names]


def told(pictures: list[np.ndarray]) -> bool:
    return are_frames(pictures.__getitem__, len(pictures))


@pytest.mark.parametrize("count", [2, 3, 20])
def test_what_moves_is_a_clip(count: int) -> None:
    assert told(panned(count, 80 // count))


def test_numbers_of_any_kind_tell_the_same() -> None:
    frames = panned(4)
    assert told([np.float32(1 / 255) * frame for frame in frames])
    assert told([frame.astype(np.uint16) * 257 for frame in frames])


def test_a_clip_may_have_cuts_and_stand_still() -> None:
    shots = [panned(6), [frame[:, ::-1] for frame in panned(6)], [frame[::-1] for frame in panned(6)]]
    assert told([np.ascontiguousarray(frame) for shot in shots for frame in shot])
    assert told([frame for frame in panned(10) for _ in range(2)])


def test_different_pictures_are_none() -> None:
    assert not told(photographs())
    assert not told(panned(2) + photographs())


def test_different_things_before_white_are_none() -> None:
    alpha = disc(40, WIDTH, HEIGHT)[..., None]
    assert not told([np.rint(alpha * one + (1 - alpha) * 255).astype(np.uint8) for one in photographs()])


def test_pictures_of_different_sizes_are_none() -> None:
    assert not told([panned(1)[0], panned(1)[0][:200]])


def test_one_picture_is_none_however_often_it_comes() -> None:
    assert not told(panned(1))
    assert not told(5 * panned(1))


def test_some_of_many_are_looked_at() -> None:
    frames, asked = panned(20), list[int]()

    def picture(number: int) -> np.ndarray:
        asked.append(number)
        return frames[number % 20]

    assert are_frames(picture, 10_000)
    assert len(asked) < 30
    assert max(asked) > 9000


def test_it_can_be_cancelled() -> None:
    def cancel(fraction: float, message: str) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        are_frames(panned(3).__getitem__, 3, cancel)
