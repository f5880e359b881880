# SPDX-License-Identifier: GPL-3.0-or-later
"""Masks: corrected, combined, compared. Ids and names of inputs are permanent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from comfy_api.latest import io

from .. import previews, widgets
from ..progress import Bar
from ..tensors import Images, Masks, empty, put, together
from ..wording import in_comfyui
from . import CATEGORY

if TYPE_CHECKING:
    import torch

__all__ = ["CombineMasks", "Compare", "RefineMask"]

_SHOWN = ("fill_holes", "remove_specks", "keep_largest", "smooth", "shift_edge", "feather", "contrast", "unit")
_FOLDED = ("invert", "threshold", "black_point", "white_point")
_MORE = ("mask_2", "mask_3", "mask_4")


class RefineMask(io.ComfyNode):
    """Corrects a mask's shape and edge."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return widgets.known(
            io.Schema,
            node_id="GossamerRefineMask",
            display_name="Refine Mask: Feather, Grow, Smooth (Gossamer)",
            category=CATEGORY,
            description="Corrects a mask's shape and edge as in Photoshop's Select and Mask. Every default changes "
            "nothing.",
            search_aliases=["feather", "refine mask", "grow mask", "shrink", "expand", "smooth", "fill holes", "blur"],
            inputs=[
                widgets.known(io.Mask.Input, "mask", display_name="mask", tooltip="1 (white) = foreground."),
                *[
                    widgets.widget(f"refinement_{name}", optional=True, advanced=name in _FOLDED)
                    for name in (*_SHOWN, *_FOLDED)
                ],
            ],
            outputs=[io.Mask.Output(display_name="mask", tooltip="The corrected mask: 1 (white) = foreground.")],
        )

    @classmethod
    @in_comfyui
    def execute(cls, mask: torch.Tensor, **settings: Any) -> io.NodeOutput:
        """Correct mask by mask."""
        from gossamer.refinement import refine_mask
        from gossamer.settings.parameters import recipe_from_flat

        wanted = recipe_from_flat(settings).refinement
        masks = Masks.of(mask, "mask")
        result, bar = empty(len(masks), *masks.size), Bar(len(masks))
        for i in range(len(masks)):
            put(result[i], refine_mask(masks.alpha(i), wanted, progress=bar.picture(i)))
        return io.NodeOutput(result, ui=previews.of_mask(result))


class CombineMasks(io.ComfyNode):
    """Makes one mask of several."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return widgets.known(
            io.Schema,
            node_id="GossamerCombineMasks",
            display_name="Combine Masks (Gossamer)",
            category=CATEGORY,
            description="Makes one mask of several, and shows where they disagree.",
            search_aliases=["combine masks", "merge", "union", "intersection", "subtract", "vote", "ensemble"],
            inputs=[
                widgets.known(io.Mask.Input, "mask_1", display_name="mask 1", tooltip="1 (white) = foreground."),
                widgets.known(io.Mask.Input, "mask_2", display_name="mask 2", tooltip="1 (white) = foreground."),
                widgets.known(
                    io.Combo.Input,
                    "combine",
                    options=["mean", "max", "vote", "min", "subtract"],
                    default="mean",
                    display_name="combine",
                    tooltip="mean; max: what any of them found; vote: the mean of the majority; min: only what all of "
                    "them found; subtract: mask 1 without the others.",
                ),
                *[_another(name) for name in _MORE[1:]],
            ],
            outputs=[
                io.Mask.Output(display_name="mask", tooltip="1 (white) = foreground."),
                io.Mask.Output(
                    display_name="disagreement",
                    tooltip="The largest of the masks less the smallest: 0 (black) = all agree.",
                ),
            ],
        )

    @classmethod
    @in_comfyui
    def execute(cls, mask_1: torch.Tensor, mask_2: torch.Tensor, combine: str, **more: torch.Tensor) -> io.NodeOutput:
        """Combine picture by picture."""
        from gossamer import combine_masks

        given = _masks(mask_1, mask_2=mask_2, **more)
        count = max(len(masks) for masks in given)
        mask, apart, bar = empty(count, *given[0].size), empty(count, *given[0].size), Bar(count)
        for i in range(count):
            bar.picture(i)(0.0, "")
            combined = combine_masks([masks.alpha(i) for masks in given], combine)
            put(mask[i], combined.mask)
            put(apart[i], combined.disagreement)
        return io.NodeOutput(mask, apart)


class Compare(io.ComfyNode):
    """Shows masks of one picture beside each other."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return widgets.known(
            io.Schema,
            node_id="GossamerCompare",
            display_name="Compare Masks (Gossamer)",
            category=CATEGORY,
            description="Lays cut-outs of one picture out over black, white, grey and magenta, with the same edges "
            "enlarged, so that their faults are seen.",
            search_aliases=["compare", "contact sheet", "side by side", "difference", "before after"],
            inputs=[
                widgets.known(io.Image.Input, "image", display_name="image", tooltip="The original picture(s)."),
                widgets.known(io.Mask.Input, "mask_1", display_name="mask 1", tooltip="1 (white) = foreground."),
                widgets.known(
                    io.String.Input,
                    "names",
                    default="",
                    display_name="names",
                    tooltip="What the rows are called, with commas between them: u2net, isnet.",
                ),
                *[_another(name) for name in _MORE],
                widgets.known(
                    io.Boolean.Input,
                    "own_colours",
                    default=True,
                    optional=True,
                    display_name="own colours",
                    tooltip="Show the subject's own colours, freed of the background's, rather than the picture's.",
                ),
                widgets.known(
                    io.Int.Input,
                    "width",
                    default=320,
                    min=64,
                    max=2048,
                    optional=True,
                    display_name="width",
                    tooltip="The width of one cell in pixels.",
                ),
                widgets.known(
                    io.Int.Input,
                    "zoom",
                    default=4,
                    min=1,
                    max=16,
                    optional=True,
                    display_name="zoom",
                    tooltip="How much edges are enlarged, by whole pixels.",
                ),
            ],
            outputs=[io.Image.Output(display_name="sheet", tooltip="One sheet a picture, a row a mask.")],
        )

    @classmethod
    @in_comfyui
    def execute(
        cls,
        image: torch.Tensor,
        mask_1: torch.Tensor,
        names: str,
        own_colours: bool = True,
        width: int = 320,
        zoom: int = 4,
        **more: torch.Tensor,
    ) -> io.NodeOutput:
        """Lay out picture by picture."""
        import numpy as np

        from gossamer.foreground import estimate_foreground
        from gossamer.progress import Progress
        from gossamer.sheets import Entry, contact_sheet

        images, given = Images.of(image, "image"), _masks(mask_1, **more)
        counts = [together(images, masks) for masks in given]
        labels = [name.strip() for name in names.split(",")] + [""] * len(given)
        sheets, bar = [], Bar(max(counts))
        for i in range(max(counts)):
            rgb, entries, steps = images.rgb(i), [], Progress.of(bar.picture(i))
            for number, masks in enumerate(given):
                part = steps.part(number / len(given), (number + 1) / len(given))
                alpha, front = masks.alpha(i), rgb
                if own_colours:
                    front = estimate_foreground(rgb, alpha, progress=part).foreground
                entries.append(Entry(labels[number] or f"mask {number + 1}", front, alpha))
            sheets.append(contact_sheet(entries, width=width, zoom=zoom))
        height = max(sheet.shape[0] for sheet in sheets)
        result = empty(len(sheets), height, sheets[0].shape[1], 3)
        for target, sheet in zip(result, sheets, strict=True):
            put(target, np.pad(sheet, ((0, height - sheet.shape[0]), (0, 0), (0, 0)), constant_values=1))
        return io.NodeOutput(result)


def _another(name: str) -> io.Input:
    return widgets.known(
        io.Mask.Input,
        name,
        optional=True,
        display_name=name.replace("_", " "),
        tooltip="Another mask of the same picture(s): 1 (white) = foreground.",
    )


def _masks(first: torch.Tensor, **more: torch.Tensor) -> list[Masks]:
    """Return the masks that are connected; raises InputError where their sizes or numbers do not fit together."""
    from gossamer import InputError

    tensors = {"mask_1": first, **{name: more[name] for name in _MORE if more.get(name) is not None}}
    given = [Masks.of(tensor, name) for name, tensor in tensors.items()]
    for masks in given:
        if masks.size != given[0].size:
            sizes = [f"{one.size[1]} x {one.size[0]}" for one in (masks, given[0])]
            raise InputError(
                f"{masks.name} is {sizes[0]} pixels, but {given[0].name} is {sizes[1]}.",
                "Make both from the same picture, or resize one to the other's size.",
            )
    count = max(len(masks) for masks in given)
    if any(len(masks) not in (1, count) for masks in given):
        told = ", ".join(f"{len(masks)} in {masks.name}" for masks in given)
        raise InputError(f"The batches do not fit together: {told}.", "Give batches of the same length, or of one.")
    return given
