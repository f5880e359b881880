# SPDX-License-Identifier: GPL-3.0-or-later
"""A batch as the frames of a clip: held still, saved with alpha. Ids and names of inputs are permanent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from comfy_api.latest import io

from .. import clips, films, previews, widgets
from ..progress import Bar
from ..tensors import Images, Masks, empty, put, together
from ..wording import in_comfyui
from . import CATEGORY

if TYPE_CHECKING:
    import numpy as np
    import torch

__all__ = ["SaveVideo", "TemporalSmooth"]


class SaveVideo(io.ComfyNode):
    """Saves frames as a clip, with alpha."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        from gossamer.settings.video import Video

        return widgets.known(
            io.Schema,
            node_id="GossamerSaveVideo",
            display_name="Save Transparent Video: ProRes 4444, VP9 Alpha (Gossamer)",
            category=CATEGORY,
            description="Saves a batch as a clip: ProRes 4444, VP9 or FFV1 with transparency, H.264 or HEVC without, "
            "and sound.",
            search_aliases=["video", "save video", "prores", "webm", "transparent video", "alpha", "export"],
            is_output_node=True,
            inputs=[
                widgets.known(
                    io.Image.Input,
                    "images",
                    display_name="images",
                    tooltip="The frames: RGBA with straight alpha, or RGB with a mask beside it.",
                ),
                films.format_input(),
                widgets.known(
                    io.Float.Input,
                    "fps",
                    default=24.0,
                    min=0.1,
                    max=1000.0,
                    step=0.001,
                    round=0.001,
                    display_name="frames a second",
                    tooltip="How many frames are shown a second; Get Video Components tells a clip's.",
                ),
                films.name_input("video/cutout"),
                widgets.known(
                    io.Mask.Input,
                    "mask",
                    optional=True,
                    display_name="mask",
                    tooltip=f"The alpha of the frames, instead of theirs. {widgets.POLARITY}",
                ),
                widgets.known(
                    io.Audio.Input,
                    "audio",
                    optional=True,
                    display_name="audio",
                    tooltip="The sound, e.g. Get Video Components'; it ends with the last frame.",
                ),
                widgets.widget("crf", Video, optional=True, advanced=True),
                widgets.invert(),
            ],
            outputs=films.saved_outputs(),
        )

    @classmethod
    @in_comfyui
    def execute(
        cls,
        images: torch.Tensor,
        format: str,
        fps: float,
        filename_prefix: str,
        mask: torch.Tensor | None = None,
        audio: Any = None,
        invert_mask: bool = False,
        **settings: Any,
    ) -> io.NodeOutput:
        """Write frame by frame."""
        from gossamer.settings.video import Video

        pictures = Images.of(images, "images")
        masks = None if mask is None else Masks.of(mask, "mask", inverted=invert_mask)
        count = len(pictures) if masks is None else together(pictures, masks)
        wanted = Video.of(format=format, fps=round(fps, 3), **settings)

        def alpha(index: int) -> np.ndarray | None:
            return pictures.alpha(index) if masks is None else masks.alpha(index)

        clear = masks is not None or pictures.tensor.shape[3] == 4
        films.check(wanted, clear=clear)
        bar, name = Bar(count), filename_prefix
        made = ((pictures.rgb(index), alpha(index)) for index in range(count))
        target = films.written(made, pictures.size, count, wanted, name, audio, clear, bar)
        return films.output(target, pictures.tensor[:1])


class TemporalSmooth(io.ComfyNode):
    """Holds the masks of a clip's frames still."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        from gossamer.settings.video import Video

        return widgets.known(
            io.Schema,
            node_id="GossamerTemporalSmooth",
            display_name="Temporal Smooth: Video Mask, Flicker (Gossamer)",
            category=CATEGORY,
            description="Takes the flicker out of the masks of a clip's frames: masks of frames nearby are moved along "
            "with the picture and taken the mean of, where the picture says that they show the same.",
            search_aliases=["video", "temporal", "flicker", "smooth mask", "stabilize", "optical flow"],
            inputs=[
                widgets.known(
                    io.Image.Input,
                    "image",
                    display_name="image",
                    tooltip="The frames of one clip in their order: their motion moves the masks.",
                ),
                widgets.known(
                    io.Mask.Input, "mask", display_name="mask", tooltip=f"A mask a frame. {widgets.POLARITY}"
                ),
                widgets.widget(
                    "hold_strength",
                    Video,
                    optional=False,
                    advanced=False,
                    tooltip="Strength of holding. What weight a matte has one frame away, where the motion is certain; "
                    "0 changes nothing.",
                ),
                widgets.invert(),
            ],
            outputs=[io.Mask.Output(display_name="mask", tooltip="1 (white) = foreground.")],
        )

    @classmethod
    @in_comfyui
    def execute(
        cls, image: torch.Tensor, mask: torch.Tensor, hold_strength: float, invert_mask: bool = False
    ) -> io.NodeOutput:
        """Hold still, mask by mask."""
        from gossamer.settings.video import Video
        from gossamer.video import Steady

        images, masks = Images.of(image, "image"), Masks.of(mask, "mask", inverted=invert_mask)
        count = together(images, masks)
        result, bar = empty(count, *images.size), Bar(count)
        steady: Steady[int] = Steady(Video.of(hold_strength=hold_strength).hold_strength)
        for index, frame in enumerate(clips.frames_of(images)):
            bar.picture(index)(0.0, "")
            for held in steady.add(index, frame.pixels, masks.alpha(index)):
                put(result[held.thing], held.alpha)
        for held in steady.rest():
            put(result[held.thing], held.alpha)
        bar.picture(count)(0.0, "")
        return io.NodeOutput(result, ui=previews.of_mask(result))
