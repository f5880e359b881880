"""What a frame of a clip costs, by size and model: processor time of all that is done with it, from file to file.

    python tests/benchmarks/video_cost.py FOLDER PHOTOS [--models u2netp,rvm-mobilenetv3] [--widths 640,1280,1920]

FOLDER and PHOTOS as for video.py. Each model cuts a short clip and a longer one, by its defaults, over green to H.264;
the difference, by the frames that the longer one has more, is a frame's cost without that of starting. Processor time
of all threads: it is nearly the same on a machine that others use.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
from moving_scenes import scenes

from gossamer.settings import Recipe
from gossamer.settings.video import Video
from gossamer.video import Picture, cut_video, save_frames

SHORT, LONG = 10, 22  # frames; the short clip is longer than what is looked ahead


def written(frames: list[np.ndarray], path: Path) -> Path:
    """Write frames as a clip in H.264, and return where."""
    height, width = frames[0].shape[:2]
    pictures = (Picture(Fraction(number, 25), frame, None) for number, frame in enumerate(frames))
    save_frames(pictures, path, height, width, Video(fps=25.0), transparent=False)
    return path


def spent(model: str, clip: Path, out: Path) -> tuple[float, float]:
    """Return the seconds of processors and of the clock that a clip takes."""
    over_green = Recipe.model_validate({"background": {"fill": "#00ff00"}})
    processors, clock = time.process_time(), time.perf_counter()
    cut_video(clip, out, Video(), over_green, model, force=True)
    return time.process_time() - processors, time.perf_counter() - clock


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--models", default="u2netp,rvm-mobilenetv3")
    parser.add_argument("--widths", default="640,1280,1920")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        for width in map(int, arguments.widths.split(",")):
            (scene,) = scenes(arguments.folder, arguments.photos, width, LONG, [2])
            clips = [written(scene.frames[:count], Path(place) / f"{width}-{count}.mp4") for count in (SHORT, LONG)]
            for model in arguments.models.split(","):
                spent(model, clips[0], Path(place) / "out.mp4")  # loads it
                short, long = (spent(model, clip, Path(place) / "out.mp4") for clip in clips)
                processors, clock = (
                    1000 * (after - before) / (LONG - SHORT) for before, after in zip(short, long, strict=True)
                )
                print(f"{model}, {width} wide: {processors:.0f} ms of processors a frame, {clock:.0f} ms", flush=True)


if __name__ == "__main__":
    main()
