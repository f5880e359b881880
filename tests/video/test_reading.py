from __future__ import annotations

import io
import subprocess
import sys
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import PIL.Image
import PIL.ImageCms
import pytest

import gossamer
from gossamer.errors import InputError
from gossamer.image import encode_image, read_image
from gossamer.image.colour import by_cicp
from gossamer.image.profiles import icc_profile
from gossamer.light import from_linear, to_linear
from gossamer.settings.video import Video
from gossamer.video import cut_video, open_source
from gossamer.video.clip import Frame
from gossamer.video.timing import at_rate
from tests.video.clips import RED, frame_pixels, make_clip, turn

KEY = gossamer.Recipe(matting={"method": "key"})


def off(frame: Frame, number: int, width: int = 96, height: int = 64) -> float:
    """Return the mean difference of a frame from what it should be, of 255."""
    most = 255 if frame.pixels.dtype == np.uint8 else 65535
    return float(np.abs(frame.pixels / most * 255 - frame_pixels(number, width, height)).mean())


def test_frames_come_with_exact_pixels_and_their_own_times(tmp_path: Path) -> None:
    times = [Fraction(n, 1000) for n in (0, 40, 73, 140, 190, 191)]
    make_clip(tmp_path / "a.mkv", times=times)
    with open_source(tmp_path / "a.mkv") as source:
        frames = list(source.frames())
        assert (source.clip.width, source.clip.height, source.clip.codec) == (96, 64, "ffv1")
        again = list(source.frames(Fraction(73, 1000), Fraction(191, 1000)))
    assert [frame.time for frame in frames] == times
    assert all(np.array_equal(frame.pixels, frame_pixels(frame.number, 96, 64)) for frame in frames)
    assert [(frame.number, frame.time) for frame in again] == [
        (0, 0),
        (1, Fraction(67, 1000)),
        (2, Fraction(117, 1000)),
    ]
    assert np.array_equal(again[0].pixels, frames[2].pixels)


@pytest.mark.parametrize("tags", [(1, 1, 1), (6, 6, 6), (9, 14, 9)])
def test_the_matrix_that_the_tags_say_is_taken(tmp_path: Path, tags: tuple[int, int, int]) -> None:
    make_clip(tmp_path / "a.mp4", 3, codec="libx264", layout="yuv444p", tags=tags, options={"crf": "1"})
    with open_source(tmp_path / "a.mp4") as source:
        told = source.clip.tags
        assert (told.primaries, told.transfer, told.matrix, told.full) == (*tags, False)
        assert max(off(frame, frame.number) for frame in source.frames()) < 1.5


@pytest.mark.parametrize(("codec", "options"), [("libx264", {"bf": "2", "g": "10"}), ("mpeg2video", {"g": "10"})])
def test_what_has_no_index_is_read_from_any_place_and_whole(
    tmp_path: Path, codec: str, options: dict[str, str]
) -> None:
    path = tmp_path / "a.ts"
    times = make_clip(path, 40, codec=codec, layout="yuv420p", options=options, time_base=Fraction(1, 25))
    with open_source(path) as source:
        whole = list(source.frames())
        assert [frame.time for frame in whole] == times
        for place in (1, 9, 10, 11, 25, 39):
            found = list(source.frames(start=times[place]))
            assert [frame.time + times[place] for frame in found] == times[place:]
            gone_on = list(source.frames(done=(place, times[place])))
            assert [frame.number for frame in gone_on] == list(range(place, 40))
            for frames in (found, gone_on):
                assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(frames, whole[place:], strict=True))


def test_ten_bits_stay_more_than_eight(tmp_path: Path) -> None:
    make_clip(tmp_path / "a.mkv", 2, codec="ffv1", layout="yuv444p10le")
    with open_source(tmp_path / "a.mkv") as source:
        frame = next(iter(source.frames()))
        assert source.clip.depth == 10
    assert frame.pixels.dtype == np.uint16
    assert off(frame, 0) < 0.6


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_what_players_turn_and_mirror_comes_upright(tmp_path: Path, degrees: int, mirror: bool) -> None:
    make_clip(tmp_path / "a.mp4", 3, codec="libx264", layout="yuv444p", options={"crf": "1"})
    turn(tmp_path / "a.mp4", degrees, mirror)
    with open_source(tmp_path / "a.mp4") as source:
        frame = next(iter(source.frames()))
        size, warnings = (source.clip.width, source.clip.height), source.warnings
    wanted = np.rot90(frame_pixels(0, 96, 64), -degrees // 90)[:, :: -1 if mirror else 1]
    assert size == (wanted.shape[1], wanted.shape[0])
    assert np.abs(frame.pixels.astype(float) - wanted).mean() < 0.5
    assert warnings == []


def test_what_is_shown_askew_comes_at_the_nearest_quarter_and_is_told(tmp_path: Path) -> None:
    make_clip(tmp_path / "a.mp4", 3, codec="libx264", layout="yuv444p", options={"crf": "1"})
    turn(tmp_path / "a.mp4", 60)
    with open_source(tmp_path / "a.mp4") as source:
        frame = next(iter(source.frames()))
        assert "askew" in source.warnings[0]
    assert frame.pixels.shape == (96, 64, 3)
    assert np.abs(frame.pixels.astype(float) - np.rot90(frame_pixels(0, 96, 64), -1)).mean() < 0.5


def test_a_size_keeps_the_shape_and_odd_ones_are_fine(tmp_path: Path) -> None:
    make_clip(tmp_path / "a.mkv", 2, 97, 65)
    with open_source(tmp_path / "a.mkv", Video(size="x33")) as source:
        assert (source.clip.width, source.clip.height) == (49, 33)
        assert next(iter(source.frames())).pixels.shape == (33, 49, 3)
    with open_source(tmp_path / "a.mkv") as source:
        assert np.array_equal(next(iter(source.frames())).pixels, frame_pixels(0, 97, 65))


def test_a_folder_of_pictures_is_a_clip_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in (0, 1, 2, 10):
        data = encode_image(frame_pixels(number, 96, 64), None, "png")
        (tmp_path / f"shot{number}.png").write_bytes(data)
    with gossamer.video.open_source(tmp_path, Video(fps=10)) as source:
        frames = list(source.frames())
    assert [frame.time for frame in frames] == [0, Fraction(1, 10), Fraction(2, 10), Fraction(3, 10)]
    assert np.array_equal(frames[3].pixels, frame_pixels(10, 96, 64))


def test_our_openexr_folders_go_in_again_as_they_were(tmp_path: Path) -> None:
    """Straight and linear as they are, they come out of a second cut as out of the first."""
    make_clip(tmp_path / "in.mkv", 3, 97, 65)
    cut_video(tmp_path / "in.mkv", tmp_path / "exr", Video(format="exr"), KEY, "none")
    with open_source(tmp_path / "exr") as source:
        frames = list(source.frames())
        assert (source.clip.depth, source.clip.has_alpha) == (16, True)
        assert len(source.warnings) == 1  # of all the pictures
        assert "brought to the curve of sRGB" in source.warnings[0]
    cut_video(tmp_path / "in.mkv", tmp_path / "film.mkv", Video(), KEY, "none")
    with open_source(tmp_path / "film.mkv") as source:
        films = list(source.frames())
    for frame, film in zip(frames, films, strict=True):
        assert frame.alpha is not None
        assert film.alpha is not None
        assert np.abs(frame.alpha / 65535 - film.alpha / 255).max() <= 0.5001 / 255
        assert np.abs(frame.rgb - film.rgb)[film.alpha > 0].max() <= 0.51 / 255
    report = cut_video(tmp_path / "exr", tmp_path / "again", Video(format="exr"), KEY, "none")
    assert report.frames == 3
    opaque = gossamer.Recipe(background={"fill": "#ff0000"}, matting={"method": "key"})
    cut_video(tmp_path / "exr", tmp_path / "red.mkv", Video(), opaque, "none")
    with open_source(tmp_path / "red.mkv") as source:
        shown = next(iter(source.frames())).pixels
    assert np.array_equal(shown[0, 0], (65535, 0, 0))  # what was transparent stays so


def test_pictures_with_a_profile_are_films_in_srgb_and_keep_it_as_pictures(tmp_path: Path) -> None:
    wide, srgb = by_cicp(12, 13, "a test"), by_cicp(1, 13, "a test")
    assert wide is not None
    assert srgb is not None
    profile = icc_profile(wide)
    (tmp_path / "in").mkdir()
    for number, icc in enumerate((profile, profile, None)):
        data = encode_image(frame_pixels(number, 96, 64), None, "png", icc_profile=icc)
        (tmp_path / "in" / f"{number}.png").write_bytes(data)
    to_srgb = np.linalg.inv(srgb.primaries.matrix()) @ wide.primaries.matrix()
    true = 255 * from_linear(np.asarray(to_linear(RED) @ to_srgb.T, np.float32))
    assert np.abs(true - 255 * RED).max() > 15
    for name, first in (("out.mkv", true), ("exr", true), ("png", 255 * RED)):
        settings = Video(format="exr" if name == "exr" else "auto")
        report = cut_video(tmp_path / "in", tmp_path / name, settings, KEY, "none")
        assert any("to sRGB, in 8 bits" in said for said in report.warnings) == (name != "png")
        assert any("another colour profile" in said for said in report.warnings)
        with open_source(tmp_path / name) as source:
            shown = [255 * frame.rgb[32, 29] for frame in source.frames()]
        assert np.abs(shown[0] - first).max() < 3
        if name != "png":
            assert np.abs(shown[2] - 255 * RED).max() < 4  # it was sRGB from the beginning
    assert read_image(tmp_path / "png" / "000002.png").icc_profile == profile


def test_a_digit_that_is_no_number_is_part_of_a_name(tmp_path: Path) -> None:
    for number, name in enumerate(("²", "1", "a2", "a10")):
        (tmp_path / f"{name}.png").write_bytes(encode_image(frame_pixels(number, 96, 64), None, "png"))
    with open_source(tmp_path) as source:
        frames = list(source.frames())
    for frame, number in zip(frames, (1, 2, 3, 0), strict=True):
        assert np.array_equal(frame.pixels, frame_pixels(number, 96, 64))


def test_another_rate_shows_what_is_shown_at_each_moment() -> None:
    pixels = np.zeros((1, 1, 3), np.uint8)
    given = [Frame(n, Fraction(t, 100), pixels + n) for n, t in enumerate((0, 10, 40))]
    found = list(at_rate(iter(given), Fraction(20), Fraction(10, 100)))
    assert [frame.time for frame in found] == [Fraction(n, 20) for n in range(10)]
    assert [int(frame.pixels[0, 0, 0]) for frame in found] == [0, 0, 1, 1, 1, 1, 1, 1, 2, 2]


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4"])
def test_frames_that_end_before_the_file_says_are_told(tmp_path: Path, name: str) -> None:
    """A recording that was cut off and can be read all the same; not one whose last picture is shown for long."""
    import av

    make_clip(tmp_path / "made.mp4", 40, codec="libx264", layout="yuv420p", options={"g": "5"})
    with av.open(str(tmp_path / "made.mp4")) as given:
        with av.open(str(tmp_path / name), "w", options={"movflags": "faststart"} if name == "a.mp4" else {}) as out:
            stream = out.add_stream_from_template(given.streams.video[0])
            for packet in given.demux(video=0):
                if packet.dts is not None:
                    packet.stream = stream
                    out.mux(packet)
    data = (tmp_path / name).read_bytes()
    (tmp_path / f"cut-{name}").write_bytes(data[: len(data) * 9 // 10])
    for whole, path in ((True, tmp_path / name), (False, tmp_path / f"cut-{name}")):
        with open_source(path) as source:
            frames = list(source.frames())
            assert (len(frames) == 40) == whole
            assert [("may be cut off" in said) for said in source.warnings] == ([] if whole else [True])
            list(source.frames(end=Fraction(1, 2)))
            assert len(source.warnings) == (not whole)
    make_clip(tmp_path / "long.mp4", times=[Fraction(n, 10) for n in range(6)], codec="libx264", layout="yuv420p")
    with open_source(tmp_path / "long.mp4") as source:
        list(source.frames())
        assert not source.warnings


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("s1", "s2", "s4", "s7"), "lacks 3 of its pictures, the first after number 2"),
        (("s1", "s2", "t1"), "several names, such as s1.png and t1.png"),
        (("s1_v2", "s2_v2", "s3_v2"), ""),
        (("s0", "s2", "s4"), ""),
        (("1x1", "1x2", "2x1"), ""),
        (("only",), ""),
    ],
)
def test_a_row_of_pictures_that_is_none_is_told(tmp_path: Path, names: tuple[str, ...], said: str) -> None:
    for name in names:
        (tmp_path / f"{name}.png").write_bytes(encode_image(frame_pixels(0, 96, 64), None, "png"))
    with open_source(tmp_path) as source:
        assert len(list(source.frames())) == len(names)
        assert [said in one for one in source.warnings] == [True] * bool(said)


def test_a_clip_whose_times_begin_late_is_not_taken_for_cut_off(tmp_path: Path) -> None:
    """Matroska tells when it ends, by the file's own times, and not how long it is shown."""
    make_clip(tmp_path / "in.mkv", times=[3 + Fraction(n, 25) for n in range(12)])
    with open_source(tmp_path / "in.mkv") as source:
        assert [frame.time for frame in source.frames()] == [Fraction(n, 25) for n in range(12)]
        assert source.warnings == []
        assert source.clip.seconds == pytest.approx(12 / 25, abs=0.01)


def test_a_broadcast_with_a_hole_says_so(tmp_path: Path) -> None:
    """Its pictures are decoded with what is missing made up, and no length tells that some are lost."""
    make_clip(tmp_path / "in.ts", 60, codec="libx264", layout="yuv420p", time_base=Fraction(1, 90000))
    data = (tmp_path / "in.ts").read_bytes()
    packets = [data[start : start + 188] for start in range(0, len(data), 188)]
    middle = len(packets) // 2
    (tmp_path / "hole.ts").write_bytes(b"".join(packets[: middle - 4] + packets[middle + 4 :]))
    for name, said in (("in.ts", []), ("hole.ts", ["hole.ts is damaged in "])):
        with open_source(tmp_path / name) as source:
            assert list(source.frames())
            assert [warning[: len(one)] for warning, one in zip(source.warnings, said, strict=True)] == said


def test_what_is_left_out_of_a_clip_is_told(tmp_path: Path) -> None:
    import av

    make_clip(tmp_path / "one.mkv", 3)
    (tmp_path / "said.srt").write_text("1\n00:00:00,000 --> 00:00:00,100\nhello\n\n")
    names = ("one.mkv", "one.mkv", "said.srt")
    with ExitStack() as opened, av.open(str(tmp_path / "both.mkv"), "w") as out:
        given = [opened.enter_context(av.open(str(tmp_path / name))) for name in names]
        streams = [out.add_stream_from_template(one.streams[0]) for one in given]
        for one, stream in zip(given, streams, strict=True):
            for packet in one.demux():
                if packet.dts is not None:
                    packet.stream = stream
                    out.mux(packet)
    with open_source(tmp_path / "both.mkv") as source:
        assert source.warnings == [
            "both.mkv holds 2 videos: the first one is taken.",
            "both.mkv has subtitles, which are left out.",
        ]
        assert len(list(source.frames())) == 3


def test_what_is_no_clip_is_told_in_a_sentence(tmp_path: Path) -> None:
    make_clip(tmp_path / "whole.mp4", 8, codec="libx264", layout="yuv420p", sound="aac")
    cut = tmp_path / "cut.mp4"
    cut.write_bytes((tmp_path / "whole.mp4").read_bytes()[:-900])
    text = tmp_path / "text.mp4"
    text.write_text("not a film")
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "nothing").mkdir()
    make_clip(tmp_path / "whole.mkv", 2)
    start = tmp_path / "start.mkv"
    start.write_bytes((tmp_path / "whole.mkv").read_bytes()[:300])
    for path, message in (
        (start, "damaged, cut off, or no video"),
        (cut, "damaged"),
        (text, "damaged, cut off, or no video"),
        (tmp_path / "empty.mp4", "damaged, cut off, or no video"),
        (tmp_path / "gone.mp4", "does not exist"),
        (tmp_path / "nothing", "holds no pictures"),
    ):
        with pytest.raises(InputError, match=message), open_source(path):
            pass


def test_a_file_of_sound_alone_is_no_video(tmp_path: Path) -> None:
    import av

    with av.open(str(tmp_path / "a.mka"), "w") as out:
        voice = out.add_stream("flac", rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4608), np.int16), format="s16", layout="mono")
        frame.rate, frame.pts = 48000, 0
        for packet in [*voice.encode(frame), *voice.encode()]:
            out.mux(packet)
    with pytest.raises(InputError, match="holds no video"), open_source(tmp_path / "a.mka"):
        pass


def test_a_clip_that_breaks_off_gives_what_it_has_and_says_so(tmp_path: Path) -> None:
    make_clip(tmp_path / "whole.mkv", 20)
    data = (tmp_path / "whole.mkv").read_bytes()
    (tmp_path / "cut.mkv").write_bytes(data[: len(data) * 2 // 3])
    with open_source(tmp_path / "cut.mkv") as source:
        frames = list(source.frames())
    assert 8 < len(frames) < 20
    assert all(np.array_equal(frame.pixels, frame_pixels(frame.number, 96, 64)) for frame in frames[:-1])


def test_a_clip_is_named_as_people_write_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_clip(tmp_path / "a.mkv", 2)
    monkeypatch.chdir(tmp_path)
    for name in ("a.mkv", str(tmp_path / "a.mkv"), (tmp_path / "a.mkv").as_uri()):
        with open_source(name) as source:
            assert len(list(source.frames())) == 2
    for nothing in ("", "https://example.org/a.mkv", None):
        with pytest.raises(InputError):
            open_source(nothing)  # type: ignore[arg-type]


def packed(path: Path, codec: str, pictures: list[bytes], size: tuple[int, int]) -> None:
    """Write a film whose frames are picture files, bytes and all, as some cameras and programs do."""
    with av.open(str(path), "w") as film:
        stream = film.add_stream(codec, rate=10)
        stream.width, stream.height = size
        stream.pix_fmt = "rgb24" if codec == "png" else "yuvj444p"
        for number, data in enumerate(pictures):
            packet = av.Packet(data)
            packet.stream, packet.pts, packet.dts = stream, number, number
            packet.time_base, packet.is_keyframe = Fraction(1, 10), True
            film.mux(packet)


def as_bytes(pixels: np.ndarray, format: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    PIL.Image.fromarray(pixels).save(stream, format, **options)
    return stream.getvalue()


def test_films_of_png_with_colour_profiles_do_not_end_the_process(tmp_path: Path) -> None:
    """PyAV frees such a profile's name twice once a frame's side data were looked at: the process died."""
    profile = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()
    frames = [as_bytes(frame_pixels(number, 96, 64), "PNG", icc_profile=profile) for number in range(3)]
    packed(tmp_path / "a.mov", "png", frames, (96, 64))
    look = (
        "import gc, sys; from gossamer.video import open_source\n"
        "with open_source(sys.argv[1]) as source: print(len(list(source.frames())))\n"
        "del source; gc.collect()"
    )
    done = subprocess.run([sys.executable, "-c", look, tmp_path / "a.mov"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "3\n"), done.stderr
    turn(tmp_path / "a.mov", 90)
    with open_source(tmp_path / "a.mov") as source:
        assert np.array_equal(next(source.frames()).pixels, np.rot90(frame_pixels(0, 96, 64), -1))


def test_frames_with_exif_are_no_fault(tmp_path: Path) -> None:
    """PyAV has no name for that kind of side data: films of some cameras ended in a traceback."""
    exif = PIL.Image.Exif()
    exif[0x010F] = "a camera"
    frames = [as_bytes(frame_pixels(n, 96, 64), "JPEG", exif=exif, quality=100, subsampling=0) for n in range(3)]
    packed(tmp_path / "a.mov", "mjpeg", frames, (96, 64))
    with open_source(tmp_path / "a.mov") as source:
        assert max(off(frame, frame.number) for frame in source.frames()) < 2


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg", ".webp"])
def test_a_single_picture_is_a_clip_of_one_frame_as_pictures_are_read(tmp_path: Path, suffix: str) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    profile = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()
    turned = np.ascontiguousarray(np.rot90(frame_pixels(0, 96, 64)))
    path = tmp_path / f"a{suffix}"
    PIL.Image.fromarray(turned).save(path, exif=exif, icc_profile=profile, lossless=True, quality=95, subsampling=0)
    with open_source(path) as source:
        (frame,) = source.frames()
        assert (source.clip.width, source.clip.height) == (96, 64)
        assert source.clip.icc_profile == profile
    assert off(frame, 0) < (3 if suffix == ".jpg" else 0.01)
