# SPDX-License-Identifier: GPL-3.0-or-later
"""Cutting out what somebody means: by text, by points and boxes, by a rough mask. Ids and inputs are permanent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from comfy_api.latest import io

from .. import backgrounds, clips, folders, places, previews, widgets
from ..cutouts import Cutouts, cutout_outputs, image_input, with_alpha
from ..log import announce, warn
from ..memory import device as usual_device
from ..memory import make_room
from ..progress import Bar
from ..tensors import Images, Masks
from ..wording import in_comfyui
from . import CATEGORY

if TYPE_CHECKING:
    import torch

    from gossamer import ModelChoice, Prompt

__all__ = [
    "Boxes",
    "Chosen",
    "CutOutByPoints",
    "CutOutByRough",
    "CutOutByText",
    "LoadPromptModels",
    "PromptModel",
    "place_inputs",
]

PromptModel = io.Custom("GOSSAMER_PROMPT_MODEL")
Boxes = io.Custom("BOUNDING_BOX,BBOX")
_MASK, _SCRIBBLES = _KINDS = ("rough mask", "scribbles")
_EDGE = ("matting", "refinement_shift_edge")


@dataclass(frozen=True)
class Chosen:
    """What was chosen to look for subjects: a model by name or loaded, where it runs, and its name."""

    model: Any
    choice: ModelChoice
    name: str = "auto"


class LoadPromptModels(io.ComfyNode):
    """Loads what looks for the subject that somebody means."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        from gossamer import folder_cards
        from gossamer.settings.finding import PROMPT_MODELS
        from gossamer.settings.model_choice import DEVICES

        published = [card.id for card in folder_cards() if card.task == "prompting" and card.id not in PROMPT_MODELS]
        return widgets.known(
            io.Schema,
            node_id="GossamerLoadPromptModels",
            display_name="SAM, Segment Anything: Load Prompt Models (Gossamer)",
            category=CATEGORY,
            description="Loads a model that finds what a text, points, boxes or a rough mask mean. GrabCut needs no "
            "weights; others that are not on this machine are fetched once.",
            search_aliases=["segment anything", "sam", "sam2", "sam3", "grounding dino", "text prompt", "grabcut"],
            inputs=[
                widgets.known(
                    io.Combo.Input,
                    "prompt_model",
                    options=[*PROMPT_MODELS, *published],
                    default="auto",
                    display_name="prompt model",
                    tooltip="auto: the best that is installed and can serve the prompt. grabcut needs no weights and "
                    "reads no text; sam2 is for points and boxes; grounded-sam2 and sam3 read text.",
                ),
                widgets.known(
                    io.Combo.Input,
                    "device",
                    options=list(DEVICES),
                    default="auto",
                    display_name="device",
                    tooltip="Where the model runs. auto: CUDA where there is one, else the CPU.",
                ),
                widgets.known(
                    io.String.Input,
                    "other_model",
                    default="",
                    optional=True,
                    advanced=True,
                    display_name="other model",
                    tooltip="Instead of prompt_model: a folder that save_pretrained wrote; a Grounding DINO and a SAM "
                    "2 with a comma between them.",
                ),
            ],
            outputs=[
                PromptModel.Output(
                    display_name="prompt_model", tooltip="For the nodes that cut out by text, points or a rough mask."
                )
            ],
        )

    @classmethod
    @in_comfyui
    def execute(cls, prompt_model: str, device: str, other_model: str = "") -> io.NodeOutput:
        """Load the model; auto chooses one when there is a prompt."""
        from gossamer import load_prompt_model

        choice = _choice(usual_device() if device == "auto" else device)
        name = other_model.strip() or prompt_model
        if name == "auto":
            return io.NodeOutput(Chosen(name, choice))
        model = load_prompt_model(name, choice=choice, progress=Bar().picture(0), announce=announce)
        return io.NodeOutput(Chosen(model, choice, name))


def _choice(device: str) -> ModelChoice:
    from gossamer import ModelChoice

    return ModelChoice.of(device=device, folders=folders.model_folders())


def place_inputs(points: str) -> list[io.Input]:
    """Return the inputs of points and boxes that are typed or clicked; `points` is the tooltip of the first."""
    return [
        widgets.known(io.String.Input, "points", default="", multiline=True, display_name="points", tooltip=points),
        widgets.known(
            io.String.Input,
            "not_points",
            default="",
            multiline=True,
            display_name="not points",
            tooltip="Points on what does not belong to it, written alike.",
        ),
        widgets.known(
            io.String.Input,
            "box",
            default="",
            display_name="box",
            tooltip="Left, top, right, bottom in pixels: 40, 20, 300, 400. Several with ; between them: a subject "
            "each.",
        ),
    ]


def _shared(*advanced: str) -> list[io.Input]:
    """Return the inputs that all of these nodes have after their own: what they find and what is made of it."""
    from gossamer import Finding

    return [
        *backgrounds.background_inputs(),
        widgets.known(
            PromptModel.Input,
            "prompt_model",
            optional=True,
            display_name="prompt model",
            tooltip="From Load Prompt Models (Gossamer). Without it: the best that is installed.",
        ),
        backgrounds.picture_input(),
        widgets.widget("on_empty", Finding, optional=True, advanced=False),
        widgets.widget("prompt_combine", Finding, optional=True),
        *[widgets.widget(name, Finding, optional=True, **_unset(name)) for name in advanced],
        *[widgets.widget(name, optional=True) for name in _EDGE],
        backgrounds.second_colour(),
    ]


def _unset(name: str) -> dict[str, Any]:
    """Return how a threshold says that it was not given: 0."""
    return {"default": 0.0, "step": 0.01} if name.endswith("threshold") else {}


def _cut(
    images: Images,
    prompt: Callable[[int], Prompt | None],
    chosen: Chosen | None,
    background: tuple[str, str, torch.Tensor | None, str],
    settings: dict[str, Any],
    others: int = 1,
) -> io.NodeOutput:
    """Cut out picture by picture what its prompt means; None means nothing."""
    import gossamer
    from gossamer.settings import Finding, parameters

    of_finding = {one.name: one.path for one in parameters(Finding)}
    wanted = {of_finding[name]: settings.pop(name) for name in list(settings) if name in of_finding}
    finding = Finding.of(None, **{name: value for name, value in wanted.items() if not _is_unset(name, value)})
    fill, colour, picture, second = background
    recipe = backgrounds.recipe(fill, colour, second, settings)
    chosen = chosen or Chosen("auto", _choice(usual_device()))
    model = chosen.model
    results = Cutouts(images, picture, others)
    bar = results.bar()
    make_room()
    of_clip = clips.is_clip(images, recipe, bar)
    for i in range(results.count):
        said, steps = prompt(i), bar.picture(i)
        if said is None or said.is_empty:
            results.put(i, _of_nothing(images, i, finding.on_empty, recipe, steps))
            continue
        if isinstance(model, str):  # once for all pictures
            model = gossamer.load_prompt_model(model, said, choice=chosen.choice, progress=steps, announce=announce)
        session = gossamer.open(
            with_alpha(images, i), finding=finding, choice=chosen.choice, prompt_model=model, of_clip=of_clip
        )
        results.put(i, session.cutout(said, recipe=recipe, progress=steps, announce=announce))
    return results.output()


def _is_unset(name: str, value: Any) -> bool:
    return name.endswith("threshold") and value == 0


def _of_nothing(images: Images, index: int, on_empty: str, recipe: Any, steps: Any) -> Any:
    """Return what stands for a cut-out where nothing was marked."""
    import numpy as np

    from gossamer import InputError, refine

    sentence = f"Nothing is marked for picture {index + 1}"
    if on_empty == "error":
        raise InputError(f"{sentence}.", "Mark the subject, or choose on_empty empty or full.")
    warn((f"{sentence}: the result is {'empty' if on_empty == 'empty' else 'the whole picture'}.",))
    mask = np.full(images.size, float(on_empty == "full"), np.float32)
    return refine(with_alpha(images, index), mask, recipe, progress=steps)


class CutOutByText(io.ComfyNode):
    """Cuts out what a text names."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return widgets.known(
            io.Schema,
            node_id="GossamerCutOutByText",
            display_name="Cut Out by Text Prompt (Gossamer)",
            category=CATEGORY,
            description="Cuts out what a text names, such as: the lamp. Needs Grounding DINO with SAM 2, or SAM 3.",
            search_aliases=["text prompt", "segment anything", "grounding dino", "sam", "sam3", "lang sam"],
            inputs=[
                image_input(),
                widgets.known(
                    io.String.Input,
                    "text",
                    default="",
                    multiline=True,
                    display_name="text",
                    tooltip="What is to be cut out, e.g. the lamp. Several kinds of things: one a line.",
                ),
                *_shared("every", "box_threshold", "text_threshold"),
            ],
            outputs=cutout_outputs(),
        )

    @classmethod
    @in_comfyui
    def execute(
        cls,
        image: torch.Tensor,
        text: str,
        background: str,
        colour: str,
        prompt_model: Any = None,
        background_image: torch.Tensor | None = None,
        second_colour: str = "#dddddd",
        **settings: Any,
    ) -> io.NodeOutput:
        """Cut out picture by picture."""
        from gossamer import Prompt

        phrases = tuple(line for line in text.splitlines() if line.strip())
        said = Prompt(text=phrases) if phrases else None
        behind = (background, colour, background_image, second_colour)
        return _cut(Images.of(image, "image"), lambda _: said, prompt_model, behind, settings)


class CutOutByPoints(io.ComfyNode):
    """Cuts out what lies under points or in boxes."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return widgets.known(
            io.Schema,
            node_id="GossamerCutOutByPoints",
            display_name="Cut Out by Points and Boxes: SAM Click (Gossamer)",
            category=CATEGORY,
            description="Cuts out what lies under points or in boxes, as Segment Anything does: click in the picture "
            "on the node, or type them. Without SAM 2 GrabCut does it.",
            search_aliases=["segment anything", "sam", "sam2", "points", "click", "box", "bounding box", "bbox"],
            inputs=[
                image_input(),
                *place_inputs(
                    'Points on the subject in pixels, as point editors write them: [{"x": 120, "y": 80}]; or 120, 80 '
                    "and one a line."
                ),
                *_shared(),
                widgets.known(
                    Boxes.Input,
                    "boxes",
                    optional=True,
                    display_name="boxes",
                    tooltip="Boxes of a node that finds or draws them: one, several, or a list for each picture.",
                ),
            ],
            outputs=cutout_outputs(),
        )

    @classmethod
    @in_comfyui
    def execute(
        cls,
        image: torch.Tensor,
        points: str,
        not_points: str,
        box: str,
        background: str,
        colour: str,
        prompt_model: Any = None,
        background_image: torch.Tensor | None = None,
        second_colour: str = "#dddddd",
        boxes: Any = None,
        **settings: Any,
    ) -> io.NodeOutput:
        """Cut out picture by picture."""
        from gossamer import Prompt

        images = Images.of(image, "image")
        wanted, unwanted = places.points(points, "points")
        unwanted += places.points(not_points, "not_points")[0]
        each = places.boxes(boxes, box, len(images))

        def said(index: int) -> Prompt:
            return Prompt(points=wanted, not_points=unwanted, boxes=each[index % len(each)])

        behind = (background, colour, background_image, second_colour)
        done = _cut(images, said, prompt_model, behind, settings)
        done.ui = previews.with_source(done.ui, image)  # where no picture could be clicked in before: now there is one
        return done


class CutOutByRough(io.ComfyNode):
    """Cuts out what somebody painted over."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return widgets.known(
            io.Schema,
            node_id="GossamerCutOutByRough",
            display_name="Cut Out by Rough Mask or Scribbles (Gossamer)",
            category=CATEGORY,
            description="Cuts out what was painted over roughly, e.g. in the mask editor: a blob over the subject, or "
            "strokes on it and on what does not belong to it.",
            search_aliases=["rough mask", "scribbles", "paint", "mask editor", "grabcut", "refine mask"],
            inputs=[
                image_input(),
                widgets.known(
                    io.Mask.Input,
                    "mask",
                    display_name="mask",
                    tooltip="What was painted: 1 (white) = foreground, the subject. What the mask editor paints is 1 "
                    "in Load Image's mask: connect that as it is.",
                ),
                widgets.known(
                    io.Combo.Input,
                    "kind",
                    options=list(_KINDS),
                    default=_MASK,
                    display_name="kind",
                    tooltip="rough mask: it covers the subject more or less, its edge is not to be trusted; scribbles: "
                    "strokes on the subject, which stay foreground, as those of not_subject stay background.",
                ),
                *_shared(),
                widgets.known(
                    io.Mask.Input,
                    "not_subject",
                    optional=True,
                    display_name="not subject",
                    tooltip="Painted on what does not belong to the subject: 1 (white) = background for certain.",
                ),
            ],
            outputs=cutout_outputs(),
        )

    @classmethod
    @in_comfyui
    def execute(
        cls,
        image: torch.Tensor,
        mask: torch.Tensor,
        kind: str,
        background: str,
        colour: str,
        prompt_model: Any = None,
        background_image: torch.Tensor | None = None,
        second_colour: str = "#dddddd",
        not_subject: torch.Tensor | None = None,
        **settings: Any,
    ) -> io.NodeOutput:
        """Cut out picture by picture."""
        import numpy as np

        from gossamer import InputError, Prompt

        if kind not in _KINDS:
            raise InputError(f"There is no kind {kind!r} of marks.", f"Choose one of: {', '.join(_KINDS)}.")
        images, painted = Images.of(image, "image"), Masks.of(mask, "mask")
        others = None if not_subject is None else Masks.of(not_subject, "not_subject")

        def said(index: int) -> Prompt | None:
            inside = painted.alpha(index)
            if not (inside > 0.5).any():
                return None
            outside = None if others is None else others.alpha(index) > 0.5
            if outside is not None and outside.shape != inside.shape:
                outside = None if not outside.any() else outside  # nothing painted is 64 x 64 pixels of it
            if kind == _MASK and outside is None:
                return Prompt(mask=inside)
            marks = np.full(inside.shape, 0.5, np.float32)
            if kind == _SCRIBBLES:
                marks[inside > 0.5] = 1
            if outside is not None:
                if outside.shape != marks.shape:
                    raise InputError("The masks mask and not_subject differ in size.", "Paint both on one picture.")
                marks[outside] = 0
            return Prompt(scribbles=marks, mask=inside if kind == _MASK else None)

        behind = (background, colour, background_image, second_colour)
        return _cut(images, said, prompt_model, behind, settings, others=len(painted))
