"""A window of the desktop that shows live pictures: Tk's, which comes with Python."""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer.errors import InputError
from gossamer.platform import may_open_windows
from gossamer.video.clip import Clip

__all__ = ["Window", "check_windows"]

_TITLE = "Gossamer"
_KEYS = ("<Escape>", "<Key-q>", "<Key-Q>")
_SCREEN = 0.85  # of the screen's sides at most: bars of the desktop and the window's own title take the rest
_LEAST = (160, 90)
_ELSEWHERE = "or give - for OUT and look at it with a player: gossamer camera 0 - | ffplay -"


class Window:
    """Shows pictures of one clip in the middle of a window, as large as it is; Esc, q and its button close it.

    All calls have to come from the thread that made it; macOS has windows in the main thread alone. Nothing of Python
    is called by Tk: an interrupt that comes meanwhile would be swallowed there.

    Parameters
    ----------
    clip : Clip
        What the pictures are of: their size, and the shape of a pixel.

    Raises
    ------
    InputError
        This Python has no Tk, there is no screen, or, on macOS, this is not the main thread.
    """

    def __init__(self, clip: Clip) -> None:
        self._root = root = _opened()
        self._shape = clip.width * max(clip.aspect, Fraction(1)), clip.height / min(clip.aspect, Fraction(1))
        self._photo: Any = None
        screen = root.winfo_screenwidth() * _SCREEN, root.winfo_screenheight() * _SCREEN
        width, height = _within(self._shape, (min(screen[0], self._shape[0]), min(screen[1], self._shape[1])))
        self._label = _tk().Label(root, background="black", borderwidth=0)
        self._label.pack(fill="both", expand=True)
        root.pack_propagate(False)  # its size is its user's, not the picture's
        root.configure(background="black", width=width, height=height)
        root.minsize(*_LEAST)
        for key in _KEYS:
            root.tk.call("bind", ".", key, "destroy .")
        root.tk.call("wm", "protocol", ".", "WM_DELETE_WINDOW", "destroy .")
        root.deiconify()
        root.update()

    def encoded(self, rgb: NDArray[np.uint8], time: Fraction) -> bytes:
        """Show a picture, (H, W, 3); there is nothing to send."""
        with suppress(_tk().TclError):  # closed
            self._show(rgb)
        return b""

    def _show(self, rgb: NDArray[np.uint8]) -> None:
        import cv2
        from PIL import Image, ImageTk

        height, width = rgb.shape[:2]
        size = _within(self._shape, (self._label.winfo_width(), self._label.winfo_height()))
        if size != (width, height):
            smaller = size[0] * size[1] < width * height
            rgb = np.asarray(
                cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR), np.uint8
            )
        picture = Image.fromarray(np.ascontiguousarray(rgb))
        if self._photo is not None and (self._photo.width(), self._photo.height()) == size:
            self._photo.paste(picture)  # a fifth of the time of Tk's own way from bytes
        else:
            self._photo = ImageTk.PhotoImage(picture, master=self._root)
            self._label.configure(image=self._photo)

    def send(self, data: bytes) -> bool:
        """Return whether the window is still there."""
        return self.attended()

    def attended(self) -> bool:
        """Do what the window's user wants, and return whether it is still there."""
        try:
            self._root.update()
            return bool(self._root.winfo_exists())
        except _tk().TclError:
            return False

    def end(self) -> None:
        """Close it."""
        with suppress(_tk().TclError):
            self._root.destroy()

    abandon = end


def check_windows() -> None:
    """Raise InputError where there are no windows."""
    _opened().destroy()


def _opened() -> Any:
    """Return a window that is not seen yet."""
    if not may_open_windows():
        raise InputError("macOS shows windows from a program's main thread alone.", f"Call it there, {_ELSEWHERE}")
    tk = _tk()
    try:
        root = tk.Tk(className=_TITLE)
    except tk.TclError:
        raise InputError("There is no screen for a window.", f"Start it on a desktop, {_ELSEWHERE}") from None
    root.withdraw()
    root.title(_TITLE)
    return root


def _tk() -> ModuleType:
    try:
        import tkinter

        import PIL.ImageTk  # noqa: F401 - some distributions have it in a package of its own, too
    except ImportError:
        raise InputError(
            "This Python has no windows: Tk is not installed.",
            "Install it (Debian and Ubuntu: sudo apt-get install python3-tk python3-pil.imagetk; Fedora: sudo dnf "
            f"install python3-tkinter; Homebrew: brew install python-tk), {_ELSEWHERE}",
        ) from None
    return tkinter


def _within(shape: tuple[float | Fraction, float | Fraction], room: tuple[float, float]) -> tuple[int, int]:
    """Return the largest size of a shape within some room, in whole pixels, one at least."""
    scale = min(room[0] / float(shape[0]), room[1] / float(shape[1]))
    return max(round(float(shape[0]) * scale), 1), max(round(float(shape[1]) * scale), 1)
