# SPDX-License-Identifier: GPL-3.0-or-later
"""What is meant in a clip: prompts on its frames, which SAM follows. Ids and names of inputs are permanent."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from comfy_api.latest import io

from .. import places, previews, widgets
from ..log import warn
from ..tensors import Images, Masks
from ..wording import in_comfyui
from . import CATEGORY
from .prompts import Boxes, Chosen, PromptModel, place_inputs

if TYPE_CHECKING:
    import torch

    from gossamer import Prompt
    from gossamer.video import Followed, TimedPrompt

__all__ = ["ClipPrompt", "ClipPrompts", "follower", "of_chunk", "prompt_inputs", "timed"]

ClipPrompts = io.Custom("GOSSAMER_CLIP_PROMPTS")
_USUAL = ("auto", "sam2", "grounded-sam2")  # names of which SAM 2.1 follows


@dataclass(frozen=True, eq=False)
class _Said:
    """What is said of the frame that is shown at a time; None: at the in point."""

    at: Fraction | None
    prompt: Prompt


class ClipPrompt(io.ComfyNode):
    """Says what is meant on one frame of a clip."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return widgets.known(
            io.Schema,
            node_id="GossamerClipPrompt",
            display_name="Prompt on a Video Frame: SAM 2 Tracking (Gossamer)",
            category=CATEGORY,
            description="Says what is meant on one frame of a clip, by points, boxes, a mask or words. Video Matting "
            "and Remove Background from Video Frames have SAM 2.1 or SAM 3 follow it through the clip, forth and back. "
            "One after the other they correct what was followed.",
            search_aliases=["sam2 video", "video segmentation", "track", "tracking", "points", "box", "rotoscope"],
            inputs=[
                widgets.known(
                    io.String.Input,
                    "at",
                    default="",
                    display_name="at",
                    tooltip="Which frame is meant, the one that is shown then: seconds, or h:mm:ss, of the clip, "
                    "counted as start and end of Video Matting are. Empty: the first one that is cut out.",
                ),
                widgets.known(
                    io.String.Input,
                    "text",
                    default="",
                    multiline=True,
                    display_name="text",
                    tooltip="Words for it, looked for in that frame by SAM 3, or by Grounding DINO with SAM 2. Several "
                    "kinds of things: one a line.",
                ),
                *place_inputs(
                    "Points on it in pixels of the frame: 120, 80 and one a line, or as point editors write them. "
                    "Alone, at a later time: what was followed is corrected."
                ),
                widgets.known(
                    Boxes.Input,
                    "boxes",
                    optional=True,
                    display_name="boxes",
                    tooltip="Boxes of a node that finds or draws them, in that frame.",
                ),
                widgets.known(
                    io.Mask.Input,
                    "mask",
                    optional=True,
                    display_name="mask",
                    tooltip="Its mask in that frame: 1 (white) = foreground, e.g. of Cut Out by Points and Boxes, or "
                    "painted in the mask editor.",
                ),
                widgets.known(
                    ClipPrompts.Input,
                    "prompts",
                    optional=True,
                    display_name="prompts",
                    tooltip="What is said of other frames: another node of this kind.",
                ),
                widgets.known(
                    io.Image.Input,
                    "image",
                    optional=True,
                    display_name="image",
                    tooltip="That frame, to click in on the node: e.g. one of Get Video Components'.",
                ),
            ],
            outputs=[
                ClipPrompts.Output(
                    display_name="prompts",
                    tooltip="For Video Matting, Remove Background from Video Frames, or another node of this kind.",
                )
            ],
        )

    @classmethod
    @in_comfyui
    def execute(
        cls,
        at: str,
        text: str,
        points: str,
        not_points: str,
        box: str,
        boxes: Any = None,
        mask: torch.Tensor | None = None,
        prompts: tuple[_Said, ...] = (),
        image: torch.Tensor | None = None,
    ) -> io.NodeOutput:
        """Read what is said."""
        from gossamer import InputError, Prompt

        wanted, unwanted = places.points(points, "points")
        said = Prompt(
            text=tuple(line for line in text.splitlines() if line.strip()),
            points=wanted,
            not_points=unwanted + places.points(not_points, "not_points")[0],
            boxes=places.boxes(boxes, box, 1)[0],
            mask=_marked(mask),
        )
        if said.is_empty:
            raise InputError("Nothing says what is meant on the frame.", "Give a point, a box, a mask or words.")
        shown = None if image is None else previews.with_source({}, Images.of(image, "image").tensor)
        return io.NodeOutput((*prompts, _Said(_time(at), said)), ui=shown)


def prompt_inputs() -> list[io.Input]:
    """Return the inputs of every node that has something followed through a clip."""
    return [
        widgets.known(
            ClipPrompts.Input,
            "prompts",
            optional=True,
            display_name="prompts",
            tooltip="From Prompt on a Video Frame (Gossamer): what is meant on some frames, followed through "
            "the clip by SAM 2.1 or SAM 3, in place of the model.",
        ),
        widgets.known(
            PromptModel.Input,
            "prompt_model",
            optional=True,
            display_name="prompt model",
            tooltip="For prompts: from Load Prompt Models (Gossamer), SAM 2 or SAM 3. Without it: SAM 2.1, the "
            "best that is installed.",
        ),
    ]


def of_chunk(prompts: tuple[_Said, ...], begin: Fraction, end: Fraction, before: Followed | None) -> list[TimedPrompt]:
    """Return those prompts that are for a chunk's frames, shown between two times; raises InputError."""
    from gossamer.video import prompts_between

    now, later = prompts_between(timed(prompts, Fraction(0)), begin, end, before)
    for one in later:
        warn((f"The prompt at {float(one.at):g} s is for a frame after these, which end at {float(end):.4g} s.",))
    return now


def timed(prompts: tuple[_Said, ...], begin: Fraction) -> list[TimedPrompt]:
    """Return prompts with their times in seconds, `begin` that of the first frame that is cut out."""
    from gossamer.video import TimedPrompt

    return [TimedPrompt(begin if one.at is None else one.at, one.prompt) for one in prompts]


def follower(chosen: Chosen | None) -> str:
    """Return the name of what follows subjects through a clip; raises InputError where that cannot be."""
    from gossamer import InputError

    name = "auto" if chosen is None else chosen.name.rpartition(",")[2].strip()
    if name == "grabcut":
        raise InputError("GrabCut follows nothing through a clip.", "Choose auto, sam2 or sam3 in Load Prompt Models.")
    return "auto" if name in _USUAL else name


def _time(text: str) -> Fraction | None:
    from gossamer import InputError
    from gossamer.settings.video import read_time

    try:
        return read_time(text) if text.strip() else None
    except ValueError:
        raise InputError(f"{text.strip()[:60]!r} is no time.", "Give seconds, e.g. 12.5, or 0:01:12.5.") from None


def _marked(mask: torch.Tensor | None) -> Any:
    """Return a mask's first picture; None where nothing is marked, as in Load Image's of an opaque picture."""
    if mask is None:
        return None
    marked = Masks.of(mask, "mask").alpha(0)
    return marked if (marked > 0.5).any() else None
