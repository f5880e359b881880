# SPDX-License-Identifier: GPL-3.0-or-later
"""The subject of clips, cut out and held still. Ids and names of inputs are permanent."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from comfy_api.latest import io

from .. import backgrounds, clips, films, folders, previews, widgets
from ..cutouts import cutout_outputs
from ..log import announce, warn
from ..memory import device as usual_device
from ..memory import make_room
from ..progress import Bar
from ..tensors import Images, empty, put
from ..wording import in_comfyui
from . import CATEGORY
from .clip_prompts import follower, of_chunk, prompt_inputs, timed
from .prompts import Chosen

if TYPE_CHECKING:
    import numpy as np
    import torch

    from gossamer import ModelChoice, Recipe
    from gossamer.settings.video import Video
    from gossamer.video import Remembered

__all__ = ["CutOutFrames", "CutOutVideo"]

_Memory = io.Custom("GOSSAMER_REMEMBERED")
_NO_MODEL = "none"


class CutOutVideo(io.ComfyNode):
    """Cuts the subject of a clip out, from file to file."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        from gossamer.settings.video import Video

        return widgets.known(
            io.Schema,
            node_id="GossamerCutOutVideo",
            display_name="Video Matting: Remove Background, ProRes, WebM (Gossamer)",
            category=CATEGORY,
            description="Cuts the subject of a clip out and saves it as a clip with transparency, its sound kept, from "
            "file to file: of any length, in the memory of some frames.",
            search_aliases=[
                *("video", "video background removal", "video matting", "rvm", "robust video matting", "prores"),
                *("webm alpha", "green screen", "remove background"),
            ],
            is_output_node=True,
            inputs=[
                widgets.known(
                    io.Video.Input, "video", display_name="video", tooltip="The clip, e.g. Load Video's, of any length."
                ),
                *_subject(),
                films.format_input(),
                *backgrounds.background_inputs(),
                films.name_input("video/cutout"),
                *_held(),
                backgrounds.second_colour(),
                widgets.widget("matting", optional=True, advanced=True),
                widgets.widget("start", Video, optional=True, advanced=True),
                widgets.widget("end", Video, optional=True, advanced=True),
                widgets.widget("sound", Video, optional=True, advanced=True),
                widgets.widget("crf", Video, optional=True, advanced=True),
                _licence(),
                *prompt_inputs(),
            ],
            outputs=films.saved_outputs(),
        )

    @classmethod
    @in_comfyui
    def execute(
        cls,
        video: Any,
        model: str,
        quality: str,
        format: str,
        background: str,
        colour: str,
        filename_prefix: str,
        second_colour: str = "#dddddd",
        matting: str = "auto",
        accept_licence: bool = False,
        prompts: tuple[Any, ...] = (),
        prompt_model: Chosen | None = None,
        **settings: Any,
    ) -> io.NodeOutput:
        """Cut out, frame by frame, from file to file."""
        from gossamer.video import cut_video

        recipe = _recipe(model, background, colour, second_colour, matting)
        choice = _follower(model, quality, prompt_model) if prompts else _choice(model, quality, accept_licence)
        wanted = _video(format=format, **settings)
        films.check(wanted, clear=background == backgrounds.TRANSPARENT)
        if (parts := clips.components(video)) is not None:
            return _of_tensors(parts, wanted, recipe, choice, filename_prefix, prompts)
        make_room()
        with clips.clip_file(video) as (path, start, end):
            target = clips.Target.of(filename_prefix, films.suffix(wanted), *video.get_dimensions())
            between = wanted.of(wanted, start=wanted.start or start, end=wanted.end or end)
            try:
                report = cut_video(
                    path,
                    target.path,
                    between,
                    recipe,
                    choice,
                    prompts=timed(prompts, between.span[0]),
                    progress=Bar().picture(0),
                    announce=announce,
                )
            except BaseException:
                target.discard()
                raise
        warn(report.warnings)
        return films.output(target, films.still(target, report.duration))


class CutOutFrames(io.ComfyNode):
    """Cuts the subject out of a clip's frames."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return widgets.known(
            io.Schema,
            node_id="GossamerCutOutFrames",
            display_name="Remove Background from Video Frames (Gossamer)",
            category=CATEGORY,
            description="Cuts the subject out of a batch that is the frames of one clip: what the model remembers goes "
            "from frame to frame, and mattes are held still.",
            search_aliases=["video", "video matting", "rvm", "frames", "remove background", "temporal", "sam2 video"],
            inputs=[
                widgets.known(
                    io.Image.Input,
                    "image",
                    display_name="image",
                    tooltip="The frames of one clip in their order, e.g. Get Video Components'. The alpha of RGBA "
                    "frames multiplies the result.",
                ),
                *_subject(),
                *backgrounds.background_inputs(),
                *_held(),
                widgets.known(
                    _Memory.Input,
                    "remembered",
                    optional=True,
                    display_name="remembered",
                    tooltip="Of the frames before, where a clip comes in chunks: from this node's output for the chunk "
                    "before.",
                ),
                backgrounds.second_colour(),
                widgets.widget("matting", optional=True, advanced=True),
                _licence(),
                *prompt_inputs(),
                widgets.known(
                    io.Float.Input,
                    "fps",
                    default=24.0,
                    min=0.1,
                    max=1000.0,
                    step=0.001,
                    round=0.001,
                    optional=True,
                    display_name="frames a second",
                    tooltip="For prompts: how many frames are shown a second, which says what frame a time means; Get "
                    "Video Components tells a clip's.",
                ),
            ],
            outputs=[
                *cutout_outputs()[:2],
                _Memory.Output(display_name="remembered", tooltip="For the next chunk of the same clip."),
            ],
        )

    @classmethod
    @in_comfyui
    def execute(
        cls,
        image: torch.Tensor,
        model: str,
        quality: str,
        background: str,
        colour: str,
        remembered: Remembered | None = None,
        second_colour: str = "#dddddd",
        matting: str = "auto",
        accept_licence: bool = False,
        prompts: tuple[Any, ...] = (),
        prompt_model: Chosen | None = None,
        fps: float = 24.0,
        **settings: Any,
    ) -> io.NodeOutput:
        """Cut out frame by frame."""
        from gossamer.settings.video import Video
        from gossamer.video import FrameCutter

        images = Images.of(image, "image")
        recipe, wanted = _recipe(model, background, colour, second_colour, matting), _video(**settings)
        followed = None if remembered is None else remembered.followed
        if prompts or followed:
            choice = _follower(model, quality, prompt_model, goes_on=not prompts)
        else:
            choice = _choice(model, quality, accept_licence)
        rate = Video.of(fps=round(fps, 3)).rate or Fraction(24)
        begin = Fraction(followed.count if followed else 0) / rate
        result: torch.Tensor | None = None
        masks, bar = empty(len(images), *images.size), Bar(len(images))
        make_room()
        with FrameCutter(
            *images.size,
            wanted,
            recipe,
            choice,
            remembered=remembered,
            prompts=of_chunk(prompts, begin, begin + len(images) / rate, followed),
            frames=lambda: clips.frames_of(images, rate, begin),
            progress=bar.picture(0),
            announce=announce,
        ) as cutter:
            frames = clips.frames_of(images, rate, begin)
            for one in cutter.cut(frames, len(images), bar.pictures(0, len(images))):
                if result is None:
                    result = empty(len(images), *images.size, 3 if one.alpha is None else 4)
                put(result[one.number, :, :, :3], _floats(one.rgb))
                if one.alpha is not None:
                    put(result[one.number, :, :, 3], one.alpha)
                put(masks[one.number], one.matte)
                bar.show(result[one.number])
            warn(cutter.warnings)
            assert result is not None  # noqa: S101 - a batch holds at least one picture
            return io.NodeOutput(result, masks, cutter.remembered, ui=previews.of_image(result))


def _subject() -> list[io.Input]:
    """Return the widgets that say what finds the subject of frames."""
    from gossamer import load_catalogue, video_cards
    from gossamer.settings.model_choice import QUALITIES

    published = [card.id for card in video_cards().values() if card.weights]
    return [
        widgets.model(
            "model",
            ["auto", *published, _NO_MODEL, *load_catalogue(), *folders.local_models()],
            "auto: what quality asks for, of models of single pictures, held still. rvm-mobilenetv3 is made "
            "for clips of people: it remembers the frames before; its licence is GPL-3.0. none: a green or blue "
            "screen, keyed without a model.",
            display_name="model",
        ),
        widgets.known(
            io.Combo.Input,
            "quality",
            options=list(QUALITIES),
            default="balanced",
            display_name="quality",
            tooltip="For the model auto: how much one picture may cost on this device.",
        ),
    ]


def _held() -> list[io.Input]:
    """Return the widgets that say how mattes are held still."""
    from gossamer.settings.video import Video

    return [
        widgets.widget("hold", Video, optional=True, advanced=False),
        widgets.widget("hold_strength", Video, optional=True, advanced=True),
        widgets.widget("ratio", Video, optional=True, advanced=True),
    ]


def _licence() -> io.Input:
    return widgets.known(
        io.Boolean.Input,
        "accept_licence",
        default=False,
        optional=True,
        advanced=True,
        tooltip="Accept, once and for all, the licence of a model that has to be accepted.",
    )


def _recipe(model: str, background: str, colour: str, second_colour: str, matting: str) -> Recipe:
    if model == _NO_MODEL and matting == "auto":
        matting = "key"
    # What is not named lets a model that remembers keep its own edges.
    return backgrounds.recipe(background, colour, second_colour, {} if matting == "auto" else {"matting": matting})


def _choice(model: str, quality: str, accept_licence: bool) -> ModelChoice:
    from gossamer import ModelChoice

    return ModelChoice.of(
        model=folders.library_name(model),
        quality=quality,
        device=usual_device(),
        folders=folders.model_folders(),
        accept_licence=accept_licence,
    )


def _follower(model: str, quality: str, chosen: Chosen | None, *, goes_on: bool = False) -> ModelChoice:
    """Return the choice of what follows prompts, or goes on to without new ones."""
    from gossamer import InputError, ModelChoice

    if model != "auto" and goes_on:
        raise InputError(
            f"What was meant in the frames before is followed on, and the model {model} looks for a subject without.",
            "Choose the model auto, or take away what is connected to remembered.",
        )
    if model != "auto":
        raise InputError(
            f"Prompts say where the subject is, and the model {model} looks for it without.",
            "Choose the model auto, or take the prompts away.",
        )
    device = usual_device() if chosen is None else chosen.choice.device
    return ModelChoice.of(model=follower(chosen), quality=quality, device=device, folders=folders.model_folders())


def _video(**settings: Any) -> Video:
    """Return the settings of a clip; a strength of holding that nobody changed leaves it to the library."""
    from gossamer.settings.video import Video

    if settings.get("hold_strength") == Video().hold_strength:
        del settings["hold_strength"]
    return Video.of(**settings)


def _floats(colours: np.ndarray) -> np.ndarray:
    import numpy as np

    return colours if colours.dtype == np.float32 else colours.astype(np.float32) / np.float32(255)


def _between(wanted: Video, count: int, rate: Fraction) -> tuple[int, int]:
    """Return the first frame between the in point and the out point, and that after the last one."""
    from gossamer import InputError

    begin, end = wanted.span
    first, last = math.ceil(begin * rate), count if end is None else min(math.ceil(end * rate), count)
    if first >= last:
        raise InputError(
            "The video has no frame between the in point and the out point.", "Give others in start and end."
        )
    return first, last


def _heard(audio: Any, begin: Fraction, end: Fraction) -> Any:
    """Return the part of an AUDIO that lies between two times."""
    if audio is None:
        return None
    first, last = (round(time * int(audio["sample_rate"])) for time in (begin, end))
    return {**audio, "waveform": audio["waveform"][..., first:last]}


def _of_tensors(
    parts: Any, wanted: Video, recipe: Recipe, choice: ModelChoice, name: str, prompts: tuple[Any, ...]
) -> io.NodeOutput:
    """Cut out a clip that was made of tensors, and write it."""
    from gossamer import InputError
    from gossamer.video import FrameCutter

    rate = Fraction(parts.frame_rate)
    first, last = _between(wanted, len(parts.images), rate)
    images = Images.of(parts.images[first:last], "video")
    bar, count, begin = Bar(len(images)), len(images), first / rate
    clear = recipe.background.fill == backgrounds.TRANSPARENT
    wanted = wanted.model_copy(update={"fps": round(float(parts.frame_rate), 3)})
    said = [replace(one, at=one.at - begin) for one in timed(prompts, begin)]
    for at in (one.at for one in said):
        if not 0 <= at <= count / rate:
            raise InputError(
                f"There is no frame at {float(at + begin):g} s: what is cut out goes from {float(begin):g} s to "
                f"{float(last / rate):.4g} s.",
                "Give a time of it, or other in and out points.",
            )
    make_room()
    with FrameCutter(
        *images.size,
        wanted,
        recipe,
        choice,
        prompts=said,
        frames=lambda: clips.frames_of(images, rate),
        progress=bar.picture(0),
        announce=announce,
    ) as cutter:
        cut = cutter.cut(clips.frames_of(images, rate), count, bar.pictures(0, count))
        made = ((one.rgb, one.alpha) for one in cut)
        sound = parts.audio if wanted.sound == "copy" else None
        if wanted.start or wanted.end:
            sound = _heard(sound, begin, last / rate)
        target = films.written(made, images.size, count, wanted, name, sound, clear, bar)
        warn(cutter.warnings)
    return films.output(target, films.still(target, float(count / parts.frame_rate)))
