from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from gossamer.errors import InputError, OutputError
from gossamer.progress import Progress
from gossamer.settings.video import Video
from gossamer.video import open_source
from gossamer.video.formats import VIDEO_FORMATS, format_for
from gossamer.video.joining import join
from gossamer.video.segment import FilmPlan, Picture, open_segment
from gossamer.video.tags import ColourTags
from tests.video.clips import RED, disc

WIDTH, HEIGHT = 97, 65
TIMES = [Fraction(n, 1000) for n in (0, 40, 73, 140, 190, 230)]
FILMS = [one for one in VIDEO_FORMATS.values() if not one.is_folder]


def plan_of(name: str, *, deep: bool = False, grey: bool = False) -> FilmPlan:
    form = VIDEO_FORMATS[name]
    alpha = bool(form.clear) and not grey
    base = Fraction(1, 1000)
    tags = ColourTags(1, 1, 1)
    return FilmPlan(form, WIDTH, HEIGHT, Fraction(25), base, Fraction(1), tags, alpha, grey, deep, crf=4)


def colours(number: int) -> np.ndarray:
    """Return straight colours: the disc's, everywhere, with a slope."""
    slope = np.linspace(0.7, 1, WIDTH, dtype=np.float32)[None, :, None]
    return (RED * slope * (1 - 0.02 * number) * np.ones((HEIGHT, 1, 1), np.float32)).astype(np.float32)


def written(folder: Path, plan: FilmPlan) -> Path:
    """Write two segments and join them."""
    suffix = plan.format.suffixes[0]
    segments = []
    for part in range(2):
        path = folder / f"{part}{suffix}"
        segment = open_segment(path, plan, 3 * part)
        for number in range(3 * part, 3 * part + 3):
            alpha = disc(number, WIDTH, HEIGHT)
            shown = plan.alpha or plan.grey
            segment.add(Picture(TIMES[number], None if plan.grey else colours(number), alpha if shown else None))
        segment.close()
        segments.append(path)
    out = folder / f"out{suffix}"
    join(segments, TIMES, plan, None, out, out, Progress())
    return out


@pytest.mark.long
@pytest.mark.parametrize("deep", [False, True], ids=["8bit", "deep"])
@pytest.mark.parametrize("name", [one.id for one in FILMS])
def test_what_is_written_is_read_back_with_its_alpha_and_times(tmp_path: Path, name: str, deep: bool) -> None:
    plan = plan_of(name, deep=deep)
    with open_source(written(tmp_path, plan)) as source:
        frames = list(source.frames())
        tags = source.clip.tags
    assert [frame.time for frame in frames] == TIMES
    lossless = name in ("ffv1", "prores4444")
    for frame in frames:
        rgb = frame.rgb[:HEIGHT, :WIDTH]
        assert np.abs(rgb - colours(frame.number)).mean() * 255 < (0.6 if lossless else 1.6)
        if plan.alpha:
            assert frame.alpha is not None
            most = 255 if frame.alpha.dtype == np.uint8 else 65535
            alpha = frame.alpha / most
            wanted = disc(frame.number, WIDTH, HEIGHT)
            assert alpha.max() == 1
            assert alpha.min() == 0
            assert np.abs(alpha - wanted).max() * 255 < (0.6 if lossless else 12)
            assert np.abs(alpha - wanted).mean() * 255 < (0.3 if lossless else 0.5)
        else:
            assert frame.alpha is None
    assert (tags.primaries, tags.matrix) == (1, 1)


@pytest.mark.parametrize("deep", [False, True], ids=["8bit", "deep"])
@pytest.mark.parametrize("name", [one.id for one in FILMS if not one.animated])
def test_the_container_tells_primaries_transfer_and_matrix(tmp_path: Path, name: str, deep: bool) -> None:
    """FFV1, which holds RGB, told none of them: PQ's numbers were taken for sRGB's."""
    import av

    plan = replace(plan_of(name, deep=deep), tags=ColourTags(9, 16, 9))
    with av.open(str(written(tmp_path, plan))) as clip:
        context = clip.streams.video[0].codec_context
        told = [int(context.color_primaries), int(context.color_trc), int(context.colorspace), int(context.color_range)]
        assert told == ([9, 16, 0, 2] if name == "ffv1" else [9, 16, 9, 1])
        metadata = {key.lower(): value for key, value in clip.streams.video[0].metadata.items()}
        assert metadata.get("alpha_mode") == ("1" if name == "vp9" else None)


@pytest.mark.parametrize("name", [one.id for one in FILMS])
def test_a_matte_alone_is_grey(tmp_path: Path, name: str) -> None:
    with open_source(written(tmp_path, plan_of(name, grey=True))) as source:
        for frame in source.frames():
            grey = frame.rgb[:HEIGHT, :WIDTH]
            assert np.abs(grey - disc(frame.number, WIDTH, HEIGHT)[..., None]).mean() < 0.01
            assert frame.alpha is None


@pytest.mark.parametrize("name", ["png", "tiff"])
@pytest.mark.parametrize("deep", [False, True], ids=["8bit", "deep"])
def test_pictures_in_a_folder_are_exact(tmp_path: Path, name: str, deep: bool) -> None:
    import gossamer

    segment = open_segment(tmp_path / "out", plan_of(name, deep=deep), 7)
    segment.add(Picture(Fraction(0), colours(0), disc(0, WIDTH, HEIGHT)))
    segment.close()
    picture = gossamer.read_image(next((tmp_path / "out").glob("000007.*")))
    step = 1 / (65535 if deep else 255)
    assert picture.bit_depth == (16 if deep else 8)
    assert picture.alpha is not None
    assert np.abs(picture.alpha - disc(0, WIDTH, HEIGHT)).max() < step
    seen = disc(0, WIDTH, HEIGHT) > step
    assert np.abs(np.asarray(picture.rgb) - colours(0))[seen].max() < step


def test_openexr_holds_linear_light_and_straight_alpha(tmp_path: Path) -> None:
    import av

    segment = open_segment(tmp_path / "out", plan_of("exr"), 0)
    segment.add(Picture(Fraction(0), np.full((HEIGHT, WIDTH, 3), 0.5, np.float32), disc(0, WIDTH, HEIGHT)))
    segment.close()
    with av.open(str(tmp_path / "out" / "000000.exr")) as picture:
        frame = next(picture.decode(video=0))
    assert frame.format.name == "gbrapf32le"
    array = frame.to_ndarray()
    assert np.abs(array[..., :3] - 0.21404).max() < 1e-4
    assert np.abs(array[..., 3] - disc(0, WIDTH, HEIGHT)).max() < 1e-6


@pytest.mark.parametrize(
    ("name", "settings", "error", "message"),
    [
        ("a.mp4", {}, InputError, "cannot hold a transparent background"),
        ("a.avi", {}, OutputError, "no suffix of a video that can be written"),
        ("a.tif", {}, OutputError, "not written into one picture"),
        ("a.webm", {"format": "prores4444"}, OutputError, "does not go into .webm"),
        ("a.mov", {"format": "png"}, OutputError, "goes into a folder"),
        ("frames", {"format": "vp9"}, OutputError, "goes into a file"),
    ],
)
def test_what_does_not_go_together_is_told(
    name: str, settings: dict[str, str], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        format_for(Path(name), Video(**settings), transparent=True)


def test_suffixes_choose() -> None:
    found = {
        name: format_for(Path(name), Video(), transparent=False).id
        for name in ("a.mov", "b.webm", "c.mkv", "d.mp4", "e")
    }
    assert found == {"a.mov": "prores4444", "b.webm": "vp9", "c.mkv": "ffv1", "d.mp4": "h264", "e": "png"}
    assert format_for(Path("a.mkv"), Video(format="vp9"), transparent=True).id == "vp9"
    assert format_for(Path("a.mov"), Video(format="hevc"), transparent=False).id == "hevc"
