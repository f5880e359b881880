"""Cameras and what shows them, as far as systems differ: FFmpeg's names, streams that carry bytes, windows."""

from __future__ import annotations

import re
import sys
import threading

__all__ = ["binary_stream", "camera_of", "is_video_device", "may_open_windows", "usual_camera"]


def usual_camera() -> str:
    """Return the name of the camera that is taken where nobody names one; "" where it has to be named (Windows)."""
    return {"linux": "/dev/video0", "darwin": "0"}.get(sys.platform, "")


def camera_of(name: str) -> tuple[str, str] | None:
    """Return FFmpeg's format and device for the name of a camera; None where it is the name of something else.

    Cameras are ``/dev/video0`` or ``0`` on Linux, ``0`` on macOS, ``video=NAME`` on Windows.
    """
    if sys.platform == "win32":
        return ("dshow", name) if name.startswith("video=") else None
    if sys.platform == "darwin":
        return ("avfoundation", name) if re.fullmatch(r"\d{1,2}|default", name) else None
    if re.fullmatch(r"\d{1,2}", name):
        return "v4l2", f"/dev/video{name}"
    return ("v4l2", name) if is_video_device(name) else None


def is_video_device(name: str) -> bool:
    """Whether a name is that of a video device that can be written to as well, as v4l2loopback's (Linux alone)."""
    return sys.platform == "linux" and name.startswith(("/dev/video", "/dev/v4l/"))


def binary_stream(number: int) -> int:
    """Return the descriptor of a standard stream, made to carry bytes as they are."""
    if sys.platform == "win32":
        import msvcrt
        import os

        msvcrt.setmode(number, os.O_BINARY)
    return number


def may_open_windows() -> bool:
    """Whether this thread may open windows of the desktop: on macOS that is the main thread alone."""
    return sys.platform != "darwin" or threading.current_thread() is threading.main_thread()
