from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import gossamer
from gossamer.errors import InputError
from gossamer.settings.video import Video
from gossamer.video import cut_video, open_source
from gossamer.video.animation import is_animation
from tests.video.clips import disc, frame_pixels, make_clip

KEY = gossamer.Recipe(matting={"method": "key"})
TIMES = [Fraction(0), Fraction(4, 100), Fraction(10, 100), Fraction(30, 100), Fraction(34, 100)]


def cut(source: Path, out: Path, **settings: object) -> object:
    return cut_video(source, out, Video.of(**settings), KEY, "none")


@pytest.mark.long
@pytest.mark.parametrize(("suffix", "steps"), [(".apng", 0), (".webp", 0), (".gif", 128)])
def test_animations_keep_alpha_and_times_and_go_in_again(tmp_path: Path, suffix: str, steps: int) -> None:
    make_clip(tmp_path / "in.mkv", times=TIMES)
    made = tmp_path / f"out{suffix}"
    cut(tmp_path / "in.mkv", tmp_path / "film.mkv")
    with open_source(tmp_path / "film.mkv") as source:
        films = list(source.frames())
    report = cut(tmp_path / "in.mkv", made)
    assert report.format == suffix[1:]  # type: ignore[attr-defined]
    with Image.open(made) as picture:
        assert picture.n_frames == len(TIMES)  # type: ignore[attr-defined]
        assert picture.info.get("loop", 0) == 0
        found, time = [], Fraction(0)
        for number in range(len(TIMES)):
            picture.seek(number)
            picture.load()
            assert time == TIMES[number]
            time += Fraction(round(picture.info["duration"]), 1000)
            found.append(np.asarray(picture.convert("RGBA")))
    for number, pixels in enumerate(found):
        true = films[number].alpha
        assert true is not None
        assert np.abs(pixels[..., 3].astype(int) - true).max() <= steps  # a GIF knows all or nothing
        inside = disc(number, 96, 64) == 1
        assert np.abs(pixels[inside][:, :3].astype(float) - frame_pixels(number, 96, 64)[inside]).mean() < 4
    with open_source(made) as source:
        assert (source.clip.width, source.clip.height, source.clip.has_alpha) == (96, 64, True)
        again = list(source.frames())
    assert [frame.time for frame in again] == TIMES
    assert all(np.array_equal(frame.alpha, pixels[..., 3]) for frame, pixels in zip(again, found, strict=True))
    # In and out points count as in films, and a background goes behind what is there.
    with open_source(made, Video.of(size="48x")) as source:
        part = list(source.frames(Fraction(4, 100), Fraction(30, 100)))
    assert [frame.time for frame in part] == [Fraction(0), Fraction(6, 100)]
    assert part[0].pixels.shape == (32, 48, 3)


def test_a_gif_shows_fifty_frames_a_second_at_most(tmp_path: Path) -> None:
    make_clip(tmp_path / "in.mkv", times=[Fraction(number, 100) for number in range(6)])
    report = cut(tmp_path / "in.mkv", tmp_path / "out.gif")
    assert any("3 of 6 frames were left out" in warning for warning in report.warnings)  # type: ignore[attr-defined]
    with Image.open(tmp_path / "out.gif") as picture:
        assert picture.n_frames == 3  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("milliseconds", "begun", "seconds"), [(1_400_000, 1400, 2800), ([40, 1_400_000], Fraction(4, 100), 700)]
)
def test_a_gif_shows_a_picture_again_that_is_shown_longer_than_it_can_say(
    tmp_path: Path, milliseconds: object, begun: object, seconds: int
) -> None:
    first, second = (Image.fromarray(frame_pixels(number, 96, 64)) for number in (0, 9))
    first.save(tmp_path / "in.png", save_all=True, append_images=[second], duration=milliseconds)
    report = cut(tmp_path / "in.png", tmp_path / "out.gif")
    assert not report.warnings  # type: ignore[attr-defined]
    with open_source(tmp_path / "out.gif") as source:
        shown = {frame.pixels.tobytes(): frame.time for frame in reversed(list(source.frames()))}
        assert sorted(shown.values()) == [0, begun]
        assert source.clip.seconds == pytest.approx(seconds, rel=0.01)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit for files")
@pytest.mark.parametrize("suffix", [".apng", ".webp", ".gif"])
def test_a_disk_that_fills_up_is_told_by_the_name_of_the_result(tmp_path: Path, suffix: str) -> None:
    """And not by that of what is made first, in a hidden folder."""
    script = (
        "import resource, sys; from gossamer.cli import main;"
        "limit = lambda *_: resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100));"
        "import gossamer.video.delivery as delivery; animate = delivery.animate;"
        "delivery.animate = lambda *given: limit() or animate(*given);"
        f"sys.exit(main(['video', 'in.mkv', 'out{suffix}', '--model', 'none', '--matting', 'key', '--quiet']))"
    )
    make_clip(tmp_path / "in.mkv", 3)
    ended = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 3, ended.stderr
    assert ended.stderr.startswith(f"gossamer: out{suffix} could not be written: no larger file may be written.")
    assert ended.stderr.strip().endswith("What is finished is kept.")


def test_a_still_picture_is_no_animation_and_a_damaged_one_is_told(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "one.png")
    assert not is_animation(tmp_path / "one.png")
    frames = [Image.effect_noise((64, 64), 90 + number) for number in range(5)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], duration=40)
    assert is_animation(tmp_path / "a.webp")
    data = (tmp_path / "a.webp").read_bytes()
    (tmp_path / "a.webp").write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(InputError, match="damaged"), open_source(tmp_path / "a.webp") as source:
        list(source.frames())


def test_in_a_region_alone_something_is_found(tmp_path: Path) -> None:
    make_clip(tmp_path / "in.mkv", 2)
    cut(tmp_path / "in.mkv", tmp_path / "whole.mkv")
    cut(tmp_path / "in.mkv", tmp_path / "part.mkv", roi="0,0,40,100%")
    with open_source(tmp_path / "whole.mkv") as one, open_source(tmp_path / "part.mkv") as other:
        for whole, part in zip(one.frames(), other.frames(), strict=True):
            assert part.alpha is not None
            assert not part.alpha[:, 40:].any()
            assert whole.alpha is not None
            assert np.abs(whole.alpha[:, :38].astype(int) - part.alpha[:, :38]).mean() < 1
    with pytest.raises(InputError, match="holds too little"):
        cut(tmp_path / "in.mkv", tmp_path / "none.mkv", roi="90,0,96,64")
    with pytest.raises(InputError, match="X1 has to be larger"):
        Video.of(roi="50,0,20,64")
    with pytest.raises(InputError, match="four numbers"):
        Video.of(roi="50,0")
    assert not (tmp_path / "none.mkv").exists()
