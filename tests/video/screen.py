"""A desktop for the tests: an X server whose pixels are read, a window manager, and somebody who types."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.debian import debian

WIDTH, HEIGHT = 1280, 800
_PATIENCE = 60  # seconds
_MANAGER = """<openbox_config xmlns="http://openbox.org/3.4/rc">
  <theme><keepBorder>no</keepBorder></theme>
  <keyboard><keybind key="A-F4"><action name="Close"/></keybind></keyboard>
  <applications><application class="*"><decor>no</decor></application></applications>
</openbox_config>
"""  # no frames: xdotool counts their sides twice


@dataclass(frozen=True)
class Screen:
    """A desktop, by the name that programs know it by."""

    display: str
    file: Path

    @property
    def environment(self) -> dict[str, str]:
        """What a program has to be started with to show its windows here."""
        return {**os.environ, "DISPLAY": self.display}

    def pixels(self) -> NDArray[np.uint8]:
        """Return what is seen: (HEIGHT, WIDTH, 3)."""
        raw = self.file.read_bytes()  # an X window dump: 32 bits a pixel, at the end
        rows = np.frombuffer(raw[-4 * WIDTH * HEIGHT :], np.uint8).reshape(HEIGHT, WIDTH, 4)
        return rows[..., 2::-1].copy()

    def inside(self) -> NDArray[np.uint8]:
        """Return what is seen within the window that is called Gossamer, once it is there."""
        found = dict(
            line.split("=") for line in self.typed("getwindowgeometry", "--shell", self.window()).splitlines() if line
        )
        x, y, width, height = (int(found[name]) for name in ("X", "Y", "WIDTH", "HEIGHT"))
        return self.pixels()[y : y + height, x : x + width]

    def window(self) -> str:
        """Return the number of the window that is called Gossamer, once it is there."""
        return self.typed("search", "--sync", "--onlyvisible", "--name", "^Gossamer$").split()[0]

    def typed(self, *command: str) -> str:
        """Run xdotool."""
        tool = [debian("xdotool", "xdotool"), *command]
        done = subprocess.run(tool, env=self.environment, capture_output=True, text=True, timeout=_PATIENCE, check=True)
        return done.stdout

    def press(self, key: str) -> None:
        """Press a key in that window."""
        self.typed("windowactivate", "--sync", self.window(), "key", key)


@contextmanager
def a_screen(folder: Path) -> Iterator[Screen]:
    """Run a desktop meanwhile; it keeps its pixels in a folder."""
    reader, writer = os.pipe()
    geometry = ["-screen", "0", f"{WIDTH}x{HEIGHT}x24", "-fbdir", str(folder)]
    server = subprocess.Popen(
        [debian("Xvfb", "xvfb"), "-displayfd", str(writer), *geometry, "-nolisten", "tcp", "-noreset"],
        pass_fds=[writer],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(writer)
    with server, os.fdopen(reader) as told:
        try:
            number = told.readline().strip()
            assert number, "the X server has not started"
            screen = Screen(f":{number}", folder / "Xvfb_screen0")
            (folder / "rc.xml").write_text(_MANAGER)
            with subprocess.Popen(
                [debian("openbox", "openbox"), "--config-file", str(folder / "rc.xml")],
                env=screen.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            ) as manager:
                try:
                    screen.typed("mousemove", "0", "0")  # it would be seen
                    yield screen
                finally:
                    manager.kill()
        finally:
            server.kill()


def until(seen: object, seconds: float = _PATIENCE) -> None:
    """Wait until a function returns something true; raise AssertionError after some seconds."""
    assert callable(seen)
    end = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < end, "it was waited for in vain"
        time.sleep(0.02)
