"""Animated pictures: GIF, WebP and APNG, read through Pillow, written with FFmpeg's encoders, one frame at a time."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer.errors import InputError
from gossamer.progress import Progress
from gossamer.video.apng_file import write_apng
from gossamer.video.clip import Clip, Frame
from gossamer.video.libav import libav, writing_to
from gossamer.video.segment import FilmPlan
from gossamer.video.tags import ColourTags

__all__ = ["AnimationSource", "animate", "is_animation"]

_KEPT = "What is finished is kept."
_SUFFIXES = (".gif", ".webp", ".apng", ".png")
_USUAL = Fraction(1, 10)  # seconds: what browsers show a frame that says less
_LEAST = 11  # ms
_LONGEST = 0xFFFF  # hundredths of a second: what a GIF's picture can be shown
_HALF = 128  # of 255: from here on a pixel of a GIF is there


def is_animation(path: Path) -> bool:
    """Return whether a file is a picture with several frames, which FFmpeg would read as one or not at all."""
    if path.suffix.lower() not in _SUFFIXES:
        return False
    from PIL import Image

    try:
        with Image.open(path) as picture:
            return bool(getattr(picture, "is_animated", False))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False


class AnimationSource:
    """The frames of an animated picture, each whole, as :class:`~gossamer.video.source.VideoSource`.

    Parameters
    ----------
    path : Path
    size : (int or None, int or None)
        As for a clip.

    Raises
    ------
    InputError
        It cannot be read.
    """

    begin = Fraction(0)

    def __init__(self, path: Path, size: tuple[int | None, int | None] = (None, None)) -> None:
        from PIL import Image

        from gossamer.video.source import scaled_sides

        self.warnings: list[str] = []
        self._path = path
        try:
            self._picture: Any = Image.open(path)
            count = int(getattr(self._picture, "n_frames", 1))
            # Only frames that were decoded know how long they are shown.
            times = [self._shown(number) for number in range(count)]
        except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError):
            raise _damaged(path) from None
        self._times = times
        width, height = self._picture.size
        wide, tall = scaled_sides(width, height, size)
        length = sum(times, Fraction(0))
        self.clip = Clip(
            path=path,
            width=wide,
            height=tall,
            rate=Fraction(count) / length,
            time_base=Fraction(1, 1000),
            seconds=float(length),
            depth=8,
            aspect=Fraction(1),
            tags=ColourTags.of_pictures(),
            has_alpha=True,
            has_sound=False,
            codec=str(self._picture.format).lower(),
            icc_profile=self._picture.info.get("icc_profile"),
        )

    def __enter__(self) -> AnimationSource:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._picture.close()

    def frames(
        self,
        start: Fraction = Fraction(0),
        end: Fraction | None = None,
        done: tuple[int, Fraction] | None = None,
    ) -> Iterator[Frame]:
        """Yield the frames between two points; see :meth:`gossamer.video.source.VideoSource.frames`."""
        number, time = 0, Fraction(0)
        for place, shown in enumerate(self._times):
            if end is not None and time >= end:
                return
            if time >= start:
                if done is None or number >= done[0]:
                    yield self._frame(place, number, time - start)
                number += 1
            time += shown

    def _shown(self, place: int) -> Fraction:
        """Return how many seconds a frame is shown."""
        self._picture.seek(place)
        self._picture.load()
        told = float(self._picture.info.get("duration") or 0)
        return Fraction(round(told * 1000), 1_000_000) if told >= _LEAST else _USUAL

    def _frame(self, place: int, number: int, time: Fraction) -> Frame:
        try:
            self._picture.seek(place)
            picture = self._picture.convert("RGBA")
        except (OSError, ValueError, SyntaxError, EOFError):
            raise _damaged(self._path) from None
        size = (self.clip.width, self.clip.height)
        pixels: NDArray[np.uint8] = np.array(picture)
        if picture.size != size:
            import cv2

            how = cv2.INTER_AREA if size[0] < picture.size[0] else cv2.INTER_CUBIC
            alpha = np.asarray(cv2.resize(pixels[..., 3], size, interpolation=how))
            pixels = np.dstack([cv2.resize(pixels[..., :3], size, interpolation=how), alpha])
        return Frame(number, time, np.ascontiguousarray(pixels[..., :3]), np.ascontiguousarray(pixels[..., 3]))


def animate(
    segments: Sequence[Path], times: Sequence[Fraction], plan: FilmPlan, target: Path, name: Path, progress: Progress
) -> list[str]:
    """Write an animated picture of segments, which repeats for ever.

    Parameters
    ----------
    segments : sequence of Path
        In order; together they hold as many pictures as there are `times`.
    times : sequence of Fraction
        When each picture is shown, in seconds.
    plan : FilmPlan
    target : Path
        The file to write.
    name : Path
        What it is called in the end.
    progress : Progress
        Called for each picture; may raise to cancel.

    Returns
    -------
    list of str
        Warnings.

    Raises
    ------
    OutputError
        It cannot be written.
    """
    av, kind = libav(), plan.format.id
    gif = kind == "gif"
    base = Fraction(1, 100 if gif else 1000)
    shown = _shown_at(times, base, 2 if gif else _LEAST)
    last = max(1, round(1 / plan.rate / base))
    more, last = divmod(last - 1, _LONGEST) if gif else (0, last - 1)  # a picture that is shown longer comes again
    last += 1
    pictures = _timed(segments, shown, progress)
    if kind == "apng":
        pixels = "gray" if plan.grey else "rgba" if plan.alpha else "rgb24"
        with writing_to(name, _KEPT):
            write_apng(target, (plan.width, plan.height), pixels, pictures, last)
    else:
        pixels = "pal8" if gif else "bgra"
        options = {"loop": "0", "final_delay": str(last)} if gif else {"loop": "0"}
        with writing_to(name, _KEPT), av.open(str(target), "w", format=kind, options=options) as out:
            stream = out.add_stream(plan.format.codec, rate=plan.rate, options=_quality(plan))
            context = stream.codec_context
            context.width, context.height, context.pix_fmt = plan.width, plan.height, pixels
            context.time_base = stream.time_base = base
            palette = _Palette(plan) if gif else None
            for at, frame in _again(pictures, more) if gif else pictures:
                given = frame.reformat(format="rgba" if gif else pixels)
                given.pts, given.time_base = at, base
                for made in palette.of(given) if palette else (given,):
                    for packet in stream.encode(made):
                        out.mux(packet)
            for packet in stream.encode():
                out.mux(packet)
        if kind == "webp":
            begun = next(at for at in reversed(shown) if at is not None)
            _end_after(target, max(1, round((times[-1] + 1 / plan.rate) * 1000) - begun))
    left = shown.count(None)
    if not left:
        return []
    most = f"{plan.format.title} shows at most {50 if gif else 90} a second"
    return [f"{left} of {len(times)} frames were left out: {most}."]


def _shown_at(times: Sequence[Fraction], base: Fraction, least: int) -> list[int | None]:
    """Return when each picture is shown, as a multiple of `base`; None for those that come too soon after another."""
    found: list[int | None] = []
    shown = -least
    for time in times:
        at = round(time / base)
        is_late = at - shown >= least
        shown = at if is_late else shown
        found.append(at if is_late else None)
    return found


def _timed(segments: Sequence[Path], shown: Sequence[int | None], progress: Progress) -> Iterator[tuple[int, Any]]:
    """Yield each picture that is shown, with when."""
    for number, (frame, at) in enumerate(zip(_decoded(segments), shown, strict=True)):
        progress(number / len(shown))
        if at is not None:
            yield at, frame


def _again(pictures: Iterator[tuple[int, Any]], more: int) -> Iterator[tuple[int, Any]]:
    """Yield pictures with when they are shown, those again that are shown longer than a GIF can say.

    Parameters
    ----------
    pictures : iterator of (int, av.VideoFrame)
    more : int
        How often the last one comes again.
    """
    before: tuple[int, Any] | None = None
    for at, frame in pictures:
        while before is not None and at - before[0] > _LONGEST:
            before = before[0] + _LONGEST, before[1]
            yield before
        before = at, frame
        yield before
    for _ in range(more if before is not None else 0):
        assert before is not None  # noqa: S101 - there was one
        before = before[0] + _LONGEST, before[1]
        yield before


def _quality(plan: FilmPlan) -> dict[str, str]:
    if plan.format.id == "gif":
        return {}
    return {"lossless": "1"} if plan.crf == 0 else {"quality": str(100 - plan.crf)}


def _decoded(segments: Sequence[Path]) -> Iterator[Any]:
    av = libav()
    for path in segments:
        with av.open(str(path)) as segment:
            yield from segment.decode(video=0)


class _Palette:
    """256 colours for each frame, one of them nothing."""

    def __init__(self, plan: FilmPlan) -> None:
        av = libav()
        self._base = Fraction(1, 100)
        self._graph = graph = av.filter.Graph()
        source = graph.add_buffer(width=plan.width, height=plan.height, format="rgba", time_base=self._base)
        twice = graph.add("split")
        chosen = graph.add("palettegen", f"reserve_transparent={int(plan.alpha)}:stats_mode=single")
        used = graph.add("paletteuse", f"new=1:alpha_threshold={_HALF}:dither=sierra2_4a")
        sink = graph.add("buffersink")
        source.link_to(twice)
        twice.link_to(chosen, 0, 0)
        twice.link_to(used, 1, 0)
        chosen.link_to(used, 0, 1)
        used.link_to(sink)
        graph.configure()

    def of(self, frame: Any) -> Iterator[Any]:
        """Yield the frame in its colours."""
        av = libav()
        self._graph.push(frame)
        while True:
            try:
                made = self._graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            made.time_base = self._base
            yield made


def _end_after(path: Path, milliseconds: int) -> None:
    """Say in a WebP how long its last frame is shown: FFmpeg's encoder takes the mean of the others."""
    with path.open("r+b") as file:
        place, last = 12, 0
        end = path.stat().st_size
        while place + 8 <= end:
            file.seek(place)
            kind, size = struct.unpack("<4sI", file.read(8))
            last = place if kind == b"ANMF" else last
            place += 8 + size + size % 2
        if last:
            file.seek(last + 8 + 12)  # after its corner and sides
            file.write(min(milliseconds, 0xFFFFFF).to_bytes(3, "little"))


def _damaged(path: Path) -> InputError:
    return InputError(f"{path} is damaged, or cut off.", "Open it in a browser to see, and save it anew.")
