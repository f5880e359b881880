from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import gossamer
from gossamer.errors import Cancelled, InputError, OutputError, OutputExists
from gossamer.settings.video import Video
from gossamer.video import cut_video, open_source
from gossamer.video.clip import Frame
from tests.video.clips import GREEN, RED, disc, make_clip, sound_packets

KEY = gossamer.Recipe.of({"matting": {"method": "key"}})


def keyed(source: Path, out: Path, **options: object) -> gossamer.video.VideoReport:
    recipe = options.pop("recipe", KEY)
    return cut_video(source, out, None, recipe, "none", **options)


def frames_of(path: Path) -> list[Frame]:
    with open_source(path) as source:
        return list(source.frames())


def alpha_of(frame: Frame) -> np.ndarray:
    assert frame.alpha is not None
    return frame.alpha / (255 if frame.alpha.dtype == np.uint8 else 65535)


def same(first: list[Frame], second: list[Frame]) -> bool:
    return len(first) == len(second) and all(
        a.time == b.time and np.array_equal(a.pixels, b.pixels) and np.array_equal(a.alpha, b.alpha)
        for a, b in zip(first, second, strict=True)
    )


def test_a_green_screen_clip_becomes_prores_with_the_true_alpha_colours_times_and_sound(tmp_path: Path) -> None:
    times = [Fraction(n, 1000) for n in (0, 40, 73, 140, 190, 230)]
    make_clip(tmp_path / "in.mkv", times=times, sound="aac")
    report = keyed(tmp_path / "in.mkv", tmp_path / "out.mov")
    frames = frames_of(tmp_path / "out.mov")
    assert (report.frames, report.width, report.height, report.format) == (6, 96, 64, "prores4444")
    assert [frame.time for frame in frames] == times
    for frame in frames:
        truth = disc(frame.number, 96, 64)
        assert np.abs(alpha_of(frame) - truth).mean() < 0.012
        assert np.abs(frame.rgb - RED)[truth > 0.3].mean() < 0.03
    given, kept = sound_packets(tmp_path / "in.mkv"), sound_packets(tmp_path / "out.mov")
    assert [data for _, data in kept] == [data for time, data in given if time < Fraction(270, 1000)]
    assert all(abs(a - b) < Fraction(1, 500) for (a, _), (b, _) in zip(given, kept, strict=False))
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["in.mkv", "out.mov"]


@pytest.mark.long
def test_in_and_out_points_move_pictures_and_sound_alike(tmp_path: Path) -> None:
    make_clip(tmp_path / "in.mkv", 30, sound="pcm_s16le")
    keyed(tmp_path / "in.mkv", tmp_path / "out.mkv", start="0.4", end="0:00:01")
    frames = frames_of(tmp_path / "out.mkv")
    assert [frame.time for frame in frames] == [Fraction(n, 25) for n in range(15)]
    assert np.abs(alpha_of(frames[0]) - disc(10, 96, 64)).mean() < 0.012
    sounds = sound_packets(tmp_path / "out.mkv")
    assert 0 <= sounds[0][0] < Fraction(1, 40)
    assert Fraction(55, 100) < sounds[-1][0] < Fraction(6, 10)
    wanted = dict(sound_packets(tmp_path / "in.mkv"))
    assert all(wanted[time + Fraction(4, 10)] == data for time, data in sounds)


def test_mp3_is_copied(tmp_path: Path) -> None:
    """FFmpeg's decoder of it is called mp3float, which no list of codecs names: it was encoded anew."""
    make_clip(tmp_path / "in.mkv", 8, sound="libmp3lame")
    report = keyed(tmp_path / "in.mkv", tmp_path / "out.mov")
    assert report.warnings == ()
    given, kept = sound_packets(tmp_path / "in.mkv"), sound_packets(tmp_path / "out.mov")
    assert kept
    assert [data for _, data in kept] == [data for _, data in given[: len(kept)]]


def test_what_holds_nearly_any_sound_has_the_others_encoded_anew(tmp_path: Path) -> None:
    """Matroska takes no A-law: that was told after the last frame, as a ValueError."""
    make_clip(tmp_path / "in.mov", 8, codec="png", layout="rgb24", sound="pcm_alaw", rate=8000)
    report = keyed(tmp_path / "in.mov", tmp_path / "out.mkv")
    assert report.warnings == ("The sound was encoded anew, from pcm_alaw to flac: this file does not hold pcm_alaw.",)
    assert sound_packets(tmp_path / "out.mkv")


@pytest.mark.long
def test_sound_that_the_file_cannot_hold_is_encoded_anew_and_told(tmp_path: Path) -> None:
    import av

    make_clip(tmp_path / "in.mkv", 30, sound="aac")
    report = keyed(tmp_path / "in.mkv", tmp_path / "out.webm")
    assert any("encoded anew, from aac to libopus" in warning for warning in report.warnings)
    with av.open(str(tmp_path / "out.webm")) as clip:
        sound = np.concatenate([frame.to_ndarray()[0] for frame in clip.decode(audio=0)])
    assert 1.15 < len(sound) / 48000 < 1.3
    # The tone of the clip: its strongest frequency.
    spectrum = np.abs(np.fft.rfft(sound[4800:52800]))
    assert abs(spectrum.argmax() - 0.05 * 48000 / (2 * np.pi)) < 2
    assert np.abs(alpha_of(frames_of(tmp_path / "out.webm")[5]) - disc(5, 96, 64)).mean() < 0.012


@pytest.mark.parametrize(
    ("codec", "layout", "rate", "name", "kept"),
    [
        ("pcm_s16le", "stereo", 44100, "out.mp4", ("aac", "stereo", 44100)),  # the file tells how many channels alone
        ("pcm_s24le", "mono", 192000, "out.mp4", ("aac", "mono", 48000)),
        ("ac3", "5.1(side)", 48000, "out.webm", ("opus", "5.1", 48000)),
    ],
)
def test_an_encoder_gets_channels_and_a_rate_that_it_takes(
    tmp_path: Path, codec: str, layout: str, rate: int, name: str, kept: tuple[str, str, int]
) -> None:
    import av

    make_clip(tmp_path / "in.mkv", 10, sound=codec, channels=layout, rate=rate)
    report = keyed(tmp_path / "in.mkv", tmp_path / name, show="side_by_side")
    assert any("encoded anew" in warning for warning in report.warnings)
    with av.open(str(tmp_path / name)) as clip:
        track = clip.streams.audio[0].codec_context
        assert (track.name, track.layout.name, track.sample_rate) == kept
        sound = np.concatenate([frame.to_ndarray()[0] for frame in clip.decode(audio=0)])
    spectrum = np.abs(np.fft.rfft(sound[: kept[2] // 4]))  # the tone of the clip: its strongest frequency
    assert abs(spectrum.argmax() * 4 - 0.05 * rate / (2 * np.pi)) < 8


@pytest.mark.parametrize("start", ["0.41", ""])
def test_sound_that_is_encoded_begins_where_it_did(tmp_path: Path, start: str) -> None:
    """At an in point within a frame of sound, and where sound begins after the pictures."""
    import av

    make_clip(tmp_path / "in.mkv", 30, sound="flac", silent=Fraction(3, 10))
    keyed(tmp_path / "in.mkv", tmp_path / "out.mp4", show="side_by_side", start=start)
    begin = Fraction(3, 10) if not start else 0
    with av.open(str(tmp_path / "out.mp4")) as clip:
        heard = next(frame for frame in clip.decode(audio=0) if np.abs(frame.to_ndarray()).max() > 0.1)
    assert abs(heard.pts * heard.time_base - begin) < Fraction(1, 20)


def test_a_disk_that_fills_up_beside_sound_is_no_fault_of_the_clip(tmp_path: Path) -> None:
    from gossamer.progress import Progress
    from gossamer.video.formats import VIDEO_FORMATS
    from gossamer.video.joining import Voice, join
    from gossamer.video.segment import FilmPlan

    clip = tmp_path / "in.mkv"
    times = make_clip(clip, 30, sound="flac")
    with open_source(clip) as source:
        plan = FilmPlan.of(source.clip, VIDEO_FORMATS["ffv1"], 16, None, "cutout", True)
    voice = Voice(clip, Fraction(0), False)
    with pytest.raises(OutputError, match=r"out\.mkv could not be written: the disk is full"):
        join([clip], times, plan, voice, Path("/dev/full"), Path("out.mkv"), Progress.of(None))


def test_what_does_not_hold_the_shape_of_pixels_is_told(tmp_path: Path) -> None:
    wide = Fraction(4, 3)
    make_clip(tmp_path / "in.mp4", 3, codec="libx264", layout="yuv444p", aspect=wide)
    for name, kept in (("out.mov", wide), ("out.mkv", None), ("out.webm", None), ("out.gif", None), ("out", None)):
        report = keyed(tmp_path / "in.mp4", tmp_path / name)
        told = [warning for warning in report.warnings if "give --size 128x64" in warning]
        assert len(told) == (kept is None), name
        if kept:
            with open_source(tmp_path / name) as source:
                assert source.clip.aspect == kept
    assert keyed(tmp_path / "in.mp4", tmp_path / "square.mkv", size="128x64").warnings == ()


def test_what_is_behind_shows_where_nothing_is_in_front(tmp_path: Path) -> None:
    make_clip(tmp_path / "in.mkv", 4)
    blue = KEY.of({**KEY.model_dump(exclude_unset=True), "background": {"fill": "#0000ff"}})
    keyed(tmp_path / "in.mkv", tmp_path / "out.mp4", recipe=blue)
    for frame in frames_of(tmp_path / "out.mp4"):
        truth = disc(frame.number, 96, 64)[..., None]
        wanted = truth * RED + (1 - truth) * np.array([0, 0, 1], np.float32)
        assert np.abs(frame.rgb - wanted).mean() < 0.02


def test_another_clip_behind_begins_anew_when_it_is_over(tmp_path: Path) -> None:
    import av

    make_clip(tmp_path / "in.mkv", 6)
    with av.open(str(tmp_path / "behind.mkv"), "w") as out:
        stream = out.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "bgr0"
        for number, value in enumerate((0, 100, 200)):
            frame = av.VideoFrame.from_ndarray(np.full((64, 96, 3), value, np.uint8), format="rgb24")
            frame.pts = number
            for packet in stream.encode(frame):
                out.mux(packet)
        for packet in stream.encode():
            out.mux(packet)
    behind = {**KEY.model_dump(exclude_unset=True), "background": {"fill": str(tmp_path / "behind.mkv")}}
    keyed(tmp_path / "in.mkv", tmp_path / "out.mkv", recipe=gossamer.Recipe.of(behind))
    frames = frames_of(tmp_path / "out.mkv")
    assert frames[0].alpha is None
    assert [int(frame.pixels[2, 90, 0]) for frame in frames] == [0, 100, 200, 0, 100, 200]


def test_side_by_side_has_colours_and_matte(tmp_path: Path) -> None:
    make_clip(tmp_path / "in.mkv", 2)
    keyed(tmp_path / "in.mkv", tmp_path / "out.mkv", show="side_by_side")
    frame = frames_of(tmp_path / "out.mkv")[1]
    assert frame.pixels.shape == (64, 192, 3)
    assert np.abs(frame.rgb[:, 96:] - disc(1, 96, 64)[..., None]).mean() < 0.012
    assert np.abs(frame.rgb[:, :96] - RED)[disc(1, 96, 64) > 0.3].mean() < 0.03


def test_another_rate_and_size_are_those_of_the_result(tmp_path: Path) -> None:
    make_clip(tmp_path / "in.mkv", 25)
    report = keyed(tmp_path / "in.mkv", tmp_path / "out.mov", fps=10.0, size="48x")
    frames = frames_of(tmp_path / "out.mov")
    assert [frame.time for frame in frames] == [Fraction(n, 10) for n in range(10)]
    assert (report.width, report.height) == (48, 32)


def test_pictures_in_and_pictures_out(tmp_path: Path) -> None:
    make_clip(tmp_path / "in.mkv", 5)
    keyed(tmp_path / "in.mkv", tmp_path / "frames")
    names = [path.name for path in sorted((tmp_path / "frames").iterdir())]
    assert names == [f"00000{n}.png" for n in range(5)]
    keyed(tmp_path / "frames", tmp_path / "again.mkv", recipe=gossamer.Recipe.of({"matting": {"method": "key"}}))
    with pytest.raises(OutputError, match="not empty"):
        keyed(tmp_path / "in.mkv", tmp_path / "frames", force=True)
    assert len(frames_of(tmp_path / "again.mkv")) == 5


@pytest.mark.long
def test_it_can_be_cancelled_and_goes_on_to_the_very_same_result(tmp_path: Path) -> None:
    make_clip(tmp_path / "in.mkv", 120)
    settings = Video(hold="flow")
    whole = cut_video(tmp_path / "in.mkv", tmp_path / "whole.mov", settings, KEY, "none")

    def stop(fraction: float, message: str) -> None:
        if message.startswith("Frame 70 "):
            raise Cancelled

    with pytest.raises(Cancelled):
        cut_video(tmp_path / "in.mkv", tmp_path / "out.mov", settings, KEY, "none", progress=stop)
    assert not (tmp_path / "out.mov").exists()
    pieces = sorted((tmp_path / "out.mov.parts").glob("*.mov"))
    assert len(frames_of(pieces[0])) == 48  # what is finished can be played
    with pytest.raises(OutputExists, match="begun and not finished"):
        cut_video(tmp_path / "in.mkv", tmp_path / "out.mov", settings, KEY, "none")
    with pytest.raises(InputError, match=r"begun otherwise \(settings\)"):
        cut_video(tmp_path / "in.mkv", tmp_path / "out.mov", Video(hold="none"), KEY, "none", resume=True)
    report = cut_video(tmp_path / "in.mkv", tmp_path / "out.mov", settings, KEY, "none", resume=True)
    assert (whole.resumed, report.resumed, report.frames) == (0, 48, 120)
    assert same(frames_of(tmp_path / "whole.mov"), frames_of(tmp_path / "out.mov"))
    assert not (tmp_path / "out.mov.parts").exists()


@pytest.mark.long
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_killed_run_goes_on_at_the_last_whole_segment(tmp_path: Path) -> None:
    make_clip(tmp_path / "in.mkv", 200)
    command = [sys.executable, "-m", "gossamer", "video", "in.mkv", "out.webm", "--model", "none", "--matting", "key"]
    killed = subprocess.Popen([*command, "--quiet"], cwd=tmp_path)
    deadline = time.monotonic() + 120
    while not (tmp_path / "out.webm.parts" / "segment-00000.json").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    assert not (tmp_path / "out.webm").exists()
    subprocess.run([*command, "--resume", "--quiet"], cwd=tmp_path, check=True)
    command[5] = "whole.webm"
    subprocess.run([*command, "--quiet"], cwd=tmp_path, check=True)
    assert same(frames_of(tmp_path / "whole.webm"), frames_of(tmp_path / "out.webm"))


def test_what_is_there_stays_unless_it_is_to_be_replaced(tmp_path: Path) -> None:
    make_clip(tmp_path / "in.mkv", 3)
    (tmp_path / "out.mov").write_text("mine")
    with pytest.raises(OutputExists):
        keyed(tmp_path / "in.mkv", tmp_path / "out.mov")
    assert (tmp_path / "out.mov").read_text() == "mine"
    keyed(tmp_path / "in.mkv", tmp_path / "out.mov", force=True)
    assert len(frames_of(tmp_path / "out.mov")) == 3
    (tmp_path / "other.mov.parts").mkdir()
    with pytest.raises(OutputExists, match="holds no work of this command"):
        keyed(tmp_path / "in.mkv", tmp_path / "other.mov", force=True)


def test_nothing_between_the_points_is_told(tmp_path: Path) -> None:
    make_clip(tmp_path / "in.mkv", 3)
    with pytest.raises(InputError, match="no frame between"):
        keyed(tmp_path / "in.mkv", tmp_path / "out.mov", start="10")
    with pytest.raises(InputError, match="end has to come after the start"):
        Video(start="2", end="1")
    with pytest.raises(InputError, match="settings of a clip do not go together") as told:
        keyed(tmp_path / "in.mkv", tmp_path / "out.mov", end="0")
    assert "{" not in str(told.value)
    assert [path.name for path in tmp_path.iterdir()] == ["in.mkv"]


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit for files")
def test_a_full_disk_is_told_and_what_is_finished_stays_playable(tmp_path: Path) -> None:
    make_clip(tmp_path / "in.mkv", 150)
    script = (
        "import resource, sys; from gossamer.cli import main;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000));"
        "sys.exit(main(['video', 'in.mkv', 'out.mov', '--model', 'none', '--matting', 'key', '--quiet']))"
    )
    ended = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 3, ended.stderr
    assert "could not be written" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "out.mov").exists()
    report = keyed(tmp_path / "in.mkv", tmp_path / "out.mov", resume=True)
    assert report.frames == 150


def test_green_is_gone_from_the_edge(tmp_path: Path) -> None:
    """Over black nothing of the screen's light is left."""
    make_clip(tmp_path / "in.mkv", 3)
    keyed(tmp_path / "in.mkv", tmp_path / "out.mkv")
    frame = frames_of(tmp_path / "out.mkv")[0]
    over_black = frame.rgb * alpha_of(frame)[..., None]
    assert (over_black[..., 1] - over_black[..., 0]).max() < 0.1 * float(GREEN[1])


def test_what_ends_before_anything_is_finished_leaves_nothing(tmp_path: Path) -> None:
    make_clip(tmp_path / "in.mkv", 60)
    seen: list[float] = []

    def stop(fraction: float, message: str) -> None:
        if message.startswith("Frame 5 "):
            seen.append(time.monotonic())
            raise Cancelled

    with pytest.raises(Cancelled):
        keyed(tmp_path / "in.mkv", tmp_path / "out.mov", progress=stop)
    assert len(seen) == 1
    with pytest.raises(InputError, match="holds too little"):
        keyed(tmp_path / "in.mkv", tmp_path / "out.mov", roi="0,0,5,5")
    assert [path.name for path in tmp_path.iterdir()] == ["in.mkv"]


def test_two_runs_do_not_share_their_parts(tmp_path: Path) -> None:
    """With force the second took the first one's segments away while they were made."""
    make_clip(tmp_path / "in.mkv", 4)
    out = tmp_path / "out.mkv"
    refused: list[str] = []

    def meanwhile(fraction: float, message: str) -> None:
        if not refused and (tmp_path / "out.mkv.parts").exists():
            for options in ({"force": True}, {"resume": True}, {}):
                with pytest.raises(OutputError, match="Another process is at work") as told:
                    keyed(tmp_path / "in.mkv", out, **options)
                refused.append(told.value.remedy)

    report = keyed(tmp_path / "in.mkv", out, progress=meanwhile)
    assert (len(refused), report.frames, len(frames_of(out))) == (3, 4, 4)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mkv", "out.mkv"]
    assert keyed(tmp_path / "in.mkv", out, force=True).frames == 4


@pytest.mark.parametrize("name", ["out.mov", "out.webm", "out.gif", "out"])
def test_what_ends_while_it_is_joined_goes_on_with_the_joining(tmp_path: Path, name: str) -> None:
    """The last segment said that the first picture comes next: all were made once more, behind themselves."""
    times = [Fraction(n, 20) for n in range(50)]
    make_clip(tmp_path / "in.mkv", width=32, height=32, times=times)

    def stop(fraction: float, message: str) -> None:
        if message == "Joining":
            raise Cancelled

    with pytest.raises(Cancelled):
        keyed(tmp_path / "in.mkv", tmp_path / name, progress=stop)
    assert not (tmp_path / name).exists()
    assert (report := keyed(tmp_path / "in.mkv", tmp_path / name, resume=True)).resumed == report.frames == 50
    found = frames_of(tmp_path / name)
    assert len(found) == 50
    assert np.abs(alpha_of(found[49]) - disc(49, 32, 32)).mean() < 0.02
    if name != "out":  # pictures have no times
        assert [frame.time for frame in found] == times
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mkv", name]


@pytest.mark.parametrize("name", ["out.mov", "out"])
def test_what_somebody_else_puts_there_meanwhile_stays(tmp_path: Path, name: str) -> None:
    make_clip(tmp_path / "in.mkv", 4, 32, 32)
    out = tmp_path / name
    theirs = out / "theirs" if name == "out" else out

    def meanwhile(fraction: float, message: str) -> None:
        if message == "Joining":
            theirs.parent.mkdir(exist_ok=True)
            theirs.write_text("theirs")

    with pytest.raises(OutputError, match="exists already" if name == "out.mov" else "no empty folder any more"):
        keyed(tmp_path / "in.mkv", out, progress=meanwhile)
    assert theirs.read_text() == "theirs"
    theirs.unlink()
    assert keyed(tmp_path / "in.mkv", out, resume=True).resumed == len(frames_of(out)) == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mkv", name]


_EVERY_STEP = """
import os, signal, sys
from pathlib import Path

import gossamer
from gossamer.video import cut_video

CHANGES = ("os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.link", "shutil.rmtree")
FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT
RECIPE = gossamer.Recipe.of({"matting": {"method": "key"}})
folder, name = Path(sys.argv[1]), sys.argv[2]


def cut(resume):
    cut_video(folder / "in.mkv", folder / name, None, RECIPE, "none", force=name == "old.mov", resume=resume)


def forked(work):
    if (child := os.fork()) == 0:
        try:
            work()
            os._exit(0)
        except BaseException as error:
            print(error, file=sys.stderr, flush=True)
            os._exit(3)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed_at(step):
    count = 0

    def hook(event, args):
        nonlocal count
        changes = event in CHANGES or (event == "open" and isinstance(args[2], int) and args[2] & FLAGS)
        if changes and any(str(folder) in os.fsdecode(one) for one in args[:2] if isinstance(one, str | Path)):
            count += 1
            if count == step:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    cut(False)


def held():
    path = folder / name
    if path.is_dir():
        return {one.name: one.read_bytes() for one in path.iterdir()}
    return path.read_bytes() if path.exists() else None


forked(lambda: cut(False))
whole, step = held(), 0
assert whole
while True:
    step += 1
    (folder / name).rename(folder / "before")
    if name == "old.mov":
        (folder / name).write_bytes(b"mine")
    left = held()
    if forked(lambda: killed_at(step)) == 0:
        break
    assert held() in (left, whole), f"half a result at step {step}"
    parts = folder / f"{name}.parts"
    assert held() == whole or not parts.exists() or (parts / "job.json").exists(), f"a folder of nobody at step {step}"
    if parts.exists() or held() != whole:
        assert forked(lambda: cut(True)) == 0, f"not resumed at step {step}"
    assert held() == whole, f"another result at step {step}"
    rest = {one.name for one in folder.iterdir()} - {"in.mkv", "before", name}
    assert all(one.startswith(".gossamer-") for one in rest), f"{rest} left at step {step}"
    before = folder / "before"
    [one.unlink() for one in before.iterdir()] + [before.rmdir()] if before.is_dir() else before.unlink()
print(step)
"""


@pytest.mark.long
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("name", ["out.mov", "old.mov", "out"])
def test_a_kill_at_any_step_in_the_file_system_loses_nothing(tmp_path: Path, name: str) -> None:
    """Whatever is there then, --resume makes the very same result of it, and nothing else stays."""
    make_clip(tmp_path / "in.mkv", 4, 32, 32)
    ended = subprocess.run(
        [sys.executable, "-c", _EVERY_STEP, str(tmp_path), name], capture_output=True, text=True, timeout=240
    )
    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout) > 20
