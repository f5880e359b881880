"""A camera's loop: what comes out is composited right, what nobody has time for is left out, the rate is kept."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from skimage import data

import gossamer
from gossamer.cli import main
from gossamer.errors import InputError
from gossamer.networks.recurrence import Recurrence
from gossamer.progress import Progress
from gossamer.settings.video import Live
from gossamer.video import shrunk
from gossamer.video.budget import Budget
from gossamer.video.clip import Clip, Frame
from gossamer.video.feeds import open_feed
from gossamer.video.frames import clip_of_arrays
from gossamer.video.live import LiveReport, Newest, cut_live
from gossamer.video.recurrent import Matted
from gossamer.video.shrunk import enlarged, live_recipe
from tests.video.clips import RED, disc, frame_pixels, make_clip

WIDTH, HEIGHT = 96, 64
BLUE = gossamer.Recipe.of({"background": {"fill": "#0000ff"}, "foreground": {"method": "none"}})
FIFOS = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes with names")


class Redness:
    """A model whose answer is known: what is red is the subject."""

    id, device, remembers = "redness", "cpu", False
    warnings: tuple[str, ...] = ()

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds, self.sizes = seconds, list[tuple[int, int]]()

    def matte(self, frame: Frame, remembered: Recurrence, progress: Progress) -> Matted:
        time.sleep(self.seconds)
        self.sizes.append(frame.pixels.shape[:2])
        red = frame.rgb[..., 0]
        return Matted(np.clip((red - 0.1) / (RED[0] - 0.1), 0, 1).astype(np.float32), remembered)


@pytest.fixture
def redness(monkeypatch: pytest.MonkeyPatch) -> Redness:
    model = Redness()
    monkeypatch.setattr(shrunk, "load_matter", lambda *_: model)
    return model


class Drain:
    """Reads a pipe to its end."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.data = b""
        self._thread = threading.Thread(target=self._read, args=(path,))
        self._thread.start()

    def _read(self, path: Path) -> None:
        self.data = path.read_bytes()

    def whole(self) -> bytes:
        self._thread.join(10)
        return self.data


def through(tmp_path: Path, source: object, settings: Live, recipe: gossamer.Recipe = BLUE) -> tuple[LiveReport, bytes]:
    drain = Drain(tmp_path / "out")
    report = cut_live(str(source), str(tmp_path / "out"), settings, recipe)
    return report, drain.whole()


def expected(number: int) -> np.ndarray:
    """The frame over blue, its edge in the colours that the frame has there."""
    alpha = np.clip((frame_pixels(number, WIDTH, HEIGHT)[..., :1] / 255 - 0.1) / (RED[0] - 0.1), 0, 1)
    return frame_pixels(number, WIDTH, HEIGHT) * alpha + np.array([0, 0, 255]) * (1 - alpha)


@FIFOS
@pytest.mark.parametrize("write", ["auto", "mpegts", "rgb24", "yuv420p"])
def test_a_clip_goes_into_a_pipe_over_a_colour(tmp_path: Path, redness: Redness, write: str) -> None:
    make_clip(tmp_path / "in.mkv", 8)
    report, sent = through(tmp_path, tmp_path / "in.mkv", Live.of(pace="all", write=write))
    assert (report.received, report.shown, report.dropped, report.ended) == (8, 8, 0, "source")
    assert (report.model, report.width, report.height, report.scale) == ("redness", WIDTH, HEIGHT, 1.0)
    if write in ("rgb24", "yuv420p"):
        shape = (-1, HEIGHT, WIDTH, 3) if write == "rgb24" else (-1, HEIGHT * 3 // 2, WIDTH)
        back = list(np.frombuffer(sent, np.uint8).reshape(shape))
        if write == "yuv420p":  # OpenCV takes it as BT.601, as players do at this size
            back = [cv2.cvtColor(one, cv2.COLOR_YUV2RGB_I420) for one in back]
    else:
        (tmp_path / "sent").write_bytes(sent)
        with av.open(str(tmp_path / "sent")) as film:
            frames = list(film.decode(video=0))
        back = [frame.to_ndarray(format="rgb24") for frame in frames]
        times = [frame.time - frames[0].time for frame in frames]
        assert times == pytest.approx([n / 25 for n in range(8)], abs=0.001)
    assert len(back) == 8
    for number, one in enumerate(back):
        assert np.abs(one - expected(number)).mean() < (0.6 if write == "rgb24" else 6)


@FIFOS
@pytest.mark.parametrize("read", ["auto", "rgb24"])
def test_a_pipe_comes_in(tmp_path: Path, redness: Redness, read: str) -> None:
    """Also where it is opened before anybody writes, and ends within a picture."""
    make_clip(tmp_path / "in.mkv", 6)
    os.mkfifo(tmp_path / "in")
    raw = b"".join(frame_pixels(n, WIDTH, HEIGHT).tobytes() for n in range(6)) + b"more"
    content = raw if read == "rgb24" else (tmp_path / "in.mkv").read_bytes()

    def write() -> None:
        time.sleep(0.15)
        (tmp_path / "in").write_bytes(content)

    writer = threading.Thread(target=write)
    writer.start()
    settings = Live.of(pace="all", read=read, write="rgb24", size=f"{WIDTH}x{HEIGHT}")
    report, sent = through(tmp_path, tmp_path / "in", settings)
    writer.join()
    assert report.shown == 6
    back = np.frombuffer(sent, np.uint8).reshape(6, HEIGHT, WIDTH, 3)
    for number, one in enumerate(back):
        assert np.abs(one - expected(number)).mean() < 0.6
    assert any("within a picture" in told for told in report.warnings) is (read == "rgb24")


class Fixed:
    """A feed of numbered pictures that come at once."""

    def __init__(self, count: int) -> None:
        self.clip: Clip = clip_of_arrays(4, 4, Fraction(25))
        self.warnings: list[str] = []
        self.closed = False
        self.count = count

    def frames(self) -> Iterator[Frame]:
        for number in range(self.count):
            yield Frame(number, Fraction(number, 25), np.zeros((4, 4, 3), np.uint8))

    def close(self) -> None:
        self.closed = True


def test_the_newest_frame_wins_and_none_waits() -> None:
    feed = Fixed(50)
    with Newest(lambda left: (feed, False)) as newest:
        newest.clip(Progress())
        newest.begin()
        newest._thread.join(10)  # all came before anybody took one
        taken = newest.take(Progress())
        assert taken is not None
        assert taken.frame.number == 49
        assert newest.take(Progress()) is None
    assert (newest.received, newest.dropped, feed.closed) == (50, 49, True)


def test_every_frame_waits_for_its_turn_where_that_is_wanted() -> None:
    with Newest(lambda left: (Fixed(20), False), every=True) as newest:
        newest.begin()
        numbers = []
        while (taken := newest.take(Progress())) is not None:
            numbers.append(taken.frame.number)
    assert (numbers, newest.dropped) == (list(range(20)), 0)


def test_what_fails_in_reading_is_told_where_frames_are_taken() -> None:
    def broken(left: threading.Event) -> tuple[Fixed, bool]:
        raise gossamer.InputError("Broken.", "Mend it.")

    with Newest(broken) as newest, pytest.raises(gossamer.InputError, match="Broken"):
        newest.clip(Progress())


@FIFOS
def test_a_slow_model_drops_frames_and_keeps_their_times(tmp_path: Path, redness: Redness) -> None:
    redness.seconds = 0.1  # a frame comes every 40 ms; the model is warm by then
    make_clip(tmp_path / "in.mkv", 20)
    report, sent = through(tmp_path, tmp_path / "in.mkv", Live())
    assert redness.sizes[0] == (32, 32)  # what it was warmed with: small, and not shown
    assert len(redness.sizes) == report.shown + 1
    assert report.received == 20
    assert report.shown + report.dropped == 20
    assert report.shown <= 12
    assert report.latency_ms >= 100
    (tmp_path / "sent").write_bytes(sent)
    with av.open(str(tmp_path / "sent")) as film:
        frames = list(film.decode(video=0))
    assert len(frames) == report.shown
    numbers = [round(frame.time * 25) for frame in frames]
    assert numbers[-1] == 19  # the newest is never left out
    for number, frame in zip(numbers, frames, strict=True):
        assert np.abs(frame.to_ndarray(format="rgb24") - expected(number)).mean() < 6


@FIFOS
def test_it_ends_when_its_time_is_over(tmp_path: Path, redness: Redness) -> None:
    make_clip(tmp_path / "in.mkv", 20)
    report, _ = through(tmp_path, tmp_path / "in.mkv", Live.of(pace="all", seconds=0.2))
    assert (report.shown, report.ended) == (5, "seconds")


def test_a_small_matte_follows_the_edges_of_the_whole_picture() -> None:
    """A true matte of hair-thin stripes, seen at half size: what comes back is closer than what is only enlarged."""
    rng = np.random.default_rng(3)
    alpha = cv2.GaussianBlur((rng.random((240, 320)) > 0.5).astype(np.float32), (0, 0), 1.2)
    alpha = np.clip((alpha - 0.5) * 6 + 0.5, 0, 1)
    alpha[:, :100], alpha[:, 220:] = 0, 1
    whole = ((alpha[..., None] * 0.15 + (1 - alpha[..., None]) * 0.8) * 255 + 0.5).astype(np.uint8).repeat(3, 2)
    small = cv2.resize(whole, (160, 120), interpolation=cv2.INTER_AREA)
    matte = cv2.resize(alpha, (160, 120), interpolation=cv2.INTER_AREA)
    plain = np.abs(cv2.resize(matte, (320, 240)) - alpha).mean()
    ours = enlarged(matte, small, whole)
    assert np.abs(ours - alpha).mean() < 0.5 * plain
    assert ours[:, :96].max() == 0
    assert ours[:, 224:].min() == 1
    assert enlarged(alpha, whole, whole) is alpha


@FIFOS
def test_a_small_working_size_gives_the_whole_picture(
    tmp_path: Path, redness: Redness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Budget, "scale", property(lambda self: 0.5))
    make_clip(tmp_path / "in.mkv", 3)
    coloured = replace_foreground(BLUE, "auto")
    report, sent = through(tmp_path, tmp_path / "in.mkv", Live.of(pace="all", write="rgb24"), coloured)
    assert set(redness.sizes) == {(HEIGHT // 2, WIDTH // 2)}
    assert report.scale == 0.5
    back = np.frombuffer(sent, np.uint8).reshape(3, HEIGHT, WIDTH, 3)
    for number, one in enumerate(back):
        truth = disc(number, WIDTH, HEIGHT)[..., None]
        assert np.abs(one / 255 - (truth * RED + (1 - truth) * np.array([0, 0, 1]))).mean() < 0.02


def replace_foreground(recipe: gossamer.Recipe, method: str) -> gossamer.Recipe:
    return gossamer.Recipe.of({**recipe.model_dump(exclude_unset=True), "foreground": {"method": method}})


def test_what_nobody_chose_is_fit_for_live_pictures() -> None:
    usual = live_recipe(gossamer.Recipe())
    assert (usual.background.fill, usual.matting.method) == ("blur", "none")
    named = live_recipe(gossamer.Recipe.of({"background": {"fill": "white"}, "matting": {"method": "guided"}}))
    assert (named.background.fill, named.matting.method) == ("white", "guided")
    for fill in ("transparent", "#ff000080"):
        with pytest.raises(gossamer.InputError, match="transparen"):
            live_recipe(gossamer.Recipe.of({"background": {"fill": fill}}))


@pytest.mark.long
@FIFOS
def test_a_real_model_blurs_what_is_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The network that remembers, at a size that changes under it, and blur behind: the face stays sharp."""
    from gossamer.settings import ModelChoice
    from tests.cached_weights import video_weights

    monkeypatch.setenv("GOSSAMER_HOME", str(video_weights().parents[1]))
    forgot = []
    carried = shrunk.resized_memory
    monkeypatch.setattr(
        shrunk, "resized_memory", lambda *given: forgot.append(not (kept := carried(*given)).states) or kept
    )
    sizes = iter([1.0, 1.0, 0.59, 0.59])
    monkeypatch.setattr(Budget, "scale", property(lambda self: next(sizes)))
    person = cv2.resize(data.astronaut(), (192, 192), interpolation=cv2.INTER_AREA)
    (tmp_path / "in.raw").write_bytes(4 * person.tobytes())
    drain = Drain(tmp_path / "out")
    settings = Live.of(pace="all", read="rgb24", write="rgb24", size="192x192")
    choice = ModelChoice.of(model="rvm-mobilenetv3", device="cpu", accept_licence=True)
    report = cut_live(str(tmp_path / "in.raw"), str(tmp_path / "out"), settings, None, choice)
    assert (report.shown, report.model) == (4, "rvm-mobilenetv3")
    assert forgot == [True, False, False, False]  # what is remembered becomes smaller with the picture
    for one in np.frombuffer(drain.whole(), np.uint8).reshape(4, 192, 192, 3):
        change = np.abs(one.astype(int) - person).mean(2)
        assert change[30:60, 75:100].mean() < 2  # the face
        assert change[:60, 130:].mean() > 8  # what hangs behind her


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["/dev/video97", "-"], 2, "There is no camera /dev/video97"),
        (["gone.mkv", "-"], 2, "gone.mkv does not exist"),
        (["text.mkv", "-"], 2, "damaged, cut off, or no video"),
        (["in.mkv", "in.mkv"], 3, "is a file"),
        (["in.mkv", "nowhere"], 3, "There is no pipe or device nowhere"),
        (["in.mkv", "."], 3, "is a folder"),
        (["in.mkv", "-", "--json"], 2, "both go to standard output"),
        (["in.mkv", "-", "--background", "transparent"], 2, "hold no transparency"),
        (["in.mkv", "-", "--canvas-size", "9x9"], 2, "keeps its canvas"),
        (["in.mkv", "-", "--read", "rgb24"], 2, "width and height"),
        (["in.mkv", "-", "--read", "rgb24", "--size", "5000x5000"], 2, "not a single picture"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    arguments: list[str],
    status: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    make_clip(tmp_path / "in.mkv", 2)
    (tmp_path / "text.mkv").write_text("no film")
    before = (tmp_path / "in.mkv").read_bytes()
    assert main(["camera", *arguments, "--model", "none", "--matting", "key", "--quiet"]) == status
    told = capfd.readouterr().err
    assert message in told
    assert len(told.splitlines()) == 1
    assert (tmp_path / "in.mkv").read_bytes() == before


@FIFOS
def test_an_mp4_whose_index_comes_last_does_not_come_through_a_pipe(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "in.mp4"), "w") as out:  # of megabytes: small ones are read whole to see what they are
        stream = out.add_stream("mpeg4", rate=25, options={"qmin": "1", "qmax": "1"})
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        for number in range(24):
            noise = np.random.default_rng(number).integers(0, 256, (360, 640, 3), np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(noise)))
        out.mux(stream.encode())
    os.mkfifo(tmp_path / "in")

    def write() -> None:
        with contextlib.suppress(BrokenPipeError):
            (tmp_path / "in").write_bytes((tmp_path / "in.mp4").read_bytes())

    writer = threading.Thread(target=write)
    writer.start()
    with pytest.raises(InputError, match=r"/in holds video.* Give the file itself, or send Matroska or MPEG-TS"):
        open_feed(str(tmp_path / "in"), Live(), threading.Event())
    writer.join()


@FIFOS
def test_a_reader_that_leaves_does_not_wait_for_a_slow_model(tmp_path: Path, redness: Redness) -> None:
    """The model takes as long as somebody is there, and tells all along that it is at work."""
    make_clip(tmp_path / "in.mkv", 3)
    os.mkfifo(tmp_path / "out")

    def endless(frame: Frame, remembered: Recurrence, progress: Progress) -> Matted:
        begun = time.monotonic()
        while time.monotonic() < begun + 60:
            progress.tick()
            time.sleep(0.01)
        raise AssertionError("nobody told it to end")

    def look() -> None:
        with (tmp_path / "out").open("rb"):
            time.sleep(0.2)

    redness.matte = endless  # type: ignore[method-assign]
    reader = threading.Thread(target=look)
    reader.start()
    report = cut_live(str(tmp_path / "in.mkv"), str(tmp_path / "out"), Live.of(pace="all"), BLUE)
    reader.join()
    assert (report.ended, report.shown) == ("reader", 0)


COMMAND = [sys.executable, "-m", "gossamer", "camera", "-", "-", "--model", "none", "--matting", "key"]


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for one process alone")
def test_ctrl_c_ends_it_at_once_also_while_nothing_comes(tmp_path: Path) -> None:
    """Once while it waits for pictures, after some: nothing more comes, and nobody closes the pipe."""
    raw = ["--read", "rgb24", "--size", f"{WIDTH}x{HEIGHT}", "--write", "rgb24", "--background", "white"]
    with subprocess.Popen(
        [*COMMAND, *raw], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(frame_pixels(0, WIDTH, HEIGHT).tobytes())
        process.stdin.flush()
        first = process.stdout.read(WIDTH * HEIGHT * 3)
        process.send_signal(signal.SIGINT)
        asked = time.monotonic()
        assert process.wait(20) == 130
        took = time.monotonic() - asked
        assert process.stderr is not None
        assert process.stderr.read().decode().strip() == "gossamer: Cancelled."
    assert len(first) == WIDTH * HEIGHT * 3
    assert took < 5  # half a second on a machine that does nothing else


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="a pipe there tells it of what is sent alone")
def test_a_reader_that_leaves_while_nothing_comes_ends_it() -> None:
    """It waited for a picture that never came, to find that nobody wants it."""
    raw = ["--read", "rgb24", "--size", f"{WIDTH}x{HEIGHT}", "--write", "rgb24", "--background", "white"]
    with subprocess.Popen(
        [*COMMAND, *raw], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(frame_pixels(0, WIDTH, HEIGHT).tobytes())
        process.stdin.flush()
        assert len(process.stdout.read(WIDTH * HEIGHT * 3)) == WIDTH * HEIGHT * 3
        process.stdout.close()
        assert process.wait(20) == 0
        assert "Showed 1 frame of" in process.stderr.read().decode()


@FIFOS
def test_the_report_is_json_and_a_reader_that_leaves_is_no_fault(
    tmp_path: Path, redness: Redness, capfd: pytest.CaptureFixture[str]
) -> None:
    make_clip(tmp_path / "in.mkv", 200)
    os.mkfifo(tmp_path / "out")

    def look() -> None:
        with (tmp_path / "out").open("rb") as pipe:
            pipe.read(3 * WIDTH * HEIGHT)

    reader = threading.Thread(target=look)
    reader.start()
    arguments = [str(tmp_path / "in.mkv"), str(tmp_path / "out"), "--background", "red", "--foreground", "none"]
    assert main(["camera", *arguments, "--pace", "all", "--write", "rgb24", "--json"]) == 0
    reader.join()
    report = json.loads(capfd.readouterr().out)
    assert (report["ended"], report["model"]) == ("reader", "redness")
    assert 1 <= report["shown"] < 200
    assert {"fps", "latency_ms", "latency_ms_95", "dropped", "mean_scale"} <= set(report)
