"""The camera's window, on a desktop of its own: what is seen in it, and how it is closed."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from gossamer.cli import main
from gossamer.errors import InputError
from gossamer.video.clip import Clip
from gossamer.video.frames import clip_of_arrays
from gossamer.video.window import Window
from tests.video.screen import HEIGHT, WIDTH, Screen, a_screen, until

host = pytest.mark.host  # needs an X server, a window manager and xdotool
unix = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="X servers are Linux's here")


@pytest.fixture(scope="module")
def screen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Screen]:
    with a_screen(tmp_path_factory.mktemp("screen")) as one:
        yield one


@pytest.fixture
def on_screen(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> Screen:
    monkeypatch.setenv("DISPLAY", screen.display)
    return screen


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def is_shown(window: Window, seen: object) -> None:
    """Wait for what is seen on the desktop; the window is attended to meanwhile, as the camera's loop does."""
    assert callable(seen)
    until(lambda: window.attended() and seen())


def a_clip(height: int, width: int, aspect: Fraction = Fraction(1)) -> Clip:
    return replace(clip_of_arrays(height, width, Fraction(25)), aspect=aspect)


@host
@unix
def test_pictures_are_seen_pixel_by_pixel_one_after_the_other(on_screen: Screen) -> None:
    window = Window(a_clip(180, 320))
    try:
        for number in range(3):
            window.encoded(picture(180, 320, number), Fraction(number, 25))
            assert window.send(b"")
            is_shown(window, lambda number=number: np.array_equal(on_screen.inside(), picture(180, 320, number)))
    finally:
        window.end()
    assert not window.attended()


@host
@unix
def test_another_size_keeps_the_shape_in_the_middle_before_black(on_screen: Screen) -> None:
    window = Window(a_clip(180, 320))
    plain = np.full((180, 320, 3), (200, 90, 30), np.uint8)
    expected = np.zeros((400, 640, 3), np.uint8)
    expected[20:380] = plain[0, 0]
    try:
        window.encoded(plain, Fraction(0))
        on_screen.typed("windowsize", on_screen.window(), "640", "400")
        is_shown(window, lambda: on_screen.inside().shape == expected.shape)

        def shown_again() -> bool:
            window.encoded(plain, Fraction(1, 25))  # the window hears of its size when it looks at what has happened
            return np.array_equal(on_screen.inside(), expected)

        is_shown(window, shown_again)
    finally:
        window.end()


@host
@unix
@pytest.mark.parametrize(
    ("clip", "shape"), [(a_clip(3000, 4000), 4 / 3), (a_clip(200, 200, Fraction(2)), 2), (a_clip(4000, 100), 1 / 40)]
)
def test_a_window_fits_the_screen_in_the_shape_that_is_meant(on_screen: Screen, clip: Clip, shape: float) -> None:
    window = Window(clip)
    try:
        window.encoded(np.full((clip.height, clip.width, 3), (0, 255, 0), np.uint8), Fraction(0))
        is_shown(window, lambda: (on_screen.inside() == (0, 255, 0)).all(2).any())
        inside = on_screen.inside()
        assert inside.shape[0] < HEIGHT
        assert inside.shape[1] < WIDTH
        rows, columns = np.nonzero((inside == (0, 255, 0)).all(2))
        sides = np.ptp(columns) + 1, np.ptp(rows) + 1
        assert sides[0] / sides[1] == pytest.approx(shape, rel=0.03)
    finally:
        window.end()


CAMERA = [sys.executable, "-m", "gossamer", "camera", "-", "--read", "rgb24", "--size", "320x180"]
SCREENED = ["--model", "none", "--matting", "key", "--background", "#0000ff", "--foreground", "none"]


@host
@unix
@pytest.mark.parametrize("way", ["Escape", "q", "alt+F4", "Ctrl-C"])
def test_the_camera_shows_a_window_until_somebody_closes_it(screen: Screen, way: str) -> None:
    """While it waits for a picture that never comes; alt+F4 is the window manager's, as the button is."""
    frame = np.full((180, 320, 3), (0, 200, 0), np.uint8)
    frame[60:120, 100:220] = (230, 40, 20)
    with subprocess.Popen(
        [*CAMERA, *SCREENED], env=screen.environment, stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        try:
            process.stdin.write(frame.tobytes())
            process.stdin.flush()

            def seen() -> bool:
                inside = screen.inside().astype(int)
                return inside.shape == frame.shape and bool(np.abs(inside[5:40] - (0, 0, 255)).max() < 8)

            until(seen)
            assert np.abs(screen.inside()[70:110, 110:210].astype(int) - (230, 40, 20)).max() < 8
            if way == "Ctrl-C":
                process.send_signal(signal.SIGINT)
            else:
                screen.press(way)
            asked = time.monotonic()
            status = process.wait(20)
            took = time.monotonic() - asked
        finally:
            process.kill()
        told = process.stderr.read().decode().strip().splitlines()
    assert took < 5  # half a second on a machine that does nothing else
    if way == "Ctrl-C":
        assert (status, told) == (130, ["gossamer: Cancelled."])
    else:
        assert status == 0
        assert told[-1].startswith("Showed 1 frame of 320 x 180")


def test_without_a_screen_it_says_how_to_look(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tkinter = pytest.importorskip("tkinter")

    def none(*_: object, **__: object) -> None:
        raise tkinter.TclError("no display name and no $DISPLAY environment variable")

    monkeypatch.setattr(tkinter, "Tk", none)
    assert main(["camera", "in.mkv"]) == 2
    told = capsys.readouterr().err.strip().splitlines()
    assert len(told) == 1
    assert "There is no screen for a window. Start it on a desktop, or give - for OUT" in told[0]


def test_without_tk_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "tkinter", None)
    assert main(["camera", "in.mkv"]) == 2
    told = capsys.readouterr().err.strip().splitlines()
    assert len(told) == 1
    assert "Tk is not installed. Install it (Debian and Ubuntu: sudo apt-get install python3-tk" in told[0]
    assert "or give - for OUT" in told[0]


def test_on_macos_windows_are_the_main_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    failed = []

    def work() -> None:
        try:
            Window(a_clip(18, 32))
        except InputError as error:
            failed.append(error.message)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert failed == ["macOS shows windows from a program's main thread alone."]
