"""Video: clips of any length in, clips with steady mattes out.

import gossamer
report = gossamer.video.cut_video("clip.mp4", "clip.mov", choice="u2netp")
"""

from __future__ import annotations

from gossamer.settings.video import Live, Video
from gossamer.video.clip import Clip, Frame
from gossamer.video.formats import VIDEO_FORMATS
from gossamer.video.frames import FrameCutout, FrameCutter, Remembered
from gossamer.video.holding import Steady
from gossamer.video.job import VideoReport, cut_video
from gossamer.video.likeness import are_frames
from gossamer.video.live import LiveReport, cut_live
from gossamer.video.opening import open_source
from gossamer.video.saving import save_frames
from gossamer.video.segment import Picture
from gossamer.video.timed import Followed, TimedPrompt, prompts_between

__all__ = [
    "VIDEO_FORMATS",
    "Clip",
    "Followed",
    "Frame",
    "FrameCutout",
    "FrameCutter",
    "Live",
    "LiveReport",
    "Picture",
    "Remembered",
    "Steady",
    "TimedPrompt",
    "Video",
    "VideoReport",
    "are_frames",
    "cut_live",
    "cut_video",
    "open_source",
    "prompts_between",
    "save_frames",
]
