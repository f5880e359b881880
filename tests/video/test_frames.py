from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from skimage import data

import gossamer
from gossamer.errors import InputError, OutputExists
from gossamer.settings import ModelChoice
from gossamer.video import Frame, FrameCutter, Picture, Remembered, Video, open_source, save_frames
from tests.cached_weights import video_weights
from tests.video.clips import GREEN, RED, disc, frame_pixels, make_clip, sound_packets

KEY = gossamer.Recipe.of({"matting": {"method": "key"}})


def frames(count: int, first: int = 0, width: int = 96, height: int = 64) -> list[Frame]:
    return [Frame(n, Fraction(n, 25), frame_pixels(n, width, height)) for n in range(first, first + count)]


def test_frames_of_a_green_screen_are_cut_out_with_the_true_alpha_and_colours() -> None:
    with FrameCutter(64, 96, recipe=KEY, choice="none") as cutter:
        found = list(cutter.cut(frames(9), 9))
    assert [one.number for one in found] == list(range(9))
    for one in found:
        truth = disc(one.number, 96, 64)
        assert one.alpha is not None
        assert np.abs(one.alpha - truth).mean() < 0.012
        assert np.abs(one.rgb - RED)[truth > 0.3].mean() < 0.03
        assert np.array_equal(one.matte, one.alpha)


def test_a_background_makes_them_opaque_and_the_matte_stays() -> None:
    recipe = gossamer.Recipe.of({"matting": {"method": "key"}, "background": {"fill": "#0000ff"}})
    with FrameCutter(64, 96, recipe=recipe, choice="none") as cutter:
        (one,) = cutter.cut(frames(1), 1)
    truth = disc(0, 96, 64)
    assert one.alpha is None
    assert np.abs(one.matte - truth).mean() < 0.012
    expected = truth[..., None] * RED + (1 - truth[..., None]) * np.array([0, 0, 1], np.float32)
    assert np.abs(one.rgb - expected).mean() < 0.02


@pytest.mark.long
def test_what_is_remembered_makes_chunks_one_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOSSAMER_HOME", str(video_weights().parents[1]))
    choice = ModelChoice.of(model="rvm-mobilenetv3", device="cpu", accept_licence=True)
    person = np.asarray(data.astronaut())[::2, ::2]
    clip = [Frame(n, Fraction(n, 25), np.ascontiguousarray(person[:192, 4 * n : 4 * n + 192])) for n in range(6)]

    def mattes(count: int, first: int, remembered: Remembered | None) -> tuple[list[np.ndarray], Remembered]:
        with FrameCutter(192, 192, choice=choice, remembered=remembered) as cutter:
            found = [one.matte for one in cutter.cut(clip[first : first + count], count)]
            return found, cutter.remembered

    whole, _ = mattes(6, 0, None)
    first, remembered = mattes(3, 0, None)
    second, _ = mattes(3, 3, remembered)
    forgot, _ = mattes(3, 3, None)
    assert all(np.array_equal(a, b) for a, b in zip(whole, [*first, *second], strict=True))
    assert np.abs(whole[3] - forgot[0]).max() > 0.01
    assert whole[3].mean() > 0.2


def test_a_frame_of_another_size_is_told() -> None:
    with FrameCutter(64, 96, recipe=KEY, choice="none") as cutter, pytest.raises(InputError, match="Frame 1"):
        list(cutter.cut(frames(1, width=80), 1))


@pytest.mark.parametrize("suffix", [".mov", ".webm", ".mkv", ".apng"])
def test_pictures_are_written_with_alpha_times_and_sound(tmp_path: Path, suffix: str) -> None:
    make_clip(tmp_path / "sound.mkv", 10, sound="aac")
    made = [
        Picture(Fraction(n, 25), np.broadcast_to(RED, (64, 96, 3)).astype(np.float32), disc(n, 96, 64))
        for n in range(10)
    ]
    out = tmp_path / f"out{suffix}"
    save_frames(made, out, 64, 96, Video(fps=25.0), sound=tmp_path / "sound.mkv", count=10)
    with open_source(out) as source:
        back = list(source.frames())
    assert len(back) == 10
    for one, frame in zip(made, back, strict=True):
        assert abs(frame.time - one.time) <= Fraction(1, 1000)  # Matroska counts milliseconds
        assert frame.alpha is not None
        assert np.abs(frame.alpha / np.iinfo(frame.alpha.dtype).max - one.alpha).mean() < 0.01
        inside = one.alpha > 0.9
        assert np.abs(frame.rgb - RED)[inside].mean() < 0.02
    assert suffix == ".apng" or sound_packets(out)
    assert sorted(path.name for path in tmp_path.iterdir()) == [out.name, "sound.mkv"]
    with pytest.raises(OutputExists):
        save_frames(made, out, 64, 96, Video(fps=25.0))


def test_nothing_stays_of_what_was_broken_off_or_cannot_be(tmp_path: Path) -> None:
    picture = Picture(Fraction(0), np.broadcast_to(GREEN, (64, 96, 3)).astype(np.float32), disc(0, 96, 64))

    def leave(fraction: float, message: str) -> None:
        raise gossamer.Cancelled

    with pytest.raises(gossamer.Cancelled):
        save_frames([picture], tmp_path / "out.mov", 64, 96, progress=leave)
    with pytest.raises(InputError, match="no picture"):
        save_frames([], tmp_path / "out.mov", 64, 96)
    with pytest.raises(InputError, match="transparent"):
        save_frames([picture], tmp_path / "out.mp4", 64, 96)
    save_frames([picture], tmp_path / "frames", 64, 96)
    assert [path.name for path in tmp_path.rglob("*")] == ["frames", "000000.png"]
