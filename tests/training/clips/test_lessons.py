"""What a step sees of clips is true to their alpha, moves smoothly, and follows from its number alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from gossamer.errors import InputError
from gossamer.progress import Progress
from gossamer.settings.dataset import Data
from gossamer.training.clips.feeding import ClipFeed
from gossamer.training.clips.lessons import ClipLesson, clip_lessons_of
from gossamer.training.clips.motion import drawn_frames, drawn_motion
from gossamer.training.clips.reading import read_clips
from gossamer.weights.catalogue import architecture
from tests.training.clips.scenes import SIDE, frame, save_clip, save_cut_clip, settings
from tests.training.dataset.scenes import save_cutout

PLAIN = settings(flip=0.0, light=0.0, crop=0.0)


@pytest.fixture(scope="module")
def lessons(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ClipLesson]:
    root = tmp_path_factory.mktemp("clips")
    save_clip(root, "take", 1, 8)
    save_cut_clip(root / "cut", 2)
    save_cutout(root / "still.png", *frame(3, 0))
    return {one.name: ClipLesson(one) for one in read_clips(root).clips}


@pytest.mark.parametrize("name", ["images/take", "cut", "still"])
def test_frames_are_the_subject_over_something_by_its_alpha(lessons: dict[str, ClipLesson], name: str) -> None:
    for seed in range(6):
        made = lessons[name].sequence(4, SIDE, settings(), seed)
        assert made.frames.shape == (4, 3, SIDE, SIDE)
        assert made.truth.shape == (4, 4, SIDE, SIDE)
        colours, alpha = made.truth[:, :3], made.truth[:, 3:]
        for values in (made.frames, made.truth):
            assert values.dtype == np.float32
            assert values.min() >= 0
            assert values.max() <= 1
        inside = np.broadcast_to(alpha > 0.999, colours.shape)
        assert alpha.max() > 0.9
        assert np.abs(made.frames - colours)[inside].max() < 0.02  # grain, where it is cut off at 0 or 1
        again = lessons[name].sequence(4, SIDE, settings(), seed)
        assert np.array_equal(made.frames, again.frames)
        assert np.array_equal(made.truth, again.truth)


def test_a_still_moves_smoothly(lessons: dict[str, ClipLesson]) -> None:
    """Neighbours are more alike than the ends, in nearly all sequences."""
    smooth = moved = 0
    for seed in range(20):
        alpha = lessons["still"].sequence(6, SIDE, PLAIN, seed).truth[:, 3]
        far, near = np.abs(alpha[0] - alpha[-1]).mean(), np.abs(np.diff(alpha, axis=0)).mean()
        back = np.abs(alpha[0] - alpha[3]).mean()
        moved += max(far, back) > 0.005
        smooth += near < max(far, back)
    assert moved >= 15
    assert smooth >= 15


def test_what_is_measured_of_a_clip_is_the_clip(lessons: dict[str, ClipLesson]) -> None:
    frames, alphas = lessons["images/take"].load(5)
    assert len(frames) == 8
    for place in range(8):
        rgb, alpha = frame(1, place)
        assert np.array_equal(frames[place], rgb)
        assert np.abs(alphas[place] - alpha).max() < 0.5 / 255 + 1e-6
    one, other = lessons["cut"].load(0), lessons["cut"].load(1)
    assert one[0].shape == (5, 384, 384, 3)
    assert not np.array_equal(one[1], other[1])


def test_a_subject_that_a_border_cuts_off_stays_there(tmp_path: Path) -> None:
    """A thing that stands on the lower border never shows where it was cut."""
    rgb, alpha = frame(4, 0)
    alpha = np.zeros_like(alpha)
    alpha[20:, 30:60] = 1.0
    save_cutout(tmp_path / "stands.png", rgb, alpha)
    (clip,) = read_clips(tmp_path).clips
    for seed in range(12):
        made = ClipLesson(clip).sequence(4, SIDE, PLAIN, seed).truth[:, 3]
        for matte in made:
            columns = np.flatnonzero(matte[: SIDE // 2 + 20].max(axis=0) > 0.5)
            middle = columns[len(columns) // 2] if len(columns) else SIDE // 2
            shown = np.flatnonzero(matte[:, middle] > 0.5)
            assert not len(shown) or shown[-1] >= SIDE - 2


def test_frames_are_drawn_from_anywhere_and_at_other_speeds() -> None:
    lots = np.random.default_rng(0)
    drawn = [drawn_frames(30, 5, lots) for _ in range(300)]
    assert all(len(one) == 5 and 0 <= min(one) <= max(one) < 30 for one in drawn)
    assert {max(one) - min(one) for one in drawn} >= {2, 4, 8, 12, 16, 20}
    assert 100 < sum(one[0] > one[-1] for one in drawn) < 200
    assert max(max(one) for one in drawn) == 29
    assert min(min(one) for one in drawn) == 0
    short = [drawn_frames(2, 6, lots) for _ in range(20)]
    assert all(set(one) <= {0, 1} for one in short)


def test_motion_stays_within_what_was_said() -> None:
    lots = np.random.default_rng(0)
    for _ in range(50):
        motion = drawn_motion(lots)
        for time in np.linspace(0, 1, 5):
            matrix = motion.at(float(time), 200, 100)
            moved = matrix @ [100, 50, 1]
            assert abs(moved[0] - 100) <= 20 + 1e-9
            assert abs(moved[1] - 50) <= 10 + 1e-9
            assert 0.8 < np.linalg.det(matrix) < 1.25
    still = drawn_motion(lots, 0.0)
    assert np.allclose(still.at(0.5, 200, 100), np.eye(3))


def test_batches_follow_from_their_number_and_processes_share_them(lessons: dict[str, ClipLesson]) -> None:
    domain, general = [lessons["images/take"], lessons["cut"]], [lessons["still"]]
    chosen, spec = settings(batch=4), architecture("rvm").input
    whole = ClipFeed(domain, general, chosen, spec)
    one = whole.batch(3)
    assert one.pictures.shape == (4, 3, 3, SIDE, SIDE)
    assert one.truths.shape == (4, 3, 4, SIDE, SIDE)
    assert (one.held, one.names[2:]) == (2, ("still", "still"))
    assert sorted(one.names[:2]) == ["cut", "images/take"]
    (ahead,) = whole.batches(3, 4)
    assert np.array_equal(one.pictures, ahead.pictures)
    parts = [ClipFeed(domain, general, chosen, spec, process=each, processes=2).batch(3) for each in (0, 1)]
    assert np.array_equal(np.stack([parts[0].pictures, parts[1].pictures], 1).reshape(one.pictures.shape), one.pictures)
    empty = ClipFeed(domain, general, settings(batch=1), spec, process=1, processes=2).batch(0)
    assert empty.pictures.shape == (0, 3, 3, SIDE, SIDE)


def test_sets_that_teach_nothing_are_refused(tmp_path: Path) -> None:
    for seed in range(3):
        save_clip(tmp_path / "few", f"take{seed}", seed, 3)
    told: list[str] = []

    def ask(general: Path | None = None, photographs: Path | None = None, **shares: float) -> object:
        reading = Data(**{"test": 0.0, **shares})
        return clip_lessons_of(tmp_path / "few", general, None, reading, Progress(), told.append, photographs)

    assert dataclasses.is_dataclass(ask(validation=30.0))
    with pytest.raises(InputError, match="Photographs without masks"):
        ask(photographs=tmp_path)
    with pytest.raises(InputError, match="0 to validate on"):
        ask(validation=0.0)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="neither clips nor pictures"):
        ask(general=tmp_path / "empty", validation=30.0)
