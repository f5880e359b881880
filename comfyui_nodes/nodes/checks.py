# SPDX-License-Identifier: GPL-3.0-or-later
"""The node that tells whether a cut-out is good. Its id and the names of its inputs are permanent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from comfy_api.latest import io

from .. import widgets
from ..progress import Bar
from ..tensors import Images, Masks, together
from ..wording import in_comfyui, spoken
from . import CATEGORY

if TYPE_CHECKING:
    import torch

__all__ = ["Check"]


class Check(io.ComfyNode):
    """Tells whether cut-outs are good, without the truth."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return widgets.known(
            io.Schema,
            node_id="GossamerCheck",
            display_name="Matte Check (Gossamer)",
            category=CATEGORY,
            description="Looks for halos, holes, haze, jagged edges, lost hair and a wrong outline, and gives a score.",
            search_aliases=["quality", "score", "matte check", "cutout check", "halo", "alpha"],
            inputs=[
                io.Image.Input("foreground", tooltip="The cut-out's colours, e.g. from Refine (Gossamer)."),
                io.Mask.Input("mask", tooltip=f"The cut-out's alpha. {widgets.POLARITY}"),
                io.Image.Input(
                    "photo",
                    optional=True,
                    tooltip="The photograph(s) that it was cut from. Without it halos, holes and a wrong subject "
                    "cannot be seen.",
                ),
                io.Mask.Input(
                    "made_of",
                    display_name="made of",
                    optional=True,
                    tooltip="The mask that it was made of, e.g. from Predict Mask (Gossamer), to find what of it was "
                    "lost: 1 (white) = foreground.",
                ),
                widgets.invert(),
            ],
            outputs=[
                io.Float.Output(display_name="score", tooltip="The lowest of the batch, from 0 to 100."),
                io.Boolean.Output(display_name="good", tooltip="Whether no fault was found in any picture."),
                io.String.Output(
                    display_name="report", tooltip="JSON, one entry a picture: score, flags with reasons, measures."
                ),
            ],
        )

    @classmethod
    @in_comfyui
    def execute(
        cls,
        foreground: torch.Tensor,
        mask: torch.Tensor,
        photo: torch.Tensor | None = None,
        made_of: torch.Tensor | None = None,
        invert_mask: bool = False,
    ) -> io.NodeOutput:
        """Check picture by picture."""
        import numpy as np

        from gossamer import check

        images, masks = Images.of(foreground, "foreground"), Masks.of(mask, "mask", inverted=invert_mask)
        photos = None if photo is None else Images.of(photo, "photo")
        others = None if made_of is None else Masks.of(made_of, "made_of")
        count = together(images, masks, *(one for one in (photos, others) if one is not None))
        bar = Bar(count)
        found = [
            check(
                np.dstack([images.rgb(i), masks.alpha(i)]),
                None if photos is None else photos.rgb(i),
                None if others is None else others.alpha(i),
                progress=bar.picture(i),
            )
            for i in range(count)
        ]
        report = [one.as_dict() for one in found]
        for entry in report:
            for flag in entry["flags"]:
                flag["remedy"] = spoken(flag["remedy"])
        score = min(one.score for one in found)
        return io.NodeOutput(score, not any(one.faulty for one in found), json.dumps(report, indent=1))
